"""Decisions: every rule fires, nothing unknown does, what loosens is asked, and moves are those of the table alone."""

from dataclasses import replace
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from quant_organism.deployment.booking import append_rows
from quant_organism.deployment.decisions import (
    ACCOUNT,
    ACCOUNT_KINDS,
    DecisionRules,
    Figure,
    FigureCondition,
    asked_of_a_person,
    book_decisions,
    decide,
    decisions_of_moves,
    shipped_rules,
    stored_decisions,
)
from quant_organism.deployment.lifecycle import RULES
from quant_organism.deployment.marks import Known
from quant_organism.deployment.tables import DecisionAnswerTable, DeploymentDecisionTable, MoveTable
from quant_organism.market import Interval, Lake

DAY = date(2024, 5, 6)
HOUR = Interval.parse("1h")
TEXT = files("quant_organism.deployment").joinpath("decision_rules.yaml").read_text()
FIRING = [
    (kind, rule) for kind in ("emergency_stop", "risk_adjustment", "session") for rule in shipped_rules().of(kind).rules
]


def beyond(condition: FigureCondition, *, by: float) -> Figure:
    """Return a figure on the good side of a bound, or with a negative distance on the other."""
    return Figure(condition.bound + (by if condition.relation in ("at least", "above") else -by))


@pytest.mark.parametrize(("kind", "rule"), FIRING, ids=[f"{kind}, {rule.name}" for kind, rule in FIRING])
def test_every_rule_fires_beyond_all_of_its_bounds_and_not_short_of_one(kind, rule) -> None:
    figures = {each.input: beyond(each, by=0.01) for each in rule.when}
    decided = decide(kind, ACCOUNT, figures, DAY)
    assert (decided.value, decided.rule) == (rule.value, rule.name)
    before = shipped_rules().of(kind).rules[: shipped_rules().of(kind).rules.index(rule)]
    assert decided.confidence == (None if before else 1.0), "nobody knows that the rules before it do not hold"
    for each in rule.when:
        short = figures | {each.input: beyond(each, by=-0.01)}
        assert decide(kind, ACCOUNT, short, DAY).rule != rule.name
        unknown = {name: figure for name, figure in figures.items() if name != each.input}
        assert decide(kind, ACCOUNT, unknown, DAY).rule != rule.name
        wrong = figures | {each.input: Figure(float("nan"))}
        assert decide(kind, ACCOUNT, wrong, DAY).rule != rule.name


@pytest.mark.parametrize("kind", ACCOUNT_KINDS)
def test_nothing_known_decides_for_what_is_usual_and_is_not_sure(kind) -> None:
    decided = decide(kind, ACCOUNT, {}, DAY)
    assert decided.value == (shipped_rules().of(kind).otherwise or "0")
    assert decided.confidence is None
    assert not decided.needs_person


@given(st.dictionaries(st.sampled_from(["seats", "profile", "capital", "diversity", "candidates"]), st.floats(0, 50)))
def test_the_pool_is_as_large_as_its_least_figure(values: dict[str, float]) -> None:
    figures = {name: Figure(value) for name, value in values.items()}
    decided = decide("pool_size", ACCOUNT, figures, DAY)
    assert int(decided.value) == int(min(values.values(), default=0))
    assert decided == decide("pool_size", ACCOUNT, dict(reversed(figures.items())), DAY)


def test_confidence_is_the_distance_from_the_bound_in_standard_errors() -> None:
    quiet = {"drawdown": Figure(0.0), "size_factor": Figure(1.0), "worst_day_in_100": Figure(0.01)}
    calm = {"quiet_days": Figure(120.0), "turbulent": Figure(0.0), "sharpe": Figure(2.0, 0.8)}
    decided = decide("risk_adjustment", ACCOUNT, quiet | calm, DAY)
    assert decided.value == "aggressive"
    assert decided.confidence == pytest.approx(stats.norm.cdf(1.0 / 0.8))
    unsure = decide("risk_adjustment", ACCOUNT, quiet | calm | {"sharpe": Figure(2.0, None)}, DAY)
    assert (unsure.value, unsure.confidence) == ("aggressive", None)


def test_what_loosens_is_for_a_person_and_what_tightens_is_not() -> None:
    falling, fine = {"drawdown": Figure(0.08)}, {"drawdown": Figure(0.0)}
    assert not decide("risk_adjustment", ACCOUNT, falling, DAY, in_force="normal").needs_person
    up = decide("risk_adjustment", ACCOUNT, fine, DAY, in_force="defensive")
    assert (up.value, up.needs_person, up.otherwise) == ("normal", True, "defensive")
    assert up.valid_until == DAY + timedelta(days=7)
    assert not decide("risk_adjustment", ACCOUNT, fine, DAY, in_force="normal").needs_person


