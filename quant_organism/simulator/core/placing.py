"""Orders come in: they are checked, matched, and rest or end (reference: sections 9, 10 and 12)."""

from decimal import Decimal
from typing import Any, Final

from quant_organism.simulator.core import lifecycle, matching
from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.book import SimulatedOrder, TriggerCondition
from quant_organism.simulator.core.state import VenueCore
from quant_organism.venue.protocol import (
    MAX_WIRE_DECIMALS,
    MICRO_USD,
    USD_DECIMALS,
    Grouping,
    OrderRequest,
    answer_number,
    dex_of,
    for_asset,
    is_legal_price,
    round_units,
    scaled,
    texts,
)

MIN_NOTIONAL: Final = 10 * MICRO_USD
OPEN_ORDERS, MAX_OPEN_ORDERS, VOLUME_PER_ORDER_USD = 1_000, 5_000, 5_000_000
"""Open orders that every account may have; the most that any may have; USD to trade for one more."""

MARKET_ORDER_USD: Final = ((25, 15_000_000), (20, 5_000_000), (10, 2_000_000), (0, 500_000))
"""Least maximum leverage of an asset, and what an order that takes at once may be worth there."""

LIMIT_ORDER_FACTOR: Final = 10
"""So many times more may an order be worth that rests."""

MARKET_TOLERANCE: Final = (9, 11, 10)
"""Numerators for selling and buying, and denominator, of the price at which a fired market trigger may trade."""


