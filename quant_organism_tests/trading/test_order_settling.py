"""What is found out by asking: lost answers, fills and money, and what a journal has lost."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.rebuilding import fetch_fills, rebuild
from quant_organism.trading.orders.states import State, cloid_of
from quant_organism.venue import (
    Accepted,
    Fence,
    Outcome,
    Rejected,
    Unknown,
    VenueError,
    VenueOrder,
    Why,
)
from quant_organism.venue.protocol import PAST_ORDERS_PER_ANSWER
from quant_organism_tests.trading.answers import ME, Answers, answered, fill, shown, standing
from quant_organism_tests.trading.trader import ADDRESS, D, new_order


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


class TestSettling:
    def lost(self, manager: OrderManager) -> None:
        """Have an order whose answer is lost."""
        assert isinstance(manager.venue, Answers)
        manager.venue.outcomes = [Unknown("lost")]
        manager.place("d", [new_order("d")])
        manager.venue.asked.clear()

    @pytest.mark.parametrize(
        ("fence", "there", "state", "text", "is_settled"),
        [
            (Fence.UNSURE, False, "unknown", "lost", False),
            (Fence.NEVER, False, "rejected", "it never reached the venue", True),
            (Fence.CLOSED, False, "rejected", "it cannot arrive any more, and the venue knows none", True),
            (Fence.UNSURE, True, "open", "open", True),
        ],
    )
    def test_a_lost_order_is_what_the_venue_shows_or_its_nonce_allows(
        self,
        venue: Answers,
        manager: OrderManager,
        slept: list[float],
        fence: Fence,
        there: bool,
        state: State,
        text: str,
        is_settled: bool,
    ) -> None:
        self.lost(manager)
        venue.fence_says, venue.shown = fence, {ME: shown()} if there else {}
        assert [action.nonce for action in manager.settle()] == ([] if is_settled else [1])
        record = manager.journal.order(ME)
        assert (record.state, record.text) == (state, text)
        assert venue.of("fence") == ([] if there else [[1, ADDRESS]])
        assert len(venue.of("fills")) == is_settled
        assert slept == ([0.25] * 4 if fence is Fence.CLOSED else [])
        assert bool(manager.journal.unsettled()) != is_settled

    def test_what_shows_up_late_is_there(self, venue: Answers, manager: OrderManager, slept: list[float]) -> None:
        self.lost(manager)
        venue.fence_says = Fence.CLOSED
        answers = iter([None, None, shown()])
        venue.order_status = lambda key: next(answers)  # type: ignore[method-assign]
        assert manager.settle() == []
        assert manager.journal.order(ME).state == "open"
        assert slept == [0.25]

    def test_of_several_only_those_in_doubt_are_asked_for(self, venue: Answers, manager: OrderManager) -> None:
        venue.outcomes = [Accepted("resting", 5), Unknown("lost"), Unknown("lost")]
        manager.place("d", [new_order("d", leg=leg) for leg in "abc"])
        ids = [cloid_of("d", leg) for leg in "abc"]
        venue.shown, venue.fence_says = {ids[1]: shown(oid=6, cloid=ids[1])}, Fence.NEVER
        venue.asked.clear()
        assert manager.settle() == []
        assert [manager.journal.order(cloid).state for cloid in ids] == ["open", "open", "rejected"]
        assert venue.of("status") == [[ids[1]], [ids[2]]]

    @pytest.mark.parametrize(
        ("fence", "oid", "px", "is_settled"),
        [
            (Fence.UNSURE, 5, 1900, False),
            (Fence.NEVER, 5, 1900, True),
            (Fence.CLOSED, 5, 1900, True),
            (Fence.UNSURE, 6, 1950, True),
            (Fence.UNSURE, None, 1900, False),
            (Fence.NEVER, None, 1900, True),
        ],
    )
    def test_a_lost_amendment_shows_in_a_newer_number(
        self,
        venue: Answers,
        manager: OrderManager,
        slept: list[float],
        fence: Fence,
        oid: int | None,
        px: int,
        is_settled: bool,
    ) -> None:
        standing(manager)
        venue.shown[ME] = shown()
        venue.outcomes = [Unknown("lost")]
        manager.amend(ME, D(1950), D("0.2"))
        venue.fence_says = fence
        venue.shown = {} if oid is None else {ME: shown(oid=oid)}
        venue.asked.clear()
        assert bool(manager.settle()) != is_settled
        record = manager.journal.order(ME)
        assert (record.state, record.oid, record.order.px) == ("open", oid or 5, D(px))
        assert len(venue.of("fence")) == (oid != 6)
        assert slept == ([0.25] * 4 if fence is Fence.CLOSED else [])
        assert len(venue.of("fills")) == is_settled
        assert manager.journal.order(ME).order.sz == D("0.2" if oid == 6 else "0.1")

    @pytest.mark.parametrize(
        ("word", "outcomes", "state", "left"),
        [
            ("canceled", [], "canceled", 0),
            ("open", [Accepted("done")], "canceled", 0),
            ("open", [Unknown("lost")], "open", 1),
        ],
    )
    def test_a_lost_cancel_is_sent_again_where_the_order_lives(
        self,
        venue: Answers,
        manager: OrderManager,
        word: str,
        outcomes: list[Outcome],
        state: State,
        left: int,
    ) -> None:
        standing(manager)
        venue.outcomes = [Unknown("lost")]
        manager.cancel([ME])
        venue.shown, venue.outcomes = {ME: shown(word)}, list(outcomes)
        venue.asked.clear()
        assert len(manager.settle()) == left
        assert manager.journal.order(ME).state == state
        assert len(venue.of("cancel")) == len(outcomes)
        assert len(manager.journal.unsettled()) == left

    @pytest.mark.parametrize(
        ("fence", "came"),
        [
            (Fence.UNSURE, None),
            (Fence.NEVER, "ETH at 7x: it never reached the venue"),
            (Fence.CLOSED, "ETH at 7x: it cannot arrive any more; the venue shows it"),
        ],
    )
    def test_a_lost_setting_is_settled_by_its_nonce_alone(
        self, venue: Answers, manager: OrderManager, fence: Fence, came: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        settle = manager.journal.settle
        monkeypatch.setattr(manager.journal, "settle", lambda nonce, text: (said.append(text), settle(nonce, text)))
        assert manager.set_aside("leverage", "ETH at 7x", lambda nonce: Unknown("lost")) == Unknown("lost")
        venue.fence_says = fence
        assert [action.kind for action in manager.settle()] == (["leverage"] if came is None else [])
        assert said == ([] if came is None else [came])

    @pytest.mark.parametrize(
        ("outcome", "text"),
        [
            (Accepted("done"), "ETH at 7x: accepted"),
            (Rejected(Why.OTHER, "no"), "ETH at 7x: no"),
            (Unknown("lost"), None),
        ],
    )
    def test_a_setting_that_is_answered_is_settled_at_once(
        self, manager: OrderManager, outcome: Outcome, text: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        monkeypatch.setattr(manager.journal, "settle", lambda nonce, text: said.append(text))
        assert manager.set_aside("leverage", "ETH at 7x", lambda nonce: outcome) == outcome
        assert said == ([] if text is None else [text])

    def test_what_is_being_sent_is_left_to_its_sender(self, venue: Answers, manager: OrderManager) -> None:
        venue.fence_says = Fence.NEVER
        seen: list[Any] = []

        def look() -> None:
            seen.append((manager.settle(), manager.is_sending(ME), manager.is_sending(cloid_of("other"))))

        venue.meanwhile, venue.outcomes = look, [Unknown("lost")]
        manager.place("d", [new_order("d")])
        assert seen == [([], True, False)]
        assert venue.of("fence") == []
        assert not manager.is_sending(ME)
        assert manager.settle() == []
        assert venue.of("fence") == [[1, ADDRESS]]

    def test_where_the_venue_is_silent_it_stays_unknown(
        self, venue: Answers, manager: OrderManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.lost(manager)

        def silent(key: str | int) -> None:
            raise VenueError("no", where="here", remedy="wait")

        monkeypatch.setattr(venue, "order_status", silent)
        assert [action.nonce for action in manager.settle()] == [1]
        assert manager.journal.order(ME).state == "unknown"


class TestAsking:
    def test_what_is_shown_is_taken_over(self, venue: Answers, manager: OrderManager) -> None:
        standing(manager)
        assert manager.ask(ME) is None
        assert manager.journal.order(ME).state == "open"
        venue.shown[ME] = shown("canceled")
        assert manager.ask(ME) == venue.shown[ME]
        assert manager.journal.order(ME).state == "canceled"

    def test_it_ends_with_what_was_expected_or_with_time(
        self, venue: Answers, manager: OrderManager, slept: list[float]
    ) -> None:
        standing(manager)
        assert manager.ask_until(ME, lambda order: True) is None
        assert slept == [0.25] * 4
        venue.shown[ME] = shown("open", left="0.04")
        assert manager.ask_until(ME, lambda order: order.left_sz < D("0.05")) == venue.shown[ME]
        assert slept == [0.25] * 4
        assert manager.journal.order(ME).filled_sz == D("0.06")
        venue.shown[ME] = shown("canceled", left="0.04")
        assert manager.ask_until(ME, lambda order: order.standing == "open") == venue.shown[ME]
        assert slept == [0.25] * 8
        assert manager.journal.order(ME).state == "canceled"

    def test_what_the_venue_does_not_know_any_more_has_ended(self, manager: OrderManager) -> None:
        standing(manager)
        record = manager.end(ME, "it is gone")
        assert (record.state, record.text) == ("canceled", "it is gone")

    def test_unless_told_otherwise_it_takes_five_seconds_and_the_clock_of_this_machine(self) -> None:
        slept: list[float] = []
        venue = SimpleNamespace(venue_ms=lambda: time.time_ns() // 1_000_000)
        manager = OrderManager(venue, None, sleep=slept.append)  # type: ignore[arg-type]
        manager.look_until(lambda: None, lambda _: False)
        assert slept == [0.25] * 20
        assert -60_000 < manager.skew_ms() < 60_000


class TestRebuilding:
    @pytest.mark.parametrize(
        ("count", "is_complete"), [(PAST_ORDERS_PER_ANSWER - 1, True), (PAST_ORDERS_PER_ANSWER, False)]
    )
    def test_a_history_that_fills_an_answer_may_lack_orders(
        self, venue: Answers, manager: OrderManager, count: int, is_complete: bool
    ) -> None:
        venue.past = [shown("canceled", cloid=None)] * count
        assert rebuild(manager) == []
        assert manager.journal.is_complete == is_complete

    @pytest.mark.parametrize(
        ("order", "is_lost"),
        [
            (shown(oid=5), False),
            (shown(oid=4), False),
            (shown(oid=6), True),
            (shown("canceled", oid=6), True),
            (shown("rejected", oid=6), False),
            (shown(oid=6, cloid=None), False),
            (shown(oid=6, cloid="0x" + "cd" * 16), False),
            (shown(oid=6, cloid=cloid_of("lost")), True),
        ],
    )
    def test_what_is_newer_than_the_journal_or_not_in_it_is_written_down(
        self, venue: Answers, manager: OrderManager, order: VenueOrder, is_lost: bool
    ) -> None:
        standing(manager)
        (venue.past if order.standing != "open" else venue.open_orders()).append(order)
        venue.open_orders = lambda: [order] if order.standing == "open" else []  # type: ignore[method-assign]
        assert rebuild(manager) == ([order.cloid] if is_lost else [])
        assert manager.journal.is_complete != is_lost
        assert len(venue.of("fills")) == is_lost

    def test_what_an_action_on_its_way_has_done_is_left_to_it(self, venue: Answers, manager: OrderManager) -> None:
        standing(manager)
        venue.shown[ME] = shown()
        venue.outcomes = [Unknown("lost")]
        manager.amend(ME, D(1950), D("0.2"))
        venue.shown[ME] = shown(oid=6)
        assert rebuild(manager) == []

    @pytest.mark.parametrize("numbers", [1, 2, 3])
    def test_its_size_in_all_is_what_older_numbers_traded_and_the_newest_was_placed_with(
        self, venue: Answers, manager: OrderManager, numbers: int
    ) -> None:
        newest = shown("canceled", 4 + numbers, "0.3", px=D(1904 + numbers), original_sz=D("0.3"))
        venue.past = [newest, *(shown("canceled", oid, px=D(1900)) for oid in range(3 + numbers, 4, -1))]
        venue.found_fills = [fill("0.02", oid=oid, tid=oid) for oid in range(5, 5 + numbers)]
        venue.found_fills.append(fill("7", oid=99, tid=99, cloid=cloid_of("other")))
        assert rebuild(manager) == [ME]
        record = manager.journal.order(ME)
        assert (record.state, record.oid, record.decision_id) == ("canceled", 4 + numbers, "recovered")
        assert record.order.sz == D("0.3") + D("0.02") * (numbers - 1)
        assert record.order.px == D(1904 + numbers)
        assert venue.of("fills") == [[0]]
        assert [kept.oid for kept in manager.journal.fills()] == list(range(5, 5 + numbers))

    def test_after_the_baseline_all_fills_are_fetched(self, venue: Answers, manager: OrderManager) -> None:
        manager.journal.set_baseline([], 5)
        venue.found_fills = [fill(cloid=None)]
        fetch_fills(manager)
        assert venue.of("fills") == [[5]]
        assert len(manager.journal.fills()) == 1


class TestFills:
    @pytest.mark.parametrize(
        ("baseline", "newest", "since"),
        [
            (None, None, 0),
            (None, 60_000, 0),
            (None, 60_001, 1),
            (5, 60_004, 5),
            (5, 60_006, 6),
            (100_000, 60_000, 100_000),
            (7, None, 7),
        ],
    )
    def test_they_are_fetched_from_a_minute_before_the_newest(
        self, baseline: int | None, newest: int | None, since: int, venue: Answers
    ) -> None:
        journal = SimpleNamespace(
            last_fill_ms=lambda: newest, baseline_ms=lambda: baseline, add_fills=lambda some: some
        )
        manager = OrderManager(venue, journal)  # type: ignore[arg-type]
        venue.found_fills = [fill(time_ms=200_000, cloid=None)]
        assert manager.sync_fills() == venue.found_fills
        assert venue.of("fills") == [[since]]

    @pytest.mark.parametrize(
        ("funded", "moved", "asked"),
        [(None, 100_000, []), (100_000, None, []), (100_000, 160_000, [("fundings", 40_000), ("transfers", 100_000)])],
    )
    def test_so_is_money(self, funded: int | None, moved: int | None, asked: list[tuple[str, int]]) -> None:
        heard: list[tuple[str, int]] = []

        def ask(kind: str) -> Callable[[int], list[str]]:
            def answer(since: int) -> list[str]:
                heard.append((kind, since))
                return [kind]

            return answer

        money = SimpleNamespace(
            last_funding_ms=lambda: funded, last_transfer_ms=lambda: moved, add=lambda flows: ["new", *flows]
        )
        venue = SimpleNamespace(fundings=ask("fundings"), transfers=ask("transfers"))
        manager = OrderManager(venue, SimpleNamespace(money=money))  # type: ignore[arg-type]
        assert manager.sync_flows() == (["new", "fundings", "transfers"] if asked else [])
        assert heard == asked

    @pytest.mark.parametrize(("sizes", "state"), [(["0.05", "0.0499"], "open"), (["0.05", "0.05"], "filled")])
    def test_an_order_is_filled_once_they_are_its_size(
        self, manager: OrderManager, sizes: list[str], state: State
    ) -> None:
        standing(manager)
        fills = [fill(sz, tid=tid) for tid, sz in enumerate(sizes)]
        assert manager.hear_fills([*fills, fill(tid=9, oid=8, cloid=None)]) == [
            *fills,
            fill(tid=9, oid=8, cloid=None),
        ]
        assert manager.journal.order(ME).state == state
        assert manager.journal.order(ME).oid == 5

    def test_those_of_an_older_number_do_not_fill_the_newest(self, manager: OrderManager) -> None:
        standing(manager)
        manager.hear_order(shown(oid=6))
        manager.hear_fills([fill("0.1", oid=5)])
        assert manager.journal.order(ME).state == "open"
        manager.hear_fills([fill("0.1", oid=6, tid=2)])
        assert manager.journal.order(ME).state == "filled"
