"""`quant-organism sql` and `trials`: questions to the lake, and to the ledger of everything that was ever tried."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table

app = typer.Typer(help="The trial ledger: everything that was ever tried.", no_args_is_help=True)

Query = Annotated[str, typer.Argument(help="One query; each dataset of the lake is a view.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]


def sql(context: typer.Context, query: Query, as_json: options.Json = False, csv: Csv = False) -> None:
    """Ask the lake a question in SQL. Reads only; nothing is ever changed."""
    answer(options.said(context).settings().data_dir / "lake", query, as_json=as_json, csv=csv)


def answer(lake: Path, query: str, *, as_json: bool, csv: bool) -> None:
    """Print what a lake answers to a query.

    Raises
    ------
    InputError
        The query is no single select, or the lake cannot answer it.
    """
    from quant_organism.market.query import ask, connect
    from quant_organism.monitoring.tables import TABLES

    frame = ask(connect(lake, TABLES), query)
    if as_json:
        print_json(frame.to_dicts())
    elif csv:
        typer.echo(frame.write_csv(), nl=False)
    else:
        print_table(frame.columns, frame.iter_rows())
        typer.echo("1 row" if frame.height == 1 else f"{frame.height:,} rows")


@app.command(cls=options.with_settings("data_dir"))
def summary(
    context: typer.Context,
    market: Annotated[str | None, typer.Option(help="Only this market. (default: all)")] = None,
    as_json: options.Json = False,
) -> None:
    """Count trials per family, beside what luck alone is expected to show after so many."""
    from quant_organism.evolution.ledger import TrialLedger
    from quant_organism.evolution.trial_summary import summarise_trials

    ledger = TrialLedger(options.said(context).settings().data_dir / "lake")
    summaries = summarise_trials(ledger, market)
    met_again = ledger.n_met_again()
    if as_json:
        families = [asdict(entry) for entry in summaries if entry.family is not None]
        markets = [asdict(entry) | {"sentence": entry.sentence} for entry in summaries if entry.family is None]
        print_json({"markets": markets, "families": families, "met_again": met_again})
        return
    if not summaries:
        typer.echo("No trials here yet. Run a search with: quant-organism run")
        return
    for whole in (entry for entry in summaries if entry.family is None):
        print_table(
            ("family", "trials", "behaviours", "best Sharpe", "median Sharpe", "luck alone"),
            [
                (
                    entry.family or "all families",
                    entry.trials,
                    entry.behaviours,
                    entry.best_sharpe,
                    entry.median_sharpe,
                    entry.luck_sharpe,
                )
                for entry in summaries
                if entry.market == whole.market
            ],
            title=whole.market,
        )
        typer.echo(f"{whole.trials:,} trials, {whole.behaviours:,} of which differ in behaviour. {whole.sentence}\n")
    typer.echo(f"Genomes that a later search came back to: {met_again:,}; they count once.")


@app.command("sql", cls=options.with_settings("data_dir"))
def sql_of_trials(context: typer.Context, query: Query, as_json: options.Json = False, csv: Csv = False) -> None:
    """Ask the ledger a question in SQL: the view is `trials`. Reads only; nothing is ever changed."""
    from quant_organism.errors import InputError
    from quant_organism.evolution.tables import TrialTable

    root = options.said(context).settings().data_dir / "lake"
    if not (root / TrialTable.dataset).exists():
        raise InputError("the ledger holds no trials", where=str(root), remedy="run a search: quant-organism run")
    answer(root, query, as_json=as_json, csv=csv)
