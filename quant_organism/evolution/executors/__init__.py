"""Where genomes are measured: in this process, or by Ray on one machine or many. Which one decides only the time.

What a search needs of them is `measuring.Executor`; how they are opened is `open_executor`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from quant_organism.errors import InputError

if TYPE_CHECKING:
    from quant_organism.backtest import Costs, Evaluator
    from quant_organism.evolution.measuring import Executor
    from quant_organism.market import Panel


def open_executor(
    name: str,
    panel: Panel,
    costs: Costs,
    evaluator: Evaluator,
    *,
    workers: int | None = None,
    batch_seconds: float | None = None,
) -> AbstractContextManager[Executor]:
    """Return what measures genomes on a panel for as long as it is entered.

    Parameters
    ----------
    name
        `threads`: this process, with the evaluator's threads. `ray`: worker processes on this machine. `HOST:PORT`: a
        Ray cluster that this machine belongs to. `ray://HOST:PORT`: a Ray cluster elsewhere, through its client port.
    panel, costs, evaluator
        What every batch is measured on, and by whom.
    workers
        Worker processes of Ray; None: one per thread of the evaluator for `ray`, one per core of a cluster.
    batch_seconds
        Seconds after which Ray stops a batch and tries it once more; None: never.

    Raises
    ------
    InputError
        An unknown name, a cluster that does not answer, or settings that `threads` has no use for.
    """
    if name == "threads":
        if workers is not None or batch_seconds is not None:
            raise InputError(
                "workers and batch_seconds are for Ray: a batch in this process cannot be stopped",
                where="executor threads",
                remedy="set threads instead, or choose the executor ray",
            )
        from quant_organism.evolution.executors.threads import ThreadExecutor

        return nullcontext(ThreadExecutor(panel, costs, evaluator))
    if name != "ray" and ":" not in name:
        raise InputError(
            f"unknown executor {name!r}", where="executor", remedy="choose threads, ray, HOST:PORT or ray://HOST:PORT"
        )
    from quant_organism.evolution.executors.ray_cluster import ray_executor

    return ray_executor(
        panel, costs, evaluator, address=None if name == "ray" else name, workers=workers, batch_seconds=batch_seconds
    )
