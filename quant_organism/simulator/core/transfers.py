"""Money that moves without a trade: between perpetuals, spot, dexs and addresses, vaults, sub-accounts, the bridge."""

import hashlib
from decimal import Decimal
from typing import Any, Final

from quant_organism.market import MS_PER_DAY
from quant_organism.simulator.core.account import USDC, Account, LedgerEntry, MoneyMoved
from quant_organism.simulator.core.settlement import traded_text
from quant_organism.simulator.core.state import VenueCore
from quant_organism.venue.protocol import (
    MICRO_USD,
    OWN_DEX,
    SPOT,
    USD_DECIMALS,
    CreateSubAccount,
    MoveUsd,
    SendAsset,
    SendSpot,
    SendUsd,
    SubAccountSpot,
    SubAccountUsd,
    Transfer,
    VaultUsd,
    WithdrawUsd,
    scaled,
    texts,
    usd,
)

WITHDRAWAL_FEE: Final = MICRO_USD
SUB_ACCOUNT_VOLUME: Final = 100_000 * MICRO_USD
MAX_SUB_ACCOUNTS: Final = 10
VAULT_LOCK_MS: Final = MS_PER_DAY
_SHARES_PER_MICRO_USD: Final = 1_000_000
"""Of the first deposit: fine enough that no rounding of shares is worth a millionth of a dollar."""


def transfer(core: VenueCore, account: Account, action: Transfer) -> str | None:
    """Move money; return why not, or None where it is done.

    Parameters
    ----------
    account
        Whose money it is; of a deposit into a sub-account or a vault: the master's, the depositor's.
    action
        What is to be moved.
    """
    match action:
        case SendAsset():
            return send(core, account, action)
        case MoveUsd():
            return _move_class(core, account, action)
        case SendUsd(destination, amount):
            receiver = _receiver(core, destination)
            delta = _between("internalTransfer", account, receiver, usdc=_text(amount), fee="0.0")
            return _move(core, (account, ""), (receiver, ""), USDC, scaled(amount, USD_DECIMALS), delta)
        case SendSpot():
            receiver = _receiver(core, action.destination)
            delta = _spot_delta(account, receiver, action.token, action.amount) | {"nonce": action.nonce}
            return _move(core, (account, SPOT), (receiver, SPOT), action.token, _units(action.amount), delta)
        case WithdrawUsd():
            return _withdraw(core, account, action)
        case SubAccountUsd() | SubAccountSpot():
            return _sub_account(core, account, action)
        case VaultUsd():
            return (_pay_in if action.is_deposit else _take_out)(core, account, action)
        case CreateSubAccount(name):
            return create_sub_account(core, account, name)[0]


def send(core: VenueCore, account: Account, action: SendAsset) -> str | None:
    """Send a token from one place of an account to one of another, or of its own; return why not, or None.

    A dex takes and gives its collateral only. What is sent must be withdrawable; who gets it exists from then on.
    """
    if not {action.source_dex, action.destination_dex} <= {SPOT, *(dex.name for dex in core.state.dexs)}:
        return texts.UNKNOWN_DEX
    receiver = _receiver(core, action.destination)
    delta = _between("send", account, receiver) | {
        "sourceDex": action.source_dex,
        "destinationDex": action.destination_dex,
        "token": action.token,
        "amount": _text(action.amount),
        "usdcValue": _text(action.amount),
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": action.nonce,
        "feeToken": "",
    }
    source, target = (account, action.source_dex), (receiver, action.destination_dex)
    return _move(core, source, target, action.token, _units(action.amount), delta)


