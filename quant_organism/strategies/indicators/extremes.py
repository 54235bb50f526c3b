"""Highest and lowest values of windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.indicator import AbreastWorkshop, Indicator, Workshop, one_bar_more, same_bars
from quant_organism.strategies.store import Keys, Rows


@compiled
def greatest_of(numbers: NDArray[np.int64]) -> int:
    """Return the greatest of numbers from 0 up, 0 without any."""
    # For `numbers.max()` numba would compile a dozen functions.
    most = 0
    for k in range(numbers.size):
        most = max(most, numbers[k])
    return most


@compiled
def distinct(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the different ones of a few numbers, ascending, and the place of each number among them."""
    found, count = np.empty_like(numbers), 0
    for number in numbers:
        place = count
        while place > 0 and found[place - 1] >= number:
            place -= 1
        if place == count or found[place] != number:
            found[place + 1 : count + 1] = found[place:count].copy()
            found[place] = number
            count += 1
    return found[:count], np.searchsorted(found[:count], numbers)


@compiled
def pyramid_height(longest: int) -> int:
    """Return how many levels of windows of power-of-two length a window of `longest` bars needs."""
    levels = 1
    while 1 << levels <= longest:
        levels += 1
    return levels


def maximum_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lag: int = 0) -> NDArray[np.float64]:
    """Return the largest of `period` values up to `lag` bars ago, shape (K, n); NaN before bar period - 1 + lag."""
    return extreme_rows(x, periods, lag, 1.0)


def minimum_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lag: int = 0) -> NDArray[np.float64]:
    """Return the smallest of `period` values up to `lag` bars ago, shape (K, n); NaN before bar period - 1 + lag."""
    return extreme_rows(x, periods, lag, -1.0)


@compiled
def extreme_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lag: int, sign: float) -> NDArray[np.float64]:
    """Return the rows of `maximum_rows` for the sign 1, those of `minimum_rows` for -1."""
    n = x.size
    rows = np.empty((periods.size, n))
    # Level l holds at t the extreme of x[t : t + 2**l], times the sign; the level below is kept beside it.
    pyramid = np.empty((2, n))
    for t in range(n):
        pyramid[0, t] = sign * x[t]
    for level in range(pyramid_height(greatest_of(periods))):
        if level:
            half = 1 << (level - 1)
            below, later, out = pyramid[(level - 1) & 1], pyramid[(level - 1) & 1, half:], pyramid[level & 1]
            for t in range(n - 2 * half + 1):
                out[t] = below[t] if below[t] > later[t] else later[t]
        for k in range(periods.size):
            if pyramid_height(periods[k]) == level + 1:
                first = min(periods[k] - 1 + lag, n)
                rows[k, :first] = np.nan
                head, tail, row = pyramid[level & 1], pyramid[level & 1, periods[k] - (1 << level) :], rows[k, first:]
                for t in range(row.size):
                    row[t] = sign * (head[t] if head[t] > tail[t] else tail[t])
    return rows


@compiled
def last_extremes(
    x: NDArray[np.float64],
    assets: NDArray[np.int64],
    ends: NDArray[np.int64],
    periods: NDArray[np.int64],
    lag: int,
    sign: float,
) -> NDArray[np.float64]:
    """Return the last values of `extreme_rows` of each of A assets, shape (A, K).

    Parameters
    ----------
    x
        Values of all assets, shape (N, room).
    assets, ends
        Row of each asset in `x`, and how many of its values there are, at least the longest window, shape (A,).
    periods, lag, sign
        As in `extreme_rows`.
    """
    rows = np.empty((assets.size, periods.size))
    for i in range(assets.size):
        values, end = x[assets[i]], ends[i] - lag
        for k in range(periods.size):
            rows[i, k] = window_extreme(values[end - periods[k] : end], sign)
    return rows


@compiled
def window_extreme(window: NDArray[np.float64], sign: float) -> float:
    """Return the largest of some values for the sign 1, the smallest for -1."""
    most: float = sign * window[0]
    for t in range(1, window.size):
        most = max(most, sign * window[t])
    return sign * most


def breakout_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return 1 above all of the `period` values before, -1 below all of them, else 0; shape (K, n)."""
    return _sides_of_range(x, maximum_rows(x, periods, 1), minimum_rows(x, periods, 1))


@compiled
def _sides_of_range(
    x: NDArray[np.float64], highest: NDArray[np.float64], lowest: NDArray[np.float64]
) -> NDArray[np.int8]:
    rows = np.empty(highest.shape, dtype=np.int8)
    for k in range(highest.shape[0]):
        for t in range(x.size):
            rows[k, t] = (1 if x[t] > highest[k, t] else 0) - (1 if x[t] < lowest[k, t] else 0)
    return rows


@compiled
def midrange_rows(highest: NDArray[np.float64], lowest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the middle between the highest high and the lowest low of each window, shape (K, n)."""
    rows = np.empty_like(highest)
    for k in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            rows[k, t] = (highest[k, t] + lowest[k, t]) / 2.0
    return rows


def _last(shop: AbreastWorkshop, name: str, periods: Keys, lag: int, sign: float) -> Rows:
    return last_extremes(shop.column(name), shop.assets, shop.ends, periods, lag, sign)


HIGHEST_HIGH = Indicator(
    "highest_high",
    rows=lambda shop, periods: maximum_rows(shop.bars.high, periods),
    reach=same_bars,
    last=lambda shop, periods: _last(shop, "high", periods, 0, 1.0),
)

LOWEST_LOW = Indicator(
    "lowest_low",
    rows=lambda shop, periods: minimum_rows(shop.bars.low, periods),
    reach=same_bars,
    last=lambda shop, periods: _last(shop, "low", periods, 0, -1.0),
)

PREVIOUS_HIGH = Indicator(
    "previous_high",
    rows=lambda shop, periods: maximum_rows(shop.bars.high, periods, 1),
    reach=one_bar_more,
    last=lambda shop, periods: _last(shop, "high", periods, 1, 1.0),
)

PREVIOUS_LOW = Indicator(
    "previous_low",
    rows=lambda shop, periods: minimum_rows(shop.bars.low, periods, 1),
    reach=one_bar_more,
    last=lambda shop, periods: _last(shop, "low", periods, 1, -1.0),
)


def _midrange(shop: Workshop, periods: Keys) -> Rows:
    return midrange_rows(shop.make(HIGHEST_HIGH, periods), shop.make(LOWEST_LOW, periods))


def _last_midrange(shop: AbreastWorkshop, periods: Keys) -> Rows:
    return midrange_rows(shop.newest_of(HIGHEST_HIGH, periods), shop.newest_of(LOWEST_LOW, periods))


MIDRANGE = Indicator("midrange", rows=_midrange, reach=same_bars, last=_last_midrange)


def _last_breakout(shop: AbreastWorkshop, periods: Keys) -> Rows:
    highest, lowest = (_last(shop, "close", periods, 1, sign) for sign in (1.0, -1.0))
    return _sides_of_range(shop.last("close"), highest.T.copy(), lowest.T.copy()).T


CLOSE_BREAKOUT = Indicator(
    "close_breakout",
    rows=lambda shop, periods: breakout_rows(shop.bars.close, periods),
    reach=one_bar_more,
    last=_last_breakout,
)
