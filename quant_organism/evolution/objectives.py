"""From measured metrics to the objectives of the search, and the size of a Pareto front."""

from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Evaluation


@dataclass(frozen=True)
class Objective:
    """One direction of the search.

    Parameters
    ----------
    metric
        Column of `Evaluation.metrics`.
    weight
        +1 to maximise, -1 to minimise (DEAP's convention).
    worst
        Value that an infeasible genome gets, and the reference point of the hypervolume.
    scale
        What one unit of hypervolume means in this direction.
    """

    metric: str
    weight: float
    worst: float
    scale: float


OBJECTIVES = (
    Objective("sharpe", 1.0, -2.0, 1.0),
    Objective("consistency", 1.0, 0.0, 1.0),
    Objective("max_drawdown", -1.0, 1.0, 1.0),
    Objective("turnover_per_year", -1.0, 5_000.0, 1_000.0),
)


def is_feasible(evaluation: Evaluation, min_trades: int) -> NDArray[np.bool_]:
    """Tell which genomes traded enough to be judged and have every objective defined; shape (G,)."""
    defined = np.all([np.isfinite(evaluation.metrics[o.metric]) for o in OBJECTIVES], axis=0)
    enough: NDArray[np.bool_] = defined & (evaluation.metrics["trades"] >= min_trades)
    return enough


def objective_matrix(evaluation: Evaluation, feasible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the objectives, shape (G, 4), infeasible genomes at the worst value of each."""
    columns = [np.where(feasible, evaluation.metrics[o.metric], o.worst) for o in OBJECTIVES]
    return np.column_stack(columns)


def hypervolume(points: NDArray[np.float64]) -> float:
    """Return the volume that a set of objective rows, shape (n, 4), dominates against the worst values."""
    signs = np.array([-o.weight / o.scale for o in OBJECTIVES])
    reference = np.array([-o.weight / o.scale * o.worst for o in OBJECTIVES])
    minimised = points * signs
    better = minimised[np.all(minimised < reference, axis=1)]
    return float(moocore.hypervolume(better, ref=reference)) if len(better) else 0.0


def is_on_front(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which rows of an objective matrix, shape (n, 4), no other row dominates; of equal rows all are kept."""
    signs = np.array([-o.weight for o in OBJECTIVES])
    front: NDArray[np.bool_] = moocore.is_nondominated(points * signs, keep_weakly=True)
    return front
