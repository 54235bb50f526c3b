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

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.dispersion import deviation_rows
from quant_organism.strategies.indicators.volatility import atr_rows, log_returns, true_range

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
        deviations = deviation_rows(log_returns(last), np.array([MOMENTUM_BARS, day]), 0)
        if shape[1] > 1:
            figures[LIQUIDITY, rows, asset] = rolling_median(last * traded, day)
            figures[CALM, rows, asset] = -relative_range(up, down, last, ATR_BARS)
            figures[MOMENTUM, rows, asset] = momentum(last, deviations[0], MOMENTUM_BARS)
        of_day = deviations[1, day - 1 :]
        turbulence[rows[day:], asset] = _turbulence(of_day, rolling_median(of_day, month), month)
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


def relative_range(
    high: NDArray[np.float64], low: NDArray[np.float64], close: NDArray[np.float64], period: int
) -> NDArray[np.float64]:
    """Return the average true range over the close, from bar `period` on, shape (n,)."""
    share: NDArray[np.float64] = atr_rows(true_range(high, low, close), np.array([period]))[0] / close
    return share


@compiled
def momentum(close: NDArray[np.float64], deviation: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the absolute log return over `window` bars in units of their deviation, shape (n,).

    `deviation` is that of the log returns of the last `window` bars, without the first bar, shape (n - 1,). NaN before
    bar `window`.
    """
    out = np.full(close.size, np.nan)
    for t in range(window, close.size):
        spread = deviation[t - 1]
        out[t] = abs(np.log(close[t] / close[t - window])) / spread if spread > 0.0 else 0.0
    return out


@compiled
def _turbulence(deviation: NDArray[np.float64], usual: NDArray[np.float64], month: int) -> NDArray[np.float64]:
    out = np.zeros(deviation.size)
    for t in range(month, deviation.size):
        out[t] = deviation[t] / usual[t - 1] if usual[t - 1] > 0.0 else 0.0
    return out


@compiled
def median(ordered: NDArray[np.float64]) -> float:
    """Return the median of an ascending array."""
    half = ordered.size // 2
    return float(ordered[half] if ordered.size % 2 else 0.5 * (ordered[half - 1] + ordered[half]))


@compiled
def replace(ordered: NDArray[np.float64], old: float, new: float) -> None:
    """Let one value of an ascending array leave and one enter."""
    place = _first_not_below(ordered, old)
    if new > old:
        end = _first_not_below(ordered, new) - 1
        _shift_down(ordered[place : end + 1])
    else:
        end = _first_not_below(ordered, new)
        _shift_up(ordered[end : place + 1])
    ordered[end] = new


@compiled
def _shift_down(values: NDArray[np.float64]) -> None:
    # Several at once: unsigned places spare the compiler the thought of negative ones.
    for k in range(np.uint64(values.size - 1)):
        values[k] = values[k + np.uint64(1)]


@compiled
def _shift_up(values: NDArray[np.float64]) -> None:
    last = np.uint64(values.size - 1)
    for k in range(last):
        values[last - k] = values[last - k - np.uint64(1)]


@compiled
def _first_not_below(ordered: NDArray[np.float64], value: float) -> int:
    # For `np.searchsorted` numba would compile nine functions.
    place, end = 0, ordered.size
    while place < end:
        middle = (place + end) // 2
        if ordered[middle] < value:
            place = middle + 1
        else:
            end = middle
    return place


def rolling_median(x: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the median of the last `window` values, from bar `window` - 1 on, shape (n,)."""
    out = np.full(x.size, np.nan)
    if x.size >= window:
        _follow_median(x, np.sort(x[:window]), out)
    return out


@compiled
def _follow_median(x: NDArray[np.float64], ordered: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    # The window is kept sorted: one value leaves and one enters per bar.
    window = ordered.size
    for t in range(window - 1, x.size):
        if t >= window:
            replace(ordered, x[t - window], x[t])
        out[t] = median(ordered)
