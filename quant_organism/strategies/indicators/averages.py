"""Averages and rates of change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.kernels.lanes import STEP, before, load, splat, store
from quant_organism.strategies.bars import bars_of
from quant_organism.strategies.indicators.extremes import greatest_of, pyramid_height
from quant_organism.strategies.indicators.indicator import (
    AbreastWorkshop,
    HistoryWorkshop,
    Indicator,
    Onward,
    Workshop,
    last_bar,
    one_bar_more,
    same_bars,
    unpair,
)
from quant_organism.strategies.store import Keys, Rows

GAUSSIAN, EPANECHNIKOV = 0, 1
"""Kernels of a regression."""


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
    rows: NDArray[np.float64] = ema_onward(x, 0, periods, np.zeros(periods.size))
    return rows


@compiled
def ema_onward(
    x: NDArray[np.float64], begin: int, periods: NDArray[np.int64], average: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the averages of `ema_rows` on the bars from `begin` on, shape (K, n).

    Parameters
    ----------
    x
        Values from bar `begin` on, shape (n,).
    begin
        Number of the first of them.
    periods
        As in `ema_rows`.
    average
        What the bars before have left, zeros before the first; moved on, shape (K,).
    """
    count, n = periods.size, x.size
    rows = np.full((count, n), np.nan)
    weight = 2.0 / (periods + 1.0)
    # As long as one of them is being seeded, each is asked how far it is.
    seeding = min(max(greatest_of(periods) - begin, 0), n)
    for i in range(seeding):
        t = begin + i
        for k in range(count):
            if t >= periods[k]:
                average[k] += weight[k] * (x[i] - average[k])
            else:
                average[k] += x[i]
                if t == periods[k] - 1:
                    average[k] /= periods[k]
            if t >= periods[k] - 1:
                rows[k, i] = average[k]
    for i in range(seeding, n):
        for k in range(count):
            average[k] += weight[k] * (x[i] - average[k])
        for k in range(count):
            rows[k, i] = average[k]
    return rows


@compiled
def ema_abreast(
    x: NDArray[np.float64],
    begins: NDArray[np.int64],
    assets: NDArray[np.int64],
    periods: NDArray[np.int64],
    averages: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the averages of `ema_rows` at one more bar of each of A assets, shape (A, K).

    Parameters
    ----------
    x
        Value at that bar, shape (A,).
    begins
        Number of that bar, shape (A,).
    assets
        Row of each asset in `averages`, shape (A,).
    periods
        As in `ema_rows`.
    averages
        As in `ema_onward`, of all assets; moved on, shape (N, K).
    """
    rows = np.empty((assets.size, periods.size))
    for i in range(assets.size):
        rows[i] = ema_onward(x[i : i + 1], begins[i], periods, averages[assets[i]])[:, 0]
    return rows


def ema_of_rows(x: NDArray[np.float64], first: NDArray[np.int64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the exponential moving average of each row of another indicator over a period of its own.

    Parameters
    ----------
    x
        Rows of the other indicator, shape (K, n).
    first
        First bar on which each of them has a value, shape (K,).
    periods
        Periods in bars, shape (K,).

    Returns
    -------
    Averages, shape (K, n); NaN before bar first + period - 1.
    """
    rows = np.full(x.shape, np.nan)
    for k in range(periods.size):
        begin = min(first[k], x.shape[1])
        rows[k, begin:] = ema_rows(x[k, begin:], periods[k : k + 1])[0]
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


def mean_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lag: int = 0) -> NDArray[np.float64]:
    """Return the mean of `period` values up to `lag` bars ago, shape (K, n); NaN before bar period - 1 + lag.

    The mean of equal values is that value to the last bit, so that a price at rest crosses none of its averages.
    """
    # A kernel would be compiled once with the default and once without.
    rows: NDArray[np.float64] = lagged_mean_rows(x, periods, lag)
    return rows


