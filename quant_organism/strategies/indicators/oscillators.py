"""Oscillators, and their divergence from price."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.averages import last_means, write_means
from quant_organism.strategies.indicators.extremes import (
    HIGHEST_HIGH,
    LOWEST_LOW,
    distinct,
    extreme_rows,
    greatest_of,
    window_extreme,
)
from quant_organism.strategies.indicators.indicator import (
    AbreastWorkshop,
    HistoryWorkshop,
    Indicator,
    Onward,
    Workshop,
    last_bar,
    same_bars,
    unpair,
)
from quant_organism.strategies.store import Keys, Rows

BULLISH, BEARISH = 1, 2
"""Bits of a divergence between price and an index, or of a crossing of the index."""


def rsi_rows(close: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Wilder's relative strength index, shape (K, n); 50 without any change, NaN before bar period.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    return rsi_onward(close, np.nan, 0, periods, np.zeros((2, periods.size)))


@compiled
def rsi_onward(
    close: NDArray[np.float64],
    before: float,
    begin: int,
    periods: NDArray[np.int64],
    means: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the index of `rsi_rows` on the bars from `begin` on, shape (K, n).

    Parameters
    ----------
    close
        Closes from bar `begin` on, shape (n,).
    before
        Close of the bar before; the first of all bars has none, and no change.
    begin
        Number of the first bar.
    periods
        As in `rsi_rows`.
    means
        Gains and losses that the bars before have left, zeros before the first; moved on, shape (2, K).
    """
    count, n = periods.size, close.size
    rows = np.full((count, n), np.nan)
    gain, loss = means[0], means[1]
    previous = close[0] if n and begin == 0 else before
    # As long as one of them is being seeded, each is asked how far it is.
    seeding = min(max(greatest_of(periods) + 1 - begin, 0), n)
    values = np.empty(count)
    for i in range(n):
        t = begin + i
        change = close[i] - previous
        previous = close[i]
        up = max(change, 0.0)
        down = max(-change, 0.0)
        if i < seeding:
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
                if t >= periods[k]:
                    rows[k, i] = _strength(gain[k], loss[k])
        else:
            for k in range(count):
                gain[k] += (up - gain[k]) / periods[k]
                loss[k] += (down - loss[k]) / periods[k]
                values[k] = _strength(gain[k], loss[k])
            for k in range(count):
                rows[k, i] = values[k]
    return rows


