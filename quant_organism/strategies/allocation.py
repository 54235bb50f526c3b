"""What evaluator and trader must know of all assets at once before they enter one: scores and turbulence.

A genome's allocation genes weigh three ranks of each asset among the assets that have a bar at that moment:

liquidity
    median traded value (close x volume) of the last 24 hours;
calm
    lowness of ATR(14) / close;
momentum
    |ln c[t] / c[t-30]| over the standard deviation of the last 30 log returns, up or down alike; 0 without deviation.

A rank is (average rank - 1) / (count - 1) among the assets whose figure is known, 1 where only one is. An asset whose
figure is not known yet takes 0.5 and no part in the others' ranks. A lone asset has 1 in everything.

Turbulence is the standard deviation of the log returns of the last 24 hours over the median of the values that it had
in the 30 days before; 0 as long as these are not complete, or where the median is 0.

All windows count an asset's own valid bars, and hours make at least two of them. Every value at bar t depends on bars
up to t only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.indicators.volatility import atr_rows, log_return_deviation_rows, true_range

LIQUIDITY, CALM, MOMENTUM = range(3)

ALLOTMENT_LIMIT = 0.15
"""Most that one asset is allotted, whatever the genes say."""

LEAST_SCORE = 0.1
"""Assets that score no more get nothing."""

ATR_BARS, MOMENTUM_BARS = 14, 30
_DAY_HOURS, _MONTH_HOURS = 24.0, 720.0


@dataclass(frozen=True, eq=False)
class Allocation:
    """Scores and turbulence of N assets over T bars.

    Parameters
    ----------
    ranks
        Liquidity, calm and momentum in [0, 1], shape (T, N, 3); 0 where the asset has no bar.
    listed
        Number of assets that have a bar, shape (T,).
    turbulence
        Shape (T, N); 0 where unknown.
    """

    ranks: NDArray[np.float64]
    listed: NDArray[np.int64]
    turbulence: NDArray[np.float64]


def allocate(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    valid: NDArray[np.bool_],
    bar_hours: float,
) -> Allocation:
    """Rank N assets over T bars; prices and volumes of shape (T, N)."""
    day, month = day_and_month(bar_hours)
    shape = close.shape
    figures, turbulence = np.full((3, *shape), np.nan), np.zeros(shape)
    for asset in range(shape[1]):
        rows = np.flatnonzero(valid[:, asset])
        up, down, last, traded = (np.ascontiguousarray(x[rows, asset]) for x in (high, low, close, volume))
        if shape[1] > 1:
            figures[LIQUIDITY, rows, asset] = rolling_median(last * traded, day)
            figures[CALM, rows, asset] = -relative_range(up, down, last, ATR_BARS)
            figures[MOMENTUM, rows, asset] = momentum(last, MOMENTUM_BARS)
        turbulence[rows, asset] = _turbulence(last, day, month)
    ranks = np.zeros((*shape, 3))
    for figure in range(3):
        rank(figures[figure], valid, ranks[:, :, figure])
    return Allocation(ranks, valid.sum(axis=1), turbulence)


def day_and_month(bar_hours: float) -> tuple[int, int]:
    """Return how many bars 24 hours and 30 days are; at least two."""
    day, month = (max(2, int(np.ceil(hours / bar_hours))) for hours in (_DAY_HOURS, _MONTH_HOURS))
    return day, month


@compiled
def rank(figure: NDArray[np.float64], valid: NDArray[np.bool_], out: NDArray[np.float64]) -> None:
    """Write the ranks of a figure among the assets with a bar; NaN where it is unknown; all of shape (T, N)."""
    bars, assets = figure.shape
    for t in range(bars):
        listed = known = 0
        for a in range(assets):
            listed += valid[t, a]
            known += not np.isnan(figure[t, a])
        for a in range(assets):
            if not valid[t, a]:
                continue
            if listed == 1:
                out[t, a] = 1.0
            elif np.isnan(figure[t, a]):
                out[t, a] = 0.5
            elif known == 1:
                out[t, a] = 1.0
            else:
                below = equal = 0
                for other in range(assets):
                    below += figure[t, other] < figure[t, a]
                    equal += figure[t, other] == figure[t, a]
                out[t, a] = (below + 0.5 * (equal - 1)) / (known - 1)


@compiled
def relative_range(
    high: NDArray[np.float64], low: NDArray[np.float64], close: NDArray[np.float64], period: int
) -> NDArray[np.float64]:
    """Return the average true range over the close, from bar `period` on, shape (n,)."""
    share: NDArray[np.float64] = atr_rows(true_range(high, low, close), np.array([period]))[0] / close
    return share


@compiled
def log_return_deviation(close: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the population deviation of the last `window` log returns, from bar `window` on, shape (n,)."""
    deviation: NDArray[np.float64] = log_return_deviation_rows(close, np.array([window]))[0]
    return deviation


@compiled
def momentum(close: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the absolute log return over `window` bars in units of their deviation, shape (n,)."""
    out = log_return_deviation(close, window)
    for t in range(window, close.size):
        out[t] = abs(np.log(close[t] / close[t - window])) / out[t] if out[t] > 0.0 else 0.0
    return out


@compiled
def _turbulence(close: NDArray[np.float64], day: int, month: int) -> NDArray[np.float64]:
    deviation = log_return_deviation(close, day)
    usual = rolling_median(deviation[day:], month)
    out = np.zeros(close.size)
    for t in range(day + month, close.size):
        median = usual[t - 1 - day]
        out[t] = deviation[t] / median if median > 0.0 else 0.0
    return out


@compiled
def rolling_median(x: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the median of the last `window` values, from bar `window` - 1 on, shape (n,)."""
    # The window is kept sorted: one value leaves and one enters per bar.
    out = np.full(x.size, np.nan)
    if x.size < window:
        return out
    ordered = np.sort(x[:window])
    half = window // 2
    for t in range(window - 1, x.size):
        if t >= window:
            place = np.searchsorted(ordered, x[t - window])
            while place + 1 < window and ordered[place + 1] < x[t]:
                ordered[place] = ordered[place + 1]
                place += 1
            while place > 0 and ordered[place - 1] > x[t]:
                ordered[place] = ordered[place - 1]
                place -= 1
            ordered[place] = x[t]
        out[t] = ordered[half] if window % 2 else 0.5 * (ordered[half - 1] + ordered[half])
    return out
