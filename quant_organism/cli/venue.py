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
    """Return what settings and command line say of the venue, for the venue's own rules to judge."""
    from quant_organism.cli.keys import keystore_folder, passphrase_of
    from quant_organism.venue import AccessPlan, Limits

    venue = settings.venue
    return AccessPlan(
        network=venue.network,
        named_network=named_network,
        account_address=venue.account_address,
        confirm_mainnet=venue.confirm_mainnet,
        key=venue.key,
        private_key=None if venue.private_key is None else venue.private_key.get_secret_value,
        keystore=keystore_folder(settings),
        signers=settings.data_dir / "trader" / "signers",
        passphrase=lambda: passphrase_of(settings),
        base_url=venue.base_url,
        proxy=venue.proxy,
        connect_seconds=venue.connect_seconds,
        read_seconds=venue.read_seconds,
        action_seconds=venue.action_seconds,
        limits=Limits(
            ip_weight_per_minute=venue.ip_weight_per_minute,
            ip_burst_weight=venue.ip_burst_weight,
            info_attempts=venue.info_attempts,
            breaker_failures=venue.breaker_failures,
            breaker_seconds=venue.breaker_seconds,
        ),
    )
