"""From what a person has said to a connected account: which network may be used, and which wallet signs.

Nothing here reads settings: who does hands over an `AccessPlan`. It holds no secret, only the ways to ask for one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from quant_organism.errors import InputError
from quant_organism.venue.client.network import Limits, Network, VenueSpec
from quant_organism.venue.keystore import Keystore, Wallet, wallet_of

if TYPE_CHECKING:
    from quant_organism.venue.client.hyperliquid import HyperliquidVenue


@dataclass(frozen=True, slots=True)
class AccessPlan:
    """What was said of a venue and an account, before any of it is believed.

    Parameters
    ----------
    network
        Where to; `simulator`, `testnet` or `mainnet`.
    keystore
        Folder of encrypted keys.
    signers
        Folder of nonces and locks of signers.
    passphrase
        Asks for the keystore's passphrase; called only where a key of it is used.
    named_network
        The network that was named for this very call, such as on a command line; none: none was.
    account_address, confirm_mainnet
        Whose account, and the same address once more where real money is meant.
    key
        Name of the wallet in the keystore.
    private_key
        Gives the wallet's own key instead.
    base_url, proxy, connect_seconds, read_seconds, action_seconds, limits
        As for `VenueSpec`.
    """

    network: str
    keystore: Path
    signers: Path
    passphrase: Callable[[], str]
    named_network: str | None = None
    account_address: str | None = None
    confirm_mainnet: str | None = None
    key: str | None = None
    private_key: Callable[[], str] | None = None
    base_url: str | None = None
    proxy: str | None = None
    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    action_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)


def checked_network(name: str) -> Network:
    """Return the network of a name.

    Raises
    ------
    InputError
        There is none of that name.
    """
    networks: tuple[Network, ...] = get_args(Network)
    for network in networks:
        if network == name:
            return network
    raise InputError(f"no network is called {name!r}", where="venue.network", remedy=f"choose {', '.join(networks)}")


def check_mainnet(plan: AccessPlan) -> None:
    """Refuse the main network unless it was meant twice: by the account's address again, and by name for this call.

    Raises
    ------
    InputError
        Either of the two is missing; any other network needs neither.
    """
    if plan.network != "mainnet":
        return
    address, confirmed = plan.account_address, plan.confirm_mainnet
    if address is None or confirmed is None or confirmed.lower() != address.lower():
        raise InputError(
            "real money would be at risk, and nothing confirms that this is meant",
            where="venue.network",
            remedy="repeat the account's address as venue.confirm_mainnet",
        )
    if plan.named_network != "mainnet":
        raise InputError(
            "the settings name the main network, where money is real, and the command line does not",
            where="venue.network",
            remedy="add --venue mainnet if that is meant, or set venue.network to simulator or testnet",
        )


def venue_spec(plan: AccessPlan) -> VenueSpec:
    """Return the venue and account of a plan.

    Raises
    ------
    InputError
        No such network, the main network without being meant twice, no account, or a URL that is not the network's.
    """
    network = checked_network(plan.network)
    check_mainnet(plan)
    if plan.account_address is None:
        raise InputError("no account is named", where="venue settings", remedy="set venue.account_address")
    return VenueSpec(
        network=network,
        account_address=plan.account_address,
        base_url=plan.base_url or "",
        proxy=plan.proxy,
        connect_seconds=plan.connect_seconds,
        read_seconds=plan.read_seconds,
        action_seconds=plan.action_seconds,
        limits=plan.limits,
    )


def signing_wallet(plan: AccessPlan) -> Wallet:
    """Return the wallet that signs: the one whose key is given, or the keystore's of that name.

    Raises
    ------
    InputError
        Neither is named, or both are, or the wallet cannot be opened.
    IntegrityError
        The keystore's file is damaged, or others can read it.
    """
    if plan.private_key is not None:
        if plan.key is not None:
            raise InputError(
                "both a key of the keystore and a private key are given",
                where="venue settings",
                remedy="leave one of venue.key and venue.private_key out",
            )
        return wallet_of(plan.private_key())
    if plan.key is None:
        raise InputError(
            "no wallet is named", where="venue settings", remedy="set venue.key; `quant-organism keys list` shows names"
        )
    return Keystore(plan.keystore).load(plan.key, plan.passphrase)


def open_account(plan: AccessPlan) -> "HyperliquidVenue":
    """Return the account of a plan, connected; nothing is asked of the venue before the plan has been checked.

    Raises
    ------
    InputError, IntegrityError
        As for `venue_spec` and `signing_wallet`, or the venue does not let this wallet act for the account.
    BusyError
        Another process signs with this wallet.
    VenueError
        The venue cannot be reached or read.
    """
    from quant_organism.venue.client.hyperliquid import connect

    spec = venue_spec(plan)
    return connect(spec, signing_wallet(plan), plan.signers)
