"""`quant-organism ui` and `doctor`: the Dagster web UI and its daemon, and whether everything is in place for them."""

from typing import Annotated, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table

HOST: Final = "127.0.0.1"
PORT: Final = 3000


def ui(
    context: typer.Context,
    port: options.Port = PORT,
    site_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of the report site on 127.0.0.1. (default: the next one)"),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Only to look at: nothing can be launched or changed, no daemon runs.")
    ] = False,
) -> None:
    """Start the web UI, with the schedule and the sensor, and the report site beside it, until Ctrl-C."""
    from quant_organism.orchestration.web import serve
    from quant_organism.settings import as_environment

    said = options.said(context)
    where = (HOST, port, site_port or (port + 1 if port < 65535 else port - 1))
    variables = as_environment(said.complete)
    raise typer.Exit(serve(said.settings(), variables, *where, announce=typer.echo, read_only=read_only))


def doctor(context: typer.Context, port: options.Port = PORT, as_json: options.Json = False) -> None:
    """Check environment, folders, disk, versions and the web UI's port; exit code 1 if something is broken."""
    from dataclasses import asdict

    from quant_organism.monitoring import examine
    from quant_organism.orchestration.web import examine_web

    data_dir = options.said(context).settings().data_dir
    findings = [*examine(data_dir), *examine_web(data_dir, HOST, port)]
    broken = [finding for finding in findings if finding.state == "broken"]
    if as_json:
        print_json({"ok": not broken, "findings": [asdict(finding) for finding in findings]})
    else:
        print_table(("", "what", "found"), [(f.state, f.what, f.found) for f in findings])
        for finding in findings:
            if finding.remedy:
                typer.echo(f"{finding.what}: {finding.remedy}")
        typer.echo("All is well." if not broken else f"{len(broken)} things are broken.")
    raise typer.Exit(1 if broken else 0)
