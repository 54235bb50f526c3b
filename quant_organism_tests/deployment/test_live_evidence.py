"""Wealth, recent mean, size and shortfall of a strategy, day by day, with the known answers of the reference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.deployment.live_evidence import LiveEvidence, Promise, credited_wealth, replayed
from quant_organism.errors import InputError
from quant_organism.validation.statistics.decay import RecentSum, cusum, graded_size
from quant_organism.validation.statistics.p_values import fisher
from quant_organism.validation.statistics.sequential import (
    e_benjamini_hochberg,
    e_process,
    paired_wealth,
    standardised_live_returns,
    starting_wealth,
)

NAN = math.nan
DAYS = [0.01, -0.02, NAN, 0.005, 0.03, 0.0, -0.15]
PROMISE = Promise(deviation=0.01, sharpe=1.5)
RETURNS = st.lists(st.floats(-0.2, 0.2) | st.just(NAN), max_size=60)


def states(days, promise=PROMISE, wealth=1.0):
    found = [LiveEvidence.born(promise, wealth)]
    for day in days:
        found.append(found[-1].after(day, promise))
    return found[1:]


@pytest.mark.parametrize(
    ("search", "unseen", "wealth"),
    [(0.05, 0.05, 5), (0.01, 0.01, 25), (0.05, 0.1, 3.535533906), (0.01, 0.5, 3.535533906), (1, 1, 0.25)],
)
def test_one_look_back_buys_starting_wealth(search, unseen, wealth):
    assert starting_wealth(search, unseen) == pytest.approx(wealth, abs=1e-9)
    assert starting_wealth(search) == pytest.approx(1 / (2 * math.sqrt(search)))


@pytest.mark.parametrize(
    ("level", "product", "wealth"), [(0.05, 0.008705, 2.679521), (0.1, 0.020451, 1.748163), (0.2, None, 1.117)]
)
def test_fisher_s_bounds_are_bounds_of_wealth(level, product, wealth):
    low, high = 1e-9, 1.0
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if fisher([middle, 1.0]) < level else (low, middle)
    assert product is None or low == pytest.approx(product, abs=1e-6)
    assert starting_wealth(low, 1.0) == pytest.approx(wealth, abs=1e-3 if product is None else 1e-5)


@given(st.integers(1, 999), st.integers(1, 999))
def test_what_a_look_buys_is_worth_one_on_average_without_an_edge(a, b):
    """The p-values are uniform without an edge: (i - 1/2)/n stands for their integral, from above."""
    uniform = (np.arange(20_000) + 0.5) / 20_000
    assert np.mean(1 / (2 * np.sqrt(uniform))) <= 1.0
    search, unseen = a / 1000, b / 1000
    assert starting_wealth(search, unseen) == pytest.approx(starting_wealth(search) * starting_wealth(unseen))


def test_seven_days_by_hand():
    found = states(DAYS, wealth=3.535533906)
    assert [state.standardised for state in found] == pytest.approx(
        [1, -2, NAN, 0.491601938, 2.962541912, 0, -14.274629817], abs=1e-8, nan_ok=True
    )
    wealth = [3.889087297, 3.111269837, 3.111269837, 3.264220465, 4.231259459, 4.231259459, 0.423125946]
    assert [state.wealth for state in found] == pytest.approx(wealth, abs=1e-8)
    assert (found[-1].fresh_days, found[-1].missing_days) == (6, 1)
    assert found[-1].fresh_wealth == pytest.approx(0.423125946 / 3.535533906, abs=1e-8)


def test_the_floor_keeps_a_quiet_stretch_from_making_a_day_look_large():
    assert states([0.001] * 100 + [0.01])[-1].standardised == pytest.approx(1.333333333, abs=1e-9)


@pytest.mark.parametrize(("start", "bound", "day"), [(1, 8, 43), (1, 20, 62), (5, 20, 29), (2.68, 8, 23)])
def test_half_a_deviation_a_day_gets_there(start, bound, day):
    first = e_process(np.full(100, 0.5), start=start).first_reached(bound)
    assert first is not None
    assert first + 1 == day


@pytest.mark.parametrize(
    ("wealth", "discoveries"),
    [([45, 26, 20, 9, 4, 1, 0.6, 0.2], 3), ([39, 30, 4, 1, 0.6, 0.2, 0.2, 0.1], 2), ([24, 2, 1, 0.5], 1)],
)
def test_discoveries_among_all_births(wealth, discoveries):
    assert e_benjamini_hochberg(np.array(wealth, dtype=np.float64), 0.2).sum() == discoveries


def test_shortfalls_by_hand_a_single_day_counts_four_deviations_at_most():
    path = cusum(np.array([0.5, -1, 2, -5, -4, 1]), 0.04)
    assert path == pytest.approx([0, 1.04, 0, 4.04, 8.08, 7.12], abs=1e-12)


def test_half_a_year_of_small_losses_by_hand():
    recent = RecentSum()
    for _ in range(180):
        recent = recent.after(-0.02)
    sizing = graded_size(recent.days, recent.sharpe, prior_sharpe=0.75)
    assert recent.days == pytest.approx(130.092714, abs=1e-6)
    assert (sizing.sharpe, sizing.factor) == pytest.approx((0.452525, 0.603366), abs=1e-6)


@given(RETURNS)
def test_the_state_is_what_its_parts_are_alone(days):
    found, returns = states(days), np.array(days, dtype=np.float64)
    x = standardised_live_returns(returns, backtest_deviation=0.01)
    assert [state.standardised for state in found] == pytest.approx(x.tolist(), nan_ok=True)
    assert [state.wealth for state in found] == pytest.approx(e_process(x).values.tolist(), rel=1e-12)
    assert [state.shortfall for state in found] == pytest.approx(cusum(x, PROMISE.reference).tolist())
    assert all(0 <= state.factor <= 1 and state.wealth > 0 and 0 <= state.drawdown <= 1 for state in found)


@given(RETURNS, st.integers(0, 60))
def test_rows_give_the_same_state_again_wherever_one_begins(days, cut):
    state = replayed(PROMISE, 2.0, days[:cut])
    for day in days[cut:]:
        state = state.after(day, PROMISE)
    assert repr(state) == repr(replayed(PROMISE, 2.0, days))


@given(RETURNS, st.integers(0, 60))
def test_a_day_without_a_record_changes_no_evidence_and_is_counted(days, place):
    whole = replayed(PROMISE, 1.0, [*days[:place], NAN, *days[place:]])
    without = replayed(PROMISE, 1.0, days)
    assert whole.missing_days == without.missing_days + 1
    ignored = {"missing_days", "deviation", "standardised"}
    assert {k: v for k, v in whole._asdict().items() if k not in ignored} == {
        k: v for k, v in without._asdict().items() if k not in ignored
    }


@given(RETURNS)
def test_flat_days_are_neither_gain_nor_loss(days):
    state = replayed(PROMISE, 1.0, days)
    assert state.after(0.0, PROMISE).wealth == state.wealth


@pytest.mark.parametrize("kind", ["fat tails", "clusters", "rare crashes"])
@pytest.mark.parametrize("bound", [5, 12, 20])
def test_without_an_edge_wealth_seldom_gets_there_however_often_one_looks(kind, bound):
    paths, days = 2_000, 500
    rng = np.random.default_rng(7)
    x = rng.standard_t(4.5, (days, paths)) / np.sqrt(4.5 / 2.5)
    if kind == "clusters":
        level = np.zeros(paths)
        for day in range(days):
            level = 0.97 * level + 0.35 * np.sqrt(1 - 0.97**2) * rng.standard_normal(paths)
            x[day] *= np.exp(level - 0.1225)
    if kind == "rare crashes":
        x = np.where(rng.random((days, paths)) < 0.02, -7.0, 7.0 * 0.02 / 0.98) * (
            1 + 0.1 * rng.standard_normal((days, paths))
        )
    square, wealth, highest = np.ones(paths), np.ones(paths), np.ones(paths)
    keep = 0.5 ** (1 / 60)
    for today in x:
        standardised = today / np.maximum(np.sqrt(square), 0.75)
        wealth *= 1 + 0.1 * np.clip(standardised, -9, 3)
        highest = np.maximum(highest, wealth)
        square = keep * square + (1 - keep) * today**2
    assert states(x[:, 0], Promise(1.0, 1.5))[-1].wealth == pytest.approx(wealth[0], rel=1e-9)
    assert np.mean(highest >= bound) <= 1 / bound


def test_who_beats_its_twin_wins_the_bet_and_an_equal_twin_does_not():
    rng = np.random.default_rng(3)
    common, own = rng.normal(0, 0.01, 400), rng.normal(0, 0.004, (2, 400))
    better = paired_wealth(common + own[0] + 0.001, common + own[1], backtest_deviation=0.0057)
    equal = paired_wealth(common + own[0], common + own[1], backtest_deviation=0.0057)
    assert better.values[-1] > 10 > equal.values.max()
    with pytest.raises(InputError, match="400 days against 399"):
        paired_wealth(common, common[1:], backtest_deviation=0.01)


def test_a_near_copy_of_one_that_died_gets_no_credit_for_the_days_on_which_it_lived():
    assert credited_wealth(0.01, 0.01) == (25, "full")
    assert credited_wealth(0.01, 0.01, nearest_dead=0.6) == (1.0, "no old days")
    assert credited_wealth(1.0, 1.0, nearest_dead=0.6) == (0.25, "no old days")
    assert credited_wealth(0.01, 0.01, nearest_dead=0.5) == (25, "full")


def test_without_unseen_days_the_search_alone_buys():
    assert starting_wealth(0.01) == pytest.approx(5.0)
    assert starting_wealth(0.05) == pytest.approx(2.236067977)
    assert credited_wealth(0.01, None) == (5.0, "full")
    assert credited_wealth(0.01, None, nearest_dead=0.51) == (1.0, "no old days")
    assert credited_wealth(1.0, None, nearest_dead=0.51) == (0.5, "no old days")
    assert credited_wealth(0.01, None, extra_looks=1) == (2.5, "reduced")
    assert credited_wealth(0.01, None, committees=2) == (2.5, "full")


def test_further_looks_of_a_week_weigh_two_at_most_together():
    weights = [credited_wealth(0.01, 0.01, extra_looks=r)[0] / 25 for r in range(40)]
    assert sum(weights) <= 2
    assert credited_wealth(0.01, 0.01, extra_looks=1) == (12.5, "reduced")


def test_who_has_decayed_begins_anew():
    state = replayed(PROMISE, 3.0, [-0.02] * 60)
    again = state.restarted()
    assert state.wealth < 0.1
    assert (again.wealth, again.starting_wealth, again.fresh_days, again.shortfall) == (1, 1, 0, 0)
    assert again.recent == state.recent


@pytest.mark.parametrize("values", [{"deviation": 0.0, "sharpe": 1.0}, {"deviation": 0.01, "sharpe": -0.1}])
def test_who_promises_nothing_is_refused(values):
    with pytest.raises(InputError):
        Promise(**values)


def test_an_infinite_return_is_refused():
    with pytest.raises(InputError, match="inf"):
        LiveEvidence.born(PROMISE, 1.0).after(math.inf, PROMISE)
