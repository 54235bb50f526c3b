"""`quant-organism trade code-server`: code made elsewhere, run as another user than the one who sends orders."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from quant_organism.errors import InputError


def code_server(
    socket: Annotated[Path, typer.Argument(help="Socket that is made, in a folder of this user or of root alone.")],
    asker: Annotated[str, typer.Option(help="User of the trader, by name or number: nobody else is answered.")],
) -> None:
    """Run code made elsewhere for a trader that sends orders, as another user, until Ctrl-C.

    It reads neither settings nor a data folder: the trader brings the code and the bars with each question.
    """
    from quant_organism.judge import CodeServer

    with CodeServer(socket.absolute(), _user_id(asker)) as server:
        typer.echo(f"Code is run for {asker} at {socket.absolute()}; end with Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            server.serve()


def _user_id(name: str) -> int:
    import pwd

    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise InputError(
            f"there is no user {name!r}", where="option --asker", remedy="name the trader's user"
        ) from None
