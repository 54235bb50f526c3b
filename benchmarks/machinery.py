"""Selection and variation: fronts found on problems whose fronts are known, and the time that a brood takes."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from quant_organism.evolution.selection import survive
from quant_organism.evolution.variation import VariationRates, vary
from quant_organism.strategies import GeneRows, crossover, evolving_families, mutate, random_genome
from quant_organism_tests.evolution.pareto_problems import PROBLEMS, evolved

SEEDS = range(21)
BROOD = 500
REPEATS = 20


def run() -> list[dict[str, Any]]:
    """Measure medians over all seeds, and processor time as the least of several runs."""
    rows = []
    for name, problem in PROBLEMS.items():
        found = [evolved(problem, problem.evaluations, seed) for seed in SEEDS]
        spread = f"{min(found):.4f} to {max(found):.4f} over {len(found)} seeds, {problem.evaluations:,} evaluations"
        rows.append(_row(f"{name}_hypervolume", float(np.median(found)), "", spread))
        rows.append(_row(f"{name}_of_pymoo", float(np.median(found)) / problem.pymoo, "x", "NSGA-II; bar 0.98"))
    for name in ("DTLZ1", "DTLZ2", "DTLZ3"):
        found = [evolved(PROBLEMS[name], PROBLEMS[name].evaluations, seed, "nsga3") for seed in SEEDS[:5]]
        rows.append(_row(f"{name}_nsga3", float(np.median(found)), "", f"{len(found)} seeds, the same evaluations"))
    return rows + _times()


def _times() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    names = evolving_families()
    genomes = [random_genome(rng, names[i % len(names)]) for i in range(BROOD)]
    gene_rows, rates, every = GeneRows.of(genomes), VariationRates(), np.ones(BROOD, dtype=bool)
    mothers, fathers = gene_rows.take(np.arange(0, BROOD, 2)), gene_rows.take(np.arange(1, BROOD, 2))

    def arrays() -> None:
        GeneRows.of(genomes)
        crossover(mothers, fathers, rng, eta=rates.crossover_eta)
        mutate(gene_rows, every, rng, rate=rates.mutation_rate, eta=rates.mutation_eta)

    objectives = rng.random((2 * BROOD, 4))
    note = f"{BROOD} genomes of {len(names)} families, trees among them"
    return [
        _row("brood_arrays_ms", _least_ms(arrays), "ms", f"rows, crossover and mutation; {note}"),
        _row("brood_ms", _least_ms(lambda: vary(genomes, rates, rng, 1)), "ms", f"whole, genomes checked; {note}"),
        _row("nsga2_ms", _least_ms(lambda: survive(objectives, BROOD, "nsga2", rng)), "ms", "1,000 rows, 4 objectives"),
        _row("nsga3_ms", _least_ms(lambda: survive(objectives, BROOD, "nsga3", rng)), "ms", "1,000 rows, 4 objectives"),
    ]


def _least_ms(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return 1e3 * min(spent)


def _row(metric: str, value: float, unit: str, note: str) -> dict[str, Any]:
    return {"metric": metric, "value": value, "unit": unit, "note": note}
