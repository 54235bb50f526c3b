"""Orders as we ask for them, on tick and lot, and the actions that they become on the wire. Pure.

Prices and sizes are Decimal from the first digit to the wire (reference: section 9).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from quant_organism.errors import InputError
from quant_organism.venue.client.listings import Listed, is_perpetual
from quant_organism.venue.protocol.decimals import is_legal_price, round_units, scaled
from quant_organism.venue.protocol.texts import Tif, Tpsl
from quant_organism.venue.protocol.wire import Grouping


def quantised_price(px: Decimal, listed: Listed, *, up: bool) -> Decimal:
    """Return the nearest legal price at or beyond `px`.

    Parameters
    ----------
    px
        USD.
    listed
        The perpetual.
    up
        Round up or down. Passive: bids down, asks up; a bound that must not be crossed: the same.

    Raises
    ------
    InputError
        Not a positive number.
    """
    if not px.is_finite() or px <= 0:
        raise InputError(f"a price of {px}", where=listed.coin, remedy="give a positive price in USD")
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    units = int(px.scaleb(listed.px_decimals).to_integral_value(rounding))
    return Decimal(round_units(max(units, 1), listed.px_decimals, up=up)).scaleb(-listed.px_decimals)


def quantised_size(sz: Decimal, listed: Listed) -> Decimal:
    """Return the largest legal size that is not larger; it may be zero.

    Raises
    ------
    InputError
        Negative, or not a number.
    """
    if not sz.is_finite() or sz < 0:
        raise InputError(f"a size of {sz}", where=listed.coin, remedy="give a size in coins that is not negative")
    return sz.quantize(Decimal(1).scaleb(-listed.sz_decimals), ROUND_FLOOR)


def check_order(px: Decimal, sz: Decimal, listed: Listed) -> None:
    """Refuse what the venue would refuse for its form alone.

    Raises
    ------
    InputError
        Off the tick, off the lot, or zero.
    """
    price = scaled(px, listed.px_decimals)
    if price is None or not is_legal_price(price, listed.px_decimals):
        raise InputError(f"a price of {px} is off the tick", where=listed.coin, remedy="use quantised_price")
    if sz <= 0 or scaled(sz, listed.sz_decimals) is None:
        raise InputError(f"a size of {sz} is not a multiple of the lot", where=listed.coin, remedy="use quantised_size")


def wire_number(value: Decimal) -> str:
    """Return a number as requests write it: plain, without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a take-profit (`tp`) or stop (`sl`) becomes active: at this MARK price, in USD.

    Parameters
    ----------
    px, tpsl, is_market
        As the wire has them.
    opens
        Whether it may open a position, such as a stop entry; its order does not only reduce then.
    """

    px: Decimal
    tpsl: Tpsl
    is_market: bool = True
    opens: bool = False


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
        Off tick or lot, not a perpetual, or a take-profit or stop that would open a position and does not say so.
    """
    if not is_perpetual(listed.asset):
        raise InputError("only perpetuals are traded", where=order.coin, remedy="name a perpetual")
    check_order(order.px, order.sz, listed)
    kind: dict[str, Any] = {"limit": {"tif": order.tif}}
    if order.trigger is not None:
        check_order(order.trigger.px, order.sz, listed)
        if order.reduce_only == order.trigger.opens:
            raise InputError(
                "a take-profit or stop either reduces only, or opens",
                where=order.coin,
                remedy="set reduce_only, or Trigger.opens for a stop entry",
            )
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


def cancel_twap_action(asset: int, number: int) -> dict[str, Any]:
    """Return the action that ends a TWAP order."""
    return {"type": "twapCancel", "a": asset, "t": number}


def schedule_cancel_action(time_ms: int | None) -> dict[str, Any]:
    """Return the action that cancels all open orders at a time, or takes that back."""
    return {"type": "scheduleCancel"} if time_ms is None else {"type": "scheduleCancel", "time": time_ms}


def leverage_action(asset: int, leverage: int, *, is_cross: bool) -> dict[str, Any]:
    """Return the action that sets leverage and margin mode of an asset."""
    return {"type": "updateLeverage", "asset": asset, "isCross": is_cross, "leverage": leverage}


def isolated_margin_action(asset: int, usd: Decimal) -> dict[str, Any]:
    """Return the action that moves margin into an isolated position, or out of it where negative."""
    return {"type": "updateIsolatedMargin", "asset": asset, "isBuy": True, "ntli": int(usd.scaleb(6))}


def reserve_action(weight: int) -> dict[str, Any]:
    """Return the action that buys requests."""
    return {"type": "reserveRequestWeight", "weight": weight}