@compiled
def lagged_mean_rows(x: NDArray[np.float64], periods: NDArray[np.int64], lag: int) -> NDArray[np.float64]:
    """Return the rows of `mean_rows`, for other kernels."""
    rows = np.empty((periods.size, x.size))
    write_means(x, periods, lag, rows, 0)
    return rows


@compiled
def write_means(
    x: NDArray[np.float64], periods: NDArray[np.int64], lag: int, rows: NDArray[np.float64], lead: int
) -> None:
    """Write the rows of `mean_rows` into others, shape (K, lead + n), behind `lead` bars that have no value."""
    n = x.size
    # Level l holds at t the mean of x[t : t + 2**l]; the level below is kept beside it.
    pyramid = np.empty((2, n))
    for t in range(n):
        pyramid[0, t] = x[t]
    covered = np.zeros(periods.size, dtype=np.int64)
    for k in range(periods.size):
        first = lead + min(periods[k] - 1 + lag, n)
        rows[k, :first], rows[k, first:] = np.nan, 0.0
    for level in range(pyramid_height(greatest_of(periods))):
        if level:
            half = 1 << (level - 1)
            below, later, out = pyramid[(level - 1) & 1], pyramid[(level - 1) & 1, half:], pyramid[level & 1]
            for t in range(n - 2 * half + 1):
                out[t] = 0.5 * (below[t] + later[t])
        for k in range(periods.size):
            if periods[k] >> level & 1:
                part, row = pyramid[level & 1, covered[k] :], rows[k, lead + min(periods[k] - 1 + lag, n) :]
                covered[k] += 1 << level
                share = (1 << level) / covered[k]
                for t in range(row.size):
                    row[t] += (part[t] - row[t]) * share


@compiled
def window_mean(window: NDArray[np.float64]) -> float:
    """Return the mean of all of some values, at least one, as `mean_rows` has it; the values are lost."""
    mean = 0.0
    covered = level = 0
    while window.size >> level:
        size = 1 << level
        if window.size & size:
            part, width = window[covered:], size
            while width > 1:
                width >>= 1
                for i in range(width):
                    part[i] = 0.5 * (part[2 * i] + part[2 * i + 1])
            covered += size
            mean += (part[0] - mean) * (size / covered)
        level += 1
    return mean


@compiled
def last_means(
    x: NDArray[np.float64],
    assets: NDArray[np.int64],
    ends: NDArray[np.int64],
    periods: NDArray[np.int64],
    lag: int,
) -> NDArray[np.float64]:
    """Return the last values of `mean_rows` of each of A assets, shape (A, K).

    Parameters
    ----------
    x
        Values of all assets, shape (N, room).
    assets, ends
        Row of each asset in `x`, and how many of its values there are, at least the longest window, shape (A,).
    periods, lag
        As in `mean_rows`.
    """
    rows, scratch = np.empty((assets.size, periods.size)), np.empty(greatest_of(periods))
    for i in range(assets.size):
        values, end = x[assets[i]], ends[i] - lag
        for k in range(periods.size):
            window = scratch[: periods[k]]
            window[:] = values[end - periods[k] : end]
            rows[i, k] = window_mean(window)
    return rows


