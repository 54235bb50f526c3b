"""The manifest of a panel: one row per symbol and a content hash; the arrays are built again from the lake."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl

from quant_organism.errors import IntegrityError
from quant_organism.market.lake import Lake
from quant_organism.market.panel import FUNDING_RUN_IN, Panel, build_panel
from quant_organism.market.quality import assess
from quant_organism.market.schema import TIMESTAMP, Interval
from quant_organism.market.tables import FundingTable, PanelTable


def assess_candles(
    lake: Lake, *, market: str, interval: Interval, start: date, end: date, symbols: Sequence[str] | None = None
) -> pl.DataFrame:
    """Score the candles of some days, rows that their import set aside included.

    Returns
    -------
    DataFrame
        One row per (day, symbol), as `market.quality.assess` returns it.

    Raises
    ------
    InputError
        There are no candles on these days.
    """
    candles = lake.read("candles", market=market, interval=interval.name, start=start, end=end)
    held = [day for day in lake.days("set_aside", market=market) if start <= day <= end]
    set_aside = lake.read("set_aside", market=market, start=held[0], end=held[-1]) if held else None
    settlements = lake.table(FundingTable)
    paid = [day for day in settlements.days(market=market) if start - FUNDING_RUN_IN <= day <= end]
    funding = settlements.read(market=market, start=paid[0], end=paid[-1]) if paid else FundingTable.empty()
    if symbols is not None:
        chosen = pl.col("symbol").is_in(symbols)
        candles, set_aside = candles.filter(chosen), None if set_aside is None else set_aside.filter(chosen)
    return assess(candles, interval, set_aside=set_aside, funding=funding)


def describe_panel(panel: Panel, assessment: pl.DataFrame) -> pl.DataFrame:
    """Return the manifest of a panel.

    Parameters
    ----------
    panel
        The arrays.
    assessment
        Quality per (day, symbol) of its candles, as `market.quality.assess` returns it.

    Returns
    -------
    DataFrame
        One row per symbol: `symbol`, `first_bar`, `last_bar` (UTC), `bars`, `coverage` (share of valid bars between
        the two), `score` (data quality), `funding` (share of bars with a known rate), and, the same in every row,
        `panel_days` and `panel_hash`.
    """
    rows = []
    for column, symbol in enumerate(panel.symbols):
        valid = np.flatnonzero(panel.valid[:, column])
        first, last = int(valid[0]), int(valid[-1])
        moments = [datetime.fromtimestamp(int(panel.times[bar]) / 1000, UTC) for bar in (first, last)]
        funded = float(np.isfinite(panel.funding_rate[valid, column]).mean())
        rows.append((symbol, *moments, len(valid), len(valid) / (last - first + 1), funded))
    schema: dict[str, Any] = {
        "symbol": pl.Utf8,
        "first_bar": TIMESTAMP,
        "last_bar": TIMESTAMP,
        "bars": pl.Int64,
        "coverage": pl.Float64,
        "funding": pl.Float64,
    }
    scores = assessment.group_by("symbol").agg(score=1.0 - pl.col("defective").sum() / pl.col("expected").sum())
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .join(scores, on="symbol", how="left", maintain_order="left")
        .with_columns(
            panel_days=pl.lit(panel.n_bars // panel.interval.bars_per_day, pl.Int64), panel_hash=pl.lit(panel.hash)
        )
        .select(PanelTable.schema.names())
    )


def rebuild_panel(manifest: pl.DataFrame, lake: Lake, *, market: str, interval: Interval, day: date) -> Panel:
    """Build the arrays of a stored panel again.

    Raises
    ------
    IntegrityError
        The lake no longer holds the data that the panel was made of.
    """
    stored = manifest.row(0, named=True)
    panel = build_panel(
        lake, market, interval, end=day, lookback_days=stored["panel_days"], symbols=manifest["symbol"].to_list()
    )
    if panel.hash != stored["panel_hash"]:
        raise IntegrityError(
            f"the candles or funding of {market} changed since the panel of {day} was made "
            f"(hash {panel.hash[:8]}, not {stored['panel_hash'][:8]})",
            where=f"market_panel of {day}",
            remedy="materialise market_panel and what follows again",
        )
    return panel
