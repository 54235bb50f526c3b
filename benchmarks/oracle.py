"""What the best rule of the product earns on each planted edge of the audit: the rows of its `edges.yaml`.

The best of 1,000 random genomes of the families that fit the edge (of 200 for an edge between assets), by net Sharpe
ratio over 20 simulated years; what it earns on average over four times 20 other years undoes the choice. Takes about
ten minutes of one core. `ONLY=relative` measures the edges between assets alone.
"""

import os
import time
from typing import Any

import numpy as np

from quant_organism.audit.edges import Edge, edges, relative_edges
from quant_organism.backtest import Costs, Evaluator
from quant_organism.market.panel import Panel
from quant_organism.market.world.continuation import continued
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import WorldSpec
from quant_organism.strategies import evolving_families, random_genome, ranking_family_names

GENOMES, RANKING_GENOMES, DAYS = 1_000, 200, 7_300
SEED, OTHER_SEEDS = 9_000, range(9_001, 9_005)
_AT_ONCE = 50


def _panel(edge: Edge, seed: int) -> Panel:
    spec = WorldSpec(name="oracle", days=DAYS - 1, assets=edge.assets, plants=(edge.plant,))
    return continued(WorldSource(spec, seed), tuple(asset.symbol for asset in edge.assets), days=1).panel


def _oracle(edge: Edge) -> dict[str, Any]:
    began, rng = time.process_time(), np.random.default_rng(SEED)
    known, count = (ranking_family_names(), RANKING_GENOMES) if edge.is_relative else (evolving_families(), GENOMES)
    fitting = [name for name in known if edge.fits(name)]
    genomes = [random_genome(rng, fitting[place % len(fitting)]) for place in range(count)]
    market = _panel(edge, SEED)
    found = [
        Evaluator(threads=1).evaluate(genomes[place : place + _AT_ONCE], market, Costs()).metrics["sharpe"]
        for place in range(0, count, _AT_ONCE)
    ]
    sharpe = np.nan_to_num(np.concatenate(found), nan=-np.inf)
    best = genomes[int(sharpe.argmax())]
    again = [
        Evaluator(threads=1).evaluate([best], _panel(edge, seed), Costs()).metrics["sharpe"][0] for seed in OTHER_SEEDS
    ]
    return {
        "metric": f"{edge.family} {edge.strength}, k = {edge.k}",
        "value": float(np.mean(again)),
        "unit": "Sharpe a year",
        "note": f"{best.family}; {sharpe.max():.2f} where it was chosen; {time.process_time() - began:.0f} CPU s",
    }


def run() -> list[dict[str, Any]]:
    """Look for the oracle of every edge."""
    single = () if os.environ.get("ONLY") == "relative" else edges()
    return [_oracle(edge) for edge in (*single, *relative_edges())]
