"""Numbers, small tables and files as Dagster metadata, so that the web UI plots and shows them."""

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import dagster as dg
import polars as pl

from quant_organism.monitoring import IN_A_CELL

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


def page(address: str, name: str) -> dg.MarkdownMetadataValue:
    """Show a link to a page of the report site."""
    return dg.MetadataValue.md(f"[{name}]({address})")


def pictures(addresses: Mapping[str, str], page: str) -> dg.MarkdownMetadataValue | dg.TextMetadataValue:
    """Show pictures of the report site by their names, as wide as a cell, each a link to the page that they are on."""
    if not addresses:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.md("\n\n".join(f"[![{name}]({at}?{IN_A_CELL})]({page})" for name, at in addresses.items()))


def file(path: Path | None) -> dg.PathMetadataValue | dg.TextMetadataValue:
    """Show where a file is; a word where there was nothing to write."""
    return dg.MetadataValue.text("none") if path is None else dg.MetadataValue.path(str(path))


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None  # NaN is no JSON: a browser drops the whole row
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return value if isinstance(value, str | int | bool | None) else str(value)
