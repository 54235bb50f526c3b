"""How far a search is and what it has spent: its standing while it runs, rows of progress for every generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from quant_organism.evolution.islands import Island
from quant_organism.evolution.objectives import DEFAULT_OBJECTIVES, Objective, hypervolume, objectives_named
from quant_organism.evolution.spec import SEARCH_SHARE, EvolutionSpec
from quant_organism.evolution.trials import TrialBook

TIMED_BUDGETS: Final = ("hours", "cost_limit_usd")
"""Budgets that look at the clock."""

_SECONDS_PER_HOUR = 3_600.0


@dataclass(frozen=True)
class Standing:
    """Where a search stands, as told while it runs.

    Parameters
    ----------
    generation, generations
        The generation that is being measured, or was last, and the last one of the spec.
    batches, batches_done
        Batches of this generation, and those that came back; of the founding its first round counts.
    trials
        Trials so far.
    best_sharpe
        Best in-sample Sharpe ratio of the populations after the last complete generation; NaN before.
    expected_cost_usd
        What the whole search will cost at the pace so far; None without a price or before the founding is measured.
    """

    generation: int
    generations: int
    batches: int
    batches_done: int
    trials: int
    best_sharpe: float
    expected_cost_usd: float | None

    @property
    def note(self) -> str:
        """Where it stands, for people."""
        parts = [f"generation {self.generation} of {self.generations}", f"{self.trials:,} trials"]
        if np.isfinite(self.best_sharpe):
            parts.append(f"best in-sample Sharpe {self.best_sharpe:.2f}")
        if self.expected_cost_usd is not None:
            parts.append(f"about {self.expected_cost_usd:.2f} USD in all")
        return ", ".join(parts)


@dataclass(frozen=True)
class RejectedGenome:
    """A genome that was turned away, on the short sample or by the birth checks.

    Parameters
    ----------
    genome, hash
        Its identity, and its hash in full.
    generation, island
        For which it was proposed.
    kind, detail
        What is wrong with it, and where it showed.
    """

    genome: str
    hash: str
    generation: int
    island: int
    kind: str
    detail: str


@dataclass(frozen=True)
class LostBatch:
    """A batch that could not be measured: its generation, island, number of genomes, and why."""

    generation: int
    island: int
    genomes: int
    reason: str


def generation_row(
    generation: int,
    book: TrialBook,
    islands: Sequence[Island],
    objectives: Sequence[Objective],
    rejected: int,
    lost: int,
) -> dict[str, float]:
    """Return the progress of one generation: counts so far, and how good and how diverse the populations are."""
    members = np.unique(np.concatenate([island.members for island in islands]))
    alive = members[book.feasible[members]]
    row: dict[str, float] = {
        "generation": generation,
        "trials": len(book),
        "rejected": rejected,
        "lost_batches": lost,
        "restarts": sum(island.restarts for island in islands),
        "feasible": int(book.feasible.sum()),
        "members": len(members),
        "behaviours": len(np.unique(book.behaviour[members])),
        "hypervolume": hypervolume(book.objectives[alive], objectives),
    }
    for objective in _shown(objectives):
        values = book.metric(objective.metric)[alive]
        values = values[np.isfinite(values)]
        best = int(np.argmin(objective.minimised(values))) if len(values) else None
        row[f"best_{objective.metric}"] = float("nan") if best is None else float(values[best])
        row[f"median_{objective.metric}"] = float(np.median(values)) if len(values) else float("nan")
    return row


def no_generation(objectives: Sequence[Objective]) -> dict[str, float]:
    """Return the progress of a search that was not made."""
    counts = ("generation", "trials", "rejected", "lost_batches", "restarts", "feasible", "members", "behaviours")
    unknown = {f"{what}_{o.metric}": float("nan") for o in _shown(objectives) for what in ("best", "median")}
    return {**dict.fromkeys(counts, 0), "hypervolume": 0.0, **unknown}


def family_rows(generation: int, book: TrialBook, islands: Sequence[Island]) -> list[dict[str, Any]]:
    """Return who sits on each island: members, and their best and median Sharpe ratio, by family."""
    rows = []
    sharpe = book.metric("sharpe")
    for island in islands:
        family = np.array([book.genomes[trial].family for trial in island.members])
        for name in sorted({*island.families, *family.tolist()}):
            own = island.members[family == name] if len(family) else island.members
            judged = sharpe[own[book.feasible[own]]]
            rows.append(
                {
                    "generation": generation,
                    "island": island.number,
                    "family": name,
                    "members": len(own),
                    "best_sharpe": float(judged.max()) if len(judged) else None,
                    "median_sharpe": float(np.median(judged)) if len(judged) else None,
                }
            )
    return rows


def _shown(objectives: Sequence[Objective]) -> Sequence[Objective]:
    """Return the default objectives, and those of the search beside them."""
    return objectives_named(list(dict.fromkeys((*DEFAULT_OBJECTIVES, *(o.metric for o in objectives)))))


@dataclass(frozen=True)
class Spent:
    """What a search has taken so far, resumed parts included.

    Parameters
    ----------
    evaluations
        Genomes that were measured, those that failed the birth checks included.
    seconds
        From the beginning to the end of its generations.
    busy_seconds
        Sum over batches of the time that a worker was busy with them.
    workers
        Workers that it has now.
    last_seconds
        Duration of the last generation.
    """

    evaluations: int
    seconds: float
    busy_seconds: float
    workers: int
    last_seconds: float

    @property
    def evaluations_per_second(self) -> float:
        """Genomes measured in a second; NaN before the first."""
        return self.evaluations / self.seconds if self.seconds > 0 else float("nan")

    @property
    def worker_use(self) -> float:
        """Share of the time that workers were busy, were there as many all the while as now; NaN before the first."""
        paid = self.workers * self.seconds
        return self.busy_seconds / paid if paid > 0 else float("nan")

    def cost_usd(self, spec: EvolutionSpec) -> float | None:
        """Return what the workers have cost; None without a price."""
        return _cost_usd(spec, self.workers, self.seconds)

    def expected_cost_usd(self, spec: EvolutionSpec) -> float | None:
        """Return what the whole search will cost at the pace so far; None without a price or any evaluation."""
        if not self.evaluations:
            return None
        planned = spec.strategies + spec.generations * spec.islands * spec.brood
        return _cost_usd(spec, self.workers, self.seconds * max(1.0, planned / self.evaluations))


def reason_to_stop(spec: EvolutionSpec, spent: Spent) -> str | None:
    """Return the name of the budget that another generation like the last one would exceed; None if all suffice."""
    if spec.max_evaluations is not None and spent.evaluations + spec.islands * spec.brood > spec.max_evaluations:
        return "max_evaluations"
    then = spent.seconds + spent.last_seconds
    if spec.hours is not None and then > SEARCH_SHARE * spec.hours * _SECONDS_PER_HOUR:
        return "hours"
    cost = _cost_usd(spec, spent.workers, then)
    if spec.cost_limit_usd is not None and cost is not None and cost > spec.cost_limit_usd:
        return "cost_limit_usd"
    return None


def _cost_usd(spec: EvolutionSpec, workers: int, seconds: float) -> float | None:
    price = spec.cost_per_worker_hour_usd
    return None if price is None else price * workers * seconds / _SECONDS_PER_HOUR
