"""Indicators in plain numpy: what exported files carry, a function of one period at a time.

Sums are taken in the order of the compiled kernels, so that a rule which asks whether two numbers are equal is told the
same. Every function takes values of shape (n,) and returns shape (n,), NaN before its first value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
Marks = NDArray[np.bool_]
Bars = Mapping[str, Series]


def windows_up_to(period: int) -> list[int]:
    """Return the powers of two that make a window, the smallest first."""
    return [1 << bit for bit in range(period.bit_length()) if period >> bit & 1]


def sma(x: Series, period: int, lag: int = 0) -> Series:
    """Return the mean of `period` values up to `lag` bars ago; the mean of equal values is that value exactly."""
    out = np.full(x.size, np.nan)
    if x.size < period + lag:
        return out
    means = {1: x}
    while 2 * max(means) <= period:
        half = max(means)
        means[2 * half] = 0.5 * (means[half][:-half] + means[half][half:])
    count, total = 0, np.zeros(x.size - period + 1 - lag)
    for size in windows_up_to(period):
        part = means[size][count : count + total.size]
        count += size
        total += (part - total) * (size / count)
    out[period - 1 + lag :] = total
    return out


def deviation(x: Series, period: int) -> Series:
    """Return the population standard deviation of the last `period` values; less than 1e-12 of the mean is 0."""
    out = np.full(x.size, np.nan)
    if x.size < period:
        return out
    levels = {1: (x, np.zeros(x.size))}
    while 2 * max(levels) <= period:
        half = max(levels)
        means, squares = levels[half]
        apart = means[half:] - means[:-half]
        merged = (squares[:-half] + squares[half:]) + apart * apart * (0.5 * half)
        levels[2 * half] = 0.5 * (means[:-half] + means[half:]), merged
    size = x.size - period + 1
    count, mean, total = 0, np.zeros(size), np.zeros(size)
    for width in windows_up_to(period):
        means, squares = (part[count : count + size] for part in levels[width])
        apart = means - mean
        total += squares + apart * apart * (count * width / (count + width))
        mean += apart * (width / (count + width))
        count += width
    found = np.sqrt(total / period)
    out[period - 1 :] = np.where(found >= 1e-12 * np.abs(mean), found, 0.0)
    return out


def weighted_moments(x: Series, weight: Series, period: int) -> tuple[Series, Series]:
    """Return the weighted mean and standard deviation of the last `period` values, for positive weights somewhere."""
    mean, spread = np.full(x.size, np.nan), np.full(x.size, np.nan)
    if x.size < period:
        return mean, spread
    levels = {1: (weight, x, np.zeros(x.size))}
    while 2 * max(levels) <= period:
        half = max(levels)
        one, other = ([part[:-half] for part in levels[half]], [part[half:] for part in levels[half]])
        levels[2 * half] = merged_moments((one[0], one[1], one[2]), (other[0], other[1], other[2]))
    size = x.size - period + 1
    sizes = windows_up_to(period)
    total = levels[sizes[0]][0][:size], levels[sizes[0]][1][:size], levels[sizes[0]][2][:size]
    count = sizes[0]
    for width in sizes[1:]:
        weights, means, squares = (part[count : count + size] for part in levels[width])
        total, count = merged_moments(total, (weights, means, squares)), count + width
    found = np.sqrt(total[2] / total[0])
    mean[period - 1 :] = total[1]
    spread[period - 1 :] = np.where(found >= 1e-12 * np.abs(total[1]), found, 0.0)
    return mean, spread


def merged_moments(
    one: tuple[Series, Series, Series], other: tuple[Series, Series, Series]
) -> tuple[Series, Series, Series]:
    """Return weight, mean and squares about it of two adjoining windows together (Chan, Golub and LeVeque, 1983)."""
    total = one[0] + other[0]
    share = np.where(total > 0.0, other[0] / total, 0.0)
    apart = other[1] - one[1]
    mean = np.where(one[0] > 0.0, one[1] + apart * share, other[1])
    return total, mean, one[2] + (other[2] + apart * apart * one[0] * share)


def z_score(x: Series, period: int) -> Series:
    """Return the distance from the mean in standard deviations, 0 without any deviation."""
    spread = deviation(x, period)
    return np.where(spread == 0.0, 0.0, (x - sma(x, period)) / spread)


def ema(x: Series, period: int) -> Series:
    """Return the exponential moving average of weight 2/(period + 1), seeded with the mean of the first values."""
    out = np.full(x.size, np.nan)
    average, weight = 0.0, 2.0 / (period + 1.0)
    for t, value in enumerate(x.tolist()):
        if t >= period:
            average += weight * (value - average)
        else:
            average += value
            if t == period - 1:
                average /= period
        if t >= period - 1:
            out[t] = average
    return out


def ema_from(x: Series, first: int, period: int) -> Series:
    """Return the exponential moving average of a series whose first value stands at bar `first`."""
    return np.concatenate([np.full(min(first, x.size), np.nan), ema(x[first:], period)])


def macd(close: Series) -> Series:
    """Return the average of 12 bars less that of 26."""
    return ema(close, 12) - ema(close, 26)


def macd_signal(close: Series) -> Series:
    """Return the average of the last nine values of `macd`."""
    return ema_from(macd(close), 25, 9)


def rate_of_change(x: Series, period: int) -> Series:
    """Return x[t] / x[t - period] - 1."""
    out = np.full(x.size, np.nan)
    out[period:] = x[period:] / x[: max(x.size - period, 0)] - 1.0
    return out


def log_return(x: Series, period: int) -> Series:
    """Return the logarithm of x[t] / x[t - period]."""
    return np.log1p(rate_of_change(x, period))


def log_return_deviation(close: Series, period: int) -> Series:
    """Return the standard deviation of the last `period` logarithmic returns."""
    return np.concatenate([[np.nan], deviation(np.log(close[1:] / close[:-1]), period)])[: close.size]


def volatility_ratio(close: Series, period: int) -> Series:
    """Return the deviation of returns over `period` bars by that over four times as many, within 0.25 and 4."""
    short, long = log_return_deviation(close, period), log_return_deviation(close, 4 * period)
    return np.where(short * long == 0.0, 1.0, np.clip(short / long, 0.25, 4.0))


def highest(x: Series, period: int, lag: int = 0) -> Series:
    """Return the largest of `period` values up to `lag` bars ago."""
    out = np.full(x.size, np.nan)
    if x.size >= period + lag:
        out[period - 1 + lag :] = np.lib.stride_tricks.sliding_window_view(x[: x.size - lag], period).max(axis=1)
    return out


def lowest(x: Series, period: int, lag: int = 0) -> Series:
    """Return the smallest of `period` values up to `lag` bars ago."""
    return -highest(-x, period, lag)


def midrange(bars: Bars, period: int) -> Series:
    """Return the middle between the highest high and the lowest low."""
    return (highest(bars["high"], period) + lowest(bars["low"], period)) / 2.0


def rsi(close: Series, period: int) -> Series:
    """Return Wilder's relative strength index, 50 without any change."""
    out = np.full(close.size, np.nan)
    gain = loss = 0.0
    prices = close.tolist()
    for t, price in enumerate(prices):
        change = price - prices[max(t - 1, 0)]
        up, down = max(change, 0.0), max(-change, 0.0)
        if t <= period:
            gain, loss = gain + up, loss + down
            if t == period:
                gain, loss = gain / period, loss / period
        else:
            gain, loss = gain + (up - gain) / period, loss + (down - loss) / period
        if t >= period:
            out[t] = 100.0 * gain / (gain + loss) if gain + loss > 0.0 else 50.0
    return out


