"""One evolution cycle: search the in-sample span, make the final choice, hand both on as frames."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.candidates import Candidate, choose_candidates
from quant_organism.evolution.records import candidates_frame, flaws_frame, generations_frame, trials_frame
from quant_organism.evolution.search import Progress, search
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.panel import Panel


@dataclass(frozen=True)
class EvolutionResult:
    """What a cycle found.

    Attributes
    ----------
    population
        One row per unique trial.
    generations
        One row per generation.
    candidates
        What is put forward for validation, the pooled committee first; empty when nothing traded enough.
    candidate_members
        The candidates as a frame, one row per member.
    turned_away
        One row per genome that failed the birth checks: genome, kind, detail.
    """

    population: pl.DataFrame
    generations: pl.DataFrame
    candidates: list[Candidate]
    candidate_members: pl.DataFrame
    turned_away: pl.DataFrame


def evolve(
    panel: Panel,
    spec: EvolutionSpec,
    costs: Costs,
    evaluator: Evaluator,
    *,
    seed: int,
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
    progress
        Called after each generation with (generation, generations, best in-sample Sharpe ratio so far).
    """
    result = search(panel, spec, costs, evaluator, seed=np.random.SeedSequence(seed), progress=progress)
    candidates = choose_candidates(result.trials, spec)
    return EvolutionResult(
        population=trials_frame(result.trials),
        generations=generations_frame(result.generations),
        candidates=candidates,
        candidate_members=candidates_frame(candidates),
        turned_away=flaws_frame(result.turned_away),
    )
