"""Which families earn on each strong planted edge of single assets: who counts as made for it in an audit.

Of each family the three best of 60 random genomes over five simulated years, and what they earn on average over five
others. Takes about two minutes of one core.
"""

import time
from typing import Any

import numpy as np

from quant_organism.audit.edges import Edge, edges
from quant_organism.backtest import Costs, Evaluator
from quant_organism.market import Panel, WorldSource, WorldSpec, continued
from quant_organism.strategies import get_family, random_genome
from quant_organism.strategies.families import evolving_families

GENOMES, BEST, DAYS = 60, 3, 1_825
SEED, OTHER_SEED = 9_100, 9_101


def _panel(edge: Edge, seed: int) -> Panel:
    spec = WorldSpec(name="oracle", days=DAYS - 1, assets=edge.assets, plants=(edge.plant,))
    return continued(WorldSource(spec, seed), tuple(asset.symbol for asset in edge.assets), days=1).panel


def _row(edge: Edge, family: str, market: Panel, other: Panel) -> dict[str, Any]:
    began, rng = time.process_time(), np.random.default_rng(7)
    genomes = [random_genome(rng, family) for _ in range(GENOMES)]
    sharpe = np.nan_to_num(Evaluator(threads=1).evaluate(genomes, market, Costs()).metrics["sharpe"], nan=-np.inf)
    best = [genomes[place] for place in np.argsort(-sharpe, kind="stable")[:BEST]]
    later = np.nan_to_num(Evaluator(threads=1).evaluate(best, other, Costs()).metrics["sharpe"])
    made = "made for it" if edge.fits(family) else "not made for it"
    return {
        "metric": f"{edge.family} strong, {family}",
        "value": float(later.mean()),
        "unit": "Sharpe a year",
        "note": f"{made}; {sharpe.max():.2f} where it was chosen, oracle {edge.oracle_sharpe}; "
        f"{time.process_time() - began:.0f} CPU s",
    }


def run() -> list[dict[str, Any]]:
    """Measure every family that fits no model on every strong edge."""
    families = [name for name in evolving_families() if get_family(name).seed_type != "ml_classifier"]
    rows = []
    for edge in (edge for edge in edges() if edge.strength == "strong"):
        market, other = _panel(edge, SEED), _panel(edge, OTHER_SEED)
        rows += [_row(edge, family, market, other) for family in families]
    return rows
