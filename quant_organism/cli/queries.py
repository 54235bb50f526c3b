"""`quant-organism sql` and `trials`: questions to the lake, and to the ledger of everything that was ever tried."""

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_records, print_table

if TYPE_CHECKING:
    from quant_organism.resilience import StoragePath

app = typer.Typer(help="The trial ledger: everything that was ever tried.", no_args_is_help=True)


class AnswerForm(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


Query = Annotated[str, typer.Argument(help="One query; each dataset of the lake is a view.")]
Csv = Annotated[bool, typer.Option("--csv", help="The same as --format csv.")]
Form = Annotated[
    AnswerForm | None, typer.Option("--format", help="How to print the rows. (default: table)", show_default=False)
]

_WIDEST_CELL: Final = 60


def sql(
    context: typer.Context, query: Query, form: Form = None, as_json: options.Json = False, csv: Csv = False
) -> None:
    """Ask the lake a question in SQL. Reads only; nothing is ever changed."""
    answer(options.said(context).settings().data_dir / "lake", query, _form(form, as_json=as_json, csv=csv))


def _form(form: AnswerForm | None, *, as_json: bool, csv: bool) -> AnswerForm:
    """Return how to print; `--json` and `--csv` are short for two of the forms.

    Raises
    ------
    InputError
        Two different forms were named.
    """
    from quant_organism.errors import InputError

    named = {form, AnswerForm.JSON if as_json else None, AnswerForm.CSV if csv else None} - {None}
    if len(named) > 1:
        raise InputError("two forms are named", where="--format, --json, --csv", remedy="leave all but one out")
    return next((one for one in named if one is not None), AnswerForm.TABLE)


def answer(lake: "StoragePath", query: str, form: AnswerForm) -> None:
    """Print what a lake answers to a query; long cells of a table are cut, those of the other forms never.

    Raises
    ------
    InputError
        The query is no single select, or the lake cannot answer it.
    """
    from quant_organism.market.query import ask, connect
    from quant_organism.monitoring.tables import TABLES

    frame = ask(connect(lake, TABLES), query)
    if form is AnswerForm.JSON:
        print_json(frame.to_dicts())
    elif form is AnswerForm.CSV:
        typer.echo(frame.write_csv(), nl=False)
    else:
        print_records(frame.columns, frame.iter_rows(), widest=_WIDEST_CELL)
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
def sql_of_trials(
    context: typer.Context, query: Query, form: Form = None, as_json: options.Json = False, csv: Csv = False
) -> None:
    """Ask the ledger a question in SQL: the view is `trials`. Reads only; nothing is ever changed."""
    from quant_organism.errors import InputError
    from quant_organism.evolution.tables import TrialTable
    from quant_organism.resilience import located

    root = located(options.said(context).settings().data_dir / "lake")
    if not (root / TrialTable.dataset).exists():
        raise InputError("the ledger holds no trials", where=str(root), remedy="run a search: quant-organism run")
    answer(root, query, _form(form, as_json=as_json, csv=csv))
