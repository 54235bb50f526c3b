"""Raw cells to typed columns: what can be read becomes a number, what cannot is said in the row's `unreadable`."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.schema import MS_PER_DAY

_PER_MILLISECOND: Final = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_INT64: Final = range(-(2**63), 2**63)


def require_columns(found: Sequence[str], needed: Sequence[str], where: str) -> None:
    """Raise an InputError that names the missing columns and the ones that are there."""
    missing = [name for name in needed if name not in found]
    if missing:
        raise InputError(
            f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing; found {', '.join(found)}",
            where=where,
            remedy=f"export the file again with the columns {', '.join(needed)}",
        )


# --- text files -------------------------------------------------------------------------------------------------


def split_lines(text: str, separator: str = ",") -> pl.DataFrame:
    """Split separated text into ``row`` (1-based line) and ``fields``; lines without content are left out."""
    lines = pl.DataFrame({"line": text.split("\n")}, schema={"line": pl.String()})
    lines = (
        lines.with_row_index("row", offset=1)
        .with_columns(pl.col("row").cast(pl.Int64), pl.col("line").str.strip_chars("\r "))
        .filter(pl.col("line") != "")
        .rechunk()
    )
    if lines.select(pl.col("line").str.contains(f'"[^"]*{re.escape(separator)}[^"]*"').any()).item():
        parsed = [next(csv.reader([line], delimiter=separator, skipinitialspace=True), []) for line in lines["line"]]
        return lines.select("row", pl.Series("fields", parsed, dtype=pl.List(pl.String())))
    fields = pl.col("line").str.split(separator).list.eval(pl.element().str.strip_chars('" '))
    return lines.select("row", fields.alias("fields"))


def pick_fields(lines: pl.DataFrame, positions: Mapping[str, int], width: int, *, prefix: str = "") -> pl.DataFrame:
    """Put fields into named text columns; a line that has not `width` fields is unreadable and gets nulls."""
    found = pl.col("fields").list.len()
    whole = found == width
    return lines.select(
        "row",
        *[
            pl.when(whole).then(pl.col("fields").list.get(at, null_on_oob=True)).alias(prefix + name)
            for name, at in positions.items()
        ],
        pl.when(~whole).then(pl.format("the line has {} fields, expected {}", found, width)).alias("unreadable"),
    )


def text_to_numbers(frame: pl.DataFrame, names: Sequence[str], kind: pl.DataType) -> pl.DataFrame:
    """Read text columns as numbers of `kind`; the first cell of a row that is none is named in ``unreadable``."""
    return frame.with_columns(
        *[pl.col(name).cast(kind, strict=False) for name in names],
        unreadable=pl.coalesce("unreadable", *[_not_a_number(name, name, kind) for name in names]),
    )


def _not_a_number(name: str, source: str, kind: pl.DataType) -> pl.Expr:
    cell = pl.col(source).cast(pl.String)
    return pl.when(pl.col(source).cast(kind, strict=False).is_null()).then(
        pl.when(cell.fill_null("") == "")
        .then(pl.lit(f"{name} is empty"))
        .otherwise(pl.format(f"{name} is '{{}}', which is no number", cell.str.head(40)))
    )


# --- binary files -----------------------------------------------------------------------------------------------


def typed_columns(
    frame: pl.DataFrame, *, time: str, values: Mapping[str, str], path: Path
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read the columns of a Parquet or feather file.

    Parameters
    ----------
    frame
        The file's columns.
    time
        Column of the timestamps: date-times of any unit, days, or integers that count milliseconds.
    values
        Our name of each value -> the file's column of it.
    path
        For messages.

    Returns
    -------
    frame, notes
        ``row``, ``time``, the values, ``unreadable``, in the file's order; and what was put right, in sentences.

    Raises
    ------
    InputError
        A column is missing, or its type can hold neither times nor numbers.
    """
    require_columns(frame.columns, [time, *values.values()], str(path))
    notes: list[str] = []
    stamp = _milliseconds(time, frame.schema[time], path, notes)
    for source in values.values():
        kind = frame.schema[source]
        if kind == pl.String:
            notes.append(f"{path.name}: {source} is stored as text and was read as numbers.")
        elif not kind.is_numeric():
            raise InputError(
                f"column {source} has type {kind}, expected numbers",
                where=str(path),
                remedy="store prices, volumes and rates as 64-bit floating-point numbers",
            )
    number = pl.Float64()
    return frame.select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("row"),
        stamp.alias("time"),
        *[pl.col(source).cast(number, strict=False).alias(name) for name, source in values.items()],
        unreadable=pl.coalesce(
            pl.when(stamp.is_null()).then(pl.lit(f"{time} is empty or not a whole millisecond")),
            *[_not_a_number(name, source, number) for name, source in values.items()],
        ),
    ), tuple(notes)


