"""`quant-organism venue`: the first contact with a venue, and how settings become a connection."""

from typing import TYPE_CHECKING

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.exchange.client.hyperliquid import HyperliquidVenue
    from quant_organism.exchange.client.network import VenueSpec
    from quant_organism.exchange.keystore import Wallet
    from quant_organism.settings import Settings


def venue(network: options.Venue = None, data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """Connect to the venue of the settings and show the account; nothing is sent that changes anything."""
    from quant_organism.cli.output import print_json, print_table

    settings = options.venue_settings(network, data_dir)
    found = open_venue(settings, network)
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


def open_venue(settings: "Settings", said: str | None = None) -> "HyperliquidVenue":
    """Return the account of the settings, connected.

    Parameters
    ----------
    settings
        Where, whose, and with which key.
    said
        Network that the command line names; the main network is reached only if it is named there too.

    Raises
    ------
    InputError
        No account, no key, the main network without `--venue mainnet`, or the venue refuses them.
    """
    from quant_organism.exchange.client.hyperliquid import connect

    return connect(venue_spec(settings, said), wallet(settings), settings.data_dir / "trader" / "signers")


def venue_spec(settings: "Settings", said: str | None = None) -> "VenueSpec":
    """Return what the settings say of the venue.

    Parameters
    ----------
    settings
        Where, and whose.
    said
        Network that the command line names.

    Raises
    ------
    InputError
        No account, a URL that is not the network's, or the main network without `--venue mainnet`.
    """
    from quant_organism.errors import InputError
    from quant_organism.exchange.client.network import Limits, VenueSpec

    venue = settings.venue
    if venue.network == "mainnet" and said != "mainnet":
        raise InputError(
            "the settings name the main network, where money is real, and the command line does not",
            where="venue.network",
            remedy="add --venue mainnet if that is meant, or set venue.network to simulator or testnet",
        )
    if venue.account_address is None:
        raise InputError("no account is named", where="venue settings", remedy="set venue.account_address")
    return VenueSpec(
        network=venue.network,
        account_address=venue.account_address,
        base_url=venue.base_url or "",
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
