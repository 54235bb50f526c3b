"""Collateral goes from one margin account to another: dexs and addresses (reference: section 6.2)."""

from typing import Any, Final

from quant_organism.exchange.protocol import texts
from quant_organism.exchange.protocol.decimals import USD_DECIMALS, scaled, usd
from quant_organism.exchange.protocol.wire import SendAsset
from quant_organism.exchange.simulator.core.account import Account, LedgerEntry
from quant_organism.exchange.simulator.core.events import MoneyMoved
from quant_organism.exchange.simulator.core.state import World

SPOT: Final = "spot"


def send(world: World, account: Account, action: SendAsset) -> str | None:
    """Send collateral from a dex of an account; return why not, or None where it is done.

    Both dexs must have the token for collateral. What is sent must be withdrawable; who gets it exists from then on.
    """
    state = world.state
    by_name = {dex.name: index for index, dex in enumerate(state.dexs)}
    if SPOT in (action.source_dex, action.destination_dex):
        return texts.NO_SPOT
    if action.source_dex not in by_name or action.destination_dex not in by_name:
        return texts.UNKNOWN_DEX
    source, target = by_name[action.source_dex], by_name[action.destination_dex]
    if {state.dexs[source].collateral, state.dexs[target].collateral} != {action.token}:
        return texts.WRONG_TOKEN
    amount = scaled(action.amount, USD_DECIMALS)
    if amount is None or amount <= 0 or amount > world.margin(account, source).withdrawable():
        return texts.INSUFFICIENT
    receiver = state.accounts.setdefault(action.destination, Account(action.destination))
    account.add_raw(source, -amount)
    receiver.add_raw(target, amount)
    entry = LedgerEntry(state.now_ms, world.block_hash(), _delta(account, action, amount))
    for party in {account.address: account, receiver.address: receiver}.values():
        party.ledger.append(entry)
        world.events.append(MoneyMoved(party.address, entry))
    return None


def _delta(account: Account, action: SendAsset, amount: int) -> dict[str, Any]:
    return {
        "type": "send",
        "user": account.address,
        "destination": action.destination,
        "sourceDex": action.source_dex,
        "destinationDex": action.destination_dex,
        "token": action.token,
        "amount": usd(amount),
        "usdcValue": usd(amount),
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": action.nonce,
        "feeToken": "",
    }
