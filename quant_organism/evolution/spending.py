"""What a search may spend, and what it has spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from quant_organism.evolution.spec import SEARCH_SHARE, EvolutionSpec

TIMED_BUDGETS: Final = ("hours", "cost_limit_usd")
"""Budgets that look at the clock."""

_SECONDS_PER_HOUR = 3_600.0


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
