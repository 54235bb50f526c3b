"""Fees, margin, funding and liquidation against recorded and published numbers."""

from fractions import Fraction

import pytest

from quant_organism.simulator.core import liquidation, margin, settlement
from quant_organism.simulator.core.account import Account, Liquidated, SimulatedPosition
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.simulator.core.matching import LiquidationTag
from quant_organism.simulator.core.state import LIQUIDATOR
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import MICRO_USD, single_tier, tiers_of, wire
from quant_organism_tests.simulator.venues import (
    ALICE,
    BOB,
    CAROL,
    DOGE,
    ETH,
    fund,
    make_venue,
    order,
    place,
    quotes,
    set_mark,
)


def conserved(venue: SimulatedVenue) -> bool:
    """Return whether no money and no position was made or lost."""
    sizes = [settlement.total_size(venue.core, asset) for asset in venue.state.listings]
    money = [settlement.total_money(venue.core, token) for token in venue.state.tokens]
    return not any(money) and not any(sizes)


class TestRecordedAccounts:
    def test_a_cross_account(self) -> None:
        """Two positions and two resting bids, as recorded on testnet."""
        account = Account("0x", cross_raw={0: -217_153378})
        account.holdings = {
            0: SimulatedPosition(10, szi=13, cost=11_249160),  # SOL, two decimals
            3: SimulatedPosition(20, szi=297, cost=239_133960),  # BTC, five
        }
        bids = [_bid(3, 708_060, 39), _bid(3, 697_110, 39)]
        account.reserved = {0: sum(margin.order_margin(bid, 20) for bid in bids)}
        marks = {0: 867_460, 3: 784_900}
        view = margin.MarginView(account, 0, marks, {0: single_tier(10), 3: single_tier(40)})
        assert view.cross_equity() == 27_238902
        assert view.cross_notional() == 244_392280
        assert view.cross_initial() == 12_783463
        assert view.cross_maintenance() == 3_477790
        assert view.withdrawable() == 59593
        assert margin.return_on_equity(-6_018660, 20, 239_133960) == -5_033714158  # in 1e-10

    def test_the_margin_of_an_isolated_position(self) -> None:
        account = Account("0x", cross_raw={0: 75_781884})
        account.holdings = {0: SimulatedPosition(10, is_cross=False, szi=200, cost=75_658000, raw=-68_126246)}
        view = margin.MarginView(account, 0, {0: 378_260}, {0: single_tier(10)})
        assert view.isolated_equity(0) == 7_525754
        assert view.withdrawable() == 75_781884
        assert margin.return_on_equity(-6_000, 10, 75_658000) == -7_930424  # in 1e-10

    def test_liquidation_price_example_a(self) -> None:
        price = margin.liquidation_price(single_tier(50), 335, -95_059824)
        assert price is not None
        assert float(price / 100) == pytest.approx(2866.26938, abs=1e-5)  # published: 2866.26936529

    def test_liquidation_price_example_b(self) -> None:
        price = margin.liquidation_price(single_tier(10), 200, -68_126246)
        assert price is not None
        assert round(price / 10_000, 10) == Fraction("35.8559189474")

    def test_the_fee_and_raw_usd_of_an_isolated_fill(self) -> None:
        holding = SimulatedPosition(10, is_cross=False)
        account = Account("0x", cross_raw={0: 100 * MICRO_USD}, holdings={ETH: holding})
        fee = settlement.fee(200 * 378_290, 450)
        settlement.apply_fill(account, ETH, 200, 378_290, fee)
        assert fee == 34046
        assert holding.raw == -68_126246

    def test_a_recorded_fee(self) -> None:
        assert settlement.fee(246 * 809_420, 450) == 89602


def test_maintenance_has_no_jump_between_tiers() -> None:
    tiers = tiers_of([(0, 40), (150_000_000, 20), (500_000_000, 10)])
    for tier in tiers[1:]:
        edge = tier.lower_micro_usd
        assert margin.maintenance(tiers, edge) - margin.maintenance(tiers, edge - 1) <= 1
    assert margin.maintenance(tiers, 200_000_000 * MICRO_USD) == (150_000_000 * MICRO_USD // 80) + (
        50_000_000 * MICRO_USD // 40
    )


