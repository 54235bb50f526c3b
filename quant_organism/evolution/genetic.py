"""The engine as a proposer: islands in a ring that are asked for genomes, and told what these were worth.

Sources of the method: Deb, Pratap, Agarwal, Meyarivan 2002, IEEE Trans. Evol. Comp. 6(2), for selection; Whitley, Rana,
Heckendorn 1999, J. Comput. Inf. Technol. 7(1), for islands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import Evaluation
from quant_organism.evolution.fitness import complexity, fitness, penalised
from quant_organism.evolution.islands import Island, family_groups
from quant_organism.evolution.objectives import (
    KNOWN_OBJECTIVES,
    Objective,
    hypervolume,
    is_feasible,
    is_on_front,
    objective_matrix,
    objectives_named,
)
from quant_organism.evolution.progress import LostBatch, RejectedGenome, family_rows, generation_row
from quant_organism.evolution.proposals import ProposalResult
from quant_organism.evolution.proposers import RoundProposer
from quant_organism.evolution.records import read_records, read_trials, record_table, trial_table
from quant_organism.evolution.source import GenomeSource, Screened
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import FamilyProgressTable, LostBatchTable, RejectedTable
from quant_organism.evolution.trials import TrialBook, Trials
from quant_organism.evolution.variation import ModelMenu, Offspring
from quant_organism.market import Panel
from quant_organism.strategies import Flaw, Genome

FOUNDING_ROUNDS = 5
"""How often an island asks for founders, until all its seats are taken."""

Floats = NDArray[np.float64]


class GeneticSearch(RoundProposer):
    """The engine's own search. It proposes the broods of all islands as a round, and what it is told decides the next.

    What it proposes follows from spec, families, seed, source and what it is told, and from nothing else. It is over
    when its last generation is. Of the budgets of the spec it minds `max_evaluations`, and that in its founding alone:
    whoever asks minds the others between generations, as `search` does.

    Parameters
    ----------
    spec
        What to search.
    families
        Families that take part.
    source
        Draws founders and immigrants for the panel that is searched.
    seed
        Source of all randomness.
    founders
        Genomes that are among the founders, in the order of their merit: each goes to an island of its family, and they
        take up to half of its seats.

    Attributes
    ----------
    generation
        The one that is under way, or has ended.
    has_ended
        Whether it has: only then does `state` say all that there is to know.
    evaluations
        Genomes that were measured, those that failed the birth checks included.
    book
        The trials so far.
    progress, families
        Rows of progress: one per generation, and one per generation, island and family.
    rejected, lost
        Genomes that were turned away, and batches that could not be measured.
    """

    def __init__(
        self,
        spec: EvolutionSpec,
        families: Sequence[str],
        *,
        source: GenomeSource,
        seed: np.random.SeedSequence,
        founders: Sequence[Genome] = (),
    ) -> None:
        super().__init__()
        self._spec, self._source = spec, source
        self._objectives = chosen = objectives_named(spec.objectives)
        self.book = TrialBook(len(self._objectives))
        for_menu, *for_islands = (np.random.default_rng(child) for child in seed.spawn(1 + spec.islands))
        menu = ModelMenu(families, spec.models_per_family, for_menu)
        # Not of itself: a search that its islands refer to would keep its indicators until the collector comes by.
        self._islands = [
            Island(number, group, spec, menu, source, lambda points: hypervolume(points, chosen), rng)
            for number, (group, rng) in enumerate(zip(family_groups(families, spec.islands), for_islands, strict=True))
        ]
        for genome in founders:
            homes = [island for island in self._islands if genome.family in island.families]
            if homes:
                min(homes, key=lambda island: len(island.invited)).invite(genome)
        self._asked: set[str] = set()
        self._broods: list[list[Offspring]] = []
        self._rounds = 0
        self.progress: list[dict[str, float]] = []
        self.families: list[dict[str, Any]] = []
        self.rejected: list[RejectedGenome] = []
        self.lost: list[LostBatch] = []
        self._new_trials: list[Trials] = []
        self._known_families, self._known_rejected, self._known_lost = 0, 0, 0
        self.evaluations = 0
        self.generation, self.has_ended = 0, False

    @property
    def sample(self) -> Panel | None:
        """The days that what was screened was measured on."""
        return self._source.sample

    @property
    def is_over(self) -> bool:
        """Whether its last generation has ended."""
        return self.has_ended and self.generation >= self._spec.generations

    def propose(self) -> list[Genome]:
        """Return the broods of all islands, one after the other; none: it is over, or no island finds anything new."""
        if self.is_over:
            return []
        if self.has_ended:
            self.generation, self.has_ended = self.generation + 1, False
        self._broods = [island.ask(self.book, self.generation, self._asked) for island in self._islands]
        for island in self._islands:
            for genome, flaw in island.screened.rejected:
                self._reject(genome, flaw, island.number)
            self.screened.add(island.screened)
            island.screened = Screened()
        genomes = [offspring.genome for brood in self._broods for offspring in brood]
        if not genomes:
            self._end_round()
        return genomes

    def learn(self, results: Sequence[ProposalResult]) -> None:
        """Tell the islands in their order, and end the generation where it is measured."""
        left = iter(results)
        for island, brood in zip(self._islands, self._broods, strict=True):
            if brood:
                self._tell(island, brood, list(islice(left, len(brood))))
        self._end_round()

    def batches(self, genomes: Sequence[Genome]) -> list[list[Genome]]:
        """Return genomes of this round in parts, those of an island together."""
        island = {child.genome.hash: place for place, brood in enumerate(self._broods) for child in brood}
        return [list(part) for _, part in groupby(genomes, key=lambda genome: island[genome.hash])]

    def state(self) -> dict[str, Any]:
        """Return all that it remembers besides its rows, as plain JSON."""
        known = self.book.first
        return {
            "islands": [island.state() for island in self._islands],
            "symbols": [] if known is None else list(known.symbols),
            "days": [] if known is None else known.days.tolist(),
            "evaluations": self.evaluations,
        }

    def new_rows(self) -> dict[str, pl.DataFrame]:
        """Return the rows of each table that are new since this was asked last, at the end of a generation."""
        tables = {
            "generations": pl.DataFrame(self.progress[-1:]),
            "families": pl.DataFrame(self.families[self._known_families :], schema=FamilyProgressTable.schema),
            "rejected": record_table(self.rejected[self._known_rejected :], RejectedTable.schema),
            "lost": record_table(self.lost[self._known_lost :], LostBatchTable.schema),
        }
        if self._new_trials:
            tables["trials"] = trial_table(Trials.joined(self._new_trials))
        self._new_trials = []
        self._note_known()
        return tables

    def restore(self, generation: int, state: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> None:
        """Go on from the end of a generation: from its state, and from all rows until then."""
        self.generation, self.has_ended = generation, True
        if "trials" in tables:
            self.book.add(read_trials(tables["trials"], symbols=state["symbols"], days=state["days"]))
        for island, remembered in zip(self._islands, state["islands"], strict=True):
            island.restore(remembered)
        self.rejected = read_records(RejectedGenome, tables["rejected"])
        self.lost = read_records(LostBatch, tables["lost"])
        self._asked = {genome.hash for genome in self.book.genomes} | {flaw.hash for flaw in self.rejected}
        self.progress, self.families = tables["generations"].to_dicts(), tables["families"].to_dicts()
        self.evaluations = state["evaluations"]
        self._note_known()

    def trials(self) -> Trials:
        """Return every trial, and which of them nothing dominates and which sit on an island now."""
        trials = self.book.all()
        on_front, survived = np.zeros((2, len(trials)), dtype=np.bool_)
        on_front[trials.feasible] = is_on_front(trials.objectives[trials.feasible]) if trials.feasible.any() else False
        survived[np.concatenate([island.members for island in self._islands])] = True
        return trials.ended(on_front, survived)

    def _note_known(self) -> None:
        self._known_families, self._known_rejected = len(self.families), len(self.rejected)
        self._known_lost = len(self.lost)

    def _tell(self, island: Island, brood: Sequence[Offspring], results: Sequence[ProposalResult]) -> None:
        lost = [result for result in results if result.is_lost]
        if lost:
            # What was lost was never tried, and may be asked for again.
            self._asked -= {result.genome.hash for result in lost if result.genome is not None}
            self.lost.append(LostBatch(self.generation, island.number, len(lost), lost[0].refused))
            if len(lost) == len(brood):
                return
        self.evaluations += len(brood) - len(lost)
        for result in results:
            if result.flaw is not None and result.genome is not None:
                self._reject(result.genome, result.flaw, island.number)
        born = [np.empty(0, dtype=np.int64)]
        for evaluation in _evaluations(results):
            objectives, feasible = judged(evaluation, self.book, self._spec, self._objectives)
            part = Trials.of(brood, evaluation, objectives, feasible, generation=self.generation, island=island.number)
            self._new_trials.append(part)
            born.append(self.book.add(part))
        island.tell(self.book, np.concatenate(born), self.generation)

    def _reject(self, genome: Genome, flaw: Flaw, island: int) -> None:
        self.rejected.append(RejectedGenome(genome.id, genome.hash, self.generation, island, flaw.kind, flaw.detail))

    def _end_round(self) -> None:
        if self.generation == 0:
            self._rounds += 1
            most, wanted = self._spec.max_evaluations, sum(island.vacant for island in self._islands)
            if wanted and self._rounds < FOUNDING_ROUNDS and (most is None or self.evaluations + wanted <= most):
                return
        self._end_generation()

    def _end_generation(self) -> None:
        """Write the progress down, and restart and migrate where it is time."""
        self.has_ended = True
        self.progress.append(
            generation_row(
                self.generation,
                self.book,
                self._islands,
                self._objectives,
                rejected=len(self.rejected),
                lost=len(self.lost),
            )
        )
        self.families += family_rows(self.generation, self.book, self._islands)
        if self.generation < self._spec.generations:
            for island in self._islands:
                island.close(self.book)
            if self.generation and self.generation % self._spec.migration_interval == 0:
                self._migrate()

    def _migrate(self) -> None:
        leaving = [island.emigrants(self.book) for island in self._islands]
        for island, arriving in zip(self._islands, leaving[-1:] + leaving[:-1], strict=True):
            island.receive(self.book, arriving, self.generation)


def _evaluations(results: Sequence[ProposalResult]) -> list[Evaluation]:
    # Of those that were measured, as few as they were measured in.
    found: dict[int, tuple[Evaluation, list[str]]] = {}
    for result in results:
        if result.evaluation is not None and result.genome is not None:
            found.setdefault(id(result.evaluation), (result.evaluation, []))[1].append(result.genome.hash)
    rows = []
    for evaluation, hashes in found.values():
        place = {genome.hash: row for row, genome in enumerate(evaluation.genomes)}
        rows.append(evaluation.rows([place[each] for each in hashes]))
    return rows


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
