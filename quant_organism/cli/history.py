"""`quant-organism history`: where Dagster keeps runs, events and schedules, and the way into PostgreSQL."""

from typing import Annotated

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json

app = typer.Typer(help="Where Dagster keeps runs, events and schedules.", no_args_is_help=True)


@app.command("show", cls=options.with_settings("data_dir"))
def show(context: typer.Context, as_json: options.Json = False) -> None:
    """Show where the history lies, and how much there is."""
    from dataclasses import asdict

    from quant_organism.orchestration.history_move import count_history

    found = count_history(options.said(context).settings().data_dir)
    if as_json:
        print_json(asdict(found))
        return
    typer.echo(f"{found.where}: {found.runs:,} runs, {found.events:,} events, {found.ticks:,} ticks")


@app.command("move", cls=options.with_settings("data_dir"))
def move(
    context: typer.Context,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="The database is that of a folder that is gone: make it this one's.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Move the history from files into the PostgreSQL database that DAGSTER_POSTGRES_URL names, whole or not at all."""
    from dataclasses import asdict

    from quant_organism.orchestration.history_move import move_history

    data_dir = options.said(context).settings().data_dir
    moved = move_history(data_dir, take_over=take_over)
    if as_json:
        print_json(asdict(moved))
        return
    typer.echo(f"{moved.where}: {moved.runs:,} runs, {moved.events:,} events, {moved.ticks:,} ticks")
    home = data_dir / "dagster_home"
    if (home / "history").exists():
        typer.echo(f"Nobody reads {home / 'history'} and {home / 'schedules'} any more; remove them when you like.")
