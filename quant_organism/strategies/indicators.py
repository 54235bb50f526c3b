"""Indicators over the valid bars of one asset: one row per period, every row causal.

Sums and extremes over windows are combined from windows of power-of-two length, so that a value depends on the bars
of its own window only: no running sum drifts, and a longer history changes no bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled

BULLISH, BEARISH = 1, 2
"""Bits of a divergence between price and an index."""

_NO_DEVIATION = 1e-12
"""A standard deviation below this share of the mean counts as none."""

_CACHED = 1024
"""Bars worked on at a time where a loop runs over the same bars repeatedly."""


@compiled
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


@compiled
def rate_of_change_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return x[t] / x[t - period] - 1, shape (K, n); NaN before bar period."""
    rows = np.full((periods.size, x.size), np.nan)
    for k in range(periods.size):
        row = rows[k, periods[k] :]
        later = x[periods[k] :]
        for t in range(row.size):
            row[t] = later[t] / x[t] - 1.0
    return rows


@compiled
def _levels(longest: int) -> int:
    levels = 1
    while 1 << levels <= longest:
        levels += 1
    return levels


@compiled
def maximum_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lag: int = 0) -> NDArray[np.float64]:
    """Return the largest of `period` values up to `lag` bars ago, shape (K, n); NaN before bar period - 1 + lag."""
    return _extreme_rows(x, periods, lag, 1.0)


@compiled
def minimum_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lag: int = 0) -> NDArray[np.float64]:
    """Return the smallest of `period` values up to `lag` bars ago, shape (K, n); NaN before bar period - 1 + lag."""
    return _extreme_rows(x, periods, lag, -1.0)


@compiled
def _extreme_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lag: int, sign: float) -> NDArray[np.float64]:
    n = x.size
    rows = np.empty((periods.size, n))
    levels = _levels(periods.max()) if periods.size else 1
    # Level l holds at t the extreme of x[t : t + 2**l], times the sign.
    pyramid = np.empty((levels, n))
    for t in range(n):
        pyramid[0, t] = sign * x[t]
    for level in range(1, levels):
        half = 1 << (level - 1)
        below, later, out = pyramid[level - 1], pyramid[level - 1, half:], pyramid[level]
        for t in range(n - 2 * half + 1):
            out[t] = below[t] if below[t] > later[t] else later[t]
    for k in range(periods.size):
        first = min(periods[k] - 1 + lag, n)
        rows[k, :first] = np.nan
        level = _levels(periods[k]) - 1
        head, tail, row = pyramid[level], pyramid[level, periods[k] - (1 << level) :], rows[k, first:]
        for t in range(row.size):
            row[t] = sign * (head[t] if head[t] > tail[t] else tail[t])
    return rows


@compiled
def mean_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lag: int = 0) -> NDArray[np.float64]:
    """Return the mean of `period` values up to `lag` bars ago, shape (K, n); NaN before bar period - 1 + lag."""
    n = x.size
    rows = np.empty((periods.size, n))
    levels = _levels(periods.max()) if periods.size else 1
    # Level l holds at t the sum of x[t : t + 2**l].
    pyramid = np.empty((levels, n))
    pyramid[0] = x
    for level in range(1, levels):
        half = 1 << (level - 1)
        below, later, out = pyramid[level - 1], pyramid[level - 1, half:], pyramid[level]
        for t in range(n - 2 * half + 1):
            out[t] = below[t] + later[t]
    for k in range(periods.size):
        period = periods[k]
        first = min(period - 1 + lag, n)
        rows[k, :first] = np.nan
        row = rows[k, first:]
        row[:] = 0.0
        shift = 0
        for level in range(levels):
            if period >> level & 1:
                part = pyramid[level, shift:]
                for t in range(row.size):
                    row[t] += part[t]
                shift += 1 << level
        for t in range(row.size):
            row[t] /= period
    return rows


@compiled
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


@compiled
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
        index_low = minimum_rows(index, periods[k : k + 1])[0, p - 1 :]
        index_high = maximum_rows(index, periods[k : k + 1])[0, p - 1 :]
        index_low_now, index_high_now = index_low[p:], index_high[p:]
        low, high = lows[k, 2 * p - 1 :], highs[k, 2 * p - 1 :]
        low_now, high_now = low[p:], high[p:]
        row = rows[k, 3 * p - 1 :]
        for t in range(row.size):
            bullish = (low_now[t] < low[t]) & (index_low_now[t] > index_low[t])
            bearish = (high_now[t] > high[t]) & (index_high_now[t] < index_high[t])
            row[t] = (BULLISH if bullish else 0) | (BEARISH if bearish else 0)
    return rows


@compiled
def deviation_rows(
    x: NDArray[np.float64], mean: NDArray[np.float64], periods: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return population standard deviations of the last `period` values about `mean` (K, n); tiny ones are 0."""
    rows = np.full((periods.size, x.size), np.nan)
    for k in range(periods.size):
        period = periods[k]
        row, average = rows[k, period - 1 :], mean[k, period - 1 :]
        row[:] = 0.0
        for begin in range(0, row.size, _CACHED):
            # Window by window through a stretch that stays in the cache, one age of the window at a time.
            squares, centre = row[begin : begin + _CACHED], average[begin : begin + _CACHED]
            for age in range(period):
                aged = x[begin + age :]
                for t in range(squares.size):
                    away = aged[t] - centre[t]
                    squares[t] += away * away
        for t in range(row.size):
            deviation = np.sqrt(row[t] / period)
            row[t] = deviation if deviation >= _NO_DEVIATION * abs(average[t]) else 0.0
    return rows


@compiled
def z_score_rows(
    x: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distance of each value from its window's mean in standard deviations; 0 where there is none."""
    rows = np.empty_like(mean)
    for k in range(rows.shape[0]):
        for t in range(x.size):
            rows[k, t] = 0.0 if deviation[k, t] == 0.0 else (x[t] - mean[k, t]) / deviation[k, t]
    return rows


@compiled
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
            past = bandwidth[t - window : t]
            latest = past[window - 1]
            below = 0
            for i in range(past.size):
                below += 1 if past[i] < latest else 0
            rows[k, t] = below
    return rows
