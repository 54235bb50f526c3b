"""`quant-organism keys`: agent wallets, encrypted; nothing here ever shows one."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.exchange.keystore import Keystore
    from quant_organism.settings import Settings

app = typer.Typer(help="Agent wallets that may trade for an account: bring one in, list them.", no_args_is_help=True)


@app.command("import")
def import_key(
    name: Annotated[str, typer.Argument(help="Name to keep it under.")], data_dir: options.DataDir = None
) -> None:
    """Encrypt a private key and keep it; key and passphrase are asked for, and not shown.

    Without a terminal the key is the first line of standard input, and the passphrase is
    QUANT_ORGANISM_VENUE__PASSPHRASE.
    """
    settings = options.folder_settings(data_dir)
    store = keystore(settings)
    key = ask_secret("Private key of the agent wallet")
    entry = store.add(name, key, passphrase_of(settings, confirm=True))
    typer.echo(f"{entry.name}: {entry.address}")


@app.command("list")
def list_keys(data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """List names and addresses."""
    from quant_organism.cli.output import print_json, print_table

    entries = keystore(options.folder_settings(data_dir)).entries()
    if as_json:
        print_json([{"name": entry.name, "address": entry.address} for entry in entries])
    elif entries:
        print_table(("name", "address"), [(entry.name, entry.address) for entry in entries])
    else:
        typer.echo("No keys here yet. Bring one in with: quant-organism keys import NAME")


def keystore(settings: "Settings") -> "Keystore":
    """Return the keystore of the data folder."""
    from quant_organism.exchange.keystore import Keystore

    return Keystore(settings.data_dir / "keystore")


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
