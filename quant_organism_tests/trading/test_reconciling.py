"""What a comparison of books and venue does about each order, position and dollar, answer by answer."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.rebuilding import take_baseline
from quant_organism.trading.orders.reconciliation import Resolution, accept_balance, reconcile
from quant_organism.trading.orders.states import cloid_of
from quant_organism.venue import Accepted, CashFlow, Fence, Outcome, Position, Rejected, Unknown, VenueOrder, Why
from quant_organism_tests.trading.answers import ME, Answers, answered, fill, shown, standing
from quant_organism_tests.trading.trader import D, new_order

HELD = Position("ETH", D("0.5"), None, D(2000), None, D(0), 20, True)


@pytest.fixture
def venue() -> Answers:
    return Answers()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def manager(venue: Answers, slept: list[float], tmp_path: Path) -> Iterator[OrderManager]:
    found = answered(venue, tmp_path, slept, visibility_seconds=8.0)
    yield found
    found.journal.close()


def test_before_anything_the_journal_is_brought_to_disk_and_all_dexs_are_found(
    venue: Answers, manager: OrderManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager.journal, "recover", lambda: venue.asked.append(("recover",)))
    reconcile(manager)
    assert venue.asked[:2] == [("recover",), ("dexs",)]


def test_what_was_lost_is_looked_for_once(venue: Answers, manager: OrderManager) -> None:
    venue.shown[ME] = shown()
    assert reconcile(manager).recovered == ()
    manager.is_reconciled = False
    assert reconcile(manager).recovered == (ME,)
    assert manager.is_reconciled
    assert reconcile(manager).recovered == ()


@pytest.mark.parametrize("cancel", [None, False, True])
def test_orders_of_others_are_told_and_canceled_if_asked(
    venue: Answers, manager: OrderManager, cancel: bool | None
) -> None:
    other = cloid_of("other")
    venue.shown = {7: shown(oid=7, cloid=None), 8: shown(oid=8, cloid=other), 9: shown(oid=9, cloid=None)}
    venue.outcomes = [Accepted("done"), Rejected(Why.OTHER, "no"), Unknown("lost")] if cancel else []
    found = reconcile(manager) if cancel is None else reconcile(manager, cancel_foreign=cancel)
    why = "not placed from this journal"
    first = ("cancel_again", f"{why}: canceled") if cancel else ("foreign", why)
    assert found.resolutions == (
        Resolution(None, 7, "absent", "open", *first),  # type: ignore[arg-type]
        Resolution(other, 8, "absent", "open", "foreign", why),
        Resolution(None, 9, "absent", "open", "foreign", why),
    )
    assert venue.of("cancel_oids") == ([[("ETH", 7), ("ETH", 8), ("ETH", 9)]] if cancel else [])
    assert not found.is_clean


@pytest.mark.parametrize("is_shown", [True, False])
def test_an_order_that_is_being_sent_is_left_to_its_sender(
    venue: Answers, manager: OrderManager, is_shown: bool
) -> None:
    found: list[Any] = []
    venue.shown = {ME: shown()} if is_shown else {}
    venue.meanwhile = lambda: found.append(reconcile(manager).resolutions)
    venue.outcomes = [Accepted("resting", 5)]
    manager.place("d", [new_order("d")])
    assert found == [()]
    assert venue.of("status") == []


@pytest.mark.parametrize(
    ("order", "theirs", "action", "becomes", "looks"),
    [
        (shown("canceled"), "canceled", "adopt", "canceled", 0),
        (shown("filled", left="0"), "filled", "adopt", "filled", 0),
        (shown("rejected"), "rejected", "adopt", "rejected", 0),
        (None, "absent", "end", "canceled", 32),
        (shown("new word"), "other", "look_again", "open", 32),
    ],
)
def test_an_order_that_is_not_shown_open_is_asked_for(
    venue: Answers,
    manager: OrderManager,
    slept: list[float],
    order: VenueOrder | None,
    theirs: str,
    action: str,
    becomes: str,
    looks: int,
) -> None:
    standing(manager)
    venue.shown = {} if order is None else {ME: order}
    (found,) = reconcile(manager).resolutions
    assert (found.cloid, found.oid, found.ours, found.theirs, found.action) == (
        ME,
        None if order is None else 5,
        "open",
        theirs,
        action,
    )
    record = manager.journal.order(ME)
    assert record.state == becomes
    if action == "end":
        assert record.text == "the venue does not know it, though it must be visible by now"
    assert slept == [0.25] * looks


def test_what_has_ended_here_and_is_not_open_there_is_not_asked_for(venue: Answers, manager: OrderManager) -> None:
    standing(manager)
    manager.journal.move(ME, "cancels", 1)
    assert reconcile(manager).resolutions == ()
    assert venue.of("status") == []


@pytest.mark.parametrize("cloid", [ME, None])
def test_an_order_that_is_shown_as_it_is_believed_is_agreed_on(
    venue: Answers, manager: OrderManager, cloid: str | None
) -> None:
    """Also where it is known by its number alone."""
    standing(manager)
    manager.place("d", [new_order("d")])
    venue.shown = {ME: shown(cloid=cloid)}
    assert reconcile(manager).resolutions == (Resolution(ME, 5, "open", "open", "nothing", "agreed"),)
    assert (venue.of("status"), venue.of("cancel_oids")) == ([], [])


@pytest.mark.parametrize(
    ("late", "action", "cancels"),
    [(0, "cancel_again", 1), (1, "nothing", 0), (32, "nothing", 0), (33, "cancel_again", 1)],
)
def test_what_has_ended_here_and_is_open_there_is_looked_at_before_it_is_canceled_again(
    venue: Answers, manager: OrderManager, slept: list[float], late: int, action: str, cancels: int
) -> None:
    """The venue is given the time after which everything is visible."""
    standing(manager)
    manager.journal.move(ME, "cancels", 1)
    venue.shown = {ME: shown()}
    ended = shown("canceled")

    def answer(key: str | int) -> VenueOrder:
        venue.asked.append(("status", key))
        return ended if late and len(venue.of("status")) > late else venue.shown[ME]

    venue.order_status = answer  # type: ignore[method-assign]
    (found,) = reconcile(manager).resolutions
    assert (found.ours, found.action) == ("canceled", action)
    assert len(venue.of("cancel_oids")) == cancels
    assert len(slept) == min(late or 32, 32)


@pytest.mark.parametrize("outcome", [Unknown("lost"), Accepted("resting", 5)])
def test_what_has_no_answer_is_told(venue: Answers, manager: OrderManager, outcome: Outcome) -> None:
    venue.outcomes, venue.fence_says = [outcome], Fence.UNSURE
    manager.place("d", [new_order("d")])
    venue.shown = {ME: shown()} if isinstance(outcome, Accepted) else {}
    found = reconcile(manager)
    assert found.unsettled == ((1,) if isinstance(outcome, Unknown) else ())
    assert [each.action for each in found.resolutions] == ["look_again" if found.unsettled else "nothing"]


def test_a_difference_is_looked_at_four_times_more_until_everything_must_be_visible(
    venue: Answers, manager: OrderManager, slept: list[float]
) -> None:
    assert reconcile(manager).is_clean
    venue.held = (HELD,)
    venue.asked.clear()
    assert reconcile(manager).position_gaps == {"ETH": (0, D("0.5"))}
    assert slept == [2.0] * 4
    assert len(venue.of("account")) == 5
    venue.held = ()
    assert reconcile(manager).is_clean
    assert len(slept) == 4


@pytest.mark.parametrize(("more", "gap", "looks"), [("0.009999", None, 0), ("0.01", "0.01", 4), ("-0.01", "-0.01", 4)])
def test_money_that_nobody_explains_is_a_difference_until_a_person_accepts_it(
    venue: Answers, manager: OrderManager, slept: list[float], more: str, gap: str | None, looks: int
) -> None:
    reconcile(manager)
    venue.equity_usd, venue.now_ms = venue.equity_usd + D(more), 60
    found = reconcile(manager)
    assert (found.balance_gap and found.balance_gap.gap_usd) == (gap and D(gap))
    assert found.is_clean == (gap is None)
    assert slept == [2.0] * looks
    balance = accept_balance(manager, "a gift")
    assert balance is not None
    assert balance.gap_usd == D(more)
    kept = [(flow.kind, flow.name, flow.usd) for flow in manager.journal.money.flows()]
    assert kept == ([] if gap is None else [("accepted", "a gift", D(gap))])


def test_before_books_have_begun_there_is_nothing_to_accept(venue: Answers, manager: OrderManager) -> None:
    venue.flows = [CashFlow(60, "deposit", "", "x", D(5))]
    assert accept_balance(manager, "a gift") is None
    reconcile(manager)
    venue.equity_usd += 5
    venue.asked.clear()
    balance = accept_balance(manager, "a gift")  # fetched, and explained
    assert balance is not None
    assert balance.is_even
    assert len(venue.of("fills")) == 1
    assert [flow.kind for flow in manager.journal.money.flows()] == ["deposit"]


def test_transfers_are_told_once(venue: Answers, manager: OrderManager) -> None:
    reconcile(manager)
    venue.flows, venue.equity_usd = (
        [CashFlow(60, "deposit", "", "x", D(5)), CashFlow(61, "funding", "ETH", "", D(1))],
        D(106),
    )
    assert [flow.usd for flow in reconcile(manager).transfers] == [5]
    assert reconcile(manager).transfers == ()


def test_money_begins_with_the_first_comparison_in_which_no_position_differs(
    venue: Answers, manager: OrderManager
) -> None:
    without_mark = replace(HELD, mark_px=None)  # what is cash cannot be told
    for held, opened_ms in ((without_mark, None), (replace(HELD, szi=D(1)), None), (HELD, 70)):
        venue.held, venue.now_ms = (held,), opened_ms or 60
        reconcile(manager)
        assert manager.journal.money.opened_ms() == opened_ms


class TestBaseline:
    @pytest.mark.parametrize("has_orders", [True, False])
    def test_it_is_what_is_held_besides_our_own_fills(
        self, venue: Answers, manager: OrderManager, has_orders: bool
    ) -> None:
        if has_orders:
            standing(manager)
        venue.held = (HELD,)
        venue.found_fills = [fill("0.1"), fill("7", oid=9, tid=9, cloid=None)]
        take_baseline(manager)
        assert len(venue.of("fills")) == has_orders
        assert manager.journal.baseline_ms() == 50
        assert manager.journal.positions() == {"ETH": D("0.5")}
        assert len(manager.journal.fills()) == has_orders
        assert manager.journal.money.opened_ms() == 50
        venue.found_fills = [fill("0.1", oid=9, tid=10, time_ms=51, cloid=None)]
        manager.sync_fills()
        assert manager.journal.positions() == {"ETH": D("0.6")}

    def test_it_is_taken_once(self, venue: Answers, manager: OrderManager) -> None:
        venue.held = (HELD,)
        reconcile(manager)
        venue.held = (replace(HELD, szi=D(1)),)
        assert reconcile(manager).position_gaps == {"ETH": (D("0.5"), 1)}
