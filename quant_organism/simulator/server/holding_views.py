"""Answers about what belongs to an account beside its own positions: sub-accounts, vaults, who referred it."""

from typing import Any

from quant_organism.simulator.core import transfers
from quant_organism.simulator.server.account_views import AccountView
from quant_organism.venue.protocol import OWN_DEX, usd


def sub_accounts(view: AccountView) -> list[dict[str, Any]] | None:
    """Return the sub-accounts of a master with their states; null where it has none."""
    accounts = view.engine.venue.state.accounts.values()
    own = [account for account in accounts if account.master == view.address and account.shares is None]
    shown = []
    for account in own:
        seen = AccountView(view.engine, account.address)
        shown.append(
            {
                "name": account.name or "",
                "subAccountUser": account.address,
                "master": view.address,
                "clearinghouseState": seen.state(OWN_DEX),
                "spotState": seen.spot_state(),
            }
        )
    return shown or None


def vault_equities(view: AccountView) -> list[dict[str, Any]]:
    """Return what an address has in vaults, and until when it stays there."""
    core = view.engine.venue.core
    vaults = [account for account in core.state.accounts.values() if (account.shares or {}).get(view.address)]
    return [
        {
            "vaultAddress": vault.address,
            "equity": usd(transfers.share_of(core, vault, view.address)),
            "lockedUntilTimestamp": vault.locked_until_ms.get(view.address, 0),
        }
        for vault in vaults
    ]


def vault_details(view: AccountView) -> dict[str, Any] | None:
    """Return a vault with those who paid in; null where the address is none."""
    core, vault = view.engine.venue.core, view.account
    if vault.shares is None:
        return None
    return {
        "name": vault.name or "",
        "vaultAddress": vault.address,
        "leader": vault.master,
        "description": "",
        "portfolio": view.portfolio(),
        "apr": 0.0,
        "followerState": None,
        "leaderFraction": vault.shares.get(vault.master or "", 0) / max(1, sum(vault.shares.values())),
        "leaderCommission": 0.0,
        "followers": [
            {
                "user": address,
                "vaultEquity": usd(transfers.share_of(core, vault, address)),
                "lockupUntil": vault.locked_until_ms.get(address, 0),
            }
            for address, held in vault.shares.items()
            if held
        ],
        "maxDistributable": usd(view.margin(OWN_DEX).withdrawable()),
        "maxWithdrawable": usd(view.margin(OWN_DEX).withdrawable()),
        "isClosed": False,
        "relationship": {"type": "normal"},
        "allowDeposits": True,
        "alwaysCloseOnWithdraw": False,
    }


def referrer(view: AccountView) -> dict[str, str] | None:
    """Return who referred an account, if anybody did; whose code it is nobody knows here."""
    code = view.account.referrer
    return None if code is None else {"referrer": "0x" + "0" * 40, "code": code}


def signers(view: AccountView) -> dict[str, Any] | None:
    """Return who must sign for an account of several signers; null where its own key does."""
    account = view.account
    return {"authorizedUsers": list(account.signers), "threshold": account.threshold} if account.signers else None
