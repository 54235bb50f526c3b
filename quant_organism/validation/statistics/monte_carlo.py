"""Monte Carlo bands: how far Sharpe ratio, drawdown and equity could differ by order and choice of what happened.

These are vetoes and pictures; they say nothing about significance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.statistics.evidence import FLAT, NotRun, require, require_finite, too_few
from quant_organism.validation.statistics.resampling import politis_white_length, stationary_rows

QUANTILES = (0.05, 0.5, 0.95)
DRAWS = 1_000
MIN_TRADES = 10
SKIPPED_SHARE = 0.1

Floats = NDArray[np.float64]

CONE: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the cone."""


@dataclass(frozen=True)
class Bands:
    """Quantiles over resampled histories.

    Attributes
    ----------
    sharpe
        float64 (3,): 5, 50 and 95 % quantiles of the annual Sharpe ratio; nan where it is undefined or unchanged.
    max_drawdown
        float64 (3,): the same of the maximum drawdown, a fraction of equity.
    loss_probability
        Share of draws whose Sharpe ratio is at most 0 or undefined; nan where the Sharpe ratio is unchanged.
    draws, seed
        What it rests on.
    """

    sharpe: Floats
    max_drawdown: Floats
    loss_probability: float
    draws: int
    seed: int


def bootstrap_bands(
    returns: Floats, *, periods_per_year: float, average_holding: float, seed: int, draws: int = DRAWS
) -> Bands | NotRun:
    """Resample returns by the stationary block bootstrap.

    Parameters
    ----------
    returns
        Net returns per period, float64 (T,).
    periods_per_year
        365 for daily returns.
    average_holding
        Periods that a position lasts: blocks are at least as long, and at least what Politis and White advise.
    seed, draws
        Of the resampling.

    Raises
    ------
    InputError
        A return is not a number, or there is no draw.
    """
    require_finite(returns)
    require(draws >= 1, f"{draws} draws are none", f"{DRAWS} is usual")
    if len(returns) < 2 or returns.std(ddof=1) <= FLAT:
        return NotRun("the returns do not vary: nothing was traded")
    block = max(politis_white_length(returns), average_holding, 1.0)
    rows, _ = stationary_rows(np.random.default_rng(seed), len(returns), block, draws)
    sample = returns[rows]
    return _bands(_sharpe(sample) * np.sqrt(periods_per_year), max_drawdowns(sample), draws, seed)


def trade_shuffle(trade_returns: Floats, *, seed: int, draws: int = DRAWS) -> Bands | NotRun:
    """Permute the order of trades: the total stays, the drawdown does not.

    Parameters
    ----------
    trade_returns
        Net returns of closed trades on equity, float64 (trades,).
    seed, draws
        Of the permutations.

    Raises
    ------
    InputError
        A return is not a number, or there is no draw.
    """
    require_finite(trade_returns, "trade return")
    require(draws >= 1, f"{draws} draws are none", f"{DRAWS} is usual")
    if (few := too_few(MIN_TRADES, len(trade_returns), "trades")) is not None:
        return few
    orders = np.random.default_rng(seed).random((draws, len(trade_returns))).argsort(axis=1)
    drawdown = np.quantile(max_drawdowns(trade_returns[orders]), QUANTILES)
    return Bands(np.full(len(QUANTILES), np.nan), drawdown, float("nan"), draws, seed)


def trade_skip(trade_returns: Floats, *, years: float, seed: int, draws: int = DRAWS) -> Bands | NotRun:
    """Leave out a tenth of the trades at random: does the result hang on a few of them?

    Parameters
    ----------
    trade_returns
        Net returns of closed trades on equity, in time order, float64 (trades,).
    years
        Time that they span; the Sharpe ratio per trade is scaled by the square root of trades a year.
    seed, draws
        Of the choice.

    Raises
    ------
    InputError
        A return is not a number, there is no draw, or no time.
    """
    require_finite(trade_returns, "trade return")
    require(draws >= 1, f"{draws} draws are none", f"{DRAWS} is usual")
    require(years > 0, f"{years} years are none", "give the time that the trades span")
    count = len(trade_returns)
    if (few := too_few(MIN_TRADES, count, "trades")) is not None:
        return few
    kept = count - max(1, round(SKIPPED_SHARE * count))
    chosen = np.sort(np.random.default_rng(seed).random((draws, count)).argsort(axis=1)[:, :kept], axis=1)
    sample = trade_returns[chosen]
    return _bands(_sharpe(sample) * np.sqrt(kept / years), max_drawdowns(sample), draws, seed)


