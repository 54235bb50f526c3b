"""How orders begin, change and end, and what ends with them."""

from quant_organism.exchange.protocol import texts
from quant_organism.exchange.protocol.instruments import dex_of
from quant_organism.exchange.simulator.core import forms
from quant_organism.exchange.simulator.core.account import Account
from quant_organism.exchange.simulator.core.events import CanceledByVenue, OrderUpdated
from quant_organism.exchange.simulator.core.margin import order_margin
from quant_organism.exchange.simulator.core.order import Order
from quant_organism.exchange.simulator.core.state import HISTORY_ORDERS, MARKET, World


def announce(world: World, order: Order, status: str) -> None:
    """Tell the world of an order's status; quotes of the market are nobody's orders."""
    order.status, order.status_ms = status, world.state.now_ms
    if order.account != MARKET:
        form = forms.basic_order(order, world.state.listings[order.asset])
        world.events.append(OrderUpdated(order.account, form, status, order.status_ms))


def register(world: World, order: Order) -> None:
    """Number an order and enter it among its account's open ones; it does not stand in the book yet."""
    order.oid = world.state.next_oid
    world.state.next_oid += 1
    account = world.state.accounts[order.account]
    world.state.orders[order.oid] = order
    account.open_oids[order.oid] = None
    reserve(world, order, 1)
    if order.cloid is not None:
        account.cloids[order.cloid] = order.oid


def reserve(world: World, order: Order, sign: int) -> None:
    """Have an open order hold its margin, or with -1 let it go: before it changes, and when it ends."""
    if order.reduce_only or order.account == MARKET:
        return
    account, dex = world.state.accounts[order.account], dex_of(order.asset)
    margin = order_margin(order, world.holding(account, order.asset).leverage)
    account.reserved[dex] = account.reserved.get(dex, 0) + sign * margin


def rest(world: World, order: Order) -> None:
    """Put an order into the book, behind those of its price."""
    order.priority = world.next_priority()
    world.books[order.asset].side(is_buy=order.is_buy).add(order)


def watch(world: World, order: Order) -> None:
    """Let a trigger order watch the mark."""
    order.is_waiting = False
    world.state.listings[order.asset].triggers[order.oid] = None


def finish(world: World, order: Order, status: str, *, asked: bool = False) -> None:
    """End an order, wherever it stands.

    Parameters
    ----------
    status
        Its last status.
    asked
        Whether its owner wanted that; otherwise they are told.
    """
    world.books[order.asset].side(is_buy=order.is_buy).remove(order)
    if order.account == MARKET:
        world.state.quotes.pop(order.oid, None)
        return
    account = world.state.accounts[order.account]
    world.state.listings[order.asset].triggers.pop(order.oid, None)
    if order.oid in account.open_oids:
        reserve(world, order, -1)
        del account.open_oids[order.oid]
    announce(world, order, status)
    if status != texts.FILLED and not asked and status != texts.REDUCE_ONLY_CANCELED and "Rejected" not in status:
        world.events.append(CanceledByVenue(order.account, order.asset, order.oid))
    _release_children(world, order, status)
    _remember(world, account, order)


def cancel_siblings(world: World, order: Order) -> None:
    """End the other orders of a take-profit and stop-loss pair, of which this one has traded."""
    if order.trigger is None:
        return
    account = world.state.accounts[order.account]
    for oid in list(account.open_oids):
        other = world.state.orders.get(oid)
        if other is None or other is order or other.trigger is None or other.asset != order.asset:
            continue
        same_parent = order.parent is not None and other.parent == order.parent
        closed = order.is_position_tpsl and other.is_position_tpsl and not account.holdings[order.asset].szi
        if same_parent or closed:
            finish(world, other, texts.SIBLING_FILLED_CANCELED)


def fit_reduce_only(world: World, account: Account, asset: int, sparing: Order | None = None) -> None:
    """Shrink reduce-only orders to the position that is left, and end those with nothing to reduce.

    Parameters
    ----------
    sparing
        An order that is being matched just now.
    """
    position = account.holdings[asset].szi
    for oid in list(account.open_oids):
        order = world.state.orders.get(oid)
        if order is None or order is sparing or order.asset != asset or not order.reduce_only or order.is_waiting:
            continue
        if position == 0 or (position > 0) == order.is_buy:
            finish(world, order, texts.REDUCE_ONLY_CANCELED)
        elif order.is_resting and order.sz > abs(position):
            order.sz = abs(position)


def _release_children(world: World, order: Order, status: str) -> None:
    """Begin or end the take-profit and stop-loss orders of a parent that has ended."""
    children = [world.state.orders[oid] for oid in order.children if oid in world.state.orders]
    waiting = [
        child for child in children if child.is_waiting and child.oid in world.state.accounts[child.account].open_oids
    ]
    lives = status == texts.FILLED or (order.filled_sz > 0 and (status == texts.MARGIN_CANCELED or order.tif == "Ioc"))
    for child in waiting:
        if lives:
            child.sz = min(child.sz, order.filled_sz)
            watch(world, child)
        else:
            finish(world, child, texts.CANCELED, asked=True)


def _remember(world: World, account: Account, order: Order) -> None:
    account.history.append(order.oid)
    if len(account.history) > HISTORY_ORDERS + HISTORY_ORDERS // 10:
        for oid in account.history[:-HISTORY_ORDERS]:
            gone = world.state.orders.pop(oid, None)
            if gone is not None and gone.cloid is not None and account.cloids.get(gone.cloid) == oid:
                del account.cloids[gone.cloid]
        del account.history[:-HISTORY_ORDERS]
