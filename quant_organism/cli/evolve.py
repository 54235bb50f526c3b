"""`quant-organism evolve`: market data and one search, as `run` begins, and nothing after it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.checking import refuse_early
from quant_organism.cli.output import print_json, print_table, progress_bars
from quant_organism.errors import InputError

if TYPE_CHECKING:
    from quant_organism.cycle.comparison import Comparison
    from quant_organism.orchestration.driver import SearchOutcome
    from quant_organism.settings import Settings

SETTINGS: Final = ("search", *options.CYCLE, "executor", "workers", "batch_seconds")


def evolve(
    context: typer.Context,
    strategies: Annotated[
        int | None, typer.Option(min=1, help="Size of all populations together.", rich_help_panel="Size")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            help="Other searches with as many evaluations each: random, tpe, cmaes, separated by commas.",
            rich_help_panel="Beside it",
        ),
    ] = None,
    date: options.CycleDay = None,
    as_json: options.Json = False,
) -> None:
    """Search for strategies on the in-sample days of a market, and show what was found."""
    said = options.said(context)
    settings, day = said.settings(), options.parse_day(date)
    if strategies is not None:
        settings = said.also("search.islands", _islands(strategies, settings)).settings()
    refuse_early(settings)
    with progress_bars() as bars:
        bars("Start", 0, 1, "loading")
        from quant_organism.orchestration.driver import Driver

        driver = Driver(settings, bars)
        baselines = driver.baselines([] if compare is None else compare.split(","))
        days = driver.days(day)
        bars("Start", 1, 1, f"{driver.source.market}, {days.first} to {days.last}")
        if (estimate := driver.estimate(days, search_only=True)) is not None:
            bars("Estimate", 1, 1, estimate.sentence)
        outcome = driver.search(days)
        comparison = driver.compare(days.last, baselines) if baselines else None
    if as_json:
        document = {**_document(outcome), "estimate": estimate and asdict(estimate)}
        print_json(document | ({} if comparison is None else {"comparison": asdict(comparison)}))
    else:
        _show(outcome)
        if comparison is not None:
            _show_comparison(comparison)
        question = (
            f"select id, sharpe from evolved_population where date = '{outcome.date}' order by sharpe desc limit 9"
        )
        honest = "None of these numbers is from days that validation reads."
        if settings.line == "short":
            honest = "All of these numbers are from days that the search saw; only days to come judge what it finds."
        typer.echo(f"\n{honest} Next, to validate and deploy, or look closer:")
        typer.echo(f"  {said.command_line('run', *options.CYCLE)}")
        typer.echo(f'  {said.command_line("sql", "data_dir")} "{question}"')


def _islands(strategies: int, settings: "Settings") -> int:
    """Return how many islands hold so many strategies at the batch size that is asked for."""
    from quant_organism.orchestration.resources import SearchResource
    from quant_organism.settings import SearchSettings

    # Without the budgets, which are for the size that is still to be found.
    size = SearchSettings(spec=settings.search.spec, population=settings.search.population)
    batch = SearchResource.of(settings.model_copy(update={"search": size})).spec.population
    if strategies % batch:
        raise InputError(
            f"{strategies} strategies are not a whole number of batches of {batch}",
            where="option --strategies",
            remedy=f"use --strategies {max(1, round(strategies / batch)) * batch}, or another --batch-size",
        )
    return strategies // batch


def _document(outcome: "SearchOutcome") -> dict[str, Any]:
    return {
        "market": outcome.market,
        "interval": outcome.interval,
        "date": outcome.date,
        "cycle": outcome.cycle,
        "trials": outcome.population.height,
        "feasible": int(outcome.population["feasible"].sum()),
        "candidates": outcome.candidates,
        "generations": outcome.generations.to_dicts(),
        "islands": outcome.islands.to_dicts(),
        "lost_batches": outcome.lost.to_dicts(),
        "search": outcome.facts,
    }


def _show(outcome: "SearchOutcome") -> None:

    print_table(
        ("island", "family", "members", "best Sharpe", "median Sharpe"),
        outcome.islands.select("island", "family", "members", "best_sharpe", "median_sharpe").iter_rows(),
        title=f"{outcome.market} on {outcome.date}: who sits on which island",
    )
    first, last = outcome.generations.row(0, named=True), outcome.generations.row(-1, named=True)
    names = [name.removeprefix("best_") for name in last if name.startswith("best_")]
    print_table(
        ("in sample", "best founder", "best", "median founder", "median"),
        [(name, *(row[f"{what}_{name}"] for what in ("best", "median") for row in (first, last))) for name in names],
        title=f"What generation {last['generation']} has",
    )
    facts = [f"{outcome.population.height:,} trials", f"{len(outcome.candidates)} candidates for validation"]
    facts += [f"{name}: {value}" for name, value in outcome.facts.items()]
    typer.echo("; ".join(facts) + ".")
    if outcome.lost.height:
        print_table(outcome.lost.columns, outcome.lost.iter_rows(), title="Batches that could not be measured")


def _show_comparison(comparison: "Comparison") -> None:

    print_table(
        ("search", "puts forward", "evaluations", "feasible", "Sharpe in sample", "drawdown in sample", "Sharpe after"),
        [
            (
                row["method"],
                f"{row['choice']} of {row['members']}" if row["choice"] == "committee" else row["choice"],
                row["evaluations"],
                row["feasible"],
                row["in_sample_sharpe"],
                row["in_sample_max_drawdown"],
                "not looked at" if row["unseen_sharpe"] is None else row["unseen_sharpe"],
            )
            for row in comparison.rows
        ],
        title="Beside other searches: equal evaluations, equal final choice",
    )
    typer.echo("\n".join(comparison.notes))