@compiled
def rsi_abreast(
    close: NDArray[np.float64],
    assets: NDArray[np.int64],
    begins: NDArray[np.int64],
    periods: NDArray[np.int64],
    means: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the index of `rsi_rows` at one more bar of each of A assets, shape (A, K).

    Parameters
    ----------
    close
        Closes of all assets, shape (N, room).
    assets, begins
        Row of each asset, and number of the bar, which is not its first, shape (A,).
    periods
        As in `rsi_rows`.
    means
        As in `rsi_onward`, of all assets; moved on, shape (N, 2, K).
    """
    rows, latest = np.empty((assets.size, periods.size)), np.empty(1)
    for i in range(assets.size):
        own, t = close[assets[i]], begins[i]
        latest[0] = own[t]
        rows[i] = rsi_onward(latest, own[t - 1], t, periods, means[assets[i]])[:, 0]
    return rows


@compiled
def _strength(gain: float, loss: float) -> float:
    total = gain + loss
    return 100.0 * gain / total if total > 0.0 else 50.0


@compiled
def stochastic_k_rows(
    close: NDArray[np.float64], highest: NDArray[np.float64], lowest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return where the close lies in the range of highs and lows, in percent (K, n); 50 in a range of nothing.

    Parameters
    ----------
    close
        Closes, shape (n,).
    highest, lowest
        Highest high and lowest low of each window, the current bar included, shape (K, n).

    Returns
    -------
    %K, shape (K, n); NaN where the range is.
    """
    rows = np.empty_like(highest)
    for k in range(rows.shape[0]):
        for t in range(close.size):
            reach = highest[k, t] - lowest[k, t]
            rows[k, t] = 50.0 if reach == 0.0 else 100.0 * (close[t] - lowest[k, t]) / reach
    return rows


@compiled
def stochastic_d_rows(
    stochastic_k: NDArray[np.float64],
    k_row: NDArray[np.int64],
    k_period: NDArray[np.int64],
    d_period: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return %D, the mean of the last `d_period` values of %K.

    Parameters
    ----------
    stochastic_k
        %K, one row per period.
    k_row, k_period, d_period
        Row of `stochastic_k`, its period in bars and the window of the mean, each of shape (K,).

    Returns
    -------
    Shape (K, n); NaN before bar k_period + d_period - 2.
    """
    n = stochastic_k.shape[1]
    rows = np.empty((k_row.size, n))
    begin = 0
    while begin < k_row.size:
        # Keys are ascending: those of one %K stand one behind the other.
        end = begin + 1
        while end < k_row.size and k_row[end] == k_row[begin]:
            end += 1
        first = min(k_period[begin] - 1, n)
        write_means(stochastic_k[k_row[begin], first:], d_period[begin:end], 0, rows[begin:end], first)
        begin = end
    return rows


@compiled
def crossing_rows(x: NDArray[np.float64], x_row: NDArray[np.int64], level: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return where a line crosses another: `BULLISH` upwards, `BEARISH` downwards, else 0.

    Parameters
    ----------
    x
        Lines that cross, one row each.
    x_row
        Row of `x` that belongs to each row of `level`, shape (K,).
    level
        Lines that are crossed, shape (K, n).

    Returns
    -------
    Shape (K, n); 0 where one of the four values is NaN.
    """
    rows = np.zeros(level.shape, dtype=np.int8)
    for k in range(x_row.size):
        before, now = x[x_row[k]], x[x_row[k], 1:]
        level_before, level_now = level[k], level[k, 1:]
        row = rows[k, 1:]
        for t in range(row.size):
            up = (before[t] <= level_before[t]) & (now[t] > level_now[t])
            down = (before[t] >= level_before[t]) & (now[t] < level_now[t])
            row[t] = (BULLISH if up else 0) | (BEARISH if down else 0)
    return rows


@compiled
def divergence_rows(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    index_rows: NDArray[np.float64],
    periods: NDArray[np.int64],
    lag: int,
) -> NDArray[np.int8]:
    """Return the divergences between price and an index over two adjoining windows of each period.

    Parameters
    ----------
    high, low
        Prices whose highs and lows are compared, each of shape (n,).
    index_rows
        The index of each period, shape (K, n), NaN before bar period - 1 + lag.
    periods
        Periods in bars, shape (K,).
    lag
        Bars that the index needs beyond its period: 1 if it is made of changes, 0 if of prices.

    Returns
    -------
    Shape (K, n): bit `BULLISH` where price made a lower low and the index a higher low, bit `BEARISH` where price
    made a higher high and the index a lower high; 0 before bar 3 period - 2 + lag.
    """
    n = high.size
    rows = np.zeros((periods.size, n), dtype=np.int8)
    lows = extreme_rows(low, periods, 0, -1.0)
    highs = extreme_rows(high, periods, 0, 1.0)
    for k in range(periods.size):
        p = periods[k]
        first = 3 * p - 2 + lag
        if n <= first:
            continue
        index = index_rows[k, p - 1 + lag :]
        index_low = extreme_rows(index, periods[k : k + 1], 0, -1.0)[0, p - 1 :]
        index_high = extreme_rows(index, periods[k : k + 1], 0, 1.0)[0, p - 1 :]
        index_low_now, index_high_now = index_low[p:], index_high[p:]
        price_low, price_high = lows[k, first - p :], highs[k, first - p :]
        price_low_now, price_high_now = price_low[p:], price_high[p:]
        row = rows[k, first:]
        for t in range(row.size):
            bullish = (price_low_now[t] < price_low[t]) & (index_low_now[t] > index_low[t])
            bearish = (price_high_now[t] > price_high[t]) & (index_high_now[t] < index_high[t])
            row[t] = (BULLISH if bullish else 0) | (BEARISH if bearish else 0)
    return rows


@compiled
def last_divergences(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    index: NDArray[np.float64],
    assets: NDArray[np.int64],
    ends: NDArray[np.int64],
    period: int,
) -> NDArray[np.int8]:
    """Return the last values of a row of `divergence_rows` of each of A assets, shape (A,).

    Parameters
    ----------
    high, low, index
        Prices and the index of all assets, each of shape (N, room).
    assets, ends
        Row of each asset, and how many values it has, at least those of two windows, shape (A,).
    period
        In bars.
    """
    found = np.empty(assets.size, dtype=np.int8)
    for i in range(assets.size):
        asset, end = assets[i], ends[i]
        now, before = slice(end - period, end), slice(end - 2 * period, end - period)
        lows, highs, own = low[asset], high[asset], index[asset]
        bullish = window_extreme(lows[now], -1.0) < window_extreme(lows[before], -1.0)
        bullish &= window_extreme(own[now], -1.0) > window_extreme(own[before], -1.0)
        bearish = window_extreme(highs[now], 1.0) > window_extreme(highs[before], 1.0)
        bearish &= window_extreme(own[now], 1.0) < window_extreme(own[before], 1.0)
        found[i] = (BULLISH if bullish else 0) | (BEARISH if bearish else 0)
    return found


def _last_divergences(shop: AbreastWorkshop, index: Indicator, high: str, low: str, periods: Keys) -> Rows:
    table, prices = shop.grown(index, periods), (shop.column(high), shop.column(low))
    columns = [
        last_divergences(*prices, table.row(k), shop.assets, shop.ends, period)
        for k, period in enumerate(periods.tolist())
    ]
    return np.stack(columns, axis=1)


def _rsi_onward(shop: HistoryWorkshop, periods: Keys, means: NDArray[np.float64]) -> Rows:
    return rsi_onward(shop.bars.close, np.nan, 0, periods, means)


def _rsi_abreast(shop: AbreastWorkshop, periods: Keys, means: NDArray[np.float64]) -> Rows:
    return rsi_abreast(shop.column("close"), shop.assets, shop.known, periods, means)


RSI = Indicator(
    "rsi",
    rows=lambda shop, periods: rsi_rows(shop.bars.close, periods),
    reach=last_bar,
    onward=Onward(start=lambda shop, periods: np.zeros((2, periods.size)), rows=_rsi_onward, abreast=_rsi_abreast),
)


def _rsi_divergence(shop: Workshop, periods: Keys) -> Rows:
    close = shop.bars.close
    return divergence_rows(close, close, shop.shared(RSI, periods), periods, 1)


RSI_DIVERGENCE = Indicator(
    "rsi_divergence",
    rows=_rsi_divergence,
    reach=lambda bars, periods: 3 * periods + 1,
    last=lambda shop, periods: _last_divergences(shop, RSI, "close", "close", periods),
)


def _stochastic_k(shop: Workshop, periods: Keys) -> Rows:
    return stochastic_k_rows(shop.bars.close, shop.make(HIGHEST_HIGH, periods), shop.make(LOWEST_LOW, periods))


def _last_stochastic_k(shop: AbreastWorkshop, periods: Keys) -> Rows:
    highest, lowest = shop.newest_of(HIGHEST_HIGH, periods), shop.newest_of(LOWEST_LOW, periods)
    return stochastic_k_rows(shop.last("close"), highest.T.copy(), lowest.T.copy()).T


STOCHASTIC_K = Indicator("stochastic_k", rows=_stochastic_k, reach=same_bars, last=_last_stochastic_k, is_kept=True)


def _stochastic_d(shop: Workshop, keys: Keys) -> Rows:
    k_period, d_period = unpair(keys)
    periods, row = distinct(k_period)
    return stochastic_d_rows(shop.make(STOCHASTIC_K, periods), row, k_period, d_period)


def _last_stochastic_d(shop: AbreastWorkshop, keys: Keys) -> Rows:
    k_period, d_period = unpair(keys)
    periods, row = distinct(k_period)
    stochastic_k = shop.grown(STOCHASTIC_K, periods)
    rows = np.empty((shop.assets.size, keys.size))
    for k in range(keys.size):
        rows[:, k : k + 1] = last_means(stochastic_k.row(row[k]), shop.assets, shop.ends, d_period[k : k + 1], 0)
    return rows


STOCHASTIC_D = Indicator(
    "stochastic_d",
    rows=_stochastic_d,
    reach=lambda bars, keys: np.add(*unpair(keys)),
    last=_last_stochastic_d,
    is_kept=True,
)
"""Keyed by the periods of %K and %D."""


def _stochastic_crossing(shop: Workshop, keys: Keys) -> Rows:
    periods, row = distinct(unpair(keys)[0])
    return crossing_rows(shop.make(STOCHASTIC_K, periods), row, shop.make(STOCHASTIC_D, keys))


def _last_stochastic_crossing(shop: AbreastWorkshop, keys: Keys) -> Rows:
    periods, row = distinct(unpair(keys)[0])
    # The last two bars of each asset, one asset behind the other.
    lines, levels = (
        np.ascontiguousarray(shop.grown(indicator, own).latest(shop.assets, 2).swapaxes(0, 1)).reshape(own.size, -1)
        for indicator, own in ((STOCHASTIC_K, periods), (STOCHASTIC_D, keys))
    )
    return crossing_rows(lines, row, levels)[:, 1::2].T


STOCHASTIC_CROSSING = Indicator(
    "stochastic_crossing",
    rows=_stochastic_crossing,
    reach=lambda bars, keys: np.add(*unpair(keys)) + 1,
    last=_last_stochastic_crossing,
)


def _stochastic_divergence(shop: Workshop, periods: Keys) -> Rows:
    return divergence_rows(shop.bars.high, shop.bars.low, shop.make(STOCHASTIC_K, periods), periods, 0)


STOCHASTIC_DIVERGENCE = Indicator(
    "stochastic_divergence",
    rows=_stochastic_divergence,
    reach=lambda bars, periods: 3 * periods + 1,
    last=lambda shop, periods: _last_divergences(shop, STOCHASTIC_K, "high", "low", periods),
)