def drawdown_limit(
    returns: Floats, *, days: int, average_holding: float, seed: int, level: float = 0.99, draws: int = DRAWS
) -> float:
    """Return the drawdown that a strategy's own past makes improbable over a number of days: where to stop hard.

    Parameters
    ----------
    returns
        Net daily returns that were validated, float64 (T,).
    days
        Length of the live record.
    average_holding
        Days that a position lasts, as for `bootstrap_bands`.
    level
        Quantile of the resampled drawdowns.
    seed, draws
        Of the resampling.

    Returns
    -------
    float
        A fraction of equity; nan when the returns do not vary.

    Raises
    ------
    InputError
        A return is not a number, or there is no draw or day.
    """
    require_finite(returns)
    require(draws >= 1 and days >= 1, f"{draws} draws of {days} days are none", "give at least one of each")
    if len(returns) < 2 or returns.std(ddof=1) <= FLAT:
        return float("nan")
    block = max(politis_white_length(returns), average_holding, 1.0)
    rng = np.random.default_rng(seed)
    repeats = -(-days // len(returns))
    rows = np.hstack([stationary_rows(rng, len(returns), block, draws)[0] for _ in range(repeats)])[:, :days]
    return float(np.quantile(max_drawdowns(returns[rows]), level))


def max_drawdowns(returns: Floats) -> Floats:
    """Return the maximum drawdown of each row of compounded returns, float64 (B, T) to (B,), in [0, 1]."""
    equity = np.cumprod(np.maximum(1 + returns, 0), axis=1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1)
    deepest: Floats = np.max(1 - equity / peak, axis=1)
    return deepest


def _sharpe(samples: Floats) -> Floats:
    deviation = samples.std(axis=1, ddof=1)
    flat = deviation <= FLAT
    return np.where(flat, np.nan, samples.mean(axis=1) / np.where(flat, 1.0, deviation))


def _bands(sharpe: Floats, drawdown: Floats, draws: int, seed: int) -> Bands:
    defined = sharpe[~np.isnan(sharpe)]
    quantiles = np.quantile(defined, QUANTILES) if len(defined) else np.full(len(QUANTILES), np.nan)
    return Bands(quantiles, np.quantile(drawdown, QUANTILES), float(np.mean(~(sharpe > 0))), draws, seed)


def equity_cone(
    returns: NDArray[np.float64], *, days: int, average_holding: float, seed: int, draws: int = DRAWS
) -> NDArray[np.float64] | NotRun:
    """Resample daily returns in blocks and return where equity lies after each of some days.

    Parameters
    ----------
    returns
        Net daily returns, float64 (T,).
    days
        Length of the paths D.
    average_holding
        Days that a position lasts: blocks are at least as long, and at least what Politis and White advise.
    seed, draws
        Of the resampling.

    Returns
    -------
    float64 (5, D)
        The quantiles `CONE` of equity, 1 before the first day; or why there are none.

    Raises
    ------
    InputError
        A return is not a number, or there is no draw or day.
    """
    require_finite(returns)
    require(draws >= 1 and days >= 1, f"{draws} draws of {days} days are none", "give at least one of each")
    if len(returns) < 2 or returns.std(ddof=1) <= FLAT:
        return NotRun("the returns do not vary: nothing was traded")
    block = max(politis_white_length(returns), average_holding, 1.0)
    rng, repeats = np.random.default_rng(seed), -(-days // len(returns))
    rows = np.hstack([stationary_rows(rng, len(returns), block, draws)[0] for _ in range(repeats)])[:, :days]
    paths = np.cumprod(np.maximum(1 + returns[rows], 0), axis=1)
    return np.asarray(np.quantile(paths, CONE, axis=0))
