"""Liquidation exactly on each level and one step beside it, of longs and of shorts, with cross and isolated margin."""

import pytest

from quant_organism.simulator.core import liquidation
from quant_organism.simulator.core.account import SimulatedPosition
from quant_organism.simulator.core.matching import LiquidationTag
from quant_organism.simulator.core.state import LIQUIDATOR
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import (
    MICRO_USD,
    texts,
)
from quant_organism_tests.simulator.venues import (
    ALICE,
    BOB,
    BTC,
    CAROL,
    DOGE,
    ETH,
    fund,
    held,
    make_venue,
    order,
    place,
    quotes,
    resting,
)

USD = MICRO_USD
SIDES = pytest.mark.parametrize("side", [1, -1])
MODES = pytest.mark.parametrize("is_cross", [True, False])


@pytest.fixture
def venue() -> SimulatedVenue:
    return make_venue()


class TestLiquidation:
    """One and a half ETH at 2000: 30 USD of maintenance, of which two thirds are 20."""

    @SIDES
    @MODES
    @pytest.mark.parametrize(
        ("equity", "method"),
        [(30 * USD, None), (30 * USD - 1, "market"), (20 * USD, "market"), (20 * USD - 1, "backstop")],
    )
    def test_below_maintenance_it_is_sold_and_below_two_thirds_taken_over(
        self, venue: SimulatedVenue, side: int, is_cross: bool, equity: int, method: str | None
    ) -> None:
        quotes(venue, ETH, 1999, 2001)
        account = held(venue, ALICE, 15_000 * side, equity, is_cross=is_cross)
        account.holdings[BTC] = SimulatedPosition(20)
        liquidation.liquidate_due(venue.core)
        assert account.holdings[ETH].szi == (15_000 * side if method is None else 0)
        assert (account.cross_raw[0] > 0) == (method == "market" or (method is None and is_cross and side < 0))
        assert venue.state.liquidations == (method is not None)
        assert [fill.liquidation and fill.liquidation["method"] for fill in account.fills] == [method] * (
            method is not None
        )
        if method is not None:
            words = f"Liquidated {'Cross' if is_cross else 'Isolated'} {'Long' if side > 0 else 'Short'}"
            assert account.fills[0].direction == words

    @SIDES
    @MODES
    @pytest.mark.parametrize(("equity", "left"), [(30 * USD - 1, 15_000), (20 * USD, 15_000), (20 * USD - 1, 0)])
    def test_where_the_book_is_empty_what_is_not_lost_stays(
        self, venue: SimulatedVenue, side: int, is_cross: bool, equity: int, left: int
    ) -> None:
        account = held(venue, ALICE, 15_000 * side, equity, is_cross=is_cross)
        liquidation.liquidate_due(venue.core)
        assert account.holdings[ETH].szi == left * side
        assert venue.state.liquidations == 1

    @MODES
    @pytest.mark.parametrize(("equity", "is_short"), [(30 * USD, False), (30 * USD - 1, True)])
    def test_what_was_sold_is_enough_once_maintenance_is_there(
        self, venue: SimulatedVenue, is_cross: bool, equity: int, is_short: bool
    ) -> None:
        account = held(venue, ALICE, 15_000, equity, is_cross=is_cross)
        assert liquidation._is_short(venue.core, account, ETH, cross=is_cross) == is_short

    @SIDES
    @MODES
    @pytest.mark.parametrize(("equity", "is_paid"), [(0, True), (-1, False)])
    def test_only_what_nobody_can_pay_for_is_closed_against_others(
        self, venue: SimulatedVenue, side: int, is_cross: bool, equity: int, is_paid: bool
    ) -> None:
        lost = held(venue, ALICE, 15_000 * side, equity, is_cross=is_cross)
        other = held(venue, BOB, -15_000 * side, 10_000 * USD)
        liquidation.liquidate_due(venue.core)
        assert lost.holdings[ETH].szi == 0
        assert other.holdings[ETH].szi == (-15_000 * side if is_paid else 0)
        assert (ETH in venue.state.accounts[LIQUIDATOR].holdings) == is_paid
        assert lost.cross_raw[0] == 0

    @MODES
    def test_what_is_taken_over_is_told_once(self, venue: SimulatedVenue, is_cross: bool) -> None:
        account = held(venue, ALICE, 15_000, 10 * USD, is_cross=is_cross)
        account.cross_raw[0] += 0 if is_cross else 7 * USD
        liquidation.liquidate_due(venue.core)
        deltas = [entry.delta for entry in account.ledger if entry.delta["type"] == "liquidation"]
        assert deltas == [
            {
                "type": "liquidation",
                "accountValue": "10.0",
                "leverageType": "Cross" if is_cross else "Isolated",
                "liquidatedPositions": [{"coin": "ETH", "szi": "1.5"}],
            }
        ]
        assert account.cross_raw[0] == (0 if is_cross else 7 * USD)
        assert venue.state.accounts[LIQUIDATOR].cross_raw[0] == 10 * USD - (3_000 * USD)

    def test_who_has_closed_his_position_is_not_asked_for_it(self, venue: SimulatedVenue) -> None:
        lost = held(venue, ALICE, 10, 0)
        others = [held(venue, BOB, 0, 1_000), held(venue, CAROL, -10, 1_000)]
        tag = LiquidationTag(ALICE, "2000.0", "backstop", "Liquidated")
        liquidation.deleverage(venue.core, lost, ETH, tag)
        assert [len(account.fills) for account in others] == [0, 1]

    def test_who_is_on_the_same_side_is_not_asked(self, venue: SimulatedVenue) -> None:
        lost, same = held(venue, ALICE, 10, 0), held(venue, BOB, 10, 1_000)
        liquidation.deleverage(venue.core, lost, ETH, LiquidationTag(ALICE, "2000.0", "backstop", "Liquidated"))
        assert (lost.holdings[ETH].szi, same.fills) == (10, [])

    @pytest.mark.parametrize(("before", "px"), [(0, 200_000), (190_000, 190_000)])
    def test_the_price_of_deleveraging_is_the_mark_before_where_there_was_one(
        self, venue: SimulatedVenue, before: int, px: int
    ) -> None:
        lost, other = held(venue, ALICE, 10, 0), held(venue, BOB, -10, 1_000)
        venue.state.listings[ETH].mark_before = before
        liquidation.deleverage(venue.core, lost, ETH, LiquidationTag(ALICE, "2000.0", "backstop", "Liquidated"))
        assert [account.fills[0].px for account in (lost, other)] == [px, px]
        assert [account.fills[0].crossed for account in (lost, other)] == [True, False]
        assert [account.fills[0].direction for account in (lost, other)] == ["Liquidated", "Auto-Deleveraging"]
        assert lost.fills[0].hash == other.fills[0].hash
        assert lost.fills[0].tid == other.fills[0].tid
        assert other.fills[0].oid == lost.fills[0].oid + 1

    @SIDES
    def test_gain_and_leverage_decide_who_is_in_front(self, venue: SimulatedVenue, side: int) -> None:
        """Of two with the same equity the one who gained more; of two with the same gain the one with less equity."""
        lost = held(venue, ALICE, -30 * side, 0)
        near, far = held(venue, BOB, 10 * side, 1_000), held(venue, CAROL, 10 * side, 1_000)
        near.holdings[ETH].cost += side * 10
        assert [each.address for each in liquidation._ranked(venue.core, lost, ETH)] == [CAROL, BOB]
        far.cross_raw[0] += 1_000
        near.holdings[ETH].cost = far.holdings[ETH].cost
        assert [each.address for each in liquidation._ranked(venue.core, lost, ETH)] == [BOB, CAROL]

    @MODES
    def test_orders_end_with_what_they_shared_their_margin_with(self, venue: SimulatedVenue, is_cross: bool) -> None:
        account = fund(venue)
        own, other = (
            resting(status)
            for status in place(venue, account, order(ETH, "buy", 1, 1900), order(BTC, "buy", 1, 90_000))
        )
        held(venue, ALICE, 15_000, 30 * USD - 1, is_cross=is_cross)
        liquidation.liquidate_due(venue.core)
        assert list(account.open_oids) == ([] if is_cross else [other])
        assert venue.state.orders[own].status == texts.LIQUIDATED_CANCELED

    @pytest.mark.parametrize(("cooling", "left"), [((ETH,), 0), ((ETH, DOGE), 1_000)])
    def test_what_is_cooling_waits_and_the_rest_is_sold(
        self, venue: SimulatedVenue, cooling: tuple[int, ...], left: int
    ) -> None:
        """Maintenance is 30 USD of the ETH and 10 of the DOGE."""
        quotes(venue, ETH, 1999, 2001)
        quotes(venue, DOGE, "0.2", "0.201", 10**6)
        account = held(venue, ALICE, 15_000, 40 * USD - 1)
        account.holdings[DOGE] = SimulatedPosition(10, szi=1_000, cost=200 * USD)
        account.cross_raw[0] -= 200 * USD
        account.cooldown_until_ms = dict.fromkeys(cooling, venue.state.now_ms + 1)
        liquidation.liquidate_due(venue.core)
        assert (account.holdings[ETH].szi, account.holdings[DOGE].szi) == (15_000, left)

    def test_what_the_book_did_not_take_goes_to_the_vault_once_too_little_is_left(self, venue: SimulatedVenue) -> None:
        quotes(venue, ETH, 1978, 2001)
        account = held(venue, ALICE, 15_000, 40 * USD - 1)
        account.holdings[DOGE] = SimulatedPosition(10, szi=1_000, cost=200 * USD)
        account.cross_raw[0] -= 200 * USD
        liquidation.liquidate_due(venue.core)
        assert [fill.liquidation and fill.liquidation["method"] for fill in account.fills] == ["market", "backstop"]
        assert venue.state.accounts[LIQUIDATOR].holdings[DOGE].szi == 1_000
        assert account.cross_raw[0] == 0

    @pytest.mark.parametrize(("szi", "sold"), [(4, 1), (5, 1), (9, 1), (10, 2)])
    @SIDES
    def test_a_fifth_of_what_is_large_is_a_lot_at_least(
        self, venue: SimulatedVenue, side: int, szi: int, sold: int
    ) -> None:
        listing = venue.state.listings[ETH]
        listing.mark = 30_000_000_000
        venue.core.refresh()
        venue.quote(ETH, listing.mark, 100, is_buy=side > 0)
        account = held(venue, ALICE, szi * side, 10**12)
        liquidation._sell_to_book(venue.core, account, ETH)
        assert account.holdings[ETH].szi == (szi - sold) * side
        assert account.cooldown_until_ms == {ETH: venue.state.now_ms + 30_000}

    @pytest.mark.parametrize("after_ms", [0, -1])
    def test_once_it_is_warm_all_of_it_is_sold_and_the_next_large_one_begins_with_a_fifth(
        self, venue: SimulatedVenue, after_ms: int
    ) -> None:
        quotes(venue, ETH, 2000, 2001, 10_000)
        account = held(venue, ALICE, 600_000, 10**12)
        account.cooldown_until_ms = {ETH: venue.state.now_ms + after_ms}
        liquidation._sell_to_book(venue.core, account, ETH)
        assert (account.holdings[ETH].szi, account.cooldown_until_ms) == (0, {})
        account.holdings[ETH].szi = 600_000
        liquidation._sell_to_book(venue.core, account, ETH)
        assert account.holdings[ETH].szi == 480_000

    @SIDES
    def test_the_least_that_can_be_held_is_closed_against_others(self, venue: SimulatedVenue, side: int) -> None:
        lost, other = held(venue, ALICE, side, 0), held(venue, BOB, -side, 1_000)
        liquidation.deleverage(venue.core, lost, ETH, LiquidationTag(ALICE, "2000.0", "backstop", "Liquidated"))
        assert (lost.holdings[ETH].szi, other.holdings[ETH].szi) == (0, 0)
        assert [account.fills[0].is_buy for account in (lost, other)] == [side < 0, side > 0]
        assert [(account.fills[0].sz, account.fills[0].fee) for account in (lost, other)] == [(1, 0), (1, 0)]

    def test_the_least_costs_decide_who_is_in_front(self, venue: SimulatedVenue) -> None:
        venue.state.listings[ETH].mark = 3
        venue.core.refresh()
        lost, dear, cheap = (held(venue, who, szi, 1) for who, szi in ((ALICE, -2), (BOB, 1), (CAROL, 1)))
        dear.holdings[ETH].cost, cheap.holdings[ETH].cost = 2, 1
        assert [each.address for each in liquidation._ranked(venue.core, lost, ETH)] == [CAROL, BOB]
