"""Processes of this machine that make pieces of work, started once for all stages of a run.

A process takes seconds of a core before it makes anything. Whoever runs several stages opens `workers_at_hand` around
them: `draws.in_order` then hands its pieces to the same processes, and what a later stage needs can be begun while an
earlier one leaves cores idle.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Final

_MAKERS_HELD: Final = 2
"""What a process keeps of what pieces are made from: that of the stage under way, and that of what is begun ahead."""


class Workers:
    """Processes that make pieces, started when the first piece is asked for, and again after one was killed.

    Parameters
    ----------
    count
        How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()
        self._ahead: _Ahead | None = None
        self._asked = threading.Condition()
        self._askers = 0

    @property
    def have_started(self) -> bool:
        """Whether they are there, so that a piece costs no start of a process."""
        return self._pool is not None

    def start(self) -> Future[int]:
        """Start them unless they are there; what is returned is done once one of them has nothing else to do."""
        return self._opened().submit(os.getpid)

    def load(self, what: Callable[[], Any]) -> None:
        """Start them, and have each load the module of a function and call it, while others are at something else."""
        for _ in range(self.count):
            self._opened().submit(what)

    def submit(self, maker: Path, number: int) -> Future[Any]:
        """Have a piece made by what was `shipped`."""
        return self._opened().submit(_made, str(maker), number)

    def end(self) -> None:
        """End the processes once they have made what is under way; the next piece starts others."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _opened(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self.count, context, initializer=_begin)
            return self._pool

    @contextmanager
    def asked(self) -> Iterator[None]:
        """While this is entered nothing is begun ahead: somebody waits for other pieces."""
        with self._asked:
            self._askers += 1
        try:
            yield
        finally:
            with self._asked:
                self._askers -= 1
                self._asked.notify_all()

    def begin_ahead(self, make: Callable[[int], Any], numbers: Sequence[int]) -> None:
        """Begin pieces that a later stage will ask for, as many at once as there are processes.

        Parameters
        ----------
        make
            Makes a piece and keeps it where that stage looks first.
        numbers
            Which, in this order.
        """
        self.end_ahead()
        self._ahead = _Ahead(self, make, numbers)

    def end_ahead(self) -> None:
        """Begin no more pieces ahead, and wait for those under way."""
        if self._ahead is not None:
            self._ahead.end()
            self._ahead = None

    def wait_unasked(self, unless: threading.Event) -> None:
        """Wait until nobody waits for pieces, or an event is set that is told by `wake`."""
        with self._asked:
            self._asked.wait_for(lambda: unless.is_set() or not self._askers)

    def wake(self) -> None:
        """Have those look again that wait until nobody waits."""
        with self._asked:
            self._asked.notify_all()


class _Ahead:
    """Pieces on their way that nobody waits for yet."""

    def __init__(self, workers: Workers, make: Callable[[int], Any], numbers: Sequence[int]) -> None:
        self._workers, self._make, self._numbers = workers, make, numbers
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pieces ahead", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._workers.wake()
        self._thread.join()

    def _run(self) -> None:
        under_way: set[Future[Any]] = set()
        with shipped(self._make) as maker:
            try:
                for number in self._numbers:
                    if len(under_way) == self._workers.count:
                        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                        for piece in done:
                            piece.result()
                    self._workers.wait_unasked(self._ended)
                    if self._ended.is_set():
                        break
                    under_way.add(self._workers.submit(maker, number))
            except Exception:
                pass  # whoever asks for the piece makes it again, and meets what went wrong
            wait(under_way)


_at_hand: Workers | None = None


def workers_now() -> Workers | None:
    """Return the workers that are open; None where none are."""
    return _at_hand


@contextmanager
def workers_at_hand(count: int) -> Iterator[Workers | None]:
    """Keep processes for all stages inside, those that are open already where this stands in another.

    Parameters
    ----------
    count
        How many; 1: none, each stage does as it would alone.
    """
    global _at_hand
    if _at_hand is not None or count == 1:
        yield _at_hand
        return
    _at_hand = Workers(count)
    try:
        yield _at_hand
    finally:
        opened, _at_hand = _at_hand, None
        opened.end_ahead()
        opened.end()


@contextmanager
def shipped(make: Callable[[int], Any]) -> Iterator[Path]:
    """Write what makes pieces to a file that processes read once each, and remove it afterwards."""
    with tempfile.NamedTemporaryFile(prefix="quant-organism-pieces-") as file:
        file.write(ForkingPickler.dumps(make))
        file.flush()
        yield Path(file.name)


def _begin() -> None:
    """Prepare a worker: it ends without a word when it is interrupted, or when the process that asks is gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


_held: dict[str, Callable[[int], Any]] = {}


def _made(maker: str, number: int) -> Any:
    if maker not in _held:
        _held[maker] = ForkingPickler.loads(Path(maker).read_bytes())
        for old in list(_held)[:-_MAKERS_HELD]:
            del _held[old]
    return _held[maker](number)
