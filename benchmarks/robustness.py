"""What it costs to shake a strategy, and whom the vetoes of the profile `full` stop: the lucky, and the skilled.

Strategies are the best of many random rules in sample, alone and as committees, so nothing that was searched for long.
On worlds without an edge all of them are luck; on planted ones some are not: those that gained on the unseen days too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.evaluator import row
from benchmarks.significance import in_sample
from quant_organism.backtest import Costs, Evaluator
from quant_organism.cycle import Compute, Cycle, CyclePlan, SplitPanel
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.records import candidates_frame
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import PopulationTable
from quant_organism.market.lake import Lake
from quant_organism.market.panel import Panel
from quant_organism.market.schema import day_of
from quant_organism.market.world import WorldSpec, load_world
from quant_organism.market.world.generator import generate
from quant_organism.strategies import Committee, Genome, evolving_families, get_family, random_genome
from quant_organism.validation.case import Case
from quant_organism.validation.profile import Profile
from quant_organism.validation.robustness.examination import examine
from quant_organism.validation.robustness.subject import Subject

TRIED, MIN_TRADES = 280, 30
SIZES = (1, 6)
NULL_SEEDS = range(301, 309)
PLANTS = ({"family": "breakout", "strength": 0.08}, {"family": "carry", "strength": 0.08})
PLANT_SEEDS = range(401, 405)
RULES = tuple(name for name in evolving_families() if not get_family(name).model_genes)
VETOES = tuple(gate for gate in Profile.load("full").paper if gate.stage == "robustness")


def run() -> list[dict[str, Any]]:
    """Shake strategies of the demo world, then those of worlds with and without an edge."""
    evaluator = Evaluator(threads=len(os.sched_getaffinity(0)))
    return [*_costs(evaluator), *_vetoes(evaluator)]


def best_of(panel: Panel, evaluator: Evaluator, seed: int, members: int) -> list[Genome]:
    """Return the best of random rules by their Sharpe ratio."""
    rng = np.random.default_rng(seed)
    genomes = [random_genome(rng, RULES[place % len(RULES)]) for place in range(TRIED)]
    metrics = evaluator.evaluate(genomes, panel, Costs()).metrics
    scores = np.where(metrics["trades"] >= MIN_TRADES, np.nan_to_num(metrics["sharpe"], nan=-99.0), -99.0)
    return [genomes[place] for place in np.argsort(-scores)[:members]]


def _costs(evaluator: Evaluator) -> Iterator[dict[str, Any]]:
    panel = in_sample("demo", 5)
    genomes = best_of(panel, evaluator, 0, 30)
    for members in (30, 1):
        seconds, cpu = [], []
        for _ in range(3):
            subject = Subject(Committee.of(genomes[:members]), panel, 0, Costs(), evaluator)
            began, used = time.perf_counter(), time.process_time()
            examine(subject, seed=1)
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
        what = f"all shakes, {members} genomes, {panel.n_assets} assets, {panel.n_bars:,} bars"
        yield row(f"examination_{members}_s", min(seconds), "s", what)
        yield row(f"examination_{members}_cpu_s", min(cpu), "s", "the same, CPU")


def _vetoes(evaluator: Evaluator) -> Iterator[dict[str, Any]]:
    lucky = [one for seed in NULL_SEEDS for one in _judged(_world(None, seed), evaluator, seed)]
    planted = [one for plant in PLANTS for seed in PLANT_SEEDS for one in _judged(_world(plant, seed), evaluator, seed)]
    skilled = [one for one in planted if one[1] > 0]
    for name, found in (("lucky", lucky), ("skilled", skilled)):
        stopped = sum(vetoed for vetoed, _ in found)
        yield row(f"{name}_vetoed", stopped / max(1, len(found)), "share", f"{stopped} of {len(found)}")


def _judged(panel: Panel, evaluator: Evaluator, seed: int) -> Iterator[tuple[bool, float]]:
    """Return of each strategy whether a veto stops it, and its Sharpe ratio on the unseen days."""
    with TemporaryDirectory() as place:
        cycle = Cycle(
            plan=CyclePlan(spec=EvolutionSpec.profile("smoke"), gates=Profile.load("full"), seed=seed),
            lake=Lake(Path(place)),
            market="world",
            interval=panel.interval,
            day=day_of(int(panel.times[-1])),
            data=SplitPanel(panel),
            compute=Compute(threads=evaluator.threads),
        )
        genomes = best_of(cycle.in_sample, evaluator, seed, max(SIZES))
        candidates = [Candidate(Committee.of(genomes[:size]), "champion") for size in SIZES]
        # Vetoes of robustness look at no trials.
        grounds = cycle.grounds(candidates_frame(candidates), PopulationTable.empty())
        unseen = evaluator.evaluate_committees(
            [candidate.committee for candidate in candidates],
            panel,
            cycle.plan.costs,
            start=cycle.splits.unseen.start,
            stop=cycle.splits.unseen.stop,
        )
        for candidate, sharpe in zip(grounds.candidates, unseen.metrics["sharpe"], strict=True):
            case = Case(candidate, grounds)
            yield any(gate.judge(case).status != "passed" for gate in VETOES), float(sharpe)


def _world(plant: dict[str, Any] | None, seed: int) -> Panel:
    """Return a year of four assets."""
    content = load_world("null").model_dump()
    content |= {"days": 365, "assets": content["assets"][:4], "plants": [plant] if plant else []}
    bars, _ = generate(WorldSpec.model_validate(content), seed)
    return bars.panel()
