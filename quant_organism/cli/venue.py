"""`quant-organism venue`: the first contact with a venue, and how settings become a connection."""

from typing import TYPE_CHECKING

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.exchange.client.hyperliquid import HyperliquidVenue
    from quant_organism.exchange.client.network import VenueSpec
    from quant_organism.exchange.keystore import Wallet
    from quant_organism.settings import Settings


def venue(data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """Connect to the venue of the settings and show the account; nothing is sent that changes anything."""
    from quant_organism.cli.output import print_json, print_table

    settings = options.folder_settings(data_dir)
    found = open_venue(settings)
    try:
        state, orders = found.account(), found.open_orders()
        requests_left = found.budget.left(is_cancel=False)
    finally:
        found.close()
    shown = {
        "network": settings.venue.network,
        "account": found.address,
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
        print_json({**shown, "positions": positions})
        return
    print_table(("what", "is"), list(shown.items()))
    if positions:
        print_table(list(positions[0]), [list(row.values()) for row in positions], title="Positions")


def open_venue(settings: "Settings") -> "HyperliquidVenue":
    """Return the account of the settings, connected.

    Raises
    ------
    InputError
        No account, no key, or the venue refuses them.
    """
    from quant_organism.exchange.client.hyperliquid import connect

    return connect(venue_spec(settings), wallet(settings), settings.data_dir / "trader" / "signers")


def venue_spec(settings: "Settings") -> "VenueSpec":
    """Return what the settings say of the venue.

    Raises
    ------
    InputError
        No account, or a URL that is not the network's.
    """
    from quant_organism.errors import InputError
    from quant_organism.exchange.client.network import Limits, VenueSpec

    said = settings.venue
    if said.account_address is None:
        raise InputError("no account is named", where="venue settings", remedy="set venue.account_address")
    return VenueSpec(
        network=said.network,
        account_address=said.account_address,
        base_url=said.base_url or "",
        proxy=said.proxy,
        connect_seconds=said.connect_seconds,
        read_seconds=said.read_seconds,
        action_seconds=said.action_seconds,
        limits=Limits(
            ip_weight_per_minute=said.ip_weight_per_minute,
            ip_burst_weight=said.ip_burst_weight,
            info_attempts=said.info_attempts,
            breaker_failures=said.breaker_failures,
            breaker_seconds=said.breaker_seconds,
        ),
    )


def wallet(settings: "Settings") -> "Wallet":
    """Return the wallet that signs: the environment's, or the keystore's.

    Raises
    ------
    InputError
        Neither is named, or it cannot be opened.
    """
    from quant_organism.cli.keys import keystore, passphrase_of
    from quant_organism.errors import InputError
    from quant_organism.exchange.keystore import wallet_of

    said = settings.venue
    if said.private_key is not None:
        return wallet_of(said.private_key.get_secret_value())
    if said.key is None:
        raise InputError(
            "no wallet is named", where="venue settings", remedy="set venue.key; `quant-organism keys list` shows names"
        )
    return keystore(settings).load(said.key, lambda: passphrase_of(settings))
