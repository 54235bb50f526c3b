"""Draws under a null: made in order, on several processes, each kept so that none is ever made twice."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import polars as pl

from quant_organism.errors import IntegrityError, QuantOrganismError
from quant_organism.evolution.measuring import MOST_AHEAD, Piece
from quant_organism.market import encode
from quant_organism.resilience import StoragePath, contents_of, located, write_file
from quant_organism.validation.tables import NullDrawTable
from quant_organism.validation.workers import Workers, shipped, workers_now

Statistics = Mapping[str, float]
"""Values by name; nan where one is undefined."""

LOST: Final = "lost batches"
"""Statistic that counts what could not be measured, for want of a machine or of time: such a draw is not kept."""

Made = TypeVar("Made")

ALONE_SECONDS: float = 2.0
"""How long one process works alone before it starts others: about what a process takes to start, so that little work
is not held up by them. It decides when a piece is made, never what it gives."""


class DrawStore:
    """The draws of one test in the lake: `null_draws/test=<name>/search=<digest>/draw-<number>.parquet`, a file each.

    A file holds one row per statistic and is written once, whole. Any number of processes may add to it.

    Parameters
    ----------
    root
        The lake's folder.
    test
        Name of the test: lower-case letters, digits and _.
    identity
        All that a draw is a function of besides its number, by name: hashes of panel, spec and costs, code, seed.
    """

    def __init__(self, root: StoragePath, test: str, identity: Mapping[str, str]) -> None:
        text = json.dumps(dict(identity), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._folder = located(root) / NullDrawTable.dataset / f"test={test}" / f"search={digest}"
        self._identity = dict(identity)

    def read(self, draw: int) -> Statistics | None:
        """Return what a draw gave; None if it has not been made.

        Raises
        ------
        IntegrityError
            Its file is damaged.
        """
        path = self._path(draw)
        if not path.exists():
            return None
        try:
            content = contents_of([path])[0]
            frame = pl.read_parquet(content, glob=False, hive_partitioning=False, schema=NullDrawTable.schema)
        except pl.exceptions.PolarsError as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            remedy = "delete it: the draw is made again"
            raise IntegrityError(f"a draw cannot be read: {first}", where=str(path), remedy=remedy) from error
        return dict(zip(frame["statistic"].to_list(), frame["value"].to_list(), strict=True))

    def has(self, draw: int) -> bool:
        """Tell whether a draw has been made."""
        return self._path(draw).exists()

    def write(self, draw: int, statistics: Statistics) -> None:
        """Keep what a draw gave.

        Raises
        ------
        StorageError
            The folder cannot be written.
        """
        names, values = list(statistics), [float(value) for value in statistics.values()]
        frame = pl.DataFrame(
            {"draw": [draw] * len(names), "statistic": names, "value": values}, schema=NullDrawTable.schema
        )
        write_file(self._path(draw), encode(NullDrawTable, frame, self._identity))

    def _path(self, draw: int) -> StoragePath:
        return self._folder / f"draw-{draw:06d}.parquet"


def derived_seed(*parts: str) -> int:
    """Return the seed that some texts mean: what is drawn by it depends on them and on nobody's choice."""
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:4], "big")


@dataclass(frozen=True)
class Remembered:
    """A way to make draws that looks first whether a draw has been made, and keeps what is whole.

    Parameters
    ----------
    make
        Makes the statistics of a draw from its number alone.
    store
        Where draws are kept; None: nowhere.
    """

    make: Callable[[int], Statistics]
    store: DrawStore | None = None

    def keeps(self, draw: int) -> bool:
        """Tell whether a draw was made before, so that it takes no time."""
        return self.store is not None and self.store.has(draw)

    def __call__(self, draw: int) -> Statistics:
        """Return the statistics of a draw."""
        known = self.recall(draw)
        if known is not None:
            return known
        made = self.make(draw)
        self.keep(draw, made)
        return made

    def recall(self, draw: int) -> Statistics | None:
        """Return the statistics of a draw that was kept; None if it was not."""
        return None if self.store is None else self.store.read(draw)

    def keep(self, draw: int, made: Statistics) -> None:
        """Keep the statistics of a draw if they are whole."""
        if self.store is not None and not made.get(LOST):
            self.store.write(draw, made)


