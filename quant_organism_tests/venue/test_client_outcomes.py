"""Answers of the venue as typed outcomes: the recorded ones, the broken ones, and those of years to come."""

import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.venue.client.account import (
    read_account,
    read_fills,
    read_open_orders,
    read_order_status,
    read_order_update,
    standing,
)
from quant_organism.venue.client.outcomes import Accepted, Rejected, Unknown, Why, read_outcomes, refusal
from quant_organism.venue.client.transport import VenueUnreadable
from quant_organism.venue.protocol import texts

USER = "0x" + "ab" * 20


def statuses(*items: Any) -> dict[str, Any]:
    return {"status": "ok", "response": {"type": "order", "data": {"statuses": list(items)}}}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"resting": {"oid": 7}}, Accepted("resting", 7)),
        ({"resting": {"oid": 7, "cloid": "0x1", "new_key": 1}}, Accepted("resting", 7)),
        (
            {"filled": {"totalSz": "0.02", "avgPx": "2686.6", "oid": 9}},
            Accepted("filled", 9, Decimal("0.02"), Decimal("2686.6")),
        ),
        ("waitingForFill", Accepted("waiting")),
        ("waitingForTrigger", Accepted("waiting")),
        ("success", Accepted("done")),
        ({"error": f"{texts.MIN_NOTIONAL} asset=4"}, Rejected(Why.NOTIONAL, f"{texts.MIN_NOTIONAL} asset=4")),
    ],
)
def test_a_status_is_read_as_what_it_says(status: Any, expected: object) -> None:
    assert read_outcomes(statuses(status), 1) == [expected]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{texts.PRICE_OFF_TICK} asset=3", Why.PRICE),
        (f"{texts.INVALID_SIZE} asset=3", Why.SIZE),
        ("Insufficient margin to place order. asset=3", Why.MARGIN),
        (f"{texts.WOULD_INCREASE} asset=4", Why.REDUCE_ONLY),
        (f"{texts.NO_MATCH} asset=78", Why.NO_LIQUIDITY),
        (texts.post_only_crossed("1", "2"), Why.WOULD_CROSS),
        (texts.POST_ONLY_PERIOD, Why.POST_ONLY_PERIOD),
        ("Order price too far from oracle", Why.TOO_FAR),
        ("Order price cannot be more than 80% away from the reference price", Why.TOO_FAR),
        (f"{texts.NOT_OPEN} asset=4", Why.NOT_OPEN),
        (texts.CANNOT_MODIFY, Why.NOT_OPEN),
        (texts.volume_gate("250.35"), Why.VOLUME_GATE),
        (texts.too_many_requests(97460, 97456, "87457.46"), Why.ADDRESS_LIMIT),
        (texts.no_such_user("0x" + "0" * 40), Why.WALLET),
        (texts.must_deposit("0x" + "0" * 40), Why.WALLET),
        ("Invalid nonce: nonce too low 1 < 2", Why.NONCE),
        ("nonce too high 3 > 2", Why.NONCE),
        (texts.ORDER_VALUE, Why.NOTIONAL),
        (texts.too_many_orders(1_000), Why.OPEN_ORDERS),
        (f"{texts.OPEN_ORDERS_REDUCE} asset=4", Why.OPEN_ORDERS),
        (texts.UNIFIED, Why.UNIFIED),
        ("A text of the year 2031.", Why.OTHER),
    ],
)
def test_a_text_is_a_reason(text: str, why: Why) -> None:
    assert refusal(text) == Rejected(why, text)
    assert read_outcomes({"status": "err", "response": text}, 3) == [Rejected(why, text)] * 3


def test_every_text_of_the_wire_has_a_reason_of_its_own() -> None:
    orders = [text for text in vars(texts).values() if isinstance(text, str) and " " in text and text[0].isupper()]
    without = [text for text in orders if refusal(text).why is Why.OTHER and text != texts.__doc__]
    begin, end = orders.index(texts.UNKNOWN_DEX), orders.index(texts.NO_VALIDATOR)
    not_sent_from_here = orders[begin : end + 1]  # transfers, agents, deploying, staking
    assert without == [texts.UNSUPPORTED, texts.CANCEL_TOO_SOON, texts.CANCELS_USED_UP, *not_sent_from_here]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "null",
        [],
        {},
        {"status": "maybe"},
        {"status": "ok"},
        {"status": "ok", "response": "done"},
        {"status": "ok", "response": {"type": "order", "data": {}}},
        statuses({"resting": {"oid": 1}}),
        statuses({"resting": {"oid": 1}}, {"resting": {"oid": 2}}, {"resting": {"oid": 3}}),
        statuses({"resting": {}}, {"filled": {"oid": 1, "totalSz": "x", "avgPx": "1"}}),
        statuses("aWordOfTheYear2031", {"parked": {"oid": 1}}),
        {"status": "err", "response": "Invalid nonce: duplicate nonce 5"},
    ],
)
def test_what_does_not_say_what_became_of_each_order_is_unknown(answer: Any) -> None:
    assert [type(outcome) for outcome in read_outcomes(answer, 2)] == [Unknown, Unknown]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "response", "data", "statuses", "type", "resting", "filled", "oid", "error"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.integers(1, 4))