class OrderRefused(Exception):
    """An order that is not taken.

    Parameters
    ----------
    text
        Why, as the wire says it, without the asset.
    order
        Given where the venue keeps a record of the refused order.
    """

    def __init__(self, text: str, order: SimulatedOrder | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.order = order


def place_all(
    core: VenueCore, account: Account, requests: tuple[OrderRequest, ...], grouping: Grouping
) -> list[dict[str, Any] | str]:
    """Place the orders of one action; return a status for each."""
    if grouping == "normalTpsl":
        return _place_family(core, account, requests)
    statuses: list[dict[str, Any] | str] = [
        _status_of(core, account, request, positional=grouping == "positionTpsl") for request in requests
    ]
    return statuses


def check(
    core: VenueCore, account: Account, request: OrderRequest, replaced: SimulatedOrder | None = None
) -> SimulatedOrder:
    """Return the order that a request amounts to; the state is unchanged, `replaced` goes where it is given.

    Raises
    ------
    Refused
        It breaks a rule of precision, size, trigger, reduce-only, distance, margin or post-only, or is one too many.
    """
    order = _read(core, account, request)
    _check_limits(core, account, order, len(account.open_oids) - (replaced is not None))
    core.prepare(request.asset)
    listing, state = core.state.listings[request.asset], core.state
    if state.now_ms < state.post_only_until_ms and request.tif != "Alo":
        raise OrderRefused(texts.POST_ONLY_PERIOD)
    szi = core.holding(account, request.asset).szi
    reduces = szi != 0 and (szi > 0) != request.is_buy
    if order.sz * order.px < MIN_NOTIONAL and not (reduces and order.sz >= abs(szi)):
        raise OrderRefused(texts.MIN_NOTIONAL)
    if order.trigger is not None:
        if not order.reduce_only:
            raise OrderRefused(texts.INVALID_TPSL)
        if order.trigger.is_met(listing.mark):
            raise OrderRefused(texts.INVALID_TPSL, order)
    if order.reduce_only and not reduces:
        raise OrderRefused(texts.WOULD_INCREASE, order)
    if order.trigger is not None:
        return order
    if order.reduce_only:
        order.sz = min(order.sz, abs(szi))
    if not _near_oracle(core, order):
        raise OrderRefused(texts.TOO_FAR, order)
    if listing.open_interest_capped and matching.opening_size(core, order, order.sz):
        raise OrderRefused(texts.OPEN_INTEREST_CAP, order)
    if not order.reduce_only and not has_margin(core, account, order, replaced):
        raise OrderRefused(texts.MARGIN, order)
    if order.tif == "Alo" and core.books[order.asset].crosses(order.px, is_buy=order.is_buy):
        book = core.books[order.asset]
        bbo = [listing.px(px) if px is not None else "none" for px in (book.bids.best_px(), book.asks.best_px())]
        raise OrderRefused(texts.post_only_crossed(*bbo), order)
    return order


def _check_limits(core: VenueCore, account: Account, order: SimulatedOrder, open_orders: int) -> None:
    """Hold an order against the most that it may be worth, and the most that may be open (reference: section 9)."""
    worth = order.sz * order.px
    if worth > MARKET_ORDER_USD[-1][1] * MICRO_USD:  # less than that is too much nowhere
        leverage = core.state.listings[order.asset].instrument.max_leverage
        most = next(usd for least, usd in MARKET_ORDER_USD if leverage >= least) * MICRO_USD
        is_market = order.tif == "Ioc" or (order.trigger is not None and order.trigger.is_market)
        if worth > (most if is_market else LIMIT_ORDER_FACTOR * most):
            raise OrderRefused(texts.ORDER_VALUE)
    if open_orders < OPEN_ORDERS:
        return
    if order.reduce_only or order.trigger is not None:
        raise OrderRefused(texts.OPEN_ORDERS_REDUCE)
    cap = open_order_cap(account)
    if open_orders >= cap and order.tif != "Ioc":
        raise OrderRefused(texts.too_many_orders(cap))


def open_order_cap(account: Account) -> int:
    """Return how many orders an account may have open: the more, the more it has traded."""
    return min(MAX_OPEN_ORDERS, OPEN_ORDERS + account.volume // (VOLUME_PER_ORDER_USD * MICRO_USD))


def enter(core: VenueCore, order: SimulatedOrder, tag: matching.LiquidationTag | None = None) -> dict[str, Any] | str:
    """Take a checked order in; return its status as the wire has it."""
    lifecycle.register(core, order)
    return _begin(core, order, tag)


def _begin(core: VenueCore, order: SimulatedOrder, tag: matching.LiquidationTag | None = None) -> dict[str, Any] | str:
    if order.trigger is not None and not order.trigger.fired:
        lifecycle.watch(core, order)
        lifecycle.announce(core, order, texts.OPEN)
        return "waitingForTrigger" if order.is_position_tpsl else {"resting": _named(order)}
    return execute(core, order, tag)


def execute(core: VenueCore, order: SimulatedOrder, tag: matching.LiquidationTag | None = None) -> dict[str, Any] | str:
    """Match a registered order, then let the rest of it stand or end by its time in force."""
    if order.tif != "Alo":
        matching.match(core, order, tag)
    if order.sz == 0 and order.filled_sz:
        lifecycle.finish(core, order, texts.FILLED)
    elif order.tif == "Ioc" or order.sz == 0:
        if not order.filled_sz:
            lifecycle.finish(core, order, texts.IOC_CANCEL_REJECTED)
            return {"error": for_asset(texts.NO_MATCH, order.asset)}
        lifecycle.finish(core, order, texts.CANCELED, asked=True)
    else:
        lifecycle.rest(core, order)
        lifecycle.announce(core, order, texts.OPEN)
        return {"resting": _named(order)}
    decimals = core.state.listings[order.asset].instrument.sz_decimals
    total, mean = answer_number(order.filled_sz, decimals), average_px(order, decimals)
    return {"filled": {"totalSz": total, "avgPx": mean, **_named(order)}}


def refuse(core: VenueCore, refused: OrderRefused, asset: int) -> dict[str, Any]:
    """Return a refusal as an item's status; what got as far as being an order is recorded as rejected."""
    if refused.order is not None:
        lifecycle.register(core, refused.order)
        lifecycle.finish(core, refused.order, texts.rejected_status(refused.text))
    return {"error": for_asset(refused.text, asset)}


def tolerated_px(core: VenueCore, asset: int, *, is_buy: bool) -> int:
    """Return the worst price at which an order of the venue's own making may trade."""
    low, high, ten = MARKET_TOLERANCE
    listing = core.state.listings[asset]
    px = listing.mark * (high if is_buy else low) // ten
    return round_units(max(px, 1), listing.instrument.px_decimals, up=not is_buy)


def average_px(order: SimulatedOrder, sz_decimals: int) -> str:
    """Return the size-weighted mean price of what an order has traded, to 8 decimals."""
    mean = order.filled_ntl * 10 ** (MAX_WIRE_DECIMALS - USD_DECIMALS + sz_decimals)
    return answer_number((mean + order.filled_sz // 2) // order.filled_sz, MAX_WIRE_DECIMALS)


def _status_of(core: VenueCore, account: Account, request: OrderRequest, *, positional: bool) -> dict[str, Any] | str:
    try:
        order = check(core, account, request)
    except OrderRefused as refused:
        return refuse(core, refused, request.asset)
    order.is_position_tpsl = positional and order.trigger is not None
    return enter(core, order)


def _place_family(core: VenueCore, account: Account, requests: tuple[OrderRequest, ...]) -> list[dict[str, Any] | str]:
    """Place a parent with the take-profit and stop-loss orders that live from its fill on."""
    first, rest = requests[0], requests[1:]
    try:
        parent = check(core, account, first)
        children = [check_child(core, account, parent, request) for request in rest]
    except OrderRefused as refused:
        return [refuse(core, refused, first.asset), *({"error": for_asset(refused.text, r.asset)} for r in rest)]
    lifecycle.register(core, parent)
    for child in children:
        lifecycle.register(core, child)
        child.parent = parent.oid
        parent.children.append(child.oid)
        lifecycle.announce(core, child, texts.OPEN)
    status = _begin(core, parent)
    if isinstance(status, dict) and "error" in status:
        return [status, *({"error": for_asset(texts.NO_MATCH, child.asset)} for child in children)]
    return [status, *("waitingForFill" if child.is_waiting else "waitingForTrigger" for child in children)]


def check_child(core: VenueCore, account: Account, parent: SimulatedOrder, request: OrderRequest) -> SimulatedOrder:
    """Return the take-profit or stop order that a parent's request amounts to; it waits for the parent.

    Raises
    ------
    Refused
        It has no trigger, is not reduce-only, or does not close what the parent opens.
    """
    child = _read(core, account, request)
    if child.trigger is None or not child.reduce_only or child.asset != parent.asset or child.is_buy == parent.is_buy:
        raise OrderRefused(texts.INVALID_TPSL)
    child.is_waiting = True
    return child


def _read(core: VenueCore, account: Account, request: OrderRequest) -> SimulatedOrder:
    if request.asset not in core.state.listings:
        raise OrderRefused(texts.UNKNOWN_ASSET)
    listing = core.state.listings[request.asset]
    instrument = listing.instrument
    if instrument.is_delisted or listing.halted or listing.mark == 0:
        raise OrderRefused(texts.HALTED)
    sz = scaled(request.sz, instrument.sz_decimals)
    if sz == 0:
        raise OrderRefused(texts.ZERO_SIZE)
    if sz is None or sz < 0:
        raise OrderRefused(texts.INVALID_SIZE)
    order = SimulatedOrder(
        oid=0,
        account=account.address,
        asset=request.asset,
        is_buy=request.is_buy,
        px=_legal(request.px, instrument.px_decimals, texts.PRICE_OFF_TICK),
        sz=sz,
        orig_sz=sz,
        timestamp_ms=core.state.now_ms,
        reduce_only=request.reduce_only,
        tif=request.tif,
        cloid=request.cloid,
        status_ms=core.state.now_ms,
    )
    if request.trigger is not None:
        px = _legal(request.trigger.px, instrument.px_decimals, texts.INVALID_TPSL)
        above = request.is_buy == (request.trigger.tpsl == "sl")
        order.trigger = TriggerCondition(px, above, request.trigger.is_market, request.trigger.tpsl)
        beyond = order.px < px if order.is_buy else order.px > px
        if request.trigger.tpsl == "sl" and not request.trigger.is_market and beyond:
            raise OrderRefused(texts.INVALID_TPSL)
    return order


def _legal(px: Decimal, decimals: int, text: str) -> int:
    units = scaled(px, decimals)
    if px <= 0:
        raise OrderRefused(texts.INVALID_PRICE)
    if units is None or not is_legal_price(units, decimals):
        raise OrderRefused(text)
    return units


def _near_oracle(core: VenueCore, order: SimulatedOrder) -> bool:
    band, oracle = core.state.oracle_band, core.state.listings[order.asset].oracle
    return band is None or oracle == 0 or band[0] * oracle <= order.px <= band[1] * oracle


def has_margin(
    core: VenueCore, account: Account, order: SimulatedOrder, replaced: SimulatedOrder | None = None
) -> bool:
    """Say whether an account can pay the margin of what an order opens."""
    opening = matching.opening_size(core, order, order.sz)
    needed = opening * order.px // core.holding(account, order.asset).leverage
    return opening == 0 or core.margin(account, dex_of(order.asset)).available(replaced) >= needed


def _named(order: SimulatedOrder) -> dict[str, Any]:
    return {"oid": order.oid} | ({} if order.cloid is None else {"cloid": order.cloid})
