"""A strategy that does random things: every way to place, amend, cancel and close, and the same decision twice."""

import contextlib
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from quant_organism.errors import InputError
from quant_organism.trading.orders import OrderManager, cloid_of
from quant_organism.venue import NewOrder, Trigger, VenueError, quantised_price, quantised_size

SETTLE_EVERY = 5
KINDS = ("rest", "rest", "take", "batch", "bracket", "amend", "amend", "cancel", "close", "again")


class Strategy:
    """Trades some coins through an order manager.

    Parameters
    ----------
    name
        Its decisions begin with it.
    coins
        What it trades.
    quoted_only
        Coins in which it only rests far from the market, and never holds anything.
    rng
        Draws what it does.
    usd
        Value of an order.
    """

    def __init__(
        self,
        name: str,
        coins: Sequence[str],
        rng: np.random.Generator,
        *,
        quoted_only: Sequence[str] = (),
        usd: int = 200,
    ) -> None:
        self._usd = Decimal(usd)
        self._name, self._coins, self._rng, self._quoted = name, tuple(coins), rng, tuple(quoted_only)
        self._steps = 0

    def step(self, manager: OrderManager) -> None:
        """Do one thing."""
        self._steps += 1
        try:
            mids = manager.venue.mids()
        except VenueError:
            mids = {}
        if mids:
            self._act(manager, f"{self._name}/{self._steps}", mids)
        if self._steps % SETTLE_EVERY == 0:
            manager.settle()
            with contextlib.suppress(VenueError):
                manager.sync_fills()

    def _act(self, manager: OrderManager, decision: str, mids: dict[str, Decimal]) -> None:
        rng, kind = self._rng, str(self._rng.choice(KINDS))
        coin = str(rng.choice([*self._coins, *self._quoted]))
        if kind in ("take", "bracket", "close") and coin in self._quoted:
            kind = "rest"
        live = [record for record in manager.journal.orders(live_only=True) if record.order.trigger is None]
        if kind == "amend" or kind == "cancel":
            if live:
                record = live[int(rng.integers(len(live)))]
                if kind == "cancel":
                    manager.cancel([record.order.cloid])
                elif (
                    record.state == "open"
                    and record.filled_sz < record.order.sz
                    and not manager.journal.unsettled(record.order.cloid)
                ):
                    px = self._resting_px(manager, record.order.coin, record.order.px, is_buy=record.order.is_buy)
                    with contextlib.suppress(InputError):  # all of it has filled meanwhile
                        manager.amend(record.order.cloid, px, record.order.sz)
            return
        if kind == "again":
            past = manager.journal.orders()
            if past:
                record = past[int(rng.integers(len(past)))]
                manager.place(record.decision_id, [record.order])
            return
        mid = mids.get(coin)
        if mid is None:  # an empty book
            return
        is_buy = bool(rng.integers(2))
        if kind == "rest":
            manager.place(decision, [self._resting(manager, decision, coin, mid, is_buy=is_buy)])
        elif kind == "batch":
            legs = [self._resting(manager, decision, coin, mid, is_buy=is_buy, leg=str(leg)) for leg in range(3)]
            manager.place(decision, legs)
        elif kind == "take":
            manager.place(decision, [self._taking(manager, decision, coin, mid, is_buy=is_buy)])
        elif kind == "bracket":
            manager.place(decision, self._bracket(manager, decision, coin, mid), grouping="normalTpsl")
        elif held := manager.journal.positions().get(coin):
            sz = abs(held)
            order = self._taking(manager, decision, coin, mid, is_buy=held < 0, sz=sz, reduce_only=True)
            manager.place(decision, [order])

    def _resting_px(self, manager: OrderManager, coin: str, px: Decimal, *, is_buy: bool) -> Decimal:
        low, high = (900, 990) if coin in self._quoted else (4, 30)
        share = Decimal(int(self._rng.integers(low, high))) / 10_000 * (-1 if is_buy else 1)
        return quantised_price(px * (1 + share), manager.venue.listed(coin), up=not is_buy)

    def _resting(
        self, manager: OrderManager, decision: str, coin: str, mid: Decimal, *, is_buy: bool, leg: str = "entry"
    ) -> NewOrder:
        is_buy = is_buy or coin in self._quoted
        px = self._resting_px(manager, coin, mid, is_buy=is_buy)
        return NewOrder(cloid_of(decision, leg), coin, is_buy, px, self._sz(manager, coin, mid))

    def _taking(
        self,
        manager: OrderManager,
        decision: str,
        coin: str,
        mid: Decimal,
        *,
        is_buy: bool,
        sz: Decimal | None = None,
        reduce_only: bool = False,
    ) -> NewOrder:
        listed = manager.venue.listed(coin)
        px = quantised_price(mid * (Decimal("1.005") if is_buy else Decimal("0.995")), listed, up=not is_buy)
        size = self._sz(manager, coin, mid) if sz is None else sz
        return NewOrder(cloid_of(decision), coin, is_buy, px, size, tif="Ioc", reduce_only=reduce_only)

    def _bracket(self, manager: OrderManager, decision: str, coin: str, mid: Decimal) -> list[NewOrder]:
        listed = manager.venue.listed(coin)
        entry = self._taking(manager, decision, coin, mid, is_buy=True)
        found = [NewOrder(entry.cloid, coin, True, entry.px, entry.sz)]
        for leg, trigger_factor, px_factor in (("tp", "1.004", "1.004"), ("sl", "0.996", "0.95")):
            at = quantised_price(mid * Decimal(trigger_factor), listed, up=leg == "tp")
            px = quantised_price(mid * Decimal(px_factor), listed, up=leg == "tp")
            trigger = Trigger(at, "tp" if leg == "tp" else "sl")
            found.append(
                NewOrder(cloid_of(decision, leg), coin, False, px, entry.sz, reduce_only=True, trigger=trigger)
            )
        return found

    def _sz(self, manager: OrderManager, coin: str, mid: Decimal) -> Decimal:
        listed = manager.venue.listed(coin)
        size = quantised_size(self._usd / mid, listed)
        return size or Decimal(1).scaleb(-listed.sz_decimals)
