"""The multi-objective genetic search under way: seeded, kept after each generation, resumable to the bit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import polars as pl

from quant_organism.backtest import Evaluation
from quant_organism.evolution.genetic import GeneticSearch
from quant_organism.evolution.measuring import BatchFailure, Executor, Measured
from quant_organism.evolution.progress import (
    TIMED_BUDGETS,
    LostBatch,
    RejectedGenome,
    Spent,
    Standing,
    reason_to_stop,
)
from quant_organism.evolution.proposals import Proposal, ProposalResult, ask_and_tell, results_of
from quant_organism.evolution.source import GenomeSource, Screened
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.trials import Trials
from quant_organism.market import Panel
from quant_organism.strategies import Genome

Progress = Callable[[Standing], None]

Saved = tuple[int, Mapping[str, Any], Mapping[str, pl.DataFrame]]
"""Generation, state and all rows of the tables, as a checkpoint returns them."""

OnMeasured = Callable[[int, Sequence[Evaluation], Panel], None]
"""Called after each generation, before `OnGeneration`, with its number, all evaluations that were made in it on the
panel, and the panel; then, where any were turned away, with theirs on the short sample, and the sample."""

OnGeneration = Callable[[int, dict[str, Any], dict[str, pl.DataFrame]], None]
"""Called after each generation with its number, the state as plain JSON, and the rows that are new in each table."""


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
    engine = GeneticSearch(spec, families, source=source, seed=seed, founders=() if saved else founders)
    run = _Run(spec, engine, executor, source, progress, clock)
    if saved is not None:
        engine.restore(*saved)
        run.restore(saved[1])
    stopped_by = None
    for number in count():
        if engine.is_over:
            break
        if engine.has_ended and (stopped_by := reason_to_stop(spec, run.spent)):
            break
        ask_and_tell(engine, run.measure, sys.maxsize, number)
        if engine.has_ended:
            run.end_generation(on_measured, on_generation)
    return SearchResult(
        trials=engine.trials(),
        generations=engine.progress,
        families=engine.families,
        rejected=engine.rejected,
        lost=engine.lost,
        spent=run.spent,
        stopped_by=stopped_by,
    )


class _Run:
    """A search under way: who is asked, who measures, and what it took."""

    def __init__(
        self,
        spec: EvolutionSpec,
        engine: GeneticSearch,
        executor: Executor,
        source: GenomeSource,
        progress: Progress | None,
        clock: Callable[[], float],
    ) -> None:
        self._spec, self._engine, self._executor, self._source = spec, engine, executor, source
        self._progress, self._clock = progress, clock
        self._evaluations: list[Evaluation] = []
        self._busy_seconds, self._seconds, self._last_seconds = 0.0, 0.0, 0.0
        self._began = clock()

    @property
    def spent(self) -> Spent:
        """What has been spent up to the last complete generation."""
        return Spent(
            self._engine.evaluations, self._seconds, self._busy_seconds, self._executor.workers, self._last_seconds
        )

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what an earlier run had spent."""
        self._busy_seconds = state["busy_seconds"]
        self._seconds, self._last_seconds = state["seconds"], state["last_seconds"]

    def measure(self, proposals: Sequence[Proposal], number: int) -> list[ProposalResult]:
        """Have measured what each island asks for as a batch."""
        batches = self._engine.batches([each for each in proposals if isinstance(each, Genome)])
        outcomes: dict[int, Measured | BatchFailure] = {}
        self._report(len(batches), 0)
        for place, outcome in self._executor.measure(batches):
            outcomes[place] = outcome
            self._report(len(batches), len(outcomes))
        results = []
        for place, batch in enumerate(batches):
            outcome = outcomes[place]
            if isinstance(outcome, Measured):
                self._busy_seconds += outcome.seconds
                self._evaluations += [] if outcome.evaluation is None else [outcome.evaluation]
            results += results_of(batch, outcome)
        return results

    def end_generation(self, on_measured: OnMeasured | None, on_generation: OnGeneration | None) -> None:
        """Hand out what was measured, and the state."""
        now, engine = self._clock(), self._engine
        self._last_seconds, self._began = now - self._began, now
        self._seconds += self._last_seconds
        screened, engine.screened = engine.screened.evaluations, Screened()
        if on_measured is not None:
            on_measured(engine.generation, self._evaluations, self._source.panel)
            if screened and self._source.sample is not None:
                on_measured(engine.generation, screened, self._source.sample)
        if on_generation is not None:
            spent = {"busy_seconds": self._busy_seconds, "seconds": self._seconds, "last_seconds": self._last_seconds}
            on_generation(engine.generation, engine.state() | spent, engine.new_rows())
        self._evaluations = []

    def _report(self, batches: int, done: int) -> None:
        engine = self._engine
        topping_up = engine.generation == 0 and len(engine.book)
        if self._progress is not None and not topping_up:
            best = engine.progress[-1]["best_sharpe"] if engine.progress else float("nan")
            self._progress(
                Standing(
                    generation=engine.generation,
                    generations=self._spec.generations,
                    batches=batches,
                    batches_done=done,
                    trials=len(engine.book),
                    best_sharpe=best,
                    expected_cost_usd=self.spent.expected_cost_usd(self._spec) if engine.progress else None,
                )
            )
