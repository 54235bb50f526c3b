"""True ranges against pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quant_organism.strategies.indicators.volatility import atr_rows, log_atr_ratio_rows, true_range
from quant_organism_tests.strategies.indicators.series import (
    Frames,
    assert_row,
    random_frames,
    real_frames,
    rolling_mean,
    values,
)

PERIODS = np.array([1, 5, 14, 30])


def true_ranges(frame: pd.DataFrame) -> pd.Series:
    """Return the widest of the bar's range and its distances from the close before."""
    before = frame["close"].shift()
    spans = [frame["high"] - frame["low"], (frame["high"] - before).abs(), (frame["low"] - before).abs()]
    return pd.concat(spans, axis=1).max(axis=1)


def wilder(x: pd.Series, period: int) -> pd.Series:
    """Return Wilder's average, seeded with the mean of values 1 to period."""
    seeded = x.copy()
    seeded.iloc[period] = x.iloc[1 : period + 1].mean()
    return seeded.iloc[period:].ewm(alpha=1 / period, adjust=False).mean().reindex(x.index)


def check(frames: Frames) -> None:
    """Compare ranges, averages and ratios."""
    for frame in frames:
        reach = true_range(values(frame, "high"), values(frame, "low"), values(frame, "close"))
        assert_row(reach, true_ranges(frame), 0)
        rows = atr_rows(reach, PERIODS)
        ratios = log_atr_ratio_rows(rows, PERIODS)
        for row, ratio, period in zip(rows, ratios, PERIODS, strict=True):
            average = wilder(true_ranges(frame), period)
            assert_row(row, average, period, atol=1e-12)
            mean = rolling_mean(average, 3 * period)
            expected = (average / mean).where(mean > 0, 1.0).clip(0.5, 2.0)
            assert_row(np.exp(ratio), expected, 4 * period - 1)


def test_true_ranges_and_their_averages() -> None:
    check(random_frames())


def test_true_ranges_and_their_averages_on_real_bars(shared_market: Path) -> None:
    check(real_frames(shared_market))


def test_the_first_bar_has_no_close_before_it() -> None:
    # Bar 0 spans 8. Bar 1 gaps up: 104 - 98 = 6 > 2. Bar 2 gaps down: 104 - 97 = 7 > 3. Mean of bars 1 and 2: 6.5.
    high, low, close = np.array([[105.0, 104, 100, 99], [97, 102, 97, 98], [98, 104, 98, 99]])
    reach = true_range(high, low, close)
    assert reach.tolist() == [8, 6, 7, 1]
    assert atr_rows(reach, np.array([2]))[0, 2:].tolist() == [6.5, 6.5 + (1 - 6.5) / 2]


def test_without_any_range_the_ratio_is_one() -> None:
    still = np.full(40, 3.7)
    rows = atr_rows(true_range(still, still, still), np.array([5]))
    assert not rows[0, 5:].any()
    assert not log_atr_ratio_rows(rows, np.array([5]))[0, 19:].any()


@pytest.mark.parametrize("n", [0, 1, 2, 5, 19])
def test_periods_longer_than_the_history_have_no_value(n: int) -> None:
    reach = true_range(np.full(n, 3.0), np.full(n, 2.0), np.full(n, 2.5))
    rows = atr_rows(reach, np.array([5, 30]))
    assert np.isnan(rows[:, :5]).all()
    assert np.isnan(log_atr_ratio_rows(rows, np.array([5, 30]))).all()
