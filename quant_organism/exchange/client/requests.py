"""Orders as we ask for them, and the actions that they become on the wire. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from quant_organism.errors import InputError
from quant_organism.exchange.client.listings import Listed, is_perpetual
from quant_organism.exchange.client.precision import check_order, wire_number
from quant_organism.exchange.protocol.texts import Tif, Tpsl
from quant_organism.exchange.protocol.wire import Grouping


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a take-profit (`tp`) or stop (`sl`) becomes active: at this MARK price, in USD."""

    px: Decimal
    tpsl: Tpsl
    is_market: bool = True


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to be placed; price and size are on tick and lot already.

    Parameters
    ----------
    cloid
        Our id, `0x` and 32 hexadecimal digits.
    coin, is_buy
        What and which way.
    px, sz
        Limit price in USD, size in coins.
    tif
        Gtc rests, Ioc fills what it can at once, Alo never takes. Not looked at with a trigger.
    reduce_only
        It never opens or turns a position.
    trigger
        For take-profits and stops.
    """

    cloid: str
    coin: str
    is_buy: bool
    px: Decimal
    sz: Decimal
    tif: Tif = "Gtc"
    reduce_only: bool = False
    trigger: Trigger | None = None


def order_wire(order: NewOrder, listed: Listed) -> dict[str, Any]:
    """Return an order of an action; the order of its keys is part of what is signed.

    Raises
    ------
    InputError
        Off tick or lot, not a perpetual, or a take-profit or stop that does not reduce only.
    """
    if not is_perpetual(listed.asset):
        raise InputError("only perpetuals are traded", where=order.coin, remedy="name a perpetual")
    check_order(order.px, order.sz, listed)
    kind: dict[str, Any] = {"limit": {"tif": order.tif}}
    if order.trigger is not None:
        check_order(order.trigger.px, order.sz, listed)
        if not order.reduce_only:
            raise InputError("a take-profit or stop must reduce only", where=order.coin, remedy="set reduce_only")
        trigger = order.trigger
        kind = {"trigger": {"isMarket": trigger.is_market, "triggerPx": wire_number(trigger.px), "tpsl": trigger.tpsl}}
    return {
        "a": listed.asset,
        "b": order.is_buy,
        "p": wire_number(order.px),
        "s": wire_number(order.sz),
        "r": order.reduce_only,
        "t": kind,
        "c": order.cloid,
    }


def place_action(orders: Sequence[tuple[NewOrder, Listed]], grouping: Grouping) -> dict[str, Any]:
    """Return the action that places orders."""
    return {"type": "order", "orders": [order_wire(*pair) for pair in orders], "grouping": grouping}


def amend_action(orders: Sequence[tuple[NewOrder, Listed]]) -> dict[str, Any]:
    """Return the action that replaces each open order by one with the same cloid and another oid."""
    return {
        "type": "batchModify",
        "modifies": [{"oid": order.cloid, "order": order_wire(order, listed)} for order, listed in orders],
    }


def cancel_action(targets: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return the action that cancels by asset and cloid."""
    return {"type": "cancelByCloid", "cancels": [{"asset": asset, "cloid": cloid} for asset, cloid in targets]}


def cancel_oids_action(targets: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return the action that cancels by asset and oid."""
    return {"type": "cancel", "cancels": [{"a": asset, "o": oid} for asset, oid in targets]}


def schedule_cancel_action(time_ms: int | None) -> dict[str, Any]:
    """Return the action that cancels all open orders at a time, or takes that back."""
    return {"type": "scheduleCancel"} if time_ms is None else {"type": "scheduleCancel", "time": time_ms}


def leverage_action(asset: int, leverage: int, *, is_cross: bool) -> dict[str, Any]:
    """Return the action that sets leverage and margin mode of an asset."""
    return {"type": "updateLeverage", "asset": asset, "isCross": is_cross, "leverage": leverage}
