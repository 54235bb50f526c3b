"""Measuring genomes for a search: birth checks and evaluation, the same on whatever machine it is done.

A batch that failed is tried twice, by every executor. What a person must mend (any `QuantOrganismError`) is the same
for all batches and raised at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from quant_organism.backtest import Costs, Evaluation, Evaluator
from quant_organism.evolution.nursery import Nursery
from quant_organism.market import Panel
from quant_organism.strategies import Flaw, Genome

TRIES: Final = 2
NODES: Final = 3
"""A batch that was on this many nodes when they were lost is taken for the reason of their loss."""
MOST_AHEAD: Final = 4
"""Pieces per worker that are begun and not yet handed out in order: one that takes long keeps no other waiting."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What came of one batch of genomes.

    Attributes
    ----------
    sound
        Those that passed the birth checks, in the order in which they were given.
    evaluation
        Of `sound`, row by row; None when there is none.
    flaws
        Of the others, in the order in which they were given.
    seconds
        Worker-seconds: the time that they took, times the workers that it kept busy.
    """

    sound: tuple[Genome, ...]
    evaluation: Evaluation | None
    flaws: tuple[Flaw, ...]
    seconds: float


@dataclass(frozen=True)
class BatchFailure:
    """Why a batch could not be measured, after it was tried twice."""

    reason: str


class Executor(Protocol):
    """Measures batches of genomes; which one does decides nothing but the time it takes.

    `search` defines what it needs; see `executors/` for those that there are.
    """

    @property
    def workers(self) -> int:
        """How many workers cost money while they run."""
        ...

    def measure(self, batches: Sequence[Sequence[Genome]]) -> Iterator[tuple[int, Measured | BatchFailure]]:
        """Measure batches and yield (place of the batch, outcome) as each is done, in any order."""
        ...


class Workbench:
    """Measures genomes on one panel; what it learned from earlier batches makes later ones cheaper, never different.

    Parameters
    ----------
    panel
        The in-sample span only.
    costs, evaluator
        What trading costs, and who evaluates.
    """

    def __init__(self, panel: Panel, costs: Costs, evaluator: Evaluator) -> None:
        self._panel, self._costs, self._evaluator = panel, costs, evaluator
        self._nursery = Nursery(panel)

    def measure(self, genomes: Sequence[Genome]) -> Measured:
        """Check genomes at birth and evaluate the sound ones."""
        began = time.perf_counter()
        verdicts = [self._nursery.check(genome) for genome in genomes]
        sound = tuple(genome for genome, flaw in zip(genomes, verdicts, strict=True) if flaw is None)
        evaluation = self._evaluator.evaluate(sound, self._panel, self._costs) if sound else None
        flaws = tuple(flaw for flaw in verdicts if flaw is not None)
        return Measured(sound, evaluation, flaws, time.perf_counter() - began)


@dataclass(eq=False)
class Piece:
    """A piece of work on its way: its number among the pieces, and why it failed so far."""

    place: int
    reasons: list[str] = field(default_factory=list, kw_only=True)
    lost_nodes: int = field(default=0, kw_only=True)

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


@dataclass(eq=False)
class Batch(Piece):
    """A piece of a search: a batch of genomes."""

    genomes: tuple[Genome, ...]


def reason_of(error: BaseException) -> str:
    """Say in a person's words why a batch failed."""
    if isinstance(error, MemoryError):
        return f"out of memory ({error}): use smaller batches, fewer workers or a machine with more"
    return f"{type(error).__name__}: {error}"
