"""How far values lie from their mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.kernels.lanes import STEP, before, load, maximum, root, splat, store, where
from quant_organism.strategies.indicators.averages import SMA
from quant_organism.strategies.indicators.extremes import greatest_of, pyramid_height
from quant_organism.strategies.indicators.indicator import AbreastWorkshop, Indicator, Workshop, same_bars
from quant_organism.strategies.store import Keys, Rows

NO_DEVIATION = 1e-12
"""A standard deviation below this share of the mean counts as none."""


@compiled
def deviation_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lead: int) -> NDArray[np.float64]:
    """Return population standard deviations of the last `period` values about their mean; tiny ones are 0.

    Neighbouring windows are merged pair by pair (Chan, Golub and LeVeque, 1983): nothing cancels, and equal values
    have a deviation of exactly 0.

    Parameters
    ----------
    x
        Values, shape (n,).
    periods
        Periods in bars, shape (K,).
    lead
        Bars that stand before those of `x` and have no value.

    Returns
    -------
    Shape (K, lead + n); NaN before bar lead + period - 1.
    """
    n = x.size
    rows = np.empty((periods.size, lead + n))
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
    all_means, all_squares, out = means.reshape(levels * n), squares.reshape(levels * n), rows.reshape(rows.size)
    none, least = splat(0.0), splat(NO_DEVIATION)
    starts, shares, commons = np.empty(levels, dtype=np.uint64), np.empty(levels), np.empty(levels)
    for k in range(periods.size):
        period = periods[k]
        parts = count = 0
        for level in range(levels):
            if period >> level & 1:
                size = 1 << level
                starts[parts] = level * n + count
                shares[parts], commons[parts] = size / (count + size), count * size / (count + size)
                count, parts = count + size, parts + 1
        first = min(period - 1, n)
        rows[k, : lead + first] = np.nan
        begin = np.uint64(k * (lead + n) + lead + first)
        place, end = np.uint64(0), np.uint64(n - first)
        while place < end:
            inside = before(place, end)
            spread, average = none, none
            for i in range(parts):
                start = place + starts[i]
                apart = load(all_means, start, inside, 0.0) - average
                spread += load(all_squares, start, inside, 0.0) + apart * apart * splat(commons[i])
                average += apart * splat(shares[i])
            deviation = root(spread / splat(float(period)))
            deviation = where(deviation >= least * maximum(average, none - average), deviation, none)
            store(out, begin + place, inside, deviation)
            place += STEP
    return rows


@compiled
def window_deviation(window: NDArray[np.float64], squares: NDArray[np.float64]) -> float:
    """Return the deviation of all of some values, at least one, as `deviation_rows` has it.

    Parameters
    ----------
    window
        The values, shape (n,); lost.
    squares
        Room to work in, shape (n,).
    """
    squares[:] = 0.0
    spread = average = 0.0
    count = level = 0
    while window.size >> level:
        size = 1 << level
        if window.size & size:
            means, spreads, half = window[count:], squares[count:], 1
            while half < size:
                for i in range(size // (2 * half)):
                    apart = means[2 * i + 1] - means[2 * i]
                    means[i] = 0.5 * (means[2 * i] + means[2 * i + 1])
                    spreads[i] = (spreads[2 * i] + spreads[2 * i + 1]) + apart * apart * (0.5 * half)
                half *= 2
            share, common = size / (count + size), count * size / (count + size)
            apart = means[0] - average
            spread += spreads[0] + apart * apart * common
            average += apart * share
            count += size
        level += 1
    deviation = np.sqrt(spread / float(window.size))
    return deviation if deviation >= NO_DEVIATION * max(average, -average) else 0.0


@compiled
def last_deviations(
    x: NDArray[np.float64], assets: NDArray[np.int64], ends: NDArray[np.int64], periods: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the last values of `deviation_rows` of each of A assets, shape (A, K).

    Parameters
    ----------
    x
        Values of all assets, shape (N, room).
    assets, ends
        Row of each asset in `x`, and how many of its values there are, at least the longest window, shape (A,).
    periods
        As in `deviation_rows`.
    """
    longest = greatest_of(periods)
    rows, scratch, squares = np.empty((assets.size, periods.size)), np.empty(longest), np.empty(longest)
    for i in range(assets.size):
        values, end = x[assets[i]], ends[i]
        for k in range(periods.size):
            window = scratch[: periods[k]]
            window[:] = values[end - periods[k] : end]
            rows[i, k] = window_deviation(window, squares[: periods[k]])
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
def bandwidth_rank_rows(bandwidths: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.int16]:
    """Return, for each bar, how narrow the Bollinger bands of the bar before were.

    Parameters
    ----------
    bandwidths
        Deviation over mean of each period, shape (K, n).
    periods
        Periods in bars, shape (K,).

    Returns
    -------
    Shape (K, n): the number of the previous 5 period bandwidths, the bar before included, that are strictly below
    that of the bar before; 0 before bar 6 period - 1. The band's multiplier cancels out of the comparison.
    """
    n = bandwidths.shape[1]
    rows = np.zeros((periods.size, n), dtype=np.int16)
    for k in range(periods.size):
        window = 5 * periods[k]
        for t in range(window + periods[k] - 1, n):
            rows[k, t] = _count_below_last(bandwidths[k, t - window : t])
    return rows


