"""What commands print: tables for people, JSON for programs."""

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import typer

_WIDTH_OF_A_FILE: Final = 140


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
