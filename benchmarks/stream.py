"""The streaming twin: what a bar costs, with little and with much history, and what the steps cost without signals.

Each family trades its default genome. A step computes targets and ranks from the whole history, so its cost grows with
that; the steps in a row are what the evaluator walks when volume is limited.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from benchmarks.evaluator import panel, row
from quant_organism.backtest import Costs, Evaluator, GenomeStream, MarketRow
from quant_organism.market.panel import Panel
from quant_organism.strategies import default_genome, evolving_families, random_genome

ASSETS, STEPS, BARS = 4, 100, 8_760
COSTS = Costs()


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    market = panel(BARS, ASSETS)
    rows = []
    for history in (720, BARS - STEPS):
        costs = {name: step_seconds(name, market, history) for name in evolving_families()}
        slowest = max(costs, key=costs.__getitem__)
        each = statistics.mean(costs.values())
        note = f"{ASSETS} assets after {history} bars, mean over families; slowest {slowest} {costs[slowest] * 1e6:.0f}"
        rows.append(row(f"us_per_step_{history}", each * 1e6, "us", note))
        rows.append(row(f"asset_bars_per_s_{history}", ASSETS / each, "bars/s", "each asset's bars count"))
    rng = np.random.default_rng(0)
    genomes = [random_genome(rng, "ema_crossover") for _ in range(100)]
    for name, costs_of in (("walk", COSTS), ("steps", Costs(max_participation=0.1))):
        evaluator = Evaluator(threads=1)
        evaluator.evaluate(genomes, market, costs_of)
        begun = time.perf_counter()
        evaluator.evaluate(genomes, market, costs_of)
        took = (time.perf_counter() - begun) / (len(genomes) * BARS * ASSETS)
        rows.append(row(f"{name}_ns_per_bar", took * 1e9, "ns", "a genome's bar, all-in, 100 genomes of ema_crossover"))
    return rows


def step_seconds(family: str, market: Panel, history: int) -> float:
    """Return the median seconds of a step of all assets after so many bars of history."""
    stream = GenomeStream(
        default_genome(family), market.symbols, market.interval, COSTS, history=market.window(0, history)
    )
    stream.step(MarketRow.of(market, history))
    times = []
    for place in range(history + 1, history + STEPS):
        bar = MarketRow.of(market, place)
        begun = time.perf_counter()
        stream.step(bar)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
