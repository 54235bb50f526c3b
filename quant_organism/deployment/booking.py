"""Births, days and moves in the lake: rows are added where they are missing, and never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.tables import BirthTable, MoveTable
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval
from quant_organism.market.table import Table


def book_moves(lake: Lake, documents: Sequence[StrategyConfig], *, market: str, interval: Interval) -> int:
    """Enter the moves of documents in the lake, those that are not there yet; return how many rows were added."""
    by_day: dict[date, list[dict[str, Any]]] = {}
    for document in documents:
        if document.provenance.market != market or document.interval != interval.name:
            continue
        for move in document.history[1:]:
            whole = {
                MoveTable.id: document.id,
                MoveTable.at: move.at,
                MoveTable.start: move.from_stage,
                MoveTable.end: move.to_stage,
                MoveTable.rule: move.rule,
                MoveTable.by: move.by,
                MoveTable.reason: move.reason,
            }
            numbers = {record.kind: record for record in move.records}
            by_day.setdefault(date.fromisoformat(move.at[:10]), []).extend(
                whole | {"kind": kind, "value": r.value, "bound": r.bound, "n": r.n, "source": r.source}
                for kind, r in numbers.items()
            )
            if not numbers:
                empty = {"kind": "", "value": None, "bound": None, "n": 0, "source": ""}
                by_day[date.fromisoformat(move.at[:10])].append(whole | empty)
    where = {"market": market, "interval": interval.name}
    return sum(append_rows(lake, MoveTable, rows, day, **where) for day, rows in sorted(by_day.items()))


def book_births(lake: Lake, rows: Sequence[Mapping[str, Any]], *, day: date, market: str, interval: Interval) -> int:
    """Enter births of a cycle of a day in the lake, those that are not there yet; return how many were added."""
    return append_rows(lake, BirthTable, rows, day, market=market, interval=interval.name)


def read_rows(lake: Lake, table: type[Table], *, market: str, interval: str) -> pl.DataFrame:
    """Return all rows of a table of a market with their `date`, none where there are none."""
    stored = lake.table(table)
    parts = [
        stored.read_day(day, market=market, interval=interval).with_columns(pl.lit(day).alias("date"))
        for day in stored.days(market=market, interval=interval)
    ]
    empty = table.empty().with_columns(pl.lit(None, dtype=pl.Date).alias("date"))
    return pl.concat([empty, *parts])


def append_rows(
    lake: Lake, table: type[Table], rows: Sequence[Mapping[str, Any]], day: date, *, market: str, interval: str
) -> int:
    """Add rows whose key a day does not have yet; those that are there stay as they are."""
    if not rows:
        return 0
    stored = lake.table(table)
    is_held = day in stored.days(market=market, interval=interval)
    before = stored.read_day(day, market=market, interval=interval) if is_held else table.empty()
    new = table.frame([dict(row) for row in rows]).join(before, on=list(table.key), how="anti")
    if new.height:
        stored.write(pl.concat([before, new]).sort(table.key), market=market, interval=interval, day=day)
    return new.height
