"""Orders, and the book in which they rest: price first, then time."""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field

from quant_organism.venue.protocol import OPEN, Tif, Tpsl


@dataclass(slots=True)
class TriggerCondition:
    """Condition on the mark price under which an order becomes active.

    Parameters
    ----------
    px
        Scaled price.
    above
        Fires at or above `px`; else at or below.
    is_market
        Becomes an immediate-or-cancel order with 10 % tolerance, else a limit order.
    tpsl
        Take profit or stop loss.
    fired
        It did; the order is an ordinary one from then on.
    """

    px: int
    above: bool
    is_market: bool
    tpsl: Tpsl
    fired: bool = False

    def is_met(self, mark: int) -> bool:
        """Say whether the mark has reached it."""
        return mark >= self.px if self.above else mark <= self.px


@dataclass(slots=True)
class SimulatedOrder:
    """An order; prices and sizes are scaled integers of its asset.

    Parameters
    ----------
    oid
        Number; quotes of the market itself have negative ones.
    account
        Address, in lower case.
    asset
        Asset id.
    sz, orig_sz
        What is left of it, and what was asked for.
    tif
        None while it waits for its trigger.
    parent, children
        Orders placed together as normalTpsl.
    is_waiting
        A child whose parent is not filled yet.
    is_position_tpsl
        Closes whatever the position is when it fires.
    priority
        Place in time among the orders of a price level.
    filled_ntl
        Micro-USD that it has traded.
    twap
        Number of the TWAP order that it is a part of.
    """

    oid: int
    account: str
    asset: int
    is_buy: bool
    px: int
    sz: int
    orig_sz: int
    timestamp_ms: int
    reduce_only: bool = False
    tif: Tif | None = None
    cloid: str | None = None
    trigger: TriggerCondition | None = None
    parent: int | None = None
    children: list[int] = field(default_factory=list)
    is_waiting: bool = False
    is_position_tpsl: bool = False
    priority: int = 0
    filled_sz: int = 0
    filled_ntl: int = 0
    status: str = OPEN
    status_ms: int = 0
    twap: int | None = None

    @property
    def is_resting(self) -> bool:
        """Whether it stands in the book."""
        return self.trigger is None or self.trigger.fired


class BookSide:
    """Bids or asks; a key sorts the best price first.

    Parameters
    ----------
    is_bid
        Whether the highest price is the best.
    """

    def __init__(self, *, is_bid: bool) -> None:
        self._sign = -1 if is_bid else 1
        self._keys: list[int] = []
        self._levels: dict[int, dict[int, SimulatedOrder]] = {}
        self.users = 0
        """Orders in it that are not the market's own quotes."""

    def __bool__(self) -> bool:
        return bool(self._keys)

    def best(self) -> SimulatedOrder | None:
        """Return the order that would be matched first."""
        return next(iter(self._levels[self._keys[0]].values())) if self._keys else None

    def best_px(self) -> int | None:
        """Return the best scaled price."""
        return self._sign * self._keys[0] if self._keys else None

    def best_user_px(self) -> int | None:
        """Return the best scaled price of an order that is not the market's own."""
        if self.users == 0:
            return None
        return next(order.px for order in self if order.oid > 0)

    def levels(self) -> Iterator[tuple[int, list[SimulatedOrder]]]:
        """Yield price and orders of each level, best first."""
        for key in self._keys:
            yield self._sign * key, list(self._levels[key].values())

    def __iter__(self) -> Iterator[SimulatedOrder]:
        for key in self._keys:
            yield from self._levels[key].values()

    def add(self, order: SimulatedOrder) -> None:
        """Put an order behind those of its price."""
        key = self._sign * order.px
        level = self._levels.get(key)
        if level is None:
            bisect.insort(self._keys, key)
            level = self._levels[key] = {}
        level[order.oid] = order
        self.users += order.oid > 0

    def remove(self, order: SimulatedOrder) -> None:
        """Take an order out; one that is not there is passed over."""
        key = self._sign * order.px
        level = self._levels.get(key)
        if level is None or level.pop(order.oid, None) is None:
            return
        self.users -= order.oid > 0
        if not level:
            del self._levels[key]
            del self._keys[bisect.bisect_left(self._keys, key)]


class OrderBook:
    """Bids and asks of one asset."""

    def __init__(self) -> None:
        self.bids = BookSide(is_bid=True)
        self.asks = BookSide(is_bid=False)

    def side(self, *, is_buy: bool) -> BookSide:
        """Return the side on which orders of this direction rest."""
        return self.bids if is_buy else self.asks

    def crosses(self, px: int, *, is_buy: bool) -> bool:
        """Say whether an order at this price would match at once."""
        best = self.side(is_buy=not is_buy).best_px()
        return best is not None and (px >= best if is_buy else px <= best)

    def mid2(self) -> int | None:
        """Return twice the scaled mid price, or None where a side is empty."""
        bid, ask = self.bids.best_px(), self.asks.best_px()
        return None if bid is None or ask is None else bid + ask
