"""Margin, leverage, fills and books exactly on each level and one step beside it, on both sides."""

from dataclasses import fields, replace

import pytest
from pydantic import TypeAdapter

from quant_organism.simulator.core import margin, settlement
from quant_organism.simulator.core.account import Account, SimulatedPosition, Traded
from quant_organism.simulator.core.book import BookSide, SimulatedOrder
from quant_organism.simulator.core.state import (
    DEFAULT_LEVERAGE,
    HISTORY_FILLS,
    HISTORY_ORDERS,
    MARKET,
    Dex,
    Listing,
    Twap,
    VenueCore,
    VenueState,
)
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import (
    MICRO_USD,
    CancelOrders,
    Instrument,
    Noop,
    UpdateIsolatedMargin,
    UpdateLeverage,
    single_tier,
    texts,
    tiers_of,
)
from quant_organism_tests.simulator.venues import (
    ALICE,
    BTC,
    DOGE,
    ETH,
    GOLD,
    OIL,
    fund,
    held,
    make_venue,
    order,
    place,
    quotes,
    refusal,
    resting,
)

USD = MICRO_USD
SIDES = pytest.mark.parametrize("side", [1, -1])
MODES = pytest.mark.parametrize("is_cross", [True, False])


@pytest.fixture
def venue() -> SimulatedVenue:
    return make_venue()