def test_the_liquidation_price_uses_the_tier_at_that_price() -> None:
    tiers = tiers_of([(0, 40), (1_000, 20)])
    size, free = 10_000, -900 * MICRO_USD  # long
    price = margin.liquidation_price(tiers, size, free)
    assert price is not None
    equity = free + size * price
    assert equity == pytest.approx(margin.maintenance(tiers, int(size * price)), abs=1)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("price_usd", [400, 999, 1_000, 1_700, 2_999, 3_000, 20_000])
def test_each_tier_has_liquidation_prices_of_its_own(side: int, price_usd: int) -> None:
    """Free is what leaves exactly the maintenance at a price: of one coin, in three tiers, on the bounds and within."""
    tiers = tiers_of([(0, 40), (1_000, 20), (3_000, 10)])
    size, price = 10_000, 100 * price_usd
    free = margin.maintenance(tiers, size * price) - side * size * price
    assert margin.liquidation_price(tiers, side * size, free) == price


@pytest.mark.parametrize(("size", "price"), [(10, Fraction(1)), (20, Fraction(1, 2))])
def test_a_liquidation_price_may_be_less_than_the_least_that_is_quoted(size: int, price: Fraction) -> None:
    """Nine tenths of its value are what a long of five times leverage has above the maintenance."""
    assert margin.liquidation_price(single_tier(5), size, -9) == price


def test_funding_since_opening_goes_on_while_one_adds() -> None:
    """Also to the least that can be held; it begins anew where all was closed."""
    holding = SimulatedPosition(10, szi=1, cost=100, funding_all_time=7, funding_since_open=7, funding_since_change=7)
    account = Account("0x", holdings={ETH: holding})
    settlement.apply_fill(account, ETH, 1, 100, 0)
    assert (holding.funding_all_time, holding.funding_since_open, holding.funding_since_change) == (7, 7, 0)
    settlement.apply_fill(account, ETH, -3, 100, 0)
    assert (holding.szi, holding.funding_all_time, holding.funding_since_open) == (-1, 7, 0)


@pytest.mark.parametrize(("size", "px"), [(1, 90), (-1, 110)])
@pytest.mark.parametrize("is_cross", [True, False])
def test_the_least_that_can_be_closed_has_its_gain(size: int, px: int, is_cross: bool) -> None:
    account = Account("0x", holdings={ETH: SimulatedPosition(10, is_cross=is_cross, szi=-size, cost=100)})
    assert settlement.apply_fill(account, ETH, size, px, 0)[:2] == (-size, 10)
    assert account.holdings[ETH].szi == account.holdings[ETH].cost == 0


def test_the_last_micro_dollars_decide_whose_position_is_reduced() -> None:
    venue = make_venue()
    set_mark(venue, ETH, 2000)
    mark = venue.state.listings[ETH].mark
    for address, szi, equity in ((ALICE, 100, 1), (BOB, 150, 2), (CAROL, -10, 1_000)):
        account = fund(venue, address)
        account.holdings[ETH] = SimulatedPosition(10, szi=szi, cost=abs(szi) * mark)
        account.cross_raw[0] = equity - szi * mark
    ranked = liquidation._ranked(venue.core, venue.state.accounts[CAROL], ETH)
    assert [account.address for account in ranked] == [ALICE, BOB]


def test_a_position_is_closed_against_no_more_accounts_than_it_takes() -> None:
    venue = make_venue()
    set_mark(venue, ETH, 2000)
    mark = venue.state.listings[ETH].mark
    accounts = [fund(venue, address) for address in (ALICE, BOB, CAROL)]
    for account, szi, equity in zip(accounts, (10, -10, -10), (1_000, 1, 2), strict=True):
        account.holdings[ETH] = SimulatedPosition(10, szi=szi, cost=abs(szi) * mark)
        account.cross_raw[0] = equity - szi * mark
    liquidation.deleverage(venue.core, accounts[0], ETH, LiquidationTag(ALICE, "2000.0", "market", "Liquidated"))
    assert [account.holdings[ETH].szi for account in accounts] == [0, 0, -10]
    assert [len(account.fills) for account in accounts] == [1, 1, 0]


