"""What commands show: tables for people, JSON for programs, and progress bars on standard error meanwhile."""

import math
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

import typer

from quant_organism.errors import QuantOrganismError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_WIDTH_OF_A_FILE: Final = 140
_LEAST_COLUMN: Final = 12
"""Characters that a column of an answer needs on average, or its words are broken into syllables."""
_LARGEST_IN_DIGITS: Final = 1e15
"""From here on a number is shown as a power of ten: up to here a float knows all its digits."""
_TENTHS: Final = 10
"""Lines that a log has of one thing that goes on, at most, beside its first and last and those with news."""


class Stopped(Exception):
    """A person pressed Ctrl-C while something was computed."""


def print_json(document: Any) -> None:
    """Print a document as JSON; dates and paths as text, undefined numbers as null."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
    typer.echo(orjson.dumps(document, option=options, default=str), nl=False)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, widest: int | None = None
) -> None:
    """Print rows under their column names; numbers to the right, texts cut to `widest` characters if that is given."""
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
        table.add_row(*[Text(_cut(_text(value), widest)) for value in row])
    Console(width=_width()).print(table)


def print_records(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, widest: int) -> None:
    """Print rows as a table; where so many columns have no room beside each other, each row as lines of its own."""
    from rich.console import Console

    if Console(width=_width()).width >= _LEAST_COLUMN * len(columns):
        print_table(columns, rows, widest=widest)
        return
    for number, row in enumerate(rows, start=1):
        print_table((f"row {number}", ""), zip(columns, row, strict=True), widest=widest)


def _width() -> int | None:
    """Return the characters of a line; None: those of the terminal, or what COLUMNS says."""
    return None if sys.stdout.isatty() or shutil.get_terminal_size((0, 0)).columns else _WIDTH_OF_A_FILE


def _cut(text: str, widest: int | None) -> str:
    one_line = text if widest is None else " ".join(text.split())
    return one_line if widest is None or len(one_line) <= widest else one_line[: widest - 1] + "…"


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        short = f"{value:.4g}"
        return f"{value:.0f}" if "e+" in short and abs(value) < _LARGEST_IN_DIGITS else short
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


class ProgressLog:
    """A line with the time at once whenever a thing begins, ends, or has come on by a tenth.

    Parameters
    ----------
    stream
        Where the lines go; each is flushed.
    """

    def __init__(self, stream: TextIO) -> None:
        import structlog

        stamp = structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True)
        lines = structlog.processors.LogfmtRenderer(key_order=["timestamp", "event"], drop_missing=True)
        self._log = structlog.wrap_logger(structlog.PrintLogger(stream), processors=[stamp, lines])
        self._shown: dict[str, tuple[int, int]] = {}

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        """Report that `done` of `total` steps of `what` are finished."""
        reached = (_TENTHS * done // total if total else 0, total)
        if self._shown.get(what) != reached:
            self._shown[what] = reached
            self._log.info(what, done=done, total=total, **({"note": note} if note else {}))


@contextmanager
def progress_bars() -> Iterator[ProgressLines | ProgressLog]:
    """Show how things go on while something runs: bars at a terminal, lines with the time elsewhere.

    Dagster redirects the standard streams of the process into files while a step runs; the bars go to a copy of
    standard error that it does not know. Bars vanish where an error follows, so that it alone is seen.

    Raises
    ------
    Stopped
        On Ctrl-C.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as stream:
        try:
            if not stream.isatty():
                yield ProgressLog(stream)
                return
            display = Progress(
                SpinnerColumn(),
                TextColumn("{task.description:<12}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(file=stream),
            )
            with display:
                try:
                    yield ProgressLines(display)
                except QuantOrganismError:
                    display.live.transient = True
                    raise
        except KeyboardInterrupt as interrupt:
            raise Stopped from interrupt
