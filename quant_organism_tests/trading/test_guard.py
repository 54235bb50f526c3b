"""Breakers that neither bars nor fills decide: each fires at its bound, holds back, and recovers over a trial."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.backtest.account import (
    MARKET_CORRELATION,
    MARKET_VOLATILITY,
    AccountClose,
    BreakerRule,
    BreakerState,
    Restraint,
    WeatherReading,
)
from quant_organism.errors import InputError
from quant_organism.trading import Allowance, CloseStanding, Pipeline
from quant_organism.trading.breakers import (
    CLOCK_SKEW,
    FEAR,
    GREED,
    GUARD_RULES,
    LINES,
    REJECTIONS,
    STALE_DATA,
)
from quant_organism.trading.guard import Governor, Readings, RiskGuard, liquidation_used, no_readings
from quant_organism.trading.kill import KillFlag, flag_raised, kill_file, lower_flag, raise_flag
from quant_organism_tests.backtest.account.accounts import CLOSE_MS, account_at, with_risk

HOUR = 3_600_000
NOTHING = AccountClose(CLOSE_MS, {}, {}, {"s": 1.0})
rules = st.sampled_from(GUARD_RULES)
numbers = st.lists(st.one_of(st.none(), st.floats(0.0, 100.0)), max_size=40)


def moved(rule: BreakerRule, values: list[float | None], step_ms: int = HOUR) -> list[BreakerState]:
    """Return where a breaker stands after each check."""
    states = [BreakerState()]
    for place, value in enumerate(values):
        states.append(states[-1].after(rule, value, CLOSE_MS + place * step_ms))
    return states[1:]


@pytest.mark.parametrize("rule", GUARD_RULES, ids=lambda rule: rule.name)
def test_each_breaker_fires_at_its_bound_and_recovers_over_its_trial(rule: BreakerRule) -> None:
    below, calm = rule.bound * 0.999, rule.release * 0.999
    checks = -(-rule.trial_ms // HOUR)
    states = moved(rule, [below, rule.bound, calm, *[calm] * checks, calm])
    phases = [state.phase for state in states]
    assert phases == ["closed", "open", *["half-open"] * checks, "closed", "closed"]
    assert states[1].restraint(rule) == rule.restraint != Restraint()
    assert states[2].restraint(rule) == rule.trial != Restraint()
    again = moved(rule, [rule.bound, calm, rule.release, calm])
    assert [state.phase for state in again] == ["open", "half-open", "open", "half-open"]


@given(rules, numbers)
def test_a_breaker_opens_only_on_a_number_and_closes_only_after_a_calm_trial(
    rule: BreakerRule, values: list[float | None]
) -> None:
    states = [BreakerState(), *moved(rule, values)]
    for value, (before, after) in zip(values, itertools.pairwise(states), strict=True):
        if before.phase == "closed" and after.phase == "open":
            assert value is not None
            assert value >= rule.bound
        if before.phase == "half-open" and after.phase == "closed":
            assert value is not None
            assert value < rule.release
        assert (before.phase, after.phase) not in {("open", "closed"), ("closed", "half-open")}
        if value is not None and value >= rule.bound:
            assert after.phase == "open"
        assert BreakerState.from_dict(json.loads(json.dumps(after.to_dict()))) == after


@given(st.sampled_from((*GUARD_RULES, MARKET_VOLATILITY, MARKET_CORRELATION)), st.floats(), numbers)
def test_what_evolves_is_only_tighter(rule: BreakerRule, bound: float, values: list[float | None]) -> None:
    """Whatever number evolution hands in, at no check of any course is less held back than by the ceiling."""
    if bound != bound:
        with pytest.raises(InputError, match="no number"):
            rule.tightened(bound=bound)
        return
    tighter = rule.tightened(bound=bound)
    assert tighter.bound <= rule.bound
    assert tighter.release <= rule.release
    for strict, loose in zip(moved(tighter, values), moved(rule, values), strict=True):
        held = strict.restraint(tighter), loose.restraint(rule)
        assert all(one <= other for one, other in zip(*held, strict=True))


def test_several_checks_in_a_row_are_needed_where_the_rule_says_so() -> None:
    rule = BreakerRule(name="three", unit="", bound=1.0, release=0.5, trial_ms=HOUR, checks=3)
    states = moved(rule, [1.0, 1.0, 0.9, 1.0, 1.0, 1.0])
    assert [state.phase for state in states] == [*["closed"] * 5, "open"]


class Script:
    """Readings as written."""

    def __init__(self, *readings: Readings) -> None:
        self.left = list(readings)

    def __call__(self, standing: CloseStanding, /) -> Readings:
        return self.left.pop(0)


def closes(count: int) -> list[CloseStanding]:
    account = account_at(1_000.0)
    return [
        CloseStanding(1, "paper", replace(NOTHING, time=CLOSE_MS + place * HOUR), account, (), HOUR)
        for place in range(count)
    ]


@pytest.mark.parametrize(
    ("reading", "name", "number", "held"),
    [
        (Readings(data_age_bars=2.5), STALE_DATA.name, 2.5, Restraint(entry=0.0)),
        (Readings(clock_skew_s=-1.5), CLOCK_SKEW.name, 1.5, Restraint(entry=0.0)),
        (Readings(rejected=0.22), REJECTIONS.name, 0.22, Restraint(entry=0.0)),
        (Readings(silent_lines=1), LINES.name, 1.0, Restraint(entry=0.0)),
        (Readings(fear_greed=93.0), GREED.name, 93.0, Restraint(long=0.5)),
        (Readings(fear_greed=7.0), FEAR.name, 93.0, Restraint(short=0.5)),
    ],
)
def test_the_guard_holds_back_and_writes_down_number_and_bound(
    reading: Readings, name: str, number: float, held: Restraint
) -> None:
    guard = RiskGuard(Script(Readings(), reading, reading))
    calm, tripped, still = (guard.judge(standing, Allowance({"s": 1.0})) for standing in closes(3))
    assert (calm.restraint, calm.verdicts, calm.breakers) == (Restraint(), (), ())
    assert tripped.restraint == still.restraint == held
    (event,), (verdict,) = tripped.breakers, tripped.verdicts
    assert (event.name, event.state, event.value) == (name, "open", number)
    assert (verdict.number, verdict.passes) == (number, False)
    assert (still.breakers, len(still.verdicts)) == ((), 1)


def test_an_absent_index_holds_nothing_back_and_ends_an_extreme() -> None:
    guard = RiskGuard(Script(Readings(fear_greed=95.0), *[Readings()] * 26))
    held = [guard.judge(standing, Allowance({"s": 1.0})).restraint.long for standing in closes(27)]
    assert held == [0.5] * 25 + [1.0] * 2


def test_a_guard_that_restarts_at_every_close_says_the_same() -> None:
    script = [Readings(clock_skew_s=2.0), *[Readings(clock_skew_s=0.1)] * 3, Readings(rejected=0.5), Readings()]
    whole, said = RiskGuard(Script(*script)), []
    for standing in closes(len(script)):
        said.append(whole.judge(standing, Allowance({"s": 1.0})))
    state: object = {}
    for standing, reading, expected in zip(closes(len(script)), script, said, strict=True):
        piece = RiskGuard(Script(reading))
        piece.restore(json.loads(json.dumps(state)))
        assert piece.judge(standing, Allowance({"s": 1.0})) == expected
        state = piece.state()


class Weather:
    """A market's weather as written."""

    def __init__(self, volatility: BreakerState) -> None:
        self.volatility, self.correlation, self.reading = volatility, BreakerState(), WeatherReading()


