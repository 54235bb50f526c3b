"""What happens to a batch that failed: the same rule for every executor.

A batch is tried twice. What a person must mend (any `QuantOrganismError`) is the same for all batches
and raised at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from quant_organism.evolution.measuring import BatchFailure
from quant_organism.strategies import Genome

TRIES: Final = 2
NODES: Final = 3
"""A batch that was on this many nodes when they were lost is taken for the reason of their loss."""


@dataclass(eq=False)
class Batch:
    """A batch on its way: its place among the batches, its genomes, and why it failed so far."""

    place: int
    genomes: tuple[Genome, ...]
    reasons: list[str] = field(default_factory=list)
    lost_nodes: int = 0

    def failed(self, reason: str) -> BatchFailure | None:
        """Note a failure of its own; return the final one if there have been enough."""
        self.reasons.append(reason)
        if len(self.reasons) < TRIES:
            return None
        first, last = self.reasons[0], self.reasons[-1]
        return BatchFailure(f"twice: {last}" if first == last else f"first: {first}; then: {last}")

    def lost(self) -> BatchFailure | None:
        """Note that its node was lost, which is no failure of its own until it has happened too often."""
        self.lost_nodes += 1
        return BatchFailure(f"{NODES} nodes were lost while they measured it") if self.lost_nodes == NODES else None


def reason_of(error: BaseException) -> str:
    """Say in a person's words why a batch failed."""
    if isinstance(error, MemoryError):
        return f"out of memory ({error}): use smaller batches, fewer workers or a machine with more"
    return f"{type(error).__name__}: {error}"
