"""Orders are replaced, cancelled, and fired by the mark price (reference: sections 7 and 10)."""

from typing import Any, Final

from quant_organism.market import MS_PER_DAY
from quant_organism.simulator.core import lifecycle, placing, settlement
from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.simulator.core.state import VenueCore
from quant_organism.venue.protocol import OidOrCloid, OrderRequest, for_asset, texts

SCHEDULE_AHEAD_MS: Final = 5_000
SCHEDULE_VOLUME: Final = 1_000_000_000_000
"""Micro-USD to have traded before a cancel can be scheduled."""

SCHEDULED_PER_DAY: Final = 10


def find_open(core: VenueCore, account: Account, key: OidOrCloid) -> SimulatedOrder | None:
    """Return an account's open order by number or client id."""
    oid = account.cloids.get(key) if isinstance(key, str) else key
    return core.state.orders[oid] if oid in account.open_oids else None


def modify(core: VenueCore, account: Account, key: OidOrCloid, request: OrderRequest) -> dict[str, Any] | str | None:
    """Replace an order by a new one with another number; return its status, or None where there is none to replace.

    A replacement that is refused leaves the order as it was.
    """
    old = find_open(core, account, key)
    if old is None or old.asset != request.asset:
        return None
    parent = core.state.orders[old.parent] if old.is_waiting and old.parent is not None else None
    try:
        if parent is None:
            new = placing.check(core, account, request, replaced=old)
        else:
            new = placing.check_child(core, account, parent, request)
    except placing.OrderRefused as refused:
        return {"error": for_asset(refused.text, request.asset)}
    new.cloid, new.is_position_tpsl, new.parent = new.cloid or old.cloid, old.is_position_tpsl, old.parent
    new.children, old.children = old.children, []
    lifecycle.finish(core, old, texts.CANCELED, asked=True)
    if parent is None:
        status = placing.enter(core, new)
    else:
        lifecycle.register(core, new)
        lifecycle.announce(core, new, texts.OPEN)
        parent.children[parent.children.index(old.oid)] = new.oid
        status = "waitingForFill"
    for oid in new.children:
        core.state.orders[oid].parent = new.oid
    return status


def cancel(core: VenueCore, account: Account, asset: int, key: OidOrCloid) -> dict[str, str] | str:
    """Cancel an order; return its item's status."""
    order = find_open(core, account, key)
    if order is None or order.asset != asset:
        return {"error": for_asset(texts.NOT_OPEN, asset)}
    lifecycle.finish(core, order, texts.CANCELED, asked=True)
    return "success"


def cancel_all(core: VenueCore, account: Account, status: str) -> None:
    """End every open order of an account that no other end takes along."""
    for oid in list(account.open_oids):
        order = core.state.orders[oid]
        if oid in account.open_oids:
            lifecycle.finish(core, order, status)


def schedule_cancel(core: VenueCore, account: Account, time_ms: int | None) -> str | None:
    """Set or clear the time at which all orders are cancelled; return why not, or None where it is done."""
    now = core.clock_ms
    if account.volume < SCHEDULE_VOLUME:
        return texts.volume_gate(settlement.traded_text(account))
    if time_ms is not None and time_ms < now + SCHEDULE_AHEAD_MS:
        return texts.CANCEL_TOO_SOON
    if time_ms is not None and account.cancels_fired.get(now // MS_PER_DAY, 0) >= SCHEDULED_PER_DAY:
        return texts.CANCELS_USED_UP
    account.cancel_at_ms = time_ms
    return None


def fire_scheduled(core: VenueCore) -> None:
    """Cancel the orders of every account whose time has come."""
    now = core.clock_ms
    for account in core.state.accounts.values():
        if account.cancel_at_ms is not None and account.cancel_at_ms <= now:
            account.cancel_at_ms = None
            account.cancels_fired[now // MS_PER_DAY] = account.cancels_fired.get(now // MS_PER_DAY, 0) + 1
            cancel_all(core, account, texts.SCHEDULED_CANCEL)


def fire_met(core: VenueCore, asset: int) -> None:
    """Fire the orders of an asset whose condition its mark meets, oldest first."""
    listing = core.state.listings[asset]
    for oid in list(listing.triggers):
        order = core.state.orders[oid]
        if oid in listing.triggers and order.trigger is not None and order.trigger.is_met(listing.mark):
            _fire(core, order)


def _fire(core: VenueCore, order: SimulatedOrder) -> None:
    account, trigger = core.state.accounts[order.account], order.trigger
    assert trigger is not None
    del core.state.listings[order.asset].triggers[order.oid]
    trigger.fired = True
    szi = core.holding(account, order.asset).szi
    lifecycle.announce(core, order, texts.TRIGGERED)
    if szi == 0 or (szi > 0) == order.is_buy:
        lifecycle.finish(core, order, texts.REDUCE_ONLY_CANCELED)
        return
    order.sz = abs(szi) if order.is_position_tpsl else min(order.sz, abs(szi))
    order.tif = "Ioc" if trigger.is_market else "Gtc"
    if trigger.is_market:
        order.px = placing.tolerated_px(core, order.asset, is_buy=order.is_buy)
    core.state.blocks += 1
    placing.execute(core, order)
