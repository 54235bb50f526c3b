"""`quant-organism audit`: the whole organism on fresh markets whose truth is known, and how often it is wrong."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table, progress_bars
from quant_organism.errors import InputError

SETTINGS: Final = ("data_dir", "executor", "workers")

_ALARM = 1
_WORLDS = "Worlds"


def audit(
    context: typer.Context,
    nulls: Annotated[int, typer.Option(min=0, help="Simulated worlds without an edge.", rich_help_panel=_WORLDS)] = 200,
    planted: Annotated[
        int, typer.Option(min=0, help="Worlds with a planted edge, strong and weak.", rich_help_panel=_WORLDS)
    ] = 60,
    path: Annotated[
        Path | None,
        typer.Option("--panel", help="Folder or file of real candles, to be turned over.", rich_help_panel=_WORLDS),
    ] = None,
    flipped: Annotated[int, typer.Option(min=0, help="Worlds made of the real candles.", rich_help_panel=_WORLDS)] = 20,
    implanted: Annotated[
        int, typer.Option(min=0, help="The same with an edge written into them.", rich_help_panel=_WORLDS)
    ] = 0,
    seed_range: Annotated[
        str,
        typer.Option(
            help="tuning: worlds that anyone may look at; confirmation: those for the final count; or a first seed.",
            rich_help_panel=_WORLDS,
        ),
    ] = "tuning",
    profile: Annotated[
        str, typer.Option(help="How large the cycles are: a shipped audit profile, or a YAML file.")
    ] = "audit",
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Worlds at once on this machine; no result depends on it. (default: one per core)"),
    ] = None,
    so_far: Annotated[bool, typer.Option("--so-far", help="Report on the worlds that are done, and run none.")] = False,
    as_json: options.Json = False,
) -> None:
    """Measure how often the organism deploys luck, and how often it finds what is there.

    Every world is kept once it is done: the same command goes on where it was interrupted. Ends with exit code 1 where
    an alarm is raised.
    """
    from quant_organism.audit.campaign import Campaign
    from quant_organism.audit.profile import AuditProfile
    from quant_organism.audit.report import AuditProvenance, AuditReport
    from quant_organism.audit.worlds import first_seed_of, plan, real_panel
    from quant_organism.cycle import Compute

    settings = options.said(context).settings()
    frozen = AuditProfile.load(profile)
    first = first_seed_of(seed_range)
    if implanted and path is None:
        raise InputError(
            "an edge is written into real candles, and there are none",
            where="option --implanted",
            remedy="name them with --panel",
        )
    compute = Compute(threads=settings.worker_threads, executor=settings.executor, workers=settings.workers)
    if compute.executor != "threads" and processes is not None:
        raise InputError(
            "worlds at once are asked for twice over",
            where="option --processes",
            remedy="on Ray say --workers, which counts its processes",
        )
    if path is None:
        flipped = 0
    worlds = plan(nulls, planted, first_seed=first, flipped=flipped, implanted=implanted)
    if not worlds:
        raise InputError("no world is asked for", where="option --nulls", remedy="ask for at least one")
    with progress_bars() as bars:
        campaign = Campaign(frozen, worlds, settings.data_dir / "audits", None if path is None else real_panel(path))
        outcomes = campaign.done()
        bars("Audit", len(outcomes), len(worlds), "done before")
        if not so_far:
            outcomes = campaign.run(
                processes=processes or compute.processes,
                executor=compute.executor,
                progress=lambda done, wanted, last: bars("Audit", done, wanted, f"{last.world}: {last.standing}"),
            )
    last = first + max(nulls, planted, flipped, implanted) - 1
    flags = {"--nulls": nulls, "--planted": planted, "--panel": path}
    if path is not None:
        flags |= {"--flipped": flipped, "--implanted": implanted or None}
    provenance = AuditProvenance(
        profile=profile,
        identity=campaign.make.identity,
        seeds=f"{seed_range}: {first} to {last}",
        wanted=len(worlds),
        command=options.command_line("audit", {**flags, "--seed-range": seed_range, "--profile": profile}),
        date=datetime.now(UTC).date().isoformat(),
    )
    report = AuditReport.of(outcomes, provenance)
    files = report.write(campaign.place)
    if as_json:
        print_json(report.document | {"files": [str(file) for file in files]})
    else:
        for section in report.sections:
            print_table(section.columns, section.rows, title=section.title)
            typer.echo(f"{section.note}\n")
        for file in files:
            typer.echo(file)
    if any(alarm.raised for alarm in report.rates.alarms):
        raise typer.Exit(_ALARM)
