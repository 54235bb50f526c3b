"""Questions to the lake in SQL: DuckDB in memory with a view per table. It reads, and reaches nothing but the lake."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.joined import DATE, JOINED_TABLES, select_rows
from quant_organism.market.table import BY_CYCLE, Table
from quant_organism.market.tables import CycleIndexTable
from quant_organism.resilience import ObjectPath, StoragePath, located

if TYPE_CHECKING:
    import duckdb

CONFIG: Final[Mapping[str, str]] = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
"""What a connection must be opened with, so that no question loads anything from elsewhere."""


def connect(root: StoragePath, tables: Sequence[type[Table]]) -> duckdb.DuckDBPyConnection:
    """Return a connection of its own with a view per table that the lake holds; see `add_views`."""
    import duckdb

    connection = duckdb.connect(config=dict(CONFIG))
    add_views(connection, root, tables)
    return connection


def add_views(connection: duckdb.DuckDBPyConnection, root: StoragePath, tables: Sequence[type[Table]]) -> None:
    """Give a connection in memory a view per table that the lake holds, its folders as columns, and nothing else.

    The view of a table that lies by cycle shows the latest cycle of each day; beside it, `<table>_all` shows every one.
    Afterwards it reads this lake alone: no other file, no network, no extension, and no setting can be changed.

    Parameters
    ----------
    connection
        Opened with `CONFIG`.
    root
        The lake's folder.
    tables
        What to look for there; a table that the lake holds no file of has no view.
    """
    folder = located(root)
    address, pattern_root = str(folder), glob.escape(str(folder))
    if isinstance(folder, ObjectPath):
        from quant_organism.market.object_files import ObjectFiles

        files = ObjectFiles(folder)
        connection.register_filesystem(files)
        address = pattern_root = files.address
    connection.execute("set TimeZone = 'UTC'")
    for table in tables:
        joined = table.dataset in JOINED_TABLES and next(folder.glob(_pattern(table, "dates")), None) is not None
        if next(folder.glob(_pattern(table)), None) is None:
            if joined:
                joined_rows = select_rows(table, _rows(table, pattern_root, "dates"))
                connection.execute(f'create view "{table.dataset}" as {joined_rows}')
            continue
        rows = f"({_with_joined(table, pattern_root)})" if joined else _rows(table, pattern_root)
        if table.partitions == BY_CYCLE:
            connection.execute(f'create view "{table.dataset}_all" as select * from {rows}')
            if next(folder.glob(_pattern(CycleIndexTable)), None) is None:
                continue
            levels = ", ".join(BY_CYCLE)
            latest = f"select {levels} from {_rows(CycleIndexTable, pattern_root)} where latest"
            rows = f'"{table.dataset}_all" semi join latest using ({levels})'
            connection.execute(f'create view "{table.dataset}" as with latest as ({latest}) select * from {rows}')
        else:
            connection.execute(f'create view "{table.dataset}" as select * from {rows}')
    allowed = ", ".join(_quoted(f"{root}/") for root in sorted({address, pattern_root}))
    connection.execute(f"set allowed_directories = [{allowed}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    """Return what a lake answers to one select.

    Raises
    ------
    InputError
        The query is no single select, or the lake cannot answer it; the error says how to find tables or columns.
    """
    import duckdb

    try:
        kinds = [statement.type for statement in connection.extract_statements(query)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise InputError("not one query", where="query", remedy="the lake is read only: ask with a single select")
        # A relation, as `sql` makes one, looks through all folders twice: to name its columns, and to run.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Arrow output on a DB-API result makes an extra copy")
            answer = pl.DataFrame(connection.execute(query).to_arrow_table())
    except duckdb.Error as error:
        raise InputError(str(error), where="query", remedy=_remedy(connection, error)) from error
    return answer


def _remedy(connection: duckdb.DuckDBPyConnection, error: duckdb.Error) -> str:
    import duckdb

    match error:
        case duckdb.BinderException():
            return "what columns a dataset has: quant-organism sql 'describe DATASET'"
        case duckdb.CatalogException():
            found = connection.sql("select view_name from duckdb_views() where not internal").fetchall()
            return f"datasets of this lake: {', '.join(sorted(row[0] for row in found)) or 'none yet'}"
        case duckdb.ParserException():
            return "mend what the mark points at; a name that is a word of SQL stands in double quotes"
    return "mend the query: the lake was asked for what it cannot compute"


def _pattern(table: type[Table], days: str = DATE) -> str:
    levels = [days if level == DATE else level for level in table.partitions]
    return "/".join([table.dataset, *[f"{level}=*" for level in levels], "*.parquet"])


def _with_joined(table: type[Table], pattern_root: str) -> str:
    """Return the SQL of the rows of all days: of a day's own file where there is one, else joined with others."""
    levels = ", ".join(f'"{level}"' for level in table.partitions)
    pattern = _quoted(f"{pattern_root}/{_pattern(table)}")
    parts = ", ".join(f"regexp_extract(file, '/{level}=([^/]*)/', 1) as \"{level}\"" for level in table.partitions)
    alone = f'(select * replace (cast("{DATE}" as date) as "{DATE}") from (select {parts} from glob({pattern})))'
    joined = select_rows(table, _rows(table, pattern_root, "dates"))
    return (
        f"select * from {_rows(table, pattern_root)} union all by name "
        f"select * from ({joined}) anti join {alone} using ({levels})"
    )


def _rows(table: type[Table], pattern_root: str, days: str = DATE) -> str:
    """Return what reads all files of a table, the levels of its folders as columns."""
    levels = [days if level == DATE else level for level in table.partitions]
    kinds = ", ".join(f"'{level}': {'date' if level == DATE else 'varchar'}" for level in levels)
    by_name = any(column.optional or column.since > 1 for column in table.columns)
    return (
        f"read_parquet({_quoted(f'{pattern_root}/{_pattern(table, days)}')}, union_by_name = {str(by_name).lower()},"
        f" hive_partitioning = {str(bool(kinds)).lower()}" + (f", hive_types = {{{kinds}}})" if kinds else ")")
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
