"""The twenty features that models are fitted on, all free of units of price and volume."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.indicators.averages import ema_onward, lagged_mean_rows
from quant_organism.strategies.indicators.dispersion import deviation_rows, z_score_rows
from quant_organism.strategies.indicators.extremes import extreme_rows
from quant_organism.strategies.indicators.indicator import (
    AbreastTable,
    AbreastWorkshop,
    Indicator,
    Onward,
    Workshop,
)
from quant_organism.strategies.indicators.oscillators import rsi_onward, stochastic_k_rows
from quant_organism.strategies.indicators.trend import efficiency_ratio_rows
from quant_organism.strategies.indicators.volatility import atr_onward, log_returns, true_range
from quant_organism.strategies.indicators.volume import typical_price, vwap_rows
from quant_organism.strategies.store import Keys, Rows

Floats = NDArray[np.float64]

LONGEST_LAG = 72
"""Bars before its own that a feature is made of, beside what its averages remember."""

_LONGEST_WINDOW = 24
_N_FEATURES = 20

_NO_SCALE = 1e-10
"""A feature with a standard deviation up to this is constant but for rounding."""


_LEFT = 5
"""Numbers that the bars so far leave for features that never forget: exponential averages of 12 and 26 bars, gain and
loss of 14, true range of 14."""


def feature_rows(bars: AssetBars) -> Floats:
    """Return all features in their fixed order, shape (20, n); NaN before each one's first bar."""
    return _features(bars, np.zeros(_LEFT))


def _features(bars: AssetBars, left: Floats) -> Floats:
    # `left` is moved on from zeros to the last bar.
    rows = _all_but_logarithms(bars.open, bars.high, bars.low, bars.close, bars.volume, 0, bars.close.size, left)
    # The logarithms of NumPy and of compiled code differ in the last bit.
    for changes in (rows[:5], rows[13:15]):
        np.log(changes, out=changes)
    return rows


@compiled
def _all_but_logarithms(
    opens: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    begin: int,
    new: int,
    left: Floats,
) -> Floats:
    # The features of the last `new` bars, of which the first has number `begin`; in the place of log changes the ratios
    # that they are the logarithms of. `left` is moved on.
    ema, rsi, atr = left[:2], left[2:4].reshape(2, 1), left[4:]
    lead = close.size - new
    rows = np.empty((_N_FEATURES, new))
    for place, lag in ((0, 1), (1, 3), (2, 6), (3, 12), (4, 24), (13, 48), (14, LONGEST_LAG)):
        for i in range(new):
            rows[place, i] = close[lead + i] / close[lead + i - lag] if lead + i >= lag else np.nan
    before = close[lead - 1] if lead > 0 else np.nan
    average = ema_onward(close[lead:], begin, np.array([12, 26]), ema)
    strength = rsi_onward(close[lead:], before, begin, np.array([14]), rsi)
    prior = max(lead - 1, 0)
    reach = true_range(high[prior:], low[prior:], close[prior:])[lead - prior :]
    ranges = atr_onward(reach, begin, np.array([14]), atr)

    # Windows need no more than the bars that the longest of them reaches back to.
    near = max(lead - _LONGEST_WINDOW, 0)
    highs, lows, closes, volumes = high[near:], low[near:], close[near:], volume[near:]
    short, day, channels = np.array([20]), np.array([24]), np.array([14, 20])
    z_score = z_score_rows(closes, lagged_mean_rows(closes, short, 0), deviation_rows(closes, short, 0))
    deviation = deviation_rows(log_returns(closes), np.array([6, 24]), min(1, closes.size))
    mean_volume = lagged_mean_rows(volumes, day, 0)
    top, bottom = extreme_rows(highs, channels, 0, 1.0), extreme_rows(lows, channels, 0, -1.0)
    stochastic = stochastic_k_rows(closes, top, bottom)
    efficiency = efficiency_ratio_rows(closes, day)
    vwap = vwap_rows(typical_price(highs, lows, closes), volumes, day)[0]
    for i in range(new):
        t = lead - near + i
        span = highs[t] - lows[t]
        rows[5, i] = strength[0, i] / 100.0 - 0.5
        rows[6, i] = average[0, i] / average[1, i] - 1.0
        rows[7, i] = z_score[0, t]
        rows[8, i] = ranges[0, i] / closes[t]
        rows[9, i] = deviation[1, t]
        rows[10, i] = _ratio(volumes[t], mean_volume[0, t]) - 1.0
        rows[11, i] = stochastic[0, t] / 100.0 - 0.5
        rows[12, i] = _ratio(closes[t] - bottom[1, t], top[1, t] - bottom[1, t]) - 0.5
        rows[15, i] = efficiency[0, t]
        rows[16, i] = span / closes[t]
        rows[17, i] = _ratio(closes[t] - opens[near + t], span)
        rows[18, i] = _ratio(deviation[0, t], deviation[1, t])
        rows[19, i] = closes[t] / vwap[0, t] - 1.0
    return rows


