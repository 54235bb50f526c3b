"""How orders begin, change and end, what ends with them, and how the wire shows them and their fills (section 6.2)."""

from collections.abc import Mapping
from typing import Any

from quant_organism.simulator.core.account import Account, CanceledByVenue, OrderUpdated, SimulatedFill
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.simulator.core.margin import order_margin
from quant_organism.simulator.core.state import HISTORY_ORDERS, MARKET, Listing, VenueCore
from quant_organism.venue.protocol import dex_of, texts, usd


def basic_order(order: SimulatedOrder, listing: Listing) -> dict[str, Any]:
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


def frontend_order(order: SimulatedOrder, listing: Listing, orders: Mapping[int, SimulatedOrder]) -> dict[str, Any]:
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


def fill_form(fill: SimulatedFill, listing: Listing) -> dict[str, Any]:
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


def announce(core: VenueCore, order: SimulatedOrder, status: str) -> None:
    """Tell the world of an order's status; quotes of the market are nobody's orders."""
    order.status, order.status_ms = status, core.state.now_ms
    if order.account != MARKET:
        form = basic_order(order, core.state.listings[order.asset])
        core.events.append(OrderUpdated(order.account, form, status, order.status_ms))


def register(core: VenueCore, order: SimulatedOrder) -> None:
    """Number an order and enter it among its account's open ones; it does not stand in the book yet."""
    order.oid = core.state.next_oid
    core.state.next_oid += 1
    account = core.state.accounts[order.account]
    core.state.orders[order.oid] = order
    account.open_oids[order.oid] = None
    reserve(core, order, 1)
    if order.cloid is not None:
        account.cloids[order.cloid] = order.oid


def reserve(core: VenueCore, order: SimulatedOrder, sign: int) -> None:
    """Have an open order hold its margin, or with -1 let it go: before it changes, and when it ends."""
    if order.reduce_only or order.account == MARKET:
        return
    account, dex = core.state.accounts[order.account], dex_of(order.asset)
    margin = order_margin(order, core.holding(account, order.asset).leverage)
    account.reserved[dex] = account.reserved.get(dex, 0) + sign * margin


def rest(core: VenueCore, order: SimulatedOrder) -> None:
    """Put an order into the book, behind those of its price."""
    order.priority = core.next_priority()
    core.books[order.asset].side(is_buy=order.is_buy).add(order)


def watch(core: VenueCore, order: SimulatedOrder) -> None:
    """Let a trigger order watch the mark."""
    order.is_waiting = False
    core.state.listings[order.asset].triggers[order.oid] = None


def finish(core: VenueCore, order: SimulatedOrder, status: str, *, asked: bool = False) -> None:
    """End an order, wherever it stands.

    Parameters
    ----------
    status
        Its last status.
    asked
        Whether its owner wanted that; otherwise they are told.
    """
    core.books[order.asset].side(is_buy=order.is_buy).remove(order)
    if order.account == MARKET:
        core.state.quotes.pop(order.oid, None)
        return
    account = core.state.accounts[order.account]
    core.state.listings[order.asset].triggers.pop(order.oid, None)
    if order.oid in account.open_oids:
        reserve(core, order, -1)
        del account.open_oids[order.oid]
    announce(core, order, status)
    if status != texts.FILLED and not asked and status != texts.REDUCE_ONLY_CANCELED and "Rejected" not in status:
        core.events.append(CanceledByVenue(order.account, order.asset, order.oid))
    _release_children(core, order, status)
    _remember(core, account, order)


def cancel_siblings(core: VenueCore, order: SimulatedOrder) -> None:
    """End the other orders of a take-profit and stop-loss pair, of which this one has traded."""
    if order.trigger is None:
        return
    account = core.state.accounts[order.account]
    for oid in list(account.open_oids):
        other = core.state.orders.get(oid)
        if other is None or other is order or other.trigger is None or other.asset != order.asset:
            continue
        same_parent = order.parent is not None and other.parent == order.parent
        closed = order.is_position_tpsl and other.is_position_tpsl and not account.holdings[order.asset].szi
        if same_parent or closed:
            finish(core, other, texts.SIBLING_FILLED_CANCELED)


def fit_reduce_only(core: VenueCore, account: Account, asset: int, sparing: SimulatedOrder | None = None) -> None:
    """Shrink reduce-only orders to the position that is left, and end those with nothing to reduce.

    Parameters
    ----------
    sparing
        An order that is being matched just now.
    """
    position = account.holdings[asset].szi
    for oid in list(account.open_oids):
        order = core.state.orders.get(oid)
        if order is None or order is sparing or order.asset != asset or not order.reduce_only or order.is_waiting:
            continue
        if position == 0 or (position > 0) == order.is_buy:
            finish(core, order, texts.REDUCE_ONLY_CANCELED)
        elif order.is_resting and order.sz > abs(position):
            order.sz = abs(position)


def _release_children(core: VenueCore, order: SimulatedOrder, status: str) -> None:
    """Begin or end the take-profit and stop-loss orders of a parent that has ended."""
    children = [core.state.orders[oid] for oid in order.children if oid in core.state.orders]
    waiting = [
        child for child in children if child.is_waiting and child.oid in core.state.accounts[child.account].open_oids
    ]
    lives = status == texts.FILLED or (order.filled_sz > 0 and (status == texts.MARGIN_CANCELED or order.tif == "Ioc"))
    for child in waiting:
        if lives:
            child.sz = min(child.sz, order.filled_sz)
            watch(core, child)
        else:
            finish(core, child, texts.CANCELED, asked=True)


def _remember(core: VenueCore, account: Account, order: SimulatedOrder) -> None:
    account.history.append(order.oid)
    if len(account.history) > HISTORY_ORDERS + HISTORY_ORDERS // 10:
        for oid in account.history[:-HISTORY_ORDERS]:
            gone = core.state.orders.pop(oid, None)
            if gone is not None and gone.cloid is not None and account.cloids.get(gone.cloid) == oid:
                del account.cloids[gone.cloid]
        del account.history[:-HISTORY_ORDERS]
