"""`quant-organism trials`: what was ever tried, and what luck alone shows after so many trials."""

from dataclasses import asdict
from typing import Annotated

import typer

from quant_organism.cli import options
from quant_organism.cli.sql import Csv, Query, answer

app = typer.Typer(help="The trial ledger: everything that was ever tried.", no_args_is_help=True)


@app.command()
def summary(
    market: Annotated[str | None, typer.Option(help="Only this market. (default: all)")] = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Count trials per family, beside what luck alone is expected to show after so many."""
    from quant_organism.cli.output import print_json, print_table
    from quant_organism.evolution.ledger import TrialLedger
    from quant_organism.evolution.trial_summary import summarise_trials

    ledger = TrialLedger(options.folder_settings(data_dir).data_dir / "lake")
    summaries = summarise_trials(ledger, market)
    met_again = ledger.n_met_again()
    if as_json:
        families = [asdict(found) for found in summaries if found.family is not None]
        markets = [asdict(found) | {"sentence": found.sentence} for found in summaries if found.family is None]
        print_json({"markets": markets, "families": families, "met_again": met_again})
        return
    if not summaries:
        typer.echo("No trials here yet. Run a search with: quant-organism run")
        return
    for whole in (found for found in summaries if found.family is None):
        print_table(
            ("family", "trials", "behaviours", "best Sharpe", "median Sharpe", "luck alone"),
            [
                (
                    found.family or "all families",
                    found.trials,
                    found.behaviours,
                    found.best_sharpe,
                    found.median_sharpe,
                    found.luck_sharpe,
                )
                for found in summaries
                if found.market == whole.market
            ],
            title=whole.market,
        )
        typer.echo(f"{whole.trials:,} trials, {whole.behaviours:,} of which differ in behaviour. {whole.sentence}\n")
    typer.echo(f"Genomes that a later search came back to: {met_again:,}; they count once.")


@app.command()
def sql(query: Query, as_json: options.Json = False, csv: Csv = False, data_dir: options.DataDir = None) -> None:
    """Ask the ledger a question in SQL: the view is `trials`. Reads only; nothing is ever changed."""
    from quant_organism.errors import InputError
    from quant_organism.evolution.ledger import DATASET

    root = options.folder_settings(data_dir).data_dir / "lake"
    if not (root / DATASET).exists():
        raise InputError("the ledger holds no trials", where=str(root), remedy="run a search: quant-organism run")
    answer(root, query, as_json=as_json, csv=csv)
