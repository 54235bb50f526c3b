"""Orders on the venue: matching, refusals, reduce-only, self-trade, modify, cancel, triggers."""

from typing import Any

import pytest

from quant_organism.simulator.core.account import Account, OrderUpdated
from quant_organism.simulator.core.state import Listing, VenueState
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import Instrument, single_tier, texts, wire
from quant_organism_tests.simulator.venues import (
    ALICE,
    BOB,
    BTC,
    CAROL,
    DOGE,
    ETH,
    fund,
    make_venue,
    order,
    place,
    quotes,
    resting,
    set_mark,
)


@pytest.fixture
def venue() -> SimulatedVenue:
    return make_venue()


@pytest.fixture
def alice(venue: SimulatedVenue) -> Account:
    return fund(venue, ALICE)


@pytest.fixture
def bob(venue: SimulatedVenue) -> Account:
    return fund(venue, BOB)


def words(venue: SimulatedVenue, oid: int) -> list[str]:
    """Return the statuses that an order went through, as published."""
    return [e.status for e in venue.core.events if isinstance(e, OrderUpdated) and e.order["oid"] == oid]


def error(text: str, asset: int = ETH) -> dict[str, str]:
    return {"error": f"{text} asset={asset}"}


def test_before_the_first_price_nothing_is_known_and_nothing_traded() -> None:
    listing = Listing(Instrument("ETH", 4, single_tier(50)))
    fresh = SimulatedVenue(VenueState(listings={ETH: listing}, seed=1))
    account = fund(fresh)
    assert [listing.px(units) for units in (listing.mark, listing.oracle, listing.last, listing.mark_before)] == [
        "0.0"
    ] * 4
    assert place(fresh, account, order(ETH, "buy", 1, 399)) == [error(texts.HALTED)]
    set_mark(fresh, ETH, 2000)
    assert place(fresh, account, order(ETH, "buy", 1, 399)) == [error(texts.TOO_FAR)]
    resting(place(fresh, account, order(ETH, "buy", 1, 400))[0])


def test_price_comes_before_time(venue: SimulatedVenue, alice: Account, bob: Account) -> None:
    carol = fund(venue, CAROL)
    late_best = place(venue, alice, order(ETH, "sell", 1, 2001), order(ETH, "sell", 1, 2000))
    place(venue, carol, order(ETH, "sell", 1, 2001))
    (status,) = place(venue, bob, order(ETH, "buy", "2.5", 2001))
    assert status["filled"] == {"totalSz": "2.5", "avgPx": "2000.6", "oid": status["filled"]["oid"]}
    assert [fill.px for fill in bob.fills] == [200_000, 200_100, 200_100]
    assert [fill.oid for fill in alice.fills] == [resting(late_best[1]), resting(late_best[0])]
    assert carol.holdings[ETH].szi == -5_000  # came later at the same price


def test_the_rest_of_gtc_rests_and_the_rest_of_ioc_is_dropped(
    venue: SimulatedVenue, alice: Account, bob: Account
) -> None:
    place(venue, alice, order(ETH, "sell", 1, 2000))
    oid = resting(place(venue, bob, order(ETH, "buy", 3, 2000))[0])
    assert venue.state.orders[oid].sz == 20_000
    (status,) = place(venue, alice, order(ETH, "sell", 5, 2000, "Ioc"))
    assert status["filled"]["totalSz"] == "2.0"
    assert not alice.open_oids


def test_ioc_without_a_match(venue: SimulatedVenue, alice: Account) -> None:
    assert place(venue, alice, order(ETH, "buy", 1, 1999, "Ioc")) == [error(texts.NO_MATCH)]
    assert venue.state.orders[alice.history[-1]].status == "iocCancelRejected"


