"""Searches to compare the engine with, on its own ground: genes, birth checks, constraints, executors, final choice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np

from quant_organism.errors import InputError
from quant_organism.evolution.measuring import BatchFailure, Executor
from quant_organism.evolution.objectives import INFEASIBLE, is_on_front, objectives_named
from quant_organism.evolution.progress import LostBatch, RejectedGenome, Spent
from quant_organism.evolution.proposers import CmaEs, Proposer, RandomSearch, Tpe, takes_part_in_cma_es
from quant_organism.evolution.search import OnMeasured, SearchResult, judged
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
    run = _Run(spec, executor, source, evaluations, on_measured)
    for_menu = seed.spawn(1)[0]
    rng = np.random.default_rng(for_menu.spawn(len(BASELINES))[BASELINES.index(name)])
    menu = ModelMenu(families, spec.models_per_family, np.random.default_rng(for_menu))
    proposer = _proposer(name, spec, families, source, rng)
    without_news = 0
    while run.missing and without_news < _ROUNDS_WITHOUT_NEWS:
        before = run.missing
        asked = [menu.settled(genome, rng) for genome in proposer.ask()]
        run.measure(asked, name, proposer.screened)
        proposer.screened = Screened()
        if run.missing:
            proposer.tell([run.worth.get(genome.hash, INFEASIBLE) for genome in asked])
        without_news = without_news + 1 if run.missing == before else 0
    return run.result("nothing new could be measured" if run.missing else None)


def _proposer(
    name: Baseline, spec: EvolutionSpec, families: Sequence[str], source: GenomeSource, rng: np.random.Generator
) -> Proposer:
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
    ) -> None:
        self._spec, self._executor, self._source, self._on_measured = spec, executor, source, on_measured
        self._objectives = objectives_named(spec.objectives)
        self._book = TrialBook(len(self._objectives))
        self._rejected: list[RejectedGenome] = []
        self._lost: list[LostBatch] = []
        self._began, self._busy_seconds = time.monotonic(), 0.0
        self._evaluations, self._round = evaluations, 0
        self.worth: dict[str, float] = {}

    @property
    def missing(self) -> int:
        """Evaluations that are left."""
        return self._evaluations - len(self.worth)

    def measure(self, asked: Sequence[Genome], operator: str, screened: Screened) -> None:
        """Measure those that were not measured before, as far as the evaluations reach; note what was turned away."""
        new = {genome.hash: genome for genome in asked if genome.hash not in self.worth}
        brood = [Offspring(genome, (), operator) for genome in list(new.values())[: self.missing]]
        self._round += 1
        self._reject(screened.rejected)
        if screened.evaluations and self._source.sample is not None and self._on_measured is not None:
            self._on_measured(self._round, screened.evaluations, self._source.sample)
        if not brood:
            return
        genomes = [offspring.genome for offspring in brood]
        ((_, outcome),) = self._executor.measure([genomes])
        if isinstance(outcome, BatchFailure):
            self._lost.append(LostBatch(self._round, 0, len(brood), outcome.reason))
            return
        self._busy_seconds += outcome.seconds
        self.worth.update(dict.fromkeys((genome.hash for genome in genomes), INFEASIBLE))
        sound = {genome.hash for genome in outcome.sound}
        others = [genome for genome in genomes if genome.hash not in sound]
        self._reject(list(zip(others, outcome.flaws, strict=True)))
        if outcome.evaluation is not None:
            objectives, feasible = judged(outcome.evaluation, self._book, self._spec, self._objectives)
            part = Trials.of(brood, outcome.evaluation, objectives, feasible, generation=self._round, island=0)
            self._book.add(part)
            if self._on_measured is not None:
                self._on_measured(self._round, [outcome.evaluation], self._source.panel)
            worth = objectives[:, 0].tolist()
            self.worth.update(zip((genome.hash for genome in outcome.sound), worth, strict=True))

    def _reject(self, flawed: Sequence[tuple[Genome, Flaw]]) -> None:
        self._rejected += [
            RejectedGenome(genome.id, genome.hash, self._round, 0, flaw.kind, flaw.detail) for genome, flaw in flawed
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
            spent=Spent(len(self.worth), seconds, self._busy_seconds, self._executor.workers, 0.0),
            stopped_by=stopped_by,
        )
