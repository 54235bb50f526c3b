"""What an ingestion left in the lake, day by day: numbers for the partitions of the market group."""

import polars as pl
from dagster_duckdb import DuckDBResource

from quant_organism.market import IngestReport, Table
from quant_organism.orchestration.resources import LakeResource
from quant_organism.orchestration.tables import lake_views


def count_rows(
    duckdb: DuckDBResource, lake: LakeResource, table: type[Table], report: IngestReport
) -> list[dict[str, object]]:
    """Return one row per day that was ingested: `date`, `rows`, and `symbols` where the table has any.

    Parameters
    ----------
    duckdb, lake
        What counts, and where.
    table
        Candles, funding or sentiment; files may come without the last two, and there are no rows then.
    report
        What was ingested.
    """
    interval = report.interval.name if "interval" in table.partitions else None
    held = lake.open().table(table).days(market=report.market, interval=interval)
    if not any(report.start <= day <= report.end for day in held):
        return []
    counts = ["count(*) as rows", *(["count(distinct symbol) as symbols"] if "symbol" in table.schema else [])]
    query = (
        f"select date, {', '.join(counts)} from {table.dataset}"
        " where market = $market and date between $start and $end"
        + (" and interval = $interval" if interval else "")
        + " group by date order by date"
    )
    values = {"market": report.market, "start": report.start, "end": report.end}
    with lake_views(duckdb, lake, [table]) as views:
        found: pl.DataFrame = views.sql(query, params=values | ({"interval": interval} if interval else {})).pl()
    return found.to_dicts()
