"""The order book of one asset: price first, then time."""

import bisect
from collections.abc import Iterator

from quant_organism.exchange.simulator.core.order import Order


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
        self._levels: dict[int, dict[int, Order]] = {}
        self.users = 0
        """Orders in it that are not the market's own quotes."""

    def __bool__(self) -> bool:
        return bool(self._keys)

    def best(self) -> Order | None:
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

    def levels(self) -> Iterator[tuple[int, list[Order]]]:
        """Yield price and orders of each level, best first."""
        for key in self._keys:
            yield self._sign * key, list(self._levels[key].values())

    def __iter__(self) -> Iterator[Order]:
        for key in self._keys:
            yield from self._levels[key].values()

    def add(self, order: Order) -> None:
        """Put an order behind those of its price."""
        key = self._sign * order.px
        level = self._levels.get(key)
        if level is None:
            bisect.insort(self._keys, key)
            level = self._levels[key] = {}
        level[order.oid] = order
        self.users += order.oid > 0

    def remove(self, order: Order) -> None:
        """Take an order out; one that is not there is passed over."""
        key = self._sign * order.px
        level = self._levels.get(key)
        if level is None or level.pop(order.oid, None) is None:
            return
        self.users -= order.oid > 0
        if not level:
            del self._levels[key]
            del self._keys[bisect.bisect_left(self._keys, key)]


class Book:
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
