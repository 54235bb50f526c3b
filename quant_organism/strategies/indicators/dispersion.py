"""How far values lie from their mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.indicators.averages import CACHED

NO_DEVIATION = 1e-12
"""A standard deviation below this share of the mean counts as none."""


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
        for begin in range(0, row.size, CACHED):
            # Window by window through a stretch that stays in the cache, one age of the window at a time.
            squares, centre = row[begin : begin + CACHED], average[begin : begin + CACHED]
            for age in range(period):
                aged = x[begin + age :]
                for t in range(squares.size):
                    away = aged[t] - centre[t]
                    squares[t] += away * away
        for t in range(row.size):
            deviation = np.sqrt(row[t] / period)
            row[t] = deviation if deviation >= NO_DEVIATION * abs(average[t]) else 0.0
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
