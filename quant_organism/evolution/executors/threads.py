"""The executor of one process: batches one after the other, each on all of the evaluator's threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import QuantOrganismError
from quant_organism.evolution.measuring import Batch, BatchFailure, Measured, Workbench, reason_of
from quant_organism.market import Panel
from quant_organism.strategies import Genome


class ThreadExecutor:
    """Measure in this process.

    Parameters
    ----------
    panel, costs, evaluator
        As in `Workbench`. A worker is a thread of the evaluator, and all of them are busy with each batch.
    """

    def __init__(self, panel: Panel, costs: Costs, evaluator: Evaluator) -> None:
        self._bench = Workbench(panel, costs, evaluator)
        self._threads = evaluator.threads

    @property
    def workers(self) -> int:
        """Threads of the evaluator."""
        return self._threads

    def measure(self, batches: Sequence[Sequence[Genome]]) -> Iterator[tuple[int, Measured | BatchFailure]]:
        """Measure the batches in their order."""
        for place, genomes in enumerate(batches):
            yield place, self._outcome(Batch(place, tuple(genomes)))

    def _outcome(self, batch: Batch) -> Measured | BatchFailure:
        while True:
            try:
                measured = self._bench.measure(batch.genomes)
            except QuantOrganismError:
                raise
            except Exception as error:
                failure = batch.failed(reason_of(error))
                if failure is not None:
                    return failure
            else:
                return replace(measured, seconds=measured.seconds * self._threads)
