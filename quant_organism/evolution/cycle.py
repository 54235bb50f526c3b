"""One evolution cycle: search the in-sample span, make the final choice, hand both on as frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.archive import elites
from quant_organism.evolution.candidates import Candidate, EdgeEvidence, choose_candidates
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.measuring import Executor
from quant_organism.evolution.nursery import default_families
from quant_organism.evolution.objectives import objectives_named
from quant_organism.evolution.progress import Spent, no_generation
from quant_organism.evolution.records import candidates_frame, generations_frame, record_table, trials_frame
from quant_organism.evolution.search import OnGeneration, OnMeasured, Progress, Saved, SearchResult, search
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import FamilyProgressTable, LostBatchTable, RejectedTable
from quant_organism.evolution.trials import Trials
from quant_organism.market import Panel
from quant_organism.strategies import Genome


@dataclass(frozen=True)
class EvolutionResult:
    """What a cycle found.

    Attributes
    ----------
    search
        The search itself: its trials as arrays, what it took, and what stopped it.
    population
        One row per unique trial.
    generations, families
        One row per generation, and one per generation, island and family.
    candidates
        What is put forward for validation, the committee first; empty when nothing traded enough.
    candidate_members
        The candidates as a frame, one row per member.
    elites
        The best of each way to behave, as `archive.elites` returns them.
    rejected, lost
        One row per genome that was turned away, and one per batch that could not be measured.
    """

    search: SearchResult
    population: pl.DataFrame
    generations: pl.DataFrame
    families: pl.DataFrame
    candidates: list[Candidate]
    candidate_members: pl.DataFrame
    elites: pl.DataFrame
    rejected: pl.DataFrame
    lost: pl.DataFrame


def evolve(
    panel: Panel,
    spec: EvolutionSpec,
    costs: Costs,
    evaluator: Evaluator,
    *,
    seed: int,
    founders: Sequence[Genome] = (),
    evidence: EdgeEvidence | None = None,
    executor: Executor | None = None,
    saved: Saved | None = None,
    on_measured: OnMeasured | None = None,
    on_generation: OnGeneration | None = None,
    progress: Progress | None = None,
) -> EvolutionResult:
    """Run one cycle on a panel.

    Parameters
    ----------
    panel
        The in-sample span only: nothing later may be in it.
    spec, costs, evaluator
        What to search, what trading costs, and who measures.
    seed
        Seed of the cycle; equal inputs give equal results.
    executor
        Who measures the batches of the search, on this panel with these costs; None: this process.
    evidence
        What tests before the search found; decides what the committee is made of where the spec says `auto`.
    founders, saved, on_measured, on_generation, progress
        As `search` takes them.
    """
    found = search(
        spec,
        spec.families or default_families(panel),
        executor or ThreadExecutor(panel, costs, evaluator),
        source=GenomeSource(panel, costs, evaluator),
        seed=np.random.SeedSequence(seed),
        founders=founders,
        saved=saved,
        on_measured=on_measured,
        on_generation=on_generation,
        progress=progress,
    )
    return _result(found, choose_candidates(found.trials, spec, panel, costs, evaluator, evidence=evidence), panel)


def without_search(spec: EvolutionSpec, panel: Panel, *, why: str) -> EvolutionResult:
    """Return what a cycle has found that did not search.

    Parameters
    ----------
    spec, panel
        The search that was not made.
    why
        What stopped it.
    """
    objectives = objectives_named(spec.objectives)
    nothing = SearchResult(
        trials=Trials.none(len(objectives)),
        generations=[no_generation(objectives)],
        families=[],
        rejected=[],
        lost=[],
        spent=Spent(0, 0.0, 0.0, 1, 0.0),
        stopped_by=why,
    )
    return _result(nothing, [], panel)


def _result(found: SearchResult, candidates: list[Candidate], panel: Panel) -> EvolutionResult:
    return EvolutionResult(
        search=found,
        population=trials_frame(found.trials),
        generations=generations_frame(found.generations),
        families=pl.DataFrame(found.families, schema=FamilyProgressTable.schema),
        candidates=candidates,
        candidate_members=candidates_frame(candidates),
        elites=elites(found.trials, panel),
        rejected=record_table(found.rejected, RejectedTable.schema),
        lost=record_table(found.lost, LostBatchTable.schema),
    )
