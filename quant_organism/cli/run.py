"""`quant-organism run`: market data, search, validation, documents, deployment, report."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.checking import refuse_early
from quant_organism.cli.output import print_json, print_table, progress_bars
from quant_organism.errors import InputError

if TYPE_CHECKING:
    from quant_organism.orchestration.driver import CycleOutcome

SETTINGS: Final = (*options.CYCLE, "offer", "validation", "account", "significance.minutes")

_CALLED: Final = {
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
    context: typer.Context,
    date: options.CycleDay = None,
    resume_copies: Annotated[
        bool,
        typer.Option(
            "--resume-copies",
            help="Run the same again without --budget: repetitions of the search that were made are taken up, and the "
            "result is that of a run that was never cut short.",
            rich_help_panel="Search",
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Run one whole cycle: market data, search, validation, documents, deployment, report."""
    said = options.said(context)
    settings, day = said.settings(), options.parse_day(date)
    if resume_copies:
        if said.value("significance.minutes") is not None:
            raise InputError("a budget for what is to be finished", remedy="leave out --resume-copies or --budget")
        without_limit = settings.significance.model_copy(update={"minutes": None})
        settings = settings.model_copy(update={"significance": without_limit})
    refuse_early(settings)
    with progress_bars() as bars:
        bars("Start", 0, 1, "loading")
        from quant_organism.orchestration.driver import Driver

        driver = Driver(settings, bars)
        days = driver.days(day)
        profile = f"profile {settings.search_profile}" if settings.search.spec is None else str(settings.search.spec)
        bars("Start", 1, 1, f"{driver.source.market}, {days.first} to {days.last}, {profile}")
        if (estimate := driver.estimate(days)) is not None:
            bars("Estimate", 1, 1, estimate.sentence)
        outcome = driver.cycle(days)
    if as_json:
        print_json({**_document(outcome), "estimate": estimate and asdict(estimate)})
    else:
        _show(outcome)
        if outcome.sealed and outcome.searched:
            again = said.command_line(f"run --offer --date {outcome.date}", *SETTINGS)
            follow = f"{again}\nwhich pays for a further look of its week"
        elif outcome.deployed:
            follow = said.command_line(f"strategies show {outcome.deployed[0]['id']}", "data_dir")
        else:
            follow = said.command_line("ui", *options.CYCLE)
        typer.echo(f"\nNext: {follow}")


def _document(outcome: "CycleOutcome") -> dict[str, Any]:
    return {
        "market": outcome.market,
        "interval": outcome.interval,
        "date": outcome.date,
        "cycle": outcome.cycle,
        "line": outcome.line,
        "exploratory": bool(outcome.sealed),
        "searched": outcome.searched,
        "candidates": outcome.validated.height,
        "survivors": int(outcome.validated["passed"].sum()),
        "proven": outcome.validated.filter(standing="paper")["candidate"].to_list(),
        "deployed": [decision["id"] for decision in outcome.deployed],
        "decisions": outcome.decisions.to_dicts(),
        "luck": outcome.luck,
        "funding": outcome.funding,
        "stopped": outcome.stopped,
        "report": {file.name: str(file) for file in sorted(outcome.report.iterdir())},
    }


def _show(outcome: "CycleOutcome") -> None:

    candidates, survivors = outcome.validated.height, int(outcome.validated["passed"].sum())
    if outcome.deployed:
        print_table(
            ("strategy", "genomes", f"Sharpe, {outcome.judged_days}", "stage", "why"),
            [(d["id"], d["members"], d["score"], d["stage"], f"{d['reason']}; {d['why']}") for d in outcome.deployed],
            title=f"{len(outcome.deployed)} of {candidates} candidates entered the shadow pool on {outcome.date}",
        )
    elif not outcome.searched:
        typer.echo("Nothing was deployed: nothing was searched, since there was nothing to find.")
    elif outcome.sealed:
        typer.echo(f"Nothing was put forward. This cycle is {outcome.sealed}.")
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
    for sentence in (*outcome.luck, *outcome.funding):
        typer.echo(sentence)
    for file in sorted(outcome.report.iterdir()):
        typer.echo(f"{_CALLED.get(file.name, file.name):<12} {file}")
