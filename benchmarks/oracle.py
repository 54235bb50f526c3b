"""What the best rule of the product earns on each planted edge of the audit: the rows of its `edges.yaml`.

The best of 1,000 random genomes of the families that fit the edge (of 200 for an edge between assets), by net Sharpe
ratio over 20 simulated years; what it earns on average over four times 20 other years undoes the choice. Takes about
ten minutes of one core. `ONLY=relative` measures the edges between assets alone, `ONLY=single` the others; `BARS=4h`
by longer bars.
"""

import os
import time
from typing import Any

import numpy as np

from quant_organism.audit.edges import Edge, edges, relative_edges
from quant_organism.backtest import Costs, Evaluator
from quant_organism.market.funding import align_funding
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.sentiment import align_sentiment
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import WorldSpec
from quant_organism.strategies import evolving_families, random_genome, ranking_family_names

GENOMES, RANKING_GENOMES, DAYS = 1_000, 200, 7_300
SEED, OTHER_SEEDS = 9_000, range(9_001, 9_005)
_AT_ONCE = 50
BARS = Interval.parse(os.environ.get("BARS", "1h"))


def years_of(edge: Edge, seed: int, bars: Interval) -> Panel:
    """Return twenty years of a market that has an edge throughout, by bars of an hour or of more."""
    spec = WorldSpec(name="oracle", days=DAYS, assets=edge.assets, plants=(edge.plant,))
    source = WorldSource(spec, seed)
    symbols = source.symbols()
    candles = source.candles(symbols, bars, spec.start, spec.end)
    shown = {name: candles[name].to_numpy().reshape(-1, len(symbols)) for name in candles.columns[2:]}
    times = candles["timestamp"].dt.epoch("ms").unique().sort().to_numpy()
    rate, paid = align_funding(source.funding(symbols, spec.start, spec.end), symbols, times, bars)
    return Panel.from_arrays(
        symbols=symbols,
        interval=bars,
        times=times,
        open=shown["open"],
        high=shown["high"],
        low=shown["low"],
        close=shown["close"],
        volume=shown["volume"],
        funding_rate=rate,
        funding_paid=paid,
        valid=np.ones(rate.shape, dtype=bool),
        fear_greed=align_sentiment(source.sentiment(spec.start, spec.end), times, bars),
    )


def _oracle(edge: Edge) -> dict[str, Any]:
    began, rng = time.process_time(), np.random.default_rng(SEED)
    known, count = (ranking_family_names(), RANKING_GENOMES) if edge.is_relative else (evolving_families(), GENOMES)
    fitting = [name for name in known if edge.fits(name)]
    genomes = [random_genome(rng, fitting[place % len(fitting)]) for place in range(count)]
    chosen_on = years_of(edge, SEED, BARS)
    found = [
        Evaluator(threads=1).evaluate(genomes[place : place + _AT_ONCE], chosen_on, Costs()).metrics["sharpe"]
        for place in range(0, count, _AT_ONCE)
    ]
    sharpe = np.nan_to_num(np.concatenate(found), nan=-np.inf)
    best = genomes[int(sharpe.argmax())]
    again = [
        Evaluator(threads=1).evaluate([best], years_of(edge, seed, BARS), Costs()).metrics["sharpe"][0]
        for seed in OTHER_SEEDS
    ]
    return {
        "metric": f"{edge.family} {edge.strength}, k = {edge.k}",
        "value": float(np.mean(again)),
        "unit": "Sharpe a year",
        "note": f"{best.family}; {sharpe.max():.2f} where it was chosen; {time.process_time() - began:.0f} CPU s",
    }


def run() -> list[dict[str, Any]]:
    """Look for the oracle of every edge."""
    only = os.environ.get("ONLY")
    single, relative = () if only == "relative" else edges(), () if only == "single" else relative_edges()
    return [_oracle(edge) for edge in (*single, *relative)]
