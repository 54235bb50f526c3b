"""Books that begin, or begin again: what was held before, and what a journal that is new, or old, has lost.

Ids made here are known by their beginning (`HOUSE`), so that orders of a lost journal are found in the venue's history
and written down again before their decisions can be placed a second time.
"""

from decimal import Decimal
from typing import Final

from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.states import is_of_this_house
from quant_organism.venue import VenueOrder
from quant_organism.venue.protocol import PAST_ORDERS_PER_ANSWER

RECOVERED: Final = "recovered"
"""Decision of an order that the journal had lost: only its id is known."""


def rebuild(manager: OrderManager) -> list[str]:
    """Write down what the venue knows of our orders and the journal does not; return their cloids.

    What is older than the venue's history stays lost; where that may be, the venue is asked before an id is used for
    the first time.

    Raises
    ------
    VenueError
        There was no answer.
    """
    journal, history = manager.journal, manager.venue.past_orders()
    lost: dict[str, list[VenueOrder]] = {}
    for order in sorted([*history, *manager.venue.open_orders()], key=lambda order: order.oid):
        if order.cloid is not None and is_of_this_house(order.cloid) and _is_news(manager, order):
            lost.setdefault(order.cloid, []).append(order)
    for cloid, orders in lost.items():
        if journal.find(cloid) is None:
            manager.adopt(orders[0], RECOVERED)
        for order in orders:
            manager.hear_order(order)
    if lost:
        fetch_fills(manager)
    for cloid, orders in lost.items():
        newest = orders[-1]
        if len(journal.numbers(cloid)) > 1:  # what older numbers have traded, and what the newest was placed with
            before = sum(
                (fill.sz for fill in journal.fills() if fill.cloid == cloid and fill.oid != newest.oid), Decimal(0)
            )
            journal.amended(cloid, newest.px, before + newest.original_sz)
    journal.set_complete(not lost and len(history) < PAST_ORDERS_PER_ANSWER)
    return list(lost)


def take_baseline(manager: OrderManager) -> None:
    """Take over what is held besides what our own orders have traded.

    Raises
    ------
    VenueError
        There was no answer.
    """
    if manager.journal.orders():
        fetch_fills(manager)
    state = manager.venue.account()
    manager.journal.set_baseline(state.positions, state.time_ms)
    manager.journal.money.open(state)


def fetch_fills(manager: OrderManager) -> None:
    """Fetch fills; before there is a baseline only those of orders in the journal, as the others will be in it.

    Raises
    ------
    VenueError
        There was no answer.
    """
    if manager.journal.baseline_ms() is not None:
        manager.sync_fills()
        return
    known = {record.order.cloid for record in manager.journal.orders()}
    manager.hear_fills([fill for fill in manager.venue.fills(0) if fill.cloid in known])


def _is_news(manager: OrderManager, order: VenueOrder) -> bool:
    """Say whether an order is not in the journal, or was amended since the journal was left."""
    record = None if order.cloid is None else manager.journal.find(order.cloid)
    if record is None:
        return True
    is_newer = record.oid is not None and order.oid > record.oid and order.standing != "rejected"
    return is_newer and not manager.journal.unsettled(order.cloid)
