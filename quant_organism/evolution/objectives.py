"""From measured metrics to the objectives of the search, chosen by name, and the size of a Pareto front.

Objective matrices are in minimisation form throughout: what is to be large is negated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError

Floats = NDArray[np.float64]

INFEASIBLE = 1e9
"""Value of every objective of an infeasible genome: whatever is feasible dominates it (Deb et al. 2002, section VI)."""


@dataclass(frozen=True)
class Objective:
    """One direction of the search.

    Parameters
    ----------
    metric
        Key of `Evaluation.metrics`.
    sign
        -1 where the metric should be large, +1 where it should be small.
    reference
        Value of the metric, as bad as needs be told apart, from which the hypervolume is measured.
    scale
        What one unit of hypervolume means in this direction.
    absolute
        Whether it is the distance from zero that should be small.
    """

    metric: str
    sign: float
    reference: float
    scale: float = 1.0
    absolute: bool = False

    def minimised(self, values: Floats) -> Floats:
        """Return values of the metric such that smaller is better."""
        return self.sign * (np.abs(values) if self.absolute else values)


_LARGE, _SMALL = -1.0, 1.0

KNOWN_OBJECTIVES = {
    objective.metric: objective
    for objective in (
        Objective("sharpe", _LARGE, -2.0),
        Objective("sortino", _LARGE, -2.0),
        Objective("calmar", _LARGE, -2.0),
        Objective("consistency", _LARGE, 0.0),
        Objective("total_return", _LARGE, -1.0),
        Objective("annual_return", _LARGE, -1.0),
        Objective("alpha", _LARGE, -1.0),
        Objective("win_rate", _LARGE, 0.0),
        Objective("profit_factor", _LARGE, 0.0),
        Objective("max_drawdown", _SMALL, 1.0),
        Objective("volatility", _SMALL, 1.0),
        Objective("turnover_per_year", _SMALL, 5_000.0, 1_000.0),
        Objective("exposure", _SMALL, 1.0),
        Objective("net_exposure", _SMALL, 1.0, absolute=True),
        Objective("beta", _SMALL, 1.0, absolute=True),
    )
}
"""Metrics of which it is known whether more or less is better."""

DEFAULT_OBJECTIVES = ("sharpe", "consistency", "max_drawdown", "turnover_per_year")


def objectives_named(names: Sequence[str]) -> tuple[Objective, ...]:
    """Return the objectives of these names, in their order.

    Raises
    ------
    InputError
        If there is no name, one is unknown, or one is given twice.
    """
    unknown = [name for name in names if name not in KNOWN_OBJECTIVES]
    repeated = sorted({name for name in names if names.count(name) > 1})
    known = f"choose from {', '.join(KNOWN_OBJECTIVES)}"
    if unknown:
        raise InputError(f"unknown objectives {', '.join(unknown)}", where="objectives", remedy=known)
    if repeated:
        raise InputError(f"objectives given twice: {', '.join(repeated)}", where="objectives", remedy="name each once")
    if not names:
        raise InputError("no objective is named", where="objectives", remedy=known)
    return tuple(KNOWN_OBJECTIVES[name] for name in names)


def is_feasible(metrics: Mapping[str, Floats], min_trades: int, objectives: Sequence[Objective]) -> NDArray[np.bool_]:
    """Tell which genomes traded enough to be judged and have every objective defined; shape (G,)."""
    defined = np.all([np.isfinite(metrics[o.metric]) for o in objectives], axis=0)
    enough: NDArray[np.bool_] = defined & (metrics["trades"] >= min_trades)
    return enough


def objective_matrix(
    metrics: Mapping[str, Floats], feasible: NDArray[np.bool_], objectives: Sequence[Objective]
) -> Floats:
    """Return the objectives in minimisation form, shape (G, m); every one of an infeasible genome is `INFEASIBLE`."""
    return np.column_stack([np.where(feasible, o.minimised(metrics[o.metric]), INFEASIBLE) for o in objectives])


def composite(metrics: Mapping[str, Floats]) -> Floats:
    """Return 0.5 Sharpe + 0.3 consistency - 0.2 maximum drawdown: a view to rank by, which no selection reads."""
    return 0.5 * metrics["sharpe"] + 0.3 * metrics["consistency"] - 0.2 * metrics["max_drawdown"]


def hypervolume(points: Floats, objectives: Sequence[Objective]) -> float:
    """Return the volume that rows of an objective matrix, shape (n, m), dominate against the references.

    The references and scales are fixed, so volumes compare between generations, islands and cycles.
    """
    scales = np.array([o.scale for o in objectives])
    reference = np.concatenate([o.minimised(np.array([o.reference])) for o in objectives]) / scales
    scaled = points / scales
    better = scaled[np.all(scaled < reference, axis=1)]
    return float(moocore.hypervolume(better, ref=reference)) if len(better) else 0.0


def is_on_front(points: Floats) -> NDArray[np.bool_]:
    """Tell which rows of an objective matrix, shape (n, m), no other row dominates; of equal rows all are kept."""
    front: NDArray[np.bool_] = moocore.is_nondominated(points, keep_weakly=True)
    return front
