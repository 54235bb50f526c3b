"""Orders and fills as the wire shows them (reference: section 6.2)."""

from collections.abc import Mapping
from typing import Any

from quant_organism.exchange.protocol.decimals import usd
from quant_organism.exchange.simulator.core.account import Fill
from quant_organism.exchange.simulator.core.order import Order
from quant_organism.exchange.simulator.core.state import Listing


def basic_order(order: Order, listing: Listing) -> dict[str, Any]:
    """Return an order as `openOrders` and `orderUpdates` list it: what triggers it is hidden."""
    form: dict[str, Any] = {
        "coin": listing.instrument.name,
        "side": "B" if order.is_buy else "A",
        "limitPx": listing.px(order.px),
        "sz": listing.sz(order.sz),
        "oid": order.oid,
        "timestamp": order.timestamp_ms,
        "origSz": listing.sz(order.orig_sz),
    }
    if order.cloid is not None:
        form["cloid"] = order.cloid
    if order.reduce_only:
        form["reduceOnly"] = True
    return form


def frontend_order(order: Order, listing: Listing, orders: Mapping[int, Order]) -> dict[str, Any]:
    """Return an order as `frontendOpenOrders`, `orderStatus` and `historicalOrders` show it."""
    trigger, condition, kind = order.trigger, "N/A", "Limit"
    if trigger is not None:
        price = listing.px(trigger.px).removesuffix(".0")
        condition = f"Price {'above' if trigger.above else 'below'} {price}"
        kind = f"{'Take Profit' if trigger.tpsl == 'tp' else 'Stop'} {'Market' if trigger.is_market else 'Limit'}"
    children = [orders[oid] for oid in order.children if oid in orders and orders[oid].is_waiting]
    return {
        "coin": listing.instrument.name,
        "side": "B" if order.is_buy else "A",
        "limitPx": listing.px(order.px),
        "sz": listing.sz(order.sz),
        "oid": order.oid,
        "timestamp": order.timestamp_ms,
        "triggerCondition": condition,
        "isTrigger": trigger is not None,
        "triggerPx": "0.0" if trigger is None else listing.px(trigger.px),
        "children": [frontend_order(child, listing, orders) for child in children],
        "isPositionTpsl": order.is_position_tpsl,
        "reduceOnly": order.reduce_only,
        "orderType": kind,
        "origSz": listing.sz(order.orig_sz),
        "tif": order.tif,
        "cloid": order.cloid,
    }


def fill(fill: Fill, listing: Listing) -> dict[str, Any]:
    """Return a fill as `userFills` lists it."""
    form: dict[str, Any] = {
        "coin": listing.instrument.name,
        "px": listing.px(fill.px),
        "sz": listing.sz(fill.sz),
        "side": "B" if fill.is_buy else "A",
        "time": fill.time_ms,
        "startPosition": listing.sz(fill.start_szi),
        "dir": fill.direction,
        "closedPnl": usd(fill.closed_pnl),
        "hash": fill.hash,
        "oid": fill.oid,
        "crossed": fill.crossed,
        "fee": usd(fill.fee),
        "tid": fill.tid,
        "feeToken": fill.fee_token,
        "twapId": fill.twap,
    }
    if fill.cloid is not None:
        form["cloid"] = fill.cloid
    if fill.liquidation is not None:
        form["liquidation"] = fill.liquidation
    return form