def test_a_storm_is_told_once_and_of_several_markets_the_worst() -> None:
    calm, storm, trial = BreakerState(), BreakerState("open", 1, 1, 4.5), BreakerState("half-open", 2, 0, 1.5)
    course = [(calm, calm), (storm, calm), (storm, trial), (trial, calm), (calm, calm)]
    guard, told = RiskGuard(no_readings), list[tuple[str, str, float | None, float | None]]()
    for standing, (one, other) in zip(closes(len(course)), course, strict=True):
        weather = {"a": Weather(one), "b": Weather(other)}
        judged = guard.judge(replace(standing, weather=weather), Allowance({"s": 1.0}))  # type: ignore[arg-type]
        told += [(each.name, each.state, each.value, each.bound) for each in judged.breakers]
        again = RiskGuard(no_readings)
        again.restore(json.loads(json.dumps(guard.state())))
        guard = again
    name, rule = MARKET_VOLATILITY.name, MARKET_VOLATILITY
    assert told == [
        (name, "open", 4.5, rule.bound),
        (name, "half-open", 1.5, rule.release),
        (name, "closed", None, rule.bound),
    ]


def test_rules_looser_than_their_ceilings_are_refused() -> None:
    looser = [replace(rule, bound=rule.bound * 2) for rule in GUARD_RULES]
    for bad in (looser, GUARD_RULES[1:], [replace(GUARD_RULES[0], restraint=Restraint()), *GUARD_RULES[1:]]):
        with pytest.raises(InputError, match="risk guard"):
            RiskGuard(no_readings, bad)
    RiskGuard(no_readings, [rule.tightened(bound=rule.bound / 2) for rule in GUARD_RULES])