def test_alo_that_would_cross(venue: SimulatedVenue, alice: Account) -> None:
    quotes(venue, ETH, 1999, 2001)
    (status,) = place(venue, alice, order(ETH, "buy", 1, 2001, "Alo"))
    assert status == error("Post only order would have immediately matched, bbo was 1999.0@2001.0.")
    assert "resting" in place(venue, alice, order(ETH, "buy", 1, 2000, "Alo"))[0]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (order(ETH, "buy", 1, "2000.12"), texts.PRICE_OFF_TICK),
        (order(ETH, "buy", 1, "2000.001"), texts.PRICE_OFF_TICK),
        (order(ETH, "buy", "0.00001", 2000), texts.INVALID_SIZE),
        (order(ETH, "buy", 0, 2000), texts.ZERO_SIZE),
        (order(ETH, "buy", 1, 0), texts.INVALID_PRICE),
        (order(ETH, "buy", "0.0049", 2000), texts.MIN_NOTIONAL),
        (order(ETH, "buy", 1, 399), texts.TOO_FAR),
        (order(ETH, "sell", 1, 10_001), texts.TOO_FAR),
        (order(ETH, "buy", 1001, 2000), texts.MARGIN),
        (order(ETH, "sell", 1, 2000, reduce_only=True), texts.WOULD_INCREASE),
        (order(ETH, "sell", 1, 2000, trigger=(1900, "sl")), texts.INVALID_TPSL),  # not reduce-only
        (order(ETH, "sell", 1, 2000, trigger=("1900.123", "sl"), reduce_only=True), texts.INVALID_TPSL),
    ],
)
def test_refusals(venue: SimulatedVenue, alice: Account, request_: wire.OrderRequest, text: str) -> None:
    before = alice.cross_raw[0]
    assert place(venue, alice, request_) == [error(text)]
    assert (alice.cross_raw[0], alice.open_oids) == (before, {})


def test_an_unknown_asset_is_refused(venue: SimulatedVenue, alice: Account) -> None:
    assert place(venue, alice, order(99, "buy", 1, 2000)) == [error(texts.UNKNOWN_ASSET, 99)]


def test_one_bad_order_does_not_spoil_a_batch(venue: SimulatedVenue, alice: Account) -> None:
    found = place(venue, alice, order(ETH, "buy", 1, 1900), order(ETH, "buy", 0, 1900), order(ETH, "buy", 1, 1901))
    assert ["resting" in status for status in found] == [True, False, True]


def test_small_orders_may_close_a_whole_position(venue: SimulatedVenue, alice: Account) -> None:
    quotes(venue, ETH, 1999, 2000)
    place(venue, alice, order(ETH, "buy", "0.005", 2000, "Ioc"))
    set_mark(venue, ETH, 1500)
    venue.withdraw_quotes(ETH)
    assert place(venue, alice, order(ETH, "sell", "0.004", 1600, reduce_only=True)) == [error(texts.MIN_NOTIONAL)]
    (status,) = place(venue, alice, order(ETH, "sell", "0.006", 1600, reduce_only=True))
    assert venue.state.orders[resting(status)].sz == 50


def test_reduce_only_is_shrunk_and_never_flips(venue: SimulatedVenue, alice: Account) -> None:
    quotes(venue, ETH, 1999, 2000)
    place(venue, alice, order(ETH, "buy", "0.02", 2000, "Ioc"))
    (status,) = place(venue, alice, order(ETH, "sell", "0.05", 1990, "Ioc", reduce_only=True))
    assert status["filled"]["totalSz"] == "0.02"
    assert alice.holdings[ETH].szi == 0


def test_resting_reduce_only_follows_the_position_down(venue: SimulatedVenue, alice: Account) -> None:
    quotes(venue, ETH, 1999, 2000)
    place(venue, alice, order(ETH, "buy", "0.05", 2000, "Ioc"))
    oid = resting(place(venue, alice, order(ETH, "sell", "0.08", 2100, reduce_only=True))[0])
    resting_order = venue.state.orders[oid]
    assert (resting_order.sz, resting_order.orig_sz) == (500, 800)
    place(venue, alice, order(ETH, "sell", "0.03", 1999, "Ioc"))
    assert resting_order.sz == 200
    place(venue, alice, order(ETH, "sell", "0.02", 1999, "Ioc"))
    assert words(venue, oid)[-1] == "reduceOnlyCanceled"
    assert not alice.open_oids


def test_self_trade_cancels_the_maker_and_goes_on(venue: SimulatedVenue, alice: Account, bob: Account) -> None:
    own = resting(place(venue, alice, order(ETH, "sell", 1, 2000))[0])
    place(venue, bob, order(ETH, "sell", 1, 2000))
    (status,) = place(venue, alice, order(ETH, "buy", 1, 2000))
    assert status["filled"]["totalSz"] == "1.0"
    assert words(venue, own) == ["open", "selfTradeCanceled"]
    assert alice.holdings[ETH].szi == 10_000
    assert bob.holdings[ETH].szi == -10_000


def test_a_maker_who_can_no_longer_pay_is_canceled(venue: SimulatedVenue, alice: Account, bob: Account) -> None:
    poor = fund(venue, CAROL, 1_000)
    quotes(venue, BTC, 99_000, 100_000)
    place(venue, poor, order(BTC, "buy", "0.1", 100_000, "Ioc"))
    oid = resting(place(venue, poor, order(ETH, "buy", "2", 1900))[0])
    set_mark(venue, BTC, 95_000)
    (status,) = place(venue, bob, order(ETH, "sell", 2, 1900, "Ioc"))
    assert status == error(texts.NO_MATCH)
    assert words(venue, oid) == ["open", "marginCanceled"]