def _milliseconds(time: str, kind: pl.DataType, path: Path, notes: list[str]) -> pl.Expr:
    physical = pl.col(time).to_physical().cast(pl.Int64, strict=False)
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is None:
            notes.append(f"{path.name}: {time} names no time zone and was read as UTC.")
        factor = _PER_MILLISECOND[kind.time_unit]
        return pl.when(physical % factor == 0).then(physical // factor)
    if kind == pl.Date:
        return physical * MS_PER_DAY
    if kind.is_integer():
        return physical
    raise InputError(
        f"column {time} has type {kind}, expected date-times",
        where=str(path),
        remedy="store timestamps as UTC date-times, or as integers that count milliseconds since 1970",
    )


# --- JSON -------------------------------------------------------------------------------------------------------


def json_columns(
    rows: Any, *, time_at: int, values: Mapping[str, int], width: int, path: Path
) -> tuple[pl.DataFrame, list[list[Any]]]:
    """Read a JSON list of rows, each a list of `width` cells.

    Parameters
    ----------
    rows
        What the file holds.
    time_at
        Position of the timestamp, an integer that counts milliseconds.
    values
        Name of each value -> its position in a row.
    width
        Cells of a row.
    path
        For messages.

    Returns
    -------
    frame, rows
        ``row``, ``time``, the values, ``unreadable``; and the rows, a row of another width replaced by nulls.

    Raises
    ------
    InputError
        The content is no list of rows, or holds none.
    """
    if not isinstance(rows, list) or not rows:
        raise InputError(
            "the file holds no rows" if rows == [] else f"the file holds a JSON {type(rows).__name__}, expected rows",
            where=str(path),
            remedy="download it again, or remove it",
        )
    whole = [isinstance(row, list) and len(row) == width for row in rows]
    cells = [row if good else [None] * width for row, good in zip(rows, whole, strict=True)]
    columns = {
        name: _json_numbers([row[at] for row in cells], kind)
        for name, at, kind in (
            ("time", time_at, pl.Int64()),
            *((name, at, pl.Float64()) for name, at in values.items()),
        )
    }
    frame = pl.DataFrame({name: column for name, (column, _) in columns.items()}).with_columns(
        row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
        whole=pl.Series(whole),
    )
    problems = [
        pl.when(pl.col(name).is_null()).then(
            pl.format(f"{name} is {{}}, which is no number", pl.lit(pl.Series(found, dtype=pl.String())))
        )
        for name, (_, found) in columns.items()
    ]
    return frame.select(
        "row",
        *columns,
        unreadable=pl.coalesce(pl.when(~pl.col("whole")).then(pl.lit(f"the row has not {width} cells")), *problems),
    ), cells


def _json_numbers(cells: list[Any], kind: pl.DataType) -> tuple[pl.Series, list[str | None]]:
    """Return the cells as numbers, null where they are none, and for those the cell as people read it."""
    allowed = {int} if kind.is_integer() else {int, float}
    good = [type(cell) in allowed and not (kind.is_integer() and cell not in _INT64) for cell in cells]
    numbers = pl.Series([cell if is_good else None for cell, is_good in zip(cells, good, strict=True)], dtype=kind)
    return numbers, [None if is_good else repr(cell)[:40] for cell, is_good in zip(cells, good, strict=True)]
