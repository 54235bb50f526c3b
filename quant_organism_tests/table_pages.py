"""The page of the lake's tables, as their descriptions say: `docs/tables.md`."""

from collections.abc import Iterator

from quant_organism.market.table import Column, Table
from quant_organism.monitoring.tables import ROOMS
from quant_organism_tests.conftest import REPOSITORY

TABLES = REPOSITORY / "docs" / "tables.md"

_HEAD = """\
# Tables

What every dataset of the lake holds, room by room. This page is made from the descriptions in the code by `make pages`;
the same descriptions check each file before it is written, and make the columns and checks that the web UI shows.

Each table is a folder under `data/lake/`, with the folders named here beneath it ([where things
are](data-layout.md)), and a view for `quant-organism sql`, in which the folders are columns too. A **key** column is
one of those that together tell the rows of a file apart. Values may be missing only where it says so; NaN is a value.
"""


def table_page() -> str:
    """Return the whole page."""
    lines = [_HEAD]
    for room, tables in ROOMS.items():
        links = ", ".join(f"[{table.dataset}](#{table.dataset})" for table in tables)
        lines += [f"## {room.capitalize()}\n", f"{links}\n"]
        for table in tables:
            lines += [*_described(table), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _described(table: type[Table]) -> Iterator[str]:
    yield f"### {table.dataset}\n"
    yield f"One row: {table.one_row_is()[:1].lower()}{table.one_row_is()[1:]}\n"
    folders = "/".join(f"{level}=…" for level in table.partitions) or "one folder"
    yield f"Written by {table.written_by}; folders `{folders}`; version {table.version}.\n"
    yield "| column | type | unit | meaning |"
    yield "| --- | --- | --- | --- |"
    for column in table.columns:
        yield f"| {' | '.join(_cells(column))} |"


def _cells(column: Column) -> tuple[str, str, str, str]:
    notes = [("key", column.key), ("may be missing", column.nullable), ("not in every file", column.optional)]
    marks = [name for name, holds in notes if holds]
    kind = str(column.dtype).replace("time_unit='ms', time_zone='UTC'", "ms, UTC")
    return (
        f"**`{column.name}`**" if column.key else f"`{column.name}`",
        kind,
        column.unit,
        column.meaning + (f" ({', '.join(marks)})" if marks else ""),
    )
