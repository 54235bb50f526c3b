"""A venue whose answers are laid down by hand, and the order that they are about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from quant_organism.trading.orders.journal import Journal
from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.states import cloid_of
from quant_organism.venue import (
    Accepted,
    AccountState,
    CashFlow,
    DepthSnapshot,
    Fence,
    Fill,
    Holdings,
    Listed,
    NewOrder,
    Outcome,
    Position,
    Rejected,
    Resting,
    VenueError,
    VenueOrder,
    Why,
)
from quant_organism.venue.protocol import single_tier
from quant_organism_tests.trading.trader import ADDRESS, D, new_order

T = TypeVar("T")
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
    resting_says: list[Resting] = field(default_factory=list)
    holdings_says: list[Holdings] = field(default_factory=list)
    mid_prices: dict[str, Decimal] | None = field(default_factory=dict)
    book: DepthSnapshot | None = None
    dexs_are_found: list[bool] = field(default_factory=list)
    held: tuple[Position, ...] = ()
    equity_usd: Decimal = Decimal(100)
    now_ms: int = 50
    flows: list[CashFlow] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    address: str = ADDRESS
    signer: str = ADDRESS
    nonce: int = 0

    def listed(self, coin: str) -> Listed:
        """Return four decimals of size."""
        return Listed(coin, 0, 4, 50, False, False, single_tier(50))

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

    def cancel_oids(self, targets: Sequence[tuple[str, int]], nonce: int) -> list[Outcome]:
        """Cancel orders by the venue's numbers."""
        return self._said("cancel_oids", list(targets))

    def cancel_twap(self, coin: str, number: int, nonce: int) -> Outcome:
        """End a TWAP order."""
        return self._said("cancel_twap", [(coin, number)])[0]

    def schedule_cancel(self, time_ms: int | None, nonce: int) -> Outcome:
        """Set the venue's own switch."""
        return self._said("schedule_cancel", [time_ms])[0]

    def _said(self, kind: str, what: list[Any]) -> list[Outcome]:
        self.asked.append((kind, *what))
        self.meanwhile()
        return [self.outcomes.pop(0) if self.outcomes else Accepted("done") for _ in what]

    def resting(self) -> Resting:
        """Return the next look at what may still trade, and the last again and again."""
        self.asked.append(("resting",))
        return self.resting_says.pop(0) if len(self.resting_says) > 1 else [*self.resting_says, Resting()][0]

    def holdings(self) -> Holdings:
        """Return the next look at what is held, and the last again and again."""
        self.asked.append(("holdings",))
        return self.holdings_says.pop(0) if len(self.holdings_says) > 1 else [*self.holdings_says, Holdings()][0]

    def mids(self) -> dict[str, Decimal]:
        """Return mid prices, or fail."""
        self.asked.append(("mids",))
        return _there(self.mid_prices)

    def depth(self, coin: str) -> DepthSnapshot:
        """Return the book, or fail."""
        self.asked.append(("depth", coin))
        return _there(self.book)

    def find_dexs(self) -> list[str]:
        """Say that there are no others, or fail."""
        self.asked.append(("dexs",))
        return _there([] if not self.dexs_are_found or self.dexs_are_found.pop(0) else None)

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

    def account(self, dex: str | None = None) -> AccountState:
        """Return money and positions."""
        self.asked.append(("account",))
        return AccountState(self.equity_usd, D(0), D(0), self.held, self.now_ms)

    def fundings(self, since_ms: int) -> list[CashFlow]:
        """Return funding from a time on."""
        return [flow for flow in self.flows if flow.kind == "funding" and flow.time_ms >= since_ms]

    def transfers(self, since_ms: int) -> list[CashFlow]:
        """Return other money from a time on."""
        return [flow for flow in self.flows if flow.kind != "funding" and flow.time_ms >= since_ms]

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


def _there(said: T | None) -> T:
    if said is None:
        raise VenueError("no answer", where="here", remedy="wait")
    return said


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


def answered(venue: Answers, folder: Path, slept: list[float], *, visibility_seconds: float = 1.0) -> OrderManager:
    """Return a manager whose books have been compared, and which notes how it waited."""
    journal = Journal(folder / "ledger.sqlite", f"simulator {ADDRESS}")
    manager = OrderManager(
        venue,  # type: ignore[arg-type]
        journal,
        visibility_seconds=visibility_seconds,
        now_ms=lambda: 77,
        sleep=slept.append,
    )
    manager.is_reconciled = True
    journal.set_complete(True)
    return manager
