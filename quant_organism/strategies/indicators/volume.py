"""Prices weighted with volume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.indicators.averages import CACHED
from quant_organism.strategies.indicators.dispersion import NO_DEVIATION
from quant_organism.strategies.indicators.extremes import extreme_rows, greatest_of, pyramid_height


@compiled
def typical_price(
    high: NDArray[np.float64], low: NDArray[np.float64], close: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of high, low and close of each bar, shape (n,)."""
    price = np.empty(close.size)
    for t in range(close.size):
        price[t] = (high[t] + low[t] + close[t]) / 3.0
    return price


@compiled
def vwap_rows(
    price: NDArray[np.float64], volume: NDArray[np.float64], periods: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return volume-weighted means and standard deviations of the last `period` prices.

    Parameters
    ----------
    price, volume
        Typical price and volume of each bar, each of shape (n,).
    periods
        Periods in bars, shape (K,).

    Returns
    -------
    Shape (2, K, n): the mean, and the deviation about it (tiny ones are 0); NaN before bar period - 1. Windows
    without volume weigh their bars equally.
    """
    rows = _weighted_rows(price, volume, periods)
    if np.any(volume == 0.0):
        equal, most = _weighted_rows(price, np.ones(volume.size), periods), extreme_rows(volume, periods, 0, 1.0)
        for k in range(periods.size):
            for t in range(volume.size):
                if most[k, t] == 0.0:
                    rows[:, k, t] = equal[:, k, t]
    return rows


@compiled
def _weighted_rows(
    x: NDArray[np.float64], weight: NDArray[np.float64], periods: NDArray[np.int64]
) -> NDArray[np.float64]:
    # Neighbouring windows are merged pair by pair (Chan, Golub and LeVeque, 1983): nothing cancels, and equal values
    # have a deviation of exactly 0.
    n = x.size
    rows = np.full((2, periods.size, n), np.nan)
    levels = pyramid_height(greatest_of(periods))
    # Level l holds at t the weight, the mean and the weighted squares about it of x[t : t + 2**l].
    pyramid = np.zeros((levels, 3, n))
    for t in range(n):
        pyramid[0, 0, t], pyramid[0, 1, t] = weight[t], x[t]
    for level in range(1, levels):
        half = 1 << (level - 1)
        size = max(n - 2 * half + 1, 0)
        # Merged with nothing, a window stays what it is.
        _merge(pyramid[level, :, :size], pyramid[level - 1, :, :size])
        _merge(pyramid[level, :, :size], pyramid[level - 1, :, half : half + size])
    merged = np.empty((3, CACHED))
    for k in range(periods.size):
        period = periods[k]
        first = min(period - 1, n)
        for begin in range(0, n - first, CACHED):
            out_mean = rows[0, k, first + begin : min(first + begin + CACHED, n)]
            out_deviation = rows[1, k, first + begin : min(first + begin + CACHED, n)]
            window = merged[:, : out_mean.size]
            window[:] = 0.0
            age = begin
            for level in range(levels):
                if period >> level & 1:
                    _merge(window, pyramid[level, :, age : age + out_mean.size])
                    age += 1 << level
            total, mean, squares = window[0], window[1], window[2]
            for t in range(out_mean.size):
                deviation = np.sqrt(squares[t] / total[t])
                out_mean[t] = mean[t]
                out_deviation[t] = deviation if deviation >= NO_DEVIATION * abs(mean[t]) else 0.0
    return rows


@compiled
def _merge(into: NDArray[np.float64], other: NDArray[np.float64]) -> None:
    weight, mean, squares = into[0], into[1], into[2]
    other_weight, other_mean, other_squares = other[0], other[1], other[2]
    for t in range(weight.size):
        total = weight[t] + other_weight[t]
        share = other_weight[t] / total if total > 0.0 else 0.0
        apart = other_mean[t] - mean[t]
        squares[t] += other_squares[t] + apart * apart * weight[t] * share
        mean[t] = mean[t] + apart * share if weight[t] > 0.0 else other_mean[t]
        weight[t] = total
