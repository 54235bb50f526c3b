"""The reference of the rules itself, on cases worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from quant_organism.backtest import Costs
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import Genome, default_genome
from quant_organism_tests.backtest.markets import MONDAY_MS, random_panel
from quant_organism_tests.backtest.reference import Decisions, SleeveResult, run_sleeve
from quant_organism_tests.backtest.reference_margin import liquidation_price, maintenance_margin
from quant_organism_tests.backtest.reference_weights import score_table, turbulence, weight_table

FREE = Costs(taker_fee=0.0, maker_fee=0.0, slippage_bps=0.0, charge_funding=False)
WIDE = {"stop_loss": 0.15, "take_profit": 0.30, "trailing_stop": 0.0, "position_size": 0.1, "max_holding_hours": 336}

Bar = tuple[float, float, float, float]


def flat(*prices: float) -> list[Bar]:
    """Return bars that stand still at the given prices."""
    return [(price, price, price, price) for price in prices]


def genome_with(**genes: float) -> Genome:
    """Return a genome with wide stops, and the given common genes."""
    return Genome("ema_crossover", dict(default_genome("ema_crossover").genes) | WIDE | genes)


def panel_of(
    bars: Sequence[Bar], *, funding: Sequence[float] | None = None, volume: Sequence[float] | None = None
) -> Panel:
    """Return an hourly panel of one asset, open, high, low and close of each bar given."""
    table, shape = np.array(bars), (len(bars), 1)
    columns = {name: table[:, [k]] for k, name in enumerate(("open", "high", "low", "close"))}
    return Panel.from_arrays(
        symbols=["X"],
        interval=Interval.parse("1h"),
        times=MONDAY_MS + 3_600_000 * np.arange(len(bars)),
        volume=np.full(shape, 1e6) if volume is None else np.array(volume, dtype=float)[:, None],
        funding_paid=np.zeros(shape) if funding is None else np.array(funding)[:, None],
        **columns,
    )


def walk(
    target: Sequence[float],
    bars: Sequence[Bar],
    *,
    costs: Costs = FREE,
    funding: Sequence[float] | None = None,
    volume: Sequence[float] | None = None,
    weight: float | Sequence[float] = 0.1,
    turbulent: Sequence[float] | None = None,
    stops_from_next_bar: bool = False,
    **genes: float,
) -> SleeveResult:
    """Trade a given target with given weights."""
    n = len(bars)
    decisions = Decisions(
        np.array(target, dtype=float),
        np.broadcast_to(weight, n),
        np.zeros(n) if turbulent is None else np.array(turbulent),
    )
    panel = panel_of(bars, funding=funding, volume=volume)
    return run_sleeve(
        genome_with(**genes), panel, 0, costs, 0, n, decisions=decisions, stops_from_next_bar=stops_from_next_bar
    )


def exits(result: SleeveResult) -> list[tuple[int, float, str]]:
    """Return bar, price and reason of every exit."""
    return [(trade["exit"], pytest.approx(trade["exit_price"]), trade["reason"]) for trade in result.trades]


def test_the_liquidation_price_is_the_one_that_the_venue_reports() -> None:
    # A captured isolated position: 2 HYPE long from 37.829 at 10x, of which funding has left a raw balance of
    # -68.126246 USD, so 2 x 37.829 - 68.126246 = 7.531754 of margin. Reported: 35.8559189474.
    found = liquidation_price(1, 2.0, 37.829, 7.531754, ((0.0, 10),), 1.0)
    assert found == pytest.approx(35.8559189474, abs=5e-11)
    # The venue's documented example: 0.0335 ETH long at 2985.9, raw balance -95.059824, maximum leverage 50.
    found = liquidation_price(1, 0.0335, 2985.9, 0.0335 * 2985.9 - 95.059824, ((0.0, 50),), 1.0)
    assert found == pytest.approx(2866.26936529, abs=2e-5)  # the balance is rounded to a millionth of a dollar


def test_tiers_ask_a_margin_without_jumps() -> None:
    tiers = ((0.0, 20), (100_000.0, 10), (500_000.0, 5))
    # Rates 2.5 %, 5 % and 10 %; deductions 100,000 x 2.5 % and 500,000 x 5 % more.
    assert maintenance_margin(80_000, tiers) == pytest.approx(2_000)
    assert maintenance_margin(100_000, tiers) == pytest.approx(2_500)
    assert maintenance_margin(300_000, tiers) == pytest.approx(12_500)
    assert maintenance_margin(500_000, tiers) == pytest.approx(22_500)
    assert maintenance_margin(1_000_000, tiers) == pytest.approx(72_500)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("notional", [50_000, 104_000, 300_000, 520_000, 2_000_000])
def test_at_the_liquidation_price_margin_and_profit_equal_the_maintenance(side: int, notional: float) -> None:
    tiers = ((0.0, 20), (100_000.0, 10), (500_000.0, 5))
    price = liquidation_price(side, notional / 100 / 1e6, 100.0, notional / 4 / 1e6, tiers, 1e6)
    left = notional / 4 + side * notional * (price / 100 - 1)
    assert left == pytest.approx(maintenance_margin(notional * price / 100, tiers))
    assert side * price < side * 100


def test_a_position_is_liquidated_where_its_margin_ends() -> None:
    # At 10x and a maintenance of 5 %: 100 x (1 - 0.1) / (1 - 0.05) = 94.7368...
    costs = replace(FREE, leverage=10, taker_fee=0.001, slippage_bps=10)
    bars = [*flat(100, 100), (100, 100, 94, 95), *flat(95, 95)]
    result = walk([1] * 5, bars, costs=costs)
    (trade,) = result.trades
    entry = 100.1
    level = entry * 0.9 / 0.95
    assert trade["reason"] == "liquidation"
    assert trade["exit_price"] == pytest.approx(level * 0.999)
    assert trade["fees"] == pytest.approx(0.1 * 0.001 + 0.1 / entry * level * 0.999 * 0.001)
    # A stop that is nearer comes first; at 3x liquidation is far.
    assert walk([1] * 5, bars, costs=costs, stop_loss=0.05).trades[0]["reason"] == "stop_loss"
    assert walk([1] * 5, bars, costs=replace(costs, leverage=3)).trades[0]["reason"] == "open"


def test_the_leverage_that_counts_is_at_most_that_of_the_asset() -> None:
    bars = [*flat(100, 100), (100, 100, 94, 95), *flat(95)]
    ten, fifty = (walk([1] * 4, bars, costs=replace(FREE, leverage=leverage)) for leverage in (10, 50))
    assert ten.trades == fifty.trades


def test_funding_moves_the_liquidation_price() -> None:
    # Funding of 1 % at the close of bar 1 takes a tenth of the margin: 100 x (1 - 0.09) / 0.95 = 95.789...
    costs = replace(FREE, leverage=10, charge_funding=True)
    bars = [*flat(100, 100), (100, 100, 95.5, 96), *flat(96)]
    assert walk([1] * 4, bars, costs=costs).trades[0]["reason"] == "open"
    (trade,) = walk([1] * 4, bars, costs=costs, funding=[0, 0.01, 0, 0]).trades
    assert (trade["exit"], trade["reason"]) == (2, "liquidation")
    assert trade["exit_price"] == pytest.approx(91 / 0.95)
    # A short receives it: 100 x (1 + 0.11) / 1.05 = 105.714...
    bars = [*flat(100, 100), (100, 105.5, 100, 104), (104, 105.8, 104, 104)]
    (trade,) = walk([-1] * 4, bars, costs=costs, funding=[0, 0.01, 0, 0]).trades
    assert (trade["exit"], trade["exit_price"]) == (3, pytest.approx(111 / 1.05))


def test_what_opens_beyond_the_liquidation_price_loses_at_most_the_margin() -> None:
    # Margin 0.01 of 1. At 94 there is 0.004 of it left, against 2/3 of 0.0047 that the backstop asks: sold at 94.
    costs = replace(FREE, leverage=10)
    assert exits(walk([1] * 3, flat(100, 100, 94), costs=costs)) == [(2, 94, "liquidation")]
    # At 93 there is 0.003 left, less than 2/3 of 0.00465 = 0.0031: the venue takes the position and all of it.
    result = walk([1] * 3, flat(100, 100, 93), costs=costs)
    assert result.trades[0]["reason"] == "liquidation"
    assert result.trades[0]["pnl"] == pytest.approx(-0.01)
    assert result.equity[-1] == pytest.approx(0.99)
    # So it does far below, and for a short: at 107 0.003 is left against 2/3 of 0.00535.
    assert walk([1] * 3, flat(100, 100, 40), costs=costs).equity[-1] == pytest.approx(0.99)
    assert walk([-1] * 3, flat(100, 100, 107), costs=costs).equity[-1] == pytest.approx(0.99)


def test_what_volume_leaves_over_of_a_liquidation_cannot_lose_more_than_the_margin_either() -> None:
    # 10 units of 100 USD with 100 USD of margin: 5 are sold at 94.7368, which leaves 73.684 USD for the other 5.
    costs = replace(FREE, leverage=10, max_participation=0.1)
    level, volume = 90 / 0.95, [100, 100, 50, 100]
    start = [*flat(100, 100), (100, 100, 94, 95)]
    # At 93 there are 38.684 USD left, more than two thirds of 23.25: sold on the market.
    (trade,) = walk([1] * 4, [*start, *flat(93)], costs=costs, volume=volume).trades
    assert (trade["exit"], trade["exit_price"]) == (3, pytest.approx((level + 93) / 2))
    # At 80 nothing is: the venue takes what is left, whatever the volume.
    (trade,) = walk([1] * 4, [*start, *flat(80)], costs=costs, volume=[100, 100, 50, 10]).trades
    assert (trade["exit"], trade["pnl"]) == (3, pytest.approx(-0.01))


def test_targets_rest_and_pay_the_maker_fee() -> None:
    costs = Costs(taker_fee=0.001, maker_fee=0.0002, slippage_bps=100, charge_funding=False)
    bars = [*flat(100, 100), (100, 110, 100, 108), *flat(108)]
    (trade,) = walk([1] * 4, bars, costs=costs, take_profit=0.05).trades
    assert trade["exit_price"] == pytest.approx(101 * 1.05)
    assert trade["fees"] == pytest.approx(0.1 * 0.001 + 0.1 / 101 * 101 * 1.05 * 0.0002)


def test_an_entry_is_filled_over_the_bars_that_have_room_for_it() -> None:
    # 0.1 of 10,000 USD at 100 is 10 units; a tenth of each bar's volume: 4, 0, 5, and the last unit.
    costs = replace(FREE, max_participation=0.1)
    result = walk([1] * 5, flat(100, 100, 102, 104, 106), costs=costs, volume=[9, 40, 0, 50, 60])
    (trade,) = result.trades
    assert (trade["entry"], trade["exit"], trade["reason"]) == (1, 4, "open")
    assert trade["quantity"] * 10_000 == pytest.approx(10)
    assert trade["entry_price"] == pytest.approx((4 * 100 + 5 * 104 + 106) / 10)
    assert result.weights * result.equity * 10_000 == pytest.approx([0, 4 * 100, 4 * 102, 9 * 104, 10 * 106])


def test_the_rest_of_an_entry_is_not_sent_once_the_target_has_turned() -> None:
    costs = replace(FREE, max_participation=0.1)
    result = walk([1, 0, 1, 1, 1], flat(100, 100, 100, 100, 100), costs=costs, volume=[40, 40, 30, 20, 200])
    # 4 units in on bar 1, 3 of them out on bar 2, the last on bar 3, where the new entry has one unit of room.
    first, second = result.trades
    assert (first["entry"], first["exit"], first["reason"]) == (1, 3, "signal")
    assert first["quantity"] * 10_000 == pytest.approx(4)
    assert (second["entry"], second["quantity"] * 10_000) == (3, pytest.approx(10))
    assert result.weights * 100 == pytest.approx([0, 4, 1, 1, 10])


def test_a_share_of_the_volume_slips_by_its_root() -> None:
    # 10 units aimed at 101; 4 of 40 and 6 of 96 units of volume, shares of a tenth and a sixteenth: 100 + 400 sqrt(v).
    costs = Costs(taker_fee=0, slippage_bps=100, impact_bps=400, max_participation=0.1, charge_funding=False)
    (trade,) = walk([1] * 4, flat(100, 100, 100, 100), costs=costs, volume=[40, 40, 96, 1000]).trades
    aimed = 1000 / 101
    first, second = 4 * (101 + 4 * np.sqrt(0.1)), (aimed - 4) * (101 + 4 * np.sqrt((aimed - 4) / 96))
    assert trade["quantity"] * 10_000 == pytest.approx(aimed)
    assert trade["entry_price"] == pytest.approx((first + second) / aimed)


def test_a_stop_takes_the_room_of_its_bar_and_leaves_the_rest_to_the_market() -> None:
    costs = replace(FREE, max_participation=0.1)
    bars = [*flat(100, 100), (100, 100, 94, 97), *flat(96, 98, 98)]
    result = walk([1] * 6, bars, costs=costs, volume=[100, 100, 50, 30, 40, 40], stop_loss=0.05)
    # 5 units at 95, 3 at 96, 2 at 98; the direction is spent.
    (trade,) = result.trades
    assert (trade["exit"], trade["reason"]) == (4, "stop_loss")
    assert trade["exit_price"] == pytest.approx((5 * 95 + 3 * 96 + 2 * 98) / 10)
    # Entering takes from the same bar's volume: 6 of 8 units in, 2 out at the stop of the entry bar.
    bars = [*flat(100), (100, 100, 94, 97), *flat(96)]
    result = walk([1] * 3, bars, costs=costs, volume=[1, 80, 40], stop_loss=0.05, weight=0.06)
    (trade,) = result.trades
    assert trade["exit_price"] == pytest.approx((2 * 95 + 4 * 96) / 6)


def test_stops_and_holding_count_from_the_average_and_the_first_fill() -> None:
    costs = replace(FREE, max_participation=0.1)
    bars = flat(100, 100, 110, 110, 110, 110, 110)
    (trade,) = walk([1] * 7, bars, costs=costs, volume=[50] * 7, max_holding_hours=4).trades
    # 5 units at 100, 5 at 110; out after four bars from the first, five units and five.
    assert (trade["entry"], trade["exit"], trade["reason"]) == (1, 6, "max_holding")
    bars = [*flat(100, 100, 110), (110, 110, 99.7, 100)]
    (trade,) = walk([1] * 4, bars, costs=costs, volume=[50, 50, 50, 100], stop_loss=0.05).trades
    assert trade["exit_price"] == pytest.approx(105 * 0.95)


def test_an_entry_is_asked_for_again_at_each_close() -> None:
    bars = flat(*range(100, 107))
    # The allotment is nothing until bar 2; the weight is that of the bar whose close permits.
    (trade,) = walk([1] * 7, bars, weight=[0, 0, 0.05, 0.1, 0.1, 0.1, 0.1]).trades
    assert (trade["entry"], trade["quantity"]) == (3, pytest.approx(0.05 / 103))
    (trade,) = walk([1] * 7, bars, turbulent=[9, 2.31, 2.3, 0, 0, 0, 0], volatility_threshold=2.3).trades
    assert trade["entry"] == 3
    assert walk([1, 1, 0, 0, 0, 0, 0], bars, turbulent=[9, 9, 0, 0, 0, 0, 0]).trades == []
    # What is held stays, and is left when the target says so.
    (trade,) = walk([1, 1, 1, 0, 0, 0, 0], bars, turbulent=[0, 9, 9, 9, 9, 9, 9]).trades
    assert (trade["entry"], trade["exit"]) == (1, 4)


def test_a_sleeve_in_drawdown_enters_nothing_new() -> None:
    # A stop at -15 % of a weight of 0.5 costs 7.5 %, beyond a limit of 5 %; there is no way back from there.
    bars = [*flat(100, 100), (100, 100, 80, 80), *flat(80, 80, 80, 80)]
    target = [1, 1, 1, -1, -1, 0, 0]
    assert len(walk(target, bars, weight=0.5, max_drawdown=0.05).trades) == 1
    assert len(walk(target, bars, weight=0.5, max_drawdown=0.08).trades) == 2


def test_in_comparison_mode_levels_wait_a_bar_and_pre_empt_the_order_of_theirs() -> None:
    bars = [*flat(100), (100, 100, 90, 97), (97, 97, 90, 97), *flat(97, 97, 97)]
    target = [1, -1, -1, -1, 0, 0]
    usual = walk(target, bars, stop_loss=0.05)
    assert [(t["side"], t["entry"], t["exit"]) for t in usual.trades] == [(1, 1, 1), (-1, 2, 5)]
    assert exits(walk(target, bars, stop_loss=0.05, stops_from_next_bar=True)) == [(2, 95, "stop_loss")]


def test_scores_rank_assets_against_each_other() -> None:
    # Equal prices, volumes 1, 2, 2 and 3 units: liquidity ranks 0, 1/2, 1/2, 1; all else is tied at 1/2.
    n, shape = 40, (40, 4)
    prices = {name: np.full(shape, 10.0) for name in ("open", "high", "low", "close")}
    volume = np.broadcast_to([1.0, 2.0, 2.0, 3.0], shape)
    panel = Panel.from_arrays(
        symbols="ABCD",
        interval=Interval.parse("1h"),
        times=MONDAY_MS + 3_600_000 * np.arange(n),
        volume=volume,
        **prices,
    )
    weights = {"liquidity_weight": 0.5, "volatility_weight": 0.25, "momentum_weight": 0.25}
    genome = genome_with(position_size=0.15, position_size_limit=0.10, **weights)
    scores = score_table(genome, panel, n)
    assert scores.iloc[-1].tolist() == pytest.approx([0.25, 0.5, 0.5, 0.75])
    assert scores.iloc[0].tolist() == [0.5] * 4  # nothing is known
    # Allotments of 10 % of that, all under position_size and far below equity.
    assert weight_table(genome, panel, n)[-1].tolist() == pytest.approx([0.025, 0.05, 0.05, 0.075])
    only = genome_with(liquidity_weight=1.0, volatility_weight=0.0, momentum_weight=0.0)
    assert weight_table(only, panel, n)[-1].tolist() == pytest.approx([0.0, 0.075, 0.075, 0.1])
    nothing = genome_with(liquidity_weight=0.0, volatility_weight=0.0, momentum_weight=0.0)
    assert score_table(nothing, panel, n).iloc[-1].tolist() == pytest.approx([1 / 3, 0.5, 0.5, 2 / 3])


def test_weights_shrink_where_gross_exposure_would_pass_equity() -> None:
    panel = random_panel(3, bars=60, assets=20, holes=False)
    genome = genome_with(position_size=0.15, position_size_limit=0.15)
    score = score_table(genome, panel, 60).iloc[-1].to_numpy()
    # The ranks of 20 assets sum to 10, so that scores do: gross min(20 x 0.15, 0.15 x 10) = 1.5.
    assert score.sum() == pytest.approx(10)
    expected = np.where(score > 0.1, 0.15 * score, 0.0) / 1.5
    np.testing.assert_allclose(weight_table(genome, panel, 60)[-1], expected)


def test_a_lone_asset_scores_one() -> None:
    panel = random_panel(1, bars=50, assets=1, holes=False)
    assert (weight_table(genome_with(position_size=0.07), panel, 50) == 0.07).all()


def test_volatility_is_compared_with_its_usual_measure() -> None:
    # Returns of +-1 % for 745 bars, then of +-3 %. The ratio needs 24 returns and 720 deviations before.
    size = np.repeat([0.01, 0.03], [745, 55])
    close = 100 * np.exp(np.cumsum(size * np.tile([1, -1], 400)))
    found = turbulence(panel_of(flat(*close)), 0, 800)
    assert (found[:744] == 0).all()
    assert found[744] == pytest.approx(1)
    # Half of the last 24 returns at 3 %: sqrt((1 + 9) / 2); later all of them.
    assert found[756] == pytest.approx(np.sqrt(5))
    assert found[780] == pytest.approx(3)
