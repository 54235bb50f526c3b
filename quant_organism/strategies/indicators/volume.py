"""Prices weighted with volume."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.kernels.lanes import STEP, before, load, maximum, root, splat, store, where
from quant_organism.strategies.indicators.averages import last_means, mean_rows
from quant_organism.strategies.indicators.dispersion import NO_DEVIATION
from quant_organism.strategies.indicators.extremes import extreme_rows, greatest_of, pyramid_height, window_extreme
from quant_organism.strategies.indicators.indicator import AbreastWorkshop, Indicator, Workshop, one_bar_more, same_bars
from quant_organism.strategies.store import Keys, Rows


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
    rows = np.empty((2, periods.size, n))
    levels = pyramid_height(greatest_of(periods))
    # Level l holds at t the weight, the mean and the weighted squares about it of x[t : t + 2**l].
    weights, means, squares = np.empty(levels * n), np.empty(levels * n), np.zeros(levels * n)
    weights[:n], means[:n] = weight, x
    for level in range(1, levels):
        half = 1 << (level - 1)
        place, end = np.uint64(level * n), np.uint64(level * n + max(n - 2 * half + 1, 0))
        while place < end:
            inside, below = before(place, end), place - np.uint64(n)
            merged = _merged(
                _part(weights, means, squares, below, inside),
                _part(weights, means, squares, below + np.uint64(half), inside),
            )
            store(weights, place, inside, merged[0])
            store(means, place, inside, merged[1])
            store(squares, place, inside, merged[2])
            place += STEP
    out_mean, out_deviation = rows[0].reshape(periods.size * n), rows[1].reshape(periods.size * n)
    least = splat(NO_DEVIATION)
    for k in range(periods.size):
        first = min(periods[k] - 1, n)
        rows[:, k, :first] = np.nan
        out = np.uint64(k * n + first)
        place, end = np.uint64(0), np.uint64(n - first)
        while place < end:
            inside = before(place, end)
            covered = np.uint64(0)
            merged = (splat(0.0), splat(0.0), splat(0.0))
            for level in range(levels):
                if periods[k] >> level & 1:
                    part = _part(weights, means, squares, np.uint64(level * n) + covered + place, inside)
                    merged = _merged(merged, part) if covered else part
                    covered += np.uint64(1 << level)
            total, mean, square = merged
            deviation = root(square / total)
            store(out_mean, out + place, inside, mean)
            spread = where(deviation >= least * maximum(mean, splat(0.0) - mean), deviation, splat(0.0))
            store(out_deviation, out + place, inside, spread)
            place += STEP
    return rows


@compiled
def _part(
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    squares: NDArray[np.float64],
    place: np.uint64,
    inside: Any,
) -> tuple[Any, Any, Any]:
    return load(weights, place, inside, 1.0), load(means, place, inside, 0.0), load(squares, place, inside, 0.0)


@compiled
def _merged(one: tuple[Any, Any, Any], other: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """Return weight, mean and weighted squares about it of two adjoining windows together, eight bars side by side."""
    none = splat(0.0)
    weight, mean, squares = one
    other_weight, other_mean, other_squares = other
    total = weight + other_weight
    share = where(total > none, other_weight / total, none)
    apart = other_mean - mean
    return (
        total,
        where(weight > none, mean + apart * share, other_mean),
        squares + (other_squares + apart * apart * weight * share),
    )


@compiled
def last_vwaps(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    assets: NDArray[np.int64],
    ends: NDArray[np.int64],
    periods: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the last values of `vwap_rows` of each of A assets, at their typical prices, shape (A, 2, K).

    Parameters
    ----------
    high, low, close, volume
        Bars of all assets, shape (N, room).
    assets, ends
        Row of each asset, and how many bars it has, at least the longest period, shape (A,).
    periods
        As in `vwap_rows`.
    """
    rows, longest = np.empty((assets.size, 2, periods.size)), greatest_of(periods)
    means, weights, squares = np.empty(longest), np.empty(longest), np.empty(longest)
    for i in range(assets.size):
        asset, end = assets[i], ends[i]
        for k in range(periods.size):
            begin = end - periods[k]
            traded = window_extreme(volume[asset, begin:end], 1.0) > 0.0
            for t in range(periods[k]):
                means[t] = (high[asset, begin + t] + low[asset, begin + t] + close[asset, begin + t]) / 3.0
                weights[t] = volume[asset, begin + t] if traded else 1.0
                squares[t] = 0.0
            rows[i, 0, k], rows[i, 1, k] = _weighted_moments(means, weights, squares, periods[k])
    return rows


