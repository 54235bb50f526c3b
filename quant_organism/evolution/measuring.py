"""Measuring genomes for a search: birth checks and evaluation, the same on whatever machine it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from quant_organism.backtest import Costs, Evaluation, Evaluator
from quant_organism.evolution.nursery import Nursery
from quant_organism.market.panel import Panel
from quant_organism.strategies import Flaw, Genome


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
