"""The journal's books in memory: what each question answers, exactly on each bound, and where nothing is known."""

from __future__ import annotations

from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import IntegrityError, StorageError
from quant_organism.trading.orders.journal import Journal
from quant_organism.trading.orders.states import Change, cloid_of
from quant_organism.venue import AccountState, Fill, NewOrder, Position, Trigger
from quant_organism_tests.chaos.disk import full_disk
from quant_organism_tests.trading.trader import ADDRESS, new_order

A, B, C = cloid_of("a"), cloid_of("b"), cloid_of("c")


@pytest.fixture
def journal() -> Journal:
    """Return a journal with orders `a` and `b`, sent in one action."""
    journal = Journal(None, f"simulator {ADDRESS}")
    journal.begin_placing([new_order("a", sz="1"), new_order("b", sz="2")], "d", 10, ADDRESS, 100)
    return journal


def fill(tid: int, oid: int, sz: str = "0.1", **changes: Any) -> Fill:
    """Return a purchase of ETH at 2000 at time 500, unless said otherwise."""
    said: dict[str, Any] = {
        "coin": "ETH",
        "is_buy": True,
        "px": D(2000),
        "time_ms": 500,
        "cloid": None,
        "fee": D("0.1"),
    }
    said |= {"fee_token": "USDC", "closed_pnl": D(0), "crossed": True, "is_liquidation": False, **changes}
    return Fill(oid=oid, tid=tid, sz=D(sz), **said)


def position(coin: str, szi: str) -> Position:
    """Return a position of which only the size matters."""
    return Position(coin, D(szi), None, None, None, D(0), 1, True)


def test_actions_are_unsettled_until_it_is_known_what_became_of_them(journal: Journal) -> None:
    journal.begin_amending(B, Change(D(1), D(3), D(2)), 12, ADDRESS)
    journal.begin_canceling([A], 11, ADDRESS)
    journal.begin_setting("leverage", "ETH 5", 13, ADDRESS)
    place, cancel, amend, setting = journal.unsettled()
    assert [
        (each.nonce, each.signer, each.kind, each.cloids, each.text) for each in (place, cancel, amend, setting)
    ] == [
        (10, ADDRESS, "place", (A, B), ""),
        (11, ADDRESS, "cancel", (A,), ""),
        (12, ADDRESS, "amend", (B,), ""),
        (13, ADDRESS, "leverage", (), "ETH 5"),
    ]
    assert (place.changes, amend.changes) == ({}, {B: Change(D(1), D(3), D(2))})
    assert journal.unsettled(A) == [place, cancel]
    assert journal.unsettled(B) == [place, amend]
    assert journal.unsettled(C) == []
    journal.settle(10, "x" * 400)
    assert journal.unsettled() == [cancel, amend, setting]
    assert journal._store.read("SELECT text FROM actions WHERE nonce = 10")[0]["text"] == "x" * 300


@pytest.mark.parametrize(
    ("reduce_only", "trigger"),
    [(False, None), (True, None), (True, Trigger(D(1900), "sl")), (False, Trigger(D(2100), "tp", False, True))],
)
def test_an_order_comes_back_as_it_was_placed(journal: Journal, reduce_only: bool, trigger: Trigger | None) -> None:
    order = NewOrder(C, "BTC", False, D("1.5"), D("0.25"), "Alo", reduce_only, trigger)
    assert journal.find(C) is None
    with pytest.raises(IntegrityError, match="no such order"):
        journal.order(C)
    journal.adopt(order, "why", 50)
    record = journal.order(C)
    assert record == journal.find(C)
    assert (record.order, record.decision_id, record.state, record.oid, record.text) == (
        order,
        "why",
        "sending",
        None,
        "",
    )
    assert (record.filled_sz, record.missing_sz) == (0, 0)
    with pytest.raises(IntegrityError, match="written down before"):
        journal.adopt(order, "why", 50)
    assert [each.order.cloid for each in journal.orders()] == [C, A, B]  # by time, then as they were written


