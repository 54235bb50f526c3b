"""Figures of daily returns that a tear sheet shows beside those that gates judge: tails, drawdowns, rolling ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.risk import DAYS_PER_YEAR

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ReturnFigures:
    """Figures of D daily returns; nan where a figure is undefined. Fractions unless said otherwise.

    Parameters
    ----------
    days, days_up
        How many, and the share of them with a gain among those with a gain or a loss.
    best_day, worst_day, mean_up, mean_down
        Of single days.
    value_at_risk, expected_shortfall
        Loss that a day exceeds in 5 % of all days, and the mean of the losses in these: positive numbers, by history.
    skew, excess_kurtosis
        Of the sample, without bias (G1 and G2 of Joanes and Gill, 1998); 0 for a normal distribution.
    tail_ratio
        95 % quantile over the size of the 5 % quantile.
    profit_factor
        Sum of gains over sum of losses: the omega ratio at 0 (Keating and Shadwick, 2002).
    ulcer_index
        Root of the mean square of the drawdown (Martin, 1987).
    days_under_water
        Longest time from a highest equity to the next.
    recovery_factor
        Total return over maximum drawdown.
    gain_to_pain
        Sum of returns over sum of losses (Schwager).
    kelly
        Mean over variance: the multiple of this account that would have grown fastest.
    """

    days: int
    days_up: float
    best_day: float
    worst_day: float
    mean_up: float
    mean_down: float
    value_at_risk: float
    expected_shortfall: float
    skew: float
    excess_kurtosis: float
    tail_ratio: float
    profit_factor: float
    ulcer_index: float
    days_under_water: int
    recovery_factor: float
    gain_to_pain: float
    kelly: float


@dataclass(frozen=True, kw_only=True)
class DrawdownSpell:
    """One way down from a highest equity and up to it again; places are days, -1 is the start before the first.

    Parameters
    ----------
    peak, bottom, recovered
        Last day at the highest equity, the lowest day, and the first day at or above it again; none if not yet.
    depth
        Fraction of the highest equity that was lost.
    """

    peak: int
    bottom: int
    recovered: int | None
    depth: float


def return_figures(returns: Floats) -> ReturnFigures:
    """Return the figures of daily returns, shape (D,), at least one."""
    up, down = returns[returns > 0], returns[returns < 0]
    tail = float(np.quantile(returns, 0.05))
    equity = np.asarray(np.cumprod(1.0 + returns), dtype=np.float64)
    below = _below(equity)
    depth = float(below.max())
    lost = float(-down.sum())
    return ReturnFigures(
        days=returns.size,
        days_up=_over(up.size, up.size + down.size),
        best_day=float(returns.max()),
        worst_day=float(returns.min()),
        mean_up=_mean(up),
        mean_down=_mean(down),
        value_at_risk=-tail,
        expected_shortfall=-_mean(returns[returns <= tail]),
        skew=_skew(returns),
        excess_kurtosis=_excess_kurtosis(returns),
        tail_ratio=_over(float(np.quantile(returns, 0.95)), abs(tail)),
        profit_factor=_over(float(up.sum()), lost),
        ulcer_index=float(np.sqrt(np.mean(below**2))),
        days_under_water=max((_length(spell, returns.size) for spell in drawdown_spells(returns)), default=0),
        recovery_factor=_over(float(equity[-1] - 1.0), depth),
        gain_to_pain=_over(float(returns.sum()), lost),
        kelly=_over(_mean(returns), float(returns.var(ddof=1)) if returns.size > 1 else 0.0),
    )


def drawdown_spells(returns: Floats, most: int | None = None) -> list[DrawdownSpell]:
    """Return the drawdowns of daily returns, deepest first; `most` of them, all without."""
    equity = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    highest = np.maximum.accumulate(equity)
    spells, day = [], 0
    while day < equity.size:
        if equity[day] >= highest[day]:
            day += 1
            continue
        above = np.flatnonzero(equity[day:] >= highest[day])
        end = day + int(above[0]) if above.size else equity.size
        bottom = day + int(np.argmin(equity[day:end]))
        spells.append(
            DrawdownSpell(
                peak=day - 2,
                bottom=bottom - 1,
                recovered=end - 1 if above.size else None,
                depth=float(1.0 - equity[bottom] / highest[day]),
            )
        )
        day = end
    return sorted(spells, key=lambda spell: (-spell.depth, spell.peak))[:most]


def rolling_sharpe(returns: Floats, days: int) -> Floats:
    """Return the annual Sharpe ratio of each day and the `days` - 1 before it, shape (D,); nan where undefined."""
    windows = _windows(returns, days)
    deviation = windows.std(axis=1, ddof=1)
    ratio = np.divide(windows.mean(axis=1), deviation, out=np.full(len(windows), math.nan), where=deviation > 0.0)
    return _late(ratio * math.sqrt(DAYS_PER_YEAR), returns.size)


def rolling_beta(returns: Floats, market: Floats, days: int) -> Floats:
    """Return the slope of returns on the market's over each day and the `days` - 1 before it; nan where undefined."""
    own, other = _windows(returns, days), _windows(market, days)
    moves = other - other.mean(axis=1, keepdims=True)
    spread = np.sum(moves**2, axis=1)
    slope = np.divide(np.sum(own * moves, axis=1), spread, out=np.full(len(own), math.nan), where=spread > 0.0)
    return _late(slope, returns.size)


def histogram(returns: Floats, bins: int = 41) -> tuple[list[float], list[int]]:
    """Return edges and counts of daily returns in bins that lie evenly about 0, the largest move in an outer one."""
    most = max(float(np.abs(returns).max(initial=0.0)), 1e-6)
    counts, edges = np.histogram(returns, bins=bins, range=(-most, most))
    return edges.tolist(), counts.tolist()


def _windows(values: Floats, days: int) -> Floats:
    if values.size < days:
        return np.empty((0, days))
    return np.lib.stride_tricks.sliding_window_view(values, days)


def _late(values: Floats, days: int) -> Floats:
    return np.concatenate([np.full(days - len(values), math.nan), values])


def _below(equity: Floats) -> Floats:
    return np.asarray(1.0 - equity / np.maximum.accumulate(np.maximum(equity, 1.0)))


def _length(spell: DrawdownSpell, days: int) -> int:
    return (days - 1 if spell.recovered is None else spell.recovered) - spell.peak


def _over(above: float, beneath: float) -> float:
    return float(above / beneath) if beneath else math.nan


def _mean(values: Floats | Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _skew(values: Floats) -> float:
    n, moves = values.size, values - values.mean()
    second, third = float(np.mean(moves**2)), float(np.mean(moves**3))
    if n < 3 or second == 0.0:
        return math.nan
    return float(math.sqrt(n * (n - 1)) / (n - 2) * third / second**1.5)


def _excess_kurtosis(values: Floats) -> float:
    n, moves = values.size, values - values.mean()
    second, fourth = float(np.mean(moves**2)), float(np.mean(moves**4))
    if n < 4 or second == 0.0:
        return math.nan
    return ((n + 1) * (fourth / second**2 - 3.0) + 6.0) * (n - 1) / ((n - 2) * (n - 3))