@compiled
def _weighted_moments(
    means: NDArray[np.float64], weights: NDArray[np.float64], squares: NDArray[np.float64], period: int
) -> tuple[float, float]:
    # Mean and deviation of the first `period` values, merged as in `_weighted_rows`; they are lost.
    total, mean, spread = 0.0, 0.0, 0.0
    covered = level = 0
    while period >> level:
        size = 1 << level
        if period & size:
            own_means, own_weights, own_squares, width = means[covered:], weights[covered:], squares[covered:], size
            while width > 1:
                width >>= 1
                for i in range(width):
                    one = own_weights[2 * i], own_means[2 * i], own_squares[2 * i]
                    other = own_weights[2 * i + 1], own_means[2 * i + 1], own_squares[2 * i + 1]
                    own_weights[i], own_means[i], own_squares[i] = _merged_pair(one, other)
            part = own_weights[0], own_means[0], own_squares[0]
            total, mean, spread = _merged_pair((total, mean, spread), part) if covered else part
            covered += size
        level += 1
    deviation = np.sqrt(spread / total)
    return mean, deviation if deviation >= NO_DEVIATION * max(mean, -mean) else 0.0


@compiled
def _merged_pair(one: tuple[float, float, float], other: tuple[float, float, float]) -> tuple[float, float, float]:
    # As `_merged`, of one bar.
    weight, mean, squares = one
    other_weight, other_mean, other_squares = other
    total = weight + other_weight
    share = other_weight / total if total > 0.0 else 0.0
    apart = other_mean - mean
    return (
        total,
        mean + apart * share if weight > 0.0 else other_mean,
        squares + (other_squares + apart * apart * weight * share),
    )


MEAN_VOLUME = Indicator(
    "mean_volume",
    rows=lambda shop, periods: mean_rows(shop.bars.volume, periods),
    reach=same_bars,
    last=lambda shop, periods: last_means(shop.column("volume"), shop.assets, shop.ends, periods, 0),
)

PREVIOUS_MEAN_VOLUME = Indicator(
    "previous_mean_volume",
    rows=lambda shop, periods: mean_rows(shop.bars.volume, periods, 1),
    reach=one_bar_more,
    last=lambda shop, periods: last_means(shop.column("volume"), shop.assets, shop.ends, periods, 1),
)


def _vwap_moments(shop: Workshop, periods: Keys) -> Rows:
    # Shape (2, K, n): what the mean and the deviation share.
    bars = shop.bars
    return vwap_rows(typical_price(bars.high, bars.low, bars.close), bars.volume, periods)


def _last_vwap_moments(shop: AbreastWorkshop, periods: Keys) -> Rows:
    high, low, close, volume = (shop.column(name) for name in ("high", "low", "close", "volume"))
    return last_vwaps(high, low, close, volume, shop.assets, shop.ends, periods)


VWAP_MOMENTS = Indicator("vwap_moments", rows=_vwap_moments, reach=same_bars, last=_last_vwap_moments)

VWAP = Indicator(
    "vwap",
    rows=lambda shop, periods: shop.shared(VWAP_MOMENTS, periods)[0],
    reach=same_bars,
    last=lambda shop, periods: shop.newest_of(VWAP_MOMENTS, periods)[:, 0],
)

VWAP_DEVIATION = Indicator(
    "vwap_deviation",
    rows=lambda shop, periods: shop.shared(VWAP_MOMENTS, periods)[1],
    reach=same_bars,
    last=lambda shop, periods: shop.newest_of(VWAP_MOMENTS, periods)[:, 1],
)
