"""Metrics of a path of returns and of a set of trades; the only place where they are defined.

All follow one convention: returns are per bar, a year has 365 days, standard deviations of returns have the divisor
T - 1, and what is not defined is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant_organism.kernels.compiled import compiled

Floats = NDArray[np.float64]

NO_DEVIATION = 1e-12
"""A standard deviation of returns up to this is none."""

CONSISTENCY_BLOCKS = 12
"""Sub-periods of equal length of which consistency counts the profitable ones."""

_LEAST_BLOCKS = 4

_SQUARES_TOLERANCE = 1e-12
"""A variance below this share of the mean square is rounding: it is a difference of two such figures."""

# Columns of a path's totals.
RETURN_SUM, SQUARED_DEVIATIONS, LOSS_SQUARES, MARKET_PRODUCTS, GROWTH, DEEPEST, GOOD_BLOCKS = range(7)


@compiled
def summarise_paths(
    returns: Floats, market: Floats, blocks: int, period_starts: NDArray[np.int64], totals: Floats, compounded: Floats
) -> None:
    """Reduce paths of returns to the sums that the metrics need, and compound them over adjoining periods.

    Parameters
    ----------
    returns
        Returns per bar, shape (G, T); below -1 counts as -1, and equity stays 0 from there on.
    market
        Returns of the market that they are set against, shape (T,).
    blocks
        Number of sub-periods of equal length that consistency looks at.
    period_starts
        First bar of each of D periods, shape (D,).
    totals
        Written, shape (G, 7): sum of returns, squared deviations from their mean, squares of the negative ones,
        products with the market's, final over initial equity, least ratio of equity to its running peak, sub-periods
        that gained.
    compounded
        Written: returns per period, shape (G, D).
    """
    bars, periods = returns.shape[1], period_starts.size
    equity = np.empty(bars + 1)
    for g in range(returns.shape[0]):
        path = returns[g]
        _grow(path, equity)
        total = _sum(path)
        squares, losses, products = _sums_of_products(path, market, total / max(bars, 1))
        totals[g, SQUARED_DEVIATIONS], totals[g, LOSS_SQUARES], totals[g, MARKET_PRODUCTS] = squares, losses, products
        good = 0
        for block in range(blocks):
            good += equity[(block + 1) * bars // blocks] > equity[block * bars // blocks]
        for period in range(periods):
            opening = equity[period_starts[period]]
            closing = equity[period_starts[period + 1] if period + 1 < periods else bars]
            compounded[g, period] = closing / opening - 1.0 if opening > 0.0 else 0.0
        totals[g, RETURN_SUM] = total
        totals[g, GROWTH] = equity[bars]
        totals[g, DEEPEST] = _deepest(equity)
        totals[g, GOOD_BLOCKS] = good


@compiled
def _grow(path: Floats, equity: Floats) -> None:
    # Equity before each bar and after the last, shape (T + 1,). Four bars at a time, so that a product waits for
    # the one four bars before it and not for its neighbour.
    level = 1.0
    equity[0] = level
    for t in range(0, path.size // 4 * 4, 4):
        a, b = _growth(path[t]), _growth(path[t + 1])
        c, d = _growth(path[t + 2]), _growth(path[t + 3])
        equity[t + 1] = level * a
        equity[t + 2] = level * (a * b)
        equity[t + 3] = level * (a * b * c)
        level *= (a * b) * (c * d)
        equity[t + 4] = level
    for t in range(path.size // 4 * 4, path.size):
        level *= _growth(path[t])
        equity[t + 1] = level


@compiled
def _growth(gain: float) -> float:
    return 1.0 + gain if gain > -1.0 else 0.0


@compiled
def _sum(values: Floats) -> float:
    # Four sums side by side: the same bits on every machine, without waiting for each addition.
    a = b = c = d = 0.0
    for t in range(0, values.size // 4 * 4, 4):
        a += values[t]
        b += values[t + 1]
        c += values[t + 2]
        d += values[t + 3]
    for t in range(values.size // 4 * 4, values.size):
        a += values[t]
    return (a + b) + (c + d)


@compiled
def _sums_of_products(path: Floats, market: Floats, mean: float) -> tuple[float, float, float]:
    # Squared deviations, squares of losses, products with the market; even and odd bars are summed side by side.
    squares = losses = products = odd_squares = odd_losses = odd_products = 0.0
    for t in range(0, path.size // 2 * 2, 2):
        x, y = path[t], path[t + 1]
        squares += (x - mean) * (x - mean)
        odd_squares += (y - mean) * (y - mean)
        losses += x * x if x < 0.0 else 0.0
        odd_losses += y * y if y < 0.0 else 0.0
        products += x * market[t]
        odd_products += y * market[t + 1]
    if path.size % 2:
        x = path[path.size - 1]
        squares += (x - mean) * (x - mean)
        losses += x * x if x < 0.0 else 0.0
        products += x * market[path.size - 1]
    return squares + odd_squares, losses + odd_losses, products + odd_products


@compiled
def _deepest(equity: Floats) -> float:
    peak = deepest = 1.0
    for t in range(1, equity.size):
        level = equity[t]
        peak = level if level > peak else peak
        if level < peak * deepest:
            deepest = level / peak
    return deepest


PATH_METRICS = (
    "total_return",
    "annual_return",
    "volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "consistency",
    "beta",
    "alpha",
)
"""Metrics that follow from a path of returns."""


def path_metrics(returns: ArrayLike, periods_per_year: float, market: ArrayLike | None = None) -> dict[str, Floats]:
    """Return the metrics of paths of returns.

    Parameters
    ----------
    returns
        Returns per bar, shape (T,) or (G, T).
    periods_per_year
        Bars in 365 days: 8,760 hours.
    market
        Returns of the market per bar, shape (T,), for beta and alpha.

    Returns
    -------
    total_return, annual_return, volatility, sharpe, sortino, max_drawdown, calmar, consistency, and with a market
    beta and alpha; each of shape (G,).
    """
    paths = np.atleast_2d(np.asarray(returns, dtype=np.float64))
    against = np.zeros(paths.shape[1]) if market is None else np.asarray(market, dtype=np.float64)
    metrics, _ = reduce_paths(paths, periods_per_year, against, np.empty(0, dtype=np.int64))
    if market is None:
        del metrics["beta"], metrics["alpha"]
    return metrics


def reduce_paths(
    returns: Floats, periods_per_year: float, market: Floats, period_starts: NDArray[np.int64]
) -> tuple[dict[str, Floats], Floats]:
    """Return the metrics of paths as `path_metrics` does, and the paths compounded over adjoining periods.

    Parameters
    ----------
    returns, periods_per_year, market
        As there, returns of shape (G, T).
    period_starts
        First bar of each of D periods, shape (D,).

    Returns
    -------
    metrics
        As there.
    compounded
        Returns per period, shape (G, D).
    """
    paths = np.ascontiguousarray(returns)
    count, bars = paths.shape
    blocks = min(CONSISTENCY_BLOCKS, bars)
    totals, compounded = np.empty((count, 7)), np.empty((count, period_starts.size))
    summarise_paths(paths, np.ascontiguousarray(market), blocks, period_starts, totals, compounded)
    columns = totals.T
    periods = np.full(count, bars)
    metrics = return_metrics(
        periods,
        columns[RETURN_SUM],
        columns[SQUARED_DEVIATIONS],
        columns[LOSS_SQUARES],
        columns[GROWTH],
        columns[DEEPEST],
        periods_per_year,
    )
    enough = blocks >= _LEAST_BLOCKS
    metrics["consistency"] = columns[GOOD_BLOCKS] / blocks if enough else np.full(count, np.nan)
    metrics |= market_metrics(
        periods, columns[RETURN_SUM], columns[MARKET_PRODUCTS], market.sum(), (market * market).sum(), periods_per_year
    )
    return metrics, compounded


def market_metrics(
    periods: ArrayLike,
    return_sum: ArrayLike,
    products: ArrayLike,
    market_sum: ArrayLike,
    market_squares: ArrayLike,
    periods_per_year: float,
) -> dict[str, Floats]:
    """Return beta and the annual alpha of an ordinary regression of returns on the market's, from their sums."""
    bars, total, cross, level, squares = (
        np.asarray(values, dtype=np.float64) for values in (periods, return_sum, products, market_sum, market_squares)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (squares - level * level / bars) / bars
        varies = variance > _SQUARES_TOLERANCE * squares / bars
        beta = np.where(varies, (cross - total * level / bars) / bars / variance, np.nan)
        return {"beta": beta, "alpha": (total - beta * level) / bars * periods_per_year}


def return_metrics(
    periods: ArrayLike,
    return_sum: ArrayLike,
    squared_deviations: ArrayLike,
    loss_squares: ArrayLike,
    growth: ArrayLike,
    deepest: ArrayLike,
    periods_per_year: float,
) -> dict[str, Floats]:
    """Return the metrics that follow from a path's sums; all arguments of one shape.

    Parameters
    ----------
    periods
        Number of returns T.
    return_sum, squared_deviations, loss_squares
        Sum of the returns, of their squared deviations from the mean, of the squares of the negative ones.
    growth
        Final over initial equity.
    deepest
        Least ratio of equity to its running peak.
    periods_per_year
        Periods in 365 days.
    """
    bars, total, deviations, losses = (
        np.asarray(values, dtype=np.float64) for values in (periods, return_sum, squared_deviations, loss_squares)
    )
    final, trough = np.asarray(growth, dtype=np.float64), np.asarray(deepest, dtype=np.float64)
    year = float(periods_per_year)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = total / bars
        deviation = np.sqrt(np.maximum(deviations, 0.0) / (bars - 1.0))
        downside = np.sqrt(losses / bars)
        annual = np.where(final > 0.0, final ** (year / bars) - 1.0, -1.0)
        drawdown = 1.0 - trough
        metrics = {
            "total_return": final - 1.0,
            "annual_return": annual,
            "volatility": deviation * np.sqrt(year),
            "sharpe": np.where(deviation > NO_DEVIATION, mean / deviation, np.nan) * np.sqrt(year),
            "sortino": np.where(downside > NO_DEVIATION, mean / downside, np.nan) * np.sqrt(year),
            "max_drawdown": drawdown,
            "calmar": np.where(drawdown > 0.0, annual / drawdown, np.nan),
        }
    metrics["volatility"] = np.where(bars >= 2, metrics["volatility"], np.nan)
    return {name: np.where(bars >= 1, values, np.nan) for name, values in metrics.items()}


def trade_metrics(
    trades: ArrayLike, wins: ArrayLike, gains: ArrayLike, losses: ArrayLike, held_hours: ArrayLike
) -> dict[str, Floats]:
    """Return the metrics that follow from the sums over closed trades; all arguments of one shape.

    Parameters
    ----------
    trades, wins
        Number of closed trades, and of those with a positive net return.
    gains, losses
        Sum of the positive net returns, and of the negative ones without their sign.
    held_hours
        Sum of the hours between entry and exit.
    """
    count, won, gained, lost, hours = (
        np.asarray(values, dtype=np.float64) for values in (trades, wins, gains, losses, held_hours)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "trades": count,
            "win_rate": np.where(count > 0, won / count, np.nan),
            "profit_factor": np.where(lost > 0, gained / lost, np.nan),
            "avg_holding_hours": np.where(count > 0, hours / count, np.nan),
        }
