"""How far prices move from bar to bar: ranges, deviations of returns, and how both change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.averages import last_means, mean_rows
from quant_organism.strategies.indicators.dispersion import deviation_rows, window_deviation
from quant_organism.strategies.indicators.extremes import greatest_of
from quant_organism.strategies.indicators.indicator import (
    AbreastWorkshop,
    HistoryWorkshop,
    Indicator,
    Onward,
    Workshop,
    last_bar,
    one_bar_more,
)
from quant_organism.strategies.store import Keys, Rows

_LEAST_RATIO, _GREATEST_RATIO = 0.25, 4.0


@compiled
def true_range(high: NDArray[np.float64], low: NDArray[np.float64], close: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the range of each bar, extended to the close before, shape (n,)."""
    reach = np.empty(high.size)
    if high.size:
        reach[0] = high[0] - low[0]
    now, up, down = reach[1:], high[1:], low[1:]
    for t in range(now.size):
        now[t] = max(up[t] - down[t], abs(up[t] - close[t]), abs(down[t] - close[t]))
    return reach


def atr_rows(reach: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Wilder's average of true ranges, seeded with the mean of bars 1 to period.

    Parameters
    ----------
    reach
        True range of each bar, shape (n,); bar 0 does not count, for it has no close before it.
    periods
        Periods in bars, shape (K,).

    Returns
    -------
    Averages in units of price, shape (K, n); NaN before bar period.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    return atr_onward(reach, 0, periods, np.zeros(periods.size))


@compiled
def atr_onward(
    reach: NDArray[np.float64], begin: int, periods: NDArray[np.int64], average: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the averages of `atr_rows` on the bars from `begin` on, shape (K, n).

    Parameters
    ----------
    reach
        True ranges from bar `begin` on, shape (n,).
    begin
        Number of the first of them.
    periods
        As in `atr_rows`.
    average
        What the bars before have left, zeros before the first; moved on, shape (K,).
    """
    count, n = periods.size, reach.size
    rows = np.full((count, n), np.nan)
    # As long as one of them is being seeded, each is asked how far it is.
    seeding = min(max(greatest_of(periods) + 1 - begin, 0), n) if count else 0
    for i in range(seeding):
        t = begin + i
        for k in range(count):
            if t > periods[k]:
                average[k] += (reach[i] - average[k]) / periods[k]
            elif t > 0:
                average[k] += reach[i]
                if t == periods[k]:
                    average[k] /= periods[k]
            if t >= periods[k]:
                rows[k, i] = average[k]
    for i in range(seeding, n):
        for k in range(count):
            average[k] += (reach[i] - average[k]) / periods[k]
            rows[k, i] = average[k]
    return rows


@compiled
def atr_abreast(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    assets: NDArray[np.int64],
    begins: NDArray[np.int64],
    periods: NDArray[np.int64],
    averages: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the averages of `atr_rows` at one more bar of each of A assets, shape (A, K).

    Parameters
    ----------
    high, low, close
        Prices of all assets, shape (N, room).
    assets, begins
        Row of each asset, and number of the bar, which is not its first, shape (A,).
    periods
        As in `atr_rows`.
    averages
        As in `atr_onward`, of all assets; moved on, shape (N, K).
    """
    rows, reach = np.empty((assets.size, periods.size)), np.empty(1)
    for i in range(assets.size):
        asset, t = assets[i], begins[i]
        up, down, before = high[asset, t], low[asset, t], close[asset, t - 1]
        reach[0] = max(up - down, abs(up - before), abs(down - before))
        rows[i] = atr_onward(reach, t, periods, averages[asset])[:, 0]
    return rows


def log_atr_ratio_rows(atr: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the logarithm of each average true range over its mean of the last three periods, within [0.5, 2].

    Returns
    -------
    Shape (K, n); 0 where the mean is 0, NaN before bar 4 period - 1.
    """
    n = atr.shape[1]
    rows = np.full(atr.shape, np.nan)
    for k in range(periods.size):
        first = min(4 * periods[k] - 1, n)
        mean = mean_rows(atr[k, min(periods[k], n) :], 3 * periods[k : k + 1])[0, 3 * periods[k] - 1 :]
        _write_log_ratios(atr[k, first:], mean, rows[k, first:])
    return rows


@compiled
def _write_log_ratios(now: NDArray[np.float64], mean: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for t in range(out.size):
        out[t] = 0.0 if mean[t] == 0.0 else np.log(min(max(now[t] / mean[t], 0.5), 2.0))


def log_return_deviation_rows(close: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return population standard deviations of the last `period` log returns, shape (K, n); NaN before bar period."""
    return deviation_rows(log_returns(close), periods, min(1, close.size))


@compiled
def log_returns(close: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of each close over the one before, shape (n - 1,)."""
    returns = np.empty(max(close.size - 1, 0))
    for t in range(returns.size):
        returns[t] = np.log(close[t + 1] / close[t])
    return returns


@compiled
def last_return_deviations(
    close: NDArray[np.float64], assets: NDArray[np.int64], ends: NDArray[np.int64], periods: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the last values of `log_return_deviation_rows` of each of A assets, shape (A, K).

    Parameters
    ----------
    close
        Closes of all assets, shape (N, room).
    assets, ends
        Row of each asset, and how many closes it has, more than the longest period, shape (A,).
    periods
        As in `log_return_deviation_rows`.
    """
    longest = greatest_of(periods)
    rows, scratch, squares = np.empty((assets.size, periods.size)), np.empty(longest), np.empty(longest)
    for i in range(assets.size):
        returns = log_returns(close[assets[i], ends[i] - longest - 1 : ends[i]])
        for k in range(periods.size):
            window = scratch[: periods[k]]
            window[:] = returns[longest - periods[k] :]
            rows[i, k] = window_deviation(window, squares[: periods[k]])
    return rows


@compiled
def volatility_ratio_rows(short: NDArray[np.float64], long: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a short-term volatility over a long-term one, kept within a quarter and four, shape (K, n).

    It is 1 where either is 0, and NaN where either is.
    """
    rows = np.empty_like(short)
    for k in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            ratio = min(max(short[k, t] / long[k, t], _LEAST_RATIO), _GREATEST_RATIO)
            rows[k, t] = 1.0 if short[k, t] * long[k, t] == 0.0 else ratio
    return rows


def _atr(shop: Workshop, periods: Keys) -> Rows:
    bars = shop.bars
    return atr_rows(true_range(bars.high, bars.low, bars.close), periods)


def _atr_onward(shop: HistoryWorkshop, periods: Keys, average: NDArray[np.float64]) -> Rows:
    bars = shop.bars
    return atr_onward(true_range(bars.high, bars.low, bars.close), 0, periods, average)


def _atr_abreast(shop: AbreastWorkshop, periods: Keys, averages: NDArray[np.float64]) -> Rows:
    high, low, close = (shop.column(name) for name in ("high", "low", "close"))
    return atr_abreast(high, low, close, shop.assets, shop.known, periods, averages)


ATR = Indicator(
    "atr",
    rows=_atr,
    reach=last_bar,
    onward=Onward(start=lambda shop, periods: np.zeros(periods.size), rows=_atr_onward, abreast=_atr_abreast),
)


def _last_log_atr_ratio(shop: AbreastWorkshop, periods: Keys) -> Rows:
    atr = shop.grown(ATR, periods)
    rows = np.empty((periods.size, shop.assets.size))
    for k, period in enumerate(periods):
        own = atr.row(k)
        mean = last_means(own, shop.assets, shop.ends, 3 * period[np.newaxis], 0)[:, 0].copy()
        _write_log_ratios(own[shop.assets, shop.known], mean, rows[k])
    return rows.T


LOG_ATR_RATIO = Indicator(
    "log_atr_ratio",
    rows=lambda shop, periods: log_atr_ratio_rows(shop.shared(ATR, periods), periods),
    reach=lambda bars, periods: 4 * periods + 1,
    last=_last_log_atr_ratio,
)

LOG_RETURN_DEVIATION = Indicator(
    "log_return_deviation",
    rows=lambda shop, periods: log_return_deviation_rows(shop.bars.close, periods),
    reach=one_bar_more,
    last=lambda shop, periods: last_return_deviations(shop.column("close"), shop.assets, shop.ends, periods),
)


def _volatility_ratio(shop: Workshop, periods: Keys) -> Rows:
    short, long = (shop.make(LOG_RETURN_DEVIATION, windows) for windows in (periods, 4 * periods))
    return volatility_ratio_rows(short, long)


def _last_volatility_ratio(shop: AbreastWorkshop, periods: Keys) -> Rows:
    short, long = (shop.newest_of(LOG_RETURN_DEVIATION, windows) for windows in (periods, 4 * periods))
    return volatility_ratio_rows(short, long)


VOLATILITY_RATIO = Indicator(
    "volatility_ratio",
    rows=_volatility_ratio,
    reach=lambda bars, periods: 4 * periods + 1,
    last=_last_volatility_ratio,
)