def test_modify_is_a_new_order_with_the_same_cloid(venue: SimulatedVenue, alice: Account) -> None:
    cloid = "0x" + "12" * 16
    old = resting(place(venue, alice, order(ETH, "buy", 1, 1900, cloid=cloid))[0])
    answer = venue.act(alice, wire.ModifyOrders(((cloid, order(ETH, "buy", 2, 1901)),), single=False))
    (status,) = answer["response"]["data"]["statuses"]
    new = resting(status)
    assert new != old
    assert status["resting"]["cloid"] == cloid
    assert words(venue, old) == ["open", "canceled"]
    assert list(alice.open_oids) == [new]
    again = venue.act(alice, wire.ModifyOrders(((old, order(ETH, "buy", 2, 1902)),), single=False))
    assert again["response"]["data"]["statuses"] == [{"error": "Cannot modify canceled or filled order"}]
    alone = venue.act(alice, wire.ModifyOrders(((old, order(ETH, "buy", 2, 1902)),), single=True))
    assert alone == {"status": "err", "response": "Cannot modify canceled or filled order"}


def test_a_refused_replacement_leaves_the_order(venue: SimulatedVenue, alice: Account) -> None:
    old = resting(place(venue, alice, order(ETH, "buy", 1, 1900))[0])
    answer = venue.act(alice, wire.ModifyOrders(((old, order(ETH, "buy", 1, "1900.001")),), single=False))
    assert answer["response"]["data"]["statuses"] == [error(texts.PRICE_OFF_TICK)]
    assert list(alice.open_oids) == [old]


def test_cancels(venue: SimulatedVenue, alice: Account, bob: Account) -> None:
    cloid = "0x" + "34" * 16
    oid = resting(place(venue, alice, order(ETH, "buy", 1, 1900, cloid=cloid))[0])
    foreign = venue.act(bob, wire.CancelOrders(((ETH, oid),)))["response"]["data"]["statuses"]
    assert foreign == [error(texts.NOT_OPEN)]
    done = venue.act(alice, wire.CancelOrders(((ETH, cloid), (ETH, oid), (BTC, 1))))["response"]["data"]["statuses"]
    assert done == ["success", error(texts.NOT_OPEN), error(texts.NOT_OPEN, BTC)]


def test_a_cloid_may_be_used_again(venue: SimulatedVenue, alice: Account) -> None:
    cloid = "0x" + "56" * 16
    first = resting(place(venue, alice, order(ETH, "buy", 1, 1900, cloid=cloid))[0])
    venue.act(alice, wire.CancelOrders(((ETH, first),)))
    second = resting(place(venue, alice, order(ETH, "buy", 1, 1900, cloid=cloid))[0])
    assert alice.cloids[cloid] == second