def test_a_person_is_asked_for_a_way_that_lacks_nothing_else() -> None:
    numbers = {"stage_days": 8, "reconciled_days": 7, "recent_sum": 1.0, "capital_share": 0.05}
    known = Known(numbers, dict.fromkeys(numbers, 8), "0" * 16, {})
    (asked,) = asked_of_a_person("one", "testnet", known, DAY)
    assert (asked.type, asked.value, asked.rule, asked.needs_person) == ("approval", "canary", "canary", True)
    assert "approved" not in {each["input"] for each in asked.inputs}
    for lacking in numbers:
        less = {name: value for name, value in numbers.items() if name != lacking}
        assert asked_of_a_person("one", "testnet", replace(known, numbers=less), DAY) == []
    assert asked_of_a_person("one", "paper", known, DAY) == []


def test_moves_are_decisions_that_were_taken() -> None:
    way = next(rule for rule in RULES if rule.name == "one look")
    values = {
        "pretest_p": 0.05,
        "gates": 1.0,
        "near_living": 0.2,
        "near_judged": -1.0,
        "in_shadow": 2.0,
        "unseen_p": 0.3,
    }
    rows = [
        (
            "one",
            "2024-05-06T00:00:00Z",
            "born",
            "shadow",
            way.name,
            "machine",
            "chosen",
            name,
            value,
            bound,
            39,
            "0" * 16,
        )
        for name, value in values.items()
        for bound in [next(each.bound for each in way.requirements if each.kind == name)]
    ]
    (taken,) = decisions_of_moves(MoveTable.frame(rows), DAY)
    assert (taken.type, taken.subject, taken.value, taken.needs_person) == ("approval", "one", "shadow", False)
    assert taken.confidence == pytest.approx(stats.norm.cdf(0.05 / (0.05 * 0.95 / 39) ** 0.5))
    gone = MoveTable.frame(rows[:1]).with_columns(rule=pl.lit("decay expired"), end=pl.lit("retired"))
    assert [each.type for each in decisions_of_moves(gone, DAY)] == ["retirement"]


def test_a_question_is_asked_once_and_stands_until_it_is_answered_or_lapses(tmp_path: Path) -> None:
    lake, where = Lake(tmp_path), {"market": "made", "interval": HOUR}

    def ask(day: date) -> list:
        up = decide("risk_adjustment", ACCOUNT, {"drawdown": Figure(0.0)}, day, in_force="defensive")
        return book_decisions(lake, [up], day, **where)

    (asked,) = ask(DAY)
    assert ask(DAY + timedelta(days=7)) == []
    (row,) = stored_decisions(lake, DAY + timedelta(days=7))
    assert (row["id"], row["state"], row["market"]) == (asked.id, "open", "made")
    assert [each["input"] for each in row["inputs"]][:2] == ["drawdown", "size_factor"]
    assert stored_decisions(lake, DAY + timedelta(days=8))[0]["state"] == "lapsed"
    answer = {"id": asked.id, "answer": "reject", "reason": "no", "at": "2024-05-07T00:00:00Z", "outcome": "defensive"}
    append_rows(lake, DecisionAnswerTable, [answer], DAY, market="made", interval="1h")
    assert stored_decisions(lake, DAY)[0]["state"] == "reject"
    assert len(ask(DAY + timedelta(days=8))) == 1
    assert stored_decisions(lake, DAY + timedelta(days=8))[0]["state"] == "open"
    assert DeploymentDecisionTable.dataset == "deployment_decisions"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    - hard limit\n", "", "every way"),
        ("person_ways: [canary, full money]", "person_ways: [canary, day door]", "no way of a person"),
        ("values: [stop, go on]", "values: [stop]", "not among the values"),
        ("relation: below, bound: 0.7", "relation: beneath, bound: 0.7", "relation"),
        ("bound: 0.7", "bound: .nan", "finite"),
        ("version: 1", "version: 0", "version"),
    ],
)
def test_rules_that_mean_nothing_are_refused(old: str, new: str, said: str) -> None:
    assert DecisionRules.parse(TEXT) == shipped_rules()
    assert old in TEXT
    with pytest.raises(ValidationError, match=said):
        DecisionRules.parse(TEXT.replace(old, new, 1))
