"""The stochastic oscillator and middle lines against pandas."""

from pathlib import Path

import numpy as np
import pandas as pd

from quant_organism.strategies import AssetBars
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.indicators.extremes import CLOSE_BREAKOUT, MIDRANGE
from quant_organism.strategies.indicators.indicator import Indicator, pair
from quant_organism.strategies.indicators.oscillators import (
    BEARISH,
    BULLISH,
    STOCHASTIC_CROSSING,
    STOCHASTIC_D,
    STOCHASTIC_DIVERGENCE,
    STOCHASTIC_K,
)
from quant_organism_tests.strategies.indicators.series import (
    Frames,
    assert_row,
    random_frames,
    real_frames,
    rolling_mean,
    values,
)

PERIODS = np.array([5, 14, 30])
SMOOTHINGS = np.array([3, 7, 2])


def bank_of(frame: pd.DataFrame) -> IndicatorBank:
    """Build every indicator of this file."""
    names = ["open", "high", "low", "close", "volume"]
    numbers = np.arange(len(frame))
    bars = AssetBars(*(values(frame, name) for name in names), np.zeros(len(frame)), numbers, 1.0)
    smoothed = pair(PERIODS, SMOOTHINGS)
    plain = [STOCHASTIC_K, STOCHASTIC_DIVERGENCE, MIDRANGE, CLOSE_BREAKOUT]
    needs = dict.fromkeys(plain, PERIODS) | {STOCHASTIC_D: smoothed, STOCHASTIC_CROSSING: smoothed}
    return IndicatorBank(bars, needs)


def check(frames: Frames) -> None:
    """Compare oscillator, smoothing, crossings, divergences, middle lines and breakouts."""
    for frame in frames:
        bank = bank_of(frame)
        for k, d in zip(PERIODS, SMOOTHINGS, strict=True):
            highest, lowest = frame["high"].rolling(k).max(), frame["low"].rolling(k).min()
            index = (100 * (frame["close"] - lowest) / (highest - lowest)).where(highest != lowest, 50.0)
            assert_row(row(bank, STOCHASTIC_K, k), index.where(highest.notna()), k - 1)
            assert_row(row(bank, STOCHASTIC_D, pair(k, d)), rolling_mean(index, d), k + d - 2, atol=1e-12)
            assert_row(row(bank, MIDRANGE, k), (highest + lowest) / 2, k - 1)
            close = frame["close"]
            broken = (close > close.rolling(k).max().shift()) * 1 - (close < close.rolling(k).min().shift())
            np.testing.assert_array_equal(row(bank, CLOSE_BREAKOUT, k), broken)
            x, level = (pd.Series(row(bank, indicator, key)) for indicator, key in lines(k, d))
            up = (x.shift() <= level.shift()) & (x > level)
            down = (x.shift() >= level.shift()) & (x < level)
            np.testing.assert_array_equal(row(bank, STOCHASTIC_CROSSING, pair(k, d)), BULLISH * up + BEARISH * down)
            low, high, index_low, index_high = lowest, highest, x.rolling(k).min(), x.rolling(k).max()
            bullish = (low < low.shift(k)) & (index_low > index_low.shift(k))
            bearish = (high > high.shift(k)) & (index_high < index_high.shift(k))
            expected = BULLISH * bullish + BEARISH * bearish
            np.testing.assert_array_equal(row(bank, STOCHASTIC_DIVERGENCE, k), expected)
            assert not expected[: 3 * k - 2].any()
            assert {1, 2} <= set(expected)


def lines(k: int, d: int) -> list[tuple[Indicator, int]]:
    """Name %K and %D."""
    return [(STOCHASTIC_K, k), (STOCHASTIC_D, pair(k, d))]


def row(bank: IndicatorBank, indicator: Indicator, key: int) -> np.ndarray:
    """Return one row."""
    rows, number = bank.rows(indicator, np.array([key]))
    return np.asarray(rows[number[0]])


def test_stochastic_oscillator_and_middle_lines() -> None:
    check(random_frames())


def test_stochastic_oscillator_and_middle_lines_on_real_bars(shared_market: Path) -> None:
    check(real_frames(shared_market))


def test_a_resting_oscillator_is_crossed_by_nothing() -> None:
    # %K stays at one value that no binary fraction holds, so its mean must be that value and not one beside it.
    close = np.array([100.0, 103, 101, *[101.0] * 20])
    frame = pd.DataFrame({"open": close, "high": 103.0, "low": 100.0, "close": close, "volume": 1.0})
    bank = bank_of(frame)
    assert row(bank, STOCHASTIC_K, 5)[10] == 100 / 3
    assert not row(bank, STOCHASTIC_CROSSING, pair(5, 3))[9:].any()
    assert not row(bank, STOCHASTIC_CROSSING, pair(14, 7)).any()
