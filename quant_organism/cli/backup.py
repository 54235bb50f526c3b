"""`quant-organism backup` and `restore`: everything at rest in a data folder, copied while it is in use, and back."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from quant_organism import __version__
from quant_organism.cli import options
from quant_organism.cli.output import print_json, progress_bars

SECRETS: Final = "keystore"
"""What no backup holds: it may lie anywhere, and a key is made anew at the venue."""

_OWN: Final = {SECRETS, "run.pid", "lines.json"}
_ALWAYS_WRITTEN: Final = {"dagster_home", "logs"}
"""What the web UI writes every few seconds; the lake does not hang on it."""


def backup(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="Folder of the backup; not there yet, or empty.")],
    as_json: options.Json = False,
) -> None:
    """Copy the data folder as it is at one moment, whoever computes or trades in it; keys are left out."""
    from quant_organism.orchestration.history import place_of
    from quant_organism.resilience import ObjectPath, back_up, located

    data_dir, program = options.said(context).settings().data_dir, f"quant-organism {__version__}"
    server, lake = place_of(data_dir / "dagster_home"), located(data_dir / "lake")
    with progress_bars() as progress:
        made = back_up(
            data_dir, path, program=program, leave_out=_OWN, at_any_moment=_ALWAYS_WRITTEN, progress=progress
        )
    facts: dict[str, Any] = {
        "path": str(made.folder),
        "made_at": made.made_at,
        "files": len(made.files),
        "bytes": made.n_bytes,
    }
    bucket = str(lake) if isinstance(lake, ObjectPath) else None
    facts["not_in_it"] = [place for place in (server, bucket) if place]
    if as_json:
        print_json(facts)
        return
    typer.echo(f"{path}: {len(made.files):,} files, {made.n_bytes / 1e6:,.1f} MB, as of {made.made_at}")
    if (data_dir / SECRETS).is_dir():
        typer.echo(f"Keys are not in it ({data_dir / SECRETS}): keep them elsewhere, or make new ones at the venue.")
    if server:
        typer.echo(f"Dagster's runs, events and schedules are not in it ({server}): back the server up, with pg_dump.")
    if bucket:
        typer.echo(
            f"The lake is not in it ({bucket}): keep versions of its objects, or copy them by the store's means."
        )
    typer.echo(f"To bring it back: quant-organism restore {path} --data-dir FOLDER")


def restore(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="Folder of a backup.")],
    as_json: options.Json = False,
) -> None:
    """Bring a backup back, once all of it is as its manifest says, into a data folder that holds nothing else."""
    from quant_organism import resilience
    from quant_organism.market.migration import layout_of
    from quant_organism.orchestration.run_lock import run_lock

    data_dir = options.said(context).settings().data_dir
    layout_of(resilience.Backup.read(path).content / "lake")  # one of a newer version is refused by name
    with progress_bars() as progress, run_lock(data_dir):
        made = resilience.restore(path, data_dir, progress=progress)
    facts: dict[str, Any] = {"data_dir": str(data_dir), "made_at": made.made_at, "files": len(made.files)}
    if as_json:
        print_json(facts)
        return
    typer.echo(f"{data_dir}: {len(made.files):,} files as of {made.made_at}, each as its manifest says")
    typer.echo(f"Next: quant-organism doctor --data-dir {data_dir}")