def test_fee_tiers_follow_the_volume_of_the_days_before() -> None:
    day = 86_400_000
    account = Account("0x")
    settlement.add_volume(account, 6_000_000 * MICRO_USD, 100 * day, crossed=True)
    assert settlement.fee_rates(account, 100 * day) == (450, 150)  # today does not count
    assert settlement.fee_rates(account, 101 * day) == (400, 120)
    assert settlement.fee_rates(account, 114 * day) == (400, 120)
    assert settlement.fee_rates(account, 115 * day) == (450, 150)


@pytest.mark.parametrize(
    ("more_than", "taker", "maker"),  # as published, USD and percent
    [
        (0, "0.045", "0.015"),
        (5_000_000, "0.040", "0.012"),
        (25_000_000, "0.035", "0.008"),
        (100_000_000, "0.030", "0.004"),
        (500_000_000, "0.028", "0"),
        (2_000_000_000, "0.026", "0"),
        (7_000_000_000, "0.024", "0"),
    ],
)
def test_the_fees_of_each_tier_are_those_published(more_than: int, taker: str, maker: str) -> None:
    account = Account("0x")
    settlement.add_volume(account, more_than * MICRO_USD, 0, crossed=True)
    on_the_bound = settlement.fee_rates(account, 86_400_000)
    settlement.add_volume(account, 1, 0, crossed=False)
    rates = tuple(int(Fraction(percent) / 100 * 10**6) for percent in (taker, maker))
    assert settlement.fee_rates(account, 86_400_000) == rates
    assert (on_the_bound == rates) == (more_than == 0)


@pytest.fixture
def venue() -> SimulatedVenue:
    return make_venue()


def test_pnl_and_words_of_fills(venue: SimulatedVenue) -> None:
    alice = fund(venue)
    for bid, ask, side, sz in ((1999, 2000, "buy", 2), (2100, 2101, "sell", 1), (2050, 2051, "sell", 3)):
        venue.withdraw_quotes(ETH)
        quotes(venue, ETH, bid, ask)
        place(venue, alice, order(ETH, side, sz, ask if side == "buy" else bid, "Ioc"))
    assert [fill.direction for fill in alice.fills] == ["Open Long", "Close Long", "Long > Short"]
    assert [fill.closed_pnl for fill in alice.fills] == [0, 100 * MICRO_USD, 50 * MICRO_USD]
    assert [fill.start_szi for fill in alice.fills] == [0, 20_000, 10_000]
    assert conserved(venue)


def test_funding_is_on_the_oracle_and_longs_pay_shorts(venue: SimulatedVenue) -> None:
    alice, bob = fund(venue, ALICE), fund(venue, BOB)
    place(venue, alice, order(ETH, "sell", 2, 2000))
    place(venue, bob, order(ETH, "buy", 2, 2000))
    before = alice.cross_raw[0], bob.cross_raw[0]
    venue.set_prices({ETH: (200_000, 210_000)})
    venue.pay_funding({ETH: 125_000}, venue.state.now_ms)  # 0.0000125 an hour
    assert alice.cross_raw[0] - before[0] == 52_500
    assert bob.cross_raw[0] - before[1] == -52_500
    assert bob.holdings[ETH].funding_all_time == 52_500
    assert venue.state.dexs[0].market_raw == 0
    assert conserved(venue)


def test_funding_is_capped(venue: SimulatedVenue) -> None:
    alice = fund(venue)
    quotes(venue, ETH, 1999, 2000)
    place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
    venue.pay_funding({ETH: 10**10}, venue.state.now_ms)
    assert alice.fundings[-1].micro_usd == -80 * MICRO_USD


