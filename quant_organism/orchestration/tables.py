"""Tables as Dagster sees them: columns of an asset, one blocking check per table, outputs of an asset, SQL views.

All of it follows from the descriptions in the rooms' `tables.py`; nothing about a single dataset is written here.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

import dagster as dg
import duckdb
import polars as pl
from dagster_duckdb import DuckDBResource

from quant_organism.errors import QuantOrganismError
from quant_organism.market.query import CONFIG, add_views
from quant_organism.market.table import BY_CYCLE, Table
from quant_organism.monitoring.tables import TABLES
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    SignificanceResource,
    read_at_hand,
)

CHECKED: Final[tuple[type[Table], ...]] = tuple(table for table in TABLES if table.partitions == BY_CYCLE)
"""Tables of a cycle whose stored form a check reads again. What is ingested was judged row by row."""

SCHEMA_KEY: Final = "dagster/column_schema"
"""Name of the metadata in which the web UI looks for an asset's columns."""


def table_schema(table: type[Table]) -> dg.TableSchema:
    """Return the columns of a table with type, meaning and constraints, as the web UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=str(column.dtype),
                description=f"{column.meaning} [{column.unit}]" if column.unit else column.meaning,
                constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=table.key == (column.name,)),
            )
            for column in table.columns
        ],
        constraints=dg.TableConstraints([f"unique: {', '.join(table.key)}"] if table.key else []),
    )


def table_metadata(table: type[Table]) -> dict[str, Any]:
    """Return what every asset of a table says of it before it was ever made."""
    return {SCHEMA_KEY: table_schema(table), "table version": table.version}


def with_columns(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return assets that show the columns of the tables that they make; an asset makes the table of its name."""
    by_name = {table.dataset: table for table in TABLES}

    def shown(spec: dg.AssetSpec) -> dg.AssetSpec:
        table = by_name.get(spec.key.path[-1])
        return spec if table is None else spec.merge_attributes(metadata=table_metadata(table))

    return [asset for asset in dg.map_asset_specs(shown, assets) if isinstance(asset, dg.AssetsDefinition)]


def table_outputs(
    tables: Sequence[type[Table]], *, group: str, kinds: set[str], description: str | None = None
) -> dict[str, dg.AssetOut]:
    """Return the outputs of an asset that makes several tables, by the name of the dataset.

    Parameters
    ----------
    tables
        In the order in which they are returned.
    group
        Group of all of them in the asset graph.
    kinds
        What the web UI shows as badges.
    description
        Of the first, which the asset is named after; each other says what one row of it is.
    """
    said = {table: f"One row each: {table.one_row_is()}" for table in tables}
    if description is not None:
        said[tables[0]] = inspect.cleandoc(description)
    return {
        table.dataset: dg.AssetOut(
            group_name=group, description=said[table], kinds=kinds, metadata=table_metadata(table)
        )
        for table in tables
    }


def outputs_of(
    frames: Mapping[type[Table], pl.DataFrame], metadata: Mapping[type[Table], Mapping[str, Any]]
) -> Iterator[dg.Output[pl.DataFrame]]:
    """Yield what an asset of several tables has made, in their order.

    Parameters
    ----------
    frames
        By their table.
    metadata
        What the web UI shows beside them; tables without any are left out.
    """
    for table, frame in frames.items():
        yield dg.Output(frame, output_name=table.dataset, metadata=dict(metadata.get(table, {})))


def table_check(
    table: type[Table], days: dg.PartitionsDefinition[str] = DAILY, prefix: Sequence[str] = ()
) -> dg.AssetChecksDefinition:
    """Return the blocking check that what is stored of a table's partition is as the table says: columns, nulls, keys.

    It reads the file, so that it also holds for what was written by another version or changed by somebody since.

    Parameters
    ----------
    table
        Whose asset is checked.
    days
        The partitions of that asset.
    prefix
        What its key begins with.
    """

    @dg.asset_check(
        name="as_described",
        asset=dg.AssetKey([*prefix, table.dataset]),
        partitions_def=days,
        blocking=True,
        description=f"Columns and types, no missing values, keys: version {table.version} of the table.",
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        market: MarketResource,
        lake: LakeResource,
        search: SearchResource,
        significance: SignificanceResource,
    ) -> dg.AssetCheckResult:
        found, rows = [], 0
        try:
            frame = read_at_hand(table, date.fromisoformat(context.partition_key), market, lake, search, significance)
            rows = frame.height
            found = table.problems(frame)
        except QuantOrganismError as error:
            found = [str(error)]
        return dg.AssetCheckResult(
            passed=not found,
            description="\n".join(found) or f"{rows:,} rows as described",
            metadata={"rows": rows, "key": ", ".join(table.key) or "none"},
        )

    return check


def in_memory() -> DuckDBResource:
    """Return the resource that opens DuckDB in memory, where nothing is loaded from elsewhere."""
    return DuckDBResource(database=":memory:", connection_config=dict(CONFIG))


@contextmanager
def lake_views(
    duckdb_resource: DuckDBResource, lake: LakeResource, tables: Sequence[type[Table]] = TABLES
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the lake's tables as views through the resource, as `quant-organism sql` sees them, for as long as it lasts.

    Parameters
    ----------
    duckdb_resource
        As `in_memory` makes it.
    lake
        The lake.
    tables
        Which views there are.
    """
    with duckdb_resource.get_connection() as connection:
        add_views(connection, Path(lake.folder), tables)
        yield connection
