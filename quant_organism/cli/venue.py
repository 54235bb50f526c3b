"""`quant-organism venue`: the first contact with a venue, and the settings as a plan of access."""

from typing import TYPE_CHECKING

import typer

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.settings import Settings
    from quant_organism.venue import AccessPlan


def venue(context: typer.Context, as_json: options.Json = False) -> None:
    """Connect to the venue of the settings and show the account; nothing is sent that changes anything."""
    from quant_organism.cli.output import print_json, print_table
    from quant_organism.venue import checked_network, open_account

    said = options.said(context)
    named = said.value("venue.network")
    if named is not None:
        checked_network(named)
    plan = access_plan(said.settings(), named)
    account = open_account(plan)
    try:
        state, orders = account.account(), account.open_orders()
        requests_left = account.budget.left(is_cancel=False)
    finally:
        account.close()
    summary = {
        "network": plan.network,
        "account": account.address,
        "account_value_usd": str(state.account_value_usd),
        "withdrawable_usd": str(state.withdrawable_usd),
        "open_orders": len(orders),
        "requests_left": requests_left,
    }
    positions = [
        {"coin": item.coin, "szi": str(item.szi), "entry_px": str(item.entry_px), "leverage": item.leverage}
        for item in state.positions
    ]
    if as_json:
        print_json({**summary, "positions": positions})
        return
    print_table(("what", "is"), list(summary.items()))
    if positions:
        print_table(list(positions[0]), [list(row.values()) for row in positions], title="Positions")


def access_plan(settings: "Settings", named_network: str | None = None) -> "AccessPlan":
    """Return what settings and command line say of the venue; the keystore's passphrase is asked for here."""
    from quant_organism.cli.keys import passphrase_of
    from quant_organism.orchestration import access

    return access.access_plan(settings, named_network, passphrase=lambda: passphrase_of(settings))