class TestTriggers:
    @pytest.fixture
    def long(self, venue: SimulatedVenue, alice: Account) -> Account:
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
        return alice

    def test_a_stop_fires_on_the_mark_and_sells_at_market(self, venue: SimulatedVenue, long: Account) -> None:
        oid = resting(place(venue, long, order(ETH, "sell", 1, 1800, trigger=(1950, "sl"), reduce_only=True))[0])
        set_mark(venue, ETH, "1950.1")
        assert oid in long.open_oids
        set_mark(venue, ETH, 1950)
        assert words(venue, oid) == ["open", "triggered", "filled"]
        assert long.holdings[ETH].szi == 0

    @pytest.mark.parametrize(("px", "tpsl"), [(2000, "tp"), (1990, "tp"), (2000, "sl"), (2010, "sl")])
    def test_on_the_wrong_side_of_the_mark(self, venue: SimulatedVenue, long: Account, px: int, tpsl: Any) -> None:
        status = place(venue, long, order(ETH, "sell", 1, 1800, trigger=(px, tpsl), reduce_only=True))
        assert status == [error(texts.INVALID_TPSL)]

    def test_a_buy_stop_limit_needs_its_limit_beyond_the_trigger(self, venue: SimulatedVenue, alice: Account) -> None:
        quotes(venue, ETH, 2000, 2001)
        place(venue, alice, order(ETH, "sell", 1, 2000, "Ioc"))
        wrong = order(ETH, "buy", 1, 2090, trigger=(2100, "sl"), reduce_only=True, is_market=False)
        assert place(venue, alice, wrong) == [error(texts.INVALID_TPSL)]
        right = order(ETH, "buy", 1, 2110, trigger=(2100, "sl"), reduce_only=True, is_market=False)
        assert "resting" in place(venue, alice, right)[0]

    def test_children_live_from_the_parents_fill(self, venue: SimulatedVenue, alice: Account, bob: Account) -> None:
        family = (
            order(ETH, "buy", 1, 1990),
            order(ETH, "sell", 1, 2200, trigger=(2200, "tp"), reduce_only=True),
            order(ETH, "sell", 1, 1700, trigger=(1900, "sl"), reduce_only=True),
        )
        parent, take, stop = place(venue, alice, *family, grouping="normalTpsl")
        assert [take, stop] == ["waitingForFill"] * 2
        set_mark(venue, ETH, 1900)  # does not fire what waits
        assert len(alice.open_oids) == 3
        set_mark(venue, ETH, 2000)
        place(venue, bob, order(ETH, "sell", 1, 1990, "Ioc"))
        assert venue.state.listings[ETH].triggers.keys() == alice.open_oids.keys()  # both watch the mark now
        assert len(alice.open_oids) == 2
        quotes(venue, ETH, 2199, 2201)
        set_mark(venue, ETH, 2200)
        assert alice.holdings[ETH].szi == 0
        ends = {venue.state.orders[oid].status for oid in alice.history}
        assert ends == {"filled", "siblingFilledCanceled"}
        assert resting(parent) in alice.history

    def test_children_end_with_their_parent(self, venue: SimulatedVenue, alice: Account) -> None:
        family = (order(ETH, "buy", 1, 1990), order(ETH, "sell", 1, 2200, trigger=(2200, "tp"), reduce_only=True))
        parent, _ = place(venue, alice, *family, grouping="normalTpsl")
        venue.act(alice, wire.CancelOrders(((ETH, resting(parent)),)))
        assert not alice.open_oids

    def test_the_positions_own_stop_closes_all_of_it(self, venue: SimulatedVenue, long: Account) -> None:
        stop = order(ETH, "sell", "0.1", 1700, trigger=(1900, "sl"), reduce_only=True)
        take = order(ETH, "sell", "0.1", 2200, trigger=(2200, "tp"), reduce_only=True)
        assert place(venue, long, stop, take, grouping="positionTpsl") == ["waitingForTrigger"] * 2
        set_mark(venue, ETH, 1899)
        assert long.holdings[ETH].szi == 0
        assert not long.open_oids
        assert {venue.state.orders[oid].status for oid in long.history[-2:]} == {"filled", "siblingFilledCanceled"}

    @pytest.mark.parametrize(("held", "leaves", "goal"), [("buy", "sell", 1900), ("sell", "buy", 2100)])
    def test_a_stop_closes_the_least_that_can_be_held(
        self, venue: SimulatedVenue, alice: Account, held: str, leaves: str, goal: int
    ) -> None:
        quotes(venue, ETH, 1999, 2001)
        at = {"buy": 2001, "sell": 1999}
        place(venue, alice, order(ETH, held, "0.0061", at[held], "Ioc"))
        place(venue, alice, order(ETH, leaves, "0.006", at[leaves], "Ioc"))
        assert abs(alice.holdings[ETH].szi) == 1
        stop = resting(place(venue, alice, order(ETH, leaves, 1, goal, trigger=(goal, "sl"), reduce_only=True))[0])
        venue.withdraw_quotes(ETH)
        quotes(venue, ETH, goal - 1, goal + 1)
        set_mark(venue, ETH, goal)
        assert alice.holdings[ETH].szi == 0
        assert words(venue, stop) == ["open", "triggered", "filled"]

    @pytest.mark.parametrize(
        ("held", "entry", "goal", "left"), [("sell", "buy", 2200, -20_000), ("buy", "sell", 1800, 20_000)]
    )
    def test_a_trigger_that_would_add_to_the_position_is_canceled_when_it_fires(
        self, held: str, entry: str, goal: int, left: int, venue: SimulatedVenue, alice: Account
    ) -> None:
        """The child of an entry that only made a position smaller has nothing to close on its own side."""
        quotes(venue, ETH, 1999, 2001)
        prices = {"buy": 2001, "sell": 1999}
        place(venue, alice, order(ETH, held, 3, prices[held], "Ioc"))
        take = order(ETH, held, 1, goal, trigger=(goal, "tp"), reduce_only=True)
        statuses = place(venue, alice, order(ETH, entry, 1, prices[entry]), take, grouping="normalTpsl")
        assert statuses[1] == "waitingForTrigger"
        (child,) = alice.open_oids
        set_mark(venue, ETH, goal)
        assert words(venue, child)[-2:] == ["triggered", "reduceOnlyCanceled"]
        assert alice.holdings[ETH].szi == left
        assert not alice.open_oids

    def test_a_stop_ends_with_the_position(self, venue: SimulatedVenue, long: Account) -> None:
        oid = resting(place(venue, long, order(ETH, "sell", 1, 1700, trigger=(1900, "sl"), reduce_only=True))[0])
        place(venue, long, order(ETH, "sell", 1, 1999, "Ioc"))
        assert words(venue, oid)[-1] == "reduceOnlyCanceled"


