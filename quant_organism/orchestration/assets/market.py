"""Group market: candles, funding and sentiment of a day, and the panel that a cycle sees."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import numpy as np
import polars as pl
from dagster_duckdb import DuckDBResource

from quant_organism.cycle import Panels, Progress
from quant_organism.evolution import CycleTable
from quant_organism.market import (
    LINE_DAYS,
    CandleQualityTable,
    CandleTable,
    FundingTable,
    PanelTable,
    SentimentTable,
    Table,
    store_regimes,
    summarise,
)
from quant_organism.market.ingest import IngestReport, ingest
from quant_organism.orchestration.failures import plainly
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.partitions import DAILY, lookback
from quant_organism.orchestration.resources import (
    CYCLE_TAG,
    LakeResource,
    MarketResource,
    SearchResource,
    SignificanceResource,
    begin_cycle,
)
from quant_organism.orchestration.tables import lake_views, outputs_of, table_outputs
from quant_organism.settings import MAX_LOOKBACK_DAYS

_GROUP = "market"

CANDLES = dg.AssetSpec(
    "candles",
    group_name=_GROUP,
    description="Bars of all symbols, stamped by their open time. Read from files, a venue or a simulated world.",
    kinds={"parquet", "polars"},
)
FUNDING = dg.AssetSpec(
    "funding",
    group_name=_GROUP,
    description="Funding settlements of all symbols, as the venue stamped them; positive: longs pay.",
    kinds={"parquet", "polars"},
)
SENTIMENT = dg.AssetSpec(
    "sentiment",
    group_name=_GROUP,
    description="The Fear & Greed index of the whole market, 0 to 100, as published. Without a source of it the days "
    "are empty, and no strategy minds it.",
    kinds={"parquet", "polars"},
)


@dg.multi_asset(
    name="market_data",
    specs=[CANDLES, FUNDING, SENTIMENT],
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    description="Ingest candles, funding and sentiment of a range of days in one run. A single day brings those of its "
    "lookback that the lake lacks.",
)
@plainly
def market_data(
    context: dg.AssetExecutionContext,
    market: MarketResource,
    lake: LakeResource,
    duckdb: DuckDBResource,
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.MaterializeResult[None]]:
    """Ingest a range of days of one market into the lake; for a single day, what the lake lacks before it too."""
    store, start, end = lake.open(), *(date.fromisoformat(key) for key in context.partition_key_range)
    asked = start
    if start == end:
        start = market.first_missing(store, end)
    report = ingest(
        market.open(),
        store,
        market.bars,
        start,
        end,
        market.symbols,
        progress=lambda done, total: progress("Market data", done, total, ""),
    )
    keys = {key.path[-1]: key for key in context.selected_asset_keys}
    for ingested in (CandleTable, FundingTable, SentimentTable):
        key = keys[ingested.dataset]
        for row in _count_rows(duckdb, lake, ingested, report):
            day = str(row.pop("date"))
            if day < asked.isoformat():
                context.log_event(dg.AssetMaterialization(key, partition=day, metadata=row))
            else:
                context.add_asset_metadata(row, asset_key=key, partition_key=day)
        yield dg.MaterializeResult(key, metadata={"market": market.id})


@dg.multi_asset(
    name="market_panel",
    outs={
        **table_outputs(
            [PanelTable, CandleQualityTable],
            group=_GROUP,
            kinds={"numpy", "parquet"},
            description="""The aligned arrays that a cycle sees: all symbols over the lookback, nothing after the day.

            One row per symbol with its listed life, coverage and data quality, and the content hash of the arrays.
            Whoever needs the arrays builds them again from the lake and refuses a changed hash. With its panel a cycle
            begins: what follows is kept under its identity, apart from other plans and seeds of the same day.
            """,
        ),
        **table_outputs([CycleTable], group="evolution", kinds={"parquet"}),
    },
    partitions_def=DAILY,
    deps=[
        dg.AssetDep(name, partition_mapping=lookback(MAX_LOOKBACK_DAYS)) for name in ("candles", "funding", "sentiment")
    ],
)
@plainly
def panel_of_the_day(
    context: dg.AssetExecutionContext,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.Output[pl.DataFrame]]:
    """Make the panel of a day, score its candles, and begin the cycle."""
    store, day = lake.open(), date.fromisoformat(context.partition_key)
    progress("Panel", 0, 1, "")
    made = panels.make(
        store,
        market.id,
        market.bars,
        day,
        lookback_days=market.lookback_days and min(market.lookback_days, LINE_DAYS[search.line]),
        symbols=market.symbols,
        line=search.line,
    )
    panel, manifest, overall = made.panel, made.manifest, summarise(made.quality).overall
    progress("Panel", 1, 1, f"{panel.n_assets} symbols, {panel.n_bars} bars, quality {overall.score:.2%}")
    shown = {
        "bars": panel.n_bars,
        "assets": panel.n_assets,
        "days": panel.n_bars // panel.interval.bars_per_day,
        "data quality": number(overall.score),
        "share of valid bars": number(float(panel.valid.mean())),
        "share of bars with known funding": number(overall.funding or 0.0),
        "share of bars with a Fear & Greed index": number(float(np.isfinite(panel.fear_greed).mean())),
        "panel hash": panel.hash[:12],
        "symbols": table(manifest.drop(PanelTable.panel_hash, PanelTable.panel_days)),
    }
    cycle = begin_cycle(made, context.partition_key, market, lake, search, significance)
    context.instance.add_run_tags(context.run.run_id, {CYCLE_TAG: cycle.provenance.cycle_id})
    frames = {PanelTable: manifest, CandleQualityTable: made.quality, CycleTable: cycle.record}
    yield from outputs_of(frames, {PanelTable: shown})


@dg.asset(group_name=_GROUP, partitions_def=DAILY, deps=["candles", "sentiment"], kinds={"numpy", "parquet"})
@plainly
def market_regime(
    context: dg.AssetExecutionContext, market: MarketResource, lake: LakeResource
) -> dg.MaterializeResult[None]:
    """What kind of day it was: volatility, trend, correlation, volume, dominance, mood, told without what followed.

    One row per factor that is known; earlier days of the lake that have none are made with it.
    """
    day = date.fromisoformat(context.partition_key)
    told = store_regimes(lake.open(), market.id, market.bars, day)
    return dg.MaterializeResult(metadata={"regime": table(told.filter(pl.col("date") == day).drop("date"))})


def _count_rows(
    duckdb: DuckDBResource, lake: LakeResource, kind: type[Table], report: IngestReport
) -> list[dict[str, str | int]]:
    """Return one row per day that was ingested: `date`, `rows`, and `symbols` where the table has any.

    Files may come without funding or sentiment, and there are no rows then.
    """
    interval = report.interval.name if "interval" in kind.partitions else None
    held = lake.open().table(kind).days(market=report.market, interval=interval)
    if not any(report.start <= day <= report.end for day in held):
        return []
    counts = ["count(*) as rows", *(["count(distinct symbol) as symbols"] if "symbol" in kind.schema else [])]
    query = (
        f"select date, {', '.join(counts)} from {kind.dataset}"
        " where market = $market and date between $start and $end"
        + (" and interval = $interval" if interval else "")
        + " group by date order by date"
    )
    values = {"market": report.market, "start": report.start, "end": report.end}
    with lake_views(duckdb, lake, [kind]) as views:
        found: pl.DataFrame = views.sql(query, params=values | ({"interval": interval} if interval else {})).pl()
    return found.with_columns(pl.col("date").cast(pl.String)).to_dicts()
