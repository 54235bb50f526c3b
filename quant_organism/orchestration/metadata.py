"""Numbers, small tables and files as Dagster metadata, so that the web UI plots and shows them."""

import math
from datetime import datetime
from pathlib import Path

import dagster as dg
import polars as pl

MOST_ROWS = 30


def table(frame: pl.DataFrame) -> dg.TableMetadataValue | dg.TextMetadataValue:
    """Show the first rows of a small frame; a word where there are none."""
    if frame.is_empty():
        return dg.MetadataValue.text("none")
    shown = frame.head(MOST_ROWS)
    return dg.MetadataValue.table(
        [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in shown.iter_rows(named=True)]
    )


def number(value: float | None) -> float | str:
    """Return a number that a plot can show; a word where it is undefined."""
    return round(float(value), 4) if value is not None and math.isfinite(value) else "undefined"


def file(path: Path | None) -> dg.PathMetadataValue | dg.TextMetadataValue:
    """Show where a file is; a word where there was nothing to write."""
    return dg.MetadataValue.text("none") if path is None else dg.MetadataValue.path(str(path))


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None  # NaN is no JSON: a browser drops the whole row
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return value if isinstance(value, str | int | bool | None) else str(value)
