"""Worlds with an edge that only a ranking finds, and without any."""

from __future__ import annotations

import numpy as np
import pytest

from quant_organism.audit.edges import Edge
from quant_organism.backtest import Costs, Evaluator
from quant_organism.market import Panel
from quant_organism.market.world import WorldSpec
from quant_organism.market.world.generator import generate
from quant_organism.strategies import default_genome


def spec_of(**more: object) -> WorldSpec:
    """Return a world of eight assets."""
    assets = [{"symbol": f"S{place}", "volatility": 0.8 + 0.1 * place} for place in range(8)]
    return WorldSpec.model_validate({"name": "ranked", "days": 300, "assets": assets, **more})


def panel_of(spec: WorldSpec, seed: int) -> Panel:
    """Draw a world."""
    bars, _ = generate(spec, seed)
    return bars.panel()


@pytest.mark.parametrize(
    ("plant", "strength", "finder"), [("relative_momentum", 0.05, "xs_momentum"), ("relative_carry", 0.06, "xs_carry")]
)
def test_a_relative_edge_is_found_by_the_ranking_that_it_is_made_for(plant: str, strength: float, finder: str) -> None:
    spec = spec_of(plants=[{"family": plant, "strength": strength}])
    genomes = [default_genome(name) for name in (finder, "xs_low_risk")]
    found = Evaluator(threads=1).evaluate(genomes, panel_of(spec, 1), Costs()).metrics["sharpe"]
    without = Evaluator(threads=1).evaluate(genomes, panel_of(spec_of(), 1), Costs()).metrics["sharpe"]
    assert found[0] > 3.0
    assert found[0] > without[0] + 2.0
    assert abs(without[0]) < 3.0


@pytest.mark.parametrize("plant", ["relative_momentum", "relative_carry"])
def test_relative_edges_hardly_move_the_market(plant: str) -> None:
    _, truth = generate(spec_of(plants=[{"family": plant, "strength": 0.05}]), 2)
    apart = truth.edge / truth.sd
    assert np.abs(apart.mean(axis=1)).max() < 1e-12
    assert np.abs(apart).mean() > 0.01


def test_a_relative_edge_fits_families_that_rank_alone() -> None:
    momentum = Edge(family="relative_momentum", strength="strong", k=0.02, oracle_sharpe=2.5, chosen_at=2.5)
    assert momentum.fits("xs_momentum")
    assert not momentum.fits("ema_crossover")
    assert not momentum.fits("xs_carry")
