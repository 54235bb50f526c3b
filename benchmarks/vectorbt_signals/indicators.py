"""Indicators of one asset, each made once for each of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from vectorbt.generic.nb import ewm_mean_1d_nb, rolling_mean_1d_nb, rolling_std_1d_nb

from benchmarks.vectorbt_signals import loops

Row = NDArray[Any]
Key = ParamSpec("Key")
Made = TypeVar("Made", Row, tuple[Row, Row])


def once(make: Callable[Concatenate[Indicators, Key], Made]) -> Callable[Concatenate[Indicators, Key], Made]:
    """Keep what a method makes for each combination of its parameters."""

    @wraps(make)
    def kept(self: Indicators, /, *key: Key.args, **named: Key.kwargs) -> Made:
        return self.remember((make.__name__, *key), lambda: make(self, *key, **named))

    return kept


class Indicators:
    """Rows of shape (bars,), float64 and NaN during warm-up unless said otherwise; periods are in bars of one hour.

    Parameters
    ----------
    columns
        Open, high, low, close, volume and funding rate, each of shape (bars,).
    """

    def __init__(self, columns: Mapping[str, NDArray[np.float64]]) -> None:
        self.open, self.high, self.low, self.close, self.volume, self.funding_rate = (
            np.ascontiguousarray(columns[name]) for name in ("open", "high", "low", "close", "volume", "funding_rate")
        )
        self._made: dict[tuple[Any, ...], Any] = {}

    def remember(self, place: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """Return what stands under a name and its parameters, made now if nothing does."""
        if place not in self._made:
            self._made[place] = make()
        found: Made = self._made[place]
        return found

    @once
    def sma(self, period: int) -> Row:
        """Return the mean of closes."""
        return mean(self.close, period)

    @once
    def ema(self, period: int) -> Row:
        """Return the exponential average of closes."""
        return seeded_average(self.close, period, 0, period)

    @once
    def rate_of_change(self, period: int) -> Row:
        """Return the change over a period as a fraction."""
        return self.close / shifted(self.close, period) - 1.0

    @once
    def log_return(self, period: int) -> Row:
        """Return the logarithm of the change over a period."""
        return np.log1p(self.rate_of_change(period))

    @once
    def deviation(self, period: int) -> Row:
        """Return the population standard deviation of closes."""
        return rolling_std_1d_nb(self.close, period, None, 0)

    @once
    def z_score(self, period: int) -> Row:
        """Return the close's distance from its mean in standard deviations."""
        return (self.close - self.sma(period)) / self.deviation(period)

    @once
    def bandwidth_rank(self, period: int) -> Row:
        """Return how many of the last five periods' bandwidths, the bar before included, its own exceeded (int)."""
        return loops.rank_of_previous(self.deviation(period) / self.sma(period), 5 * period)

    @once
    def highest(self, period: int) -> Row:
        """Return the highest high."""
        return largest(self.high, period)

    @once
    def lowest(self, period: int) -> Row:
        """Return the lowest low."""
        return smallest(self.low, period)

    @once
    def previous_high(self, period: int) -> Row:
        """Return the highest high up to the bar before."""
        return shifted(self.highest(period), 1)

    @once
    def previous_low(self, period: int) -> Row:
        """Return the lowest low up to the bar before."""
        return shifted(self.lowest(period), 1)

    @once
    def close_breakout(self, period: int) -> Row:
        """Return 1 above all closes of the period before, -1 below all of them, else 0 (int8)."""
        above = self.close > shifted(largest(self.close, period), 1)
        below = self.close < shifted(smallest(self.close, period), 1)
        return above.view(np.int8) - below.view(np.int8)

    @once
    def midrange(self, period: int) -> Row:
        """Return the middle between the highest high and the lowest low."""
        return (self.highest(period) + self.lowest(period)) / 2.0

    @once
    def previous_mean_volume(self, period: int) -> Row:
        """Return the mean volume up to the bar before."""
        return shifted(mean(self.volume, period), 1)

    @once
    def funding_mean(self, period: int) -> Row:
        """Return the mean funding rate."""
        return mean(self.funding_rate, period)

    @once
    def _change(self) -> Row:
        return np.diff(self.close, prepend=self.close[0])

    @once
    def rsi(self, period: int) -> Row:
        """Return Wilder's relative strength index."""
        gains, losses = (
            seeded_average(np.maximum(side * self._change(), 0.0), period, 1, 2 * period - 1) for side in (1.0, -1.0)
        )
        return 100.0 * gains / (gains + losses)

    @once
    def rsi_divergence(self, period: int) -> tuple[Row, Row]:
        """Return where closes and index diverge, bullish and bearish (bool)."""
        index = self.rsi(period)
        return divergence(smallest(self.close, period), largest(self.close, period), index, period)

    @once
    def stochastic_k(self, period: int) -> Row:
        """Return where the close lies in the range of highs and lows, in percent."""
        lowest = self.lowest(period)
        return 100.0 * (self.close - lowest) / (self.highest(period) - lowest)

    @once
    def stochastic_d(self, k_period: int, d_period: int) -> Row:
        """Return the mean of %K."""
        return mean(self.stochastic_k(k_period), d_period)

    @once
    def stochastic_crossing(self, k_period: int, d_period: int) -> tuple[Row, Row]:
        """Return where %K crosses %D, upwards and downwards (bool)."""
        k, d = self.stochastic_k(k_period), self.stochastic_d(k_period, d_period)
        return crossed(k, d), crossed(d, k)

    @once
    def stochastic_divergence(self, period: int) -> tuple[Row, Row]:
        """Return where prices and %K diverge, bullish and bearish (bool)."""
        return divergence(self.lowest(period), self.highest(period), self.stochastic_k(period), period)

    @once
    def efficiency_ratio(self, period: int) -> Row:
        """Return the move over a period as a share of the way that was walked."""
        way = period * mean(np.abs(self._change()), period)
        return np.minimum(np.abs(self.close - shifted(self.close, period)) / way, 1.0)

    @once
    def closes_beyond(self, period: int) -> tuple[Row, Row]:
        """Return how many closes so far were above their mean, and below (int)."""
        average = self.sma(period)
        return np.cumsum(self.close > average), np.cumsum(self.close < average)

    @once
    def atr(self, period: int) -> Row:
        """Return Wilder's average true range."""
        return seeded_average(self._true_range(), period, 1, 2 * period - 1)

    @once
    def _true_range(self) -> Row:
        before = shifted(self.close, 1)
        before[0] = self.close[0]
        return np.maximum(self.high, before) - np.minimum(self.low, before)

    @once
    def log_atr_ratio(self, period: int) -> Row:
        """Return the logarithm of the average true range over its mean of three periods, within [0.5, 2]."""
        return np.log(np.clip(self.atr(period) / mean(self.atr(period), 3 * period), 0.5, 2.0))

    @once
    def log_volatility_ratio(self, period: int) -> Row:
        """Return the logarithm of the deviation of log returns over that of four periods, within a quarter and four."""
        short, long = (rolling_std_1d_nb(self.log_return(1), window, None, 0) for window in (period, 4 * period))
        return np.log(np.clip(short / long, 0.25, 4.0))

    @once
    def vwap(self, period: int) -> Row:
        """Return the volume-weighted typical price."""
        return self._volume_weighted(1, period) + self.close[0]

    @once
    def vwap_deviation(self, period: int) -> Row:
        """Return the volume-weighted deviation of the typical price."""
        squares = self._volume_weighted(2, period) - self._volume_weighted(1, period) ** 2
        return np.sqrt(np.maximum(squares, 0.0))

    @once
    def _volume_weighted(self, power: int, period: int) -> Row:
        # Of prices from the first close on, lest the digits of the level hide those of the squares.
        price = (self.high + self.low + self.close) / 3.0 - self.close[0]
        return mean(price**power * self.volume, period) / mean(self.volume, period)

    @once
    def kernel_regression(self, bandwidth: int, kernel: str) -> Row:
        """Return the mean of past closes weighted by their age."""
        age = np.arange(3 * bandwidth + 1 if kernel == "gaussian" else bandwidth) / bandwidth
        weight = np.exp(-0.5 * age * age) if kernel == "gaussian" else 1.0 - age * age
        row = np.convolve(self.close, weight / weight.sum())[: self.close.size]
        row[: age.size - 1] = np.nan
        return row

    @once
    def swing(self, period: int) -> tuple[Row, Row]:
        """Return the prices where the swing between the extremes of the previous bars begins and ends."""
        return loops.swings(self.high, self.low, period)

    @once
    def sign_of_change(self, period: int) -> Row:
        """Return whether the close is above that of a period before, below it or at it: 1, -1 or 0 (int8)."""
        before = shifted(self.close, period)
        return (self.close > before).view(np.int8) - (self.close < before).view(np.int8)


