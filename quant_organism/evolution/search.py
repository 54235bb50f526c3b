"""The multi-objective genetic search: islands in a ring, seeded, resumable to the bit, every trial kept.

Sources of the method: Deb, Pratap, Agarwal, Meyarivan 2002, IEEE Trans. Evol. Comp. 6(2), for selection; Whitley, Rana,
Heckendorn 1999, J. Comput. Inf. Technol. 7(1), for islands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import Evaluation
from quant_organism.evolution.fitness import complexity, fitness, penalised
from quant_organism.evolution.islands import Island, family_groups
from quant_organism.evolution.measuring import BatchFailure, Executor, Measured
from quant_organism.evolution.objectives import (
    KNOWN_OBJECTIVES,
    Objective,
    hypervolume,
    is_feasible,
    is_on_front,
    objective_matrix,
    objectives_named,
)
from quant_organism.evolution.progress import (
    TIMED_BUDGETS,
    LostBatch,
    RejectedGenome,
    Spent,
    Standing,
    family_rows,
    generation_row,
    reason_to_stop,
)
from quant_organism.evolution.records import read_records, read_trials, record_table, trial_table
from quant_organism.evolution.source import GenomeSource, Screened
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import FamilyProgressTable, LostBatchTable, RejectedTable
from quant_organism.evolution.trials import TrialBook, Trials
from quant_organism.evolution.variation import ModelMenu, Offspring
from quant_organism.market import Panel
from quant_organism.strategies import Flaw, Genome

Progress = Callable[[Standing], None]

Saved = tuple[int, Mapping[str, Any], Mapping[str, pl.DataFrame]]
"""Generation, state and all rows of the tables, as a checkpoint returns them."""

OnMeasured = Callable[[int, Sequence[Evaluation], Panel], None]
"""Called after each generation, before `OnGeneration`, with its number, all evaluations that were made in it on the
panel, and the panel; then, where any were turned away, with theirs on the short sample, and the sample."""

OnGeneration = Callable[[int, dict[str, Any], dict[str, pl.DataFrame]], None]
"""Called after each generation with its number, the state as plain JSON, and the rows that are new in each table."""

FOUNDING_ROUNDS = 5
"""How often an island asks for founders, until all its seats are taken."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    trials
        Every unique genome that was measured.
    generations, families
        One row of progress per generation, and one per generation, island and family.
    rejected, lost
        The genomes that were turned away, on the short sample or by the birth checks, and the batches that could not
        be measured.
    spent
        What it took, as measured.
    stopped_by
        Name of the budget that ended it before its last generation; None when none did.
    """

    trials: Trials
    generations: list[dict[str, float]]
    families: list[dict[str, Any]]
    rejected: list[RejectedGenome]
    lost: list[LostBatch]
    spent: Spent
    stopped_by: str | None

    @property
    def is_complete(self) -> bool:
        """Whether it ended by a count; what a budget of time or money cut short goes on from its checkpoint."""
        return self.stopped_by not in TIMED_BUDGETS

    @property
    def ending(self) -> str:
        """What ended it, for people."""
        if not self.is_complete:
            return f"{self.stopped_by}: incomplete, --resume with more of it goes on"
        return self.stopped_by or "its last generation"


def search(
    spec: EvolutionSpec,
    families: Sequence[str],
    executor: Executor,
    *,
    source: GenomeSource,
    seed: np.random.SeedSequence,
    founders: Sequence[Genome] = (),
    saved: Saved | None = None,
    on_measured: OnMeasured | None = None,
    on_generation: OnGeneration | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> SearchResult:
    """Breed genomes and return every trial.

    The outcome follows from spec, families, seed and what the executor measures: not from which executor it is, in
    which order batches come back, or whether the search was interrupted. Only the budgets of time and money look at
    the clock, and they end a search early, at the end of a generation.

    Parameters
    ----------
    spec
        What to search.
    families
        Families that take part.
    executor
        Measures genomes on the in-sample panel.
    source
        Draws founders and immigrants for the same panel.
    seed
        Source of all randomness.
    founders
        Genomes that are among the founders, in the order of their merit: each goes to an island of its family, and they
        take up to half of its seats. They are measured like all others.
    saved
        Where an earlier run of the same search ended; it goes on from there.
    on_measured
        Told what was evaluated in each generation, so that every trial is counted.
    on_generation
        Told the state and what is new after each generation, the founding included.
    progress
        Told how far the search is after each batch.
    clock
        Seconds, for the budgets.
    """
    run = _Run(spec, families, executor, source, seed, progress, clock)
    if saved is None:
        run.found(founders)
        run.end_generation(on_measured, on_generation)
    else:
        run.restore(*saved)
    stopped_by = None
    while run.generation < spec.generations:
        stopped_by = reason_to_stop(spec, run.spent)
        if stopped_by:
            break
        run.breed()
        run.end_generation(on_measured, on_generation)
    return run.result(stopped_by)


class _Run:
    """A search under way."""

    def __init__(
        self,
        spec: EvolutionSpec,
        families: Sequence[str],
        executor: Executor,
        source: GenomeSource,
        seed: np.random.SeedSequence,
        progress: Progress | None,
        clock: Callable[[], float],
    ) -> None:
        self._spec, self._executor, self._source = spec, executor, source
        self._progress, self._clock = progress, clock
        self._objectives = chosen = objectives_named(spec.objectives)
        self._book = TrialBook(len(self._objectives))
        for_menu, *for_islands = (np.random.default_rng(child) for child in seed.spawn(1 + spec.islands))
        menu = ModelMenu(families, spec.models_per_family, for_menu)
        # Not of itself: a search that its islands refer to would keep its indicators until the collector comes by.
        self._islands = [
            Island(number, group, spec, menu, source, lambda points: hypervolume(points, chosen), rng)
            for number, (group, rng) in enumerate(zip(family_groups(families, spec.islands), for_islands, strict=True))
        ]
        self._asked: set[str] = set()
        self._rows: list[dict[str, float]] = []
        self._family_rows: list[dict[str, Any]] = []
        self._rejected: list[RejectedGenome] = []
        self._lost: list[LostBatch] = []
        self._new_trials: list[Trials] = []
        self._new_evaluations: list[Evaluation] = []
        self._new_screened: list[Evaluation] = []
        self._new_rejected, self._new_lost = 0, 0
        self._evaluations, self._busy_seconds = 0, 0.0
        self._seconds, self._last_seconds = 0.0, 0.0
        self._began = clock()
        self.generation = 0

    @property
    def spent(self) -> Spent:
        """What has been spent up to the last complete generation."""
        return Spent(self._evaluations, self._seconds, self._busy_seconds, self._executor.workers, self._last_seconds)

    def found(self, founders: Sequence[Genome]) -> None:
        """Take the seats of all islands with sound genomes, as far as a few rounds find them."""
        for genome in founders:
            homes = [island for island in self._islands if genome.family in island.families]
            if homes:
                min(homes, key=lambda island: len(island.invited)).invite(genome)
        most = self._spec.max_evaluations
        for _ in range(FOUNDING_ROUNDS):
            wanted = sum(island.vacant for island in self._islands)
            if not wanted or (most is not None and self._evaluations + wanted > most):
                break
            self._measure()

    def breed(self) -> None:
        """Go through one generation."""
        self.generation += 1
        self._measure()

    def end_generation(self, on_measured: OnMeasured | None, on_generation: OnGeneration | None) -> None:
        """Restart and migrate where it is time, write the progress down, and hand out the state."""
        self._rows.append(
            generation_row(
                self.generation,
                self._book,
                self._islands,
                self._objectives,
                rejected=len(self._rejected),
                lost=len(self._lost),
            )
        )
        families = family_rows(self.generation, self._book, self._islands)
        self._family_rows += families
        if self.generation < self._spec.generations:
            for island in self._islands:
                island.close(self._book)
            if self.generation and self.generation % self._spec.migration_interval == 0:
                self._migrate()
        now = self._clock()
        self._last_seconds, self._began = now - self._began, now
        self._seconds += self._last_seconds
        if on_measured is not None:
            on_measured(self.generation, self._new_evaluations, self._source.panel)
            if self._new_screened and self._source.sample is not None:
                on_measured(self.generation, self._new_screened, self._source.sample)
        if on_generation is not None:
            on_generation(self.generation, self._state(), self._new_rows(families))
        self._new_trials.clear()
        self._new_evaluations.clear()
        self._new_screened.clear()
        self._new_rejected, self._new_lost = len(self._rejected), len(self._lost)

    def restore(self, generation: int, state: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> None:
        """Go on from what an earlier run handed out."""
        self.generation = generation
        if "trials" in tables:
            self._book.add(read_trials(tables["trials"], symbols=state["symbols"], days=state["days"]))
        for island, remembered in zip(self._islands, state["islands"], strict=True):
            island.restore(remembered)
        self._rejected = read_records(RejectedGenome, tables["rejected"])
        self._lost = read_records(LostBatch, tables["lost"])
        self._new_rejected, self._new_lost = len(self._rejected), len(self._lost)
        self._asked = {genome.hash for genome in self._book.genomes} | {flaw.hash for flaw in self._rejected}
        self._rows, self._family_rows = tables["generations"].to_dicts(), tables["families"].to_dicts()
        self._evaluations, self._busy_seconds = state["evaluations"], state["busy_seconds"]
        self._seconds, self._last_seconds = state["seconds"], state["last_seconds"]

    def result(self, stopped_by: str | None) -> SearchResult:
        """Return what has been found."""
        trials = self._book.all()
        on_front, survived = np.zeros((2, len(trials)), dtype=np.bool_)
        on_front[trials.feasible] = is_on_front(trials.objectives[trials.feasible]) if trials.feasible.any() else False
        survived[np.concatenate([island.members for island in self._islands])] = True
        return SearchResult(
            trials=trials.ended(on_front, survived),
            generations=self._rows,
            families=self._family_rows,
            rejected=self._rejected,
            lost=self._lost,
            spent=self.spent,
            stopped_by=stopped_by,
        )

    def _measure(self) -> None:
        """Have measured what the islands ask for, and tell them in their order."""
        broods = [island.ask(self._book, self.generation, self._asked) for island in self._islands]
        for island in self._islands:
            for genome, flaw in island.screened.rejected:
                self._reject(genome, flaw, island.number)
            self._new_screened += island.screened.evaluations
            island.screened = Screened()
        asking = [number for number, brood in enumerate(broods) if brood]
        outcomes: dict[int, Measured | BatchFailure] = {}
        self._report(len(asking), 0)
        for place, outcome in self._executor.measure([[o.genome for o in broods[number]] for number in asking]):
            outcomes[asking[place]] = outcome
            self._report(len(asking), len(outcomes))
        for number in asking:
            self._tell(self._islands[number], broods[number], outcomes[number])

    def _tell(self, island: Island, brood: Sequence[Offspring], outcome: Measured | BatchFailure) -> None:
        if isinstance(outcome, BatchFailure):
            # What was lost was never tried, and may be asked for again.
            self._asked -= {offspring.genome.hash for offspring in brood}
            self._lost.append(LostBatch(self.generation, island.number, len(brood), outcome.reason))
            return
        self._evaluations += len(brood)
        self._busy_seconds += outcome.seconds
        sound = {genome.hash for genome in outcome.sound}
        others = [offspring.genome for offspring in brood if offspring.genome.hash not in sound]
        for genome, flaw in zip(others, outcome.flaws, strict=True):
            self._reject(genome, flaw, island.number)
        born = np.empty(0, dtype=np.int64)
        if outcome.evaluation is not None:
            objectives, feasible = judged(outcome.evaluation, self._book, self._spec, self._objectives)
            part = Trials.of(
                brood,
                outcome.evaluation,
                objectives,
                feasible,
                generation=self.generation,
                island=island.number,
            )
            self._new_trials.append(part)
            self._new_evaluations.append(outcome.evaluation)
            born = self._book.add(part)
        island.tell(self._book, born, self.generation)

    def _reject(self, genome: Genome, flaw: Flaw, island: int) -> None:
        self._rejected.append(RejectedGenome(genome.id, genome.hash, self.generation, island, flaw.kind, flaw.detail))

    def _migrate(self) -> None:
        leaving = [island.emigrants(self._book) for island in self._islands]
        for island, arriving in zip(self._islands, leaving[-1:] + leaving[:-1], strict=True):
            island.receive(self._book, arriving, self.generation)

    def _report(self, batches: int, done: int) -> None:
        topping_up = self.generation == 0 and len(self._book)
        if self._progress is not None and not topping_up:
            best = self._rows[-1]["best_sharpe"] if self._rows else float("nan")
            self._progress(
                Standing(
                    generation=self.generation,
                    generations=self._spec.generations,
                    batches=batches,
                    batches_done=done,
                    trials=len(self._book),
                    best_sharpe=best,
                    expected_cost_usd=self.spent.expected_cost_usd(self._spec) if self._rows else None,
                )
            )

    def _state(self) -> dict[str, Any]:
        known = self._book.first
        return {
            "islands": [island.state() for island in self._islands],
            "symbols": [] if known is None else list(known.symbols),
            "days": [] if known is None else known.days.tolist(),
            "evaluations": self._evaluations,
            "busy_seconds": self._busy_seconds,
            "seconds": self._seconds,
            "last_seconds": self._last_seconds,
        }

    def _new_rows(self, families: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
        tables = {
            "generations": pl.DataFrame(self._rows[-1:]),
            "families": pl.DataFrame(families, schema=FamilyProgressTable.schema),
            "rejected": record_table(self._rejected[self._new_rejected :], RejectedTable.schema),
            "lost": record_table(self._lost[self._new_lost :], LostBatchTable.schema),
        }
        if self._new_trials:
            tables["trials"] = trial_table(Trials.joined(self._new_trials))
        return tables


def judged(
    evaluation: Evaluation, book: TrialBook, spec: EvolutionSpec, objectives: Sequence[Objective]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the objectives of a batch in minimisation form, shape (n, m), and which genomes are feasible, shape (n,).

    Among the objectives the Sharpe ratio is what the spec's fitness makes of it, in view of the trials before.
    """
    feasible = is_feasible(evaluation.metrics, spec.min_trades, objectives)
    metrics = evaluation.metrics
    if "sharpe" in spec.objectives:
        metrics = metrics | {"sharpe": _scores(evaluation, feasible, book, spec)}
    return objective_matrix(metrics, feasible, objectives), feasible


def _scores(evaluation: Evaluation, feasible: NDArray[np.bool_], book: TrialBook, spec: EvolutionSpec) -> Floats:
    known = len(book) if spec.fitness == "smoothed" else 0
    genomes = [*book.genomes[:known], *evaluation.genomes]
    # Neighbours that are infeasible are worth as little as can be told apart.
    worst = KNOWN_OBJECTIVES["sharpe"].reference
    usable = np.concatenate([book.feasible[:known], feasible])
    sharpe = np.concatenate([book.metric("sharpe")[:known], evaluation.metrics["sharpe"]])
    by_asset = evaluation.asset_metrics["sharpe"]
    if known:
        by_asset = np.concatenate([book.asset_sharpe, by_asset])
    scores = fitness(
        spec.fitness, genomes, np.where(usable, sharpe, worst), by_asset, neighbours=spec.fitness_neighbours
    )
    return penalised(
        scores[known:],
        complexity(evaluation.genomes),
        evaluation.metrics["turnover_per_year"],
        complexity_penalty=spec.complexity_penalty,
        turnover_penalty=spec.turnover_penalty,
    )
