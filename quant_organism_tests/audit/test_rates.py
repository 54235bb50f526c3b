"""The rates of an audit, by hand-made outcomes whose answers are known."""

import math
from dataclasses import replace

import pytest

from quant_organism.audit.outcome import GateOutcome
from quant_organism.audit.rates import Rates, rates
from quant_organism.errors import InputError
from quant_organism_tests.audit.outcomes import NULL, STRONG, stopped


def alarm(found: Rates, name: str) -> bool:
    return next(alarm.raised for alarm in found.alarms if alarm.name == name)


def goal(found: Rates, name: str) -> str:
    return next(goal.verdict for goal in found.goals if goal.name == name)


def nulls(count: int, deployed: int = 0, **changes):
    standings = ["paper"] * deployed + ["fallen"] * (count - deployed)
    return [replace(NULL, world=f"null-{k}", standing=s, **changes) for k, s in enumerate(standings)]


def test_a_candidate_that_knew_later_bars_raises_an_alarm_whatever_else_it_did():
    knows = GateOutcome("replay", "look_ahead", "failed", 12.0, 0.0, ("shadow",), 0.1)
    honest = [replace(outcome, gates=(*outcome.gates, replace(knows, status="passed"))) for outcome in nulls(3)]
    assert not alarm(rates(honest), "look ahead")
    assert alarm(rates([*honest, replace(NULL, world="null-4", gates=(*NULL.gates, knows))]), "look ahead")


def test_false_discoveries_are_counted_by_world_with_wilsons_interval():
    found = rates(nulls(200, deployed=3)).false_discoveries
    assert (found.count, found.worlds) == (3, 200)
    assert (found.low, found.high) == (pytest.approx(0.00511, abs=1e-5), pytest.approx(0.04317, abs=1e-5))


@pytest.mark.parametrize(("deployed", "verdict"), [(0, "reached"), (10, "reached"), (11, "missed")])
def test_at_most_five_per_cent_of_the_nulls_may_deploy(deployed: int, verdict: str):
    assert goal(rates(nulls(200, deployed)), "false discoveries") == verdict


def test_of_too_few_worlds_nothing_is_said():
    few = rates([*nulls(199), *[replace(STRONG, world=f"s{k}") for k in range(29)]])
    assert {goal.verdict for goal in few.goals} == {"unknown"}


def test_the_shadow_pool_counts_apart_from_what_lies_beyond_it():
    found = rates([*nulls(8, deployed=1), replace(NULL, world="null-9", standing="shadow")])
    assert (found.shadow.count, found.false_discoveries.count) == (2, 1)


def test_the_alarm_on_false_discoveries_needs_more_than_bad_luck():
    assert not alarm(rates(nulls(20, deployed=3)), "false discoveries")
    assert not alarm(rates(nulls(20, deployed=5)), "false discoveries")
    assert alarm(rates(nulls(20, deployed=6)), "false discoveries")


def test_an_accepted_strategy_of_the_wrong_family_is_no_power():
    found = rates([replace(STRONG, world=f"s{k}", right_share=0.4 if k % 2 else 0.5) for k in range(30)])
    assert {(row.family, row.accepted.count, row.right.count) for row in found.found} == {
        ("momentum", 30, 15),
        ("all", 30, 15),
    }
    assert goal(found, "power") == "missed"
    assert goal(rates([replace(STRONG, world=f"s{k}") for k in range(30)]), "power") == "reached"


def test_worth_is_what_the_accepted_earn_later_beside_the_oracle():
    others = [replace(STRONG, world=f"w{k}", later_sharpe=s) for k, s in enumerate((1.0, 2.5))]
    missed = replace(STRONG, world="w9", standing="fallen", later_sharpe=-9.0)
    found = rates([STRONG, *others, missed])
    assert (found.worth.accepted, found.worth.median) == (3, pytest.approx(0.8))
    assert goal(rates([replace(STRONG, world=f"s{k}") for k in range(30)]), "worth") == "reached"
    poor = [replace(STRONG, world=f"s{k}", later_sharpe=1.7) for k in range(30)]
    assert goal(rates(poor), "worth") == "missed"


def test_what_is_not_known_is_neither_reached_nor_missed():
    found = rates(nulls(2))
    assert (goal(found, "power"), goal(found, "worth")) == ("unknown", "unknown")
    assert math.isnan(found.worth.median)


def test_a_gate_is_credited_with_the_nulls_and_charged_with_the_edges_that_it_alone_stops():
    found = rates(
        [
            stopped(NULL, "mean_return", "n1"),
            stopped(NULL, "sharpe", "n2"),
            stopped(stopped(NULL, "sharpe", "n3"), "mean_return", "n3"),
            stopped(STRONG, "mean_return", "s1"),
            STRONG,
        ]
    )
    rows = {row.gate: row for row in found.gates}
    first, last = rows["in_sample sharpe 1"], rows["holdout mean_return 0.05"]
    assert (first.first, first.only_nulls, first.only_planted) == ((2, 0, 0), 1, 0)
    assert (last.first, last.only_nulls, last.only_planted) == ((1, 0, 1), 1, 1)
    assert [(share.count, share.worlds) for share in first.passed] == [(1, 3), (0, 0), (2, 2)]
    assert last.cpu_seconds == pytest.approx(0.25)


def test_a_gate_that_was_not_asked_costs_nothing_and_is_not_counted():
    unasked = replace(NULL.gates[1], status="not_run", value=None, cpu_seconds=0.0)
    found = rates([NULL, replace(NULL, world="n2", gates=(NULL.gates[0], unasked))])
    assert {row.gate: row.passed[0].worlds for row in found.gates} == {
        "in_sample sharpe 1": 2,
        "holdout mean_return 0.05": 1,
    }


def test_a_gate_that_stands_before_two_stages_with_different_questions_has_a_row_for_each():
    before_shadow = replace(NULL.gates[1], goals=("shadow",))
    failed = replace(NULL.gates[1], status="failed")
    found = rates([replace(NULL, gates=(before_shadow, failed)), replace(NULL, world="n2", gates=(before_shadow,))])
    assert [(row.goals, row.passed[0].count, row.passed[0].worlds, row.first) for row in found.gates] == [
        (("shadow",), 2, 2, (0, 0, 0)),
        (("paper",), 0, 1, (1, 0, 0)),
    ]


def test_p_values_that_are_too_small_on_nulls_raise_the_alarm_and_large_ones_do_not():
    assert alarm(rates(nulls(12, unseen_p=0.1)), "p-values of the days after the search")
    assert alarm(rates(nulls(12, pretest_p=0.1)), "p-values of the test before the search")
    assert not any(a.raised for a in rates(nulls(12, unseen_p=0.99, pretest_p=1.0)).alarms)


def test_p_values_of_worlds_with_an_edge_raise_no_alarm():
    assert not any(a.raised for a in rates([replace(STRONG, world=f"s{k}", unseen_p=0.001) for k in range(20)]).alarms)


def test_books_that_differ_and_worlds_that_drift_are_named():
    found = rates([replace(NULL, claimed_sharpe=2.1), replace(NULL, world="null-2", drift=1e-5)])
    raised = {a.name: a.sentence for a in found.alarms if a.raised}
    assert set(raised) == {"books", "worlds"}
    assert "null-1" in raised["books"]
    assert "null-2" in raised["worlds"]


def test_no_world_has_no_rates():
    with pytest.raises(InputError, match="no world is done"):
        rates([])
