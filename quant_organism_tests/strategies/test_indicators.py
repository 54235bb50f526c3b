"""Indicators equal their formulas, written here in the most literal way."""

import numpy as np
import pytest
from numpy.typing import NDArray

from quant_organism.strategies.indicators.averages import ema_rows, mean_rows, rate_of_change_rows
from quant_organism.strategies.indicators.dispersion import bandwidth_rank_rows, deviation_rows, z_score_rows
from quant_organism.strategies.indicators.extremes import maximum_rows, minimum_rows
from quant_organism.strategies.indicators.oscillators import BEARISH, BULLISH, divergence_rows, rsi_rows
from quant_organism_tests.strategies.scenarios import noisy

Floats = NDArray[np.float64]

PERIODS = np.array([1, 2, 3, 5, 7, 8, 14, 33, 64, 165])
MARKET = noisy(3)
CLOSE = MARKET["close"]
N = CLOSE.size


def windows(x: Floats, period: int) -> list[Floats]:
    """Return the last `period` values at each bar from period - 1 on."""
    return [x[t - period + 1 : t + 1] for t in range(period - 1, x.size)]


def assert_rows(rows: Floats, first: list[int], values: list[list[float]]) -> None:
    """Compare each row from its first bar on; before it there is nothing."""
    for row, start, expected in zip(rows, first, values, strict=True):
        assert np.isnan(row[:start]).all()
        np.testing.assert_allclose(row[start:], expected, rtol=1e-9)


def test_means_and_extremes_of_windows() -> None:
    first = [p - 1 for p in PERIODS]
    assert_rows(mean_rows(CLOSE, PERIODS), first, [[w.mean() for w in windows(CLOSE, p)] for p in PERIODS])
    highest = [[w.max() for w in windows(CLOSE, p)] for p in PERIODS]
    lowest = [[w.min() for w in windows(CLOSE, p)] for p in PERIODS]
    np.testing.assert_array_equal(maximum_rows(CLOSE, PERIODS)[4, 6:], highest[4])
    assert_rows(maximum_rows(CLOSE, PERIODS), first, highest)
    assert_rows(minimum_rows(CLOSE, PERIODS), first, lowest)


def test_lagged_rows_exclude_the_bar_itself() -> None:
    first = list(PERIODS)
    highest = [[CLOSE[t - p : t].max() for t in range(p, N)] for p in PERIODS]
    assert_rows(maximum_rows(CLOSE, PERIODS, 1), first, highest)
    assert_rows(minimum_rows(-CLOSE, PERIODS, 1), first, [[-value for value in row] for row in highest])
    assert_rows(mean_rows(CLOSE, PERIODS, 1), first, [[CLOSE[t - p : t].mean() for t in range(p, N)] for p in PERIODS])


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_windows_longer_than_the_history_have_no_value(n: int) -> None:
    for rows in (mean_rows, maximum_rows, minimum_rows):
        assert np.isnan(rows(CLOSE[:n], np.array([10, 40]), 1)).all()


def test_deviation_and_z_score() -> None:
    periods = PERIODS[1:]
    mean = mean_rows(CLOSE, periods)
    deviation = deviation_rows(CLOSE, periods, 0)
    assert_rows(deviation, [p - 1 for p in periods], [[w.std() for w in windows(CLOSE, p)] for p in periods])
    expected = [[(w[-1] - w.mean()) / w.std() for w in windows(CLOSE, p)] for p in periods]
    for row, p, values in zip(z_score_rows(CLOSE, mean, deviation), periods, expected, strict=True):
        np.testing.assert_allclose(row[p - 1 :], values, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("price", [0.1, 97.3, 61_234.56789])
def test_a_repeated_price_has_no_deviation(price: float) -> None:
    flat = np.full(60, price)
    assert not np.nan_to_num(deviation_rows(flat, PERIODS[:8], 0)).any()


def test_ema() -> None:
    expected = []
    for p in PERIODS:
        average = [CLOSE[:p].mean()]
        for value in CLOSE[p:]:
            average.append(average[-1] + 2 / (p + 1) * (value - average[-1]))
        expected.append(average)
    assert_rows(ema_rows(CLOSE, PERIODS), [p - 1 for p in PERIODS], expected)


def test_rate_of_change() -> None:
    expected = [[CLOSE[t] / CLOSE[t - p] - 1 for t in range(p, N)] for p in PERIODS]
    rows = rate_of_change_rows(CLOSE, PERIODS)
    for row, p, values in zip(rows, PERIODS, expected, strict=True):
        np.testing.assert_array_equal(row[p:], values)


def wilder_rsi(close: Floats, p: int) -> list[float]:
    """Return Wilder's index from bar p on."""
    change = np.diff(close)
    gain, loss = np.maximum(change[:p], 0).mean(), np.maximum(-change[:p], 0).mean()
    index = [100 * gain / (gain + loss)]
    for step in change[p:]:
        gain += (max(step, 0) - gain) / p
        loss += (max(-step, 0) - loss) / p
        index.append(100 * gain / (gain + loss))
    return index


def test_rsi() -> None:
    assert_rows(rsi_rows(CLOSE, PERIODS[1:]), list(PERIODS[1:]), [wilder_rsi(CLOSE, p) for p in PERIODS[1:]])
    assert rsi_rows(np.full(9, 5.0), np.array([4]))[0, 4:].tolist() == [50.0] * 5


def test_divergences() -> None:
    periods = np.array([5, 14, 30])
    index = rsi_rows(CLOSE, periods)
    found = divergence_rows(CLOSE, CLOSE, index, periods, 1)
    for k, p in enumerate(periods):
        assert not found[k, : 3 * p - 1].any()
        for t in range(3 * p - 1, N):
            x, q = CLOSE[t - p + 1 : t + 1], index[k, t - p + 1 : t + 1]
            x0, q0 = CLOSE[t - 2 * p + 1 : t - p + 1], index[k, t - 2 * p + 1 : t - p + 1]
            bullish = x.min() < x0.min() and q.min() > q0.min()
            bearish = x.max() > x0.max() and q.max() < q0.max()
            assert found[k, t] == BULLISH * bullish + BEARISH * bearish
    assert {1, 2} <= set(found.ravel().tolist())


def test_bandwidth_rank() -> None:
    periods = np.array([10, 17])
    mean = mean_rows(CLOSE, periods)
    deviation = deviation_rows(CLOSE, periods, 0)
    found = bandwidth_rank_rows(deviation / mean, periods)
    for k, p in enumerate(periods):
        bandwidth = 2 * deviation[k] / mean[k]
        assert not found[k, : 6 * p - 1].any()
        for t in range(6 * p - 1, N):
            assert found[k, t] == (bandwidth[t - 5 * p : t] < bandwidth[t - 1]).sum()


def test_rows_of_a_longer_history_are_the_same_bits() -> None:
    for rows in (mean_rows, maximum_rows, ema_rows, rsi_rows):
        np.testing.assert_array_equal(rows(CLOSE[:200], PERIODS), rows(CLOSE, PERIODS)[:, :200])
