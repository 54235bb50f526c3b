"""Closed bars of the feed into the lake, a day whole or untouched.

They go into a dataset of their own, `live_candles`: a day of `candles` is one that an import has completed.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from quant_organism.exchange.feed.bars import Bar
from quant_organism.market.lake import Lake
from quant_organism.market.schema import CANDLE_SCHEMA, TIMESTAMP, day_of

DATASET: Final = "live_candles"


def write_bars(lake: Lake, market: str, bars: Sequence[Bar]) -> int:
    """Add closed bars to the days that they belong to; a revision takes the place of what was there.

    Parameters
    ----------
    lake, market
        Where to.
    bars
        In the order in which they left the feed, of any coins and intervals.

    Returns
    -------
    int
        Files that changed.

    Raises
    ------
    StorageError
        The lake cannot be written; days before the one that failed are written.
    """
    changed = 0
    for interval in sorted({bar.interval for bar in bars}):
        held = set(lake.days(DATASET, market=market, interval=interval))
        by_day: dict[date, list[Bar]] = {}
        for bar in bars:
            if bar.interval == interval:
                by_day.setdefault(day_of(bar.open_ms), []).append(bar)
        frames = {}
        for day, rows in by_day.items():
            before = [lake.read(DATASET, market=market, interval=interval, start=day, end=day)] if day in held else []
            merged = pl.concat([*before, _frame(rows)])
            frames[day] = merged.unique(("symbol", "timestamp"), keep="last").sort("timestamp", "symbol")
        changed += lake.write_days(DATASET, frames, market=market, interval=interval)
    return changed


def _frame(bars: Sequence[Bar]) -> pl.DataFrame:
    names = ("coin", "open_ms", "open", "high", "low", "close", "volume")
    columns = {column: [getattr(bar, name) for bar in bars] for column, name in zip(CANDLE_SCHEMA, names, strict=True)}
    numbers = pl.Schema({**CANDLE_SCHEMA, "timestamp": pl.Int64()})
    return pl.DataFrame(columns, schema=numbers).with_columns(pl.col("timestamp").cast(TIMESTAMP))
