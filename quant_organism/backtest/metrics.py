"""Metrics of a path of returns and of a set of trades; the only place where they are defined.

All follow one convention: returns are per bar, a year has 365 days, standard deviations of returns have the divisor
T - 1, and what is not defined is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant_organism.strategies.compiled import compiled

Floats = NDArray[np.float64]

NO_DEVIATION = 1e-12
"""A standard deviation of returns up to this is none."""

CONSISTENCY_BLOCKS = 12
"""Sub-periods of equal length of which consistency counts the profitable ones."""

_LEAST_BLOCKS = 4

# Columns of a path's totals.
RETURN_SUM, SQUARED_DEVIATIONS, LOSS_SQUARES, GROWTH, DEEPEST, GOOD_BLOCKS = range(6)


@compiled
def summarise_paths(
    returns: Floats, blocks: int, period_starts: NDArray[np.int64], totals: Floats, compounded: Floats
) -> None:
    """Reduce paths of returns to the sums that the metrics need, and compound them over adjoining periods.

    Parameters
    ----------
    returns
        Returns per bar, shape (G, T); below -1 counts as -1, and equity stays 0 from there on.
    blocks
        Number of sub-periods of equal length that consistency looks at.
    period_starts
        First bar of each of D periods, shape (D,).
    totals
        Written, shape (G, 6): sum of returns, squared deviations from their mean, squares of the negative ones,
        final over initial equity, least ratio of equity to its running peak, sub-periods that gained.
    compounded
        Written: returns per period, shape (G, D).
    """
    bars, periods = returns.shape[1], period_starts.size
    equity, squares = np.empty(bars + 1), np.empty(bars)
    for g in range(returns.shape[0]):
        path = returns[g]
        _grow(path, equity)
        total = _interleaved_sum(path)
        mean = total / max(bars, 1)
        for t in range(bars):
            squares[t] = (path[t] - mean) * (path[t] - mean)
        totals[g, SQUARED_DEVIATIONS] = _interleaved_sum(squares)
        for t in range(bars):
            squares[t] = path[t] * path[t] if path[t] < 0.0 else 0.0
        totals[g, LOSS_SQUARES] = _interleaved_sum(squares)
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
def _interleaved_sum(values: Floats) -> float:
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
def _deepest(equity: Floats) -> float:
    peak = deepest = 1.0
    for t in range(1, equity.size):
        level = equity[t]
        peak = level if level > peak else peak
        if level < peak * deepest:
            deepest = level / peak
    return deepest


def path_metrics(returns: ArrayLike, periods_per_year: float) -> dict[str, Floats]:
    """Return the metrics of paths of returns.

    Parameters
    ----------
    returns
        Returns per bar, shape (T,) or (G, T).
    periods_per_year
        Bars in 365 days: 8,760 hours.

    Returns
    -------
    total_return, annual_return, volatility, sharpe, sortino, max_drawdown, calmar, consistency; each of shape (G,).
    """
    return reduce_paths(returns, periods_per_year, np.empty(0, dtype=np.int64))[0]


def reduce_paths(
    returns: ArrayLike, periods_per_year: float, period_starts: NDArray[np.int64]
) -> tuple[dict[str, Floats], Floats]:
    """Return the metrics of paths as `path_metrics` does, and the paths compounded over adjoining periods.

    Parameters
    ----------
    returns, periods_per_year
        As there.
    period_starts
        First bar of each of D periods, shape (D,).

    Returns
    -------
    metrics
        As there.
    compounded
        Returns per period, shape (G, D).
    """
    paths = np.ascontiguousarray(np.atleast_2d(np.asarray(returns, dtype=np.float64)))
    count, bars = paths.shape
    blocks = min(CONSISTENCY_BLOCKS, bars)
    totals, compounded = np.empty((count, 6)), np.empty((count, period_starts.size))
    summarise_paths(paths, blocks, period_starts, totals, compounded)
    columns = totals.T
    metrics = return_metrics(
        np.full(count, bars),
        columns[RETURN_SUM],
        columns[SQUARED_DEVIATIONS],
        columns[LOSS_SQUARES],
        columns[GROWTH],
        columns[DEEPEST],
        periods_per_year,
    )
    enough = blocks >= _LEAST_BLOCKS
    metrics["consistency"] = columns[GOOD_BLOCKS] / blocks if enough else np.full(count, np.nan)
    return metrics, compounded


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
            "sortino": np.where(losses > 0.0, mean / downside, np.nan) * np.sqrt(year),
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