def mean(x: Row, period: int) -> Row:
    """Return the mean of the last values; NaN until there are as many."""
    return rolling_mean_1d_nb(x, period)


def largest(x: Row, period: int) -> Row:
    """Return the largest of the last values; NaN until there are as many, not counting NaN at the beginning."""
    return _filtered(maximum_filter1d, x, period)


def smallest(x: Row, period: int) -> Row:
    """Return the smallest of the last values, as `largest` does."""
    return _filtered(minimum_filter1d, x, period)


def _filtered(extreme: Callable[..., Row], x: Row, period: int) -> Row:
    begin = np.count_nonzero(np.isnan(x))
    row = np.empty(x.size)
    # The filter looks half a window into the future unless its origin is moved.
    row[begin:] = extreme(x[begin:], period, origin=(period - 1) // 2, mode="nearest")
    row[: begin + period - 1] = np.nan
    return row


def shifted(x: Row, bars: int) -> Row:
    """Return what was so many bars ago; NaN before."""
    row = np.empty(x.size)
    row[:bars] = np.nan
    row[bars:] = x[: x.size - bars]
    return row


def seeded_average(x: Row, period: int, first: int, span: float) -> Row:
    """Return the exponential average that begins with the mean of a period of values from `first` on."""
    row = np.full(x.size, np.nan)
    begin = first + period - 1
    if begin < x.size:
        seeded = x[begin:].copy()
        seeded[0] = x[first : begin + 1].mean()
        row[begin:] = ewm_mean_1d_nb(seeded, span)
    return row


def crossed(x: Row, y: Row) -> Row:
    """Return where one row rises above another (bool)."""
    row = np.zeros(x.size, dtype=np.bool_)
    np.logical_and(x[:-1] <= y[:-1], x[1:] > y[1:], out=row[1:])
    return row


def divergence(low: Row, high: Row, index: Row, period: int) -> tuple[Row, Row]:
    """Return where price's lows fall and the index's rise from one period to the next, and the reverse of highs."""
    index_low, index_high = smallest(index, period), largest(index, period)
    bullish = (low < shifted(low, period)) & (index_low > shifted(index_low, period))
    bearish = (high > shifted(high, period)) & (index_high < shifted(index_high, period))
    return bullish, bearish
