"""What commands show: tables for people, JSON for programs, and progress bars on standard error meanwhile."""

import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_WIDTH_OF_A_FILE: Final = 140
_WIDTH_OF_BARS_IN_A_FILE: Final = 120


class Stopped(Exception):
    """A person pressed Ctrl-C while something was computed."""


def print_json(document: Any) -> None:
    """Print a document as JSON; dates and paths as text, undefined numbers as null."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
    typer.echo(orjson.dumps(document, option=options, default=str), nl=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print rows under their column names; numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = bool(shown) and all(isinstance(row[index], int | float) or row[index] is None for row in shown)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=index == 0)
    for row in shown:
        table.add_row(*[Text(_text(value)) for value in row])
    Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE).print(table)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


class ProgressLines:
    """One bar per thing that goes on, in the order in which they begin."""

    def __init__(self, display: "Progress") -> None:
        self._display = display
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        """Report that `done` of `total` steps of `what` are finished."""
        if what not in self._tasks:
            self._tasks[what] = self._display.add_task(what, total=total, note=note)
        self._display.update(self._tasks[what], completed=done, total=total, note=note)


@contextmanager
def progress_bars() -> Iterator[ProgressLines]:
    """Show progress bars while something runs.

    Dagster redirects the standard streams of the process into files while a step runs; the bars go to a copy of
    standard error that it does not know.

    Raises
    ------
    Stopped
        On Ctrl-C.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as stream:
        display = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(file=stream, width=None if stream.isatty() else _WIDTH_OF_BARS_IN_A_FILE),
        )
        try:
            with display:
                yield ProgressLines(display)
        except KeyboardInterrupt as interrupt:
            raise Stopped from interrupt