def test_a_move_is_written_down_once_and_the_newest_number_counts(journal: Journal) -> None:
    assert journal.places() == (0, 0)
    assert journal.move(A, "opens", 200, oid=7, sz=D(1), text="y" * 400).text == "y" * 300
    assert journal.places() == (0, 1)
    assert journal.move(A, "opens", 201, oid=7).text == "y" * 300
    assert journal.places() == (0, 1)  # nothing is new
    assert journal.move(A, "opens", 202, oid=6, text="older").oid == 7
    assert journal.places() == (0, 1)
    record = journal.move(A, "replaced", 203, oid=9, text="")
    assert (record.state, record.oid, record.text) == ("open", 9, "y" * 300)
    assert journal.places() == (0, 2)
    assert journal.numbers(A) == [6, 7, 9]
    assert [journal.owner(oid) for oid in (6, 7, 8, 9)] == [A, A, None, A]
    assert journal.ends_after(0) == []
    journal.move(B, "rejects", 204)
    journal.move(A, "cancels", 205)
    assert journal.ends_after(0) == [(3, B), (4, A)]
    assert journal.ends_after(3) == [(4, A)]
    assert [each.order.cloid for each in journal.orders(live_only=True)] == []
    journal.move(B, "opens", 206)
    assert [each.order.cloid for each in journal.orders(live_only=True)] == [B]
    journal.amended(B, D(5), D(6))
    assert (journal.order(B).order.px, journal.order(B).order.sz) == (5, 6)


def test_what_the_venue_says_is_filled_counts_until_the_fills_have_come(journal: Journal) -> None:
    record = journal.move(A, "opens", 200, oid=7, said_filled=D("0.3"))
    assert (record.filled_sz, record.missing_sz) == (D("0.3"), D("0.3"))
    record = journal.move(A, "opens", 201, oid=7, said_filled=D("0.2"))  # heard late
    assert (record.filled_sz, record.missing_sz) == (D("0.3"), D("0.3"))
    for tid, sz, filled, missing in ((1, "0.1", "0.3", "0.2"), (2, "0.2", "0.3", "0"), (3, "0.4", "0.7", "0")):
        assert journal.add_fills([fill(tid, 7, sz)]) == [fill(tid, 7, sz, cloid=A)]
        assert (journal.order(A).filled_sz, journal.order(A).missing_sz) == (D(filled), D(missing))
    record = journal.move(A, "replaced", 202, oid=9, said_filled=D("0.05"))
    assert (record.filled_sz, record.missing_sz) == (D("0.75"), D("0.05"))
    assert (journal.filled_of(7), journal.filled_of(9)) == (D("0.7"), 0)
    assert journal.order(B).filled_sz == 0


def test_the_size_under_a_number_is_what_was_placed_anew_under_it(journal: Journal) -> None:
    assert journal.newest_number(A) is None
    journal.add_fills([fill(1, 7, "0.4", cloid=A)])
    assert (journal.size_of(7), journal.newest_number(A)) == (1, (7, False))  # the first: what was asked for
    journal.add_fills([fill(2, 7, "0.6")])
    assert journal.newest_number(A) == (7, True)
    journal.begin_amending(A, Change(D(1), D(3), D("1.5")), 11, ADDRESS)
    journal.begin_amending(A, Change(D(1), D(4), D("2.5")), 12, ADDRESS)
    journal.begin_canceling([A], 13, ADDRESS)
    journal.move(A, "replaced", 200, oid=9)
    assert (journal.size_of(9), journal.newest_number(A)) == (D("2.5"), (9, False))
    journal.move(A, "replaced", 201, oid=9, sz=D(8))  # known already
    journal.move(A, "replaced", 201, oid=8)
    assert (journal.size_of(9), journal.size_of(8), journal.size_of(10)) == (D("2.5"), None, None)
    for nonce in (11, 12):
        journal.settle(nonce, "done")
    journal.move(A, "replaced", 202, oid=11)
    assert (journal.size_of(11), journal.newest_number(A)) == (None, (11, False))
    journal.move(A, "replaced", 203, oid=11, sz=D("0.5"))
    assert journal.size_of(11) == D("0.5")


def test_fills_are_kept_once_and_bound_when_their_order_is_known(journal: Journal) -> None:
    assert (journal.last_fill_ms(), journal.fills()) == (None, [])
    late, foreign = fill(1, 7, "0.1"), fill(2, 8, "0.2", time_ms=400, is_buy=False, liquidation_method="market")
    assert journal.add_fills([late, foreign, late]) == [late, foreign]
    assert journal.add_fills([late]) == []
    assert journal.add_fills([fill(1, 8, "0.3")]) == [fill(1, 8, "0.3")]  # the other side of a trade with oneself
    assert journal.fills() == [foreign, late, fill(1, 8, "0.3")]
    assert (journal.last_fill_ms(), journal.places()) == (500, (3, 0))
    assert journal.fills_after(0) == [(1, late), (2, foreign), (3, fill(1, 8, "0.3"))]
    assert journal.fills_after(2) == [(3, fill(1, 8, "0.3"))]
    journal.move(A, "opens", 600, oid=7)
    assert journal.fills_after(0)[0] == (1, fill(1, 7, "0.1", cloid=A))
    assert journal.order(A).filled_sz == D("0.1")
    assert journal.take_foreign_fills() == [foreign, fill(1, 8, "0.3")]
    assert journal.take_foreign_fills() == []
    other = fill(5, 20, cloid=C)
    journal.add_fills([other])
    assert journal.take_foreign_fills() == [other]  # an id that is not in this journal


