"""Sleeves that are walked in one call do what the stream does bar by bar, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from quant_organism.backtest import Costs, GenomeStream, MarketRow, SleeveWindow, streamed_targets
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, default_genome
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.streams import genomes, markets


@given(genomes(), markets(limited=True, bars=160))
@settings(max_examples=40, deadline=None)
def test_sleeves_are_those_of_the_stream(genome: Genome, market: tuple[Panel, Costs, int, int]) -> None:
    whole, costs, start, stop = market
    panel, others = whole.window(0, stop), replace(costs, max_participation=None, impact_bps=0.0)
    history = panel.window(0, start) if start else None
    stream = GenomeStream(genome, panel.symbols, panel.interval, costs, history=history)
    beside = stream.beside(others)
    window = SleeveWindow(panel, start)
    # Of the whole market: what was decided later, and by later bars, must not matter.
    decisions = window.decisions(genome, streamed_targets(genome, whole)[:stop])
    paths = [window.walk(genome, own, decisions) for own in (costs, others)]
    for sleeves, path in zip((stream, beside), paths, strict=True):
        np.testing.assert_array_equal(path.units[0], sleeves.units)
    for place, row in enumerate(range(start, stop)):
        opens = np.where(panel.valid[row], panel.open[row], np.nan)
        for sleeves, path in zip((stream, beside), paths, strict=True):
            np.testing.assert_array_equal(sleeves.levels(opens), (path.stops[place], path.targets[place]))
        stream.advance(MarketRow.of(panel, row))
        for sleeves, path in zip((stream, beside), paths, strict=True):
            np.testing.assert_array_equal(path.units[place + 1], sleeves.units)
            np.testing.assert_array_equal(path.returns[place], sleeves.sleeve_returns)
            np.testing.assert_array_equal(path.equity[place + 1], sleeves.equity)
    for sleeves, path in zip((stream, beside), paths, strict=True):
        assert path.trades.frame.equals(sleeves.finish().frame)
        np.testing.assert_array_equal(path.closing_equity, sleeves.closing_equity())


@pytest.mark.parametrize("start", [0, 90])
def test_what_a_close_tells_knows_nothing_of_later_bars(start: int) -> None:
    panel = random_panel(3, bars=1_000, assets=4, holes=True, moods=True)
    changed = panel.close.copy()
    changed[900:] *= 1.5
    later = replace(panel, close=changed, high=np.maximum(panel.high, changed))
    known, other = SleeveWindow(panel, start), SleeveWindow(later, start)
    targets = np.where(np.sin(np.arange(1_000) / 5)[:, None] > 0.0, 1.0, -1.0) * np.ones((1, 4))
    genome = default_genome("ema_crossover")
    one, two = (window.decisions(genome, targets) for window in (known, other))
    np.testing.assert_array_equal(one[: 901 - start], two[: 901 - start])
    assert (one[901 - start :] != two[901 - start :]).any()