@runtime_checkable
class KeptPieces(Protocol):
    """Makes pieces and keeps them on this machine, wherever they are made: `Remembered` draws are such."""

    @property
    def make(self) -> Callable[[int], Any]:
        """Makes a piece, whatever was made before; on Ray a `PieceMaker`."""
        ...

    def recall(self, number: int, /) -> Any:
        """Return a piece that was kept; None if it was not."""
        ...

    def keep(self, number: int, made: Any, /) -> None:
        """Keep a piece."""
        ...

    def __call__(self, number: int, /) -> Any:
        """Return a piece, kept or made and kept."""
        ...


def in_order(
    make: Callable[[int], Made], numbers: Iterable[int], processes: int | None, executor: str = "threads"
) -> Iterator[tuple[int, Made]]:
    """Make draws, or what else numbers stand for, and yield each with its number, in order, wherever they are made.

    Parameters
    ----------
    make
        Picklable where there is more than one process. On Ray a `PieceMaker`, or `KeptPieces` of one: what it makes
        there is kept here.
    numbers
        Consumed as pieces are begun, so that it may end early; whoever stops asking waits for those under way.
    processes
        How many pieces are made at once; 1: in this process, but for Ray. Others are those of `workers_at_hand` where
        some are open; unless they have started, they are once this process has worked alone for `ALONE_SECONDS`, and
        it works on until they have come. None, on a cluster only: one per core.
    executor
        `threads`: processes of this machine. Else Ray, by the names that `open_executor` takes.

    Raises
    ------
    QuantOrganismError
        A process was killed that made the same piece for the second time.
    """
    workers = workers_now() if executor == "threads" else None
    source, began = iter(numbers), time.perf_counter()
    is_alone = executor == "threads" and processes == 1
    has_others = workers is not None and workers.have_started
    while is_alone or (not has_others and time.perf_counter() - began < ALONE_SECONDS):
        if (number := next(source, None)) is None:
            return
        yield number, make(number)
    if executor != "threads":
        from quant_organism.evolution.executors.ray_pieces import ray_pieces

        kept: KeptPieces = make if isinstance(make, KeptPieces) else Remembered(make)  # type: ignore[arg-type]
        address = None if executor == "ray" else executor
        maker: Any = kept.make
        yield from ray_pieces(maker, source, address=address, workers=processes, recall=kept.recall, keep=kept.keep)
        return
    assert processes is not None
    with shipped(make) as maker, _open(processes, workers) as opened, opened.asked():
        yield from _on_processes(make, maker, source, processes, opened)


@contextmanager
def _open(processes: int, at_hand: Workers | None) -> Iterator[Workers]:
    """Return the workers at hand if they are enough, else some for as long as this is entered."""
    if at_hand is not None and at_hand.count >= processes:
        yield at_hand
        return
    own = Workers(processes)
    try:
        yield own
    finally:
        own.end()


def _on_processes(
    make: Callable[[int], Made], maker: Path, source: Iterator[int], processes: int, workers: Workers
) -> Iterator[tuple[int, Made]]:
    begun: deque[int] = deque()
    made: dict[int, Made] = {}
    waiting: deque[Piece] = deque()
    running: dict[Future[Made], Piece] = {}

    def next_number() -> int | None:
        number = next(source, None) if len(begun) < MOST_AHEAD * processes else None
        if number is not None:
            begun.append(number)
        return number

    try:
        while True:  # once, and again after a process was killed
            try:
                first = workers.start()
                while True:
                    while len(running) < processes:
                        if not waiting and (number := next_number()) is not None:
                            waiting.append(Piece(number))
                        if not waiting:
                            break
                        running[workers.submit(maker, waiting[0].place)] = waiting[0]
                        waiting.popleft()
                    if not first.done() and (number := next_number()) is not None:
                        made[number] = make(number)
                    elif running:
                        for future in wait(running, return_when=FIRST_COMPLETED).done:
                            made[running[future].place] = future.result()
                            del running[future]
                    elif not begun:
                        return
                    while begun and begun[0] in made:
                        yield begun[0], made.pop(begun.popleft())
            except BrokenProcessPool as error:
                workers.end()
                for future in wait(running).done:
                    piece = running.pop(future)
                    if future.exception() is None:
                        made[piece.place] = future.result()
                    else:
                        waiting.append(piece)
                if failed := [piece.place for piece in waiting if piece.failed("its process was killed")]:
                    raise QuantOrganismError(
                        f"processes were killed, twice, while they made piece {failed[0]}, perhaps for want of memory",
                        remedy="run the same again with fewer processes; pieces that were kept are not made again",
                    ) from error
    finally:
        wait(running)
