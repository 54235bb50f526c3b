"""Straightness of price and closes beyond their average, against pandas."""

from pathlib import Path

import numpy as np

from quant_organism.strategies.indicators.averages import mean_rows
from quant_organism.strategies.indicators.trend import count_above_rows, efficiency_ratio_rows
from quant_organism_tests.strategies.indicators.series import (
    Frames,
    assert_row,
    random_frames,
    real_frames,
    rolling_mean,
    values,
)

PERIODS = np.array([1, 10, 33, 200])


def check(frames: Frames) -> None:
    """Compare ratios and counts."""
    for frame in frames:
        close = frame["close"]
        for row, period in zip(efficiency_ratio_rows(values(frame, "close"), PERIODS), PERIODS, strict=True):
            way = close.diff().abs().rolling(period).apply(np.sum, raw=True)
            assert_row(row, (close.diff(period).abs() / way).where(way > 0, 0.0), period, atol=1e-13)
        rows = mean_rows(values(frame, "close"), PERIODS)
        for sign in (1, -1):
            counts = count_above_rows(values(frame, "close"), rows, sign)
            for row, period in zip(counts, PERIODS, strict=True):
                away = sign * (close - rolling_mean(close, period))
                expected = (away > 1e-12 * close).cumsum()
                np.testing.assert_array_equal(row, expected)


def test_efficiency_and_counts() -> None:
    check(random_frames())


def test_efficiency_and_counts_on_real_bars(shared_market: Path) -> None:
    check(real_frames(shared_market))


def test_a_straight_line_is_wholly_efficient_and_rest_is_not() -> None:
    line = 0.1 + 0.1 * np.arange(300)
    ratios = efficiency_ratio_rows(line, np.array([10, 77]))
    assert np.nanmax(ratios) <= 1
    np.testing.assert_allclose(ratios[1, 77:], 1)
    assert not efficiency_ratio_rows(np.full(50, 0.1), np.array([10]))[0, 10:].any()


def test_a_price_at_rest_equals_every_average_of_it() -> None:
    for price in (0.1, 1 / 3, 97.31, 61_234.56789):
        rows = mean_rows(np.full(400, price), np.arange(1, 300))
        assert (rows[~np.isnan(rows)] == price).all()
