"""Who may act for an account, and where its money lies: agents, sub-accounts, vaults, unified accounts."""

from dataclasses import dataclass
from typing import Any, Final

from quant_organism.errors import InputError
from quant_organism.venue.client.transport import Transport
from quant_organism.venue.keystore import Wallet

UNIFIED: Final = "unifiedAccount"
_PLAIN_ACCOUNTS: Final = frozenset({"default", "disabled", "dexAbstraction"})


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """Whose an account is, and where its money lies.

    Parameters
    ----------
    vault
        Its own address where it is a sub-account or vault, for which another's wallet signs; actions name it.
    is_unified
        Its money is spot, and serves all dexs.
    """

    vault: str | None
    is_unified: bool


def check_account(transport: Transport, wallet: Wallet) -> AccountStanding:
    """Make sure that a wallet acts for the account, and find out where its value is to be looked for.

    Raises
    ------
    InputError
        Neither the account's wallet, nor that of the master of a sub-account or the leader of a vault, nor an agent of
        one of them; a portfolio-margin account, or one of a kind that nobody knows.
    """
    user = transport.spec.account_address
    mode = account_mode(transport)
    if mode not in _PLAIN_ACCOUNTS and mode != UNIFIED:
        raise InputError(
            f"the account is {mode!r}: what the venue shows as its perpetual account value is not its equity",
            where=user,
            remedy="trade with a sub-account: name its address as account_address; the same agent acts for it",
        )
    is_unified = mode == UNIFIED
    if wallet.address == user:
        return AccountStanding(None, is_unified)
    role, master = _role(transport, wallet.address), None
    if role.get("role") == "agent":
        master = _address(role, "user")
        if master == user:
            return AccountStanding(None, is_unified)
    owner = _owner(transport, user)
    if owner is None or owner not in (wallet.address, master):
        raise InputError(
            f"the wallet {wallet.address} may not act for the account: the venue says it is {role!r}, "
            f"and the account {f'belongs to {owner}' if owner else 'belongs to no other'}",
            where=user,
            remedy="approve it on the venue's API page for the account or its master, or correct account_address",
        )
    return AccountStanding(user, is_unified)


def account_mode(transport: Transport) -> Any:
    """Return the venue's word for where an account's money lies."""
    return transport.info({"type": "userAbstraction", "user": transport.spec.account_address})


def _owner(transport: Transport, user: str) -> str | None:
    """Return who acts for a sub-account or vault; None: it is neither."""
    role = _role(transport, user)
    if role.get("role") == "subAccount":
        return _address(role, "master")
    if role.get("role") == "vault":
        details = transport.info({"type": "vaultDetails", "vaultAddress": user})
        leader = details.get("leader") if isinstance(details, dict) else None
        return leader.lower() if isinstance(leader, str) else None
    return None


def _role(transport: Transport, address: str) -> dict[str, Any]:
    role = transport.info({"type": "userRole", "user": address})
    return role if isinstance(role, dict) else {}


def _address(role: dict[str, Any], key: str) -> str | None:
    data = role.get("data")
    address = data.get(key) if isinstance(data, dict) else None
    return address.lower() if isinstance(address, str) else None