@pytest.mark.parametrize("is_buy", [True, False])
def test_a_late_fill_of_an_order_before_the_baseline_is_in_it_already(journal: Journal, is_buy: bool) -> None:
    sign = 1 if is_buy else -1
    assert journal.baseline_ms() is None
    journal.add_fills([fill(1, 7, "0.2", time_ms=499, cloid=A), fill(2, 7, "0.3", cloid=A, is_buy=False)])
    journal.add_fills([fill(3, 7, "0.7", cloid=A, time_ms=501), fill(9, 30, "5", coin="PURR/USDC")])
    held = [position("ETH", "1"), position("BTC", "-2"), position("@7", "3")]
    journal.set_baseline(held, 500)
    journal.set_baseline([position("ETH", "99")], 900)  # once and for all
    assert (journal.baseline_ms(), journal.positions()) == (500, {"BTC": D(-2), "ETH": D("1.7")})
    assert journal.spot_sizes() == {"PURR/USDC": D(5)}
    journal.adopt(new_order("c"), "d", 100)
    for tid, coin in ((4, "ETH"), (5, "SOL")):
        journal.add_fills([fill(tid, 7, "0.4", cloid=B, coin=coin, is_buy=is_buy)])  # of the last order before it
        assert journal.positions() == {"BTC": D(-2), "ETH": D("1.7")}
    assert journal.add_fills([fill(6, 40, "9"), fill(6, 41, "9", time_ms=499)]) == []  # nobody's, and early
    journal.add_fills([fill(7, 42, "0.4", cloid=C, is_buy=is_buy)])  # of an order that came after it
    assert journal.positions() == {"BTC": D(-2), "ETH": D("1.7") + sign * D("0.4")}
    journal.add_fills([fill(8, 43, "0.4", time_ms=501, is_buy=not is_buy), fill(10, 44, "2", coin="BTC", time_ms=502)])
    assert journal.positions() == {"ETH": D("1.7")}  # none is held of what adds up to nothing


def test_an_older_journal_that_does_not_say_which_orders_its_baseline_knew_takes_nothing_from_it(
    journal: Journal,
) -> None:
    journal.set_baseline([position("ETH", "1")], 500)
    journal._store.execute("DELETE FROM facts WHERE name = 'baseline_order'")
    journal.add_fills([fill(1, 7, "0.4", cloid=A)])  # of the very first order
    assert journal.positions() == {"ETH": D("1.4")}


@pytest.mark.parametrize(
    ("changes", "cash"),
    [
        ({"cloid": B}, "1000"),
        ({"cloid": B, "is_buy": False}, "1000"),
        ({}, "1000"),  # of nobody's order here
        ({"cloid": B, "time_ms": 501}, "799.9"),
        ({"cloid": C}, "799.9"),  # its order was written down after the opening, whatever the clocks say
        ({"cloid": C, "is_buy": False}, "1199.9"),
    ],
)
def test_what_a_late_fill_paid_before_the_opening_is_in_the_opening_cash(
    journal: Journal, changes: dict[str, Any], cash: str
) -> None:
    state = AccountState(D(1000), D(1000), D(0), (), 500)
    journal.money.open(state)
    journal.begin_placing([new_order("c", sz="1")], "d", 20, ADDRESS, 600)
    journal.add_fills([fill(1, 7, closed_pnl=D(3), **changes)])
    assert journal.money.cash() == D(cash)
    balance = journal.money.balance(state)
    assert balance is not None
    later = D(cash != "1000")
    assert (balance.opening_usd, balance.realised_usd, balance.fees_usd) == (D(1000), 3 * later, later / 10)


def test_the_very_first_fill_may_be_foreign(journal: Journal) -> None:
    journal.add_fills([fill(1, 8)])
    assert journal.take_foreign_fills() == [fill(1, 8)]


def test_what_is_set_beside_orders_must_be_on_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ledger.sqlite", f"simulator {ADDRESS}")
    with full_disk(), pytest.raises(StorageError):
        journal.begin_setting("leverage", "ETH 5", 1, ADDRESS)
    journal.close()


@pytest.mark.parametrize(
    ("said", "is_complete"), [([], False), ([True], True), ([True, False], False), ([False, True], False)]
)
def test_a_journal_that_was_once_incomplete_stays_so(journal: Journal, said: list[bool], is_complete: bool) -> None:
    for each in said:
        journal.set_complete(each)
    assert journal.is_complete == is_complete
