"""Orders over a real socket with answers lost, late and broken: none is doubled or forgotten, fills are the truth."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quant_organism.errors import InputError, IntegrityError
from quant_organism.trading.orders import flattening
from quant_organism.trading.orders.flattening import NotFlat, flatten
from quant_organism.trading.orders.journal import Journal
from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.reconciliation import reconcile
from quant_organism.trading.orders.states import cloid_of
from quant_organism.venue import NewOrder, Outcome, Unknown, wallet_of
from quant_organism.venue.protocol import MAX_ITEMS_PER_ACTION, ApproveAgent, wire
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.simulator.loopback import Failure, LoopbackVenue
from quant_organism_tests.simulator.venues import ETH, order, place
from quant_organism_tests.trading.trader import (
    KEY,
    bracket,
    close,
    eventually,
    fail_once,
    new_order,
    open_manager,
)

D = Decimal


def sent(server: LoopbackVenue, kind: str) -> int:
    return sum(1 for endpoint, body in server.requests if endpoint == "exchange" and body["action"]["type"] == kind)


def test_an_order_is_in_the_journal_before_it_is_on_the_wire(server: LoopbackVenue, manager: OrderManager) -> None:
    seen: list[str] = []

    def look(endpoint: str, body: dict[str, Any]) -> None:
        if endpoint == "exchange":
            (action,) = manager.journal.unsettled()
            assert action.nonce == body["nonce"]
            seen.append(manager.journal.order(body["action"]["orders"][0]["c"]).state)

    server.inject = look
    (record,) = manager.place("d", [new_order("d")])
    assert seen == ["sending"]
    assert (record.state, record.filled_sz) == ("open", 0)
    assert manager.journal.unsettled() == []


def test_a_decision_is_placed_once_however_often_it_is_asked_for(server: LoopbackVenue, manager: OrderManager) -> None:
    first = manager.place("d", [new_order("d")])
    assert manager.place("d", [new_order("d")]) == first
    assert sent(server, "order") == 1


def test_an_order_off_the_tick_leaves_no_trace(server: LoopbackVenue, manager: OrderManager) -> None:
    with pytest.raises(InputError, match="off the tick"):
        manager.place("d", [new_order("d", px="1900.123")])
    assert manager.journal.orders() == []
    assert sent(server, "order") == 0


@pytest.mark.parametrize("lag", [0.0, 0.3])
@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (Failure("after"), "open"),
        (Failure("after", seconds=0.8), "open"),
        (Failure("after", status=200, body=b'{"status":"ok"'), "open"),
        (Failure("after", status=502, body=b"<html>"), "open"),
        (Failure("before"), "rejected"),
        (Failure("before", status=503, body=b""), "rejected"),
        (Failure("before", status=429, body=b"null"), "rejected"),
    ],
)
def test_a_lost_answer_is_settled_by_asking(
    server: LoopbackVenue, manager: OrderManager, failure: Failure, state: str, lag: float
) -> None:
    server.lag_seconds = lag
    fail_once(server, "order", failure)
    (record,) = manager.place("d", [new_order("d")])
    assert record.state == ("rejected" if failure.status == 429 else "unknown")
    assert manager.settle() == []
    assert manager.journal.order(cloid_of("d")).state == state
    assert sent(server, "order") == 1
    check_journal_is_venue(manager, server.venue, server.account)


@pytest.mark.parametrize(("px", "state"), [("1900", "open"), ("2010", "filled")])
def test_an_order_that_the_line_tells_of_before_its_answer_is_lost_is_what_the_line_says(
    server: LoopbackVenue, manager: OrderManager, px: str, state: str
) -> None:
    """The socket is read by a thread of its own: what it hears may be written down before the answer is given up."""
    placing = new_order("d", px=px)

    def hear_first(orders: Sequence[NewOrder], nonce: int, **more: Any) -> list[Outcome]:
        outcomes = send(orders, nonce, **more)
        assert isinstance(outcomes[0], Unknown)
        shown = manager.venue.order_status(placing.cloid)
        assert shown is not None
        manager.hear_order(shown)
        return outcomes

    fail_once(server, "order", Failure("after"))
    send, manager.venue.place = manager.venue.place, hear_first  # type: ignore[method-assign]
    (record,) = manager.place("d", [placing])
    assert record.state == state
    assert [action.kind for action in manager.journal.unsettled()] == ["place"]
    assert manager.settle() == []
    assert sent(server, "order") == 1
    check_journal_is_venue(manager, server.venue, server.account)


def test_a_lost_answer_to_a_batch_leaves_no_order_in_doubt(server: LoopbackVenue, manager: OrderManager) -> None:
    fail_once(server, "order", Failure("after"))
    orders = [new_order("d", leg="a"), new_order("d", leg="b", sz="0.001"), new_order("d", leg="c", px="2010")]
    manager.place("d", orders)
    assert manager.settle() == []
    assert [manager.journal.order(order.cloid).state for order in orders] == ["open", "rejected", "filled"]
    check_journal_is_venue(manager, server.venue, server.account)


def test_nothing_is_decided_while_the_venue_is_silent(server: LoopbackVenue, manager: OrderManager) -> None:
    server.inject = lambda endpoint, body: Failure("before") if endpoint == "exchange" else None
    manager.place("d", [new_order("d")])
    assert [action.kind for action in manager.settle()] == ["place"]
    assert manager.journal.order(cloid_of("d")).state == "unknown"
    server.inject = lambda endpoint, body: None
    assert manager.settle() == []
    assert manager.journal.order(cloid_of("d")).state == "rejected"


def test_amendments_keep_the_id_and_lost_ones_are_settled(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d")])
    first = manager.journal.order(cloid_of("d"))
    amended = manager.amend(cloid_of("d"), D(1950), D("0.2"))
    assert (amended.state, amended.order.px, amended.order.sz) == ("open", D(1950), D("0.2"))
    assert amended.oid > first.oid  # type: ignore[operator]
    for failure, px in ((Failure("after"), D(1960)), (Failure("before"), D(1970))):
        fail_once(server, "batchModify", failure)
        assert manager.amend(cloid_of("d"), px, D("0.2")).state == "open"
        with pytest.raises(InputError, match="being amended"):
            manager.amend(cloid_of("d"), px, D("0.3"))
        assert manager.settle() == []
        assert manager.journal.order(cloid_of("d")).order.px == D(1960)
    check_journal_is_venue(manager, server.venue, server.account)


def test_the_end_of_an_amended_number_is_not_the_end_of_the_order(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d")])
    old = manager.venue.order_status(cloid_of("d"))
    assert old is not None
    manager.amend(cloid_of("d"), D(1950), D("0.2"))
    ended = manager.venue.order_status(old.oid)
    assert ended is not None
    assert ended.standing == "canceled"
    record = manager.hear_order(ended)
    assert record is not None
    assert record.state == "open"


def test_the_end_of_a_number_may_be_heard_before_the_amendment_is_answered(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    manager.place("d", [new_order("d")])
    old = manager.venue.order_status(cloid_of("d"))
    assert old is not None
    fail_once(server, "batchModify", Failure("after"))
    manager.amend(cloid_of("d"), D(1950), D("0.2"))
    record = manager.hear_order(replace(old, word="canceled"))
    assert record is not None
    assert record.state == "open"
    assert manager.settle() == []
    assert manager.journal.order(cloid_of("d")).order.px == D(1950)
    check_journal_is_venue(manager, server.venue, server.account)


def test_amending_what_was_filled_shows_that_it_was(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d")])
    with server.lock:
        server.venue.take(ETH, 180_000, 10_000_000, is_buy=False)
    assert manager.amend(cloid_of("d"), D(1950), D("0.2")).state == "filled"
    manager.sync_fills()
    assert manager.journal.positions() == {"ETH": D("0.1")}


def test_cancels_are_settled_and_sent_again_only_where_the_order_lives(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    manager.place("d", [new_order("d", leg=leg) for leg in ("a", "b")])
    for leg, failure, cancels in (("a", Failure("after"), 1), ("b", Failure("before"), 3)):
        fail_once(server, "cancelByCloid", failure)
        assert manager.cancel([cloid_of("d", leg)])[0].state == "open"
        assert manager.settle() == []
        assert manager.journal.order(cloid_of("d", leg)).state == "canceled"
        assert sent(server, "cancelByCloid") == cancels
    assert server.account.open_oids == {}


def test_an_entry_with_take_profit_and_stop_lives_through_its_states(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    entry, profit, stop = manager.place("d", bracket("d"), grouping="normalTpsl")
    assert entry.state == "filled"
    assert (profit.state, stop.state) in (("open", "open"), ("waiting", "waiting"))
    assert reconcile(manager).is_clean
    assert manager.journal.order(stop.order.cloid).state == "open"
    with server.lock:
        server.venue.set_prices({ETH: (179_000, 179_000)})
    assert reconcile(manager).is_clean
    assert manager.journal.order(stop.order.cloid).state == "filled"
    assert manager.journal.order(profit.order.cloid).state == "canceled"
    assert manager.journal.positions() == {}
    check_journal_is_venue(manager, server.venue, server.account)


def test_fills_count_once_in_any_order_and_before_any_answer(server: LoopbackVenue, manager: OrderManager) -> None:
    fail_once(server, "order", Failure("after"))
    manager.place("d", [new_order("d", px="2010", sz="0.2")])
    fills = manager.venue.fills(0)
    assert len(manager.hear_fills([*reversed(fills), *fills])) == len(fills)
    assert manager.hear_fills(fills) == []
    assert manager.journal.order(cloid_of("d")).state == "filled"
    assert manager.journal.positions() == {"ETH": D("0.2")}


def test_what_was_held_before_is_no_gap(server: LoopbackVenue, tmp_path: Path) -> None:
    first = open_manager(server.url, tmp_path / "first")
    reconcile(first)
    first.place("d", [new_order("d", px="2010")])
    close(first)
    second = open_manager(server.url, tmp_path / "second")
    assert reconcile(second).recovered == (cloid_of("d"),)
    assert reconcile(second).is_clean
    assert second.journal.positions() == {"ETH": D("0.1")}
    second.place("e", [new_order("e", px="1990", is_buy=False)])
    second.sync_fills()
    assert second.journal.positions() == {}
    close(second)


def test_each_order_that_lives_here_or_there_is_compared_once(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("ended", [new_order("ended")])
    manager.cancel([cloid_of("ended")])
    (open_one,), (gone,) = (manager.place(name, [new_order(name)]) for name in ("open", "gone"))
    with server.lock:
        server.venue.act(server.account, wire.CancelOrders(((ETH, gone.oid),)))
    assert [(found.cloid, found.ours, found.theirs, found.action) for found in reconcile(manager).resolutions] == [
        (open_one.order.cloid, "open", "open", "nothing"),
        (gone.order.cloid, "open", "canceled", "adopt"),
    ]
    assert manager.journal.order(gone.order.cloid).state == "canceled"


def test_orders_of_others_are_reported_and_canceled_only_if_asked(server: LoopbackVenue, manager: OrderManager) -> None:
    with server.lock:
        place(server.venue, server.account, order(ETH, "buy", "0.1", 1900, cloid="0x" + "cd" * 16))
    assert [item.action for item in reconcile(manager).resolutions] == ["foreign"]
    assert len(server.account.open_oids) == 1
    reconcile(manager, cancel_foreign=True)
    assert server.account.open_oids == {}


def test_an_order_that_outlived_its_cancel_is_canceled_again(server: LoopbackVenue, manager: OrderManager) -> None:
    """Our books say canceled, the venue says open, and says so still when everything must have become visible."""
    manager.place("d", [new_order("d")])
    manager.journal.move(cloid_of("d"), "cancels", 0, text="canceled by us")
    assert len(server.account.open_oids) == 1
    (resolution,) = reconcile(manager).resolutions
    assert (resolution.ours, resolution.theirs, resolution.action) == ("canceled", "open", "cancel_again")
    assert server.account.open_oids == {}
    assert manager.journal.order(cloid_of("d")).state == "canceled"
    assert reconcile(manager).is_clean


def test_what_a_replaced_agent_sent_is_not_taken_for_lost(server: LoopbackVenue, tmp_path: Path) -> None:
    """The new agent's nonces say nothing about the old one's orders: those are waited for until they have expired."""
    agents = ["0x" + byte * 32 for byte in ("a9", "b9")]
    server.venue.act(server.account, ApproveAgent(wallet_of(agents[0]).address, "bot"))
    before = open_manager(server.url, tmp_path, key=agents[0], action_seconds=1.0)
    reconcile(before)
    fail_once(server, "order", Failure("after"))
    before.place("d", [new_order("d")])
    before.place("e", [new_order("e")])
    close(before)
    server.venue.act(server.account, ApproveAgent(wallet_of(agents[1]).address, "bot"))
    after = open_manager(server.url, tmp_path, key=agents[1], action_seconds=1.0, visibility_seconds=0.2)
    server.lag_seconds = 1.0
    assert [action.signer for action in after.settle()] == [wallet_of(agents[0]).address]
    assert after.journal.order(cloid_of("d")).state == "unknown"
    assert eventually(lambda: after.settle() == [])
    assert [after.journal.order(cloid_of(name)).state for name in ("d", "e")] == ["open", "open"]
    assert after.place("d", [new_order("d")])[0].state == "open"
    assert len(server.orders()) == 2
    close(after)


def test_flattening_ends_when_the_venue_is_flat(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", bracket("d"), grouping="normalTpsl")
    manager.place("e", [new_order("e"), new_order("e", leg="x", coin="DOGE", px="0.21", sz="500")])
    fail_once(server, "order", Failure("after"))
    rounds = flatten(manager, "stop now", sleep=lambda seconds: None)
    assert rounds >= 1
    assert server.positions() == {}
    assert server.account.open_oids == {}
    check_journal_is_venue(manager, server.venue, server.account)


def test_flattening_sells_to_a_book_that_has_bids_only(server: LoopbackVenue, manager: OrderManager) -> None:
    """Such a book has no mid price."""
    manager.place("d", [new_order("d", px="2010")])
    no_mid = Failure("after", edit=lambda answer: {coin: px for coin, px in answer.items() if coin != "ETH"})
    server.inject = lambda endpoint, body: (
        no_mid if body["type" if endpoint == "info" else "nonce"] == "allMids" else None
    )
    assert flatten(manager, "stop now", sleep=lambda seconds: None) == 1
    assert server.positions() == {}


def test_an_old_answer_that_shows_nothing_does_not_end_flattening(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d", px="2010")])
    empty = {"marginSummary": {"accountValue": "1", "totalMarginUsed": "0"}, "withdrawable": "1", "assetPositions": []}
    fail_once(server, "clearinghouseState", Failure("after", edit=lambda answer: empty))
    assert flatten(manager, "stop now", sleep=lambda seconds: None) == 1
    assert server.positions() == {}


def test_flattening_ends_with_an_error_when_the_venue_is_silent(server: LoopbackVenue, manager: OrderManager) -> None:
    server.inject = lambda endpoint, body: Failure("before", status=422, body=b"no")
    with pytest.raises(NotFlat, match=r"what cannot be seen \(open orders: refused"):
        flatten(manager, "stop now", slippages=[D("0.01")], sleep=lambda seconds: None)


def test_flattening_closes_what_is_known_of_even_where_the_dexs_cannot_be_listed(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    manager.place("d", [new_order("d", px="2010")])
    unreadable = Failure("after", edit=lambda answer: {"dexs": "none"})
    server.inject = lambda endpoint, body: (
        unreadable if body["type" if endpoint == "info" else "nonce"] == "perpDexs" else None
    )
    with pytest.raises(NotFlat, match="other dexs have not been seen"):
        flatten(manager, "stop now", sleep=lambda seconds: None)
    assert server.positions() == {}


def test_flattening_says_what_is_left_when_nobody_buys(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d", px="2010")])
    with server.lock:
        server.venue.withdraw_quotes(ETH)
    what = "0 open orders, 0 TWAP orders, positions 0.1 ETH, 0 actions of unknown outcome"
    slept: list[float] = []
    with pytest.raises(NotFlat) as told:
        flatten(manager, "stop now", slippages=[D("0.01")] * 2, sleep=slept.append)
    assert told.value.what == f"not shown to be flat after 2 rounds: {what}"
    assert len(slept) == 2  # what is left after the last is told at once
    assert server.positions() == {"ETH": 1_000}


def test_what_flattening_cancels_is_canceled_in_the_books_at_once(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d")])
    flatten(manager, "stop now", sleep=lambda seconds: None)
    assert manager.journal.order(cloid_of("d")).state == "canceled"


def test_an_account_is_flat_once_so_many_looks_after_each_other_have_shown_it(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    asked = len(server.requests)
    slept: list[float] = []
    assert flatten(manager, "stop now", sleep=slept.append) == 0
    looks = [body["type"] for _, body in server.requests[asked:] if body["type"] == "clearinghouseState"]
    # All dexs are found out after the first.
    assert len(looks) == 1 + flattening._LOOKS == 1 + len(slept)


def test_after_flattening_the_books_have_heard_of_every_fill(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d", px="2010")])
    flatten(manager, "stop now", sleep=lambda seconds: None)
    assert len(manager.journal.fills()) == len(server.account.fills) == 2
    assert not any(manager.journal.positions().values())


@pytest.mark.parametrize(
    ("px", "mark", "is_near"),
    [
        (None, "100", False),
        ("0", "0", False),
        ("-1", "0", False),
        ("1", "0", True),  # there is no mark
        ("19.99", "100", False),
        ("20", "100", True),
        ("500", "100", True),
        ("500.01", "100", False),
    ],
)
def test_a_price_that_the_venue_would_not_take_is_not_near(px: str | None, mark: str, is_near: bool) -> None:
    held = SimpleNamespace(mark_px=D(mark))
    assert flattening._is_near(None if px is None else D(px), held) is is_near  # type: ignore[arg-type]


def test_as_many_orders_are_placed_at_once_as_the_venue_takes(server: LoopbackVenue, manager: OrderManager) -> None:
    many = [new_order("many", leg=str(number), sz="0.01") for number in range(MAX_ITEMS_PER_ACTION + 1)]
    for wrong in ([], many):
        with pytest.raises(InputError, match=f"{len(wrong)} orders"):
            manager.place("many", wrong)
    assert {record.state for record in manager.place("many", many[1:])} == {"open"}
    assert len(server.account.open_oids) == MAX_ITEMS_PER_ACTION


def test_before_the_books_have_begun_no_money_is_asked_for(server: LoopbackVenue, tmp_path: Path) -> None:
    manager = open_manager(server.url, tmp_path)
    asked = len(server.requests)
    assert manager.sync_flows() == []
    assert len(server.requests) == asked
    close(manager)


@pytest.mark.parametrize(("looks", "pauses"), [(None, [0.25] * 8), (4, [0.5] * 4), (1, [2.0]), (100, [0.25] * 8)])
def test_one_looks_again_until_everything_must_have_become_visible(looks: int | None, pauses: list[float]) -> None:
    slept: list[float] = []
    manager = OrderManager(None, None, visibility_seconds=2.0, sleep=slept.append)  # type: ignore[arg-type]
    seen = iter(range(100))
    assert manager.look_until(lambda: next(seen), lambda _: False, looks=looks) == len(pauses)
    assert slept == pauses
    assert manager.look_until(lambda: "there", lambda found: found == "there", looks=looks) == "there"
    assert slept == pauses


def test_an_order_that_is_never_shown_is_asked_for_until_everything_must_have_become_visible() -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) < 20

    venue = SimpleNamespace(order_status=lambda cloid: None)
    OrderManager(venue, None, visibility_seconds=2.0, sleep=sleep)._ask(["one", "other"])  # type: ignore[arg-type]
    assert slept == [0.25] * 8


def test_the_clock_of_the_venue_is_told_less_ours() -> None:
    venue = SimpleNamespace(venue_ms=lambda: 10_250)
    assert OrderManager(venue, None, now_ms=lambda: 10_000).skew_ms() == 250  # type: ignore[arg-type]


def test_a_journal_belongs_to_one_account(tmp_path: Path) -> None:
    Journal(tmp_path / "ledger.sqlite", "simulator 0x1").close()
    with pytest.raises(IntegrityError, match="mainnet"):
        Journal(tmp_path / "ledger.sqlite", "mainnet 0x1")
    (tmp_path / "broken.sqlite").write_bytes(b"not a database, but longer than a header would be" * 20)
    with pytest.raises(IntegrityError, match="not a journal"):
        Journal(tmp_path / "broken.sqlite", "simulator 0x1")


def test_an_order_that_was_never_written_down_is_not_made_up(server: LoopbackVenue, manager: OrderManager) -> None:
    stranger = cloid_of("never placed")
    assert manager.journal.find(stranger) is None
    for asking in (
        lambda: manager.journal.order(stranger),
        lambda: manager.journal.move(stranger, "opens", 0),
        lambda: manager.cancel([stranger]),
        lambda: manager.amend(stranger, D("1900"), D("0.1")),
    ):
        with pytest.raises(IntegrityError, match=rf"{stranger}: no such order"):
            asking()
    assert manager.journal.orders() == []
    assert server.orders() == []


def test_the_key_is_not_in_the_journal(server: LoopbackVenue, manager: OrderManager, tmp_path: Path) -> None:
    fail_once(server, "order", Failure("after"))
    manager.place("d", bracket("d"), grouping="normalTpsl")
    manager.settle()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files if KEY[2:].encode() in path.read_bytes()] == []
    assert KEY[2:] not in json.dumps(server.requests)


def test_an_order_that_is_still_shown_open_after_it_ended_is_asked_for_again(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    """The venue says of neither that it is open, and of one shows it so for a while."""
    records = manager.place("d", [new_order("d", leg=leg) for leg in ("first", "second")])
    ids = [record.order.cloid for record in records]
    with server.lock:
        server.venue.act(server.account, wire.CancelOrders(tuple((ETH, record.oid) for record in records)))
    asked: list[str] = []

    def still_open(answer: dict[str, Any]) -> dict[str, Any]:
        answer["order"]["status"] = "open"
        return answer

    def inject(endpoint: str, body: dict[str, Any]) -> Failure | None:
        if body.get("type") != "orderStatus":
            return None
        asked.append(body["oid"])
        return Failure("after", edit=still_open) if body["oid"] == ids[1] and asked.count(ids[1]) < 3 else None

    server.inject = inject
    manager.cancel(ids)
    assert [manager.journal.order(cloid).state for cloid in ids] == ["canceled", "canceled"]
    assert (asked.count(ids[0]), asked.count(ids[1])) == (1, 3)
