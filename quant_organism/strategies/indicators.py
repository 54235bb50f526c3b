"""Indicators over the valid bars of one asset: one row per period, every row causal.

Sums and extremes over windows are combined from windows of power-of-two length, so that a value depends on the bars
of its own window only: no running sum drifts, and a longer history changes no bit.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

BULLISH, BEARISH = 1, 2
"""Bits of a divergence between price and an index."""

_NO_DEVIATION = 1e-12
"""A standard deviation below this share of the mean counts as none."""


@numba.njit(nogil=True, cache=True)
def ema_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return exponential moving averages with weight 2/(period + 1), seeded with the mean of the first values.

    Parameters
    ----------
    x
        Values, shape (n,).
    periods
        Periods in bars, shape (K,).

    Returns
    -------
    Averages, shape (K, n); NaN before bar period - 1.
    """
    count, n = periods.size, x.size
    rows = np.full((count, n), np.nan)
    weight = 2.0 / (periods + 1.0)
    average = np.zeros(count)
    for t in range(n):
        for k in range(count):
            average[k] += weight[k] * (x[t] - average[k])
        for k in range(count):
            if t >= periods[k]:
                rows[k, t] = average[k]
            elif t == periods[k] - 1:
                average[k] = np.mean(x[: periods[k]])
                rows[k, t] = average[k]
    return rows


@numba.njit(nogil=True, cache=True)
def rate_of_change_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return x[t] / x[t - period] - 1, shape (K, n); NaN before bar period."""
    rows = np.full((periods.size, x.size), np.nan)
    for k in range(periods.size):
        period = periods[k]
        for t in range(period, x.size):
            rows[k, t] = x[t] / x[t - period] - 1.0
    return rows


@numba.njit(nogil=True, cache=True)
def _levels(longest: int) -> int:
    levels = 1
    while 1 << levels <= longest:
        levels += 1
    return levels


@numba.njit(nogil=True, cache=True)
def maximum_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the largest of the last `period` values, current included, shape (K, n); NaN before bar period - 1."""
    n = x.size
    rows = np.full((periods.size, n), np.nan)
    if periods.size == 0:
        return rows
    levels = _levels(periods.max())
    pyramid = np.empty((levels, n))
    pyramid[0] = x
    for level in range(1, levels):
        half = 1 << (level - 1)
        for t in range(2 * half - 1, n):
            pyramid[level, t] = max(pyramid[level - 1, t], pyramid[level - 1, t - half])
    for k in range(periods.size):
        level = _levels(periods[k]) - 1
        shift = periods[k] - (1 << level)
        for t in range(periods[k] - 1, n):
            rows[k, t] = max(pyramid[level, t], pyramid[level, t - shift])
    return rows


@numba.njit(nogil=True, cache=True)
def minimum_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the smallest of the last `period` values, current included, shape (K, n); NaN before bar period - 1."""
    return -maximum_rows(-x, periods)


@numba.njit(nogil=True, cache=True)
def mean_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of the last `period` values, current included, shape (K, n); NaN before bar period - 1."""
    n = x.size
    rows = np.full((periods.size, n), np.nan)
    if periods.size == 0:
        return rows
    levels = _levels(periods.max())
    pyramid = np.empty((levels, n))
    pyramid[0] = x
    for level in range(1, levels):
        half = 1 << (level - 1)
        for t in range(2 * half - 1, n):
            pyramid[level, t] = pyramid[level - 1, t] + pyramid[level - 1, t - half]
    for k in range(periods.size):
        period = periods[k]
        for t in range(period - 1, n):
            rows[k, t] = 0.0
        shift = 0
        for level in range(levels):
            if period >> level & 1:
                for t in range(period - 1, n):
                    rows[k, t] += pyramid[level, t - shift]
                shift += 1 << level
        for t in range(period - 1, n):
            rows[k, t] /= period
    return rows