def create_sub_account(core: VenueCore, account: Account, name: str) -> tuple[str | None, str]:
    """Make a sub-account; return why not, or None where it is done, and its address."""
    own = [other for other in core.state.accounts.values() if other.master == account.address and other.shares is None]
    address = "0x" + hashlib.sha256(f"{account.address}/{len(own)}".encode()).hexdigest()[:40]
    if account.volume < SUB_ACCOUNT_VOLUME:
        return texts.sub_account_gate(traded_text(account)), address
    if len(own) >= MAX_SUB_ACCOUNTS:
        return texts.SUB_ACCOUNTS_USED_UP, address
    core.state.accounts[address] = Account(address, master=account.address, name=name)
    return None, address


def vault_equity(core: VenueCore, vault: Account) -> int:
    """Return what all that is in a vault is worth, in micro-USD, at the present marks."""
    margin = core.margin(vault, OWN_DEX)
    return margin.cross_equity() + sum(margin.isolated_equity(asset) for asset in margin.isolated_assets())


def share_of(core: VenueCore, vault: Account, address: str) -> int:
    """Return what an address could take out of a vault, in micro-USD, if all of it were free."""
    shares = vault.shares or {}
    total = sum(shares.values())
    return max(0, vault_equity(core, vault)) * shares.get(address, 0) // total if total else 0


def _move(
    core: VenueCore,
    source: tuple[Account, str],
    target: tuple[Account, str],
    token: str,
    amount: int | None,
    delta: dict[str, Any],
) -> str | None:
    """Move millionths of a token from a place of an account to another's; return why not, or None where it is done.

    Parameters
    ----------
    source, target
        Account, and dex by name or `spot`.
    delta
        What the ledgers of both say of it.
    """
    state = core.state
    if token not in state.tokens:
        return texts.UNKNOWN_TOKEN
    by_name = {dex.name: index for index, dex in enumerate(state.dexs)}
    for _, place in (source, target):
        if place != SPOT and state.dexs[by_name[place]].collateral != token:
            return texts.WRONG_TOKEN
    (giver, giving), (receiver, taking) = (_pot(*place, token) for place in (source, target))
    free = giver.spot.get(token, 0) if giving == SPOT else core.margin(giver, by_name[giving]).withdrawable()
    if amount is None or amount <= 0 or amount > free:
        return texts.INSUFFICIENT
    for party, place, signed in ((giver, giving, -amount), (receiver, taking, amount)):
        if place == SPOT:
            party.add_spot(token, signed)
        else:
            party.add_raw(by_name[place], signed)
    state.accounts.setdefault(receiver.address, receiver)
    _enter(core, delta, giver, receiver)
    return None


def _pot(account: Account, place: str, token: str) -> tuple[Account, str]:
    """Return an account and where it keeps a token of a place: USDC of a unified one is in one."""
    return account, "" if place == SPOT and token == USDC and account.is_unified else place


def _move_class(core: VenueCore, account: Account, action: MoveUsd) -> str | None:
    if account.is_unified:
        return texts.UNIFIED
    places = (SPOT, "") if action.to_perp else ("", SPOT)
    delta = {"type": "accountClassTransfer", "usdc": _text(action.amount), "toPerp": action.to_perp}
    return _move(core, (account, places[0]), (account, places[1]), USDC, _units(action.amount), delta)


def _withdraw(core: VenueCore, account: Account, action: WithdrawUsd) -> str | None:
    """Take USDC out over the bridge; who brings it there is paid a dollar of it."""
    amount = _units(action.amount)
    if amount is None or amount <= WITHDRAWAL_FEE or amount > core.margin(account, OWN_DEX).withdrawable():
        return texts.INSUFFICIENT_WITHDRAWAL
    account.add_raw(OWN_DEX, -amount)
    core.state.bridge[USDC] = core.state.bridge.get(USDC, 0) + amount
    fee = usd(WITHDRAWAL_FEE)
    _enter(core, {"type": "withdraw", "usdc": usd(amount - WITHDRAWAL_FEE), "nonce": action.nonce, "fee": fee}, account)
    return None


