"""The twenty features equal pandas expressions, on random and on real bars."""

from pathlib import Path

import numpy as np
import pandas as pd

from quant_organism.strategies.learning.features import forward_returns
from quant_organism.strategies.learning.walk_forward import FIRST_BAR
from quant_organism_tests.strategies.indicators.series import random_frames, real_frames
from quant_organism_tests.strategies.learning.shops import features_of


def wilder(x: pd.Series, period: int) -> pd.Series:
    """Return Wilder's average of x[1:], seeded with the mean of its first values."""
    average = pd.Series(np.nan, x.index)
    average[period] = x[1 : period + 1].mean()
    for t in range(period + 1, len(x)):
        average[t] = average[t - 1] + (x[t] - average[t - 1]) / period
    return average


def ema(x: pd.Series, period: int) -> pd.Series:
    """Return the exponential average, seeded with the mean of the first values."""
    seeded = x.copy()
    seeded[: period - 1] = np.nan
    seeded[period - 1] = x[:period].mean()
    return seeded.ewm(span=period, adjust=False).mean()


def ratio(above: pd.Series, below: pd.Series) -> pd.Series:
    return (above / below.where(below != 0)).fillna(0.0)


def deviation(x: pd.Series, period: int) -> pd.Series:
    """Return the deviation of each window; of equal values it is exactly none."""
    windows = x.rolling(period)
    own = windows.apply(lambda w: np.std(w) if np.ptp(w) else 0.0, raw=True)
    return own.where(own >= 1e-12 * windows.apply(lambda w: abs(np.mean(w)), raw=True), 0.0).where(own.notna())


def mean(x: pd.Series, period: int) -> pd.Series:
    return x.rolling(period).apply(np.mean, raw=True)


def expected(frame: pd.DataFrame) -> list[pd.Series]:
    """Return the features in their order, as they are written in the reference."""
    o, h, low, c, v = (frame[name].astype(float) for name in ("open", "high", "low", "close", "volume"))
    change, r = c.diff(), np.log(c / c.shift())
    gain, loss = wilder(change.clip(lower=0), 14), wilder((-change).clip(lower=0), 14)
    reach = pd.concat([h - low, (h - c.shift()).abs(), (low - c.shift()).abs()], axis=1).max(axis=1)
    h14, l14, h20, l20 = h.rolling(14).max(), low.rolling(14).min(), h.rolling(20).max(), low.rolling(20).min()
    typical = (h + low + c) / 3
    traded = v.rolling(24).apply(np.sum, raw=True)
    weighted = (typical * v).rolling(24).apply(np.sum, raw=True) / traded.where(traded > 0)
    vwap = weighted.fillna(mean(typical, 24))
    walked = change.abs().rolling(24).apply(np.sum, raw=True)
    return [
        r,
        np.log(c / c.shift(3)),
        np.log(c / c.shift(6)),
        np.log(c / c.shift(12)),
        np.log(c / c.shift(24)),
        (gain / (gain + loss)).where(gain + loss > 0, 0.5) - 0.5,
        ema(c, 12) / ema(c, 26) - 1,
        ratio(c - mean(c, 20), deviation(c, 20)),
        wilder(reach, 14) / c,
        deviation(r, 24),
        ratio(v, mean(v, 24)) - 1,
        ((c - l14) / (h14 - l14)).where(h14 > l14, 0.5) - 0.5,
        ratio(c - l20, h20 - l20) - 0.5,
        np.log(c / c.shift(48)),
        np.log(c / c.shift(72)),
        ratio((c - c.shift(24)).abs(), walked),
        (h - low) / c,
        ratio(c - o, h - low),
        ratio(deviation(r, 6), deviation(r, 24)),
        c / vwap - 1,
    ]


def check(frames: list[pd.DataFrame]) -> None:
    for frame in frames:
        found = features_of(
            {name: np.array(frame[name], dtype=float) for name in ("open", "high", "low", "close", "volume")}
        )
        for row, series in zip(found, expected(frame), strict=True):
            np.testing.assert_allclose(row[FIRST_BAR:], series.to_numpy()[FIRST_BAR:], rtol=1e-10, atol=1e-13)


def test_features_on_random_bars() -> None:
    check(random_frames())


def test_features_on_real_bars(shared_market: Path) -> None:
    check(real_frames(shared_market))


def test_forward_returns_end_with_the_bars() -> None:
    found = forward_returns(np.array([1.0, 2.0, 8.0]), 1)
    np.testing.assert_allclose(found, [np.log(2), np.log(4), np.nan], rtol=1e-15)
    assert np.isnan(forward_returns(np.array([1.0, 2.0]), 6)).all()
