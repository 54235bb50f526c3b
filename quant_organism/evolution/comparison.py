"""Comparing searches by what they would put forward: committee and champion of each, in the sample and after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.candidates import Candidate
from quant_organism.market import Panel
from quant_organism.strategies import Committee

ENGINE = "evolution"
"""What the engine's own search is called beside its baselines."""

Put = Literal["committee", "champion"]


@dataclass(frozen=True)
class Contender:
    """What a search puts forward.

    Attributes
    ----------
    method
        `ENGINE`, or the name of a baseline.
    evaluations, feasible
        Genomes measured, and how many of them traded enough.
    choices
        Its committee and the best single genome, as far as it found them.
    """

    method: str
    evaluations: int
    feasible: int
    choices: dict[Put, Committee]

    @classmethod
    def of(cls, method: str, candidates: Sequence[Candidate], *, evaluations: int, feasible: int) -> Contender:
        """Return what stands first of each kind in a final choice."""
        choices: dict[Put, Committee] = {}
        for candidate in candidates:
            choices.setdefault("champion" if candidate.origin == "champion" else "committee", candidate.committee)
        return cls(method, evaluations, feasible, choices)


@dataclass(frozen=True, eq=False)
class Unseen:
    """Days that no search has seen: the panel, warm-up included, and the bar from which on they count."""

    panel: Panel
    start: int


def standings(
    contenders: Sequence[Contender], seen: Panel, unseen: Unseen | None, costs: Costs, evaluator: Evaluator
) -> list[dict[str, Any]]:
    """Measure what each search puts forward.

    Parameters
    ----------
    contenders
        The searches.
    seen
        The in-sample panel that they searched.
    unseen
        Days after it; None where looking at them has to wait.
    costs, evaluator
        What trading costs, and who measures.

    Returns
    -------
    list of dict
        Per search and choice: `method`, `choice`, `evaluations`, `feasible`, `members`, `in_sample_sharpe`,
        `in_sample_max_drawdown`, `in_sample_turnover_per_year` and `unseen_sharpe`. Sharpe ratios are annual and net;
        who never traded has earned nothing and has 0; `unseen_sharpe` is None without unseen days.
    """
    entered = [(one, name, committee) for one in contenders for name, committee in one.choices.items()]
    committees = [committee for _, _, committee in entered]
    if not committees:
        return []
    inside = evaluator.evaluate_committees(committees, seen, costs).metrics
    later = None
    if unseen is not None:
        later = evaluator.evaluate_committees(committees, unseen.panel, costs, start=unseen.start).metrics["sharpe"]
    return [
        {
            "method": one.method,
            "choice": name,
            "evaluations": one.evaluations,
            "feasible": one.feasible,
            "members": len(committee.members),
            "in_sample_sharpe": _earned(inside["sharpe"][place]),
            "in_sample_max_drawdown": float(inside["max_drawdown"][place]),
            "in_sample_turnover_per_year": float(inside["turnover_per_year"][place]),
            "unseen_sharpe": None if later is None else _earned(later[place]),
        }
        for place, (one, name, committee) in enumerate(entered)
    ]


def _earned(sharpe: float) -> float:
    return float(sharpe) if math.isfinite(sharpe) else 0.0
