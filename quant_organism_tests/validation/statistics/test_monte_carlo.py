"""Bands of Sharpe ratio and drawdown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.monte_carlo import (
    Bands,
    bootstrap_bands,
    drawdown_limit,
    max_drawdowns,
    trade_shuffle,
    trade_skip,
)

TRADES = np.array([0.03, -0.01, 0.02, -0.02, 0.0, 0.015, -0.005, 0.01, -0.03, 0.02, 0.04, -0.01])
KNOWN_RETURNS = np.array([0.01, -0.02, 0.015, 0, 0.005, -0.01, 0.02, -0.005, 0, 0.012])


def bands(found: Bands | NotRun) -> Bands:
    assert isinstance(found, Bands)
    return found


def test_drawdown_of_known_returns():
    assert max_drawdowns(KNOWN_RETURNS[None]) == pytest.approx([0.02])


@given(st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=20))
def test_drawdown_is_a_share_of_equity(returns):
    assert 0 <= max_drawdowns(np.array([returns]))[0] <= 1


@pytest.mark.parametrize(("returns", "expected"), [([0.1, 0.2], 0.0), ([-1.0, 5.0], 1.0), ([-0.1, 0.5], 0.1)])
def test_drawdowns_by_hand(returns, expected):
    assert max_drawdowns(np.array([returns])) == pytest.approx([expected])


def test_bootstrap_bands_hold_the_truth():
    returns = 0.01 * (np.random.default_rng(1).standard_normal(730) + 0.1)
    annual = returns.mean() / returns.std(ddof=1) * np.sqrt(365)
    found = bands(bootstrap_bands(returns, periods_per_year=365, average_holding=1, seed=2))
    assert found.sharpe[1] == pytest.approx(annual, abs=0.1)
    # Lo's standard error, 1.645 of them on either side.
    assert (found.sharpe[2] - found.sharpe[0]) / 2 == pytest.approx(1.645 * np.sqrt(365 / 730), rel=0.1)
    assert found.loss_probability == pytest.approx(ndtr(-annual / np.sqrt(365 / 730)), abs=0.03)
    assert (np.diff(found.max_drawdown) > 0).all()
    assert (found.draws, found.seed) == (1_000, 2)


def test_long_holdings_lengthen_the_blocks():
    trend = 0.01 * np.sin(np.arange(400.0) / 20)
    loose = bands(bootstrap_bands(trend, periods_per_year=365, average_holding=100, seed=1))
    tight = bands(bootstrap_bands(trend, periods_per_year=365, average_holding=150, seed=1))
    assert loose.max_drawdown.tolist() != tight.max_drawdown.tolist()


def test_shuffling_trades_changes_the_drawdown_only():
    found = bands(trade_shuffle(TRADES, seed=1))
    assert np.isnan(found.sharpe).all()
    assert np.isnan(found.loss_probability)
    losses_together = 1 - np.prod(1 + TRADES[TRADES < 0])
    assert -TRADES.min() <= found.max_drawdown[0] <= found.max_drawdown[2] <= losses_together + 1e-12


def test_a_result_that_hangs_on_one_trade_shows_when_trades_are_skipped():
    steady = np.tile([0.02, -0.01], 10)
    one_hit = np.full(20, -0.005)
    one_hit[7] = 0.2
    assert bands(trade_skip(steady, years=1, seed=1)).loss_probability == 0
    assert bands(trade_skip(one_hit, years=1, seed=1)).loss_probability == pytest.approx(0.1, abs=0.03)


def test_skipping_keeps_the_order_of_trades():
    falling_then_rising = np.concatenate([np.full(10, -0.01), np.full(10, 0.011)])
    found = bands(trade_skip(falling_then_rising, years=1, seed=1))
    assert found.max_drawdown[0] >= 1 - 0.99**8 - 1e-12
    assert found.max_drawdown[2] <= 1 - 0.99**10 + 1e-12


def test_drawdown_limit_grows_with_the_time_at_risk():
    returns = 0.01 * (np.random.default_rng(3).standard_normal(300) + 0.05)
    month, year, longer = (drawdown_limit(returns, days=days, average_holding=2, seed=4) for days in (30, 300, 700))
    assert 0 < month < year < longer < 1
    assert np.isnan(drawdown_limit(np.zeros(50), days=30, average_holding=2, seed=4))


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (trade_shuffle(TRADES[:9], seed=1), "needs 10 trades, has 9"),
        (trade_skip(TRADES[:9], years=1, seed=1), "needs 10 trades, has 9"),
        (
            bootstrap_bands(np.zeros(90), periods_per_year=365, average_holding=1, seed=1),
            "the returns do not vary: nothing was traded",
        ),
    ],
)
def test_too_little_is_not_run(found, reason):
    assert found == NotRun(reason)


def test_equal_trades_have_no_sharpe_ratio_and_count_as_no_gain():
    found = bands(trade_skip(np.full(12, 0.01), years=1, seed=1))
    assert np.isnan(found.sharpe).all()
    assert found.loss_probability == 1


def test_a_hole_is_an_error_that_names_it():
    with pytest.raises(InputError, match="trade return nan"):
        trade_shuffle(np.append(TRADES, np.nan), seed=1)
