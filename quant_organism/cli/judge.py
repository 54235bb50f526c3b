"""`quant-organism judge`: a strategy made elsewhere before the same court."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table

if TYPE_CHECKING:
    from quant_organism.judge import JudgedPage

SETTINGS: Final = ("data_dir",)


def judge(
    source: Annotated[str, typer.Argument(help="YAML file that says what is judged, as docs/judge.md shows it.")],
    as_json: options.Json = False,
) -> None:
    """Judge a strategy that was made elsewhere: how likely luck shows as much, and what would overturn the verdict."""
    from quant_organism.judge import TrialReturns, judge_trials, load_spec

    spec, folder = load_spec(source)
    page = judge_trials(
        TrialReturns.read(folder / spec.table),
        spec.chosen,
        name=spec.name,
        tried=spec.tried,
        unseen_from=spec.unseen_from,
        days_per_year=spec.days_per_year,
        seed=spec.seed,
    )
    if as_json:
        print_json(page.document)
    else:
        _show(page)


def _show(page: "JudgedPage") -> None:
    print_table(
        ("asked", "verdict", "decides", "why"),
        [
            (verdict.gate, verdict.status, "yes" if verdict.gate in page.decisive else "", verdict.reason)
            for verdict in page.verdicts
        ],
        title=f"{page.name}: {page.outcome}",
    )
    if page.accounts:
        print_table(
            ("account USD", "a year", "Sharpe", "drawdown", "fees USD a year", "orders a day", "smallest order USD"),
            [
                (
                    account.equity_usd,
                    account.annual_return,
                    account.sharpe,
                    account.max_drawdown,
                    account.fees_usd_year,
                    account.orders_per_day,
                    account.smallest_order_usd,
                )
                for account in page.accounts
            ],
            title="What accounts made of it",
        )
    if page.unsaid:
        print_table(("cannot be said", "why"), page.unsaid.items())
    typer.echo(page.sentence)