@numba.njit(nogil=True, cache=True)
def previous_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows one bar later, so that each value judges the bars before its own."""
    later = np.empty_like(rows)
    later[:, :1] = np.nan
    later[:, 1:] = rows[:, :-1]
    return later


@numba.njit(nogil=True, cache=True)
def rsi_rows(close: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Wilder's relative strength index, shape (K, n); 50 without any change, NaN before bar period.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    count, n = periods.size, close.size
    rows = np.full((count, n), np.nan)
    gain = np.zeros(count)
    loss = np.zeros(count)
    for t in range(1, n):
        change = close[t] - close[t - 1]
        up = max(change, 0.0)
        down = max(-change, 0.0)
        for k in range(count):
            if t <= periods[k]:
                gain[k] += up
                loss[k] += down
                if t == periods[k]:
                    gain[k] /= periods[k]
                    loss[k] /= periods[k]
            else:
                gain[k] += (up - gain[k]) / periods[k]
                loss[k] += (down - loss[k]) / periods[k]
        for k in range(count):
            if t >= periods[k]:
                total = gain[k] + loss[k]
                rows[k, t] = 100.0 * gain[k] / total if total > 0.0 else 50.0
    return rows


@numba.njit(nogil=True, cache=True)
def divergence_rows(
    x: NDArray[np.float64], index_rows: NDArray[np.float64], periods: NDArray[np.int64]
) -> NDArray[np.int8]:
    """Return the divergences between a price and an index over two adjoining windows of each period.

    Parameters
    ----------
    x
        Prices, shape (n,).
    index_rows
        The index of each period, shape (K, n), NaN before bar period.
    periods
        Periods in bars, shape (K,).

    Returns
    -------
    Shape (K, n): bit `BULLISH` where price made a lower low and the index a higher low, bit `BEARISH` where price
    made a higher high and the index a lower high; 0 before bar 3 period - 1.
    """
    n = x.size
    rows = np.zeros((periods.size, n), dtype=np.int8)
    lows = minimum_rows(x, periods)
    highs = maximum_rows(x, periods)
    for k in range(periods.size):
        p = periods[k]
        if n < 3 * p:
            continue
        index = index_rows[k, p:]
        index_lows = minimum_rows(index, periods[k : k + 1])[0]
        index_highs = maximum_rows(index, periods[k : k + 1])[0]
        for t in range(3 * p - 1, n):
            bullish = (lows[k, t] < lows[k, t - p]) & (index_lows[t - p] > index_lows[t - 2 * p])
            bearish = (highs[k, t] > highs[k, t - p]) & (index_highs[t - p] < index_highs[t - 2 * p])
            rows[k, t] = (BULLISH if bullish else 0) | (BEARISH if bearish else 0)
    return rows


@numba.njit(nogil=True, cache=True)
def deviation_rows(
    x: NDArray[np.float64], mean: NDArray[np.float64], periods: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return population standard deviations of the last `period` values about `mean` (K, n); tiny ones are 0."""
    n = x.size
    rows = np.full((periods.size, n), np.nan)
    for k in range(periods.size):
        period = periods[k]
        row = rows[k]
        for t in range(period - 1, n):
            row[t] = 0.0
        for block in range(period - 1, n, 1024):
            end = min(block + 1024, n)
            for i in range(period):
                for t in range(block, end):
                    away = x[t - i] - mean[k, t]
                    row[t] += away * away
        for t in range(period - 1, n):
            deviation = np.sqrt(row[t] / period)
            row[t] = deviation if deviation >= _NO_DEVIATION * abs(mean[k, t]) else 0.0
    return rows


@numba.njit(nogil=True, cache=True)
def z_score_rows(
    x: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distance of each value from its window's mean in standard deviations; 0 where there is none."""
    rows = np.empty_like(mean)
    for k in range(rows.shape[0]):
        for t in range(x.size):
            rows[k, t] = 0.0 if deviation[k, t] == 0.0 else (x[t] - mean[k, t]) / deviation[k, t]
    return rows


@numba.njit(nogil=True, cache=True)
def bandwidth_rank_rows(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], periods: NDArray[np.int64]
) -> NDArray[np.int16]:
    """Return, for each bar, how narrow the Bollinger bands of the bar before were.

    Returns
    -------
    Shape (K, n): the number of the previous 5 period bandwidths, the bar before included, that are strictly below
    that of the bar before; 0 before bar 6 period - 1. The band's multiplier cancels out of the comparison.
    """
    n = mean.shape[1]
    rows = np.zeros((periods.size, n), dtype=np.int16)
    bandwidth = np.empty(n)
    for k in range(periods.size):
        for t in range(n):
            bandwidth[t] = deviation[k, t] / mean[k, t]
        window = 5 * periods[k]
        for t in range(window + periods[k] - 1, n):
            latest = bandwidth[t - 1]
            below = 0
            for i in range(t - window, t):
                below += bandwidth[i] < latest
            rows[k, t] = below
    return rows
