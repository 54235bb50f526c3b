"""`quant-organism history`: where Dagster keeps runs, events and schedules, the way into PostgreSQL, what may go."""

from typing import Annotated, Any

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table

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


@app.command("prune", cls=options.with_settings("data_dir"))
def prune(
    context: typer.Context,
    older_than: Annotated[int, typer.Option("--older-than", min=1, max=36_500, help="Days since a run ended.")] = 90,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; otherwise it is only told.")] = False,
    as_json: options.Json = False,
) -> None:
    """Remove what old runs said while they ran: events step by step, output, logs. Runs, assets and evidence stay."""
    from datetime import UTC, datetime, timedelta

    from quant_organism.orchestration.pruning import KINDS, find_leftovers
    from quant_organism.orchestration.pruning import prune as remove

    said = options.said(context)
    data_dir, age, now = said.settings().data_dir, timedelta(days=older_than), datetime.now(UTC)
    found = remove(data_dir, age, now) if yes else find_leftovers(data_dir, age, now)
    kinds: list[dict[str, Any]] = [
        {
            "kind": kind,
            "what": what,
            "runs": len(mine := [one for one in found if one.kind == kind]),
            "files": sum(len(one.files) for one in mine),
            "bytes": sum(one.n_bytes for one in mine),
        }
        for kind, what in KINDS.items()
    ]
    if as_json:
        print_json({"removed": yes, "older_than_days": older_than, "kinds": kinds})
        return
    if not found:
        typer.echo(f"Nothing in {data_dir} is of runs that ended more than {older_than} days ago.")
        return
    print_table(
        ("what", "runs", "files", "MB"),
        [(each["what"], each["runs"], each["files"], f"{each['bytes'] / 1e6:,.1f}") for each in kinds],
        title=f"{'Removed' if yes else 'Would go'}: of runs that ended before {(now - age):%Y-%m-%d}",
    )
    if not yes:
        again = said.command_line(f"history prune --older-than {older_than} --yes", "data_dir")
        typer.echo(f"Nothing was removed. To do it: {again}")
