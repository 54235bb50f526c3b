"""`quant-organism runs`: the cycles that are kept, and what sets two of them apart."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table

if TYPE_CHECKING:
    from quant_organism.monitoring import RunComparison, StoredRun

app = typer.Typer(help="Cycles that are kept: list them, compare two, sum up a month.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(help="A cycle as `runs list` shows it, or how it begins; DATE/CYCLE; or a date: its latest.")
]

_COLUMNS: Final = {
    **{name: name for name in ("cycle", "date", "market")},
    "interval": "bars",
    **{name: name for name in ("profile", "gates", "seed", "families", "candidates")},
    "survivors": "passed",
    **{name: name for name in ("deployed", "state")},
}
"""What is shown of a cycle, and what the column is called."""


@app.command("list", cls=options.with_settings("data_dir"))
def list_runs(
    context: typer.Context,
    day: Annotated[str | None, typer.Option("--date", help="Only of this day. (default: all)")] = None,
    as_json: options.Json = False,
) -> None:
    """List the cycles that are kept, by date; a star marks the latest of its day, which views and reports show."""
    data_dir = options.said(context).settings().data_dir
    rows = [run.summary() for run in _stored(data_dir, day)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo("No cycles here" + (f" on {day}." if day else " yet. Make one with: quant-organism run"))
        return
    print_table(
        tuple(_COLUMNS.values()),
        [[f"{row[name]} *" if name == "cycle" and row["latest"] else row[name] for name in _COLUMNS] for row in rows],
    )
    typer.echo("* the latest of its day")
    for row in rows:
        if row["report"] is not None:
            typer.echo(f"report of {row['cycle']}: {row['report']}")


@app.command(cls=options.with_settings("data_dir"))
def compare(context: typer.Context, a: Name, b: Name, as_json: options.Json = False) -> None:
    """Show what sets two cycles apart: what was set, what came out, who passed, who was put forward."""
    from dataclasses import asdict

    from quant_organism.monitoring import choose_run, compare_runs

    runs = _stored(options.said(context).settings().data_dir)
    first, second = choose_run(runs, a), choose_run(runs, b)
    found = compare_runs(first, second)
    if as_json:
        print_json({"a": first.summary(), "b": second.summary(), **asdict(found)})
        return
    typer.echo(f"A  {first.name}\nB  {second.name}\n")
    _show(found)


@app.command(cls=options.with_settings("data_dir"))
def month(
    context: typer.Context,
    month: Annotated[str | None, typer.Argument(help="Which month. (default: the newest)", metavar="YYYY-MM")] = None,
    as_json: options.Json = False,
) -> None:
    """Show what happened in a month on every market: births, moves, deaths, and what was earned."""
    from quant_organism.cli.backfill import show_life
    from quant_organism.monitoring import life_of, months_of, span_named

    data_dir = options.said(context).settings().data_dir
    _stored(data_dir)
    known = months_of(data_dir)
    newest = max((months[0] for _, _, months in known if months), default=None)
    chosen = month or newest
    lives = [life_of(data_dir, span_named(market, bars.name, chosen)) for market, bars, _ in known if chosen]
    if as_json:
        print_json([life.document() for life in lives])
        return
    if not lives:
        typer.echo("Nothing was born here yet. Breed strategies with: quant-organism run")
    for life in lives:
        show_life(life)


@app.command(cls=options.with_settings("data_dir"))
def figures(
    context: typer.Context,
    day: Annotated[str | None, typer.Option("--date", help="Only of this day. (default: all)")] = None,
    as_json: options.Json = False,
) -> None:
    """Show what cycles took and gave over time: hours, pace, use of workers, how many got how far, what it cost."""
    from quant_organism.orchestration.figures import cycle_figures

    wanted = options.parse_day(day)
    found = [
        one
        for one in cycle_figures(options.said(context).settings().data_dir)
        if wanted in (None, date.fromisoformat(one.date))
    ]
    if as_json:
        print_json([one.document() for one in found])
        return
    if not found:
        typer.echo("No cycles on record here" + (f" on {day}." if day else " yet. Make one with: quant-organism run"))
        return
    print_table(
        (
            *("cycle", "date", "market", "hours", "allowed", "strategies a minute", "worker use"),
            *("generated", "put forward", "validated", "deployed", "USD", "USD each deployed"),
        ),
        [
            (
                *(
                    one.cycle,
                    one.date,
                    f"{one.market} {one.interval}",
                    _number(one.hours, 3),
                    _number(one.hours_allowed, 3),
                ),
                *(_number(one.strategies_per_minute, 0), _number(one.worker_use, 2)),
                *(f"{one.generated:,}", _share(one.put_forward, one.generated)),
                *(_share(one.validated, one.put_forward), _share(one.deployed, one.validated)),
                *(_number(one.cost_usd, 2), _number(one.cost_per_deployed_usd, 2)),
            )
            for one in found
        ],
    )
    typer.echo("In brackets the share of those before; a line is there for whatever was not measured or not run.")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _share(count: int | None, of: int | None) -> str:
    if count is None:
        return "-"
    return f"{count:,} ({count / of:.0%})" if of else f"{count:,}"


def _show(found: "RunComparison") -> None:
    if found.settings:
        print_table(("set differently", "A", "B"), found.settings)
    else:
        typer.echo("Nothing was set differently.\n")
    print_table(("what came out", "A", "B"), found.figures)
    if found.gates:
        print_table(("stage", "gate", "passed in A", "passed in B"), found.gates)
    if found.strategies:
        print_table(
            ("strategy", "standing in A", "unseen Sharpe in A", "standing in B", "unseen Sharpe in B"), found.strategies
        )
    for title, wanted in (("both", (True, True)), ("A alone", (True, False)), ("B alone", (False, True))):
        if names := [id for id, *written in found.documents if tuple(written) == wanted]:
            typer.echo(f"Documents written by {title}: {', '.join(names)}")


def _stored(data_dir: Path, day: str | None = None) -> "list[StoredRun]":
    from quant_organism.market.migration import migrate
    from quant_organism.monitoring import stored_runs

    if (data_dir / "lake").exists():
        migrate(data_dir / "lake")
    return stored_runs(data_dir, options.parse_day(day))
