"""Every rule of the table fires on the numbers that it asks for, on no others, and says by name what is missing."""

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.deployment.lifecycle import MOVES, RULES, next_move, records_of, ruling_on, rulings
from quant_organism.deployment.moves import KINDS, Kind
from quant_organism.deployment.stages import STAGES
from quant_organism_tests.deployment.documents import SOURCE, enough

SHORT = {"at least": -1e-9, "at most": 1e-9, "above": 0.0, "below": 0.0}
"""What to add so that it is just not."""

CASES = [pytest.param(rule, start, id=f"{start}, {rule.name}") for rule in RULES for start in rule.starts]
NUMBERS = st.dictionaries(st.sampled_from(get_args(Kind)), st.floats(-100, 500), max_size=len(KINDS))


@pytest.mark.parametrize(("rule", "start"), CASES)
def test_every_rule_fires_at_its_bounds(rule, start):
    (ruling,) = [ruling for ruling in rulings(start, enough(rule), to=rule.end) if ruling.rule == rule]
    assert ruling.allowed
    if rule.by == "machine":
        assert next_move(start, enough(rule)) in (rule, *(r for r in RULES if r.end == rule.end))


@pytest.mark.parametrize(("rule", "start"), CASES)
def test_each_number_is_needed_and_named_where_it_falls_short_is_missing_or_undefined(rule, start):
    for requirement in rule.requirements:
        for wrong in (requirement.bound + SHORT[requirement.relation], None, math.nan):
            numbers = enough(rule)
            if wrong is None:
                del numbers[requirement.kind]
            else:
                numbers[requirement.kind] = wrong
            (ruling,) = [ruling for ruling in rulings(start, numbers, to=rule.end) if ruling.rule == rule]
            assert not ruling.allowed
            assert any(refusal.startswith(f"{requirement.kind} ") for refusal in ruling.refusals)


def test_who_was_born_without_a_look_gets_to_paper_by_fresh_days_alone():
    old = {"starting_wealth": 25.0, "wealth": 25.0, "search_p": 0.0004, "old_days": 1, "recent_sum": 0.0}
    seat = {"seated": 0, "near_seated": -1.0, "trade_parity": 1.0, "perturbations": 1.0}
    night = {**old, **seat, "stage_days": 0}
    assert next_move("shadow", night) is None
    after = {**night, "stage_days": 9, "recent_sum": 0.1}
    way = next_move("shadow", after)
    assert way is not None
    assert way.name == "day door"
    assert next_move("shadow", {**after, "wealth": 11.9}) is None


@given(st.sampled_from(STAGES), NUMBERS)
def test_what_the_machine_does_is_a_rule_of_its_own_whose_every_bound_is_kept(stage, numbers):
    rule = next_move(stage, numbers)
    if rule is not None:
        assert rule.by == "machine"
        assert rule.end in MOVES[stage]
        assert rule.end not in ("canary", "live")
        records = records_of(rule, numbers, source=SOURCE)
        assert {record.kind for record in records} == {requirement.kind for requirement in rule.requirements}
        found = ruling_on(stage, rule.end, records, by="machine")
        assert found is not None
        assert found.allowed


@given(st.sampled_from(STAGES), NUMBERS)
def test_more_wealth_never_keeps_anybody_back(stage, numbers):
    before = next_move(stage, numbers)
    richer = {**numbers, "wealth": numbers.get("wealth", 0.0) + 100.0}
    after = next_move(stage, richer)
    if before is not None and before.name not in ("wealth lost",):
        assert after is not None


def test_money_is_reached_through_every_stage_before_it_and_full_money_by_a_person_only():
    assert [stage for stage in STAGES if "live" in MOVES[stage]] == ["canary"]
    assert [stage for stage in STAGES if "canary" in MOVES[stage]] == ["testnet"]
    assert [stage for stage in STAGES if "testnet" in MOVES[stage]] == ["paper"]
    assert [stage for stage in STAGES if "paper" in MOVES[stage]] == ["shadow"]
    assert {rule.by for rule in RULES if rule.end in ("canary", "live")} == {"person"}
    assert next_move("canary", enough(next(rule for rule in RULES if rule.name == "full money"))) is None


def test_every_stage_can_retire_and_none_returns_from_it():
    assert all("retired" in MOVES[stage] for stage in STAGES if stage != "retired")
    assert MOVES["retired"] == ()


def test_names_of_rules_are_unique_and_every_kind_is_explained_and_used():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(KINDS) == set(get_args(Kind))
    assert {requirement.kind for rule in RULES for requirement in rule.requirements} == set(KINDS)


def test_the_strict_door_asks_for_more():
    numbers = enough(next(rule for rule in RULES if rule.name == "night door"))
    assert next_move("shadow", numbers).name == "night door"
    assert next_move("shadow", numbers, strict=True) is None
    assert next_move("shadow", {**numbers, "starting_wealth": 2.68}, strict=True).name == "night door"


def test_a_veto_of_the_unseen_days_stands_however_well_the_search_did():
    """(p_s, p_h) = (.01, .5) has a wealth of 3.5 and is vetoed."""
    numbers = enough(next(rule for rule in RULES if rule.name == "night door"))
    assert next_move("shadow", {**numbers, "starting_wealth": 3.535533906, "unseen_p": 0.5}) is None


def test_a_person_may_not_take_what_the_numbers_refuse():
    numbers = enough(next(rule for rule in RULES if rule.name == "full money")) | {"wealth": 19.9}
    (ruling,) = rulings("canary", numbers, to="live")
    assert ruling.refusals == ("wealth is 19.9, at least 20 needed",)
