"""Pieces of work as Ray tasks, such as whole searches on copies of a market: kept as they are done, given in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import ray

from quant_organism.errors import QuantOrganismError
from quant_organism.evolution.executors.ray_cluster import array_bytes, outcome_of, reached, workers_now
from quant_organism.evolution.executors.ray_session import ray_session
from quant_organism.evolution.executors.ray_worker import PieceKit, PieceMaker, make_piece, panels_of, worker_code
from quant_organism.evolution.measuring import MOST_AHEAD, BatchFailure, Piece


def ray_pieces(
    maker: PieceMaker,
    numbers: Iterator[int],
    *,
    address: str | None,
    workers: int | None,
    recall: Callable[[int], Any],
    keep: Callable[[int, Any], None],
) -> Iterator[tuple[int, Any]]:
    """Make pieces on Ray and yield each with its number, in the order of the numbers.

    Nodes share no disk with this process and need none: what is kept is kept here. A piece whose node is lost is made
    elsewhere; one that fails is tried once more. Whoever stops asking ends those under way.

    Parameters
    ----------
    maker
        Makes a piece; it is shipped to each node once.
    numbers
        Consumed as pieces are begun, so that it may end early.
    address
        Of a cluster, as in `open_executor`; None: Ray on this machine, for as long as there are pieces.
    workers
        Worker processes, each on one core; None: one per core of the cluster, whose new nodes are used as they come.
    recall
        Returns a piece that was made before, None if it was not.
    keep
        Told of each piece as soon as it is made, in any order.

    Raises
    ------
    InputError
        The cluster does not answer, or cannot be reached any more.
    QuantOrganismError
        A piece failed twice, or was on too many nodes when they were lost.
    """
    shipped = sum(array_bytes(panel) for panel in panels_of(maker).values())
    again = "by running the same again, with --resume-copies where a time limit is set: pieces that were made are kept"
    with ray_session(address, workers or 1, shipped_bytes=shipped), reached(again):
        yield from _in_order(maker, numbers, workers, recall, keep)


def _in_order(
    maker: PieceMaker,
    numbers: Iterator[int],
    most: int | None,
    recall: Callable[[int], Any],
    keep: Callable[[int, Any], None],
) -> Iterator[tuple[int, Any]]:
    task = ray.remote(num_cpus=1, max_retries=0)(make_piece)
    kit = ray.put(PieceKit(maker, dict(maker.identity), worker_code()))
    retried: deque[Piece] = deque()
    begun: deque[int] = deque()
    made: dict[int, Any] = {}
    running: dict[ray.ObjectRef[Any], Piece] = {}
    try:
        while True:
            workers = workers_now(most)  # fewer if a node is gone, more if one came
            while len(running) < workers and (retried or len(begun) < MOST_AHEAD * workers):
                if retried:
                    piece = retried.popleft()
                elif (number := next(numbers, None)) is None:
                    break
                else:
                    begun.append(number)
                    if (known := recall(number)) is not None:
                        made[number] = known
                        continue
                    piece = Piece(number)
                running[task.remote((kit,), piece.place)] = piece
            while begun and begun[0] in made:
                yield begun[0], made.pop(begun.popleft())
            if running:
                for reference in ray.wait(list(running), num_returns=1)[0]:
                    piece = running.pop(reference)
                    outcome = outcome_of(reference, piece)
                    if outcome is None:
                        retried.append(piece)
                    elif isinstance(outcome, BatchFailure):
                        raise QuantOrganismError(
                            f"piece {piece.place} failed, {outcome.reason}",
                            where="executor",
                            remedy="run the same again, with fewer workers if memory was short; pieces made are kept",
                        )
                    else:
                        made[piece.place] = outcome
                        keep(piece.place, outcome)
            elif not begun:
                return
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
