"""Close everything, and stop only when the venue shows nothing open and nothing held."""

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Final

from quant_organism.errors import QuantOrganismError
from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.states import cloid_of
from quant_organism.venue import NewOrder, Position, VenueError, VenueOrder, quantised_price

SLIPPAGES: Final = tuple(map(Decimal, ("0.005", "0.01", "0.02", "0.04", "0.08", "0.08", "0.08", "0.08")))
_PAUSE_SECONDS: Final = 0.5
_LOOKS: Final = 2
"""So often in a row the venue must show that all is flat: one answer may be an old one."""


class NotFlat(QuantOrganismError):
    """The venue still shows orders or positions."""


def flatten(
    manager: OrderManager,
    decision_id: str,
    *,
    coins: Collection[str] | None = None,
    slippages: Sequence[Decimal] = SLIPPAGES,
    sleep: Callable[[float], None],
) -> int:
    """Cancel all orders and close all positions; return how many rounds it took.

    Each round cancels what is open, then sends a reduce-only order for each position that fills at once or not at all,
    within a bound around the mid price, or the mark where there is no mid, that widens from round to round.

    Parameters
    ----------
    manager
        Whose account.
    decision_id
        Names this flattening for good; another call after `NotFlat` needs another name.
    coins
        Only these; none: the whole account.
    slippages
        Bound of each round, as a share of that price.
    sleep
        Waits between rounds.

    Raises
    ------
    NotFlat
        After all rounds the venue still shows something, or it cannot be asked; the message says what.
    """
    left, looks, rounds, is_found = "nothing is known: the venue does not answer", 0, 0, False
    for _ in range(_LOOKS * (len(slippages) + 1)):
        try:
            unsettled = manager.settle()  # what may still arrive could open a position again
            orders, positions = _left(manager, coins)
            if orders or positions or unsettled:
                looks, left = 0, _described(orders, positions, len(unsettled))
                if rounds == len(slippages):
                    break
                _cancel(manager, orders)
                _close(manager, f"{decision_id}/{rounds}", positions, slippages[rounds])
                rounds += 1
            elif not is_found:  # only now, lest a dex that does not answer keep what is known of open
                left = "what is known of is closed, and other dexs have not been seen"
                manager.venue.find_dexs()
                is_found = True
            else:
                looks += 1
                if looks >= _LOOKS:
                    manager.sync_fills()
                    return rounds
        except VenueError as error:
            looks, left = 0, f"{left} (last: {error.what})"
        sleep(_PAUSE_SECONDS)
    raise NotFlat(
        f"not shown to be flat after {rounds} rounds: {left}",
        where=manager.venue.address,
        remedy="call it again under another name, or close by hand on the venue's page",
    )


def _left(manager: OrderManager, coins: Collection[str] | None) -> tuple[list[VenueOrder], list[Position]]:
    orders = [order for order in manager.venue.open_orders() if coins is None or order.coin in coins]
    held = [item for item in manager.venue.account().positions if item.szi and (coins is None or item.coin in coins)]
    return orders, held


def _cancel(manager: OrderManager, orders: Sequence[VenueOrder]) -> None:
    ours, others = [], []
    for order in orders:
        record = None if order.cloid is None else manager.journal.find(order.cloid)
        if record is not None and record.is_live:
            ours.append(record.order.cloid)
        else:  # not ours, or shown open although our books say that it has ended
            others.append((order.coin, order.oid))
    manager.cancel(ours)
    if others:
        manager.venue.cancel_oids(others, manager.venue.draw_nonce())


def _close(manager: OrderManager, decision_id: str, positions: Sequence[Position], slippage: Decimal) -> None:
    mids = manager.venue.mids() if positions else {}
    for position in positions:
        mid = mids.get(position.coin) or position.mark_px  # a book with one side has no mid, and may be what is needed
        if mid is None:  # the next round looks again
            continue
        buys, listed = position.szi < 0, manager.venue.listed(position.coin)
        bound = mid * (1 + slippage if buys else 1 - slippage)
        order = NewOrder(
            cloid=cloid_of(decision_id, position.coin),
            coin=position.coin,
            is_buy=buys,
            px=quantised_price(bound, listed, up=not buys),
            sz=abs(position.szi),
            tif="Ioc",
            reduce_only=True,
        )
        manager.place(decision_id, [order])


def _described(orders: Sequence[VenueOrder], positions: Sequence[Position], unsettled: int) -> str:
    held = ", ".join(f"{item.szi} {item.coin}" for item in positions) or "none"
    return f"{len(orders)} open orders, positions {held}, {unsettled} actions of unknown outcome"