def atr(bars: Bars, period: int) -> Series:
    """Return Wilder's average true range, seeded with the mean of bars 1 to period."""
    high, low, close = bars["high"], bars["low"], bars["close"]
    reach = high - low
    reach[1:] = np.maximum(reach[1:], np.maximum(np.abs(high[1:] - close[:-1]), np.abs(low[1:] - close[:-1])))
    out, average = np.full(close.size, np.nan), 0.0
    for t, value in enumerate(reach.tolist()):
        if t > period:
            average += (value - average) / period
        elif t > 0:
            average += value
            if t == period:
                average /= period
        if t >= period:
            out[t] = average
    return out


def stochastic_k(bars: Bars, period: int) -> Series:
    """Return where the close lies between the lowest low and the highest high, in percent; 50 where they are one."""
    top, bottom = highest(bars["high"], period), lowest(bars["low"], period)
    return np.where(top == bottom, 50.0, 100.0 * (bars["close"] - bottom) / (top - bottom))


def stochastic_d(bars: Bars, k_period: int, d_period: int) -> Series:
    """Return the mean of the last `d_period` values of %K."""
    first = min(k_period - 1, bars["close"].size)
    return np.concatenate([np.full(first, np.nan), sma(stochastic_k(bars, k_period)[first:], d_period)])


def divergence(high: Series, low: Series, index: Series, period: int, lag: int) -> tuple[Marks, Marks]:
    """Return where price made a lower low and the index a higher low, and where the reverse, over adjoining windows."""
    bullish, bearish = np.zeros(high.size, dtype=bool), np.zeros(high.size, dtype=bool)
    first, start = 3 * period - 2 + lag, period - 1 + lag
    if high.size > first:
        bottoms, tops = lowest(low, period), highest(high, period)
        index_low, index_high = lowest(index[start:], period), highest(index[start:], period)
        index_low = np.concatenate([np.full(start, np.nan), index_low])
        index_high = np.concatenate([np.full(start, np.nan), index_high])
        now, before = slice(first, None), slice(first - period, high.size - period)
        bullish[now] = (bottoms[now] < bottoms[before]) & (index_low[now] > index_low[before])
        bearish[now] = (tops[now] > tops[before]) & (index_high[now] < index_high[before])
    return bullish, bearish


def efficiency_ratio(close: Series, period: int) -> Series:
    """Return the move over `period` bars as a share of the way that was walked, 0 where nothing moved (Kaufman)."""
    way = period * sma(np.abs(np.diff(close, prepend=close[:1])), period)
    out = np.full(close.size, np.nan)
    now, before = close[period:], close[: max(close.size - period, 0)]
    share = np.minimum(np.abs(now - before) / way[period:], 1.0)
    out[period:] = np.where(way[period:] > 0.0, share, 0.0)
    return out


