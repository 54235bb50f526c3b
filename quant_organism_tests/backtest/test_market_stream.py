"""Streams that share a market make the trades of streams that have it for themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quant_organism.backtest import Costs, GenomeStream, MarketRow
from quant_organism.backtest.market_stream import MarketStream
from quant_organism.errors import InputError
from quant_organism.strategies import FittedModels, default_genome, family_names, get_family, random_genome
from quant_organism_tests.backtest.markets import random_panel

START = 180


def test_streams_of_one_market_trade_as_each_by_itself() -> None:
    """A bar that nobody gives a funding rate is there for all but those who read one."""
    panel = random_panel(7, bars=300, assets=3)
    unknown = np.arange(panel.n_bars)[:, np.newaxis] % 7 == 3
    panel = replace(panel, funding_rate=np.where(unknown, np.nan, panel.funding_rate))
    market = MarketStream(panel.symbols, panel.interval, panel.window(0, START))
    genomes = [default_genome(name) for name in family_names() if not get_family(name).ranks]
    together = [GenomeStream(each, panel.symbols, panel.interval, Costs(), market=market) for each in genomes]
    history = panel.window(0, START)
    alone = [GenomeStream(each, panel.symbols, panel.interval, Costs(), history=history) for each in genomes]
    for place in range(START, panel.n_bars):
        row = MarketRow.of(panel, place)
        for one, other in zip(together, alone, strict=True):
            assert one.step(row).fills == other.step(row).fills
            np.testing.assert_array_equal(one.units, other.units)
            np.testing.assert_array_equal(one.equity, other.equity)
    hashes = [stream.finish().hash for stream in together]
    assert hashes == [stream.finish().hash for stream in alone]
    assert len(set(hashes)) > len(hashes) // 2
    assert market.histories.rated().counts.sum() < market.histories.counts.sum() == panel.valid.sum()


def test_who_is_left_behind_changes_nothing_for_the_others() -> None:
    """Two genomes of each family at two costs; after a while every third is no longer advanced."""
    panel, rng = random_panel(9, bars=640, assets=3), np.random.default_rng(3)
    market = MarketStream(panel.symbols, panel.interval, panel.window(0, 600))
    names = [name for name in family_names() if get_family(name).evolves and not get_family(name).ranks]
    genomes = [random_genome(rng, name) for name in (*names, *names)]
    costs, models = [Costs(), Costs(slippage_bps=20.0)], FittedModels()
    every = [
        (
            GenomeStream(each, panel.symbols, panel.interval, costs[place % 2], market=market, models=models),
            GenomeStream(
                each, panel.symbols, panel.interval, costs[place % 2], history=panel.window(0, 600), models=models
            ),
        )
        for place, each in enumerate(genomes)
    ]
    for bar in range(600, panel.n_bars):
        row = MarketRow.of(panel, bar)
        for one, _ in (pair for place, pair in enumerate(every) if bar < 615 or place % 3):
            one.advance(row)
        # All take a bar at once, whoever hands it on.
        for one, other in (pair for place, pair in enumerate(every) if bar <= 615 or place % 3):
            other.advance(row)
            opens = row.close * 1.001
            for found, expected in zip(one.levels(opens), other.levels(opens), strict=True):
                np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(one.units, other.units)
            np.testing.assert_array_equal(one.sleeve_returns, other.sleeve_returns)
            np.testing.assert_array_equal(one.foreseen_days(), other.foreseen_days())
        if bar == 620:
            left, alone = every[0]
            np.testing.assert_array_equal(left.units, alone.units)
            with pytest.raises(InputError, match="the market is past it"):
                left.advance(row)
    assert [one.finish().hash for one, _ in every] == [other.finish().hash for _, other in every]


def test_a_market_that_has_gone_on_is_not_joined_and_does_not_go_back() -> None:
    panel = random_panel(8, bars=60, assets=2)
    market = MarketStream(panel.symbols, panel.interval, panel.window(0, 40))
    genome = default_genome("ema_crossover")
    one, other = (GenomeStream(genome, panel.symbols, panel.interval, Costs(), market=market) for _ in range(2))
    one.advance(MarketRow.of(panel, 40))
    with pytest.raises(InputError, match="joins a market at the last bar of its history"):
        GenomeStream(genome, panel.symbols, panel.interval, Costs(), market=market)
    one.advance(MarketRow.of(panel, 41))
    with pytest.raises(InputError, match="the market is past it, at 2024-01-02 17:00"):
        other.advance(MarketRow.of(panel, 40))
