"""The executor of many processes or machines: batches as Ray tasks, results as they are done.

Ray's own retries are off: which failures count, and how often, is said in `measuring`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import ray
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayTaskError,
    WorkerCrashedError,
)

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.evolution.executors.ray_session import ray_session
from quant_organism.evolution.executors.ray_worker import Kit, measure_batch, worker_code
from quant_organism.evolution.measuring import Batch, BatchFailure, Executor, Measured, Piece, reason_of
from quant_organism.market import Panel
from quant_organism.strategies import Genome

_NODE_IS_LOST = (NodeDiedError, LocalRayletDiedError, ObjectLostError)


@contextmanager
def ray_executor(
    panel: Panel,
    costs: Costs,
    evaluator: Evaluator,
    *,
    address: str | None,
    workers: int | None,
    batch_seconds: float | None,
) -> Iterator[Executor]:
    """Start Ray on this machine, or join the cluster at `address`, and measure there until the end of the block.

    Parameters and errors as in `open_executor`. A worker is one process on one core. The evaluator's ceiling of memory
    is shared out among the workers of a node.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}, expected at least 1", where="executor")
    if batch_seconds is not None and not batch_seconds > 0:
        raise InputError(f"batch_seconds is {batch_seconds}, expected more than 0", where="executor")
    local_workers = workers or evaluator.threads
    with ray_session(address, local_workers, shipped_bytes=array_bytes(panel)):
        on_a_node = local_workers if address is None else _most_cores_of_a_node(workers)
        own = replace(evaluator, threads=1, memory_bytes=evaluator.memory_bytes // on_a_node)
        kit = Kit(panel, panel.hash, costs, own, worker_code())
        yield RayExecutor(kit, workers if address is not None else local_workers, batch_seconds)


class RayExecutor:
    """Measure on the Ray that this process is connected to.

    Parameters
    ----------
    kit
        What workers need; it is put into the object store once.
    workers
        How many batches are with Ray at a time; None: as many as the cluster has cores at the time.
    batch_seconds
        Seconds from when a batch is handed to a free worker until it counts as late; None: it never does.
    """

    def __init__(self, kit: Kit, workers: int | None, batch_seconds: float | None) -> None:
        self._kit = ray.put(kit)
        self._workers = workers
        self._batch_seconds = batch_seconds
        self._task = ray.remote(num_cpus=1, max_retries=0)(measure_batch)

    @property
    def workers(self) -> int:
        """Worker processes at work while there are batches enough.

        Raises
        ------
        InputError
            The cluster cannot be reached any more.
        """
        with reached("from the checkpoint with --resume"):
            return workers_now(self._workers)

    def measure(self, batches: Sequence[Sequence[Genome]]) -> Iterator[tuple[int, Measured | BatchFailure]]:
        """Measure the batches on whatever worker is free; those still under way are stopped when iteration ends.

        Raises
        ------
        InputError
            The cluster cannot be reached any more.
        """
        with reached("from the checkpoint with --resume"):
            yield from self._measure(batches)

    def _measure(self, batches: Sequence[Sequence[Genome]]) -> Iterator[tuple[int, Measured | BatchFailure]]:
        waiting = deque(Batch(place, tuple(genomes)) for place, genomes in enumerate(batches))
        running: dict[ray.ObjectRef[Measured], tuple[Batch, float]] = {}
        workers = self.workers
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    batch = waiting.popleft()
                    running[self._task.remote((self._kit,), batch.genomes)] = batch, time.monotonic()
                done, _ = ray.wait(list(running), num_returns=1, timeout=self._patience(running))
                late = [] if done else self._late(running)
                for reference in [*done, *late]:
                    batch, _ = running.pop(reference)
                    outcome = self._stop(reference, batch) if reference in late else outcome_of(reference, batch)
                    if outcome is None:
                        waiting.append(batch)
                        workers = self.workers  # fewer, if a node is gone
                    else:
                        yield batch.place, outcome
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _patience(self, running: dict[ray.ObjectRef[Measured], tuple[Batch, float]]) -> float | None:
        if self._batch_seconds is None:
            return None
        first = min(began for _, began in running.values())
        return max(0.0, first + self._batch_seconds - time.monotonic())

    def _late(self, running: dict[ray.ObjectRef[Measured], tuple[Batch, float]]) -> list[ray.ObjectRef[Measured]]:
        if self._batch_seconds is None:
            return []
        now = time.monotonic()
        return [reference for reference, (_, began) in running.items() if now - began >= self._batch_seconds]

    def _stop(self, reference: ray.ObjectRef[Measured], batch: Batch) -> BatchFailure | None:
        ray.cancel(reference, force=True)
        return batch.failed(f"not done after {self._batch_seconds:g} seconds, and stopped")


def workers_now(most: int | None) -> int:
    """Return how many workers the cluster has room for at this time, up to a number.

    Raises
    ------
    ConnectionError
        The cluster cannot be reached any more.
    """
    try:
        cores = max(1, int(ray.cluster_resources().get("CPU", 0)))
    except (grpc.RpcError, ValueError) as error:  # Ray's client lets gRPC's own through, of a closed channel too
        raise ConnectionError(error.details() if isinstance(error, grpc.Call) else error) from error
    return cores if most is None else min(cores, most)


@contextmanager
def reached(go_on: str) -> Iterator[None]:
    """Name a cluster that is gone, and say how what was begun there goes on."""
    try:
        yield
    except ConnectionError as error:
        raise InputError(
            f"the cluster cannot be reached any more: {error}",
            where="executor",
            remedy=f"see to the cluster or choose another executor, then go on {go_on}",
        ) from error


def outcome_of(reference: ray.ObjectRef[Any], piece: Piece) -> Any:
    """Return what came of a finished task, a `BatchFailure` if it failed for good, None if it is to be tried again."""
    try:
        return _owned(ray.get(reference))
    except _NODE_IS_LOST:
        return piece.lost()
    except OutOfMemoryError:
        return piece.failed(
            "Ray stopped its worker because the machine was nearly out of memory: use smaller batches or fewer workers"
        )
    except WorkerCrashedError:
        return piece.failed("its worker process was killed, by the system for want of memory or by someone")
    except RayTaskError as error:
        if isinstance(error.cause, QuantOrganismError):
            raise error.cause from None
        return piece.failed(reason_of(error.cause))


def _owned(value: Any) -> Any:
    # Arrays from Ray are views into its object store, which would fill up with all that a search keeps.
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {name: _owned(entry) for name, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, (type, Genome)):
        return replace(value, **{field.name: _owned(getattr(value, field.name)) for field in fields(value)})
    return value


def array_bytes(panel: Panel) -> int:
    """Return the size of a panel's arrays."""
    return sum(value.nbytes for value in vars(panel).values() if isinstance(value, np.ndarray))


def _most_cores_of_a_node(workers: int | None) -> int:
    cores = max((int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]), default=0)
    if cores < 1:
        raise InputError("the Ray cluster has no core", where="executor", remedy="add a node with --num-cpus")
    return cores if workers is None else min(cores, workers)
