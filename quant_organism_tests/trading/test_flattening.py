"""Getting out, look by look: what is canceled and sent in each round, at which price, and when it is over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quant_organism.trading.orders import flattening
from quant_organism.trading.orders.flattening import NotFlat, flatten
from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.states import cloid_of
from quant_organism.trading.orders.venue import cancel_in_batches
from quant_organism.venue import (
    Accepted,
    DepthSnapshot,
    Holdings,
    NewOrder,
    OpenOrder,
    Position,
    Rejected,
    Resting,
    RunningTwap,
    Unknown,
    Why,
)
from quant_organism.venue.client.market_state import DepthLevel
from quant_organism.venue.protocol import MAX_ITEMS_PER_ACTION
from quant_organism_tests.trading.answers import ME, Answers, answered
from quant_organism_tests.trading.trader import D, new_order

NO = Rejected(Why.OTHER, "no")
BID = OpenOrder("ETH", 5, None, False)
STOP = OpenOrder("ETH", 6, None, True)
TWAP = RunningTwap("ETH", 9, False)


def held(szi: str, coin: str = "ETH", mark: str | None = "2000") -> Position:
    """Return a position."""
    return Position(coin, D(szi), None, None if mark is None else D(mark), None, D(0), 20, True)


def book(bids: list[str], asks: list[str]) -> DepthSnapshot:
    """Return a book of one coin of each price."""
    levels = (tuple(DepthLevel(D(px), D(1), 1) for px in side) for side in (bids, asks))
    return DepthSnapshot("ETH", 1, *levels)


@pytest.fixture
def venue() -> Answers:
    return Answers()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def manager(venue: Answers, tmp_path: Path) -> Iterator[OrderManager]:
    found = answered(venue, tmp_path, [])
    yield found
    found.journal.close()


def sent(manager: OrderManager) -> list[NewOrder]:
    """Return the orders that were placed."""
    return [record.order for record in manager.journal.orders()]


class TestRounds:
    @pytest.mark.parametrize(
        ("szi", "mid", "prices"),
        [
            ("0.1", "2000", ["1990", "1980"]),
            ("-0.1", "2000", ["2010", "2020"]),
            ("0.1", "2000.3", ["1990.3", "1980.3"]),  # rounded so that no bound is crossed
            ("-0.1", "2000.3", ["2010.3", "2020.3"]),
            ("3", "2000", ["1990", "1980"]),
            ("-3", "2000", ["2010", "2020"]),
        ],
    )
    def test_each_sends_what_closes_within_a_wider_bound(
        self, venue: Answers, manager: OrderManager, slept: list[float], szi: str, mid: str, prices: list[str]
    ) -> None:
        venue.mid_prices, venue.holdings_says = {"ETH": D(mid)}, [Holdings((held(szi),))]
        with pytest.raises(NotFlat, match=f"after 2 rounds: 0 open orders, 0 TWAP orders, positions {szi} ETH, 0"):
            flatten(manager, "out", slippages=[D("0.005"), D("0.01")], sleep=slept.append)
        assert sent(manager) == [
            NewOrder(cloid_of(f"out/{number}", "ETH"), "ETH", D(szi) < 0, D(px), abs(D(szi)), "Ioc", True)
            for number, px in enumerate(prices)
        ]
        assert slept == [0.5, 0.5]
        assert len(venue.of("holdings")) == 3

    def test_the_bounds_widen_to_eight_percent(self) -> None:
        assert [str(bound) for bound in flattening.SLIPPAGES] == ["0.005", "0.01", "0.02", "0.04", *["0.08"] * 4]

    @pytest.mark.parametrize(
        ("looks", "rounds", "pauses"),
        [
            ([Holdings()], 0, 2),
            ([Holdings((held("0.1"),)), Holdings()], 1, 3),
            ([Holdings((), ("no answer",)), Holdings()], 0, 3),
            ([Holdings(), Holdings(), Holdings((), ("no answer",)), Holdings()], 0, 4),
            ([Holdings(), Holdings((held("0.1"),)), Holdings()], 1, 3),
        ],
    )
    def test_two_looks_after_each_other_must_show_nothing_once_all_dexs_are_known(
        self,
        venue: Answers,
        manager: OrderManager,
        slept: list[float],
        looks: list[Holdings],
        rounds: int,
        pauses: int,
    ) -> None:
        venue.mid_prices, venue.holdings_says = {"ETH": D(2000)}, list(looks)
        assert flatten(manager, "out", sleep=slept.append) == rounds
        assert slept == [0.5] * pauses
        assert len(venue.of("holdings")) == pauses + 1
        assert venue.of("dexs") == [[]]
        assert len(venue.of("fills")) == 1

    def test_what_has_no_answer_yet_is_waited_for(
        self, venue: Answers, manager: OrderManager, slept: list[float]
    ) -> None:
        venue.outcomes = [Unknown("lost")]
        manager.place("d", [new_order("d")])
        with pytest.raises(NotFlat, match="positions none, 1 actions of unknown outcome"):
            flatten(manager, "out", slippages=[D("0.01")], sleep=slept.append)
        assert slept == [0.5] * 4  # two looks for each round, and two more

    def test_dexs_that_cannot_be_listed_are_asked_for_again(
        self, venue: Answers, manager: OrderManager, slept: list[float]
    ) -> None:
        venue.dexs_are_found = [False, False, True]
        assert flatten(manager, "out", sleep=slept.append) == 0
        assert slept == [0.5] * 4
        venue.dexs_are_found = [False] * 100
        with pytest.raises(NotFlat, match="what is known of is closed, and other dexs have not been seen"):
            flatten(manager, "out", sleep=slept.append)

    def test_mids_are_asked_for_where_something_is_held(self, venue: Answers, manager: OrderManager) -> None:
        venue.resting_says = [Resting((BID,)), Resting()]
        flatten(manager, "out", sleep=lambda _: None)
        assert venue.of("mids") == []
        venue.mid_prices, venue.holdings_says = {"ETH": D(2000)}, [Holdings((held("1"),)), Holdings()]
        flatten(manager, "out", sleep=lambda _: None)
        assert (venue.of("mids"), venue.of("depth")) == ([[]], [])

    def test_closing_goes_on_under_a_name_with_further_orders(self, venue: Answers, manager: OrderManager) -> None:
        venue.mid_prices = {"ETH": D(2000), "BTC": D(100_000)}
        for _ in range(2):
            venue.holdings_says = [Holdings((held("1"), held("1", "BTC", "100000"))), Holdings()]
            flatten(manager, "out", sleep=lambda _: None)
        names = [("out/0", "ETH"), ("out/0", "BTC"), ("out/1", "ETH"), ("out/1", "BTC")]
        assert [order.cloid for order in sent(manager)] == [cloid_of(*name) for name in names]


class TestCanceling:
    @pytest.mark.parametrize("coins", [None, ["ETH"], []])
    def test_only_what_is_of_the_coins_is_ended(self, venue: Answers, manager: OrderManager, coins: Any) -> None:
        wanted = ["ETH", "BTC"] if coins is None else coins
        orders = tuple(OpenOrder(coin, number, None, False) for number, coin in enumerate(("ETH", "BTC")))
        twaps = tuple(RunningTwap(coin, number, False) for number, coin in enumerate(("ETH", "BTC")))
        positions = (held("1"), held("1", "BTC", "100000"))
        venue.mid_prices = {"ETH": D(2000), "BTC": D(100_000)}
        venue.resting_says, venue.holdings_says = [Resting(orders, twaps), Resting()], [Holdings(positions), Holdings()]
        assert flatten(manager, "out", coins=coins, sleep=lambda _: None) == bool(wanted)
        assert [each for asked in venue.of("cancel_oids") for each in asked] == [
            (order.coin, order.oid) for order in orders if order.coin in wanted
        ]
        assert venue.of("cancel_twap") == [[(twap.coin, twap.number)] for twap in twaps if twap.coin in wanted]
        assert [order.coin for order in sent(manager)] == wanted

    @pytest.mark.parametrize("is_live", [True, False])
    def test_ours_are_canceled_by_their_ids_and_those_our_books_hold_for_ended_by_their_numbers(
        self, venue: Answers, manager: OrderManager, is_live: bool
    ) -> None:
        venue.outcomes = [Accepted("resting", 5)]
        manager.place("d", [new_order("d")])
        if not is_live:
            manager.journal.move(ME, "cancels", 1)
        others = (OpenOrder("BTC", 7, cloid_of("other"), False), OpenOrder("BTC", 8, None, False))
        venue.resting_says = [Resting((OpenOrder("ETH", 5, ME, False), *others)), Resting()]
        flatten(manager, "out", sleep=lambda _: None)
        numbers = [("BTC", 7), ("BTC", 8)]
        assert venue.of("cancel") == ([[ME]] if is_live else [])
        assert venue.of("cancel_oids") == [numbers if is_live else [("ETH", 5), *numbers]]
        assert manager.journal.order(ME).state == "canceled"

    def test_what_could_not_be_done_is_named_in_order(
        self, venue: Answers, manager: OrderManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        orders = tuple(OpenOrder(coin, 1, None, False) for coin in ("SOL", "BTC", "ETH"))
        venue.resting_says = [Resting(orders, (RunningTwap("XRP", 1, False),)), Resting((), (), ("a row",))]
        venue.outcomes = [NO, NO, Accepted("done"), Unknown("lost")]
        venue.mid_prices = {}
        venue.holdings_says = [Holdings((held("1", "DOGE", None),)), Holdings()]
        told: list[str] = []
        described = flattening._described

        def note(*of: Any) -> str:
            told.append(described(*of))
            return told[-1]

        monkeypatch.setattr(flattening, "_described", note)
        with pytest.raises(NotFlat):
            flatten(manager, "out", slippages=[D("0.01")], sleep=lambda _: None)
        assert told[0] == (
            "3 open orders, 1 TWAP orders, positions 1 DOGE, 0 actions of unknown outcome, ETH: lost, SOL: no, "
            "XRP: no, DOGE: it has neither a price nor a mark"
        )
        assert told[-1] == (
            "0 open orders, 0 TWAP orders, positions none, 0 actions of unknown outcome, what cannot be seen (a row)"
        )

    def test_any_number_is_canceled_in_as_few_actions_as_the_venue_takes(self, venue: Answers) -> None:
        most = MAX_ITEMS_PER_ACTION
        for count, actions in ((0, []), (1, [1]), (most, [most]), (most + 1, [most, 1]), (2 * most, [most, most])):
            venue.asked.clear()
            orders = [OpenOrder("ETH", number, None, False) for number in range(count)]
            assert len(cancel_in_batches(venue, orders)) == count  # type: ignore[arg-type]
            assert [len(targets) for targets in venue.of("cancel_oids")] == actions
            assert [oid for targets in venue.of("cancel_oids") for _, oid in targets] == list(range(count))


class TestPrices:
    @pytest.mark.parametrize(
        ("szi", "mid", "found", "mark", "px"),
        [
            ("1", "2000", book(["1900"], ["2100"]), "2000", "1980"),  # the mid where it is near
            ("1", "9", book(["1900", "1800"], ["2100"]), "2000", "1881"),
            ("-1", "9", book(["1900"], ["2100", "2200"]), "2000", "2121"),
            ("0.01", "9", book(["1900"], ["2100"]), "2000", "1881"),
            ("1", None, book([], ["2100"]), "2000", "1980"),  # the mark where nobody buys
            ("-1", None, book(["1900"], []), "2000", "2020"),
            ("1", None, book(["9"], ["2100"]), "2000", "1980"),  # what nobody would be let trade at
            ("1", None, None, "2000", "1980"),
            ("1", None, book(["1900"], ["2100"]), None, "1881"),
            ("1", "1500", None, None, "1485"),
            ("1", "0", None, None, None),
            ("1", None, None, "0", None),
            ("1", None, book([], []), None, None),
        ],
    )
    def test_a_position_is_closed_around_the_best_price_that_can_be_had(
        self,
        venue: Answers,
        manager: OrderManager,
        szi: str,
        mid: str | None,
        found: DepthSnapshot | None,
        mark: str | None,
        px: str | None,
    ) -> None:
        venue.mid_prices, venue.book = None if mid is None else {"ETH": D(mid)}, found
        venue.holdings_says = [Holdings((held(szi, mark=mark),)), Holdings()]
        assert flatten(manager, "out", slippages=[D("0.01")], sleep=lambda _: None) == 1
        assert [order.px for order in sent(manager)] == ([] if px is None else [D(px)])
