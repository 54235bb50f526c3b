"""Orders are replaced and cancelled (reference: sections 7 and 10)."""

from typing import Any, Final

from quant_organism.exchange.protocol import texts
from quant_organism.exchange.protocol.texts import for_asset
from quant_organism.exchange.protocol.wire import OidOrCloid, OrderRequest
from quant_organism.exchange.simulator.core import lifecycle, placing, settlement
from quant_organism.exchange.simulator.core.account import Account
from quant_organism.exchange.simulator.core.order import Order
from quant_organism.exchange.simulator.core.state import World
from quant_organism.market.schema import MS_PER_DAY

SCHEDULE_AHEAD_MS: Final = 5_000
SCHEDULE_VOLUME: Final = 1_000_000_000_000
"""Micro-USD to have traded before a cancel can be scheduled."""

SCHEDULED_PER_DAY: Final = 10


def find_open(world: World, account: Account, key: OidOrCloid) -> Order | None:
    """Return an account's open order by number or client id."""
    oid = account.cloids.get(key) if isinstance(key, str) else key
    return world.state.orders[oid] if oid in account.open_oids else None


def modify(world: World, account: Account, key: OidOrCloid, request: OrderRequest) -> dict[str, Any] | str | None:
    """Replace an order by a new one with another number; return its status, or None where there is none to replace.

    A replacement that is refused leaves the order as it was.
    """
    old = find_open(world, account, key)
    if old is None or old.asset != request.asset:
        return None
    parent = world.state.orders[old.parent] if old.is_waiting and old.parent is not None else None
    try:
        if parent is None:
            new = placing.check(world, account, request, replaced=old)
        else:
            new = placing.check_child(world, account, parent, request)
    except placing.Refused as refused:
        return {"error": for_asset(refused.text, request.asset)}
    new.cloid, new.is_position_tpsl, new.parent = new.cloid or old.cloid, old.is_position_tpsl, old.parent
    new.children, old.children = old.children, []
    lifecycle.finish(world, old, texts.CANCELED, asked=True)
    if parent is None:
        status = placing.enter(world, new)
    else:
        lifecycle.register(world, new)
        lifecycle.announce(world, new, texts.OPEN)
        parent.children[parent.children.index(old.oid)] = new.oid
        status = "waitingForFill"
    for oid in new.children:
        world.state.orders[oid].parent = new.oid
    return status


def cancel(world: World, account: Account, asset: int, key: OidOrCloid) -> dict[str, str] | str:
    """Cancel an order; return its item's status."""
    order = find_open(world, account, key)
    if order is None or order.asset != asset:
        return {"error": for_asset(texts.NOT_OPEN, asset)}
    lifecycle.finish(world, order, texts.CANCELED, asked=True)
    return "success"


def cancel_all(world: World, account: Account, status: str) -> None:
    """End every open order of an account that no other end takes along."""
    for oid in list(account.open_oids):
        order = world.state.orders[oid]
        if oid in account.open_oids:
            lifecycle.finish(world, order, status)


def schedule_cancel(world: World, account: Account, time_ms: int | None) -> str | None:
    """Set or clear the time at which all orders are cancelled; return why not, or None where it is done."""
    now = world.state.now_ms
    if account.volume < SCHEDULE_VOLUME:
        return texts.volume_gate(settlement.traded_text(account))
    if time_ms is not None and time_ms < now + SCHEDULE_AHEAD_MS:
        return texts.CANCEL_TOO_SOON
    if time_ms is not None and account.cancels_fired.get(now // MS_PER_DAY, 0) >= SCHEDULED_PER_DAY:
        return texts.CANCELS_USED_UP
    account.cancel_at_ms = time_ms
    return None


def fire_scheduled(world: World) -> None:
    """Cancel the orders of every account whose time has come."""
    now = world.state.now_ms
    for account in world.state.accounts.values():
        if account.cancel_at_ms is not None and account.cancel_at_ms <= now:
            account.cancel_at_ms = None
            account.cancels_fired[now // MS_PER_DAY] = account.cancels_fired.get(now // MS_PER_DAY, 0) + 1
            cancel_all(world, account, texts.SCHEDULED_CANCEL)
