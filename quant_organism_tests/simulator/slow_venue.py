"""A venue written again in the plainest way: decimals, one list of orders, everything looked up anew each time.

It knows limit orders, reduce-only, self-trade prevention, fees of the lowest tier and funding, all on several dexs; no
margin.
"""

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

MICRO = Decimal("0.000001")


@dataclass
class SlowOrder:
    owner: str
    coin: int
    is_buy: bool
    px: Decimal
    sz: Decimal
    reduce_only: bool
    key: int


@dataclass
class SlowVenue:
    cash: dict[tuple[str, int], Decimal] = field(default_factory=dict)
    held: dict[tuple[str, int], Decimal] = field(default_factory=dict)
    orders: list[SlowOrder] = field(default_factory=list)
    fees: dict[int, Decimal] = field(default_factory=dict)
    fee_factors: dict[int, Decimal] = field(default_factory=dict)

    def place(self, new: SlowOrder, tif: str) -> None:
        """Take a legal order in."""
        if new.reduce_only:
            position = self.position(new.owner, new.coin)
            if position == 0 or (position > 0) == new.is_buy:
                return
            new.sz = min(new.sz, abs(position))
        if tif == "Alo" and self.candidates(new):
            return
        while new.sz > 0 and (found := self.candidates(new)):
            maker = found[0]
            if maker.owner == new.owner:
                self.orders.remove(maker)
                continue
            size = min(new.sz, maker.sz)
            for party, is_taker in ((new, True), (maker, False)):
                self.settle(party, size, maker.px, Decimal("0.00045" if is_taker else "0.00015"))
                party.sz -= size
            if maker.sz == 0:
                self.orders.remove(maker)
            for party in (new, maker):
                self.shrink(party.owner, party.coin)
            if new.reduce_only:
                new.sz = min(new.sz, abs(self.position(new.owner, new.coin)))
        if new.sz > 0 and tif != "Ioc":
            self.orders.append(new)

    def send(self, owner: str, start: int, end: int, usd: Decimal) -> None:
        """Move money between two dexs of an owner."""
        self.cash[owner, start] -= usd
        self.cash[owner, end] += usd

    def cancel(self, key: int) -> None:
        """Take an order out."""
        self.orders = [order for order in self.orders if order.key != key]

    def fund(self, coin: int, oracle: Decimal, rate: Decimal) -> None:
        """Pay an hour's funding."""
        for (owner, held_coin), size in self.held.items():
            if held_coin == coin:
                self.cash[owner, dex(coin)] -= (size * oracle * rate).quantize(MICRO, ROUND_DOWN)

    def candidates(self, new: SlowOrder) -> list[SlowOrder]:
        """Return what an order could trade with, best and oldest first."""
        found = [
            order
            for order in self.orders
            if order.coin == new.coin
            and order.is_buy != new.is_buy
            and (order.px <= new.px if new.is_buy else order.px >= new.px)
        ]
        return sorted(found, key=lambda order: order.px if new.is_buy else -order.px)  # stable: older first

    def settle(self, party: SlowOrder, size: Decimal, px: Decimal, rate: Decimal) -> None:
        """Move one side of a trade."""
        sign = 1 if party.is_buy else -1
        place = dex(party.coin)
        fee = (size * px * rate * self.fee_factors.get(place, 1)).quantize(MICRO, ROUND_DOWN)
        self.cash[party.owner, place] -= sign * size * px + fee
        self.fees[place] = self.fees.get(place, Decimal(0)) + fee
        key = (party.owner, party.coin)
        self.held[key] = self.held.get(key, Decimal(0)) + sign * size

    def shrink(self, owner: str, coin: int) -> None:
        """Fit resting reduce-only orders to the position."""
        position = self.position(owner, coin)
        for order in list(self.orders):
            if order.owner == owner and order.coin == coin and order.reduce_only:
                if position == 0 or (position > 0) == order.is_buy:
                    self.orders.remove(order)
                else:
                    order.sz = min(order.sz, abs(position))

    def position(self, owner: str, coin: int) -> Decimal:
        """Return a signed size."""
        return self.held.get((owner, coin), Decimal(0))


def dex(coin: int) -> int:
    """Return the dex of an asset: coins of the first builder-deployed one begin at 110000."""
    return max(0, coin // 10_000 - 10)
