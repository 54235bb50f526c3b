"""`quant-organism trade kill`: trading ended by the venue alone; and a person's words after it or trades by hand."""

import time
from typing import Annotated

import typer

from quant_organism.cli import options


def kill(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why, in your words; the trader writes it down.")] = "by hand",
    patience: Annotated[
        float, typer.Option(min=0.0, help="Seconds after which no further attempt is begun.", metavar="SECONDS")
    ] = 600.0,
    as_json: options.Json = False,
) -> None:
    """Cancel every order and close every position of the account, until the venue has twice shown nothing.

    Needs nothing of a trader: it works beside one that runs, after one that died, with its files locked and the disk
    full. A trader that runs enters nothing any more until `trade rearm`. Ends with 0 where the account is flat, else 1.
    """
    from dataclasses import asdict

    from quant_organism.cli.output import print_json, print_table
    from quant_organism.cli.venue import access_plan
    from quant_organism.trading.kill import KillFlag, kill_file
    from quant_organism.trading.kill import kill as end_trading
    from quant_organism.venue import checked_network, connect, signing_wallet, venue_spec

    said = options.said(context)
    named = said.value("venue.network")
    if named is not None:
        checked_network(named)
    settings = said.settings()
    plan = access_plan(settings, named or settings.venue.network)  # an exit is always meant
    spec, wallet = venue_spec(plan), signing_wallet(plan)
    flag = KillFlag(time.time_ns() // 1_000_000, f"{plan.network} {plan.account_address}", reason)
    killed = end_trading(
        lambda: connect(spec, wallet, plan.signers, beside_others=True),
        flag,
        kill_file(settings.data_dir),
        patience_seconds=patience,
    )
    if as_json:
        print_json({"account": flag.account, **asdict(killed)})
    else:
        rows = [("account", flag.account), *asdict(killed).items()]
        print_table(("what", "is"), [(name, "-" if value == "" else value) for name, value in rows])
    if not killed.is_flat:
        raise typer.Exit(1)


def rearm(context: typer.Context, as_json: options.Json = False) -> None:
    """Say that the account may trade again after `trade kill`."""
    from quant_organism.cli.output import print_json
    from quant_organism.trading.kill import kill_file, lower_flag

    path = kill_file(options.said(context).settings().data_dir)
    was_killed = lower_flag(path)
    if as_json:
        print_json({"was_killed": was_killed})
    else:
        typer.echo("It may trade again." if was_killed else "Nobody has stopped it.")


def release(
    context: typer.Context,
    symbol: Annotated[str, typer.Argument(help="What was traded by hand, or closed by `trade kill`.")],
    restore: Annotated[
        bool, typer.Option("--restore/--adopt", help="Bring the position back at once, or take it over as it is.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Say what becomes of a symbol that was traded by hand: until then no order changes its position.

    A trader takes the word at its next close. `trade status` names the symbols that wait for one.
    """
    from quant_organism.cli.output import print_json
    from quant_organism.trading.releases import say_release

    word = "restore" if restore else "adopt"
    path = say_release(options.said(context).settings().data_dir, symbol, word)
    if as_json:
        print_json({"symbol": symbol, "word": word, "path": str(path)})
    else:
        typer.echo(f"{symbol}: {word} from the trader's next close on.")
