"""One bar at a time: limited volume, liquidation and delisting worked out by hand, and equality with the walk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator, kernel, layout, step_walk
from quant_organism.backtest.population import Banks, BatchGroup, GenomeBatch, write_targets
from quant_organism.backtest.sleeve_state import (
    EQUITY,
    FEES,
    MARGIN,
    PEAK,
    QUANTITY,
    RUINED,
    TURNOVER,
    Ledger,
    SleeveDecision,
    Terms,
    Tick,
    in_rows,
    new_state,
    terms_in,
    terms_of,
)
from quant_organism.backtest.sleeves import friction_of
from quant_organism.backtest.step import decide, end_sleeve, mark_bar, may_enter, trade_bar
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome
from quant_organism.strategies.targets import Targets
from quant_organism_tests.backtest.streams import genomes, markets

EVALUATOR = Evaluator(threads=1)

FREE = {"taker_fee": 0.0, "maker_fee": 0.0, "slippage_bps": 0.0}


def risk(**genes: float) -> layout.Risk:
    """Return wide risk genes but for those that are given."""
    wide = {
        "stop_loss": 0.15,
        "take_profit": 0.3,
        "trailing_stop": 0.0,
        "position_size": 0.1,
        "max_holding_bars": 300,
        "max_drawdown": 0.2,
        "position_size_limit": 0.15,
        "liquidity_weight": 0.4,
        "calm_weight": 0.3,
        "momentum_weight": 0.3,
        "volatility_threshold": 3.0,
        "fear_greed_sensitivity": 0.3,
    } | genes
    return layout.Risk(**{name: np.array([value]) for name, value in wide.items()})


@dataclass
class Desk:
    """A sleeve that is stepped by hand."""

    costs: Costs
    risk: layout.Risk
    state: np.ndarray = field(default_factory=lambda: new_state(-1, 0.0))
    settled: float = 0.0
    row: int = -1
    fills: list[tuple[float, ...]] = field(default_factory=list)
    turnover: list[float] = field(default_factory=list)
    trades: list[np.ndarray] = field(default_factory=list)
    last: tuple[float, float] = (0.0, 0.0)
    size: float = 0.1

    @property
    def terms(self) -> Terms:
        """Genome and costs."""
        return terms_of(self.risk, 0, friction_of(self.costs, "X"))

    def step(
        self, side: int, prices: tuple[float, float, float, float], volume: float = 1e9, paid: float = 0.0
    ) -> float:
        """Trade a bar (open, high, low, close; volume per unit of capital) and return the equity."""
        self.row += 1
        self.settled += prices[3] * paid
        tick = Tick(self.row, *map(float, prices), float(volume), self.settled)
        ledger = Ledger.empty()
        trade_bar(self.state, tick, SleeveDecision(side, self.size, True), self.terms, ledger)
        equity = mark_bar(self.state, tick.close, self.settled, ledger)
        self._keep(ledger)
        self.last = (tick.close, self.settled)
        return equity

    def end(self, *, delisted: bool) -> None:
        """Close the books."""
        ledger = Ledger.empty()
        end_sleeve(self.state, *self.last, delisted, self.terms, ledger)
        self._keep(ledger)

    def _keep(self, ledger: Ledger) -> None:
        self.fills += [(fill[0], fill[1]) for fill in ledger.fills[: ledger.counts[1]]]
        self.turnover += [float(fill[TURNOVER]) for fill in ledger.fills[: ledger.counts[1]]]
        self.trades += [trade.copy() for trade in ledger.trades[: ledger.counts[0]]]

    def trade(self, place: int = 0) -> dict[str, float]:
        """Return a trade by the names of its columns."""
        names = ("entry", "exit", "side", "quantity", "entry_price", "exit_price", "fees", "funding", "pnl", "return")
        values = dict(zip(names, self.trades[place], strict=False))
        return values | {"reason": layout.REASONS[int(self.trades[place][layout.REASON])]}


def flat(price: float) -> tuple[float, float, float, float]:
    """Return a bar in which nothing moves."""
    return (price, price, price, price)


def test_an_entry_takes_what_the_volume_allows_bar_after_bar() -> None:
    # 0.1 of an equity of 1 at 100 are 0.001 units. Half of a volume of 0.0008 fills 0.0004 at 100 and again at 102;
    # the 0.0002 that are left go at 104. The average is (0.04 + 0.0408 + 0.0208) / 0.001 = 101.6.
    desk = Desk(Costs(**FREE, max_participation=0.5), risk())
    for price in (100, 102, 104):
        desk.step(1, flat(price), 0.0008)
    np.testing.assert_allclose(desk.fills, [(0.0004, 100), (0.0004, 102), (0.0002, 104)])
    # Out at 110, again in three fills: 0.0004 at 110 and at 108, 0.0002 at 106; the average is 108.4.
    for price in (110, 108, 106, 106):
        desk.step(0, flat(price), 0.0008)
    trade = desk.trade()
    assert (trade["entry"], trade["exit"], trade["reason"]) == (0, 5, "signal")
    assert (trade["quantity"], trade["entry_price"], trade["exit_price"]) == pytest.approx((0.001, 101.6, 108.4))
    assert trade["pnl"] == pytest.approx(0.001 * (108.4 - 101.6))
    assert desk.state[EQUITY] == pytest.approx(1.0068)


def test_impact_grows_with_the_square_root_of_the_share_taken() -> None:
    # A quarter of the bar's volume: 10 bps + 100 bps x sqrt(0.25) = 60 bps, and 1 % fee on the notional. The quantity
    # was fixed at 100 x 1.001.
    costs = Costs(taker_fee=0.01, maker_fee=0.0, slippage_bps=10.0, max_participation=0.5, impact_bps=100.0)
    desk = Desk(costs, risk())
    quantity = 0.1 / 100.1
    equity = desk.step(1, flat(100), 4 * quantity)
    np.testing.assert_allclose(desk.fills, [(quantity, 100.6)])
    assert equity == pytest.approx(1.0 - quantity * 0.6 - 0.01 * quantity * 100.6)


def test_an_entry_that_is_not_filled_ends_with_its_direction() -> None:
    desk = Desk(Costs(**FREE, max_participation=0.5), risk())
    desk.step(1, flat(100), 0.0)
    desk.step(1, flat(100), 0.0008)
    assert desk.state[QUANTITY] == pytest.approx(0.0004)
    desk.step(0, flat(100), 0.0)
    desk.step(1, flat(100), 0.0008)
    # The exit goes on although the target is long again, then a new trade begins with what the volume has left.
    assert desk.trade()["quantity"] == pytest.approx(0.0004)
    assert desk.state[QUANTITY] == 0.0
    desk.step(1, flat(100), 0.0008)
    assert desk.state[QUANTITY] == pytest.approx(0.0004)


def test_a_reversal_waits_for_the_exit_and_takes_what_is_left() -> None:
    # 0.001 long; half of 0.0012 lets 0.0006 out at 110. At 100 the other 0.0004 leave, and of the room of 0.0006 there
    # are 0.0002 for the short.
    desk = Desk(Costs(**FREE, max_participation=0.5), risk())
    desk.step(1, flat(100), 1.0)
    desk.step(-1, flat(110), 0.0012)
    desk.step(-1, flat(100), 0.0012)
    np.testing.assert_allclose(desk.fills, [(0.001, 100), (-0.0006, 110), (-0.0004, 100), (-0.0002, 100)])
    assert desk.trade()["exit_price"] == pytest.approx(106.0)
    # Its size was fixed on an equity of 1.006 at that open.
    desk.step(-1, flat(100), 1.0)
    assert desk.state[QUANTITY] == pytest.approx(-0.1 * 1.006 / 100)


def test_what_a_stop_leaves_over_is_sold_at_the_following_opens() -> None:
    # The stop stands at 95. Half of 0.001 is filled there; the rest at the next open, though the price has recovered
    # beyond the target.
    desk = Desk(Costs(**FREE, max_participation=0.5), risk(stop_loss=0.05, take_profit=0.1))
    desk.step(1, flat(100), 1.0)
    desk.step(1, (99, 100, 94, 96), 0.001)
    desk.step(1, (97, 120, 97, 115), 0.001)
    desk.step(1, flat(115), 1.0)
    np.testing.assert_allclose(desk.fills, [(0.001, 100), (-0.0005, 95), (-0.0005, 97)])
    assert (desk.trade()["reason"], desk.trade()["exit_price"]) == ("stop_loss", pytest.approx(96.0))
    assert len(desk.trades) == 1  # and the same direction is not entered again


def test_levels_follow_the_average_entry() -> None:
    # Half at 100, half at 110: the average is 105 and the stop of 5 % stands at 99.75, no longer at 95.
    desk = Desk(Costs(**FREE, max_participation=0.5), risk(stop_loss=0.05))
    desk.step(1, flat(100), 0.001)
    desk.step(1, flat(110), 0.001)
    desk.step(1, (105, 105, 99.7, 100), 1.0)
    assert desk.trade()["exit_price"] == pytest.approx(99.75)


def test_delisting_knows_no_limit() -> None:
    desk = Desk(Costs(**FREE, max_participation=0.5), risk())
    desk.step(1, flat(100), 1.0)
    desk.step(1, flat(101), 0.0)
    desk.end(delisted=True)
    assert (desk.trade()["reason"], desk.trade()["exit_price"]) == ("delisted", 101.0)


def test_funding_counts_each_quantity_for_as_long_as_it_was_held() -> None:
    # 1 % of 100 per bar: 0.0005 units through the first close, 0.001 through the second and third, 0.0005 through the
    # fourth: 0.0005 + 0.001 + 0.001 + 0.0005.
    desk = Desk(Costs(**FREE, max_participation=0.5), risk())
    for side in (1, 1, 1, 0, 0):
        desk.step(side, flat(100), 0.001, 0.01)
    assert desk.trade()["funding"] == pytest.approx(0.003)
    assert desk.state[EQUITY] == pytest.approx(0.997)


def test_the_liquidation_price_is_that_of_the_venue() -> None:
    # Isolated, 10x, maximum 10x: a long at 100 with a margin of 10 is liquidated at (100 - 10) / (1 - 0.05) = 94.7368.
    desk = Desk(Costs(**FREE, leverage=10.0, default_tiers=((0.0, 10),)), risk(stop_loss=0.15))
    desk.step(1, flat(100))
    desk.step(1, (100, 100, 94, 99))
    assert (desk.trade()["reason"], desk.trade()["exit_price"]) == ("liquidation", pytest.approx(90 / 0.95))
    assert desk.trade()["pnl"] == pytest.approx(0.001 * (90 / 0.95 - 100))


def test_the_backstop_takes_the_whole_margin_whatever_the_volume() -> None:
    # At 91 there is 1 left of the margin of 10; two thirds of the maintenance margin are 2/3 x 0.05 x 91 = 3.03.
    desk = Desk(Costs(**FREE, leverage=10.0, max_participation=0.1), risk(stop_loss=0.15))
    desk.step(1, flat(100), 1.0)
    desk.step(1, (91, 92, 91, 92), 0.0)
    assert (desk.trade()["reason"], desk.trade()["exit_price"]) == ("liquidation", pytest.approx(90.0))
    assert desk.state[EQUITY] == pytest.approx(0.99)


def test_funding_brings_the_liquidation_nearer() -> None:
    # After 3 % funding of 100 the margin is 7: (100 - 7) / 0.95 = 97.8947.
    desk = Desk(Costs(**FREE, leverage=10.0), risk())
    desk.step(1, flat(100), paid=0.03)
    desk.step(1, (99, 99, 97, 98))
    assert desk.trade()["exit_price"] == pytest.approx(93 / 0.95)
    assert desk.trade()["pnl"] == pytest.approx(0.001 * (93 / 0.95 - 100 - 3))


@pytest.mark.parametrize(
    ("side", "touch", "reason", "price"),
    [
        (1, 87.5, "stop_loss", 87.5),
        (-1, 112.5, "stop_loss", 112.5),
        (1, 125.0, "take_profit", 125.0),
        (-1, 75.0, "take_profit", 75.0),
    ],
)
def test_a_level_is_reached_by_a_bar_that_just_touches_it(side: int, touch: float, reason: str, price: float) -> None:
    for distance, reached in ((0.0, True), (1e-9, False)):
        desk = Desk(Costs(**FREE), risk(stop_loss=0.125, take_profit=0.25))
        desk.step(side, flat(100))
        near = touch + distance * (1 if touch < 100 else -1)
        desk.step(side, (100, max(near, 100), min(near, 100), 100))
        assert bool(desk.trades) == reached
        if reached:
            assert (desk.trade()["reason"], desk.trade()["exit_price"]) == (reason, price)


@pytest.mark.parametrize(("side", "low", "high"), [(1, 87.5, 125.0), (-1, 75.0, 112.5)])
def test_a_bar_that_reaches_both_levels_is_stopped(side: int, low: float, high: float) -> None:
    desk = Desk(Costs(**FREE), risk(stop_loss=0.125, take_profit=0.25))
    desk.step(side, flat(100))
    desk.step(side, (100, high, low, 100))
    assert desk.trade()["reason"] == "stop_loss"


@pytest.mark.parametrize(
    ("side", "opened", "price"), [(1, 80.0, 80.0), (-1, 120.0, 120.0), (1, 130.0, 130.0), (-1, 70.0, 70.0)]
)
def test_a_bar_that_opens_beyond_a_level_fills_at_its_open(side: int, opened: float, price: float) -> None:
    desk = Desk(Costs(**FREE), risk(stop_loss=0.125, take_profit=0.25))
    desk.step(side, flat(100))
    desk.step(side, flat(opened))
    assert desk.trade()["exit_price"] == price


@pytest.mark.parametrize(("side", "extreme", "level"), [(1, 128.0, 112.0), (-1, 64.0, 72.0)])
def test_the_trailing_stop_follows_the_extremes_of_earlier_bars(side: int, extreme: float, level: float) -> None:
    desk = Desk(Costs(**FREE), risk(stop_loss=0.5, take_profit=0.5, trailing_stop=0.125))
    desk.step(side, flat(100))
    desk.step(side, (100, max(extreme, 100), min(extreme, 100), 100 if side * (100 - level) > 0 else extreme))
    assert not desk.trades  # the bar's own extreme is no stop within it
    desk.step(side, (extreme, max(extreme, level), min(extreme, level), extreme))
    assert (desk.trade()["reason"], desk.trade()["exit_price"]) == ("trailing_stop", level)


def test_where_two_levels_coincide_the_fixed_stop_gives_way_to_nothing_but_liquidation() -> None:
    # Trailing from the entry at the same distance: the fixed stop has it. Margin 1/10, maintenance 5 %: liquidation
    # at 90 / 0.95; a stop at exactly that price is a liquidation.
    desk = Desk(Costs(**FREE), risk(stop_loss=0.125, trailing_stop=0.125))
    desk.step(1, flat(100))
    desk.step(1, (100, 100, 87, 100))
    assert desk.trade()["reason"] == "stop_loss"
    forced = Desk(Costs(**FREE, leverage=2.0, default_tiers=((0.0, 2),)), risk(stop_loss=1 / 3, take_profit=9.0))
    forced.step(1, flat(96))
    forced.step(1, (96, 96, 60, 70))
    assert (forced.trade()["reason"], forced.trade()["exit_price"]) == ("liquidation", 64.0)


@pytest.mark.parametrize(("equity", "enters"), [(0.8750001, True), (0.875, False), (0.8749999, False)])
def test_a_drawdown_that_just_reaches_its_limit_ends_entries(equity: float, enters: bool) -> None:
    desk = Desk(Costs(**FREE), risk(max_drawdown=0.125))
    desk.state[EQUITY], desk.state[PEAK] = equity, 1.0
    assert may_enter(desk.state, SleeveDecision(1, 0.1, True), desk.terms) == enters


@pytest.mark.parametrize(
    ("decision", "enters"),
    [
        (SleeveDecision(1, 0.1, True), True),
        (SleeveDecision(-1, 0.1, True), True),
        (SleeveDecision(0, 0.1, True), False),
        (SleeveDecision(1, 0.0, True), False),
        (SleeveDecision(1, 0.1, False), False),
    ],
)
def test_what_is_entered(decision: SleeveDecision, enters: bool) -> None:
    desk = Desk(Costs(**FREE), risk())
    assert may_enter(desk.state, decision, desk.terms) == enters


@pytest.mark.parametrize(
    ("target", "turbulence", "decision"),
    [
        (1.0, 0.5, (1, 0.1, True)),
        (0.5, 3.0, (1, 0.05, True)),
        (-0.5, 3.0, (-1, 0.05, True)),
        (-1.0, 3.1, (-1, 0.1, False)),
        (0.0, 0.5, (0, 0.0, True)),
    ],
)
def test_what_is_decided_for_a_lone_asset(target: float, turbulence: float, decision: tuple[int, float, bool]) -> None:
    # It is first of one in all ranks, so that its weight is the position size, and the threshold is 3.
    known = np.zeros(layout.N_CONTEXT)
    known[: layout.TURBULENCE], known[layout.TURBULENCE] = 1.0, turbulence
    assert decide(target, known, risk(), 0) == decision


@pytest.mark.parametrize("side", [1, -1])
def test_a_direction_that_was_stopped_is_entered_again_after_another_target(side: int) -> None:
    stopped = (100, 100, 80, 90) if side > 0 else (100, 120, 100, 110)
    for between, again in (([], False), ([side], False), ([0], True), ([-side, 0], True)):
        desk = Desk(Costs(**FREE), risk(stop_loss=0.125))
        desk.step(side, flat(100))
        desk.step(side, stopped)
        for other in between:
            desk.step(other, flat(100))
        desk.step(side, flat(100))
        assert (desk.state[QUANTITY] * side > 0) == again, between


@pytest.mark.parametrize(("bars", "closed"), [(3, False), (4, True)])
def test_a_position_is_held_for_as_many_bars_as_it_may(bars: int, closed: bool) -> None:
    desk = Desk(Costs(**FREE), risk(max_holding_bars=3))
    for _ in range(bars):
        desk.step(1, flat(100))
    assert [trade[layout.REASON] for trade in desk.trades] == ([layout.MAX_HOLDING] if closed else [])
    desk.step(1, flat(100))
    assert desk.state[QUANTITY] == 0.0  # and the same direction is not entered again


def test_turnover_counts_against_the_equity_at_the_fill() -> None:
    # 0.0005 units at 100 on an equity of 1; then as many at 200, where the first have gained 0.05.
    desk = Desk(Costs(**FREE, max_participation=0.5), risk(take_profit=9.0))
    desk.step(1, flat(100), 0.001)
    desk.step(1, flat(200), 0.001)
    desk.step(0, flat(400), 1.0)
    assert desk.turnover == pytest.approx([0.05, 0.1 / 1.05, 0.4 / 1.25])


def test_the_fee_of_a_part_of_a_liquidation_takes_no_more_than_its_part_of_the_margin() -> None:
    # A long of 0.001 at 100 with a margin of 10 %: liquidated at 90 / 0.95 = 94.7368, where 4.7368 per unit are left.
    # The volume lets a quarter go at a time; a fee of 8 % would be 7.58 per unit.
    fees = {"taker_fee": 0.08, "maker_fee": 0.0, "slippage_bps": 0.0}
    desk = Desk(Costs(**fees, leverage=10.0, max_participation=0.5), risk(stop_loss=0.15))
    desk.step(1, flat(100), 1.0)
    paid = 1.0 - 0.001 * 100 * 0.08
    desk.step(1, (100, 100, 94.5, 95), 0.0005)
    price = 90 / 0.95
    np.testing.assert_allclose(desk.fills[1], (-0.00025, price))
    # The position of 0.00075 that is left stands at 95.
    assert desk.state[EQUITY] == pytest.approx(paid - 0.00025 * 10 - 0.00075 * 5)


def test_an_order_that_is_filled_at_once_costs_what_its_size_says_to_the_last_bit() -> None:
    # The walk knows no other figures; of quantity times price some would differ in the last place.
    rng, costs = np.random.default_rng(0), Costs(leverage=7.0)
    for price in rng.uniform(1.0, 1e5, 50):
        desk = Desk(costs, risk(), size=0.7)
        desk.step(1, flat(price))
        assert desk.turnover == [0.7]
        assert (desk.state[FEES], desk.state[MARGIN]) == (costs.taker_fee * 0.7, 1 / 7.0 * 0.7)


@pytest.mark.parametrize(
    ("steps", "price"),
    [
        # Sides, volumes and prices of bars; half of the volume may be traded. A short of 1/128 at 64 leaves a cash of
        # 1.5, which is what it owes at 192; the first half of it leaves 1.25, which is what that owes at 320.
        ([(-1, 1 / 128, 64), (-1, 1 / 128, 320)], 320),  # the second half is entered there
        ([(-1, 1, 64), (0, 1 / 128, 192)], 192),  # half of it is closed there
        ([(-1, 1, 64), (0, 0, 192)], 192),  # it cannot be closed, and is marked there
    ],
)
@pytest.mark.parametrize(("cheaper", "ruined"), [(0, True), (2**-20, False)])
def test_a_sleeve_with_exactly_nothing_left_is_ruined(
    steps: list[tuple[int, float, float]], price: float, cheaper: float, ruined: bool
) -> None:
    desk = Desk(Costs(**FREE, leverage=1.0, max_participation=0.5), risk(stop_loss=9.0), size=0.5)
    for place, (side, volume, at) in enumerate(steps):
        desk.step(side, flat(at - cheaper * place), volume)
    assert (desk.state[RUINED] == 1.0) == ruined
    if ruined:
        assert desk.state[EQUITY] == 0.0
        assert (desk.trade()["reason"], desk.trade()["pnl"], desk.trade()["exit_price"]) == ("ruined", -1.0, price)
        assert desk.turnover[1:] == [0.0] * (len(desk.turnover) - 1)


@given(genomes(), markets(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_steps_are_the_walk_to_the_last_bit(
    genome: Genome, market: tuple[Panel, Costs, int, int], stops_from_next_bar: bool
) -> None:
    panel, costs, start, stop = market
    window = Evaluator(threads=1, stops_from_next_bar=stops_from_next_bar)._window(panel, costs, start, stop)
    for asset in range(panel.n_assets):
        sleeve = window.sleeve(asset)
        batch = GenomeBatch.of([genome], panel.interval)
        targets = Targets.empty(1, sleeve.bars.close.size, conviction=batch.family.conviction)
        write_targets(batch, sleeve, Banks.of(sleeve, BatchGroup([batch]), window.store), targets)
        bars = sleeve.bars._replace(origin=sleeve.bars.first)
        found = []
        for simulate in (kernel.simulate_sleeve, step_walk.simulate_sleeve):
            trades = np.zeros((int(targets.counts[0]), layout.N_TRADE_COLUMNS))
            gains, held = np.zeros(sleeve.n_bars), np.zeros(sleeve.n_bars, dtype=bool)
            totals = np.empty(layout.N_TOTALS)
            simulate(targets, 0, bars, batch.risk, sleeve.friction, totals, gains, held, trades)
            found.append((trades, gains, held, totals))
        for walked, stepped in zip(found[0][:3], found[1][:3], strict=True):
            np.testing.assert_array_equal(walked, stepped)
        np.testing.assert_allclose(found[0][3], found[1][3], rtol=1e-9, atol=1e-12)


@given(genomes(), markets())
@settings(max_examples=30, deadline=None)
def test_volume_that_suffices_is_no_limit(genome: Genome, market: tuple[Panel, Costs, int, int]) -> None:
    panel, costs, start, stop = market
    plenty = replace(panel, volume=panel.volume * 1e12)
    expected = EVALUATOR.trades(genome, plenty, costs, start=start, stop=stop)
    found = EVALUATOR.trades(genome, plenty, replace(costs, max_participation=1.0), start=start, stop=stop)
    assert found.hash == expected.hash


@given(genomes(), markets(limited=True))
@settings(max_examples=30, deadline=None)
def test_a_population_with_limited_volume_counts_the_trades_that_are_listed(
    genome: Genome, market: tuple[Panel, Costs, int, int]
) -> None:
    panel, costs, start, stop = market
    frame = EVALUATOR.trades(genome, panel, costs, start=start, stop=stop).frame
    found = EVALUATOR.evaluate([genome], panel, costs, start=start, stop=stop).asset_metrics
    for asset in np.flatnonzero(panel.valid[start:stop].any(axis=0)):
        listed = frame.filter(pl.col("symbol") == panel.symbols[asset])
        assert found["trades"][0, asset] == listed.filter(pl.col("reason") != "open").height
        assert found["total_return"][0, asset] == pytest.approx(listed["pnl"].sum(), abs=1e-12)


def test_terms_of_assets_with_more_and_fewer_margin_tiers_come_back_from_their_rows() -> None:
    costs = Costs(max_participation=0.1, margin_tiers={"A": ((0.0, 40), (1e6, 20), (2e6, 10)), "B": ((0.0, 3),)})
    wanted = [
        terms_of(risk(trailing_stop=0.01 * k), 0, friction_of(costs, symbol, stops_from_next_bar=symbol == "B"))
        for k, symbol in enumerate(("A", "B", "C"))
    ]
    for terms, row in zip(wanted, in_rows(wanted), strict=True):
        found = terms_in(row)
        assert found[:-1] == terms[:-1]
        for value, expected in zip(found.friction, terms.friction, strict=True):
            np.testing.assert_array_equal(value, expected)
