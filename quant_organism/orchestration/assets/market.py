"""Group market: candles, funding and sentiment of a day, and the panel that a cycle sees."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import numpy as np
import polars as pl

from quant_organism.market.ingest import ingest
from quant_organism.market.panel import build_panel
from quant_organism.market.quality import summarise
from quant_organism.market.schema import day_of
from quant_organism.orchestration.counts import count_rows
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.panels import assess_candles, describe_panel
from quant_organism.orchestration.partitions import DAILY, lookback
from quant_organism.orchestration.resources import LakeResource, MarketResource, Progress
from quant_organism.settings import MAX_LOOKBACK_DAYS

_GROUP = "market"

CANDLES = dg.AssetSpec(
    "candles",
    group_name=_GROUP,
    description="Bars of all symbols, stamped by their open time. Read from files or from a simulated world.",
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
    description="Ingest candles, funding and sentiment of a day, or of a range of days in one run.",
)
def market_data(
    context: dg.AssetExecutionContext,
    market: MarketResource,
    lake: LakeResource,
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.MaterializeResult[None]]:
    """Ingest a range of days of one market into the lake."""
    store, start, end = lake.open(), *(date.fromisoformat(key) for key in context.partition_key_range)
    report = ingest(
        market.open(),
        store,
        market.bars,
        start,
        end,
        market.symbols,
        progress=lambda done, total: progress("Market data", done, total, ""),
    )
    for asset in ("candles", "funding", "sentiment"):
        for row in count_rows(store, asset, report).iter_rows(named=True):
            day = row.pop("day").isoformat()
            context.add_asset_metadata(row, asset_key=asset, partition_key=day)
        yield dg.MaterializeResult(asset, metadata={"market": market.id})


@dg.asset(
    group_name="market",
    partitions_def=DAILY,
    deps=[
        dg.AssetDep(name, partition_mapping=lookback(MAX_LOOKBACK_DAYS)) for name in ("candles", "funding", "sentiment")
    ],
    kinds={"numpy", "parquet"},
)
def market_panel(
    context: dg.AssetExecutionContext, market: MarketResource, lake: LakeResource, progress: dg.ResourceParam[Progress]
) -> pl.DataFrame:
    """The aligned arrays that a cycle sees: all symbols over the lookback, and nothing after the partition's day.

    One row per symbol with its listed life, coverage and data quality, and the content hash of the arrays. Whoever
    needs the arrays builds them again from the lake and refuses a changed hash. Beside it: `candle_quality`, the score
    of every day and symbol with the reasons.
    """
    store, day = lake.open(), date.fromisoformat(context.partition_key)
    progress("Panel", 0, 1, "")
    panel = build_panel(store, market.id, market.bars, day, market.lookback_days, market.symbols)
    first, bars = day_of(int(panel.times[0])), market.bars
    assessment = assess_candles(store, market=market.id, interval=bars, start=first, end=day, symbols=panel.symbols)
    store.write("candle_quality", assessment, market=market.id, interval=market.interval, day=day)
    manifest, overall = describe_panel(panel, assessment), summarise(assessment).overall
    progress("Panel", 1, 1, f"{panel.n_assets} symbols, {panel.n_bars} bars, quality {overall.score:.2%}")
    context.add_output_metadata(
        {
            "bars": panel.n_bars,
            "assets": panel.n_assets,
            "days": panel.n_bars // panel.interval.bars_per_day,
            "data quality": number(overall.score),
            "share of valid bars": number(float(panel.valid.mean())),
            "share of bars with a Fear & Greed index": number(float(np.isfinite(panel.fear_greed).mean())),
            "panel hash": panel.hash[:12],
            "symbols": table(manifest.drop("panel_hash", "panel_days")),
        }
    )
    return manifest
