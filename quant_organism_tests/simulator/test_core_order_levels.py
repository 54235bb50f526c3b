"""Orders exactly on each level and one step beside it, on both sides, and what ends with them."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from quant_organism.simulator.core import lifecycle, matching, placing, settlement
from quant_organism.simulator.core.account import Account, OrderUpdated
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import (
    MICRO_USD,
    PlaceTwap,
    single_tier,
    texts,
    wire,
)
from quant_organism_tests.simulator.venues import (
    ALICE,
    BOB,
    BTC,
    ETH,
    fund,
    held,
    make_venue,
    order,
    place,
    quotes,
    resting,
    set_mark,
)

USD = MICRO_USD
SIDES = pytest.mark.parametrize("side", [1, -1])
LEAVES = {1: "sell", -1: "buy"}
"""How a position of a side is closed."""


@pytest.fixture
def venue() -> SimulatedVenue:
    return make_venue()


class TestOrders:
    @SIDES
    @pytest.mark.parametrize(("lots", "rests"), [(39, 39), (40, 40), (41, None)])
    def test_a_small_order_closes_what_is_held_and_no_part_of_it(
        self, venue: SimulatedVenue, side: int, lots: int, rests: int | None
    ) -> None:
        account = held(venue, ALICE, lots * side, 1_000 * USD)
        (status,) = place(venue, account, order(ETH, LEAVES[side], "0.004", 2000, reduce_only=True))
        assert ("resting" in status) == (rests is not None)
        assert [venue.state.orders[oid].sz for oid in account.open_oids] == [rests] * (rests is not None)

    @SIDES
    def test_the_least_that_can_be_held_is_closed_by_as_much(self, venue: SimulatedVenue, side: int) -> None:
        account = held(venue, ALICE, side, 1_000 * USD)
        (status,) = place(venue, account, order(ETH, LEAVES[side], "0.0001", 2000, reduce_only=True))
        assert venue.state.orders[resting(status)].sz == 1

    @SIDES
    @pytest.mark.parametrize(
        ("available", "sz", "is_taken"), [(-1, "1", True), (9_999, "1.0001", False), (10_000, "1.0001", True)]
    )
    def test_a_lot_beyond_the_position_takes_its_margin(
        self, venue: SimulatedVenue, side: int, available: int, sz: str, is_taken: bool
    ) -> None:
        """When it is placed, and again when it is met."""
        account, other = held(venue, ALICE, 10_000 * side, 100 * USD + available), fund(venue, BOB)
        (status,) = place(venue, account, order(ETH, LEAVES[side], sz, 2000))
        assert ("resting" in status) == is_taken
        account.cross_raw[0] += 10**9
        (status,) = place(venue, account, order(ETH, LEAVES[side], sz, 2000))
        venue.act(account, wire.CancelOrders(tuple((ETH, oid) for oid in account.open_oids if oid != resting(status))))
        account.cross_raw[0] -= 10**9
        place(venue, other, order(ETH, LEAVES[-side], sz, 2000, "Ioc"))
        assert len(account.fills) == is_taken

    @pytest.mark.parametrize(("tif", "ends"), [("Gtc", "open"), ("Ioc", "canceled")])
    def test_a_lot_that_is_left_rests_or_ends(self, venue: SimulatedVenue, tif: Any, ends: str) -> None:
        maker, taker = fund(venue, BOB), fund(venue)
        place(venue, maker, order(ETH, "sell", "0.9999", 2000))
        place(venue, taker, order(ETH, "buy", 1, 2000, tif))
        (oid,) = taker.open_oids or taker.history
        assert (venue.state.orders[oid].sz, venue.state.orders[oid].status) == (1, ends)

    @SIDES
    @pytest.mark.parametrize(
        ("left", "asked", "kept"), [(50, 60, 50), (50, 50, 50), (50, 20, 20), (1, 60, 1), (1, 1, 1), (0, 60, None)]
    )
    def test_what_only_reduces_shrinks_with_the_position_and_never_grows(
        self, venue: SimulatedVenue, side: int, left: int, asked: int, kept: int | None
    ) -> None:
        """What waits for its trigger keeps its size."""
        account = held(venue, ALICE, 100 * side, 1_000 * USD)
        goal = 2_000 + 100 * side
        rest = order(ETH, LEAVES[side], "0.01", goal, reduce_only=True)
        wait = order(ETH, LEAVES[side], "0.01", 4_000 - goal, trigger=(4_000 - goal, "sl"), reduce_only=True)
        standing, _ = (venue.state.orders[resting(status)] for status in place(venue, account, rest, wait))
        standing.sz, account.holdings[ETH].szi = asked, left * side
        lifecycle.fit_reduce_only(venue.core, account, ETH)
        assert [venue.state.orders[oid].sz for oid in account.open_oids] == ([] if kept is None else [kept, 100])

    def test_the_mean_price_is_rounded_to_the_nearest(self) -> None:
        request = SimulatedOrder(1, ALICE, ETH, True, 100, 0, 8, 0, filled_sz=8, filled_ntl=1)
        assert placing.average_px(request, 0) == "0.00000013"

    @pytest.mark.parametrize(("mark", "low", "high"), [(200_000, 180_000, 220_000), (1, 1, 1), (10, 9, 11)])
    def test_what_the_venue_orders_itself_may_trade_a_tenth_from_the_mark(
        self, venue: SimulatedVenue, mark: int, low: int, high: int
    ) -> None:
        venue.state.listings[ETH].mark = mark
        assert [placing.tolerated_px(venue.core, ETH, is_buy=is_buy) for is_buy in (False, True)] == [low, high]

    @pytest.mark.parametrize("grouping", ["na", "positionTpsl"])
    def test_only_triggers_are_a_positions_own(self, venue: SimulatedVenue, grouping: wire.Grouping) -> None:
        account = held(venue, ALICE, 10_000, 1_000 * USD)
        stop = order(ETH, "sell", 1, 1900, trigger=(1900, "sl"), reduce_only=True)
        statuses = place(venue, account, order(ETH, "sell", 1, 2100), stop, grouping=grouping)
        assert "resting" in statuses[0]
        assert (statuses[1] == "waitingForTrigger") == (grouping == "positionTpsl")
        own = [venue.state.orders[oid].is_position_tpsl for oid in account.open_oids]
        assert own == [False, grouping == "positionTpsl"]

    @SIDES
    @pytest.mark.parametrize(("grouping", "closes", "left"), [("na", "0.5", 1), ("positionTpsl", "0.5", 1)])
    def test_a_trigger_that_closed_a_part_ends_no_other_that_is_not_its_pair(
        self, venue: SimulatedVenue, side: int, grouping: wire.Grouping, closes: str, left: int
    ) -> None:
        goal = 2_000 - 100 * side
        venue.quote(ETH, goal * 100, 5_000, is_buy=side > 0)
        account = held(venue, ALICE, 10_000 * side, 1_000 * USD)
        stop = order(ETH, LEAVES[side], closes, goal, trigger=(goal, "sl"), reduce_only=True)
        take = order(ETH, LEAVES[side], 1, 4_000 - goal, trigger=(4_000 - goal, "tp"), reduce_only=True)
        place(venue, account, stop, take, grouping=grouping)
        set_mark(venue, ETH, goal)
        assert account.holdings[ETH].szi == 5_000 * side
        assert len(account.open_oids) == left

    @pytest.mark.parametrize(("side", "entry"), [(1, "buy"), (-1, "sell")])
    def test_margin_must_be_there_to_the_millionth(self, venue: SimulatedVenue, side: int, entry: str) -> None:
        """One ETH at 2000 takes 100 USD at 20 times."""
        account = fund(venue, usd=100)
        account.cross_raw[0] -= 1
        assert place(venue, account, order(ETH, entry, 1, 2000)) == [{"error": f"{texts.MARGIN} asset={ETH}"}]
        account.cross_raw[0] += 1
        assert "resting" in place(venue, account, order(ETH, entry, 1, 2000))[0]

    @pytest.mark.parametrize(("spare", "fills"), [(0, 1), (-1, 0)])
    def test_a_maker_must_be_able_to_pay_to_the_millionth(self, venue: SimulatedVenue, spare: int, fills: int) -> None:
        maker, taker = fund(venue, usd=100), fund(venue, BOB)
        place(venue, maker, order(ETH, "buy", 1, 2000))
        maker.cross_raw[0] += spare
        place(venue, taker, order(ETH, "sell", 1, 2000, "Ioc"))
        assert (len(maker.fills), len(taker.fills)) == (fills, fills)

    @pytest.mark.parametrize(
        ("entry", "px", "taken"), [("buy", 2000, 1), ("buy", 1999, 0), ("sell", 2000, 1), ("sell", 2001, 0)]
    )
    def test_an_order_trades_at_its_price_and_no_worse(
        self, venue: SimulatedVenue, entry: str, px: int, taken: int
    ) -> None:
        maker, taker = fund(venue, BOB), fund(venue)
        place(venue, maker, order(ETH, "sell" if entry == "buy" else "buy", 1, 2000))
        place(venue, taker, order(ETH, entry, 1, px, "Ioc"))
        assert len(taker.fills) == taken

    @pytest.mark.parametrize(
        ("entry", "px", "rests"),
        [("buy", 2000, False), ("buy", 1999, True), ("sell", 2000, False), ("sell", 2001, True)],
    )
    def test_a_post_only_order_may_not_meet_the_best_price(
        self, venue: SimulatedVenue, entry: str, px: int, rests: bool
    ) -> None:
        venue.quote(ETH, 200_000, 10_000, is_buy=entry == "sell")
        (status,) = place(venue, fund(venue), order(ETH, entry, 1, px, "Alo"))
        assert ("resting" in status) == rests

    def test_late_quotes_are_made_before_a_post_only_order_is_held_against_the_book(
        self, venue: SimulatedVenue
    ) -> None:
        venue.core.prepare = lambda asset: venue.quote(asset, 200_000, 10_000, is_buy=False)
        (status,) = place(venue, fund(venue), order(ETH, "buy", 1, 2000, "Alo"))
        assert status["error"].startswith("Post only order would have immediately matched")

    @pytest.mark.parametrize(("side", "entry", "goal"), [(1, "sell", 1900), (-1, "buy", 2100)])
    def test_the_limit_of_a_stop_may_be_its_trigger_and_no_nearer(
        self, venue: SimulatedVenue, side: int, entry: str, goal: int
    ) -> None:
        account = held(venue, ALICE, 10_000 * side, 1_000 * USD)

        def stop(limit: int, kind: Any = "sl") -> Any:
            at = (goal, kind) if kind == "sl" else (4_000 - goal, kind)
            request = order(ETH, entry, 1, limit, trigger=at, reduce_only=True, is_market=False)
            return place(venue, account, request)[0]

        assert stop(goal + side) == {"error": f"{texts.INVALID_TPSL} asset={ETH}"}
        assert "resting" in stop(goal)
        assert "resting" in stop(goal - side)
        assert "resting" in stop(4_000 - goal + side, "tp")

    @pytest.mark.parametrize(
        ("most_leverage", "most_usd"), [(25, 15), (24, 5), (20, 5), (19, 2), (10, 2), (9, 0.5), (1, 0.5)]
    )
    @pytest.mark.parametrize(("tif", "factor"), [("Ioc", 1), ("Gtc", 10)])
    def test_the_most_of_an_order_follows_the_leverage_of_its_asset(
        self, most_leverage: int, most_usd: float, tif: Any, factor: int
    ) -> None:
        venue = make_venue()
        listing = venue.state.listings[ETH]
        listing.instrument = replace(listing.instrument, tiers=single_tier(most_leverage))
        venue.core.refresh()
        account, size = fund(venue, usd=10**9), int(most_usd * factor * 500)
        quotes(venue, ETH, 1999, 2000, 10**6)
        assert place(venue, account, order(ETH, "buy", size + Decimal("0.0001"), 2000, tif)) == [
            {"error": f"{texts.ORDER_VALUE} asset={ETH}"}
        ]
        assert "error" not in place(venue, account, order(ETH, "buy", size, 2000, tif))[0]

    @pytest.mark.parametrize("is_market", [True, False])
    def test_a_trigger_is_worth_as_much_as_what_it_becomes(self, venue: SimulatedVenue, is_market: bool) -> None:
        account = held(venue, ALICE, 10**9, 10**9 * USD)
        request = order(ETH, "sell", 8_000, 1_900, trigger=(1_900, "sl"), reduce_only=True, is_market=is_market)
        assert ("error" in place(venue, account, request)[0]) == is_market

    @pytest.mark.parametrize(("now", "text"), [(0, texts.POST_ONLY_PERIOD), (1, None)])
    def test_only_post_only_orders_are_taken_before_a_time(
        self, venue: SimulatedVenue, now: int, text: str | None
    ) -> None:
        venue.state.post_only_until_ms = venue.state.now_ms + 1
        venue.pass_time(venue.state.now_ms + now)
        account = fund(venue)
        (status,) = place(venue, account, order(ETH, "buy", 1, 1900))
        assert ("error" in status) == (text is not None)
        assert "resting" in place(venue, account, order(ETH, "buy", 1, 1900, "Alo"))[0]

    @pytest.mark.parametrize(("px", "is_near"), [("399.99", False), (400, True), (10_000, True), ("10001", False)])
    def test_a_price_is_a_fifth_to_five_times_the_oracle(
        self, venue: SimulatedVenue, px: object, is_near: bool
    ) -> None:
        account = fund(venue, usd=10**6)
        (status,) = place(venue, account, order(ETH, "buy", 1, px, "Alo"))
        assert ("resting" in status) == is_near
        venue.state.listings[ETH].oracle = 1
        assert place(venue, account, order(ETH, "buy", 1, px, "Alo")) == [{"error": f"{texts.TOO_FAR} asset={ETH}"}]
        venue.state.listings[ETH].oracle = 0
        assert "resting" in place(venue, account, order(ETH, "buy", 1, px, "Alo"))[0]
        venue.state.listings[ETH].oracle, venue.state.oracle_band = 200_000, None
        assert "resting" in place(venue, account, order(ETH, "buy", 1, px, "Alo"))[0]

    @pytest.mark.parametrize(
        ("held_szi", "entry", "sz", "is_taken"),
        [(0, "buy", 1, False), (10_000, "sell", 1, True), (10_000, "sell", "1.0001", False), (-10_000, "buy", 1, True)],
    )
    def test_while_open_interest_is_capped_positions_only_shrink(
        self, venue: SimulatedVenue, held_szi: int, entry: str, sz: object, is_taken: bool
    ) -> None:
        account = held(venue, ALICE, held_szi, 10_000 * USD)
        venue.state.listings[ETH].open_interest_capped = True
        (status,) = place(venue, account, order(ETH, entry, sz, 2000))
        assert status.get("error") == (None if is_taken else f"{texts.OPEN_INTEREST_CAP} asset={ETH}")

    @pytest.mark.parametrize("what", ["is_delisted", "halted", "mark"])
    @pytest.mark.parametrize("kind", ["order", "twap"])
    def test_what_cannot_be_traded_is_refused(self, venue: SimulatedVenue, what: str, kind: str) -> None:
        listing, account = venue.state.listings[ETH], fund(venue)
        if what == "is_delisted":
            listing.instrument = replace(listing.instrument, is_delisted=True)
        elif what == "halted":
            listing.halted = True
        else:
            listing.mark = 0
        if kind == "order":
            (status,) = place(venue, account, order(ETH, "buy", 1, 1900))
        else:
            status = _begin_twap(venue, account)
        assert status == {"error": f"{texts.HALTED} asset={ETH}"}
        if what == "mark":
            listing.mark = 1
            (status,) = place(venue, account, order(ETH, "buy", 1, 1900))
            assert "resting" in status
            assert _begin_twap(venue, account) == {"error": f"{texts.MIN_NOTIONAL} asset={ETH}"}
        assert "resting" in place(venue, account, order(BTC, "buy", "0.01", 90_000))[0]

    @pytest.mark.parametrize("sz", ["-1", "0.00001"])
    def test_a_size_that_is_none_is_refused(self, venue: SimulatedVenue, sz: str) -> None:
        (status,) = place(venue, fund(venue), order(ETH, "buy", sz, 1900))
        assert status == {"error": f"{texts.INVALID_SIZE} asset={ETH}"}

    @pytest.mark.parametrize(("px", "text"), [("-1", texts.INVALID_PRICE), ("0", texts.INVALID_PRICE)])
    def test_a_price_that_is_none_is_refused(self, venue: SimulatedVenue, px: str, text: str) -> None:
        (status,) = place(venue, fund(venue), order(ETH, "buy", 1, px))
        assert status == {"error": f"{text} asset={ETH}"}

    @pytest.mark.parametrize(
        ("traded", "status", "tif", "lives"),
        [
            (1, texts.MARGIN_CANCELED, "Gtc", True),
            (1, texts.CANCELED, "Gtc", False),
            (1, texts.CANCELED, "Ioc", True),
            (0, texts.CANCELED, "Ioc", False),
            (0, texts.MARGIN_CANCELED, "Gtc", False),
        ],
    )
    def test_children_live_where_their_parent_has_traded_and_nobody_took_it_back(
        self, venue: SimulatedVenue, traded: int, status: str, tif: Any, lives: bool
    ) -> None:
        account = fund(venue)
        family = (order(ETH, "buy", 1, 1990), order(ETH, "sell", 1, 2200, trigger=(2200, "tp"), reduce_only=True))
        parent, _ = place(venue, account, *family, grouping="normalTpsl")
        placed = venue.state.orders[resting(parent)]
        placed.filled_sz, placed.tif = traded, tif
        lifecycle.finish(venue.core, placed, status)
        assert [venue.state.orders[oid].sz for oid in account.open_oids] == [traded] * lives
        assert list(venue.state.listings[ETH].triggers) == list(account.open_oids)

    def test_the_children_of_an_order_that_found_nothing_are_refused_with_it(self, venue: SimulatedVenue) -> None:
        account = fund(venue)
        family = (
            order(ETH, "buy", 1, 1990, "Ioc"),
            order(ETH, "sell", 1, 2200, trigger=(2200, "tp"), reduce_only=True),
        )
        error = {"error": f"{texts.NO_MATCH} asset={ETH}"}
        assert place(venue, account, *family, grouping="normalTpsl") == [error, error]
        assert not account.open_oids

    @pytest.mark.parametrize(
        "child",
        [
            order(ETH, "sell", 1, 2200, reduce_only=True),
            order(ETH, "sell", 1, 2200, trigger=(2200, "tp")),
            order(ETH, "buy", 1, 2200, trigger=(2200, "sl"), reduce_only=True),
            order(BTC, "sell", 1, 110_000, trigger=(110_000, "tp"), reduce_only=True),
        ],
    )
    def test_a_child_has_a_trigger_and_closes_what_its_parent_opens(
        self, venue: SimulatedVenue, child: wire.OrderRequest
    ) -> None:
        account = fund(venue)
        statuses = place(venue, account, order(ETH, "buy", 1, 1990), child, grouping="normalTpsl")
        assert statuses == [{"error": f"{texts.INVALID_TPSL} asset={asset}"} for asset in (ETH, child.asset)]
        assert not account.open_oids

    def test_a_child_that_waits_may_be_replaced_and_waits_on(self, venue: SimulatedVenue) -> None:
        account = fund(venue)
        take = order(ETH, "sell", 1, 2200, trigger=(2200, "tp"), reduce_only=True, cloid="0x" + "5" * 32)
        stop = order(ETH, "sell", 1, 1800, trigger=(1800, "sl"), reduce_only=True)
        parent, *_ = place(venue, account, order(ETH, "buy", 1, 1990), take, stop, grouping="normalTpsl")
        own, old, other = account.open_oids
        nearer = order(ETH, "sell", 1, 2100, trigger=(2100, "tp"), reduce_only=True)
        venue.core.drain()
        answer = venue.act(account, wire.ModifyOrders(((old, nearer),), single=False))
        assert answer["response"]["data"]["statuses"] == ["waitingForFill"]
        new = account.cloids["0x" + "5" * 32]
        heard = [(e.order["oid"], e.status) for e in venue.core.drain() if isinstance(e, OrderUpdated)]
        assert heard == [(old, "canceled"), (new, "open")]
        assert list(account.open_oids) == [own, other, new]
        assert venue.state.orders[own].children == [new, other]
        assert venue.state.orders[new].parent == own
        assert venue.state.listings[ETH].triggers == {}
        for wrong in (replace(nearer, is_buy=True), replace(nearer, reduce_only=False), replace(nearer, trigger=None)):
            answer = venue.act(account, wire.ModifyOrders(((new, wrong),), single=True))
            assert answer == {"status": "err", "response": f"{texts.INVALID_TPSL} asset={ETH}"}
        bigger = venue.act(account, wire.ModifyOrders(((own, order(ETH, "buy", 2, 1990)),), single=False))
        parent = resting(bigger["response"]["data"]["statuses"][0])
        assert [venue.state.orders[oid].parent for oid in (new, other)] == [parent, parent]
        assert (venue.state.orders[parent].children, venue.state.orders[own].children) == ([new, other], [])
        assert list(account.open_oids) == [other, new, parent]

    def test_a_child_whose_parent_is_filled_is_replaced_like_any_trigger(self, venue: SimulatedVenue) -> None:
        quotes(venue, ETH, 1999, 2000)
        account = fund(venue)
        take = order(ETH, "sell", 1, 2200, trigger=(2200, "tp"), reduce_only=True)
        place(venue, account, order(ETH, "buy", 1, 2000), take, grouping="normalTpsl")
        (old,) = account.open_oids
        answer = venue.act(account, wire.ModifyOrders(((old, replace(take, cloid="0x" + "6" * 32)),), single=False))
        (status,) = answer["response"]["data"]["statuses"]
        assert status["resting"]["cloid"] == "0x" + "6" * 32
        assert list(account.open_oids) == list(venue.state.listings[ETH].triggers) == [resting(status)]

    def test_an_order_is_replaced_on_its_own_asset_alone(self, venue: SimulatedVenue) -> None:
        account = fund(venue)
        old = resting(place(venue, account, order(ETH, "buy", 1, 1990))[0])
        for key in (old, old + 1, "0x" + "1" * 32):
            asked = order(BTC if key == old else ETH, "buy", 1, 1990)
            answer = venue.act(account, wire.ModifyOrders(((key, asked),), single=True))
            assert answer == {"status": "err", "response": texts.CANNOT_MODIFY}
        assert venue.act(account, wire.ModifyOrders(((old, order(ETH, "buy", 2, 1990)),), single=True)) == {
            "status": "ok",
            "response": {"type": "default"},
        }
        assert old not in account.open_oids

    def test_the_margin_of_what_is_replaced_is_free_for_what_replaces_it(self, venue: SimulatedVenue) -> None:
        account = fund(venue, usd=100)
        old = resting(place(venue, account, order(ETH, "buy", 1, 2000))[0])
        for sz, is_done in (("1.0001", False), ("1", True)):
            answer = venue.act(account, wire.ModifyOrders(((old, order(ETH, "buy", sz, 2000)),), single=True))
            assert (answer["status"] == "ok") == is_done
        assert account.reserved[0] == 100 * USD

    @pytest.mark.parametrize(("count", "kept"), [(11, 11), (12, 10)])
    def test_of_orders_that_have_ended_a_tenth_too_many_are_kept_before_any_is_forgotten(
        self, venue: SimulatedVenue, monkeypatch: pytest.MonkeyPatch, count: int, kept: int
    ) -> None:
        monkeypatch.setattr(lifecycle, "HISTORY_ORDERS", 10)
        account = fund(venue)
        cloids = ["0x" + f"{number:032x}" for number in range(count)]
        standing = resting(place(venue, account, order(ETH, "buy", 1, 1800))[0])
        for cloid in cloids:
            oid = resting(place(venue, account, order(ETH, "buy", 1, 1900, cloid=cloid))[0])
            venue.act(account, wire.CancelOrders(((ETH, oid),)))
        assert len(account.history) == kept
        assert account.history == sorted(oid for oid in venue.state.orders if oid != standing)
        assert list(account.cloids) == cloids[count - kept :]

    def test_a_cloid_that_was_used_again_is_kept_while_the_newer_order_is(
        self, venue: SimulatedVenue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lifecycle, "HISTORY_ORDERS", 1)
        account, cloid = fund(venue), "0x" + "7" * 32
        for _ in range(3):
            oid = resting(place(venue, account, order(ETH, "buy", 1, 1900, cloid=cloid))[0])
            venue.act(account, wire.CancelOrders(((ETH, oid),)))
        assert account.history == [oid]
        assert account.cloids == {cloid: oid}

    @pytest.mark.parametrize(("count", "kept"), [(11, 11), (12, 10)])
    def test_of_fills_a_tenth_too_many_are_kept_before_any_is_forgotten(
        self, venue: SimulatedVenue, count: int, kept: int
    ) -> None:
        one, many = fund(venue), Account(BOB)
        quotes(venue, ETH, 1999, 2000)
        place(venue, one, order(ETH, "buy", 1, 2000, "Ioc"))
        fills = [replace(one.fills[0], tid=number) for number in range(count)]
        for fill in fills:
            settlement.keep_fill(many, fill, 10)
        assert many.fills == fills[count - kept :]

    @SIDES
    @pytest.mark.parametrize(("size", "opens"), [(9, 0), (10, 0), (11, 1)])
    def test_what_opens_is_what_goes_beyond_the_position(
        self, venue: SimulatedVenue, side: int, size: int, opens: int
    ) -> None:
        account = held(venue, ALICE, 10 * side, USD)
        request = SimulatedOrder(0, account.address, ETH, side < 0, 200_000, size, size, 0)
        assert matching.opening_size(venue.core, request, size) == opens
        request.is_buy = side > 0
        assert matching.opening_size(venue.core, request, size) == size
        account.holdings[ETH].szi = 0
        assert matching.opening_size(venue.core, request, size) == size
        account.holdings[ETH].szi, request.is_buy = side, side < 0
        assert matching.opening_size(venue.core, request, 1) == 0


def _begin_twap(venue: SimulatedVenue, account: Account) -> Any:
    answer = venue.act(account, PlaceTwap(ETH, True, Decimal("1.1"), False, 5, False))
    return answer["response"]["data"]["status"]
