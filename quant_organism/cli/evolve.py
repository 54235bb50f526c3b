"""`quant-organism evolve`: market data and one search, as `run` begins, and nothing after it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quant_organism.cli import options
from quant_organism.errors import InputError

if TYPE_CHECKING:
    from quant_organism.orchestration.comparing import Comparison
    from quant_organism.orchestration.driver import SearchOutcome
    from quant_organism.settings import Settings

_SIZE = "Size"
_BUDGETS = "Budgets"
_WHERE = "Where"


def evolve(
    strategies: Annotated[
        int | None, typer.Option(min=1, help="Size of all populations together.", rich_help_panel=_SIZE)
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Size of one island's population, which is a batch.", rich_help_panel=_SIZE),
    ] = None,
    generations: Annotated[
        int | None, typer.Option(help="Generations after the founding.", rich_help_panel=_SIZE)
    ] = None,
    spec: Annotated[
        Path | None, typer.Option(help="YAML file of the search's spec, in place of a profile.", rich_help_panel=_SIZE)
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(help="Time of a whole cycle, half of which is the search's.", rich_help_panel=_BUDGETS),
    ] = None,
    max_evaluations: Annotated[
        int | None, typer.Option(help="Genomes that are measured at most.", rich_help_panel=_BUDGETS)
    ] = None,
    cost_per_worker_hour: Annotated[
        float | None, typer.Option(help="What a worker costs, in USD.", rich_help_panel=_BUDGETS)
    ] = None,
    cost_limit: Annotated[
        float | None, typer.Option(help="What the search may cost, in USD.", rich_help_panel=_BUDGETS)
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from where the same search was interrupted.", rich_help_panel=_BUDGETS),
    ] = False,
    world: options.World = None,
    source: options.Source = None,
    path: options.Candles = None,
    market: options.Market = None,
    sentiment: options.Sentiment = None,
    base_url: options.BaseUrl = None,
    symbols: options.Symbols = None,
    interval: options.Interval = None,
    date: options.CycleDay = None,
    lookback_days: options.LookbackDays = None,
    profile: options.Profile = None,
    families: options.Families = None,
    seed: options.Seed = None,
    world_seed: options.WorldSeed = None,
    min_quality: options.MinQuality = None,
    repair: options.Repair = False,
    threads: options.Threads = None,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Where genomes are measured: threads, ray, HOST:PORT or ray://HOST:PORT. (default: threads)",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes of Ray. (default: one per core)", rich_help_panel=_WHERE)
    ] = None,
    batch_seconds: Annotated[
        float | None,
        typer.Option(help="Seconds after which Ray stops a batch. (default: never)", rich_help_panel=_WHERE),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            help="Other searches with as many evaluations each: random, tpe, cmaes, separated by commas.",
            rich_help_panel="Beside it",
        ),
    ] = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Search for strategies on the in-sample days of a market, and show what was found."""
    from quant_organism.cli.progress import progress_bars
    from quant_organism.settings import load_settings

    said: dict[str, Any] = {
        "data_dir": data_dir,
        "seed": seed,
        "profile": profile,
        "families": families,
        "threads": threads,
        "executor": executor,
        "workers": workers,
        "batch_seconds": batch_seconds,
        "market": options.market_options(
            world=world,
            world_seed=world_seed,
            source=source,
            path=path,
            market=market,
            sentiment=sentiment,
            base_url=base_url,
            symbols=symbols,
            interval=interval,
            lookback_days=lookback_days,
            min_quality=min_quality,
            repair=repair,
        ),
        "search": {
            "spec": spec,
            "population": batch_size,
            "generations": generations,
            "hours": hours,
            "max_evaluations": max_evaluations,
            "cost_per_worker_hour_usd": cost_per_worker_hour,
            "cost_limit_usd": cost_limit,
            "resume": resume or None,
        },
    }
    settings = load_settings(said)
    if strategies is not None:
        said["search"]["islands"] = _islands(strategies, settings)
        settings = load_settings(said)
    day = options.parse_day(date)
    with progress_bars() as bars:
        bars("Start", 0, 1, "loading")
        from quant_organism.orchestration.driver import Driver

        driver = Driver(settings, bars)
        baselines = driver.baselines([] if compare is None else compare.split(","))
        days = driver.days(day)
        bars("Start", 1, 1, f"{driver.source.market}, {days.first} to {days.last}")
        outcome = driver.search(days)
        comparison = driver.compare(days.last, baselines) if baselines else None
    if as_json:
        from quant_organism.cli.output import print_json

        print_json(_document(outcome) | ({} if comparison is None else {"comparison": asdict(comparison)}))
    else:
        _show(outcome)
        if comparison is not None:
            _show_comparison(comparison)
        found = f"select id, sharpe from evolved_population where date = '{outcome.date}' order by sharpe desc limit 9"
        typer.echo(
            "\nNone of these numbers is from days that validation reads. Next, to validate and deploy, or look closer:"
        )
        again = {name: value for name, value in said.items() if name != "search"}
        typer.echo(f"  {options.command_line('run', again)}")
        typer.echo(f'  {options.command_line("sql", {"data_dir": data_dir})} "{found}"')


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
        "trials": outcome.population.height,
        "feasible": int(outcome.population["feasible"].sum()),
        "candidates": outcome.candidates,
        "generations": outcome.generations.to_dicts(),
        "islands": outcome.islands.to_dicts(),
        "lost_batches": outcome.lost.to_dicts(),
        "search": outcome.facts,
    }


def _show(outcome: "SearchOutcome") -> None:
    from quant_organism.cli.output import print_table

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
    from quant_organism.cli.output import print_table

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
