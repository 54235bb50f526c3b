"""What an ingestion left in the lake, day by day: numbers for the partitions of the market group."""

import polars as pl

from quant_organism.market.funding import settlement_day
from quant_organism.market.ingest import IngestReport
from quant_organism.market.lake import Lake

_DAY = {
    "candles": pl.col("timestamp").dt.date(),
    "funding": settlement_day(pl.col("timestamp")),
    "sentiment": pl.col("timestamp").dt.date(),
}


def count_rows(lake: Lake, dataset: str, report: IngestReport) -> pl.DataFrame:
    """Return one row per day that was ingested: `day`, `rows`, and `symbols` where the dataset has any.

    Parameters
    ----------
    lake
        Where to count.
    dataset
        `candles`, `funding` or `sentiment`; files may come without the last two, and there are no rows then.
    report
        What was ingested.
    """
    interval = report.interval.name if dataset == "candles" else None
    held = lake.days(dataset, market=report.market, interval=interval)
    if not any(report.start <= day <= report.end for day in held):
        return pl.DataFrame(schema={"day": pl.Date, "rows": pl.UInt32, "symbols": pl.UInt32})
    rows = lake.scan(dataset, market=report.market, interval=interval, start=report.start, end=report.end)
    symbols = [] if dataset == "sentiment" else [pl.col("symbol").n_unique().alias("symbols")]
    counts = rows.group_by(day=_DAY[dataset]).agg(pl.len().alias("rows"), *symbols)
    return counts.sort("day").collect()
