"""Deviations of returns, kernel regression, mean funding and pivots equal pandas expressions, on real bars too."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray

from quant_organism.strategies import AssetBars
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.indicators.averages import KERNEL_REGRESSION, MEAN_FUNDING_RATE
from quant_organism.strategies.indicators.indicator import Indicator, pair
from quant_organism.strategies.indicators.swings import (
    HIGHEST_CLOSE,
    HIGHEST_HIGH_LOW,
    SWING_DETECTION,
    SWING_END,
    SWING_START,
    pivot_age_rows,
)
from quant_organism.strategies.indicators.volatility import LOG_RETURN_DEVIATION, VOLATILITY_RATIO
from quant_organism_tests.strategies.scenarios import Columns, noisy

Floats = NDArray[np.float64]

PERIODS = np.array([3, 10, 33, 160])
MARKETS = ("random", "BTC", "DOGE")


def market(name: str, folder: Path) -> Columns:
    """Return 400 random bars, or 3,000 real ones of an hour."""
    if name == "random":
        return noisy(3)
    bars = pl.read_parquet(folder / "binance_perp_1h" / f"{name}.parquet").head(3000)
    columns = {column: bars[column].to_numpy(writable=True) for column in ("open", "high", "low", "close", "volume")}
    return columns | {"funding_rate": noisy(5, bars.height)["funding_rate"]}


@pytest.fixture(scope="module", params=MARKETS)
def columns(request: pytest.FixtureRequest) -> Columns:
    """Return a market; the real ones where they are beside the checkout."""
    folder = request.getfixturevalue("shared_market") if request.param != "random" else Path()
    return market(request.param, folder)


def rows(columns: Columns, indicator: Indicator, keys: NDArray[np.int64], bar_hours: float = 1.0) -> Floats:
    """Return the rows of an indicator as a bank computes them."""
    bars = AssetBars(**columns, numbers=np.arange(columns["close"].size), bar_hours=bar_hours)
    return IndicatorBank(bars, {indicator: keys}).rows(indicator, keys)[0]


def assert_same(found: Floats, expected: pd.Series) -> None:
    """Compare a row with an expression, missing values included."""
    np.testing.assert_allclose(found, expected.to_numpy(), rtol=1e-10, atol=0)


def returns(columns: Columns) -> pd.Series:
    """Return log returns, missing on the first bar."""
    return np.log(pd.Series(columns["close"])).diff()


def test_deviation_of_log_returns(columns: Columns) -> None:
    for row, period in zip(rows(columns, LOG_RETURN_DEVIATION, PERIODS), PERIODS, strict=True):
        assert_same(row, returns(columns).rolling(period).apply(np.std, raw=True))


def test_volatility_ratio(columns: Columns) -> None:
    for row, period in zip(rows(columns, VOLATILITY_RATIO, PERIODS[:3]), PERIODS[:3], strict=True):
        short, long = (returns(columns).rolling(n).apply(np.std, raw=True) for n in (period, 4 * period))
        assert_same(row, (short / long).clip(0.25, 4.0))


def test_equal_prices_have_a_volatility_ratio_of_one() -> None:
    flat = {name: np.full(60, 0.1) for name in noisy(0)}
    row = rows(flat, VOLATILITY_RATIO, np.array([5]))[0]
    assert np.isnan(row[:20]).all()
    assert (row[20:] == 1.0).all()


@pytest.mark.parametrize("bar_hours", [0.5, 1.0, 4.0])
def test_mean_funding_rate_is_over_hours(columns: Columns, bar_hours: float) -> None:
    hours = np.array([1, 4, 24])
    for row, count in zip(rows(columns, MEAN_FUNDING_RATE, hours, bar_hours), hours, strict=True):
        bars = int(max(1, np.ceil(count / bar_hours)))
        expected = pd.Series(columns["funding_rate"]).rolling(bars).apply(np.mean, raw=True)
        np.testing.assert_allclose(row, expected, rtol=1e-10, atol=1e-18)


@pytest.mark.parametrize("kernel", [0, 1])
def test_kernel_regression(columns: Columns, kernel: int) -> None:
    bandwidths = np.array([3, 10, 40])
    for row, h in zip(rows(columns, KERNEL_REGRESSION, pair(bandwidths, kernel)), bandwidths, strict=True):
        age = np.arange(h)[::-1] if kernel else np.arange(3 * h + 1)[::-1]
        weights = 1 - (age / h) ** 2 if kernel else np.exp(-(age**2) / (2 * h**2))
        expected = pd.Series(columns["close"]).rolling(age.size)
        assert_same(row, expected.apply(np.average, raw=True, kwargs={"weights": weights}))


def pivot_ages(x: pd.Series, period: int, method: int) -> pd.Series:
    """Return how many bars ago the largest of the previous bars was, or the latest that stands out; 0 for none."""
    if method == SWING_DETECTION:
        beside = pd.concat([x.shift(k) for k in (-3, -2, -1, 1, 2, 3)], axis=1)
        stands_out = x.gt(beside.max(axis=1)) & beside.notna().all(axis=1)
        bar = pd.Series(np.arange(x.size, dtype=float))
        age = bar - bar.where(stands_out).ffill().shift(4)
        return age.where((age <= period - 3) & (bar >= period), 0.0)
    # Reversed, so that the most recent of equal values comes first.
    return (x.shift().rolling(period).apply(lambda window: window[::-1].argmax(), raw=True) + 1).fillna(0.0)


@pytest.mark.parametrize("method", [HIGHEST_CLOSE, HIGHEST_HIGH_LOW, SWING_DETECTION])
def test_pivots_and_swings(columns: Columns, method: int) -> None:
    rounded = columns | {name: np.round(columns[name] / columns["close"][0], 3) for name in ("high", "low")}
    close = pd.Series(rounded["close"])
    highs, lows = (close, close) if method == HIGHEST_CLOSE else (pd.Series(rounded[x]) for x in ("high", "low"))
    bar = pd.Series(np.arange(close.size))
    for period in (20, 57):
        key, parameters = np.array([pair(period, method)]), (np.array([period]), np.array([method]))
        high_age, low_age = pivot_ages(highs, period, method), pivot_ages(-lows, period, method)
        high, low, price = (rounded[name] for name in ("high", "low", "close"))
        np.testing.assert_array_equal(pivot_age_rows(high, price, *parameters)[0], high_age)
        np.testing.assert_array_equal(pivot_age_rows(-low, -price, *parameters)[0], low_age)
        upper = highs.reindex(bar - high_age.astype(int)).reset_index(drop=True)
        lower = lows.reindex(bar - low_age.astype(int)).reset_index(drop=True)
        swings = (high_age > 0) & (low_age > 0) & (high_age != low_age) & (upper > lower)
        rising = high_age < low_age
        np.testing.assert_array_equal(rows(rounded, SWING_START, key)[0], lower.where(rising, upper).where(swings))
        np.testing.assert_array_equal(rows(rounded, SWING_END, key)[0], upper.where(rising, lower).where(swings))
        assert swings.any()


def test_rows_of_a_longer_history_are_the_same_bits() -> None:
    whole = noisy(3)
    part = {name: values[:250] for name, values in whole.items()}
    for name, keys in {
        LOG_RETURN_DEVIATION: PERIODS,
        VOLATILITY_RATIO: PERIODS,
        MEAN_FUNDING_RATE: np.array([1, 24]),
        KERNEL_REGRESSION: pair(np.array([3, 40]), np.array([0, 1])),
        SWING_START: pair(np.array([20, 57]), np.array([1, 2])),
    }.items():
        np.testing.assert_array_equal(rows(part, name, keys), rows(whole, name, keys)[:, :250])
