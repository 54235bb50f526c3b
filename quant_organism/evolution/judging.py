"""What selection reads of a batch: which of its genomes are feasible, and their objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Evaluation
from quant_organism.evolution.fitness import complexity, fitness, penalised
from quant_organism.evolution.objectives import KNOWN_OBJECTIVES, Objective, is_feasible, objective_matrix
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.trials import TrialBook

Floats = NDArray[np.float64]


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
