"""`quant-organism services`: units of systemd for this installation, with alert rules and a board."""

from pathlib import Path
from typing import Annotated

import typer

from quant_organism.cli import options
from quant_organism.errors import InputError


def services(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder that the files are written to, to be looked at first.")],
    user: Annotated[str, typer.Option(help="Who runs them; not root.")],
    backups: Annotated[Path, typer.Option(help="Folder that backups go to, outside of the data folder.")],
    mode: Annotated[str, typer.Option(help="What the trader does: paper or testnet.")] = "paper",
    code_user: Annotated[
        str, typer.Option(help="Who runs code made elsewhere for a trader that sends orders; owns nothing.")
    ] = "",
) -> None:
    """Write units of systemd for web UI, trader, metrics, alerts and backups, and what Prometheus and Grafana take."""
    import shutil
    import sys

    from quant_organism.monitoring.services import SECRETS, TARGET, Installation, service_files
    from quant_organism.resilience import write_files

    if mode not in ("paper", "testnet"):
        raise InputError(
            f"the trader's service cannot trade {mode!r}",
            where="option --mode",
            remedy="use paper or testnet; with real money a person starts it, in a terminal",
        )
    program = Path(sys.executable).with_name("quant-organism")
    installation = Installation(
        program=program if program.exists() else Path(shutil.which("quant-organism") or sys.argv[0]).absolute(),
        user=user,
        folder=Path.cwd(),
        data_dir=options.said(context).settings().data_dir.absolute(),
        backups=backups.absolute(),
        mode="testnet" if mode == "testnet" else "paper",
        code_user=code_user,
    )
    made = service_files(installation)
    write_files((folder / name, text.encode()) for name, text in made.items())
    for name in made:
        typer.echo(str(folder / name))
    typer.echo(
        f"\nSecrets go into {SECRETS}, readable by root alone. Next, as root:\n"
        f"  install -d -o {user} -m 700 {installation.data_dir} {installation.backups}\n"
        f"  install -m 644 {folder}/quant-organism* /etc/systemd/system/ && systemctl daemon-reload\n"
        f"  systemctl enable --now {TARGET}\n"
        f"  systemctl enable --now {'quant-organism-code.service ' if code_user else ''}quant-organism-trader.service"
    )
