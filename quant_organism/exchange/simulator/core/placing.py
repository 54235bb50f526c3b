"""Orders come in: they are checked, matched, and rest or end (reference: sections 9, 10 and 12)."""

from decimal import Decimal
from typing import Any, Final

from quant_organism.exchange.protocol import texts
from quant_organism.exchange.protocol.decimals import (
    MAX_WIRE_DECIMALS,
    MICRO_USD,
    USD_DECIMALS,
    answer,
    is_legal_price,
    round_units,
    scaled,
)
from quant_organism.exchange.protocol.instruments import dex_of
from quant_organism.exchange.protocol.texts import for_asset
from quant_organism.exchange.protocol.wire import Grouping, OrderRequest
from quant_organism.exchange.simulator.core import lifecycle, matching
from quant_organism.exchange.simulator.core.account import Account
from quant_organism.exchange.simulator.core.order import Order, Trigger
from quant_organism.exchange.simulator.core.state import World

MIN_NOTIONAL: Final = 10 * MICRO_USD
MARKET_TOLERANCE: Final = (9, 11, 10)
"""Numerators for selling and buying, and denominator, of the price at which a fired market trigger may trade."""


class Refused(Exception):
    """An order that is not taken.

    Parameters
    ----------
    text
        Why, as the wire says it, without the asset.
    order
        Given where the venue keeps a record of the refused order.
    """

    def __init__(self, text: str, order: Order | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.order = order


def place_all(
    world: World, account: Account, requests: tuple[OrderRequest, ...], grouping: Grouping
) -> list[dict[str, Any] | str]:
    """Place the orders of one action; return a status for each."""
    if grouping == "normalTpsl":
        return _place_family(world, account, requests)
    statuses: list[dict[str, Any] | str] = [
        _status_of(world, account, request, positional=grouping == "positionTpsl") for request in requests
    ]
    return statuses


def check(world: World, account: Account, request: OrderRequest, replaced: Order | None = None) -> Order:
    """Return the order that a request amounts to; the state is unchanged.

    Raises
    ------
    Refused
        It breaks a rule of precision, size, trigger, reduce-only, distance, margin or post-only.
    """
    order = _read(world, account, request)
    world.prepare(request.asset)
    listing, state = world.state.listings[request.asset], world.state
    if state.now_ms < state.post_only_until_ms and request.tif != "Alo":
        raise Refused(texts.POST_ONLY_PERIOD)
    szi = world.holding(account, request.asset).szi
    reduces = szi != 0 and (szi > 0) != request.is_buy
    if order.sz * order.px < MIN_NOTIONAL and not (reduces and order.sz >= abs(szi)):
        raise Refused(texts.MIN_NOTIONAL)
    if order.trigger is not None:
        if not order.reduce_only:
            raise Refused(texts.INVALID_TPSL)
        if order.trigger.is_met(listing.mark):
            raise Refused(texts.INVALID_TPSL, order)
    if order.reduce_only and not reduces:
        raise Refused(texts.WOULD_INCREASE, order)
    if order.trigger is not None:
        return order
    if order.reduce_only:
        order.sz = min(order.sz, abs(szi))
    if not _near_oracle(world, order):
        raise Refused(texts.TOO_FAR, order)
    if listing.open_interest_capped and matching.opening_size(world, order, order.sz):
        raise Refused(texts.OPEN_INTEREST_CAP, order)
    if not order.reduce_only and not has_margin(world, account, order, replaced):
        raise Refused(texts.MARGIN, order)
    if order.tif == "Alo" and world.books[order.asset].crosses(order.px, is_buy=order.is_buy):
        book = world.books[order.asset]
        bbo = [listing.px(px) if px is not None else "none" for px in (book.bids.best_px(), book.asks.best_px())]
        raise Refused(texts.post_only_crossed(*bbo), order)
    return order


def enter(world: World, order: Order, tag: matching.LiquidationTag | None = None) -> dict[str, Any] | str:
    """Take a checked order in; return its status as the wire has it."""
    lifecycle.register(world, order)
    return _begin(world, order, tag)


def _begin(world: World, order: Order, tag: matching.LiquidationTag | None = None) -> dict[str, Any] | str:
    if order.trigger is not None and not order.trigger.fired:
        lifecycle.watch(world, order)
        lifecycle.announce(world, order, texts.OPEN)
        return "waitingForTrigger" if order.is_position_tpsl else {"resting": _named(order)}
    return execute(world, order, tag)


def execute(world: World, order: Order, tag: matching.LiquidationTag | None = None) -> dict[str, Any] | str:
    """Match a registered order, then let the rest of it stand or end by its time in force."""
    if order.tif != "Alo":
        matching.match(world, order, tag)
    if order.sz == 0 and order.filled_sz:
        lifecycle.finish(world, order, texts.FILLED)
    elif order.tif == "Ioc" or order.sz == 0:
        if not order.filled_sz:
            lifecycle.finish(world, order, texts.IOC_CANCEL_REJECTED)
            return {"error": for_asset(texts.NO_MATCH, order.asset)}
        lifecycle.finish(world, order, texts.CANCELED, asked=True)
    else:
        lifecycle.rest(world, order)
        lifecycle.announce(world, order, texts.OPEN)
        return {"resting": _named(order)}
    decimals = world.state.listings[order.asset].instrument.sz_decimals
    total, mean = answer(order.filled_sz, decimals), average_px(order, decimals)
    return {"filled": {"totalSz": total, "avgPx": mean, **_named(order)}}


def refuse(world: World, refused: Refused, asset: int) -> dict[str, Any]:
    """Return a refusal as an item's status; what got as far as being an order is recorded as rejected."""
    if refused.order is not None:
        lifecycle.register(world, refused.order)
        lifecycle.finish(world, refused.order, texts.rejected_status(refused.text))
    return {"error": for_asset(refused.text, asset)}


def tolerated_px(world: World, asset: int, *, is_buy: bool) -> int:
    """Return the worst price at which an order of the venue's own making may trade."""
    low, high, ten = MARKET_TOLERANCE
    listing = world.state.listings[asset]
    px = listing.mark * (high if is_buy else low) // ten
    return round_units(max(px, 1), listing.instrument.px_decimals, up=not is_buy)


def average_px(order: Order, sz_decimals: int) -> str:
    """Return the size-weighted mean price of what an order has traded, to 8 decimals."""
    mean = order.filled_ntl * 10 ** (MAX_WIRE_DECIMALS - USD_DECIMALS + sz_decimals)
    return answer((mean + order.filled_sz // 2) // order.filled_sz, MAX_WIRE_DECIMALS)


def _status_of(world: World, account: Account, request: OrderRequest, *, positional: bool) -> dict[str, Any] | str:
    try:
        order = check(world, account, request)
    except Refused as refused:
        return refuse(world, refused, request.asset)
    order.is_position_tpsl = positional and order.trigger is not None
    return enter(world, order)


def _place_family(world: World, account: Account, requests: tuple[OrderRequest, ...]) -> list[dict[str, Any] | str]:
    """Place a parent with the take-profit and stop-loss orders that live from its fill on."""
    first, rest = requests[0], requests[1:]
    try:
        parent = check(world, account, first)
        children = [check_child(world, account, parent, request) for request in rest]
    except Refused as refused:
        return [refuse(world, refused, first.asset), *({"error": for_asset(refused.text, r.asset)} for r in rest)]
    lifecycle.register(world, parent)
    for child in children:
        lifecycle.register(world, child)
        child.parent = parent.oid
        parent.children.append(child.oid)
        lifecycle.announce(world, child, texts.OPEN)
    status = _begin(world, parent)
    if isinstance(status, dict) and "error" in status:
        return [status, *({"error": for_asset(texts.NO_MATCH, child.asset)} for child in children)]
    return [status, *("waitingForFill" if child.is_waiting else "waitingForTrigger" for child in children)]


def check_child(world: World, account: Account, parent: Order, request: OrderRequest) -> Order:
    """Return the take-profit or stop order that a parent's request amounts to; it waits for the parent.

    Raises
    ------
    Refused
        It has no trigger, is not reduce-only, or does not close what the parent opens.
    """
    child = _read(world, account, request)
    if child.trigger is None or not child.reduce_only or child.asset != parent.asset or child.is_buy == parent.is_buy:
        raise Refused(texts.INVALID_TPSL)
    child.is_waiting = True
    return child


def _read(world: World, account: Account, request: OrderRequest) -> Order:
    if request.asset not in world.state.listings:
        raise Refused(texts.UNKNOWN_ASSET)
    listing = world.state.listings[request.asset]
    instrument = listing.instrument
    if instrument.is_delisted or listing.halted or listing.mark == 0:
        raise Refused(texts.HALTED)
    sz = scaled(request.sz, instrument.sz_decimals)
    if sz == 0:
        raise Refused(texts.ZERO_SIZE)
    if sz is None or sz < 0:
        raise Refused(texts.INVALID_SIZE)
    order = Order(
        oid=0,
        account=account.address,
        asset=request.asset,
        is_buy=request.is_buy,
        px=_legal(request.px, instrument.px_decimals, texts.PRICE_OFF_TICK),
        sz=sz,
        orig_sz=sz,
        timestamp_ms=world.state.now_ms,
        reduce_only=request.reduce_only,
        tif=request.tif,
        cloid=request.cloid,
        status_ms=world.state.now_ms,
    )
    if request.trigger is not None:
        px = _legal(request.trigger.px, instrument.px_decimals, texts.INVALID_TPSL)
        above = request.is_buy == (request.trigger.tpsl == "sl")
        order.trigger = Trigger(px, above, request.trigger.is_market, request.trigger.tpsl)
        beyond = order.px < px if order.is_buy else order.px > px
        if request.trigger.tpsl == "sl" and not request.trigger.is_market and beyond:
            raise Refused(texts.INVALID_TPSL)
    return order


def _legal(px: Decimal, decimals: int, text: str) -> int:
    units = scaled(px, decimals)
    if px <= 0:
        raise Refused(texts.INVALID_PRICE)
    if units is None or not is_legal_price(units, decimals):
        raise Refused(text)
    return units


def _near_oracle(world: World, order: Order) -> bool:
    band, oracle = world.state.oracle_band, world.state.listings[order.asset].oracle
    return band is None or oracle == 0 or band[0] * oracle <= order.px <= band[1] * oracle


def has_margin(world: World, account: Account, order: Order, replaced: Order | None = None) -> bool:
    """Say whether an account can pay the margin of what an order opens."""
    opening = matching.opening_size(world, order, order.sz)
    needed = opening * order.px // world.holding(account, order.asset).leverage
    return opening == 0 or world.margin(account, dex_of(order.asset)).available(replaced) >= needed


def _named(order: Order) -> dict[str, Any]:
    return {"oid": order.oid} | ({} if order.cloid is None else {"cloid": order.cloid})
