"""Entry point: the commands, and what a person sees when something is wrong."""

import json
import sys
from typing import Annotated, NoReturn

import typer

from quant_organism import __version__
from quant_organism.cli import (
    alerts,
    archive,
    audit,
    backfill,
    backup,
    data,
    decisions,
    evolve,
    exchange,
    export,
    families,
    fetch,
    follow,
    health,
    judge,
    keys,
    queries,
    regions,
    replay,
    run,
    runs,
    services,
    strategies,
    trade,
    ui,
    venue,
    workflow,
)
from quant_organism.cli.options import CYCLE, with_settings
from quant_organism.cli.output import Stopped
from quant_organism.errors import QuantOrganismError

app = typer.Typer(
    name="quant-organism",
    help="Breed trading strategies for crypto perpetuals, and tell honestly which of them are more than luck.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", cls=with_settings(*run.SETTINGS))(run.run)
app.command("backfill", cls=with_settings(*backfill.SETTINGS))(backfill.backfill)
app.command("evolve", cls=with_settings(*evolve.SETTINGS))(evolve.evolve)
app.command("audit", cls=with_settings("data_dir"))(audit.audit)
app.command("judge", cls=with_settings(*judge.SETTINGS))(judge.judge)
app.add_typer(archive.app, name="archive")
data.app.command("fetch", cls=with_settings(*fetch.SETTINGS))(fetch.fetch)
app.add_typer(data.app, name="data")
app.add_typer(decisions.app, name="decisions")
app.add_typer(families.app, name="families")
app.add_typer(regions.app, name="regions")
app.add_typer(runs.app, name="runs")
strategies.app.command("export", cls=with_settings("data_dir"))(export.export)
app.add_typer(strategies.app, name="strategies")
app.command("replay", cls=with_settings("data_dir"))(replay.replay)
app.add_typer(queries.app, name="trials")
app.add_typer(exchange.app, name="exchange")
app.command("follow", cls=with_settings(*follow.SETTINGS))(follow.follow)
app.add_typer(keys.app, name="keys")
app.add_typer(trade.app, name="trade")
app.add_typer(workflow.app, name="workflow")
app.command("venue", cls=with_settings("venue.network", "data_dir"))(venue.venue)
app.command("sql", cls=with_settings("data_dir"))(queries.sql)
app.command("ui", cls=with_settings(*CYCLE))(ui.ui)
app.add_typer(alerts.app, name="alerts")
app.command("services", cls=with_settings("data_dir"))(services.services)
app.command("health", cls=with_settings(*health.SETTINGS))(health.health)
app.command("doctor", cls=with_settings("data_dir"))(ui.doctor)
app.command("backup", cls=with_settings("data_dir"))(backup.backup)
app.command("restore", cls=with_settings("data_dir"))(backup.restore)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"quant-organism {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Take the options that stand before the command; `main` looks at `--debug` itself."""


def main() -> None:
    """Run the command line; errors that a person can mend end with exit code 2 and say how."""
    arguments = sys.argv[1:]
    try:
        app()
    except QuantOrganismError as error:
        if "--debug" in arguments:
            raise
        _explain(error, as_json="--json" in arguments)
    except Stopped:
        if "--debug" in arguments:
            raise
        typer.echo("Stopped. What was finished is kept; the same command again goes on from there.", err=True)
        sys.exit(130)


def _explain(error: QuantOrganismError, *, as_json: bool) -> NoReturn:
    if as_json:
        document = {"kind": type(error).__name__, "what": error.what, "where": error.where, "remedy": error.remedy}
        typer.echo(json.dumps({"error": document}))
        sys.exit(2)
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    text = Text(error.what)
    if error.where:
        text.append(f"\n\nwhere   {error.where}", style="dim")
    if error.remedy:
        text.append(f"\n\nremedy  {error.remedy}", style="bold")
    Console(stderr=True).print(Panel(text, title="quant-organism", border_style="red", title_align="left"))
    sys.exit(2)
