"""Virtual positions: a stream says bar by bar what the evaluator says of a window, and both what was traded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator, GenomeStream, MarketRow
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, default_genome, family_names
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.streams import genomes, markets


def assert_stream_exposes_as_the_window(genome: Genome, panel: Panel, costs: Costs, start: int, stop: int) -> None:
    exposed = Evaluator(threads=1).exposures([genome], panel, costs, start=start, stop=stop)
    history = panel.window(0, start) if start else None
    stream = GenomeStream(genome, panel.symbols, panel.interval, costs, history=history)
    place = exposed.assets
    for row in range(start, stop):
        at = row - start
        np.testing.assert_array_equal(exposed.units[at], stream.units[place])
        bar = MarketRow.of(panel, row)
        stops, goals = stream.levels(np.where(bar.valid, bar.open, np.nan))
        np.testing.assert_array_equal(exposed.stops[at], stops[place])
        np.testing.assert_array_equal(exposed.targets[at], goals[place])
        stream.advance(bar)
        total = 0.0
        for asset in sorted(range(panel.n_assets), key=panel.symbols.__getitem__):
            total += stream.sleeve_returns[asset]
        assert exposed.returns[0, at] == total
    np.testing.assert_array_equal(exposed.units[-1], stream.units[place])


@settings(max_examples=25, deadline=None)
@given(genomes(), markets(bars=250))
def test_a_stream_holds_what_the_window_holds(genome: Genome, market: tuple[Panel, Costs, int, int]) -> None:
    panel, costs, start, stop = market
    assert_stream_exposes_as_the_window(genome, panel, costs, start, min(stop, start + 120))


@pytest.mark.parametrize("family", family_names())
def test_every_family_holds_the_same_bar_by_bar(family: str) -> None:
    panel = random_panel(11, bars=900, assets=2, volatility=0.01)
    assert_stream_exposes_as_the_window(default_genome(family), panel, Costs(), 800, 900)


@settings(max_examples=40, deadline=None)
@given(genomes(), st.integers(0, 2**32 - 1))
def test_units_are_held_while_trades_last(genome: Genome, seed: int) -> None:
    """In each trade the units stand from the decision before its entry to the close before its exit.

    Without gaps: that a holding time ends in one is known only at the close after it.
    """
    panel = random_panel(seed, bars=400, assets=2, holes=False)
    costs = Costs(charge_funding=False, slippage_bps=0.0, taker_fee=0.0)
    evaluator = Evaluator(threads=1)
    exposed = evaluator.exposures([genome], panel, costs)
    trades = evaluator.trades(genome, panel, costs).frame
    expected = np.zeros((panel.n_bars, exposed.assets.size), dtype=bool)
    for trade in trades.iter_rows(named=True):
        column = exposed.assets.tolist().index(panel.symbols.index(trade["symbol"]))
        times = [int(trade[name].timestamp() * 1000) for name in ("entry_time", "exit_time")]
        entry, out = np.searchsorted(panel.times, times).tolist()
        inside = trade["reason"] in ("signal", "max_holding")
        rows = np.arange(entry, out if inside else out + 1)
        expected[rows[panel.valid[rows, exposed.assets[column]]], column] = True
    held = (exposed.units[:-1] != 0.0) & panel.valid[:, exposed.assets]
    np.testing.assert_array_equal(held, expected)
    np.testing.assert_array_equal(np.isfinite(exposed.stops), expected)


def test_a_restored_stream_still_knows_its_units() -> None:
    panel, genome = random_panel(5, bars=300, assets=2), default_genome("ema_crossover")
    stream = GenomeStream(genome, panel.symbols, panel.interval, Costs(), history=panel.window(0, 200))
    for row in range(200, 260):
        stream.advance(MarketRow.of(panel, row))
    again = GenomeStream.restored(stream.state())
    for row in range(260, 300):
        np.testing.assert_array_equal(again.units, stream.units)
        np.testing.assert_array_equal(again.sleeve_returns, stream.sleeve_returns)
        stream.advance(MarketRow.of(panel, row))
        again.advance(MarketRow.of(panel, row))


def test_costs_that_limit_volume_are_refused() -> None:
    panel = random_panel(5, bars=300, assets=2)
    with pytest.raises(InputError, match="fill whole"):
        Evaluator(threads=1).exposures([default_genome("ema_crossover")], panel, Costs(max_participation=0.1))