class TestLiquidation:
    def test_a_small_position_is_closed_at_once(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=100)
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
        price = venue.core.margin(alice, 0).liquidation_price(ETH)
        assert price is not None
        above = int(price) + 1
        venue.withdraw_quotes(ETH)
        quotes(venue, ETH, above // 100 - 1, 2100)
        venue.set_prices({ETH: (above, above)})
        assert alice.holdings[ETH].szi == 10_000
        venue.set_prices({ETH: (above - 2, above - 2)})
        assert alice.holdings[ETH].szi == 0
        fill = alice.fills[-1]
        assert fill.direction == "Liquidated Cross Long"
        assert fill.liquidation is not None
        assert fill.liquidation["method"] == "market"
        assert any(isinstance(event, Liquidated) for event in venue.core.events)
        assert conserved(venue)

    def test_of_a_large_one_a_fifth_goes_first(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=30_000)
        quotes(venue, ETH, 1999, 2000, sz=1000)
        place(venue, alice, order(ETH, "buy", 250, 2000, "Ioc"))
        venue.withdraw_quotes(ETH)
        quotes(venue, ETH, 1897, 2100, sz=1000)
        set_mark(venue, ETH, 1897)
        assert alice.holdings[ETH].szi == 2_000_000
        set_mark(venue, ETH, 1896, after_ms=29_000)
        assert alice.holdings[ETH].szi == 2_000_000
        set_mark(venue, ETH, 1896, after_ms=1_000)
        assert alice.holdings[ETH].szi == 0
        assert conserved(venue)

    @pytest.mark.parametrize(("sz", "left"), [("50", 0), ("50.0001", 400_001)])
    def test_large_is_what_is_worth_more_than_a_hundred_thousand(
        self, venue: SimulatedVenue, sz: str, left: int
    ) -> None:
        alice = fund(venue, usd=6_000)
        quotes(venue, ETH, 2099, 2100, sz=1000)
        set_mark(venue, ETH, 2100)
        place(venue, alice, order(ETH, "buy", sz, 2100, "Ioc"))
        venue.withdraw_quotes(ETH)
        quotes(venue, ETH, 2000, 2200, sz=1000)
        set_mark(venue, ETH, 2000)
        assert alice.holdings[ETH].szi == left

    def test_the_largest_of_an_account_goes_first_and_what_is_then_covered_stays(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=1_000)
        quotes(venue, ETH, 1999, 2000)
        quotes(venue, DOGE, "0.19999", "0.2", sz=1_000_000)
        place(venue, alice, order(DOGE, "buy", 10_000, "0.2", "Ioc"), order(ETH, "buy", 5, 2000, "Ioc"))
        venue.withdraw_quotes(ETH)
        quotes(venue, ETH, 1835, 1836)
        set_mark(venue, ETH, 1835)
        assert {asset: holding.szi for asset, holding in alice.holdings.items()} == {DOGE: 10_000, ETH: 0}
        assert conserved(venue)

    def test_the_vault_pays_what_a_thin_book_took_beyond_all_money(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=100)
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
        venue.withdraw_quotes(ETH)
        quotes(venue, ETH, 1850, 2100)
        set_mark(venue, ETH, 1915)
        lacked = sum(fill.fee for fill in alice.fills) + (150 - 100) * MICRO_USD
        assert (alice.holdings[ETH].szi, alice.cross_raw[0]) == (0, 0)
        assert venue.state.accounts[LIQUIDATOR].cross_raw[0] == -lacked
        delta = alice.ledger[-1].delta
        assert (delta["type"], delta["accountValue"], delta["liquidatedPositions"]) == (
            "liquidation",
            f"{-lacked / MICRO_USD:.6f}".rstrip("0"),
            [],
        )
        assert conserved(venue)

    def test_the_vault_takes_over_what_is_nearly_lost(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=100)
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"), order(ETH, "buy", "0.02", 1800))
        set_mark(venue, ETH, 1850)
        assert alice.holdings[ETH].szi == 0
        assert not alice.open_oids
        assert alice.cross_raw[0] == 0
        vault = venue.state.accounts[LIQUIDATOR]
        assert vault.holdings[ETH].szi == 10_000
        assert vault.cross_raw[0] + 10_000 * 185_000 < 0  # a gap beyond bankruptcy is the vault's loss
        assert alice.fills[-1].liquidation is not None
        assert alice.fills[-1].liquidation["method"] == "backstop"
        assert conserved(venue)

    @pytest.mark.parametrize("is_cross", [True, False])
    def test_what_nobody_can_pay_for_is_closed_against_who_gains_most(
        self, venue: SimulatedVenue, is_cross: bool
    ) -> None:
        alice, bob, carol = fund(venue, usd=100), fund(venue, BOB, 300), fund(venue, CAROL, 10_000)
        venue.act(alice, wire.UpdateLeverage(ETH, is_cross=is_cross, leverage=20))
        place(venue, bob, order(ETH, "sell", "0.6", 2000), order(ETH, "buy", "0.6", 1500, reduce_only=True))
        place(venue, carol, order(ETH, "sell", 1, 2000))
        place(venue, alice, order(ETH, "buy", "0.8" if is_cross else "0.9", 2000, "Ioc"))
        quotes(venue, ETH, 1999, 2002)
        place(venue, carol, order(ETH, "sell", 1, 1999, "Ioc"))
        money = {each.address: each.cross_raw[0] for each in (bob, carol)}
        set_mark(venue, ETH, 1999)
        set_mark(venue, ETH, 1850)  # past the price at which all of Alice's margin is gone
        assert [each.holdings[ETH].szi for each in (alice, bob, carol)] == [0, 0, -10_000]  # Bob is in front
        vault = venue.state.accounts[LIQUIDATOR]
        assert vault.holdings == {}
        assert vault.cross_raw[0] > 0  # at the mark before there was margin left
        assert bob.cross_raw[0] - money[BOB] == -6_000 * 199_900
        assert bob.fills[-1].direction == "Auto-Deleveraging"
        assert alice.fills[-1].direction.startswith("Liquidated")
        assert not bob.open_oids  # nothing is left to reduce
        assert conserved(venue)

    def test_a_short_that_nobody_can_pay_for_is_closed_against_the_longs(self, venue: SimulatedVenue) -> None:
        alice, bob, carol = fund(venue, usd=100), fund(venue, BOB, 300), fund(venue, CAROL, 10_000)
        place(venue, bob, order(ETH, "buy", "0.6", 2000), order(ETH, "sell", "0.6", 2500, reduce_only=True))
        place(venue, carol, order(ETH, "buy", 1, 2000))
        place(venue, alice, order(ETH, "sell", "0.8", 2000, "Ioc"))
        quotes(venue, ETH, 1998, 2001)
        place(venue, carol, order(ETH, "buy", 1, 2001, "Ioc"))
        before = {each.address: each.cross_raw[0] for each in (bob, carol)}
        held = carol.holdings[ETH].szi
        set_mark(venue, ETH, 2001)
        set_mark(venue, ETH, 2150)  # past the price at which all of Alice's margin is gone
        assert [each.holdings[ETH].szi for each in (alice, bob)] == [0, 0]
        assert carol.holdings[ETH].szi == held - 2_000  # Bob is in front, and has no more than 0.6
        assert bob.cross_raw[0] - before[BOB] == 6_000 * 200_100
        assert carol.cross_raw[0] - before[CAROL] == 2_000 * 200_100
        assert [each.fills[-1].is_buy for each in (alice, bob, carol)] == [True, False, False]
        assert venue.state.accounts[LIQUIDATOR].holdings == {}
        assert conserved(venue)

    def test_the_vault_is_never_liquidated_itself(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=100)
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
        set_mark(venue, ETH, 1850)
        vault, liquidations = venue.state.accounts[LIQUIDATOR], venue.state.liquidations
        money = vault.cross_raw[0]
        venue.core.drain()
        set_mark(venue, ETH, 1000)
        assert money + vault.holdings[ETH].szi * 100_000 < 0  # anybody else would be long gone
        assert (vault.holdings[ETH].szi, vault.cross_raw[0]) == (10_000, money)
        assert venue.state.liquidations == liquidations
        assert not any(isinstance(event, Liquidated) for event in venue.core.events)
        assert conserved(venue)

    def test_an_isolated_position_falls_alone(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=10_000)
        venue.act(alice, wire.UpdateLeverage(ETH, is_cross=False, leverage=10))
        quotes(venue, ETH, 1999, 2000)
        quotes(venue, DOGE, "0.199", "0.2", sz=100_000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"), order(DOGE, "buy", 1000, "0.2", "Ioc"))
        cross = alice.cross_raw[0]
        set_mark(venue, ETH, 1700)
        assert alice.holdings[ETH].szi == 0
        assert alice.holdings[ETH].raw == 0
        assert alice.cross_raw[0] == cross
        assert alice.holdings[DOGE].szi == 1000
        assert alice.fills[-1].direction == "Liquidated Isolated Long"
        assert conserved(venue)


class TestLeverage:
    def test_isolated_margin_is_set_apart_and_comes_back(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=1_000)
        venue.act(alice, wire.UpdateLeverage(ETH, is_cross=False, leverage=10))
        quotes(venue, ETH, 2000, 2000 + 1)
        place(venue, alice, order(ETH, "sell", 1, 2000, "Ioc"))
        assert alice.cross_raw[0] == 800 * MICRO_USD
        assert venue.act(alice, wire.UpdateIsolatedMargin(ETH, 50 * MICRO_USD))["status"] == "ok"
        assert alice.cross_raw[0] == 750 * MICRO_USD
        place(venue, alice, order(ETH, "buy", "0.5", 2001, "Ioc"))
        place(venue, alice, order(ETH, "buy", "0.5", 2001, "Ioc"))
        assert alice.holdings[ETH].raw == 0
        paid = sum(fill.fee for fill in alice.fills)
        assert alice.cross_raw[0] == 999 * MICRO_USD - paid
        assert conserved(venue)

    def test_who_has_too_little_margin_may_say_the_same_leverage_and_no_less(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=110)
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
        set_mark(venue, ETH, 1985)
        assert venue.core.margin(alice, 0).available() < 0
        assert venue.act(alice, wire.UpdateLeverage(ETH, True, 20))["status"] == "ok"
        assert venue.act(alice, wire.UpdateLeverage(ETH, True, 19))["status"] == "err"
        assert alice.holdings[ETH].leverage == 20

    def test_all_that_is_available_may_be_moved_and_not_a_millionth_more(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=1_000)
        venue.act(alice, wire.UpdateLeverage(ETH, is_cross=False, leverage=10))
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
        available = venue.core.margin(alice, 0).available()
        assert venue.act(alice, wire.UpdateIsolatedMargin(ETH, available + 1))["status"] == "err"
        assert venue.act(alice, wire.UpdateIsolatedMargin(ETH, available))["status"] == "ok"
        assert venue.core.margin(alice, 0).available() == 0

    def test_where_less_than_a_tenth_is_margin_nothing_may_be_taken_out(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=1_000)
        venue.act(alice, wire.UpdateLeverage(ETH, is_cross=False, leverage=20))
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
        assert venue.act(alice, wire.UpdateIsolatedMargin(ETH, -1))["status"] == "err"
        assert venue.act(alice, wire.UpdateIsolatedMargin(ETH, 0))["status"] == "ok"

    def test_refusals(self, venue: SimulatedVenue) -> None:
        alice = fund(venue, usd=200)
        assert venue.act(alice, wire.UpdateIsolatedMargin(ETH, 1)) == {
            "status": "err",
            "response": "Position does not use isolated margin.",
        }
        assert venue.act(alice, wire.UpdateLeverage(ETH, True, 51))["status"] == "err"
        quotes(venue, ETH, 1999, 2000)
        place(venue, alice, order(ETH, "buy", 1, 2000, "Ioc"))
        assert venue.act(alice, wire.UpdateLeverage(ETH, False, 20))["status"] == "err"  # an open position
        assert venue.act(alice, wire.UpdateLeverage(ETH, True, 5))["status"] == "err"  # too little margin
        assert alice.holdings[ETH] == SimulatedPosition(20, szi=10_000, cost=2_000 * MICRO_USD)


def _bid(asset: int, px: int, sz: int) -> SimulatedOrder:
    return SimulatedOrder(1, "0x", asset, True, px, sz, sz, 0, tif="Gtc")
