"""What the tests of steps and streams draw: genomes that trade, and markets with costs that bite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from quant_organism.backtest import Costs
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, family_names, get_family, random_genome
from quant_organism_tests.backtest.markets import random_panel

TIERS = (((0.0, 10),), ((0.0, 100), (300.0, 40), (2_000.0, 3)))


EAGER = {
    "momentum_threshold": 0.0,
    "trend_filter": 0.0,
    "breakout_threshold": 0.0,
    "volume_confirmation": 0.2,
    "false_breakout_filter": 0,
    "trend_bias": 0.2,
    "rsi_period": 6,
    "lookback_period": 10,
    "channel_period": 10,
}


@st.composite
def genomes(draw: st.DrawFn) -> Genome:
    """Draw a genome of any registered family whose own genes trade often."""
    genome = random_genome(
        np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.sampled_from(family_names()))
    )
    own = {spec.name for spec in get_family(genome.family).own_genes}
    genes = dict(genome.genes) | {name: value for name, value in EAGER.items() if name in own}
    genes["trailing_stop"] = draw(st.sampled_from([0.0, 0.004, 0.02, 0.1]))
    genes["max_holding_hours"] = draw(st.sampled_from([4, 9, 72, 336]))
    return Genome(genome.family, genes)


@st.composite
def markets(draw: st.DrawFn, *, limited: bool = False, bars: int = 400) -> tuple[Panel, Costs, int, int]:
    """Draw a market with holes, costs and a window; with `limited`, sometimes one whose volume is small."""
    panel = random_panel(
        draw(st.integers(0, 2**32 - 1)),
        bars=draw(st.integers(60, bars)),
        assets=draw(st.integers(1, 3)),
        interval=draw(st.sampled_from(["1h", "15m", "4h"])),
        volatility=draw(st.sampled_from([0.001, 0.01, 0.04])),
        holes=draw(st.booleans()),
        funding=draw(st.sampled_from([1e-4, 1e-2])),
        moods=draw(st.booleans()),
    )
    # Rates come and go; the first row has one, or a stream's history might have none.
    place = np.arange(panel.n_bars)[:, None]
    rates = np.where(place % 7 == 3, np.nan, np.sin(place / 9 + np.arange(panel.n_assets)) * 1e-4)
    panel = replace(panel, funding_rate=rates)
    participation = draw(st.sampled_from([None, 0.01, 1.0])) if limited else None
    costs = Costs(
        taker_fee=draw(st.sampled_from([0.0, 0.00045, 0.01])),
        maker_fee=draw(st.sampled_from([-0.0001, 0.0, 0.00015])),
        slippage_bps=draw(st.sampled_from([0.0, 5.0, 120.0])),
        charge_funding=draw(st.booleans()),
        leverage=draw(st.sampled_from([1.0, 3.0, 20.0, 100.0])),
        default_tiers=draw(st.sampled_from(TIERS)),
        max_participation=participation,
        impact_bps=0.0 if participation is None else draw(st.sampled_from([0.0, 200.0])),
        capital_usd=draw(st.sampled_from([1e3, 1e6, 1e8])),
    )
    start = draw(st.integers(0, panel.n_bars - 2))
    return panel, costs, start, draw(st.integers(start + 1, panel.n_bars))
