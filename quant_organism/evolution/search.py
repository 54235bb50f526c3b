"""The multi-objective genetic search (NSGA-II on DEAP), seeded, with every trial kept.

Source of the method: Deb, Pratap, Agarwal, Meyarivan 2002, IEEE Trans. Evol. Comp. 6(2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from deap import base, tools
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluation, Evaluator
from quant_organism.evolution.nursery import Nursery, default_families
from quant_organism.evolution.objectives import OBJECTIVES, hypervolume, is_feasible, is_on_front, objective_matrix
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, crossover, mutate, random_genome
from quant_organism.strategies.birth import Flaw

Progress = Callable[[int, int, float], None]

_ATTEMPTS_AT_A_NEW_CHILD = 5
_ATTEMPTS_AT_A_FOUNDER = 20


class _Fitness(base.Fitness):  # type: ignore[misc]
    """DEAP's fitness with this search's directions (a plain subclass: DEAP's creator would make a global)."""

    weights = tuple(objective.weight for objective in OBJECTIVES)


@dataclass(eq=False)
class _Individual:
    genome: Genome
    trial: int
    fitness: base.Fitness = field(default_factory=_Fitness)


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

    def admit(self, genomes: Sequence[Genome], generation: int) -> list[_Individual]:
        """Evaluate what is new among the genomes and return all of them as individuals with their fitness."""
        new = list({g.hash: g for g in genomes if g not in self}.values())
        if new:
            evaluation = self._evaluate(new)
            feasible = is_feasible(evaluation, self._min_trades)
            for genome in new:
                self._index[genome.hash] = len(self.genomes)
                self.genomes.append(genome)
                self.generation.append(generation)
            self.evaluations.append(evaluation)
            self._feasible.append(feasible)
            self._objectives.append(objective_matrix(evaluation, feasible))
        objectives = self.objectives
        individuals = []
        for genome in genomes:
            trial = self._index[genome.hash]
            individual = _Individual(self.genomes[trial], trial)
            individual.fitness.values = tuple(objectives[trial])
            individuals.append(individual)
        return individuals

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
    toolbox = base.Toolbox()
    toolbox.register("mate", crossover, rng=rng)
    toolbox.register("mutate", mutate, rng=rng, rate=spec.mutation_rate)
    toolbox.register("select", tools.selNSGA2, nd="log")
    ledger = _Ledger(lambda genomes: evaluator.evaluate(genomes, panel, costs), spec.min_trades)

    nursery = Nursery(panel)

    founders = _found(names, spec.population, nursery, rng)
    population = toolbox.select(ledger.admit(founders, 0), spec.population)
    rows = [_progress_row(0, ledger, population, nursery)]
    _report(progress, 0, spec, rows)
    for generation in range(1, spec.generations + 1):
        brood = _breed(population, generation, spec, names, toolbox, rng, ledger, nursery)
        population = toolbox.select(population + ledger.admit(brood, generation), spec.population)
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
    population: list[_Individual],
    generation: int,
    spec: EvolutionSpec,
    names: Sequence[str],
    toolbox: base.Toolbox,
    rng: np.random.Generator,
    ledger: _Ledger,
    nursery: Nursery,
) -> list[Genome]:
    """Return as many children as there are parents, sound and new ones wherever a few attempts find any."""
    immigrants = round(spec.immigrants * spec.population)
    drawn = [random_genome(rng, names[int(rng.integers(len(names)))], generation=generation) for _ in range(immigrants)]
    brood = [genome for genome in drawn if nursery.admits(genome)]
    seen = {genome.hash for genome in brood}
    while len(brood) < spec.population:
        for _ in range(_ATTEMPTS_AT_A_NEW_CHILD):
            mother, father = _tournament(population, rng).genome, _tournament(population, rng).genome
            if rng.random() < spec.crossover_probability:
                child, _other = toolbox.mate(mother, father, generation=generation)
            else:
                child = mother
            child = toolbox.mutate(child, generation=generation)
            if child not in ledger and child.hash not in seen and nursery.admits(child):
                break
        else:
            child = mother
        brood.append(child)
        seen.add(child.hash)
    return brood


def _tournament(population: list[_Individual], rng: np.random.Generator) -> _Individual:
    """Return the better of two: the one that dominates, else the less crowded, else the first drawn."""
    first, second = (population[int(i)] for i in rng.integers(len(population), size=2))
    if first.fitness.dominates(second.fitness):
        return first
    if second.fitness.dominates(first.fitness):
        return second
    return second if second.fitness.crowding_dist > first.fitness.crowding_dist else first


def _progress_row(
    generation: int, ledger: _Ledger, population: list[_Individual], nursery: Nursery
) -> dict[str, float]:
    members = np.array([individual.trial for individual in population])
    objectives, feasible = ledger.objectives, ledger.feasible
    alive = members[feasible[members]]
    row: dict[str, float] = {
        "generation": generation,
        "trials": len(ledger.genomes),
        "turned_away": len(nursery.turned_away),
        "feasible": int(feasible.sum()),
        "hypervolume": hypervolume(objectives[alive]),
    }
    for column, objective in enumerate(OBJECTIVES):
        values = objectives[alive, column]
        best = (values.max() if objective.weight > 0 else values.min()) if len(values) else np.nan
        row[f"best_{objective.metric}"] = float(best)
        row[f"median_{objective.metric}"] = float(np.median(values)) if len(values) else np.nan
    return row


def _trials(ledger: _Ledger, population: list[_Individual]) -> Trials:
    feasible = ledger.feasible
    on_front = np.zeros(len(feasible), dtype=bool)
    on_front[feasible] = is_on_front(ledger.objectives[feasible]) if feasible.any() else False
    survived = np.zeros(len(feasible), dtype=bool)
    survived[[individual.trial for individual in population]] = True
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
