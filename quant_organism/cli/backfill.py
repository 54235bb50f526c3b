"""`quant-organism backfill`: weeks of the past, lived through as the nights would have."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.checking import refuse_early
from quant_organism.cli.output import print_json, print_table, progress_bars

if TYPE_CHECKING:
    from quant_organism.monitoring import LifeRecord

SETTINGS: Final = (*(name for name in options.CYCLE if name not in ("seed", "line")), "validation", "account")


def backfill(
    context: typer.Context,
    first: Annotated[str, typer.Option("--from", help="First day that is lived through.", metavar="YYYY-MM-DD")],
    last: Annotated[
        str | None,
        typer.Option("--to", help="Last day. (default: the last complete one)", metavar="YYYY-MM-DD"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Live through past weeks: a cycle in each one's first night, marks on all nights; say what came of it.

    Nothing after a night is seen in it. What is done is kept: the same command goes on where it was stopped.
    """
    said = options.said(context)
    settings = said.settings()
    begin, end = options.parse_day(first, option="--from"), options.parse_day(last, option="--to")
    refuse_early(settings)
    with progress_bars() as bars:
        bars("Start", 0, 1, "loading")
        from quant_organism.monitoring import life_of
        from quant_organism.orchestration.backfill import live_through

        span = live_through(settings, begin, end, bars)
    life = life_of(settings.data_dir, span)
    if as_json:
        print_json(life.document())
        return
    show_life(life)
    address = f"/life/{span.market}/{span.interval.name}/{span.first}..{span.last}"
    typer.echo(f"\nNext: {said.command_line('ui', *SETTINGS)}, and on the report site {address}")


def show_life(life: "LifeRecord") -> None:
    """Print what happened in a span of days: its months, its moves, and what the account earned by regime."""
    total = life.total
    rows = [*life.months, total] if len(life.months) > 1 else [total]
    print_table(
        ("month", "cycles", "born", "waiting", "to paper", "decayed", "retired", "account", "drawdown", "shadow"),
        [[_shown(name, row[name]) for name in _COLUMNS] for row in rows],
        title=f"{life.span.market}, {life.span.interval.name}",
    )
    if life.moves.height:
        shown = life.moves.select("at", "id", "start", "end", "rule", "reason").rows()
        print_table(("at", "strategy", "from", "to", "rule", "why"), shown, title="Moves")
    if life.deaths.height:
        print_table(
            ("strategy", "cause", "promised", "earned", "why"),
            life.deaths.select("id", "cause", "promised_sharpe", "earned_sharpe", "reason").rows(),
            title="Deaths",
        )
    if life.by_regime.height:
        print_table(
            ("strategy", "factor", "regime", "days", "mean a day", "Sharpe ratio"),
            [
                (row["strategy"], row["module"], row["label"], row["days"], f"{row['mean_return']:.3%}", row["sharpe"])
                for row in life.by_regime.to_dicts()
            ],
            title="By regime",
        )
    typer.echo(
        "The account gives each strategy on paper or beyond an equal part, a quarter at most, times its size factor; "
        "shadow gives equal parts to those that are watched without a seat."
    )


_COLUMNS: Final = (
    *("month", "cycles", "born", "waiting", "to_paper", "decayed", "retired"),
    *("account", "account_drawdown", "shadow"),
)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2%}" if name in ("account", "account_drawdown", "shadow") else str(value)