def vwap_moments(bars: Bars, period: int) -> tuple[Series, Series]:
    """Return the volume-weighted mean and deviation of typical prices; windows without volume weigh bars equally."""
    price = (bars["high"] + bars["low"] + bars["close"]) / 3.0
    mean, spread = weighted_moments(price, bars["volume"], period)
    untraded = highest(bars["volume"], period) == 0.0
    if untraded.any():
        equal = weighted_moments(price, np.ones(price.size), period)
        mean, spread = np.where(untraded, equal[0], mean), np.where(untraded, equal[1], spread)
    return mean, spread


def vwap(bars: Bars, period: int) -> Series:
    """Return the volume-weighted mean of typical prices."""
    return vwap_moments(bars, period)[0]


def kernel_regression(x: Series, bandwidth: int, kernel: str) -> Series:
    """Return the mean of past values weighted by their age, gaussian or epanechnikov (Nadaraya, 1964)."""
    length = 3 * bandwidth + 1 if kernel == "gaussian" else bandwidth
    ages = [age / bandwidth for age in range(length)]
    weights = [math.exp(-0.5 * age * age) if kernel == "gaussian" else 1.0 - age * age for age in ages]
    total = 0.0
    for weight in weights:
        total += weight
    out = np.full(x.size, np.nan)
    if x.size >= length:
        line = np.zeros(x.size - length + 1)
        for lead in range(length):
            line += weights[length - 1 - lead] / total * x[lead : lead + line.size]
        out[length - 1 :] = line
    return out


def swing(bars: Bars, period: int, method: str) -> tuple[Series, Series]:
    """Return the prices at the earlier and the later pivot of the previous `period` bars, NaN where there is no swing.

    Pivots are extreme closes (`highest_close`), extreme highs and lows (`highest_high_low`), or the latest bars that
    stand out among three neighbours on either side (`swing_detection`).
    """
    by_close = method == "highest_close"
    upper, lower = (bars["close"], bars["close"]) if by_close else (bars["high"], bars["low"])
    find = peak_ages if method == "swing_detection" else maximum_ages
    since_upper, since_lower = find(upper, period), find(-lower, period)
    bar = np.arange(upper.size)
    top, bottom = upper[bar - since_upper], lower[bar - since_lower]
    valid = (since_upper > 0) & (since_lower > 0) & (since_upper != since_lower) & (top > bottom)
    rises = since_upper < since_lower
    start = np.where(valid, np.where(rises, bottom, top), np.nan)
    return start, np.where(valid, np.where(rises, top, bottom), np.nan)


def maximum_ages(x: Series, period: int) -> NDArray[np.int64]:
    """Return how many bars ago the latest largest of the previous `period` values was, 0 before there are so many."""
    ages = np.zeros(x.size, dtype=np.int64)
    if x.size > period:
        before = np.lib.stride_tricks.sliding_window_view(x[:-1], period)
        ages[period:] = 1 + np.argmax(before[:, ::-1], axis=1)
    return ages


def peak_ages(x: Series, period: int) -> NDArray[np.int64]:
    """Return how many bars ago the latest value within the period was that is above three on either side, 0: none."""
    ages, latest = np.zeros(x.size, dtype=np.int64), -1
    for t in range(7, x.size):
        peak = t - 4
        if all(x[peak] > x[peak - d] and x[peak] > x[peak + d] for d in (1, 2, 3)):
            latest = peak
        if t >= period and latest >= t - period + 3:
            ages[t] = t - latest
    return ages


def crosses_above(a: Series, b: Series) -> Marks:
    """Return where a rises above b; not on the first bar."""
    crossed = np.zeros(a.size, dtype=bool)
    crossed[1:] = (a[:-1] <= b[:-1]) & (a[1:] > b[1:])
    return crossed


def held_for(condition: Marks, bars: int) -> Marks:
    """Return where a condition has held on each of the last bars."""
    numbers = np.arange(condition.size)
    failed = np.maximum.accumulate(np.where(condition, -1, numbers))
    return np.asarray(numbers - failed >= bars)


def ratio(a: Series, b: Series) -> Series:
    """Return a / b, 0 where b is next to nothing."""
    return np.where(np.abs(b) >= 1e-12, a / b, 0.0)


def relative(a: Series, b: Series) -> Series:
    """Return a / b - 1, 0 where b is next to nothing."""
    return np.where(np.abs(b) >= 1e-12, a / b, 1.0) - 1.0


def retracement(bars: Bars, period: int) -> Series:
    """Return the price at which 61.8 % of the swing of the previous bars is given back."""
    start, end = swing(bars, period, "highest_high_low")
    return end - 0.618 * (end - start)


def vote(long: Marks, short: Marks) -> NDArray[np.int64]:
    """Return 1 where the first condition holds alone, -1 where the second does, else 0."""
    return long.astype(np.int64) - short.astype(np.int64)
