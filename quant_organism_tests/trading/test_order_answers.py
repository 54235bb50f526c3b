"""What is made of each answer of a venue to an action, and of what is heard, on each level and beside it."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import InputError, StorageError
from quant_organism.trading.orders.manager import OrderManager, _event, _said_filled
from quant_organism.trading.orders.states import Event, State, cloid_of
from quant_organism.venue import (
    Accepted,
    NewOrder,
    Outcome,
    Rejected,
    Trigger,
    Unknown,
    VenueError,
    VenueOrder,
    Why,
)
from quant_organism_tests.chaos.disk import full_disk
from quant_organism_tests.trading.answers import GONE, ME, Answers, answered, fill, shown, standing
from quant_organism_tests.trading.trader import D, new_order


@pytest.fixture
def venue() -> Answers:
    return Answers()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def manager(venue: Answers, slept: list[float], tmp_path: Path) -> Iterator[OrderManager]:
    found = answered(venue, tmp_path, slept)
    yield found
    found.journal.close()


ANSWERED: list[tuple[dict[str, Any], Outcome, State, str]] = [
    ({}, Accepted("resting", 5), "open", "0"),
    ({}, Accepted("waiting"), "waiting", "0"),
    ({}, Accepted("filled", 5, D("0.1")), "filled", "0.1"),
    ({}, Accepted("filled", 5, D("0.11")), "filled", "0.11"),
    ({}, Accepted("filled", 5, D("0.0999")), "open", "0.0999"),
    ({"tif": "Ioc"}, Accepted("filled", 5, D("0.0999")), "canceled", "0.0999"),
    ({"tif": "Ioc"}, Accepted("filled", 5, D("0.1")), "filled", "0.1"),
    ({}, Rejected(Why.MARGIN, "too little"), "rejected", "0"),
    ({}, Unknown("no answer"), "unknown", "0"),
]


@pytest.mark.parametrize(("changes", "outcome", "state", "filled"), ANSWERED)
def test_an_order_is_what_the_answer_to_it_says(
    venue: Answers, manager: OrderManager, changes: dict[str, Any], outcome: Outcome, state: State, filled: str
) -> None:
    venue.outcomes = [outcome]
    (record,) = manager.place("d", [new_order("d", **changes)])
    assert (record.state, record.filled_sz) == (state, D(filled))
    assert record.text == getattr(outcome, "text", "")
    assert bool(manager.journal.unsettled()) == isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    ("tif", "trigger", "event"),
    [("Gtc", None, "opens"), ("Ioc", None, "cancels"), ("Ioc", Trigger(D(1), "sl"), "opens")],
)
def test_what_is_left_of_a_filled_order_ends_where_it_takes_at_once(
    tif: Any, trigger: Trigger | None, event: Event
) -> None:
    assert _event(new_order("d", tif=tif, trigger=trigger), Accepted("filled", 5, D("0.05"))) == event


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ([Accepted("resting", 1), Accepted("resting", 2), Accepted("resting", 3)], "accepted"),
        ([Rejected(Why.SIZE, "b"), Rejected(Why.SIZE, "a"), Rejected(Why.SIZE, "b")], "a; b"),
        ([Accepted("resting", 1), Unknown("lost"), Rejected(Why.SIZE, "b")], None),
    ],
)
def test_an_action_is_settled_by_what_was_said_of_all_its_orders(
    venue: Answers, manager: OrderManager, outcomes: list[Outcome], text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[int, str]] = []
    settle = manager.journal.settle
    monkeypatch.setattr(manager.journal, "settle", lambda *of: (said.append(of), settle(*of)))
    venue.outcomes = list(outcomes)
    manager.place("d", [new_order("d", leg=leg) for leg in "abc"])
    assert said == ([] if text is None else [(1, text)])


@pytest.mark.parametrize(
    ("word", "left", "reduce_only", "filled"),
    [
        ("filled", "0.02", False, "0.1"),
        ("filled", "0.02", None, "0.1"),
        ("filled", "0.02", True, "0"),
        ("open", "0.02", False, "0.08"),
        ("open", "0.02", None, "0.08"),
        ("open", "0.02", True, "0"),
        ("canceled", "0.02", False, "0"),
        ("marginCanceled", "0.02", None, "0"),
        ("new word", "0.02", False, "0"),
    ],
)
def test_the_venue_says_how_much_is_filled_of_what_did_not_shrink_for_other_reasons(
    word: str, left: str, reduce_only: bool | None, filled: str
) -> None:
    assert _said_filled(shown(word, left=left, reduce_only=reduce_only)) == D(filled)


@pytest.mark.parametrize(
    ("state", "word", "oid", "becomes", "number"),
    [
        ("open", "canceled", 5, "canceled", 5),
        ("open", "canceled", 4, "open", 5),  # the end of an older number
        ("open", "canceled", 6, "canceled", 6),
        ("open", "filled", 5, "filled", 5),
        ("open", "rejected", 6, "rejected", 6),
        ("open", "new word", 6, "open", 5),
        ("canceled", "open", 5, "canceled", 5),  # a message that is late
        ("canceled", "open", 6, "open", 6),  # it was amended
        ("canceled", "open", 4, "canceled", 5),
        ("filled", "open", 6, "open", 6),
        ("filled", "canceled", 6, "filled", 6),
    ],
)
def test_what_is_heard_of_a_number_counts_by_its_age(
    manager: OrderManager, state: State, word: str, oid: int, becomes: State, number: int
) -> None:
    standing(manager)
    if state != "open":
        manager.journal.move(ME, "fills" if state == "filled" else "cancels", 1)
    record = manager.hear_order(shown(word, oid))
    assert record is not None
    assert (record.state, record.oid) == (becomes, number)


def test_what_is_heard_of_others_is_not_ours(manager: OrderManager) -> None:
    standing(manager)
    assert manager.hear_order(shown(cloid=cloid_of("other"))) is None
    assert manager.hear_order(shown(cloid=None, oid=9)) is None
    record = manager.hear_order(shown("canceled", cloid=None))
    assert record is not None
    assert record.state == "canceled"


@pytest.mark.parametrize("word", ["canceled", "rejected"])
def test_while_an_amendment_is_on_its_way_no_end_of_a_number_is_the_end(
    venue: Answers, manager: OrderManager, word: str
) -> None:
    standing(manager)
    venue.shown[ME] = shown()
    venue.outcomes = [Unknown("lost")]
    assert manager.amend(ME, D(1950), D("0.2")).state == "open"
    record = manager.hear_order(shown(word))
    assert record is not None
    assert record.state == "open"
    with pytest.raises(InputError, match="being amended"):
        manager.amend(ME, D(1950), D("0.2"))


def test_a_new_number_has_the_size_of_the_amendment_that_is_on_its_way(venue: Answers, manager: OrderManager) -> None:
    standing(manager)
    venue.shown[ME] = shown()
    venue.outcomes = [Unknown("lost")]
    manager.amend(ME, D(1950), D("0.2"))
    manager.hear_order(shown(oid=6, left="0.15", original_sz=D("0.15")))
    assert manager.journal.size_of(6) == D("0.2")
    manager.journal.settle(2, "")
    manager.hear_order(shown(oid=7, left="0.15", original_sz=D("0.15")))
    assert manager.journal.size_of(7) == D("0.15")


@pytest.mark.parametrize(
    ("word", "trigger", "reduce_only", "tif"),
    [("open", None, None, None), ("open", None, False, "Alo"), ("canceled", Trigger(D(1), "sl"), True, "Ioc")],
)
def test_an_order_that_the_journal_has_lost_is_adopted_as_it_is_shown(
    manager: OrderManager, word: str, trigger: Trigger | None, reduce_only: bool | None, tif: Any
) -> None:
    record = manager.adopt(shown(word, trigger=trigger, reduce_only=reduce_only, tif=tif), "why")
    assert (record.state, record.oid, record.decision_id) == (word, 5, "why")
    expected = NewOrder(ME, "ETH", True, D(1900), D("0.1"), tif or "Gtc", reduce_only is True, trigger)
    assert record.order == expected


def test_what_has_no_id_is_not_adopted(manager: OrderManager) -> None:
    with pytest.raises(InputError, match="it has no cloid"):
        manager.adopt(shown(cloid=None), "why")
    assert manager.journal.orders() == []


def test_of_orders_of_which_one_opens_nothing_is_sent_before_the_books_were_compared(
    venue: Answers, manager: OrderManager
) -> None:
    manager.is_reconciled = False
    with pytest.raises(InputError, match="have not been compared"):
        manager.place("d", [new_order("d"), new_order("d", leg="out", is_buy=False, reduce_only=True)])
    assert venue.asked == []
    assert not OrderManager(manager.venue, manager.journal).is_reconciled


def test_after_a_loss_every_order_that_opens_is_asked_for(venue: Answers, manager: OrderManager) -> None:
    manager.journal.set_complete(False)
    venue.shown[ME] = shown()
    (record,) = manager.place("d", [new_order("d"), new_order("d", leg="other")])
    assert (record.order.cloid, record.state) == (ME, "open")
    assert venue.of("status") == [[ME], [cloid_of("d", "other")]]
    assert venue.of("place") == []
    venue.outcomes = [Accepted("resting", 9)]
    venue.asked.clear()
    manager.place("out", [new_order("out", is_buy=False, reduce_only=True)])
    assert [kind for kind, *_ in venue.asked] == ["place"]


class TestAmending:
    @pytest.mark.parametrize(("sz", "left"), [("0.0401", "0.0001"), ("0.04", None), ("0.0399", None)])
    def test_what_is_placed_anew_is_more_than_nothing(
        self, venue: Answers, manager: OrderManager, sz: str, left: str | None
    ) -> None:
        standing(manager)
        venue.shown[ME] = shown(left="0.06")
        venue.outcomes = [Rejected(Why.OTHER, "no")]
        if left is None:
            with pytest.raises(InputError, match=r"0\.04 of it are filled already"):
                manager.amend(ME, D(1950), D(sz))
        else:
            manager.amend(ME, D(1950), D(sz))
        assert venue.of("amend") == ([] if left is None else [[D(left)]])

    @pytest.mark.parametrize(
        ("accepted", "state"),
        [
            (Accepted("filled", 6, D("0.2")), "filled"),
            (Accepted("filled", 6, D("0.21")), "filled"),
            (Accepted("filled", 6, D("0.19")), "open"),
            (Accepted("resting", 6), "open"),
            (Accepted("waiting", 6), "open"),
        ],
    )
    def test_it_is_what_the_answer_says(
        self, venue: Answers, manager: OrderManager, accepted: Accepted, state: State
    ) -> None:
        standing(manager)
        venue.shown = {ME: shown(), 5: shown("canceled")}
        venue.outcomes = [accepted]
        record = manager.amend(ME, D(1950), D("0.2"))
        assert (record.state, record.oid, record.order.px, record.order.sz) == (state, 6, D(1950), D("0.2"))
        assert manager.journal.size_of(6) == D("0.2")
        assert venue.of("amend") == [[D("0.2")]]
        assert manager.journal.unsettled() == []

    @pytest.mark.parametrize(
        ("filled", "sent"),
        [("0", [["amend", "0.2"]]), ("0.01", [["amend", "0.2"], ["amend", "0.19"]]), ("0.1", None), ("0.2", None)],
    )
    def test_what_the_old_number_filled_meanwhile_is_taken_off(
        self, venue: Answers, manager: OrderManager, filled: str, sent: list[list[str]] | None
    ) -> None:
        """Where that is all that was placed anew, what was placed is canceled."""
        standing(manager)
        size = D("0.2") if sent is not None else D(filled)
        old = shown("canceled", left=str(D("0.1") - min(D(filled), D("0.1"))))
        if filled == "0.2":
            old = replace(old, original_sz=D("0.2"), left_sz=D(0))
        venue.shown = {ME: shown(), 5: old}
        venue.found_fills = [fill(filled)] if D(filled) else []
        venue.outcomes = [Accepted("resting", 6), Accepted("done" if sent is None else "resting", 7)]
        new = shown(oid=6, left=str(size), original_sz=size)
        venue.meanwhile = lambda: venue.shown.update({ME: new, 6: replace(new, word="canceled")})
        manager.amend(ME, D(1950), size)
        kinds = [list(map(str, each)) for each in venue.asked if each[0] in ("amend", "cancel")]
        assert kinds == (sent if sent is not None else [["amend", str(size)], ["cancel", ME]])

    @pytest.mark.parametrize(
        ("changes", "old"),
        [({"is_buy": False, "reduce_only": True}, shown("canceled", left="0.05")), ({}, None), ({}, shown("open"))],
    )
    def test_where_nothing_is_to_be_taken_off_nothing_is_sent(
        self, venue: Answers, manager: OrderManager, changes: dict[str, Any], old: VenueOrder | None, slept: list[float]
    ) -> None:
        venue.outcomes = [Accepted("resting", 5), Accepted("resting", 6)]
        manager.place("d", [new_order("d", **changes)])
        venue.shown = {ME: shown(reduce_only=bool(changes))} | ({} if old is None else {5: old})
        manager.amend(ME, D(1950), D("0.2"))
        assert [each[0] for each in venue.asked if each[0] in ("amend", "cancel")] == ["amend"]
        assert slept == ([] if changes else [0.25] * 4)
        assert venue.of("status").count([5]) == (0 if changes else 5)

    def test_where_the_venue_is_silent_about_the_old_number_the_next_comparison_hears_of_it(
        self, venue: Answers, manager: OrderManager
    ) -> None:
        standing(manager)

        def answer(key: str | int) -> VenueOrder:
            if key == ME:
                return shown()
            raise VenueError("no", where="here", remedy="wait")

        venue.order_status = answer  # type: ignore[method-assign]
        venue.outcomes = [Accepted("resting", 6)]
        record = manager.amend(ME, D(1950), D("0.2"))
        assert (record.state, record.oid, record.order.sz) == ("open", 6, D("0.2"))

    @pytest.mark.parametrize(
        ("order", "numbers", "asks"),
        [(shown(), 1, 0), (shown(left="0.09"), 1, 1), (None, 1, 1), (shown(oid=6), 2, 1), (shown(oid=7), 3, 1)],
    )
    def test_fills_are_asked_for_where_there_may_be_some(
        self, venue: Answers, manager: OrderManager, order: VenueOrder | None, numbers: int, asks: int
    ) -> None:
        standing(manager)
        for oid in range(6, 5 + numbers):
            manager.hear_order(shown(oid=oid))
        venue.asked.clear()
        venue.shown = {} if order is None else {ME: order}
        venue.outcomes = [Rejected(Why.OTHER, "no")]
        venue.meanwhile = lambda: pytest.fail("too late") if len(venue.of("fills")) != asks else None
        manager.amend(ME, D(1950), D("0.2"))

    def test_what_has_ended_meanwhile_is_not_amended(self, venue: Answers, manager: OrderManager) -> None:
        standing(manager)
        venue.shown[ME] = shown("canceled")
        assert manager.amend(ME, D(1950), D("0.2")).state == "canceled"
        assert venue.of("amend") == []
        with pytest.raises(InputError, match="an order that is canceled"):
            manager.amend(ME, D(1950), D("0.2"))

    def test_one_that_is_refused_is_asked_for(self, venue: Answers, manager: OrderManager) -> None:
        standing(manager)
        venue.shown[ME] = shown()
        venue.outcomes = [Rejected(Why.OTHER, "no")]
        venue.meanwhile = lambda: venue.shown.update({ME: shown("filled", left="0")})
        record = manager.amend(ME, D(1950), D("0.2"))
        assert (record.state, record.order.px, record.order.sz) == ("filled", D(1900), D("0.1"))


class TestCanceling:
    def test_each_is_what_is_said_of_it(self, venue: Answers, manager: OrderManager) -> None:
        ids = [cloid_of("d", leg) for leg in "abcd"]
        venue.outcomes = [Accepted("resting", oid) for oid in (1, 2, 3, 4)]
        manager.place("d", [new_order("d", leg=leg) for leg in "abcd"])
        venue.outcomes = [Accepted("done"), GONE, Rejected(Why.OTHER, "no"), Unknown("lost")]
        venue.shown = {ids[1]: shown("filled", 2, "0", cloid=ids[1])}
        venue.asked.clear()
        records = manager.cancel(ids)
        assert [record.state for record in records] == ["canceled", "filled", "open", "open"]
        assert [record.text for record in records] == ["canceled by us", "filled", "", ""]
        assert venue.of("status") == [[ids[1]]]  # only what is not open is asked for
        assert len(manager.journal.unsettled()) == 1
        venue.asked.clear()
        venue.outcomes = [Accepted("done")] * 2
        assert [record.state for record in manager.cancel(ids)] == ["canceled", "filled", "canceled", "canceled"]
        assert venue.of("cancel") == [[ids[2], ids[3]]]
        assert manager.cancel(ids[:1])[0].state == "canceled"
        assert len(venue.of("cancel")) == 1

    def test_what_is_asked_for_in_vain_stays_as_it_is(
        self, venue: Answers, manager: OrderManager, slept: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        standing(manager)
        venue.outcomes = [GONE, GONE]
        assert manager.cancel([ME])[0].state == "open"
        assert slept == [0.25] * 4

        def silent(key: str | int) -> None:
            raise VenueError("no", where="here", remedy="wait")

        monkeypatch.setattr(venue, "order_status", silent)
        assert manager.cancel([ME])[0].state == "open"
        assert len(slept) == 4


def test_of_what_is_said_three_hundred_letters_are_kept(venue: Answers, manager: OrderManager, tmp_path: Path) -> None:
    venue.outcomes = [Rejected(Why.OTHER, "x" * 301), Rejected(Why.OTHER, "y" * 300)]
    assert [len(manager.place(name, [new_order(name)])[0].text) for name in "de"] == [300, 300]
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        for table in ("orders", "moves", "actions"):
            assert {row[0] for row in db.execute(f"SELECT length(text) FROM {table} WHERE text <> ''")} == {300}
    db.close()


def test_orders_that_are_filled_together_end_in_the_order_of_their_ids(venue: Answers, manager: OrderManager) -> None:
    orders = [new_order("d", leg=str(leg)) for leg in range(8)]
    venue.outcomes = [Accepted("resting", oid) for oid in range(8)]
    manager.place("d", orders)
    manager.hear_fills([fill(oid=oid, tid=oid, cloid=order.cloid) for oid, order in enumerate(orders)])
    ended = [cloid for _, cloid in manager.journal.ends_after(0)]
    assert ended == sorted(order.cloid for order in orders)


def test_with_a_full_disk_only_what_reduces_is_sent(venue: Answers, manager: OrderManager) -> None:
    out = new_order("out", is_buy=False, reduce_only=True)
    standing(manager)
    venue.shown = {ME: shown(), cloid_of("out"): shown(oid=6, cloid=cloid_of("out"))}
    with full_disk():
        for opening in (
            lambda: manager.place("e", [new_order("e"), out]),
            lambda: manager.amend(ME, D(1950), D("0.2")),
        ):
            with pytest.raises(StorageError, match="cannot be written"):
                opening()
        with pytest.raises(StorageError):
            manager.set_aside("leverage", "ETH at 7x", lambda nonce: pytest.fail("it was sent"))
        assert venue.of("place") == venue.of("amend") == []
        venue.outcomes = [Accepted("resting", 6), Rejected(Why.OTHER, "no"), Accepted("done")]
        manager.place("out", [out])
        manager.amend(out.cloid, D(1950), D("0.05"))
        manager.cancel([ME])
    assert [kind for kind, *_ in venue.asked if kind in ("place", "amend", "cancel")] == ["place", "amend", "cancel"]
