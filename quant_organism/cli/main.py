"""Entry point: the commands, and what a person sees when something is wrong."""

import gc
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
    history,
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
BREED, LOOK, MARKET, TRADE, OPERATE = "Breed and judge", "Look", "Market data", "Trade", "Keep it running"

data.app.command("fetch", cls=with_settings(*fetch.SETTINGS))(fetch.fetch)
strategies.app.command("export", cls=with_settings("data_dir"))(export.export)

app.command("run", cls=with_settings(*run.SETTINGS), rich_help_panel=BREED)(run.run)
app.command("evolve", cls=with_settings(*evolve.SETTINGS), rich_help_panel=BREED)(evolve.evolve)
app.command("backfill", cls=with_settings(*backfill.SETTINGS), rich_help_panel=BREED)(backfill.backfill)
app.command("judge", cls=with_settings(*judge.SETTINGS), rich_help_panel=BREED)(judge.judge)
app.command("replay", cls=with_settings("data_dir"), rich_help_panel=BREED)(replay.replay)
app.command("audit", cls=with_settings(*audit.SETTINGS), rich_help_panel=BREED)(audit.audit)
app.add_typer(workflow.app, name="workflow", rich_help_panel=BREED)
app.command("sql", cls=with_settings("data_dir"), rich_help_panel=LOOK)(queries.sql)
app.add_typer(strategies.app, name="strategies", rich_help_panel=LOOK)
app.add_typer(runs.app, name="runs", rich_help_panel=LOOK)
app.add_typer(decisions.app, name="decisions", rich_help_panel=LOOK)
app.add_typer(regions.app, name="regions", rich_help_panel=LOOK)
app.add_typer(archive.app, name="archive", rich_help_panel=LOOK)
app.add_typer(queries.app, name="trials", rich_help_panel=LOOK)
app.add_typer(families.app, name="families", rich_help_panel=LOOK)
app.command("follow", cls=with_settings(*follow.SETTINGS), rich_help_panel=MARKET)(follow.follow)
app.add_typer(data.app, name="data", rich_help_panel=MARKET)
app.command("venue", cls=with_settings("venue.network", "data_dir"), rich_help_panel=TRADE)(venue.venue)
app.add_typer(trade.app, name="trade", rich_help_panel=TRADE)
app.add_typer(keys.app, name="keys", rich_help_panel=TRADE)
app.add_typer(exchange.app, name="exchange", rich_help_panel=TRADE)
app.command("ui", cls=with_settings(*CYCLE), rich_help_panel=OPERATE)(ui.ui)
app.command("health", cls=with_settings(*health.SETTINGS), rich_help_panel=OPERATE)(health.health)
app.command("doctor", cls=with_settings("data_dir"), rich_help_panel=OPERATE)(ui.doctor)
app.command("backup", cls=with_settings("data_dir"), rich_help_panel=OPERATE)(backup.backup)
app.command("restore", cls=with_settings("data_dir"), rich_help_panel=OPERATE)(backup.restore)
app.add_typer(history.app, name="history", rich_help_panel=OPERATE)
app.command("services", cls=with_settings("data_dir"), rich_help_panel=OPERATE)(services.services)
app.add_typer(alerts.app, name="alerts", rich_help_panel=OPERATE)


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
    gc.set_threshold(50_000, 20, 50)  # most of what loading and reading makes stays: seldom look for garbage
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
