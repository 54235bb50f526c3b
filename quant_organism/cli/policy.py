"""`quant-organism trade policy`: what a trader may do, version by version."""

import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.trading.policy_store import FilePolicyStore

app = typer.Typer(help="What a trader may do: show it, change it, see who changed what.", no_args_is_help=True)


@app.command("show", cls=options.with_settings("data_dir"))
def show(context: typer.Context, as_json: options.Json = False) -> None:
    """Show the policy in force."""
    from quant_organism.cli.output import print_json, print_table

    version = _store(context).current()
    if as_json:
        print_json(None if version is None else version.model_dump(mode="json"))
    elif version is None:
        typer.echo(
            "None yet: replay and paper trading are free within the account's rules, and nothing else may enter."
        )
    else:
        rows = [(key, "-" if value in (None, [], {}) else value) for key, value in version.policy.to_json().items()]
        print_table(("key", "is"), rows, title=f"Version {version.number} by {version.author}")


@app.command("set", cls=options.with_settings("data_dir"))
def set_policy(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="YAML or JSON; what it leaves out is free.")],
    author: Annotated[str | None, typer.Option(help="Who wants it; whoever is logged in.")] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    after: Annotated[int | None, typer.Option(help="Refuse if another version is in force than this.")] = None,
    as_json: options.Json = False,
) -> None:
    """Put a policy in force; a trader obeys it from its next close on."""
    from quant_organism.cli.output import print_json
    from quant_organism.trading.policy import Policy

    version = _store(context).put(
        Policy.read(file),
        author=author or getpass.getuser(),
        reason=reason,
        at_ms=time.time_ns() // 1_000_000,
        after=after,
    )
    if as_json:
        print_json(version.model_dump(mode="json"))
    else:
        typer.echo(f"Version {version.number} is in force.")


@app.command("history", cls=options.with_settings("data_dir"))
def history(context: typer.Context, as_json: options.Json = False) -> None:
    """List who changed what and when, the first version first."""
    from quant_organism.cli.output import print_json, print_table
    from quant_organism.market import format_ms

    versions = _store(context).history()
    if as_json:
        print_json([version.model_dump(mode="json") for version in versions])
        return
    rows = [
        (
            version.number,
            format_ms(version.at_ms),
            version.author,
            "; ".join(f"{key}: {before} to {after}" for key, (before, after) in version.changes.items()),
            version.reason,
        )
        for version in versions
    ]
    print_table(("version", "when", "who", "what", "why"), rows)


def _store(context: typer.Context) -> "FilePolicyStore":
    from quant_organism.trading.policy_store import FilePolicyStore, policy_folder

    return FilePolicyStore(policy_folder(options.said(context).settings().data_dir))
