"""How far values lie from their mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.indicators.averages import CACHED
from quant_organism.strategies.indicators.extremes import greatest_of, pyramid_height

NO_DEVIATION = 1e-12
"""A standard deviation below this share of the mean counts as none."""


@compiled
def deviation_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return population standard deviations of the last `period` values about their mean (K, n); tiny ones are 0.

    NaN before bar period - 1. Neighbouring windows are merged pair by pair (Chan, Golub and LeVeque, 1983): nothing
    cancels, and equal values have a deviation of exactly 0.
    """
    n = x.size
    rows = np.empty((periods.size, n))
    levels = pyramid_height(greatest_of(periods))
    # Level l holds at t the mean of x[t : t + 2**l], as in `mean_rows`, and the squares about it.
    means, squares = np.empty((levels, n)), np.empty((levels, n))
    for t in range(n):
        means[0, t], squares[0, t] = x[t], 0.0
    for level in range(1, levels):
        half = 1 << (level - 1)
        mean, later_mean, out_mean = means[level - 1], means[level - 1, half:], means[level]
        spread, later_spread, out_spread = squares[level - 1], squares[level - 1, half:], squares[level]
        for t in range(n - 2 * half + 1):
            apart = later_mean[t] - mean[t]
            out_mean[t] = 0.5 * (mean[t] + later_mean[t])
            out_spread[t] = (spread[t] + later_spread[t]) + apart * apart * (0.5 * half)
    average = np.empty(CACHED)
    for k in range(periods.size):
        period = periods[k]
        first = min(period - 1, n)
        rows[k, :first] = np.nan
        for begin in range(0, n - first, CACHED):
            out = rows[k, first + begin : min(first + begin + CACHED, n)]
            out[:] = 0.0
            average[:] = 0.0
            count = 0
            for level in range(levels):
                if period >> level & 1:
                    size = 1 << level
                    part_mean, part_squares = means[level, begin + count :], squares[level, begin + count :]
                    share, common = size / (count + size), count * size / (count + size)
                    for t in range(out.size):
                        apart = part_mean[t] - average[t]
                        out[t] += part_squares[t] + apart * apart * common
                        average[t] += apart * share
                    count += size
            for t in range(out.size):
                deviation = np.sqrt(out[t] / period)
                out[t] = deviation if deviation >= NO_DEVIATION * abs(average[t]) else 0.0
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
