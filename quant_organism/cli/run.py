"""`quant-organism run`: market data, search, validation, documents, deployment, report."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.orchestration.driver import CycleOutcome

_CALLED = {
    "report.html": "report",
    "report.json": "its data",
    "equity.png": "equity plot",
    "pareto.png": "Pareto plot",
    "progress.png": "search plot",
    "families.png": "family plot",
    "genealogy.png": "genealogy",
    "tear_sheets": "tear sheets",
}


def run(
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
    gates: Annotated[
        str | None,
        typer.Option(
            help="Gates that candidates have to pass: light (shadow pool only), full, strict, or a YAML file. "
            "(default: full)",
            rich_help_panel="Validation",
        ),
    ] = None,
    every_gate: Annotated[
        bool,
        typer.Option("--every-gate", help="Judge by every gate, also who has fallen.", rich_help_panel="Validation"),
    ] = False,
    when_nothing_to_find: Annotated[
        str | None,
        typer.Option(
            help="continue or stop: whether to search where the test before the search finds nothing. "
            "(default: continue)",
            rich_help_panel="Validation",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Minutes for repeating the search where nothing can be found: more make its p-value more certain. "
            "(default: by profile; 0: none)",
            rich_help_panel="Search",
        ),
    ] = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Run one whole cycle: market data, search, validation, documents, deployment, report."""
    from quant_organism.cli.progress import progress_bars
    from quant_organism.settings import load_settings

    said: dict[str, Any] = {
        "data_dir": data_dir,
        "seed": seed,
        "profile": profile,
        "families": families,
        "threads": threads,
        "significance": {"minutes": budget},
        "validation": {
            "gates": gates,
            "every_gate": every_gate or None,
            "when_nothing_to_find": when_nothing_to_find,
        },
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
    }
    settings = load_settings(said)
    day = options.parse_day(date)
    with progress_bars() as bars:
        bars("Start", 0, 1, "loading")
        from quant_organism.orchestration.driver import Driver

        driver = Driver(settings, bars)
        days = driver.days(day)
        bars("Start", 1, 1, f"{driver.source.market}, {days.first} to {days.last}")
        outcome = driver.cycle(days)
    if as_json:
        from quant_organism.cli.output import print_json

        print_json(_document(outcome))
    else:
        _show(outcome)
        again = {name: value for name, value in said.items() if name not in ("significance", "validation")}
        follow = f"strategies show {outcome.deployed[0]['id']}" if outcome.deployed else "ui"
        typer.echo(f"\nNext: {options.command_line(follow, again if follow == 'ui' else {'data_dir': data_dir})}")


def _document(outcome: "CycleOutcome") -> dict[str, Any]:
    return {
        "market": outcome.market,
        "interval": outcome.interval,
        "date": outcome.date,
        "searched": outcome.searched,
        "candidates": outcome.validated.height,
        "survivors": int(outcome.validated["passed"].sum()),
        "proven": outcome.validated.filter(standing="paper")["candidate"].to_list(),
        "deployed": [decision["id"] for decision in outcome.deployed],
        "decisions": outcome.decisions.to_dicts(),
        "luck": outcome.luck,
        "stopped": outcome.stopped,
        "report": {file.name: str(file) for file in sorted(outcome.report.iterdir())},
    }


def _show(outcome: "CycleOutcome") -> None:
    from quant_organism.cli.output import print_table

    candidates, survivors = outcome.validated.height, int(outcome.validated["passed"].sum())
    if outcome.deployed:
        print_table(
            ("strategy", "genomes", "Sharpe, unseen days", "stage", "why"),
            [(d["id"], d["members"], d["score"], d["stage"], f"{d['reason']}; {d['why']}") for d in outcome.deployed],
            title=f"{len(outcome.deployed)} of {candidates} candidates entered the shadow pool on {outcome.date}",
        )
    elif not outcome.searched:
        typer.echo("Nothing was deployed: nothing was searched, since there was nothing to find.")
    elif not candidates:
        typer.echo("Nothing was deployed: no strategy traded often enough in-sample to be put forward.")
    elif survivors:
        typer.echo(f"Nothing new was deployed: {survivors} of {candidates} candidates survived validation.")
        print_table(
            ("strategy", "decision", "stage", "why"),
            [(d["id"], d["action"], d["stage"], d["reason"]) for d in outcome.decisions.to_dicts()],
        )
    else:
        typer.echo(f"Nothing was deployed: none of {candidates} candidates survived validation.")
    if outcome.stopped:
        print_table(
            ("candidate", "origin", "stopped by", "why"),
            [(s["candidate"], s["origin"], f"{s['stage']} {s['gate']}", s["reason"]) for s in outcome.stopped],
            title="Stopped at their first gate",
        )
    for sentence in outcome.luck:
        typer.echo(sentence)
    for file in sorted(outcome.report.iterdir()):
        typer.echo(f"{_CALLED.get(file.name, file.name):<12} {file}")
