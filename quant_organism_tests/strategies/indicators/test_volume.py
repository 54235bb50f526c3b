"""Volume-weighted prices against pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies.indicators.volume import typical_price, vwap_rows
from quant_organism_tests.strategies.indicators.series import (
    Frames,
    assert_row,
    random_frames,
    real_frames,
    rolling_mean,
    values,
)

PERIODS = np.array([1, 10, 37, 200])


def check(frames: Frames) -> None:
    """Compare means and deviations."""
    for frame in frames:
        price = (frame["high"] + frame["low"] + frame["close"]) / 3
        computed = typical_price(values(frame, "high"), values(frame, "low"), values(frame, "close"))
        assert_row(computed, price, 0)
        means, deviations = vwap_rows(computed, values(frame, "volume"), PERIODS)
        for mean, deviation, period in zip(means, deviations, PERIODS, strict=True):
            volume = rolling_mean(frame["volume"], period)
            vwap = rolling_mean(price * frame["volume"], period) / volume
            vwap = vwap.where(volume > 0, rolling_mean(price, period))
            assert_row(mean, vwap, period - 1)
            weights = [w if w.sum() else w + 1 for w in frame["volume"].rolling(period)]
            windows = [x.to_numpy() for x in price.rolling(period)]
            variance = [
                np.average((x - m) ** 2, weights=w) for x, w, m in zip(windows, weights, vwap.bfill(), strict=True)
            ]
            # Where all prices are equal, pandas is left with rounding of the order of 1e-16 of the price.
            assert_row(deviation, pd.Series(np.sqrt(variance)), period - 1, atol=1e-15 * price.max())


def test_vwap() -> None:
    check(random_frames())


def test_vwap_on_real_bars(shared_market: Path) -> None:
    check(real_frames(shared_market))


@settings(deadline=None)
@given(
    price=st.floats(1e-6, 1e6),
    volume=st.lists(st.floats(0, 1e9), min_size=1, max_size=40),
    period=st.integers(1, 20),
)
def test_one_price_is_its_own_average_without_deviation(price: float, volume: list[float], period: int) -> None:
    prices = np.full(len(volume), price)
    mean, deviation = vwap_rows(prices, np.array(volume), np.array([period]))[:, 0, period - 1 :]
    assert (mean == price).all()
    assert not deviation.any()


def test_a_longer_history_changes_no_bit() -> None:
    frame = random_frames()[2]
    price, volume = values(frame, "close"), values(frame, "volume")
    late = vwap_rows(price[150:], volume[150:], PERIODS[:3])
    np.testing.assert_array_equal(vwap_rows(price, volume, PERIODS[:3])[:, :, 186:], late[:, :, 36:])
