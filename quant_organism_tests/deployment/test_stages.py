"""A strategy climbs one stage at a time, falls back or retires, and every step has a reason and evidence."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from quant_organism.deployment.stages import DEPLOYED, MOVES, STAGES, Move, check_move, timestamp
from quant_organism.errors import InputError


@pytest.mark.parametrize("start", STAGES)
@pytest.mark.parametrize("end", STAGES)
def test_only_moves_of_the_table_are_allowed(start, end):
    if end in MOVES[start]:
        check_move(start, end, reason="because", evidence="numbers", where="x")
    else:
        with pytest.raises(InputError, match=f"no move leads from {start} to {end}"):
            check_move(start, end, reason="because", evidence="numbers", where="x")


def test_money_is_reached_only_through_shadow_paper_and_testnet_and_much_of_it_only_through_a_canary():
    reachable = {"born": ["born"]}
    frontier = ["born"]
    while frontier:
        stage = frontier.pop()
        for following in MOVES[stage]:
            if following not in reachable:
                reachable[following] = [*reachable[stage], following]
                frontier.append(following)
    assert [stage for stage in STAGES if "live" in MOVES[stage]] == ["canary"]
    assert [stage for stage in STAGES if "canary" in MOVES[stage]] == ["testnet"]
    assert [stage for stage in STAGES if "testnet" in MOVES[stage]] == ["paper"]
    assert reachable["live"] == ["born", "shadow", "paper", "testnet", "canary", "live"]


def test_every_stage_can_retire_and_none_returns_from_it():
    assert all("retired" in MOVES[stage] for stage in STAGES if stage != "retired")
    assert MOVES["retired"] == ()
    assert set(STAGES) - DEPLOYED == {"born", "retired"}


@pytest.mark.parametrize(("reason", "evidence"), [("", "numbers"), ("because", " "), ("because", "x" * 201)])
def test_a_move_without_reason_or_evidence_or_with_an_essay_is_refused(reason, evidence):
    with pytest.raises(InputError) as caught:
        check_move("born", "shadow", reason=reason, evidence=evidence, where="rsi_filter_0_00000000")
    assert caught.value.where == "rsi_filter_0_00000000"
    assert caught.value.remedy


def test_what_happened_cannot_be_rewritten():
    move = Move(at="2025-05-31", from_stage=None, to_stage="born", reason="passed every gate", evidence="p 0.01")
    with pytest.raises(ValidationError, match="frozen"):
        move.reason = "luck"


@pytest.mark.parametrize(
    "value",
    [
        "2025-05-31",
        "2025-05-31T00:00:00Z",
        "2025-05-31T02:00:00+02:00",
        date(2025, 5, 31),
        datetime(2025, 5, 31, tzinfo=UTC),
        datetime(2025, 5, 31, 5, tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_one_moment_has_one_text(value):
    assert timestamp(value) == "2025-05-31T00:00:00Z"


@pytest.mark.parametrize("value", ["yesterday", "2025-13-01", "2025-05-31T00:00:00", 1748649600, "", None])
def test_what_is_no_moment_is_refused(value):
    with pytest.raises(InputError):
        timestamp(value)