def test_delisting_ends_every_order_of_the_asset_and_no_other(
    venue: SimulatedVenue, alice: Account, bob: Account
) -> None:
    quotes(venue, ETH, 1999, 2000)
    place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
    ended = [
        resting(place(venue, alice, order(ETH, "sell", 1, 1800, trigger=(1900, "sl"), reduce_only=True))[0]),
        resting(place(venue, alice, order(ETH, "buy", 1, 1900))[0]),
        resting(place(venue, bob, order(ETH, "sell", 1, 2100))[0]),
    ]
    other = resting(place(venue, alice, order(BTC, "buy", "0.1", 90_000))[0])
    venue.delist(ETH)
    assert [words(venue, oid)[-1] for oid in ended] == ["delistedCanceled"] * 3
    assert (list(alice.open_oids), list(bob.open_oids)) == ([other], [])
    assert venue.state.listings[ETH].triggers == {}
    assert [*venue.core.books[ETH].bids, *venue.core.books[ETH].asks] == []


def test_a_mid_price_needs_both_sides(venue: SimulatedVenue, alice: Account) -> None:
    book = venue.core.books[ETH]
    assert book.mid2() is None
    bid = resting(place(venue, alice, order(ETH, "buy", 1, 1900))[0])
    assert book.mid2() is None
    place(venue, alice, order(ETH, "sell", 1, 2100))
    assert book.mid2() == 190_000 + 210_000
    venue.act(alice, wire.CancelOrders(((ETH, bid),)))
    assert book.mid2() is None


class TestScheduledCancel:
    def test_it_is_refused_before_enough_was_traded(self, venue: SimulatedVenue, alice: Account) -> None:
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", "0.1", 2000, "Ioc"))
        for time in (venue.state.now_ms + 60_000, None):
            assert venue.act(alice, wire.ScheduleCancel(time)) == {
                "status": "err",
                "response": "Cannot set scheduled cancel time until enough volume traded. "
                "Required: $1000000. Traded: $200.00.",
            }

    def test_all_orders_end_at_its_time(self, venue: SimulatedVenue, alice: Account) -> None:
        alice.volume = 10**12
        oid = resting(place(venue, alice, order(DOGE, "buy", 1000, "0.19"))[0])
        start = venue.state.now_ms
        assert venue.act(alice, wire.ScheduleCancel(start + 4_999))["status"] == "err"
        assert venue.act(alice, wire.ScheduleCancel(start + 5_000))["status"] == "ok"
        venue.pass_time(start + 4_999)
        assert oid in alice.open_oids
        venue.pass_time(start + 5_000)
        assert words(venue, oid)[-1] == "scheduledCancel"

    def test_ten_a_day(self, venue: SimulatedVenue, alice: Account) -> None:
        alice.volume = 10**12
        for _ in range(10):
            assert venue.act(alice, wire.ScheduleCancel(venue.state.now_ms + 5_000))["status"] == "ok"
            venue.pass_time(venue.state.now_ms + 5_000)
        assert venue.act(alice, wire.ScheduleCancel(venue.state.now_ms + 5_000))["status"] == "err"
        venue.pass_time(venue.state.now_ms + 86_400_000)
        assert venue.act(alice, wire.ScheduleCancel(venue.state.now_ms + 5_000))["status"] == "ok"


def test_agents_replace_those_of_their_name(venue: SimulatedVenue, alice: Account) -> None:
    for agent, name in ((BOB, None), (CAROL, None), (BOB, "bot"), ("0x" + "d0" * 20, "bot")):
        venue.act(alice, wire.ApproveAgent(agent, name))
    assert [(agent.name, agent.address) for agent in alice.agents] == [(None, CAROL), ("bot", "0x" + "d0" * 20)]
