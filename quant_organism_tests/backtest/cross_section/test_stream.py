"""Cross-sectional genomes bar by bar: the evaluator's bits, and the orders of the account that follows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator, MarketRow, open_stream
from quant_organism.backtest.account import committee_setting, member_name, stopless_members
from quant_organism.backtest.cross_section.book import GUARD_DISTANCE
from quant_organism.errors import InputError
from quant_organism.market import Panel, Span
from quant_organism.strategies import Committee, Genome, default_genome, get_family, random_genome, ranking_family_names
from quant_organism.strategies.cross_section.family import CrossSectionFamily
from quant_organism.validation.replay import Replay, replay_committee
from quant_organism_tests.strategies.cross_section.test_decisions import market

FAMILIES = ranking_family_names()


def sound(name: str, seed: int) -> Genome:
    """Return a random genome that leaves no asset out for its volume."""
    genome = random_genome(np.random.default_rng(seed), name)
    return replace(genome, genes=dict(genome.genes) | {"liquidity_share": 0.0})


def shuffled(panel: Panel) -> Panel:
    """Return the panel with its assets in another order."""
    order = np.random.default_rng(3).permutation(panel.n_assets)
    return Panel.from_arrays(
        symbols=[panel.symbols[place] for place in order],
        interval=panel.interval,
        times=panel.times,
        open=panel.open[:, order],
        high=panel.high[:, order],
        low=panel.low[:, order],
        close=panel.close[:, order],
        volume=panel.volume[:, order],
        funding_rate=panel.funding_rate[:, order],
        funding_paid=panel.funding_paid[:, order],
        valid=panel.valid[:, order],
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_bar_by_bar_a_genome_does_what_the_evaluator_says(name: str) -> None:
    panel, genome = shuffled(market(12)), sound(name, 21)
    numbers, family = panel.times // panel.interval.milliseconds, get_family(genome.family)
    assert isinstance(family, CrossSectionFamily)
    # Right after a decision, so that the first orders come from the history.
    start = int(np.flatnonzero(family.decides(genome.genes, numbers[320:], panel.interval.hours))[0]) + 321
    costs = Costs(max_participation=0.2, impact_bps=5.0, capital_usd=1e5) if name == "xs_momentum" else Costs()
    evaluator = Evaluator(threads=1)
    stream = open_stream(genome, panel.symbols, panel.interval, costs, history=panel.window(0, start))
    returns, units, stops = [], [stream.units], []
    for row in range(start, panel.n_bars):
        stop, target = stream.levels(np.where(panel.valid[row], panel.open[row], np.nan))
        assert np.isnan(target).all()
        stops.append(stop)
        stream.advance(MarketRow.of(panel, row))
        gains, total = stream.sleeve_returns, 0.0
        for asset in sorted(range(panel.n_assets), key=panel.symbols.__getitem__):
            total += gains[asset]
        returns.append(total)
        units.append(stream.units)
    found = evaluator.evaluate([genome], panel, costs, start=start, bar_returns=True, asset_daily_returns=True)
    assert found.bar_returns is not None
    assert np.count_nonzero(returns) > 50
    assert np.array_equal(found.bar_returns[0], returns)
    assert stream.finish().frame.equals(evaluator.trades(genome, panel, costs, start=start).frame)
    assert stream.trades().frame.height <= stream.finish().frame.height
    brought = np.nan_to_num(found.asset_metrics["total_return"][0])
    assert brought == pytest.approx(stream.equity - 1.0, abs=1e-12)
    if costs.max_participation is None:
        exposed = evaluator.exposures([genome], panel, costs, start=start)
        assert units[0].any()
        assert np.array_equal(exposed.units, np.array(units)[:, exposed.assets])
        assert np.array_equal(exposed.stops, np.array(stops)[:, exposed.assets], equal_nan=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_book_beside_another_is_that_of_a_stream_at_its_costs(name: str) -> None:
    panel, genome, start = shuffled(market(12)), sound(name, 21), 250
    costs, others = Costs(max_participation=0.01, impact_bps=5.0, capital_usd=1e6), Costs(taker_fee=0.001)
    history = panel.window(0, start)
    stream, alone = (open_stream(genome, panel.symbols, panel.interval, c, history=history) for c in (costs, others))
    beside = stream.beside(others)
    for row in range(start, panel.n_bars):
        opens = np.where(panel.valid[row], panel.open[row], np.nan)
        np.testing.assert_array_equal(beside.levels(opens), alone.levels(opens))
        stream.advance(MarketRow.of(panel, row))
        alone.advance(MarketRow.of(panel, row))
        for figure in ("units", "sleeve_returns", "equity"):
            np.testing.assert_array_equal(getattr(beside, figure), getattr(alone, figure))
    assert beside.finish().hash == alone.finish().hash != stream.finish().hash
    assert stream.finish().hash == Evaluator(threads=1).trades(genome, panel, costs, start=start).hash
    with pytest.raises(InputError, match="traded nothing yet"):
        stream.beside(others)


def test_a_step_tells_fills_and_what_stands() -> None:
    panel, genome = market(13), sound("xs_reversal", 2)
    stream = open_stream(genome, panel.symbols, panel.interval, Costs(), history=panel.window(0, 250))
    waiting: dict[str, float] = {}
    filled = 0
    for row in range(250, 320):
        step = stream.step(MarketRow.of(panel, row))
        for fill in step.fills:
            assert fill.quantity == waiting[fill.symbol]
            filled += 1
        waiting = {order.symbol: order.quantity for order in step.orders}
    assert filled > 20


def test_what_a_stream_cannot_follow_is_refused() -> None:
    panel = market(1, bars=60)
    genome = default_genome("xs_momentum")
    with pytest.raises(InputError, match="the history holds"):
        open_stream(genome, panel.symbols[1:], panel.interval, Costs(), history=panel)
    stream = open_stream(genome, panel.symbols, panel.interval, Costs(), history=panel.window(0, 50))
    with pytest.raises(InputError, match="not later than the last"):
        stream.advance(MarketRow.of(panel, 49))
    late = MarketRow.of(panel, 50)
    with pytest.raises(InputError, match="do not open at this time"):
        stream.advance(replace(late, time=late.time + 1))


def test_backtest_and_replay_of_an_account_send_the_same_orders() -> None:
    panel = market(14, bars=700, assets=10)
    committee = Committee.of(
        [sound("xs_momentum", 1), sound("xs_low_risk", 2), default_genome("ema_crossover")], [2, 1, 1]
    )
    periods = Span("period 1", 500, 600), Span("period 2", 600, 700)
    found = replay_committee(committee, panel, Costs(), periods)
    assert isinstance(found, Replay)
    for account in found.accounts:
        assert account.orders > 20
        assert account.difference == ""
        assert account.order_hash == account.backtest_hash
    assert found.difference == ""


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_sends_the_orders_of_the_backtest(name: str) -> None:
    panel, periods = market(14, bars=700, assets=10), (Span("period 1", 500, 600), Span("period 2", 600, 700))
    found = replay_committee(Committee.of([sound(name, 21)]), panel, Costs(), periods)
    assert isinstance(found, Replay)
    assert found.orders_equal == 2, found.difference
    assert any(account.orders for account in found.accounts)


def test_members_that_rank_have_no_stops_but_a_guard_against_disaster() -> None:
    panel = market(15, bars=500, assets=10)
    ranking = sound("xs_low_risk", 2)
    committee = Committee.of([ranking, default_genome("ema_crossover")])
    setting = committee_setting(committee, panel, Costs(), daily_before=[0.01, -0.01] * 15)
    names = {member.genome.family: member_name(member) for member in committee.members}
    assert setting.virtual.stopless == {(committee.id, names["xs_low_risk"])}
    assert setting.virtual.stopless == stopless_members({committee.id: committee})
    columns = [place for place, leg in enumerate(setting.virtual.legs) if leg[1] == names["xs_low_risk"]]
    stops, units = setting.virtual.stops[:, columns], setting.virtual.units[:-1, columns]
    stands = np.isfinite(stops)
    symbols = [setting.virtual.legs[place][2] for place in columns]
    close = panel.close[:, [panel.symbols.index(symbol) for symbol in symbols]]
    # Half the price of the last decision away: no bar's move reaches it here.
    assert stands.any()
    assert np.all(np.abs(stops / close - 1.0)[stands] > 0.5 * GUARD_DISTANCE)
    assert np.all((stops < close)[stands] == (units > 0.0)[stands])
    run = setting.run(10_000.0)
    assert run.path.fills.size > 0


def test_a_member_that_ranks_cannot_be_restricted() -> None:
    with pytest.raises(InputError, match="cannot be restricted to S0"):
        Committee.of([default_genome("xs_momentum")], assets=[("S0",)])