@compiled
def last_bandwidth_ranks(
    bandwidths: NDArray[np.float64], assets: NDArray[np.int64], ends: NDArray[np.int64], period: int
) -> NDArray[np.int16]:
    """Return the last value of `bandwidth_rank_rows` of each of A assets, shape (A,).

    Parameters
    ----------
    bandwidths
        Of all assets and one period, shape (N, room).
    assets, ends
        Row of each asset, and how many bars it has, more than six periods, shape (A,).
    period
        In bars.
    """
    ranks = np.empty(assets.size, dtype=np.int16)
    for i in range(assets.size):
        last = ends[i] - 1
        ranks[i] = _count_below_last(bandwidths[assets[i], last - 5 * period : last])
    return ranks


@compiled
def _count_below_last(values: NDArray[np.float64]) -> int:
    latest, below = values[values.size - 1], 0
    for i in range(values.size):
        below += 1 if values[i] < latest else 0
    return below


DEVIATION = Indicator(
    "deviation",
    rows=lambda shop, periods: deviation_rows(shop.bars.close, periods, 0),
    reach=same_bars,
    last=lambda shop, periods: last_deviations(shop.column("close"), shop.assets, shop.ends, periods),
)


def _z_score(shop: Workshop, periods: Keys) -> Rows:
    return z_score_rows(shop.bars.close, shop.make(SMA, periods), shop.make(DEVIATION, periods))


def _last_z_score(shop: AbreastWorkshop, periods: Keys) -> Rows:
    mean, deviation = shop.newest_of(SMA, periods), shop.newest_of(DEVIATION, periods)
    return z_score_rows(shop.last("close"), mean.T.copy(), deviation.T.copy()).T


Z_SCORE = Indicator("z_score", rows=_z_score, reach=same_bars, last=_last_z_score)


BANDWIDTH = Indicator(
    "bandwidth",
    rows=lambda shop, periods: shop.make(DEVIATION, periods) / shop.make(SMA, periods),
    reach=same_bars,
    last=lambda shop, periods: shop.newest_of(DEVIATION, periods) / shop.newest_of(SMA, periods),
    is_kept=True,
)


def _last_bandwidth_rank(shop: AbreastWorkshop, periods: Keys) -> Rows:
    bandwidths = shop.grown(BANDWIDTH, periods)
    columns = [
        last_bandwidth_ranks(bandwidths.row(k), shop.assets, shop.ends, period)
        for k, period in enumerate(periods.tolist())
    ]
    return np.stack(columns, axis=1)


BANDWIDTH_RANK = Indicator(
    "bandwidth_rank",
    rows=lambda shop, periods: bandwidth_rank_rows(shop.make(BANDWIDTH, periods), periods),
    reach=lambda bars, periods: 6 * periods + 1,
    last=_last_bandwidth_rank,
)
