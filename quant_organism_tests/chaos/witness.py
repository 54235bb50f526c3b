"""What an account did at a venue, as the venue saw it: every order and fill, and how long a position was bare.

It looks from inside the venue's process, past all faults; a trader's own books are held against it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from quant_organism.simulator import Account, SimulatedVenue
from quant_organism.trading.orders import OrderManager


@dataclass(frozen=True)
class Testimony:
    """What was seen so far.

    Parameters
    ----------
    placed
        How many orders had each client id.
    resting
        Client ids of those that are open.
    fills
        How often each was made, by trade and order.
    longest_bare_s
        Seconds of this machine's clock for which a position lacked a stop for all of it, at the most.
    longest_untouched_s
        The same, while no fill made it smaller either: where the market offers less than is held, closing takes time.
    """

    placed: Counter[str]
    resting: frozenset[str]
    fills: Counter[tuple[int, int]]
    longest_bare_s: float
    longest_untouched_s: float


class VenueWitness:
    """Looks at one account of a venue.

    Parameters
    ----------
    venue, account
        What it looks at.
    clock
        Seconds of a clock that never goes back.
    """

    def __init__(self, venue: SimulatedVenue, account: Account, clock: Callable[[], float] = time.monotonic) -> None:
        self._venue, self._account, self._clock = venue, account, clock
        self._placed: dict[int, str] = {}
        self._bare_since: dict[int, float] = {}
        self._untouched_since: dict[int, tuple[float, int]] = {}
        self._longest_bare_s = self._longest_untouched_s = 0.0

    def look(self) -> None:
        """Look once; what comes and goes between two looks is not seen."""
        now = self._clock()
        orders = [order for order in list(self._venue.state.orders.values()) if order.account == self._account.address]
        self._placed.update({order.oid: order.cloid for order in orders if order.cloid is not None})
        bare: dict[int, int] = {}
        for asset, held in self._account.positions():
            covered = sum(
                order.sz
                for order in orders
                if order.status == "open"
                and order.asset == asset
                and order.reduce_only
                and order.trigger is not None
                and order.trigger.tpsl == "sl"
                and order.is_buy == (held.szi < 0)
            )
            if covered < abs(held.szi):
                bare[asset] = abs(held.szi)
        for asset, held_now in bare.items():
            since = self._bare_since.setdefault(asset, now)
            self._longest_bare_s = max(self._longest_bare_s, now - since)
            untouched, held_then = self._untouched_since.get(asset, (now, held_now))
            self._longest_untouched_s = max(self._longest_untouched_s, now - untouched)
            self._untouched_since[asset] = (now if held_now < held_then else untouched, held_now)
        self._bare_since = {asset: since for asset, since in self._bare_since.items() if asset in bare}
        self._untouched_since = {asset: kept for asset, kept in self._untouched_since.items() if asset in bare}

    def begin_anew(self) -> None:
        """Time bare positions from now on: before, nobody was there to protect them."""
        self._bare_since.clear()
        self._untouched_since.clear()

    def testimony(self) -> Testimony:
        """Return what was seen so far."""
        self.look()
        mine = [order for order in list(self._venue.state.orders.values()) if order.account == self._account.address]
        return Testimony(
            placed=Counter(self._placed.values()),
            resting=frozenset(order.cloid for order in mine if order.status == "open" and order.cloid is not None),
            fills=Counter((fill.tid, fill.oid) for fill in self._account.fills),
            longest_bare_s=self._longest_bare_s,
            longest_untouched_s=self._longest_untouched_s,
        )


def check_testimony(manager: OrderManager, seen: Testimony) -> None:
    """Assert that nothing was placed twice or by nobody, that no order is an orphan, and that every fill is known once.

    Raises
    ------
    AssertionError
        Journal and venue say different things.
    """
    records = {record.order.cloid: record for record in manager.journal.orders()}
    doubled = {cloid: number for cloid, number in seen.placed.items() if number > 1}
    assert not doubled, f"placed more than once: {doubled}"
    assert seen.placed.keys() <= records.keys(), f"of nobody: {seen.placed.keys() - records.keys()}"
    orphans = {cloid for cloid in seen.resting if records[cloid].state not in ("open", "waiting")}
    assert not orphans, f"orphans: {[records[cloid] for cloid in orphans]}"
    ours = Counter((fill.tid, fill.oid) for fill in manager.journal.fills())
    assert ours == seen.fills, f"fills lost: {seen.fills - ours}, too many: {ours - seen.fills}"