def _sub_account(core: VenueCore, account: Account, action: SubAccountUsd | SubAccountSpot) -> str | None:
    sub_account = core.state.accounts.get(action.sub_account)
    if sub_account is None or sub_account.master != account.address or sub_account.shares is not None:
        return texts.NO_SUB_ACCOUNT
    source, target = (account, sub_account) if action.is_deposit else (sub_account, account)
    if isinstance(action, SubAccountSpot):
        delta = _spot_delta(source, target, action.token, action.amount)
        return _move(core, (source, SPOT), (target, SPOT), action.token, _units(action.amount), delta)
    delta = _between("subAccountTransfer", source, target, usdc=usd(action.micro_usd))
    return _move(core, (source, ""), (target, ""), USDC, action.micro_usd, delta)


def _pay_in(core: VenueCore, account: Account, action: VaultUsd) -> str | None:
    vault = core.state.accounts.get(action.vault)
    if vault is None or vault.shares is None:
        return texts.NO_VAULT
    equity, total = vault_equity(core, vault), sum(vault.shares.values())
    if total and equity <= 0:
        return texts.INSUFFICIENT
    delta = {"type": "vaultDeposit", "vault": vault.address, "usdc": usd(action.micro_usd)}
    refusal = _move(core, (account, ""), (vault, ""), USDC, action.micro_usd, delta)
    if refusal is None:
        new = action.micro_usd * total // equity if total else action.micro_usd * _SHARES_PER_MICRO_USD
        vault.shares[account.address] = vault.shares.get(account.address, 0) + new
        vault.locked_until_ms[account.address] = core.state.now_ms + VAULT_LOCK_MS
    return refusal


def _take_out(core: VenueCore, account: Account, action: VaultUsd) -> str | None:
    vault = core.state.accounts.get(action.vault)
    if vault is None or vault.shares is None:
        return texts.NO_VAULT
    if action.micro_usd > share_of(core, vault, account.address):
        return texts.INSUFFICIENT_WITHDRAWAL
    if core.state.now_ms < vault.locked_until_ms.get(account.address, 0):
        return texts.VAULT_LOCKED
    if action.micro_usd > core.margin(vault, OWN_DEX).withdrawable():
        return texts.VAULT_BUSY
    equity, total = vault_equity(core, vault), sum(vault.shares.values())
    amount = usd(action.micro_usd)
    delta = {"type": "vaultWithdraw", "vault": vault.address, "user": account.address, "requestedUsd": amount}
    delta |= {"commission": "0.0", "closingCost": "0.0", "basis": amount, "netWithdrawnUsd": amount}
    refusal = _move(core, (vault, ""), (account, ""), USDC, action.micro_usd, delta)
    if refusal is None:
        vault.shares[account.address] -= -(-action.micro_usd * total // equity)
    return refusal


def _receiver(core: VenueCore, address: str) -> Account:
    """Return the account of an address; one that is new exists from the moment that money comes."""
    return core.state.accounts.get(address) or Account(address)


def _enter(core: VenueCore, delta: dict[str, Any], *parties: Account) -> None:
    entry = LedgerEntry(core.state.now_ms, core.block_hash(), delta)
    for party in {party.address: party for party in parties}.values():
        party.ledger.append(entry)
        core.events.append(MoneyMoved(party.address, entry))


def _between(kind: str, source: Account, target: Account, **more: str) -> dict[str, Any]:
    return {"type": kind, "user": source.address, "destination": target.address, **more}


def _spot_delta(source: Account, target: Account, token: str, amount: Decimal) -> dict[str, Any]:
    fees = {"fee": "0.0", "nativeTokenFee": "0.0", "feeToken": "", "nonce": None}
    return _between("spotTransfer", source, target, token=token, amount=_text(amount), usdcValue=_text(amount)) | fees


def _units(amount: Decimal) -> int | None:
    return scaled(amount, USD_DECIMALS)


def _text(amount: Decimal) -> str:
    units = _units(amount)
    return str(amount) if units is None else usd(units)
