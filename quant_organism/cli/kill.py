"""`quant-organism trade kill` and `trade rearm`: trading ended by the venue alone, and a person's word after it."""

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
