"""Searches to compare the engine with, on its own ground: genes, birth checks, constraints, executors, final choice."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Final, Literal, get_args

import numpy as np

from quant_organism.errors import InputError
from quant_organism.evolution.genetic import judged
from quant_organism.evolution.measuring import BatchFailure, Executor
from quant_organism.evolution.objectives import is_on_front, objectives_named
from quant_organism.evolution.progress import LostBatch, RejectedGenome, Spent
from quant_organism.evolution.proposals import Proposal, ProposalResult, ask_and_tell, refused, results_of
from quant_organism.evolution.proposers import CmaEs, RandomSearch, RoundProposer, Tpe, takes_part_in_cma_es
from quant_organism.evolution.search import OnMeasured, SearchResult
from quant_organism.evolution.source import GenomeSource, Screened
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.trials import TrialBook, Trials
from quant_organism.evolution.variation import ModelMenu, Offspring
from quant_organism.strategies import Flaw, Genome

Baseline = Literal["random", "tpe", "cmaes"]

BASELINES: Final[tuple[Baseline, ...]] = get_args(Baseline)

_ROUNDS_WITHOUT_NEWS = 10


def baselines_named(names: Sequence[str], families: Sequence[str]) -> tuple[Baseline, ...]:
    """Return the baselines of these names, in their order.

    Raises
    ------
    InputError
        A name is unknown or given twice, or no family suits one of them.
    """
    for name in names:
        if name not in BASELINES or names.count(name) > 1:
            raise InputError(
                f"{name!r} is {'named twice' if name in BASELINES else 'no search to compare with'}",
                where="comparison",
                remedy=f"name some of {', '.join(BASELINES)}, each once",
            )
    if "cmaes" in names and not any(takes_part_in_cma_es(family) for family in families):
        raise InputError(
            f"CMA-ES needs a family whose genes are all numbers or choices; that is none of {', '.join(families)}",
            where="comparison",
            remedy="compare with random and tpe alone, or search other families too",
        )
    return tuple(known for name in names for known in BASELINES if known == name)


def baseline_search(
    name: Baseline,
    spec: EvolutionSpec,
    families: Sequence[str],
    executor: Executor,
    *,
    source: GenomeSource,
    seed: np.random.SeedSequence,
    evaluations: int,
    on_measured: OnMeasured | None = None,
) -> SearchResult:
    """Search by another method, and return every trial as `search` does.

    What is made small is the first objective of the spec, by default the Sharpe ratio under the spec's fitness; what
    fails the birth checks or trades too little is worth as little as can be. Fitted families choose from the same menu
    of models as in a search of the same seed.

    Parameters
    ----------
    name
        Which method.
    spec
        Constraints and objectives; population, operators and budgets are the engine's own, except that TPE starts with
        as many random genomes as the search is founded with.
    families
        Families that take part; CMA-ES leaves those out whose genes are not all numbers or choices.
    executor
        Measures genomes on the in-sample panel.
    source
        Draws the genomes of random search, as it draws the engine's founders.
    seed
        Source of all randomness; of the same numbers as the search's that it is compared with.
    evaluations
        Unique genomes that are measured, birth checks included, as `Spent.evaluations` counts them.
    on_measured
        Told what was evaluated in each round, so that every trial is counted.

    Returns
    -------
    SearchResult
        Without progress by generation or family, which are a matter of islands. A trial's generation is the round in
        which it was proposed. `stopped_by` says so when nothing new could be measured any more.
    """
    for_menu = seed.spawn(1)[0]
    rng = np.random.default_rng(for_menu.spawn(len(BASELINES))[BASELINES.index(name)])
    menu = ModelMenu(families, spec.models_per_family, np.random.default_rng(for_menu))
    proposer = _proposer(name, spec, families, source, rng)

    def settled(genome: Genome) -> Genome:
        return menu.settled(genome, rng)

    run = _Run(spec, executor, source, evaluations, on_measured, proposer, settled, name)
    without_news = 0
    for number in count(1):
        if not run.missing or without_news == _ROUNDS_WITHOUT_NEWS:
            break
        before = run.missing
        ask_and_tell(proposer, run.measure, sys.maxsize, number)
        run.note_screened(number)
        without_news = without_news + 1 if run.missing == before else 0
    return run.result("nothing new could be measured" if run.missing else None)


def _proposer(
    name: Baseline, spec: EvolutionSpec, families: Sequence[str], source: GenomeSource, rng: np.random.Generator
) -> RoundProposer:
    if name == "random":
        return RandomSearch(families, source, rng)
    return Tpe(families, rng, spec.strategies) if name == "tpe" else CmaEs(families, rng)


class _Run:
    """What has been measured for a method."""

    def __init__(
        self,
        spec: EvolutionSpec,
        executor: Executor,
        source: GenomeSource,
        evaluations: int,
        on_measured: OnMeasured | None,
        proposer: RoundProposer,
        settled: Callable[[Genome], Genome],
        operator: str,
    ) -> None:
        self._spec, self._executor, self._source, self._on_measured = spec, executor, source, on_measured
        self._proposer, self._settled, self._operator = proposer, settled, operator
        self._objectives = objectives_named(spec.objectives)
        self._book = TrialBook(len(self._objectives))
        self._rejected: list[RejectedGenome] = []
        self._lost: list[LostBatch] = []
        self._began, self._busy_seconds = time.monotonic(), 0.0
        self._evaluations = evaluations
        self._results: dict[str, ProposalResult] = {}

    @property
    def missing(self) -> int:
        """Evaluations that are left."""
        return self._evaluations - len(self._results)

    def measure(self, proposals: Sequence[Proposal], number: int) -> list[ProposalResult]:
        """Measure those that were not measured before, as far as the evaluations reach."""
        asked = [self._settled(genome) for genome in proposals if isinstance(genome, Genome)]
        new = {genome.hash: genome for genome in asked if genome.hash not in self._results}
        self.note_screened(number)
        self._measure(list(new.values())[: self.missing], number)
        return [self._results.get(genome.hash) or refused(genome, "was not measured", genome) for genome in asked]

    def note_screened(self, number: int) -> None:
        """Note what was turned away on the short sample."""
        screened, self._proposer.screened = self._proposer.screened, Screened()
        self._reject(screened.rejected, number)
        if screened.evaluations and self._source.sample is not None and self._on_measured is not None:
            self._on_measured(number, screened.evaluations, self._source.sample)

    def _measure(self, genomes: Sequence[Genome], number: int) -> None:
        if not genomes:
            return
        brood = [Offspring(genome, (), self._operator) for genome in genomes]
        ((_, outcome),) = self._executor.measure([genomes])
        if isinstance(outcome, BatchFailure):
            self._lost.append(LostBatch(number, 0, len(brood), outcome.reason))
            return
        self._busy_seconds += outcome.seconds
        results = results_of(genomes, outcome)
        self._reject([(each.genome, each.flaw) for each in results if each.genome and each.flaw], number)
        fitness: dict[str, float] = {}
        if outcome.evaluation is not None:
            objectives, feasible = judged(outcome.evaluation, self._book, self._spec, self._objectives)
            part = Trials.of(brood, outcome.evaluation, objectives, feasible, generation=number, island=0)
            self._book.add(part)
            if self._on_measured is not None:
                self._on_measured(number, [outcome.evaluation], self._source.panel)
            fitness = dict(zip((genome.hash for genome in outcome.sound), (-objectives[:, 0]).tolist(), strict=True))
        for genome, result in zip(genomes, results, strict=True):
            self._results[genome.hash] = replace(result, fitness=fitness.get(genome.hash, float("nan")))

    def _reject(self, flawed: Sequence[tuple[Genome, Flaw]], number: int) -> None:
        self._rejected += [
            RejectedGenome(genome.id, genome.hash, number, 0, flaw.kind, flaw.detail) for genome, flaw in flawed
        ]

    def result(self, stopped_by: str | None) -> SearchResult:
        """Return what has been found."""
        trials = self._book.all()
        on_front = np.zeros(len(trials), dtype=np.bool_)
        on_front[trials.feasible] = is_on_front(trials.objectives[trials.feasible]) if trials.feasible.any() else False
        seconds = time.monotonic() - self._began
        return SearchResult(
            trials=trials.ended(on_front, np.zeros(len(trials), dtype=np.bool_)),
            generations=[],
            families=[],
            rejected=self._rejected,
            lost=self._lost,
            spent=Spent(len(self._results), seconds, self._busy_seconds, self._executor.workers, 0.0),
            stopped_by=stopped_by,
        )
