"""`quant-organism doctor`: whether everything is in place, and what to do where it is not."""

import typer

from quant_organism.cli import options
from quant_organism.cli.ui import HOST, PORT


def doctor(
    port: options.Port = PORT,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Check environment, folders, disk, versions and the web UI's port; exit code 1 if something is broken."""
    from dataclasses import asdict

    from quant_organism.cli.examination import examine
    from quant_organism.cli.output import print_json, print_table

    findings = examine(options.folder_settings(data_dir), HOST, port)
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
