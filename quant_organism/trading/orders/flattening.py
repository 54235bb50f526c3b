"""Close everything, and stop only when the venue shows nothing open and nothing held.

Whatever fails of one coin, one dex or one row of an answer holds up no other: it is tried again in the next round, and
named at the end.
"""

import contextlib
import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.states import cloid_of
from quant_organism.trading.orders.venue import Venue, cancel_in_batches
from quant_organism.venue import (
    Accepted,
    NewOrder,
    OpenOrder,
    Position,
    RunningTwap,
    VenueError,
    quantised_price,
)

SLIPPAGES: Final = tuple(map(Decimal, ("0.005", "0.01", "0.02", "0.04", "0.08", "0.08", "0.08", "0.08")))
FURTHEST: Final = 5
"""Times the mark, or its part: a limit price further away is refused."""

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

    Each round cancels what is open, TWAP orders included, then sends a reduce-only order for each position that fills
    at once or not at all, within a bound around the mid price that widens from round to round; where there is no mid,
    around the best price of the side that it needs, or the mark where that is empty.

    Parameters
    ----------
    manager
        Whose account.
    decision_id
        Names this flattening; asked for again under the same name it goes on with further orders.
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
    left, looks, rounds, is_found = "it was not looked", 0, 0, False
    for _ in range(_LOOKS * (len(slippages) + 1)):
        was_unsettled = bool(manager.journal.unsettled())
        seen = _look(manager.venue, coins)
        failures: list[str] = []
        if seen.is_something and rounds < len(slippages):
            failures = [*_cancel(manager, seen), *_close(manager, decision_id, seen.positions, slippages[rounds])]
            rounds += 1
        elif seen.is_something:
            left = _described(seen, 0, ())
            break
        unsettled = manager.settle()  # what may still arrive could open a position again
        if seen.is_something or seen.doubts or was_unsettled:
            looks, left = 0, _described(seen, len(unsettled), failures)
        elif not is_found:  # only now, lest a dex that does not answer keep what is known of open
            left = "what is known of is closed, and other dexs have not been seen"
            is_found = _has_found_dexs(manager.venue)
        else:
            looks += 1
            if looks >= _LOOKS:
                with contextlib.suppress(VenueError):  # the account is flat, whatever the books have not heard
                    manager.sync_fills()
                return rounds
        sleep(_PAUSE_SECONDS)
    raise NotFlat(
        f"not shown to be flat after {rounds} rounds: {left}",
        where=manager.venue.address,
        remedy="call it again, or close by hand on the venue's page",
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    orders: list[OpenOrder]
    twaps: list[RunningTwap]
    positions: list[Position]
    doubts: tuple[str, ...]

    @property
    def is_something(self) -> bool:
        return bool(self.orders or self.twaps or self.positions)


def _look(venue: Venue, coins: Collection[str] | None) -> _Seen:
    resting, held = venue.resting(), venue.holdings()
    return _Seen(
        [order for order in resting.orders if coins is None or order.coin in coins],
        [twap for twap in resting.twaps if coins is None or twap.coin in coins],
        [position for position in held.positions if coins is None or position.coin in coins],
        (*resting.doubts, *held.doubts),
    )


def _has_found_dexs(venue: Venue) -> bool:
    try:
        venue.find_dexs()
    except VenueError:
        return False
    return True


def _cancel(manager: OrderManager, seen: _Seen) -> list[str]:
    """Cancel orders and TWAP orders; return what could not be canceled, and why."""
    ours, others = [], []
    for order in seen.orders:
        record = None if order.cloid is None else manager.journal.find(order.cloid)
        if record is not None and record.is_live:
            ours.append(record.order.cloid)
        else:  # not ours, or shown open although our books say that it has ended
            others.append(order)
    manager.cancel(ours)
    venue = manager.venue
    ended = [(twap.coin, venue.cancel_twap(twap.coin, twap.number, venue.draw_nonce())) for twap in seen.twaps]
    ended += zip((order.coin for order in others), cancel_in_batches(venue, others), strict=True)
    return sorted({f"{coin}: {outcome.text}" for coin, outcome in ended if not isinstance(outcome, Accepted)})


def _close(manager: OrderManager, decision_id: str, positions: Sequence[Position], slippage: Decimal) -> list[str]:
    """Send an order for each position, whatever becomes of the others; return which could not be sent, and why."""
    mids: dict[str, Decimal] = {}
    failures = []
    if positions:
        with contextlib.suppress(VenueError):
            mids = manager.venue.mids()
    for position in positions:
        try:
            _close_one(manager, decision_id, position, mids.get(position.coin), slippage)
        except QuantOrganismError as error:  # of this coin: the others are closed all the same
            failures.append(f"{position.coin}: {error.what}")
    return failures


def _close_one(
    manager: OrderManager, decision_id: str, position: Position, mid: Decimal | None, slippage: Decimal
) -> None:
    px = mid if _is_near(mid, position) else _price_of_book(manager.venue, position) or mid
    if not px:
        raise InputError("it has neither a price nor a mark", where=position.coin, remedy="look again")
    buys, listed = position.szi < 0, manager.venue.listed(position.coin)
    bound = px * (1 + slippage if buys else 1 - slippage)
    name = _unused(manager, decision_id, position.coin)
    order = NewOrder(
        cloid=cloid_of(name, position.coin),
        coin=position.coin,
        is_buy=buys,
        px=quantised_price(bound, listed, up=not buys),
        sz=abs(position.szi),
        tif="Ioc",
        reduce_only=True,
    )
    manager.place(name, [order])


def _is_near(px: Decimal | None, position: Position) -> bool:
    """Tell whether there is a price, and the venue would take an order at it."""
    mark = position.mark_px
    return px is not None and px > 0 and (not mark or mark / FURTHEST <= px <= mark * FURTHEST)


def _price_of_book(venue: Venue, position: Position) -> Decimal | None:
    """Return the best price that a position could be closed against, or the mark where nobody offers one.

    A book with one side has no mid, and may be what is needed; a mark may stand far from its book.
    """
    with contextlib.suppress(VenueError):
        book = venue.depth(position.coin)
        levels = book.asks if position.szi < 0 else book.bids
        if levels and _is_near(levels[0].px, position):
            return levels[0].px
    return position.mark_px


def _unused(manager: OrderManager, decision_id: str, coin: str) -> str:
    """Return the name of the next of a decision's closing orders of a coin."""
    names = (f"{decision_id}/{number}" for number in itertools.count())
    return next(name for name in names if manager.journal.find(cloid_of(name, coin)) is None)


def _described(seen: _Seen, unsettled: int, failures: Sequence[str]) -> str:
    held = ", ".join(f"{item.szi} {item.coin}" for item in seen.positions) or "none"
    parts = [f"{len(seen.orders)} open orders", f"{len(seen.twaps)} TWAP orders", f"positions {held}"]
    parts += [f"{unsettled} actions of unknown outcome", *failures]
    if seen.doubts:
        parts.append(f"what cannot be seen ({'; '.join(seen.doubts)})")
    return ", ".join(parts)
