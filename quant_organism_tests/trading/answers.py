"""A venue whose answers are laid down by hand, and the order that they are about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from quant_organism.trading.orders.journal import Journal
from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.states import cloid_of
from quant_organism.venue import (
    Accepted,
    Fence,
    Fill,
    NewOrder,
    Outcome,
    Rejected,
    VenueOrder,
    Why,
)
from quant_organism.venue.protocol import Instrument, single_tier
from quant_organism_tests.trading.trader import ADDRESS, D, new_order

ME = cloid_of("d")
GONE = Rejected(Why.NOT_OPEN, "it is not open")


@dataclass
class Answers:
    """A venue that says what a test has laid down, and keeps what it was asked."""

    outcomes: list[Outcome] = field(default_factory=list)
    shown: dict[str | int, VenueOrder] = field(default_factory=dict)
    found_fills: list[Fill] = field(default_factory=list)
    past: list[VenueOrder] = field(default_factory=list)
    fence_says: Fence = Fence.UNSURE
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    signer: str = ADDRESS
    nonce: int = 0

    def listed(self, coin: str) -> Any:
        """Return four decimals of size."""
        return SimpleNamespace(asset=0, instrument=Instrument(coin, 4, single_tier(50)), sz_decimals=4, px_decimals=2)

    def draw_nonce(self) -> int:
        """Return the next number."""
        self.nonce += 1
        return self.nonce

    def place(self, orders: Sequence[NewOrder], nonce: int, *, grouping: str = "na") -> list[Outcome]:
        """Place orders."""
        return self._said("place", [order.cloid for order in orders])

    def amend(self, orders: Sequence[NewOrder], nonce: int) -> list[Outcome]:
        """Replace orders."""
        return self._said("amend", [order.sz for order in orders])

    def cancel(self, targets: Sequence[tuple[str, str]], nonce: int) -> list[Outcome]:
        """Cancel orders."""
        return self._said("cancel", [cloid for _, cloid in targets])

    def _said(self, kind: str, what: list[Any]) -> list[Outcome]:
        self.asked.append((kind, *what))
        self.meanwhile()
        return [self.outcomes.pop(0) for _ in what]

    def order_status(self, key: str | int) -> VenueOrder | None:
        """Return what is shown of an order."""
        self.asked.append(("status", key))
        return self.shown.get(key)

    def open_orders(self) -> list[VenueOrder]:
        """Return what is shown open."""
        return [order for order in self.shown.values() if order.standing == "open"]

    def past_orders(self) -> list[VenueOrder]:
        """Return what has ended."""
        return self.past

    def fills(self, since_ms: int) -> list[Fill]:
        """Return fills from a time on."""
        self.asked.append(("fills", since_ms))
        return [fill for fill in self.found_fills if fill.time_ms >= since_ms]

    def fence(self, nonce: int, signer: str) -> Fence:
        """Burn a nonce."""
        self.asked.append(("fence", nonce, signer))
        return self.fence_says

    def of(self, kind: str) -> list[Any]:
        """Return what was asked of a kind."""
        return [rest for name, *rest in self.asked if name == kind]


def shown(word: str = "open", oid: int = 5, left: str = "0.1", **changes: Any) -> VenueOrder:
    """Return how the venue shows the order, unless said otherwise."""
    order = VenueOrder("ETH", True, oid, ME, D(1900), D(left), D("0.1"), False, "Gtc", None, word, 1)
    return replace(order, **changes)


def fill(sz: str = "0.1", oid: int = 5, tid: int = 1, time_ms: int = 10, cloid: str | None = ME) -> Fill:
    """Return a fill of the order, unless said otherwise."""
    return Fill("ETH", True, D(1900), D(sz), time_ms, oid, tid, cloid, D(0), "USDC", D(0), True, False)


def standing(manager: OrderManager, oid: int = 5) -> None:
    """Have an order of a tenth of an ETH stand under a number."""
    assert isinstance(manager.venue, Answers)
    manager.venue.outcomes.append(Accepted("resting", oid))
    assert manager.place("d", [new_order("d")])[0].state == "open"
    manager.venue.asked.clear()


def answered(venue: Answers, folder: Path, slept: list[float]) -> OrderManager:
    """Return a manager whose books have been compared, which waits a second at most, and notes how it waited."""
    journal = Journal(folder / "ledger.sqlite", f"simulator {ADDRESS}")
    manager = OrderManager(
        venue,  # type: ignore[arg-type]
        journal,
        visibility_seconds=1.0,
        now_ms=lambda: 77,
        sleep=slept.append,
    )
    manager.is_reconciled = True
    journal.set_complete(True)
    return manager