def test_no_answer_stops_the_reader_and_every_item_has_an_outcome(answer: Any, count: int) -> None:
    outcomes = read_outcomes(answer, count)
    assert len(outcomes) == count
    assert all(isinstance(outcome, Accepted | Rejected | Unknown) for outcome in outcomes)


FILL = {"coin": "ETH", "side": "B", "px": "2000.0", "sz": "0.1", "time": 7, "oid": 5, "tid": 3, "fee": "0.1"}
ORDER = {"coin": "ETH", "side": "A", "limitPx": "2000.0", "sz": "0.1", "origSz": "0.2", "oid": 5, "timestamp": 7}


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "-0.1", "oops"])
@pytest.mark.parametrize("name", ["px", "sz", "limitPx", "origSz"])
def test_a_price_or_size_that_is_none_is_refused_where_it_enters(name: str, value: str) -> None:
    assert read_fills([FILL], USER)[0].sz == read_open_orders([ORDER])[0].left_sz == Decimal("0.1")
    if name in FILL:
        with pytest.raises(VenueUnreadable):
            read_fills([FILL | {name: value}], USER)
    if name in ORDER:
        with pytest.raises(VenueUnreadable):
            read_open_orders([ORDER | {name: value}])


@pytest.mark.parametrize("side", ["X", "", "b", None, True, ["A"]])
def test_a_side_that_is_none_is_refused_where_it_enters(side: Any) -> None:
    with pytest.raises(VenueUnreadable):
        read_fills([FILL | {"side": side}], USER)
    with pytest.raises(VenueUnreadable):
        read_open_orders([ORDER | {"side": side}])


@given(JSON)
def test_questions_are_answered_or_unreadable(answer: Any) -> None:
    for read in (read_account, read_open_orders, read_order_status, read_order_update, partial(read_fills, user=USER)):
        try:
            read(answer)
        except VenueUnreadable:
            continue


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("open", "open"),
        ("triggered", "open"),
        ("filled", "filled"),
        ("canceled", "canceled"),
        ("scheduledCancel", "canceled"),
        ("internalCancel", "canceled"),
        ("liquidatedCanceled", "canceled"),
        ("rejected", "rejected"),
        ("iocCancelRejected", "rejected"),
        ("perpMaxPositionRejected", "rejected"),
        ("hibernating", "other"),
    ],
)
def test_status_words_are_told_by_their_end(word: str, expected: str) -> None:
    assert standing(word) == expected


def captures(folder: Path, name: str) -> Any:
    return json.loads((folder / "hypaper_testnet_captures" / name).read_text())["response"]


def sdk(folder: Path, name: str) -> Any:
    recorded = json.loads((folder / "hl_python_sdk" / "json" / name).read_text())
    return recorded[-1]["response"]


def test_recorded_answers_of_2026_are_read(shared_venue: Path) -> None:
    assert read_outcomes(captures(shared_venue, "01_place_order.json"), 2) == [
        Accepted("resting", 53244215259),
        Accepted("resting", 53244215260),
    ]
    assert [type(o) for o in read_outcomes(captures(shared_venue, "03b_cancel.json"), 2)] == [Rejected, Rejected]
    (gate,) = read_outcomes(captures(shared_venue, "10_scheduleCancel_set.json"), 1)
    assert isinstance(gate, Rejected)
    assert gate.why is Why.VOLUME_GATE
    (modify,) = read_outcomes(captures(shared_venue, "08_modify_error.json"), 1)
    assert isinstance(modify, Rejected)
    assert modify.why is Why.NOT_OPEN
    state = read_account(captures(shared_venue, "09_clearinghouseState.json"))
    assert state.account_value_usd == Decimal("27.238902")
    assert {position.coin for position in state.positions} == {"BTC", "SOL"}
    orders = read_open_orders(captures(shared_venue, "06_openOrders.json"))
    assert {order.left_sz for order in orders} == {Decimal("0.00039")}
    fills = read_fills(captures(shared_venue, "07_userFills.json"), USER)
    assert len({(fill.tid, fill.oid) for fill in fills}) == len(fills) > 0


def test_recorded_answers_of_2023_are_read_too(shared_venue: Path) -> None:
    assert read_account(sdk(shared_venue, "test_get_user_state.json")).account_value_usd == Decimal("1182.312496")
    assert len(read_fills(sdk(shared_venue, "test_get_user_fills.json"), USER)) > 0
    assert len(read_open_orders(sdk(shared_venue, "test_get_open_orders.json"))) > 0
    assert len(read_open_orders(sdk(shared_venue, "test_get_frontend_open_orders.json"))) > 0
    history = [read_order_update(row) for row in sdk(shared_venue, "test_historical_orders.json")]
    assert {order.standing for order in history} <= {"open", "filled", "canceled", "rejected"}
