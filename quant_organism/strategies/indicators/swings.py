"""Pivots of the bars before each bar, and the swing from the earlier pivot to the later one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.indicators.indicator import Indicator, Workshop, unpair
from quant_organism.strategies.store import Keys, Rows

HIGHEST_CLOSE, HIGHEST_HIGH_LOW, SWING_DETECTION = 0, 1, 2
"""How pivots are found: at extreme closes, at extreme highs and lows, or where a bar stands out among neighbours."""

_NEIGHBOURS = 3


@compiled
def pivot_age_rows(
    reach: NDArray[np.float64], close: NDArray[np.float64], periods: NDArray[np.int64], methods: NDArray[np.int64]
) -> NDArray[np.int16]:
    """Return how many bars ago the upper pivot of the previous `period` bars was; negated prices give the lower one.

    Parameters
    ----------
    reach, close
        Highs and closes, shape (n,).
    periods
        Periods in bars, shape (K,), at least seven.
    methods
        `HIGHEST_CLOSE` and `HIGHEST_HIGH_LOW` take the largest value, the most recent of equal ones;
        `SWING_DETECTION` the latest high that is above those of three bars on each side, all within the period;
        shape (K,).

    Returns
    -------
    Ages of at least 1, shape (K, n); 0 where there is no pivot, and before bar period.
    """
    rows = np.zeros((periods.size, close.size), dtype=np.int16)
    for k in range(periods.size):
        if methods[k] == SWING_DETECTION:
            _peak_ages(reach, periods[k], rows[k])
        else:
            _maximum_ages(close if methods[k] == HIGHEST_CLOSE else reach, periods[k], rows[k])
    return rows


@compiled
def _maximum_ages(x: NDArray[np.float64], period: int, ages: NDArray[np.int16]) -> None:
    # A queue of bars that may still become the largest: their values fall from the front to the back.
    queue = np.empty(x.size, dtype=np.int64)
    front = back = 0
    for t in range(1, x.size):
        while back > front and x[queue[back - 1]] <= x[t - 1]:
            back -= 1
        queue[back] = t - 1
        back += 1
        if queue[front] < t - period:
            front += 1
        if t >= period:
            ages[t] = t - queue[front]


@compiled
def _peak_ages(x: NDArray[np.float64], period: int, ages: NDArray[np.int16]) -> None:
    latest = -1
    for t in range(2 * _NEIGHBOURS + 1, x.size):
        candidate = t - _NEIGHBOURS - 1
        stands_out = True
        for distance in range(1, _NEIGHBOURS + 1):
            stands_out &= (x[candidate] > x[candidate - distance]) & (x[candidate] > x[candidate + distance])
        if stands_out:
            latest = candidate
        if t >= period and latest >= t - period + _NEIGHBOURS:
            ages[t] = t - latest


def swing_rows(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    periods: NDArray[np.int64],
    methods: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the prices at both ends of the swing between the pivots of the previous `period` bars.

    Parameters
    ----------
    high, low, close
        Prices, shape (n,).
    periods, methods
        As in `pivot_age_rows`, shape (K,).

    Returns
    -------
    Prices at the earlier and at the later pivot, shape (2, K, n); NaN where a pivot is missing, one bar is both, or
    the upper is not above the lower. A swing is upwards where its end is above its start.
    """
    upper_age = pivot_age_rows(high, close, periods, methods)
    lower_age = pivot_age_rows(-low, -close, periods, methods)
    return _swings_between(high, low, close, methods, upper_age, lower_age)


@compiled
def _swings_between(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    methods: NDArray[np.int64],
    upper_age: NDArray[np.int16],
    lower_age: NDArray[np.int16],
) -> NDArray[np.float64]:
    rows = np.full((2, methods.size, close.size), np.nan)
    for k in range(methods.size):
        upper = close if methods[k] == HIGHEST_CLOSE else high
        lower = close if methods[k] == HIGHEST_CLOSE else low
        since_upper, since_lower, start, end = upper_age[k], lower_age[k], rows[0, k], rows[1, k]
        for t in range(close.size):
            if since_upper[t] > 0 and since_lower[t] > 0 and since_upper[t] != since_lower[t]:
                top, bottom = upper[t - since_upper[t]], lower[t - since_lower[t]]
                rises = since_upper[t] < since_lower[t]
                if top > bottom:
                    start[t] = bottom if rises else top
                    end[t] = top if rises else bottom
    return rows


def _reach(bars: AssetBars, keys: Keys) -> Keys:
    return unpair(keys)[0] + 2 * (_NEIGHBOURS + 1)


def _swings(shop: Workshop, keys: Keys) -> Rows:
    # Shape (2, K, n): what both ends share.
    return swing_rows(shop.bars.high, shop.bars.low, shop.bars.close, *unpair(keys))


SWINGS = Indicator("swings", rows=_swings, reach=_reach)

SWING_START = Indicator("swing_start", rows=lambda shop, keys: shop.make(SWINGS, keys)[0], reach=_reach)

SWING_END = Indicator("swing_end", rows=lambda shop, keys: shop.make(SWINGS, keys)[1], reach=_reach)
"""Swings are keyed by period and method."""