class TestMargin:
    @pytest.mark.parametrize(("notional", "needed"), [(999, 12), (1_000, 12), (3_000, 62)])
    def test_two_tiers_are_as_good_as_three(self, notional: int, needed: int) -> None:
        tiers = tiers_of([(0, 40), (1_000, 20)])
        assert margin.maintenance(tiers, notional * USD) // USD == needed

    @SIDES
    def test_the_least_that_can_be_held_has_a_liquidation_price(self, side: int) -> None:
        assert margin.liquidation_price(single_tier(5), side, -side * 9 * (10 - side)) == 90

    def test_what_only_reduces_holds_no_margin(self) -> None:
        request = SimulatedOrder(1, ALICE, ETH, True, 100, 20, 20, 0)
        assert margin.order_margin(request, 20) == 100
        request.reduce_only = True
        assert margin.order_margin(request, 20) == 0

    def test_where_one_has_no_money_there_is_none(self) -> None:
        view = margin.MarginView(Account(ALICE, cross_raw={}), 1, {}, {})
        assert (view.cross_raw(), view.resting_margin(), view.available(), view.withdrawable()) == (0, 0, 0, 0)

    def test_dexs_and_positions_are_told_in_the_order_of_their_numbers(self) -> None:
        positions = {BTC: SimulatedPosition(20, szi=1), DOGE: SimulatedPosition(10), ETH: SimulatedPosition(20, szi=2)}
        account = Account(ALICE, cross_raw={2: 0, 0: 0, 1: 0}, holdings=positions)
        assert account.dexs() == [0, 1, 2]
        assert [asset for asset, _ in account.positions()] == [ETH, BTC]
        listings = make_venue(deployed=True).state.listings
        shuffled = VenueState(listings={asset: listings[asset] for asset in (OIL, DOGE, GOLD, ETH)})
        assert [shuffled.assets(dex) for dex in (0, 1, 2)] == [[ETH, DOGE], [GOLD, OIL], []]

    def test_no_notional_needs_no_maintenance(self) -> None:
        assert margin.maintenance(tiers_of([(0, 40), (1_000, 20)]), 0) == 0

    @pytest.mark.parametrize("size", [10, -10])
    def test_without_money_behind_it_a_position_has_no_liquidation_price(self, size: int) -> None:
        assert margin.liquidation_price(single_tier(5), size, 0) is None

    @pytest.mark.parametrize(("cost", "expected"), [(0, 0), (1, 3 * 10**10), (-1, -3 * 10**10)])
    def test_the_return_on_no_cost_is_none(self, cost: int, expected: int) -> None:
        assert margin.return_on_equity(1, 3, cost) == expected

    @SIDES
    @pytest.mark.parametrize("leverage", [5, 10, 20])
    def test_a_tenth_of_the_notional_cannot_be_withdrawn_nor_what_orders_hold(
        self, venue: SimulatedVenue, side: int, leverage: int
    ) -> None:
        account = held(venue, ALICE, 10_000 * side, 1_000 * USD, leverage=leverage)
        view = venue.core.margin(account, 0)
        stays = max(2_000 // leverage, 200) * USD
        assert view.withdrawable() == 1_000 * USD - stays
        account.reserved[0] = 7
        assert view.withdrawable() == 1_000 * USD - stays - 7
        assert view.available() == (1_000 - 2_000 // leverage) * USD - 7
        account.reserved[0] = 1_000 * USD
        assert view.withdrawable() == 0

    def test_of_a_unified_account_no_liquidation_price_is_told(self, venue: SimulatedVenue) -> None:
        account = held(venue, ALICE, 10_000, 100 * USD)
        assert venue.core.margin(account, 0).liquidation_price(ETH) is not None
        account.is_unified = True
        assert venue.core.margin(account, 0).liquidation_price(ETH) is None

    @pytest.mark.parametrize(
        ("available", "micro_usd", "text"),
        [
            (5, 5, None),
            (5, 6, texts.MARGIN),
            (-1, 0, None),
            (-1, 1, texts.MARGIN),
            (-1, -1, None),
        ],
    )
    def test_what_is_available_may_be_moved_into_isolated_margin(
        self, venue: SimulatedVenue, available: int, micro_usd: int, text: str | None
    ) -> None:
        account = held(venue, ALICE, 10_000, 500 * USD, is_cross=False)
        account.cross_raw[0] = available
        assert refusal(venue, account, UpdateIsolatedMargin(ETH, micro_usd)) == text
        assert account.cross_raw[0] == available - (micro_usd if text is None else 0)

    @SIDES
    @pytest.mark.parametrize(("leverage", "free"), [(5, 100 * USD), (10, 300 * USD), (20, 300 * USD)])
    def test_initial_margin_and_a_tenth_stay_in_an_isolated_position(
        self, venue: SimulatedVenue, side: int, leverage: int, free: int
    ) -> None:
        account = held(venue, ALICE, 10_000 * side, 500 * USD, is_cross=False, leverage=leverage)
        assert refusal(venue, account, UpdateIsolatedMargin(ETH, -free - 1)) == texts.ISOLATED_MARGIN
        assert refusal(venue, account, UpdateIsolatedMargin(ETH, -free)) is None
        assert account.cross_raw[0] == free
        assert venue.core.margin(account, 0).isolated_equity(ETH) == 500 * USD - free

    @SIDES
    def test_the_least_that_can_be_held_has_margin_of_its_own(self, venue: SimulatedVenue, side: int) -> None:
        account = held(venue, ALICE, side, 500 * USD, is_cross=False)
        account.cross_raw[0] = 1
        assert refusal(venue, account, UpdateIsolatedMargin(ETH, 1)) is None

    def test_isolated_margin_is_moved_of_isolated_positions_alone(self, venue: SimulatedVenue) -> None:
        account = held(venue, ALICE, 10_000, 500 * USD)
        assert refusal(venue, account, UpdateIsolatedMargin(ETH, 1)) == texts.NOT_ISOLATED
        account.holdings[ETH] = SimulatedPosition(20, is_cross=False)
        assert refusal(venue, account, UpdateIsolatedMargin(ETH, 1)) == texts.NOT_ISOLATED
        assert refusal(venue, account, UpdateIsolatedMargin(BTC, 1)) == texts.NOT_ISOLATED


class TestLeverage:
    @MODES
    @pytest.mark.parametrize(
        ("leverage", "text"), [(0, texts.INVALID_LEVERAGE), (1, None), (50, None), (51, texts.INVALID_LEVERAGE)]
    )
    def test_it_is_one_to_the_most_of_the_asset(
        self, venue: SimulatedVenue, is_cross: bool, leverage: int, text: str | None
    ) -> None:
        account = fund(venue)
        assert refusal(venue, account, UpdateLeverage(ETH, is_cross, leverage)) == text
        if text is None:
            assert account.holdings[ETH] == SimulatedPosition(leverage, is_cross=is_cross)

    def test_of_an_asset_that_is_not_listed_it_is_refused(self, venue: SimulatedVenue) -> None:
        assert refusal(venue, fund(venue), UpdateLeverage(99, True, 1)) == texts.UNKNOWN_ASSET

    @pytest.mark.parametrize(("spare", "text"), [(100 * USD, None), (100 * USD - 1, texts.LEVERAGE_MARGIN)])
    def test_a_lower_one_takes_its_margin_into_an_isolated_position(
        self, venue: SimulatedVenue, spare: int, text: str | None
    ) -> None:
        """Of 2000 USD a twentieth is 100, a tenth 200."""
        account = held(venue, ALICE, 10_000, 100 * USD, is_cross=False)
        account.cross_raw[0] = spare
        assert refusal(venue, account, UpdateLeverage(ETH, False, 10)) == text
        equity = venue.core.margin(account, 0).isolated_equity(ETH)
        taken = 100 * USD if text is None else 0
        assert (account.cross_raw[0], equity) == (spare - taken, 100 * USD + taken)
        assert account.holdings[ETH].leverage == (10 if text is None else 20)

    def test_the_same_or_a_higher_one_takes_nothing(self, venue: SimulatedVenue) -> None:
        account = held(venue, ALICE, 10_000, 100 * USD, is_cross=False)
        account.cross_raw[0] = -1
        raw = account.holdings[ETH].raw
        for leverage in (20, 25):
            assert refusal(venue, account, UpdateLeverage(ETH, False, leverage)) is None
            assert (account.cross_raw[0], account.holdings[ETH].raw) == (-1, raw)
            assert account.holdings[ETH].leverage == leverage

    @pytest.mark.parametrize(("equity", "text"), [(200 * USD, None), (200 * USD - 1, texts.LEVERAGE_MARGIN)])
    def test_a_lower_one_of_a_cross_position_must_be_covered(
        self, venue: SimulatedVenue, equity: int, text: str | None
    ) -> None:
        account = held(venue, ALICE, 10_000, equity)
        assert refusal(venue, account, UpdateLeverage(ETH, True, 10)) == text
        assert account.holdings[ETH].leverage == (10 if text is None else 20)

    @pytest.mark.parametrize(("leverage", "reserved"), [(10, 190 * USD), (40, 47_500_000)])
    def test_open_orders_hold_the_margin_of_the_new_one(
        self, venue: SimulatedVenue, leverage: int, reserved: int
    ) -> None:
        account = fund(venue)
        place(venue, account, order(ETH, "buy", 1, 1900), order(BTC, "buy", "0.01", 90_000))
        other = 45 * USD
        assert account.reserved[0] == 95 * USD + other
        assert refusal(venue, account, UpdateLeverage(ETH, True, leverage)) is None
        assert account.reserved[0] == reserved + other

    @MODES
    def test_the_mode_of_an_open_position_stays(self, venue: SimulatedVenue, is_cross: bool) -> None:
        account = held(venue, ALICE, 10_000, 2_000 * USD, is_cross=is_cross)
        assert refusal(venue, account, UpdateLeverage(ETH, not is_cross, 20)) == texts.NO_SWITCH
        assert account.holdings[ETH].is_cross == is_cross
        account.holdings[ETH].szi = 0
        assert refusal(venue, account, UpdateLeverage(ETH, not is_cross, 20)) is None
        assert account.holdings[ETH].is_cross != is_cross


class TestBook:
    def test_quotes_of_the_market_are_nobodys_orders(self) -> None:
        side = BookSide(is_bid=True)
        assert (side.best(), side.best_px(), side.best_user_px(), bool(side)) == (None, None, None, False)
        quote, own, worse = (
            SimulatedOrder(oid, MARKET if oid < 0 else ALICE, ETH, True, px, 1, 1, 0)
            for oid, px in ((-1, 102), (1, 101), (2, 100))
        )
        for each in (worse, own, quote):
            side.add(each)
        assert (side.users, side.best_px(), side.best_user_px()) == (2, 102, 101)
        assert [px for px, _ in side.levels()] == [102, 101, 100]
        side.remove(own)
        side.remove(own)
        assert (side.users, side.best_user_px()) == (1, 100)
        side.remove(quote)
        side.remove(replace(worse, px=99))
        side.remove(replace(worse, oid=3))
        assert (side.users, side.best_px()) == (1, 100)
        side.remove(worse)
        assert (side.users, side.best_user_px(), bool(side)) == (0, None, False)

    @pytest.mark.parametrize(("is_buy", "pxs"), [(True, [102, 101, 100]), (False, [100, 101, 102])])
    def test_the_best_price_comes_first_and_at_one_price_who_came_first(self, is_buy: bool, pxs: list[int]) -> None:
        side = BookSide(is_bid=is_buy)
        for oid, px in ((1, 101), (2, 100), (3, 102), (4, 101)):
            side.add(SimulatedOrder(oid, ALICE, ETH, is_buy, px, 1, 1, 0))
        assert [px for px, _ in side.levels()] == pxs
        assert [each.oid for _, orders in side.levels() for each in orders if each.px == 101] == [1, 4]
        best = side.best()
        assert best is not None
        assert (best.px, side.best_px(), side.best_user_px()) == (pxs[0],) * 3


class TestFills:
    @SIDES
    @pytest.mark.parametrize(("margin_left", "freed"), [(20, 10), (21, 10), (2, 1), (1, 0), (0, 0), (-3, 0)])
    def test_a_part_of_an_isolated_position_sets_its_part_of_the_margin_free(
        self, side: int, margin_left: int, freed: int
    ) -> None:
        """One of two lots is closed at its price; what is less than nothing stays with the other."""
        raw = margin_left - side * 2 * 100
        account = Account(ALICE, holdings={ETH: SimulatedPosition(10, is_cross=False, szi=2 * side, cost=200, raw=raw)})
        settlement.apply_fill(account, ETH, -side, 100, 0)
        assert account.cross_raw[0] == freed
        assert account.holdings[ETH].raw == margin_left - freed - side * 100

    @pytest.mark.parametrize(
        ("start", "size", "words"),
        [
            (0, 1, "Open Long"),
            (1, 1, "Open Long"),
            (2, -1, "Close Long"),
            (1, -1, "Close Long"),
            (1, -2, "Long > Short"),
            (0, -1, "Open Short"),
            (-1, -1, "Open Short"),
            (-2, 1, "Close Short"),
            (-1, 1, "Close Short"),
            (-1, 2, "Short > Long"),
        ],
    )
    def test_the_words_of_a_fill_follow_the_position(self, start: int, size: int, words: str) -> None:
        account = Account(ALICE, holdings={ETH: SimulatedPosition(10, szi=start, cost=abs(start) * 100)})
        assert settlement.apply_fill(account, ETH, size, 100, 0) == (start, 0, words)


class TestMarket:
    @pytest.mark.parametrize("is_buy", [True, False])
    def test_a_trade_of_the_market_with_itself_moves_the_last_price_and_nobodys_money(
        self, venue: SimulatedVenue, is_buy: bool
    ) -> None:
        venue.print_trade(ETH, 200_100, 7, is_buy=is_buy)
        (event,) = venue.core.drain()
        assert isinstance(event, Traded)
        assert (event.asset, event.is_buy, event.px, event.sz) == (ETH, is_buy, 200_100, 7)
        assert (event.buyer, event.seller, event.time_ms) == (MARKET, MARKET, venue.state.now_ms)
        assert venue.state.listings[ETH].last == 200_100

    @pytest.mark.parametrize(("is_buy", "entry", "px"), [(True, "sell", 2000), (False, "buy", 2000)])
    def test_the_market_takes_what_is_there_and_says_what_it_did_not_get(
        self, venue: SimulatedVenue, is_buy: bool, entry: str, px: int
    ) -> None:
        account = fund(venue)
        place(venue, account, order(ETH, entry, 1, px))
        assert venue.take(ETH, 200_000, 4_000, is_buy=is_buy) == 0
        assert venue.take(ETH, 200_000, 10_000, is_buy=is_buy) == 4_000
        assert venue.take(ETH, 200_000, 5, is_buy=is_buy) == 5
        assert account.holdings[ETH].szi == (-10_000 if is_buy else 10_000)
        assert venue.state.quotes == {}

    def test_new_quotes_take_the_place_of_the_old_and_leave_orders_alone(self, venue: SimulatedVenue) -> None:
        own = resting(place(venue, fund(venue), order(ETH, "buy", 1, 1999))[0])
        quotes(venue, ETH, 1999, 2001)
        quotes(venue, BTC, 99_999, 100_001)
        venue.quote_levels(ETH, {199_900: 5, 199_800: 6}, {200_200: 7})
        book = venue.core.books[ETH]
        assert [(px, [each.sz for each in orders]) for px, orders in book.bids.levels()] == [
            (199_900, [10_000, 5]),
            (199_800, [6]),
        ]
        assert [(px, [each.sz for each in orders]) for px, orders in book.asks.levels()] == [(200_200, [7])]
        assert len(venue.state.quotes) == 5
        best = book.bids.best()
        assert best is not None
        assert best.oid == own

    def test_time_never_goes_back(self, venue: SimulatedVenue) -> None:
        now = venue.state.now_ms
        venue.pass_time(now - 1)
        assert venue.state.now_ms == now

    def test_a_venue_that_is_taken_up_again_has_the_same_books(self, venue: SimulatedVenue) -> None:
        quotes(venue, ETH, 1999, 2001)
        account = fund(venue)
        place(venue, account, order(ETH, "buy", 1, 2000), order(ETH, "buy", 2, 1999), order(ETH, "sell", 1, 2001))
        ended, _ = place(venue, account, order(ETH, "buy", 1, 1998), order(ETH, "buy", 3, 2001, "Ioc"))
        venue.act(account, CancelOrders(((ETH, resting(ended)),)))
        stop = order(ETH, "sell", 1, 1900, trigger=(1900, "sl"), reduce_only=True)
        place(venue, account, stop, order(ETH, "buy", 5, 2000))
        adapter = TypeAdapter(VenueState)
        again = SimulatedVenue(adapter.validate_json(adapter.dump_json(venue.state)))

        def shown(core: VenueCore) -> list[list[list[int]]]:
            sides = (core.books[ETH].bids, core.books[ETH].asks)
            return [[[each.oid for each in level] for _, level in side.levels()] for side in sides]

        assert shown(again.core) == shown(venue.core)
        assert [len(level) for side in shown(again.core) for level in side] == [2, 2, 2]

    def test_what_does_nothing_is_done(self, venue: SimulatedVenue) -> None:
        assert venue.act(fund(venue), Noop()) == {"status": "ok", "response": {"type": "default"}}


def test_a_venue_begins_with_nothing_but_its_numbers() -> None:
    began = {
        "oracle_band": (0.2, 5.0),
        "next_oid": 50_000_000_001,
        "next_quote_oid": -1,
        "next_priority": 1,
        "next_twap": 15_001,
        "dexs": [Dex("", "USDC", 100, 0, 0)],
    }
    state, listing = VenueState(listings={}), Listing(Instrument("ETH", 4, single_tier(50)))
    twap = Twap(1, ALICE, ETH, True, 1, 5, False, False, 0)
    assert {each.name: getattr(state, each.name) for each in fields(state)} == {
        each.name: began.get(each.name, type(getattr(state, each.name))()) for each in fields(state)
    }
    assert [getattr(listing, each.name) for each in fields(listing)[1:]] == [0, 0, 0, 0, 0, None, 0, {}, False, False]
    assert (twap.fired, twap.executed_sz, twap.executed_ntl) == (0, 0, 0)
    assert (HISTORY_ORDERS, HISTORY_FILLS, DEFAULT_LEVERAGE) == (2_000, 10_000, 20)