@compiled
def _abreast(
    opens: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    width: int,
    begins: NDArray[np.int64],
    assets: NDArray[np.int64],
    left: Floats,
) -> Floats:
    # As `_all_but_logarithms`, of the last bar of each asset, shape (20, A).
    rows = np.empty((_N_FEATURES, assets.size))
    for i in range(assets.size):
        begin, end = i * width, (i + 1) * width
        rows[:, i] = _all_but_logarithms(
            opens[begin:end],
            high[begin:end],
            low[begin:end],
            close[begin:end],
            volume[begin:end],
            begins[i],
            1,
            left[assets[i]],
        )[:, 0]
    return rows


def _features_abreast(shop: AbreastWorkshop, _: Keys, left: Floats) -> Rows:
    bars = shop.bars
    rows = _abreast(bars.open, bars.high, bars.low, bars.close, bars.volume, shop.width, shop.known, shop.assets, left)
    for changes in (rows[:5], rows[13:15]):
        np.log(changes, out=changes)
    return rows.T[:, np.newaxis]


FEATURES: Final = Indicator(
    "features",
    rows=lambda shop, _: feature_rows(shop.bars)[np.newaxis],
    reach=lambda bars, keys: np.full_like(keys, LONGEST_LAG + 1),
    onward=Onward(
        start=lambda shop, _: np.zeros(_LEFT),
        rows=lambda shop, _, left: _features(shop.bars, left)[np.newaxis],
        abreast=_features_abreast,
    ),
)
"""All features together, shape (1, 20, n), under the one key of `FEATURES_KEY`."""

FEATURES_KEY: Final = np.zeros(1, dtype=np.int64)


def features_of(shop: Workshop) -> Floats:
    """Return the features of a workshop's bars, shape (20, n)."""
    return np.asarray(shop.make(FEATURES, FEATURES_KEY)[0])


def features_abreast(shop: AbreastWorkshop) -> AbreastTable:
    """Return the features of each asset, one column (1, 20) per bar, up to the last bar."""
    return shop.grown(FEATURES, FEATURES_KEY)


@compiled
def _ratio(above: float, below: float) -> float:
    return above / below if below != 0.0 else 0.0


def log_change(close: Floats, lag: int) -> Floats:
    """Return ln(close[t] / close[t - lag]), shape (n,); NaN before bar lag."""
    row = np.full(close.size, np.nan)
    row[lag:] = np.log(close[lag:] / close[:-lag])
    return row


def forward_returns(close: Floats, horizon: int) -> Floats:
    """Return ln(close[t + horizon] / close[t]), shape (n,); NaN on the last `horizon` bars."""
    row = np.full(close.size, np.nan)
    row[: max(close.size - horizon, 0)] = log_change(close, horizon)[horizon:]
    return row


@compiled
def standardise(features: Floats, count: int, begin: int, end: int) -> tuple[Floats, Floats]:
    """Centre and scale the first `count` features over the training rows `begin` to `end`.

    Parameters
    ----------
    features
        Shape (20, n).
    count, begin, end
        How many features, and the rows from which alone means and scales are taken.

    Returns
    -------
    The standardised rows, shape (end - begin, count), and means and scales, shape (2, count). The scale of a constant
    feature is infinite, which makes it 0.
    """
    rows = end - begin
    scaled = np.empty((rows, count))
    moments = np.empty((2, count))
    for j in range(count):
        values = features[j, begin:end]
        mean = 0.0
        for i in range(rows):
            mean += values[i]
        mean /= rows
        squares = 0.0
        for i in range(rows):
            squares += (values[i] - mean) ** 2
        scale = np.sqrt(squares / rows)
        if scale <= _NO_SCALE:
            scale = np.inf
        for i in range(rows):
            scaled[i, j] = (values[i] - mean) / scale
        moments[0, j] = mean
        moments[1, j] = scale
    return scaled, moments
