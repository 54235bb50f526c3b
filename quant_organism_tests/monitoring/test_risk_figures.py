"""Figures of daily returns against independent formulas: pandas, scipy, and walks by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from quant_organism.monitoring.risk_figures import (
    drawdown_spells,
    histogram,
    return_figures,
    rolling_beta,
    rolling_sharpe,
)

RETURNS = np.random.default_rng(5).standard_t(4, 300) * 0.01
MARKET = 0.4 * RETURNS + np.random.default_rng(6).normal(0.0, 0.01, 300)

returns = st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=40).map(np.array)


def test_tails_and_moments_are_those_of_pandas_and_scipy() -> None:
    found, series = return_figures(RETURNS), pd.Series(RETURNS)
    worst = series.quantile(0.05)
    assert found.value_at_risk == pytest.approx(-worst)
    assert found.expected_shortfall == pytest.approx(-series[series <= worst].mean())
    assert found.skew == pytest.approx(float(stats.skew(RETURNS, bias=False)))
    assert found.excess_kurtosis == pytest.approx(float(stats.kurtosis(RETURNS, bias=False)))
    assert found.tail_ratio == pytest.approx(series.quantile(0.95) / -worst)
    assert found.profit_factor == pytest.approx(series.clip(lower=0).sum() / -series.clip(upper=0).sum())
    assert found.gain_to_pain == pytest.approx(found.profit_factor - 1.0)
    assert found.kelly == pytest.approx(series.mean() / series.var())
    below = 1.0 - (1 + series).cumprod() / (1 + series).cumprod().cummax().clip(lower=1.0)
    assert found.ulcer_index == pytest.approx(math.sqrt((below**2).mean()))
    assert found.recovery_factor == pytest.approx(((1 + series).prod() - 1) / below.max())


def test_rolling_ratios_are_those_of_pandas() -> None:
    series, market = pd.Series(RETURNS), pd.Series(MARKET)
    sharpe = series.rolling(30).mean() / series.rolling(30).std() * math.sqrt(365)
    beta = series.rolling(30).cov(market) / market.rolling(30).var()
    np.testing.assert_allclose(rolling_sharpe(RETURNS, 30), sharpe.to_numpy())
    np.testing.assert_allclose(rolling_beta(RETURNS, MARKET, 30), beta.to_numpy())


def test_a_ratio_of_days_that_do_not_vary_or_are_too_few_is_undefined() -> None:
    assert np.isnan(rolling_sharpe(np.zeros(5), 3)).all()
    assert np.isnan(rolling_beta(RETURNS[:5], np.zeros(5), 3)).all()
    assert np.isnan(rolling_sharpe(RETURNS[:5], 9)).all()


def test_drawdowns_by_hand() -> None:
    deepest, other, last = drawdown_spells(np.array([0.1, -0.1, 0.2, -0.5, 1.5, -0.2]))
    assert (deepest.peak, deepest.bottom, deepest.recovered, deepest.depth) == (2, 3, 4, pytest.approx(0.5))
    assert (other.peak, other.bottom, other.recovered, other.depth) == (4, 5, None, pytest.approx(0.2))
    assert (last.peak, last.bottom, last.recovered, last.depth) == (0, 1, 2, pytest.approx(0.1))
    (from_the_start,) = drawdown_spells(np.array([-0.1]))
    assert (from_the_start.peak, from_the_start.recovered) == (-1, None)
    assert return_figures(np.array([0.1, -0.1, 0.2, -0.5, 1.5, -0.2])).days_under_water == 2


@given(returns)
def test_the_deepest_drawdown_is_that_of_every_pair_of_days(values: np.ndarray) -> None:
    equity = [1.0, *np.cumprod(1.0 + values)]
    deepest = max(1.0 - low / high for day, high in enumerate(equity) for low in equity[day:])
    spells = drawdown_spells(values)
    assert max((spell.depth for spell in spells), default=0.0) == pytest.approx(deepest, abs=1e-12)
    assert [spell.depth for spell in spells] == sorted((spell.depth for spell in spells), reverse=True)


@given(returns)
def test_every_day_is_in_one_bin_and_bins_lie_evenly_about_nothing(values: np.ndarray) -> None:
    edges, counts = histogram(values, bins=11)
    assert sum(counts) == values.size
    assert edges == pytest.approx([-edge for edge in reversed(edges)])
