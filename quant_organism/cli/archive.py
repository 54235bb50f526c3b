"""`quant-organism archive`: the best strategy for each way to behave."""

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table

if TYPE_CHECKING:
    import polars as pl

    from quant_organism.evolution import Axis

app = typer.Typer(help="The archive of strategies that behave differently: look at its grid.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Keep `show` a command of its own."""


@app.command(cls=options.with_settings("market.name", "market.interval", "data_dir"))
def show(
    context: typer.Context,
    day: Annotated[str | None, typer.Option("--date", help="Day of the archive. (default: the newest)")] = None,
    as_json: options.Json = False,
) -> None:
    """Show an archive: how much of the grid is filled, by whom, and how well."""
    from quant_organism.cli.holdings import choose_candles
    from quant_organism.errors import InputError
    from quant_organism.evolution import AXES, ArchiveTable, summarise
    from quant_organism.market import Lake

    said = options.said(context)
    lake = Lake(said.settings().data_dir / "lake")
    held = choose_candles(lake, said.value("market.name"), said.value("market.interval"))
    archives = lake.table(ArchiveTable)
    days = archives.days(market=held.market, interval=held.interval)
    wanted = options.parse_day(day) or (days[-1] if days else None)
    if wanted is None or wanted not in days:
        known = f"from {days[0]} to {days[-1]} there are {len(days)}" if days else "there is none yet"
        raise InputError(
            f"no archive of market {held.market}" + (f" on {wanted}" if wanted else ""),
            where=str(lake.root),
            remedy=f"{known}; each cycle leaves one: quant-organism run",
        )
    archive = archives.read_day(wanted, market=held.market, interval=held.interval)
    summary, families = summarise(archive), _families(archive)
    if as_json:
        grid = [{"axis": axis.name, "edges": axis.edges} for axis in AXES]
        print_json(
            {"market": held.market, "interval": held.interval, "date": wanted, "cells": summary.cells}
            | {"elites": summary.elites, "coverage": summary.coverage, "qd_score": summary.qd_score}
            | {"grid": grid, "families": families.to_dicts(), "archive": archive.drop("genome").to_dicts()}
        )
        return
    typer.echo(f"{held.market} at {held.interval}, {wanted}: {summary.elites} of {summary.cells} cells filled")
    typer.echo(f"coverage {summary.coverage:.1%}, QD score {summary.qd_score:.1f}; in-sample numbers, which flatter\n")
    rows, columns, *others = AXES
    print_table(
        (f"{_words(rows)} \\ {_words(columns)}", *_labels(columns)),
        _grid(archive, rows, columns),
        title=f"Elites, and the best Sharpe ratio; over all {' and '.join(map(_words, others))}",
    )
    print_table(families.columns, families.iter_rows(), title="Families")


def _families(archive: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    counted = archive.group_by("family").agg(
        elites=pl.len(), best_sharpe=pl.col("sharpe").max(), median_sharpe=pl.col("sharpe").median()
    )
    return counted.sort(["elites", "family"], descending=[True, False])


def _grid(archive: "pl.DataFrame", rows: "Axis", columns: "Axis") -> list[list[Any]]:
    down, across = (axis.place(archive[axis.name].to_numpy()).tolist() for axis in (rows, columns))
    places = list(zip(down, across, strict=True))
    table: list[list[Any]] = []
    for row, label in enumerate(_labels(rows)):
        cells: list[Any] = [label]
        for column in range(columns.cells):
            sharpe = [s for place, s in zip(places, archive["sharpe"], strict=True) if place == (row, column)]
            cells.append(f"{len(sharpe)}  {max(sharpe):.2f}" if sharpe else "")
        table.append(cells)
    return table


def _labels(axis: "Axis") -> list[str]:
    edges = [f"{edge:.3g}" for edge in axis.edges]
    return [f"{low} to {high}" for low, high in pairwise(edges)]


def _words(axis: "Axis") -> str:
    return axis.name.replace("_", " ")
