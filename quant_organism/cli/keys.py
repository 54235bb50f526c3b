"""`quant-organism keys`: agent wallets, encrypted; nothing here ever shows one."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.settings import Settings
    from quant_organism.venue import Keystore

app = typer.Typer(help="Agent wallets that may trade for an account: bring one in, list them.", no_args_is_help=True)


@app.command("import", cls=options.with_settings("data_dir"))
def import_key(context: typer.Context, name: Annotated[str, typer.Argument(help="Name to keep it under.")]) -> None:
    """Encrypt a private key and keep it; key and passphrase are asked for, and not shown.

    Without a terminal the key is the first line of standard input, and the passphrase is
    QUANT_ORGANISM_VENUE__PASSPHRASE.
    """
    settings = options.said(context).settings()
    store = keystore(settings)
    key = ask_secret("Private key of the agent wallet")
    entry = store.add(name, key, passphrase_of(settings, confirm=True))
    typer.echo(f"{entry.name}: {entry.address}")


@app.command("list", cls=options.with_settings("data_dir"))
def list_keys(context: typer.Context, as_json: options.Json = False) -> None:
    """List names and addresses."""
    from quant_organism.cli.output import print_json, print_table

    entries = keystore(options.said(context).settings()).entries()
    if as_json:
        print_json([{"name": entry.name, "address": entry.address} for entry in entries])
    elif entries:
        print_table(("name", "address"), [(entry.name, entry.address) for entry in entries])
    else:
        typer.echo("No keys here yet. Bring one in with: quant-organism keys import NAME")


def keystore(settings: "Settings") -> "Keystore":
    """Return the keystore of the data folder."""
    from quant_organism.orchestration.access import keystore_folder
    from quant_organism.venue import Keystore

    return Keystore(keystore_folder(settings))


def passphrase_of(settings: "Settings", *, confirm: bool = False) -> str:
    """Return the passphrase of the environment, or ask for it."""
    said = settings.venue.passphrase
    return said.get_secret_value() if said is not None else ask_secret("Passphrase of the keystore", confirm=confirm)


def ask_secret(question: str, *, confirm: bool = False) -> str:
    """Ask for something that is not shown; without a terminal, read the next line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    answer: str = typer.prompt(question, hide_input=True, confirmation_prompt=confirm)
    return answer
