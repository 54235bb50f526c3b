"""The multi-objective genetic search (NSGA-II), seeded, with every trial kept.

Source of the method: Deb, Pratap, Agarwal, Meyarivan 2002, IEEE Trans. Evol. Comp. 6(2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluation, Evaluator
from quant_organism.evolution.nursery import Nursery, default_families
from quant_organism.evolution.objectives import (
    DEFAULT_OBJECTIVES,
    hypervolume,
    is_feasible,
    is_on_front,
    objective_matrix,
    objectives_named,
)
from quant_organism.evolution.selection import rank_and_crowding, survive, tournament
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.variation import Rates, vary
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, random_genome
from quant_organism.strategies.birth import Flaw

Progress = Callable[[int, int, float], None]

_ATTEMPTS_AT_A_NEW_CHILD = 5
_ATTEMPTS_AT_A_FOUNDER = 20

_OBJECTIVES = objectives_named(DEFAULT_OBJECTIVES)


@dataclass(frozen=True)
class Trials:
    """Every unique genome that a search evaluated, in the order in which it did.

    Attributes
    ----------
    genomes
        Length n.
    generation
        int64 (n,): the generation in which each was first evaluated.
    metrics
        In-sample metrics of the whole portfolio, each float64 (n,).
    feasible, on_front, survived
        bool (n,): traded enough; not dominated by any feasible trial; in the last population.
    days
        int64 (D,): UTC days in milliseconds.
    daily_returns
        float64 (n, D): net portfolio returns.
    """

    genomes: tuple[Genome, ...]
    generation: NDArray[np.int64]
    metrics: dict[str, NDArray[np.float64]]
    feasible: NDArray[np.bool_]
    on_front: NDArray[np.bool_]
    survived: NDArray[np.bool_]
    days: NDArray[np.int64]
    daily_returns: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.genomes)


@dataclass(frozen=True)
class SearchResult:
    """Trials of a search, one row of progress per generation, and the genomes that failed the birth checks."""

    trials: Trials
    generations: list[dict[str, float]]
    turned_away: list[Flaw]


class _Ledger:
    """Unique trials in the order of their evaluation; a genome met again costs nothing."""

    def __init__(self, evaluate: Callable[[Sequence[Genome]], Evaluation], min_trades: int) -> None:
        self._evaluate = evaluate
        self._min_trades = min_trades
        self._index: dict[str, int] = {}
        self.genomes: list[Genome] = []
        self.generation: list[int] = []
        self.evaluations: list[Evaluation] = []
        self._objectives: list[NDArray[np.float64]] = []
        self._feasible: list[NDArray[np.bool_]] = []

    def __contains__(self, genome: Genome) -> bool:
        return genome.hash in self._index

    def admit(self, genomes: Sequence[Genome], generation: int) -> NDArray[np.int64]:
        """Evaluate what is new among the genomes and return the trials of all of them."""
        new = list({g.hash: g for g in genomes if g not in self}.values())
        if new:
            evaluation = self._evaluate(new)
            feasible = is_feasible(evaluation.metrics, self._min_trades, _OBJECTIVES)
            for genome in new:
                self._index[genome.hash] = len(self.genomes)
                self.genomes.append(genome)
                self.generation.append(generation)
            self.evaluations.append(evaluation)
            self._feasible.append(feasible)
            self._objectives.append(objective_matrix(evaluation.metrics, feasible, _OBJECTIVES))
        return np.array([self._index[genome.hash] for genome in genomes])

    @property
    def objectives(self) -> NDArray[np.float64]:
        return np.concatenate(self._objectives)

    @property
    def feasible(self) -> NDArray[np.bool_]:
        return np.concatenate(self._feasible)


def search(
    panel: Panel,
    spec: EvolutionSpec,
    costs: Costs,
    evaluator: Evaluator,
    *,
    seed: np.random.SeedSequence,
    progress: Progress | None = None,
) -> SearchResult:
    """Breed genomes on a panel and return every trial.

    Parameters
    ----------
    panel
        The in-sample span only: whatever is in the panel is seen by the search.
    spec, costs, evaluator
        What to search, what trading costs, and who measures it.
    seed
        Source of all randomness; equal inputs give equal results on any number of threads.
    progress
        Called after each generation with (generation, generations, best in-sample Sharpe ratio so far).

    Returns
    -------
    SearchResult
        All unique trials, and per generation the best and median of each objective, hypervolume and trial count.
    """
    rng = np.random.default_rng(seed)
    names = spec.families or default_families(panel)
    ledger = _Ledger(lambda genomes: evaluator.evaluate(genomes, panel, costs), spec.min_trades)

    nursery = Nursery(panel)

    founders = _found(names, spec.population, nursery, rng)
    population = ledger.admit(founders, 0)
    rows = [_progress_row(0, ledger, population, nursery)]
    _report(progress, 0, spec, rows)
    for generation in range(1, spec.generations + 1):
        brood = _breed(population, generation, spec, names, rng, ledger, nursery)
        pool = np.concatenate([population, ledger.admit(brood, generation)])
        population = pool[survive(ledger.objectives[pool], spec.population, "nsga2", rng)]
        rows.append(_progress_row(generation, ledger, population, nursery))
        _report(progress, generation, spec, rows)
    return SearchResult(_trials(ledger, population), rows, nursery.turned_away)


def _found(names: Sequence[str], count: int, nursery: Nursery, rng: np.random.Generator) -> list[Genome]:
    """Return sound random genomes, the families in turn; where nothing ever fires, genomes as they come."""
    founders: list[Genome] = []
    for attempt in range(_ATTEMPTS_AT_A_FOUNDER * count):
        genome = random_genome(rng, names[attempt % len(names)])
        if nursery.admits(genome):
            founders.append(genome)
        if len(founders) == count:
            break
    return founders or [random_genome(rng, names[i % len(names)]) for i in range(count)]


def _report(progress: Progress | None, generation: int, spec: EvolutionSpec, rows: list[dict[str, float]]) -> None:
    if progress is not None:
        progress(generation, spec.generations, rows[-1]["best_sharpe"])


def _breed(
    population: NDArray[np.int64],
    generation: int,
    spec: EvolutionSpec,
    names: Sequence[str],
    rng: np.random.Generator,
    ledger: _Ledger,
    nursery: Nursery,
) -> list[Genome]:
    """Return as many children as there are parents, sound and new ones wherever a few attempts find any."""
    immigrants = round(spec.immigrants * spec.population)
    drawn = [random_genome(rng, names[int(rng.integers(len(names)))], generation=generation) for _ in range(immigrants)]
    brood = [genome for genome in drawn if nursery.admits(genome)]
    seen = {genome.hash for genome in brood}
    fitness = rank_and_crowding(ledger.objectives[population])
    rates = Rates(crossover_probability=spec.crossover_probability, mutation_rate=spec.mutation_rate)
    parents: list[Genome] = []
    for _ in range(_ATTEMPTS_AT_A_NEW_CHILD):
        missing = spec.population - len(brood)
        parents = [ledger.genomes[trial] for trial in population[tournament(*fitness, missing, rng)]]
        for child in (offspring.genome for offspring in vary(parents, rates, rng, generation)):
            if child not in ledger and child.hash not in seen and nursery.admits(child):
                brood.append(child)
                seen.add(child.hash)
    return brood + parents[: spec.population - len(brood)]


def _progress_row(
    generation: int, ledger: _Ledger, population: NDArray[np.int64], nursery: Nursery
) -> dict[str, float]:
    objectives, feasible = ledger.objectives, ledger.feasible
    alive = population[feasible[population]]
    row: dict[str, float] = {
        "generation": generation,
        "trials": len(ledger.genomes),
        "turned_away": len(nursery.turned_away),
        "feasible": int(feasible.sum()),
        "hypervolume": hypervolume(objectives[alive], _OBJECTIVES),
    }
    for column, objective in enumerate(_OBJECTIVES):
        values = objective.sign * objectives[alive, column]
        best = objective.sign * np.min(objective.sign * values) if len(values) else np.nan
        row[f"best_{objective.metric}"] = float(best)
        row[f"median_{objective.metric}"] = float(np.median(values)) if len(values) else np.nan
    return row


def _trials(ledger: _Ledger, population: NDArray[np.int64]) -> Trials:
    feasible = ledger.feasible
    on_front = np.zeros(len(feasible), dtype=bool)
    on_front[feasible] = is_on_front(ledger.objectives[feasible]) if feasible.any() else False
    survived = np.zeros(len(feasible), dtype=bool)
    survived[population] = True
    first = ledger.evaluations[0]
    return Trials(
        genomes=tuple(ledger.genomes),
        generation=np.array(ledger.generation, dtype=np.int64),
        metrics={name: np.concatenate([e.metrics[name] for e in ledger.evaluations]) for name in first.metrics},
        feasible=feasible,
        on_front=on_front,
        survived=survived,
        days=first.days,
        daily_returns=np.concatenate([e.daily_returns for e in ledger.evaluations]),
    )