@compiled
def last_changes(
    x: NDArray[np.float64], assets: NDArray[np.int64], ends: NDArray[np.int64], periods: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the last values of `rate_of_change_rows` of each of A assets, shape (A, K); parameters as `last_means`."""
    rows = np.empty((assets.size, periods.size))
    for i in range(assets.size):
        values, last = x[assets[i]], ends[i] - 1
        for k in range(periods.size):
            rows[i, k] = values[last] / values[last - periods[k]] - 1.0
    return rows


@compiled
def _weights_by_age(h: int, kernel: int) -> NDArray[np.float64]:
    length = 3 * h + 1 if kernel == GAUSSIAN else h
    share = np.arange(length) / h
    weights = np.exp(-0.5 * share * share) if kernel == GAUSSIAN else 1.0 - share * share
    weights /= np.sum(weights)
    return weights


@compiled
def kernel_regression_abreast(
    x: NDArray[np.float64], bandwidths: NDArray[np.int64], kernels: NDArray[np.int64], width: int
) -> NDArray[np.float64]:
    """Return the last value of `kernel_regression_rows` of each of A assets, shape (A, K).

    Parameters
    ----------
    x
        The last `width` values of each asset, at least the longest window, one asset behind the other, shape
        (A x width,).
    bandwidths, kernels
        As in `kernel_regression_rows`.
    width
        How many values of each there are.
    """
    count = x.size // width
    rows = np.empty((count, bandwidths.size))
    for k in range(bandwidths.size):
        weights = _weights_by_age(bandwidths[k], kernels[k])
        length = weights.size
        for i in range(count):
            window = x[(i + 1) * width - length : (i + 1) * width]
            total = 0.0
            for lead in range(length):
                total += weights[length - 1 - lead] * window[lead]
            rows[i, k] = total
    return rows


@compiled
def kernel_regression_rows(
    x: NDArray[np.float64], bandwidths: NDArray[np.int64], kernels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return one-sided Nadaraya-Watson regressions: means of past values weighted by their age.

    Parameters
    ----------
    x
        Values, shape (n,).
    bandwidths
        Bandwidth h in bars, shape (K,).
    kernels
        `GAUSSIAN`, exp(-age² / 2h²) over 3h + 1 bars, or `EPANECHNIKOV`, 1 - (age/h)² over h bars; shape (K,).

    Returns
    -------
    Shape (K, n); NaN before the first full window.

    Source: E. A. Nadaraya, On Estimating Regression, 1964; with the future half of the kernel left out.
    """
    rows = np.full((bandwidths.size, x.size), np.nan)
    for k in range(bandwidths.size):
        weights = _weights_by_age(bandwidths[k], kernels[k])
        length = weights.size
        row = rows[k, length - 1 :]
        # Four lanes at a time, whose sums wait for one another only bar by bar of the window.
        place, end = np.uint64(0), np.uint64(row.size)
        while place < end:
            second, third, fourth = place + STEP, place + np.uint64(2) * STEP, place + np.uint64(3) * STEP
            inside = before(place, end), before(second, end), before(third, end), before(fourth, end)
            a = b = c = d = splat(0.0)
            for lead in range(length):
                step, weight = np.uint64(lead), splat(weights[length - 1 - lead])
                a += weight * load(x, place + step, inside[0], 0.0)
                b += weight * load(x, second + step, inside[1], 0.0)
                c += weight * load(x, third + step, inside[2], 0.0)
                d += weight * load(x, fourth + step, inside[3], 0.0)
            store(row, place, inside[0], a)
            store(row, second, inside[1], b)
            store(row, third, inside[2], c)
            store(row, fourth, inside[3], d)
            place = fourth + STEP
    return rows


def _ema_onward(shop: HistoryWorkshop, periods: Keys, average: NDArray[np.float64]) -> Rows:
    return ema_onward(shop.bars.close, 0, periods, average)


def _ema_abreast(shop: AbreastWorkshop, periods: Keys, averages: NDArray[np.float64]) -> Rows:
    return ema_abreast(shop.last("close"), shop.known, shop.assets, periods, averages)


EMA = Indicator(
    "ema",
    rows=lambda shop, periods: ema_rows(shop.bars.close, periods),
    reach=last_bar,
    onward=Onward(start=lambda shop, periods: np.zeros(periods.size), rows=_ema_onward, abreast=_ema_abreast),
)

SMA = Indicator(
    "sma",
    rows=lambda shop, periods: mean_rows(shop.bars.close, periods),
    reach=same_bars,
    last=lambda shop, periods: last_means(shop.column("close"), shop.assets, shop.ends, periods, 0),
)

RATE_OF_CHANGE = Indicator(
    "rate_of_change",
    rows=lambda shop, periods: rate_of_change_rows(shop.bars.close, periods),
    reach=one_bar_more,
    last=lambda shop, periods: last_changes(shop.column("close"), shop.assets, shop.ends, periods),
)

LOG_RETURN = Indicator(
    "log_return",
    rows=lambda shop, periods: np.log1p(shop.make(RATE_OF_CHANGE, periods)),
    reach=one_bar_more,
    last=lambda shop, periods: np.log1p(shop.newest_of(RATE_OF_CHANGE, periods)),
)


def _macd(shop: Workshop, spans: Keys) -> Rows:
    averages_of_both = shop.make(EMA, np.concatenate(unpair(spans)))
    return averages_of_both[: spans.size] - averages_of_both[spans.size :]


def _last_macd(shop: AbreastWorkshop, spans: Keys) -> Rows:
    averages_of_both = shop.newest_of(EMA, np.concatenate(unpair(spans)))
    return averages_of_both[:, : spans.size] - averages_of_both[:, spans.size :]


MACD = Indicator("macd", rows=_macd, reach=last_bar, last=_last_macd)


def _macd_signal(shop: Workshop, keys: Keys) -> Rows:
    spans, periods = unpair(keys)
    return ema_of_rows(shop.make(MACD, spans), np.maximum(*unpair(spans)) - 1, periods)


def _macd_signal_onward(shop: HistoryWorkshop, keys: Keys, average: NDArray[np.float64]) -> Rows:
    spans, periods = unpair(keys)
    macd = shop.make(MACD, spans)
    rows = np.full(macd.shape, np.nan)
    for k, first in enumerate(np.maximum(*unpair(spans)) - 1):
        one = slice(k, k + 1)
        rows[k, first:] = ema_onward(macd[k, first:], 0, periods[one], average[one])[0]
    return rows


def _macd_signal_abreast(shop: AbreastWorkshop, keys: Keys, averages: NDArray[np.float64]) -> Rows:
    spans, periods = unpair(keys)
    macd = shop.newest_of(MACD, spans)
    rows = np.full(macd.shape, np.nan)
    for k, first in enumerate(np.maximum(*unpair(spans)) - 1):
        begun = shop.known >= first
        one = np.ascontiguousarray(averages[:, k : k + 1])
        values = np.ascontiguousarray(macd[begun, k])
        begins = shop.known[begun] - first
        rows[begun, k] = ema_abreast(values, begins, shop.assets[begun], periods[k : k + 1], one)[:, 0]
        averages[:, k : k + 1] = one
    return rows


MACD_SIGNAL = Indicator(
    "macd_signal",
    rows=_macd_signal,
    reach=last_bar,
    onward=Onward(start=lambda shop, keys: np.zeros(keys.size), rows=_macd_signal_onward, abreast=_macd_signal_abreast),
)

MEAN_FUNDING_RATE = Indicator(
    "mean_funding_rate",
    rows=lambda shop, hours: mean_rows(shop.bars.funding_rate, shop.bars.count_of(hours)),
    reach=lambda bars, hours: bars.count_of(hours),
    last=lambda shop, hours: last_means(
        shop.column("funding_rate"), shop.assets, shop.ends, bars_of(hours, shop.histories.bar_hours), 0
    ),
)
"""Keyed by hours, not by bars."""

FUNDING_MEAN = Indicator(
    "funding_mean",
    rows=lambda shop, periods: mean_rows(shop.bars.funding_rate, periods),
    reach=same_bars,
    last=lambda shop, periods: last_means(shop.column("funding_rate"), shop.assets, shop.ends, periods, 0),
)

KERNEL_REGRESSION = Indicator(
    "kernel_regression",
    rows=lambda shop, keys: kernel_regression_rows(shop.bars.close, *unpair(keys)),
    reach=lambda bars, keys: 3 * unpair(keys)[0] + 1,
    last=lambda shop, keys: kernel_regression_abreast(shop.bars.close, *unpair(keys), shop.width),
)
"""Keyed by bandwidth and kernel."""
