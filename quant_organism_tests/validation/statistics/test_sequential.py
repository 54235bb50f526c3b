"""Evidence that may be looked at every day."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.validation.statistics.sequential import (
    PROMOTE_AT,
    Bet,
    e_benjamini_hochberg,
    e_detector,
    e_process,
    standardised_live_returns,
)

E_VALUES = np.array([50, 3, 30, 0.5, 100, 21, 8, 1, 0, 60])


def ever_promoted(paths: np.ndarray, bet: Bet) -> float:
    factors = 1 + bet.stake * np.clip(paths, bet.low, bet.high)
    return float(np.mean(np.cumprod(factors, axis=0).max(axis=0) >= PROMOTE_AT))


def fat_tailed_days(seed: int, paths: int, annual_sharpe: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_t(4, (730, paths)) / np.sqrt(2) + annual_sharpe / np.sqrt(365)


def test_evidence_of_six_days():
    assert e_process(np.array([0.5, -1, 2, 4, -5, 1.5])).values[-1] == pytest.approx(0.847665, abs=1e-12)


def test_half_a_deviation_every_day_convinces_on_day_62():
    first = e_process(np.full(100, 0.5)).first_reached(PROMOTE_AT)
    assert first is not None
    assert first + 1 == 62
    assert e_process(np.full(61, 0.5)).first_reached(PROMOTE_AT) is None


def test_days_without_a_position_or_a_record_change_nothing():
    found = e_process(np.array([1.0, 0.0, np.nan, -1.0]))
    assert found.values == pytest.approx([1.1, 1.1, 1.1, 0.99])
    assert found.undefined == 1


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.integers(0, 30))
def test_a_process_goes_on_where_it_was_left(days, cut):
    x = np.array(days)
    whole, first = e_process(x), e_process(x[:cut])
    rest = e_process(x[cut:], start=first.values[-1] if len(first.values) else 1.0)
    assert np.concatenate([first.values, rest.values]) == pytest.approx(whole.values, rel=1e-12)
    assert (whole.values > 0).all()


def test_a_strategy_without_an_edge_is_seldom_promoted():
    assert 0.005 < ever_promoted(fat_tailed_days(1, 4_000), Bet()) < 0.04


@pytest.mark.parametrize(("annual_sharpe", "promoted"), [(2, 0.72), (3, 0.97)])
def test_an_edge_is_promoted_within_two_years(annual_sharpe, promoted):
    found = ever_promoted(fat_tailed_days(2, 4_000, annual_sharpe), Bet())
    assert found == pytest.approx(promoted, abs=0.03)


def test_clipping_crashes_away_would_promote_sellers_of_insurance():
    rng = np.random.default_rng(3)
    crash = rng.random((730, 4_000)) < 0.02
    payoff = np.where(crash, -7.0, 7.0 * 0.02 / 0.98) * (1 + 0.1 * rng.standard_normal((730, 4_000)))
    assert ever_promoted(payoff, Bet()) <= 0.05
    assert ever_promoted(payoff, Bet(low=-3.0)) > 0.15


def test_deviation_is_known_before_the_day():
    returns = 0.01 * np.random.default_rng(4).standard_normal(50)
    x = standardised_live_returns(returns, backtest_deviation=0.01)
    assert x[0] == pytest.approx(returns[0] / 0.01)
    changed = returns.copy()
    changed[30] *= 5
    later = standardised_live_returns(changed, backtest_deviation=0.01)
    assert later[:30].tolist() == x[:30].tolist()
    assert later[30] == pytest.approx(5 * x[30])
    assert abs(later[31]) < abs(x[31])


def test_deviation_halves_its_weight_in_sixty_days_and_has_a_floor():
    calm = np.zeros(31)
    calm[-1] = 0.004
    assert standardised_live_returns(calm, backtest_deviation=0.01)[-1] == pytest.approx(0.4 * 2**0.25)
    calm = np.zeros(400)
    calm[-1] = 0.004
    assert standardised_live_returns(calm, backtest_deviation=0.01)[-1] == pytest.approx(0.4 / 0.75)


def test_a_day_without_a_record_moves_no_deviation():
    x = standardised_live_returns(np.array([0.02, np.nan, 0.01]), backtest_deviation=0.01)
    assert np.isnan(x[1])
    assert x[2] == pytest.approx(standardised_live_returns(np.array([0.02, 0.01]), backtest_deviation=0.01)[1])


def test_detector_by_hand():
    found = e_detector(np.array([0.1, np.nan, -1.0]), 0.1)
    assert found.values == pytest.approx([1.0, 1.0, 2 * 1.11])
    assert found.undefined == 1


def test_detector_is_slow_to_false_alarm_and_notices_a_drop():
    promise = 3 / np.sqrt(365)

    def days_to_alarm(seed: int, annual_sharpe: float) -> float:
        first = e_detector(fat_tailed_days(seed, 1, annual_sharpe)[:, 0], promise).first_reached(100)
        return 730.0 if first is None else first

    kept = np.mean([days_to_alarm(seed, 3.0) for seed in range(60)])
    broken = np.mean([days_to_alarm(seed, -3.0) for seed in range(60)])
    assert kept >= 100
    assert broken < kept / 2


@pytest.mark.parametrize(("level", "discoveries"), [(0.05, 0), (0.1, 5)])
def test_discoveries_among_ten(level, discoveries):
    chosen = e_benjamini_hochberg(E_VALUES, level)
    assert chosen.sum() == discoveries
    assert set(E_VALUES[chosen]) == set(np.sort(E_VALUES)[::-1][:discoveries])


@given(st.lists(st.floats(0, 1e6), max_size=30), st.floats(0.01, 0.5), st.randoms())
def test_discoveries_do_not_depend_on_the_order(e_values, level, random):
    order = list(range(len(e_values)))
    random.shuffle(order)
    values = np.array(e_values)
    assert (e_benjamini_hochberg(values[order], level) == e_benjamini_hochberg(values, level)[order]).all()


@pytest.mark.parametrize("options", [{"stake": 0.12}, {"low": -10.0}, {"stake": 0.0}, {"high": -1.0}])
def test_a_bet_that_could_lose_all_cannot_be_made(options):
    with pytest.raises(InputError):
        Bet(**options)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="day 1"):
        e_process(np.array([0.0, np.inf]))
    with pytest.raises(InputError, match="day 0"):
        standardised_live_returns(np.array([-np.inf]), backtest_deviation=0.01)
    with pytest.raises(InputError, match="deviation"):
        standardised_live_returns(np.array([0.1]), backtest_deviation=0.0)
    with pytest.raises(InputError, match="index 1"):
        e_benjamini_hochberg(np.array([1.0, -1.0]), 0.1)
    with pytest.raises(InputError, match="level"):
        e_benjamini_hochberg(E_VALUES, 0.0)