def test_what_is_used_of_the_way_to_liquidation() -> None:
    account = account_at(1_000.0, held={"ETH": 8_000})  # 2,000 USD at 2,500
    (standing,) = closes(1)
    assert liquidation_used(replace(standing, account=account)) == 0.0
    account.marks["ETH"] = 140_000  # liquidation is near 1,316
    used = liquidation_used(replace(standing, account=account))
    assert used is not None
    assert 0.75 < used <= 1.0
    assert liquidation_used(standing) is None


def test_under_a_kill_flag_nothing_is_wanted(tmp_path: Path) -> None:
    path = kill_file(tmp_path)
    pipeline = Pipeline([Governor(lambda: flag_raised(path))])
    (standing,) = closes(1)
    assert pipeline.judge(standing).restraint == Restraint()
    assert raise_flag(path, KillFlag(1, "simulator", "enough")) == ""
    left = pipeline.judge(standing)
    assert left.restraint == Restraint(0.0, 0.0, 0.0)
    assert [verdict.reason for verdict in left.verdicts] == ["killed: enough"]
    assert lower_flag(path)
    assert pipeline.judge(standing).restraint == Restraint()


def test_a_drawdown_that_closed_everything_is_left_for_a_person_once_each_time(tmp_path: Path) -> None:
    path, problem = kill_file(tmp_path), ["no room"]
    (standing,) = closes(1)
    at_stop = replace(standing, account=with_risk(account_at(900.0), peak=10**9, stopped=True))

    def stops(flag: KillFlag) -> str:
        return problem.pop() if problem else raise_flag(path, flag)

    governor = Governor(lambda: flag_raised(path), stops)
    pipeline = Pipeline([governor])
    assert (pipeline.judge(standing).restraint, governor.state()) == (Restraint(), {})
    pipeline.judge(at_stop)
    assert flag_raised(path) is None  # the disk was full, and it is tried again
    assert pipeline.judge(at_stop).restraint == Restraint(0.0, 0.0, 0.0)
    flag = flag_raised(path)
    assert flag is not None
    assert flag.reason == "10.0% below its highest equity, everything is closed"
    assert lower_flag(path)
    resumed = Governor(lambda: flag_raised(path), stops)
    resumed.restore(governor.state())
    assert Pipeline([resumed]).judge(at_stop).restraint == Restraint()  # a person has spoken; the account's days go on
    Pipeline([resumed]).judge(standing)
    assert Pipeline([resumed]).judge(at_stop).restraint == Restraint(0.0, 0.0, 0.0)
    on_paper = Governor(lambda: None)
    assert Pipeline([on_paper]).judge(at_stop).restraint == Restraint()
