"""`quant-organism sql`: questions to the lake."""

from pathlib import Path
from typing import Annotated

import typer

from quant_organism.cli import options

Query = Annotated[str, typer.Argument(help="One query; each dataset of the lake is a view.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]


def sql(query: Query, as_json: options.Json = False, csv: Csv = False, data_dir: options.DataDir = None) -> None:
    """Ask the lake a question in SQL. Reads only; nothing is ever changed."""
    answer(options.folder_settings(data_dir).data_dir / "lake", query, as_json=as_json, csv=csv)


def answer(lake: Path, query: str, *, as_json: bool, csv: bool) -> None:
    """Print what a lake answers to a query.

    Raises
    ------
    InputError
        The query is no single select, or the lake cannot answer it.
    """
    import duckdb

    from quant_organism.cli.output import print_json, print_table
    from quant_organism.errors import InputError
    from quant_organism.market.lake import Lake

    connection = Lake(lake).connect()
    try:
        kinds = [statement.type for statement in connection.extract_statements(query)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise InputError("not one query", where="query", remedy="the lake is read only: ask with a single select")
        frame = connection.sql(query).pl()
    except duckdb.Error as error:
        views = [row[0] for row in connection.sql("select view_name from duckdb_views() where not internal").fetchall()]
        raise InputError(
            str(error), where="query", remedy=f"datasets of this lake: {', '.join(sorted(views)) or 'none yet'}"
        ) from error
    if as_json:
        print_json(frame.to_dicts())
    elif csv:
        typer.echo(frame.write_csv(), nl=False)
    else:
        print_table(frame.columns, frame.iter_rows())
        typer.echo("1 row" if frame.height == 1 else f"{frame.height:,} rows")
