"""Progress bars on standard error, whatever happens to the process's own streams meanwhile."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from quant_organism.cli.stopped import Stopped

_WIDTH_OF_A_FILE = 120


class Bars:
    """One bar per thing that goes on, in the order in which they begin."""

    def __init__(self, display: Progress) -> None:
        self._display = display
        self._bars: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        """Report that `done` of `total` steps of `what` are finished."""
        if what not in self._bars:
            self._bars[what] = self._display.add_task(what, total=total, note=note)
        self._display.update(self._bars[what], completed=done, total=total, note=note)


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Show progress bars while something runs.

    Dagster redirects the standard streams of the process into files while a step runs; the bars go to a copy of
    standard error that it does not know.

    Raises
    ------
    Stopped
        On Ctrl-C.
    """
    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as stream:
        display = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(file=stream, width=None if stream.isatty() else _WIDTH_OF_A_FILE),
        )
        try:
            with display:
                yield Bars(display)
        except KeyboardInterrupt as interrupt:
            raise Stopped from interrupt
