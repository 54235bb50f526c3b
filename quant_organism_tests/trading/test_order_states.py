"""The tables: what an order's state becomes, and what is done where books and venue disagree."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from quant_organism.trading import orders
from quant_organism.trading.orders.money import Balance
from quant_organism.trading.orders.reconciliation import (
    OURS,
    THEIRS,
    Action,
    Ours,
    Reconciliation,
    Resolution,
    Theirs,
    position_gaps,
    resolve,
)
from quant_organism.trading.orders.states import (
    EVENT_MEANINGS,
    EVENTS,
    LIVE,
    MEANINGS,
    STATES,
    Event,
    State,
    cloid_of,
    mermaid,
    next_state,
)
from quant_organism_tests.conftest import REPOSITORY

MOVES: dict[State, str] = {
    # events in the order of EVENTS: no_answer waits opens replaced fills cancels rejects
    "sending": "unknown waiting open open filled canceled rejected",
    "unknown": "unknown waiting open open filled canceled rejected",
    "waiting": "waiting waiting open open filled canceled rejected",
    "open": "open open open open filled canceled rejected",
    "filled": "filled filled filled open filled filled filled",
    "canceled": "canceled canceled canceled open filled canceled canceled",
    "rejected": "rejected waiting open open filled canceled rejected",
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(STATES, EVENTS)))
def test_every_state_and_event(state: State, event: Event) -> None:
    assert next_state(state, event) == dict(zip(EVENTS, MOVES[state].split(), strict=True))[event]


def test_nothing_brings_an_order_back_to_sending_and_fills_always_win() -> None:
    reached = {next_state(state, event) for state in STATES for event in EVENTS}
    assert "sending" not in reached
    assert {next_state(state, "fills") for state in STATES} == {"filled"}


DONE: dict[Ours, str] = {
    # what is shown, in the order of THEIRS: absent open filled canceled rejected other
    "absent": "- foreign foreign foreign foreign foreign",
    "sending": "look_again adopt adopt adopt adopt look_again",
    "unknown": "look_again adopt adopt adopt adopt look_again",
    "waiting": "look_again adopt adopt adopt adopt look_again",
    "open": "look_again nothing adopt adopt adopt look_again",
    "filled": "nothing look_again nothing nothing nothing nothing",
    "canceled": "nothing look_again adopt nothing nothing look_again",
    "rejected": "nothing adopt adopt adopt nothing look_again",
}
AFTER_LOOKING: dict[tuple[Ours, Theirs], Action] = {
    ("waiting", "absent"): "end",
    ("open", "absent"): "end",
    ("filled", "open"): "cancel_again",
    ("canceled", "open"): "cancel_again",
}


@pytest.mark.parametrize(
    ("ours", "theirs"), [pair for pair in itertools.product(OURS, THEIRS) if pair != ("absent",) * 2]
)
def test_every_disagreement(ours: Ours, theirs: Theirs) -> None:
    expected = dict(zip(THEIRS, DONE[ours].split(), strict=True))[theirs]
    action, reason = resolve(ours, theirs)
    assert action == expected
    assert reason
    assert resolve(ours, theirs, looked=True)[0] == AFTER_LOOKING.get((ours, theirs), expected)


def test_an_order_that_may_fill_is_never_passed_over_where_the_venue_says_otherwise() -> None:
    agreed = {(ours, theirs) for ours in LIVE for theirs in THEIRS if resolve(ours, theirs)[0] == "nothing"}
    assert agreed == {("open", "open")}


def test_positions_that_differ_are_told_with_what_either_side_has() -> None:
    ours = {"AR": Decimal(1), "BTC": Decimal("-0.5"), "ETH": Decimal(2), "SOL": Decimal(0)}
    shown = (("BTC", "-0.5"), ("ETH", "3"), ("DOGE", "-7"), ("XRP", "0"))
    theirs = [SimpleNamespace(coin=coin, szi=Decimal(szi)) for coin, szi in shown]
    manager = SimpleNamespace(journal=SimpleNamespace(positions=lambda: ours))
    assert position_gaps(manager, SimpleNamespace(positions=theirs)) == {
        "AR": (1, 0),
        "DOGE": (0, -7),
        "ETH": (2, 3),
    }


def test_the_picture_in_the_documents_is_the_table() -> None:
    page = (REPOSITORY / "docs" / "venue.md").read_text()
    assert f"```mermaid\n{mermaid()}\n```" in page


@pytest.mark.parametrize(
    ("title", "meanings"), [("| state | meaning |", MEANINGS), ("| event | what was heard |", EVENT_MEANINGS)]
)
def test_the_meanings_in_the_documents_are_those_of_the_program(title: str, meanings: Mapping[str, str]) -> None:
    page = (REPOSITORY / "docs" / "venue.md").read_text()
    rows = "\n".join(f"| `{word}` | {meaning} |" for word, meaning in meanings.items())
    assert f"{title}\n|---|---|\n{rows}\n\n" in page


def test_a_decision_has_one_id_for_good_and_no_other_has_it() -> None:
    assert cloid_of("momentum/BTC/2026-01-01T00", "entry") == "0x716f0ea8d1b973b6a10950bf880f20d6"
    ids = {cloid_of(decision, leg) for decision in ("a", "b", "ab", "") for leg in ("entry", "stop", "")}
    assert len(ids) == 12
    assert all(len(cloid) == 34 and int(cloid, 16) >= 0 for cloid in ids)


AGREED = Reconciliation((), {}, ())
FILL = SimpleNamespace(is_liquidation=False)
ZERO = Decimal(0)
EVEN = Balance(Decimal(100), ZERO, ZERO, ZERO, ZERO, ZERO, Decimal(100))


def resolved(action: Action) -> tuple[Resolution, ...]:
    return (Resolution("cloid", 7, "open", "open", "nothing", ""), Resolution("cloid", 8, "open", "open", action, ""))


@pytest.mark.parametrize(
    ("changes", "is_clean"),
    [
        ({}, True),
        *(({"resolutions": resolved(action)}, action not in ("look_again", "foreign")) for action in get_args(Action)),
        ({"balance": EVEN, "transfers": (SimpleNamespace(),)}, True),
        ({"balance": replace(EVEN, venue_usd=Decimal("100.01"))}, False),
        ({"balance": replace(EVEN, venue_usd=Decimal("99.99"))}, False),
        ({"balance": replace(EVEN, venue_usd=Decimal("100.009999"))}, True),
        ({"position_gaps": {"ETH": (ZERO, Decimal(1))}}, False),
        ({"unsettled": (7,)}, False),
        ({"recovered": ("cloid",)}, False),
        ({"foreign_fills": (FILL,)}, False),
        ({"storage_failure": "disk full"}, False),
    ],
)
def test_a_comparison_is_clean_where_nothing_is_in_doubt(changes: dict[str, Any], is_clean: bool) -> None:
    assert replace(AGREED, **changes).is_clean is is_clean


@pytest.mark.parametrize("name", ["opening", "realised", "unrealised", "funding", "transfers"])
def test_what_is_earned_adds_to_the_books_and_fees_are_taken_off(name: str) -> None:
    more = replace(EVEN, **{f"{name}_usd": getattr(EVEN, f"{name}_usd") + 3})
    assert (more.books_usd, more.gap_usd, more.is_even) == (103, -3, False)
    assert replace(more, fees_usd=Decimal(5)).books_usd == 98


def test_the_room_hands_out_the_names_of_its_face_and_no_other() -> None:
    for name in orders.__all__:
        assert getattr(orders, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute nothing"):
        orders.nothing  # type: ignore[attr-defined]  # noqa: B018
