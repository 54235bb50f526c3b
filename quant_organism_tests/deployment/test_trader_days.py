"""Numbers of the trader's days are sums of what was booked in the stage, and what was not booked is not known."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.deployment.bands import LONGEST_DAYS, ReturnBand
from quant_organism.deployment.lifecycle import SEATED, next_move
from quant_organism.deployment.live_evidence import Promise, replayed
from quant_organism.deployment.pairs import DIFFERENCE_DEVIATION, PairedBets
from quant_organism.deployment.trader_days import MODE_OF, TraderDay, own_return, stage_facts
from quant_organism.validation.statistics.sequential import paired_wealth
from quant_organism_tests.deployment.documents import enough, rule_of

FIRST = date(2024, 1, 1)
BOOKED = ("closed_trades", "own_breakers", "reconciled_days", "slippage_ratio", "hard_limit")

TRADER_DAYS = st.builds(
    TraderDay,
    account=st.sampled_from(["a", "b"]),
    mode=st.sampled_from(["replay", "paper", "testnet", "mainnet"]),
    is_whole=st.booleans(),
    account_return=st.floats(-0.1, 0.1),
    weight=st.none() | st.floats(0.0, 5.0),
    closed_trades=st.integers(0, 30),
    paid_slippage_usd=st.floats(0, 5),
    model_slippage_usd=st.floats(0, 5),
    breakers=st.integers(0, 1),
    liquidations=st.integers(0, 1),
    is_reconciled=st.booleans(),
)
LEDGERS = st.dictionaries(
    st.integers(0, 20).map(lambda n: FIRST + timedelta(days=n)), st.lists(TRADER_DAYS, max_size=2), max_size=20
)


@given(LEDGERS, st.sampled_from(SEATED), st.integers(0, 20), st.integers(0, 20))
def test_only_days_of_the_stage_and_of_its_mode_count(days, stage, since, through):
    start, end = FIRST + timedelta(days=since), FIRST + timedelta(days=through)
    facts = stage_facts(days, stage, start, end)
    own = [(day, each) for day in days for each in days[day] if start <= day <= end and each.mode == MODE_OF.get(stage)]
    if not own:
        assert facts.numbers == {}
        return
    assert facts.numbers["closed_trades"] == sum(each.closed_trades for _, each in own)
    assert facts.numbers["own_breakers"] == sum(each.breakers for _, each in own)
    assert facts.numbers["reconciled_days"] == len({day for day, each in own if each.is_reconciled})
    assert ("slippage_ratio" in facts.numbers) == (sum(each.model_slippage_usd for _, each in own) > 0)
    assert ("hard_limit" in facts.numbers) == any(each.liquidations for _, each in own)
    assert stage_facts(dict(reversed(days.items())), stage, start, end) == facts


@given(LEDGERS)
def test_nobody_reaches_testnet_without_days_on_paper(days):
    numbers = {kind: value for kind, value in enough(rule_of("paper by days")).items() if kind not in BOOKED}
    facts = stage_facts(days, "paper", FIRST, FIRST + timedelta(days=20))
    rule = next_move("paper", {**numbers, **facts.numbers})
    if rule is not None and rule.end == "testnet":
        own = [each for rows in days.values() for each in rows if each.mode == "paper"]
        assert own
        assert not any(each.breakers or each.liquidations for each in own)
        assert sum(each.paid_slippage_usd for each in own) <= 2 * sum(each.model_slippage_usd for each in own)


def booked(**facts) -> TraderDay:
    usual = {
        "account": "paper-1", "mode": "paper", "is_whole": True, "account_return": 0.01, "weight": 0.5,
        "closed_trades": 0, "paid_slippage_usd": 0.0, "model_slippage_usd": 0.0, "breakers": 0, "liquidations": 0,
        "is_reconciled": False,
    }  # fmt: skip
    return TraderDay(**{**usual, **facts})


def test_a_part_of_an_account_is_brought_to_the_scale_of_an_account_of_its_own():
    """A quarter of an account at scale 4 earns half of what an account of its own at scale 2 would."""
    assert own_return({FIRST: [booked(weight=0.25 * 4.0)]}, FIRST, "paper", 2.0) == 0.02
    for wrong in ({"is_whole": False}, {"weight": None}, {"weight": 0.0}, {"mode": "testnet"}):
        assert math.isnan(own_return({FIRST: [booked(**wrong)]}, FIRST, "paper", 2.0))
    assert math.isnan(own_return({}, FIRST, "paper", 2.0))
    assert math.isnan(own_return({FIRST: [booked()]}, FIRST, "shadow", 2.0))
    two = [booked(account="paper-2", account_return=0.5), booked(account="paper-1")]
    assert own_return({FIRST: two}, FIRST, "paper", 2.0) == own_return({FIRST: two[::-1]}, FIRST, "paper", 2.0) == 0.04


def test_a_path_of_the_band_is_what_a_life_on_its_returns_would_be():
    promise = Promise(0.01, 1.5)
    band = ReturnBand("committee_0_00000000", np.full(40, -0.004), promise)
    for days in (1, 7, 200):
        life = replayed(promise, 1.0, [-0.004] * days)
        assert band.largest_drawdown(days) == pytest.approx(1 - life.equity / life.peak)
        assert band.rank(life.recent_sum + 1e-9, days) == 1.0
        assert band.rank(life.recent_sum - 1e-9, days) == 0.0


def test_a_band_is_the_same_whenever_it_is_asked_and_ends_after_three_years():
    returns, promise = np.random.default_rng(3).normal(0.001, 0.01, 90), Promise(0.01, 1.5)
    one, other = ReturnBand("a", returns, promise), ReturnBand("a", returns, promise)
    early = one.largest_drawdown(5), one.rank(0.5, 5)
    one.largest_drawdown(60)
    assert (one.largest_drawdown(5), one.rank(0.5, 5)) == early
    assert other.largest_drawdown(60) == one.largest_drawdown(60)
    assert ReturnBand("b", returns, promise).largest_drawdown(60) != one.largest_drawdown(60)
    assert one.largest_drawdown(LONGEST_DAYS) == one.largest_drawdown(LONGEST_DAYS + 500)
    assert np.all(np.diff([one.largest_drawdown(n) for n in range(1, 61)]) >= 0)


def test_one_in_twenty_that_keep_their_promise_falls_below_the_band():
    """Binomial with p = .05 and n = 600 lies within [10, 52] but for one time in ten thousand."""
    rng, promise = np.random.default_rng(4), Promise(0.01, 1.5)
    returns = rng.normal(0.0008, 0.01, 400)
    band = ReturnBand("a", returns, promise)
    below = 0
    for _ in range(600):
        life = replayed(promise, 1.0, rng.choice(returns, 25).tolist())
        below += band.rank(life.recent_sum, 25) < 0.05
    assert 10 <= below <= 52


def test_looked_at_every_night_for_a_year_the_drawdown_alarm_is_false_once_in_a_hundred():
    """Binomial with p = .01 and n = 400 lies within [0, 12] but for one time in a thousand; night by night it is 41."""
    rng, promise = np.random.default_rng(6), Promise(0.01, 2.5)
    returns = rng.normal(0.0013, 0.01, 400)
    band = ReturnBand("a", returns, promise)
    alarms = np.array([band.drawdown_alarm(day) for day in range(1, 366)])
    paths = np.cumprod(1.0 + rng.choice(returns, (400, 365)), axis=1)
    drawdowns = 1.0 - paths / np.maximum(np.maximum.accumulate(paths, axis=1), 1.0)
    assert np.count_nonzero((drawdowns > alarms).any(axis=1)) <= 12
    falling = np.cumprod(1.0 + rng.choice(returns - 0.003, (400, 365)), axis=1)
    drawdowns = 1.0 - falling / np.maximum(np.maximum.accumulate(falling, axis=1), 1.0)
    assert np.count_nonzero((drawdowns > alarms).any(axis=1)) >= 300


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(-5, 5), st.floats(-5, 5)), max_size=40),
    st.integers(0, 40),
)
def test_a_paired_bet_that_goes_on_is_the_bet_on_all_common_days(days, pause):
    left = [(FIRST + timedelta(days=n), x) for n, (is_there, _, x, _) in enumerate(days) if is_there]
    right = [(FIRST + timedelta(days=n), x) for n, (_, is_there, _, x) in enumerate(days) if is_there]
    common = [(x, y) for a, b, x, y in days if a and b]
    bets = PairedBets()
    bets.wealth(("new", "old"), left[:pause], right[:pause])
    found = bets.wealth(("new", "old"), left, right)
    if not common:
        assert found is None
        return
    new, old = np.array(common).T
    assert found == paired_wealth(new, old, backtest_deviation=DIFFERENCE_DEVIATION).values[-1]
