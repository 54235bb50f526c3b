"""`quant-organism regions`: which genes, assets and regimes of a family earned in past runs, and again later."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table

if TYPE_CHECKING:
    import polars as pl

app = typer.Typer(
    help="Patterns of past runs: genes, assets and regimes of a family that earned.", no_args_is_help=True
)

_SHOWN: Final = ("id", "bars", "status", "region", "effect", "95 %", "q", "elsewhere", "p", "live days")
_FIGURES: Final = (
    *("trials", "clusters", "runs", "markets", "sharpe", "effect", "low", "high", "confidence"),
    *("first_day", "last_day"),
)


@app.command(cls=options.with_settings("data_dir"))
def mine(context: typer.Context, as_json: options.Json = False) -> None:
    """Look for regions that stand out in all runs of the lake, ask other days about them, and keep what comes of it."""
    from quant_organism.market import Lake
    from quant_organism.workflows.mining import mine_lake

    lake = Lake(options.said(context).settings().data_dir / "lake")
    minings = mine_lake(lake)
    if as_json:
        _list(lake, as_json=True)
        return
    if not minings:
        typer.echo("Nothing was searched here yet. Make a cycle with: quant-organism run")
        return
    for interval, mining in minings.items():
        typer.echo(
            f"{interval}: {mining.looked_at:,} regions of {mining.trials:,} trials that were drawn at random; "
            f"{mining.again:,} trials on other days could confirm them; "
            f"{mining.measured} of {mining.panels} panels measured again by asset and regime"
        )
        if not mining.again:
            typer.echo("no runs on days of their own yet: what is found stays found")
    _list(lake, as_json=False)


@app.command("list", cls=options.with_settings("data_dir"))
def list_regions(context: typer.Context, as_json: options.Json = False) -> None:
    """List the patterns of the latest mining."""
    from quant_organism.market import Lake

    _list(Lake(options.said(context).settings().data_dir / "lake"), as_json=as_json)


@app.command(cls=options.with_settings("data_dir"))
def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="A pattern as `regions list` shows it, or how it begins.")],
    as_json: options.Json = False,
) -> None:
    """Show a pattern: its ranges, and what its trials did on the days that found it and on others."""
    from quant_organism.errors import InputError
    from quant_organism.market import Lake
    from quant_organism.workflows.mining import stored_patterns

    lake = Lake(options.said(context).settings().data_dir / "lake")
    patterns = stored_patterns(lake)
    rows = [row for row in patterns.to_dicts() if row["id"].startswith(id)]
    if len(rows) != 1:
        known = ", ".join(patterns["id"].to_list()) or "none; mine them: quant-organism regions mine"
        raise InputError(
            f"{'no pattern is' if not rows else f'{len(rows)} patterns begin with'} {id!r}",
            where=str(lake.root),
            remedy=f"there are: {known}",
        )
    (row,) = rows
    if as_json:
        print_json(row)
        return
    typer.echo(f"{_region(row)}\n{row['status']}; one of {row['looked_at']:,} regions that were looked at\n")
    print_table(
        ("", "where it was found", "on other days"),
        [(name.replace("_", " "), row[f"found_{name}"], row[f"again_{name}"]) for name in _FIGURES]
        + [("p, then adjusted", row["found_p"], row["again_p"]), ("q", row["found_q"], None)],
    )
    typer.echo(
        f"{row['live_strategies']} strategies of it were watched since, on {row['live_days']} days"
        + ("" if row["live_sharpe"] is None else f", Sharpe ratio {row['live_sharpe']:.2f} a year")
    )


@app.command(cls=options.with_settings("data_dir"))
def gates(context: typer.Context, as_json: options.Json = False) -> None:
    """Count at which gates candidates of each family fall, and ask later runs about those that a family fails most."""
    from dataclasses import asdict

    from quant_organism.market import Lake
    from quant_organism.workflows.mining import count_falls, intervals_of, mine_falls, read_judged

    lake = Lake(options.said(context).settings().data_dir / "lake")
    judged = {interval: read_judged(lake, interval) for interval in intervals_of(lake)}
    counted = {interval: count_falls(rows) for interval, rows in judged.items()}
    mined = {
        (interval, one.found.family, one.found.gate): one
        for interval, rows in judged.items()
        for one in mine_falls(rows)
    }
    if as_json:
        result = []
        for interval, rows in counted.items():
            for one in rows:
                pattern = mined.get((interval, one.family, one.gate))
                more = {"status": pattern.status if pattern else None, "later_p": pattern.again_p if pattern else None}
                result.append({"bars": interval, **asdict(one), "interval": list(one.interval), **more})
        print_json(result)
        return
    if not any(counted.values()):
        typer.echo("No candidate has fallen yet.")
        return
    for interval, rows in counted.items():
        print_table(
            ("family", "gate", "judged", "fell", "share", "95 %", "others", "q", "more often", "later p"),
            [
                [
                    *(one.family, one.gate, one.judged, one.fell, f"{one.fell / one.judged:.0%}"),
                    *(f"{one.interval.low:.0%} to {one.interval.high:.0%}", one.others, one.q_value),
                    *(
                        (pattern.status, pattern.again_p)
                        if (pattern := mined.get((interval, one.family, one.gate)))
                        else ("-", None)
                    ),
                ]
                for one in rows
            ],
            title=f"Where candidates fall first, bars of {interval}",
        )


def _list(lake: Any, *, as_json: bool) -> None:
    from quant_organism.workflows.mining import stored_patterns

    patterns = stored_patterns(lake)
    if as_json:
        print_json(patterns.to_dicts())
        return
    if patterns.is_empty():
        typer.echo("No region stands out, or none was looked for: quant-organism regions mine")
        return
    print_table(_SHOWN, _rows(patterns))
    typer.echo("effect: annual net Sharpe ratio of the trials inside less that of those beside; show: regions show ID")


def _rows(patterns: "pl.DataFrame") -> list[list[Any]]:
    return [
        [
            *(row["id"], row["interval"], row["status"], _region(row)),
            *(f"{row['found_effect']:.2f}", f"{row['found_low']:.2f} to {row['found_high']:.2f}", row["found_q"]),
            *("-" if row["again_effect"] is None else f"{row['again_effect']:.2f}", row["again_p"], row["live_days"]),
        ]
        for row in patterns.iter_rows(named=True)
    ]


def _region(row: dict[str, Any]) -> str:
    from quant_organism.workflows.mining import Region

    return str(Region.read(row))
