"""A trader with one account on a loopback venue, and the orders that it places."""

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from quant_organism.trading.orders.journal import Journal
from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.states import cloid_of
from quant_organism.venue import HyperliquidVenue, Limits, NewOrder, Trigger, VenueSpec, connect, wallet_of
from quant_organism_tests.simulator.loopback import Failure, LoopbackVenue

KEY = "0x" + "0123456789" * 6 + "0123"
ADDRESS = wallet_of(KEY).address
D = Decimal


def new_order(decision: str, *, px: str = "1900", sz: str = "0.1", leg: str = "entry", **changes: Any) -> NewOrder:
    """Return a bid for ETH, unless said otherwise."""
    order: dict[str, Any] = {"coin": "ETH", "is_buy": True, "px": D(px), "sz": D(sz), **changes}
    return NewOrder(cloid_of(decision, leg), **order)


def bracket(decision: str, mid: int = 2000) -> list[NewOrder]:
    """Return an entry that fills at once, with its take-profit and its stop."""
    child = {"is_buy": False, "reduce_only": True, "sz": "0.05"}
    high, low = mid * 11 // 10, mid * 9 // 10
    return [
        new_order(decision, px=str(mid * 201 // 200), sz="0.05"),
        new_order(decision, leg="tp", px=str(high), trigger=Trigger(D(high), "tp"), **child),
        new_order(decision, leg="sl", px=str(low * 9 // 10), trigger=Trigger(D(low), "sl"), **child),
    ]


def spec(url: str, address: str = ADDRESS) -> VenueSpec:
    """Return the loopback venue, asked often and with little patience; its weight is not what is tested here."""
    return VenueSpec("simulator", address, url, read_seconds=0.5, limits=Limits(10**6, 10**5, breaker_failures=50))


def open_manager(
    url: str,
    folder: Path,
    *,
    visibility_seconds: float = 0.5,
    sleep: Callable[[float], None] = time.sleep,
    key: str = KEY,
    address: str = ADDRESS,
    action_seconds: float = 30.0,
) -> OrderManager:
    """Return a manager over the journal of a folder."""
    venue = replace(spec(url, address), action_seconds=action_seconds)
    found = connect(venue, wallet_of(key), folder / "signers", sleep=sleep)
    journal = Journal(folder / "ledger.sqlite", f"simulator {address}")
    return OrderManager(found, journal, visibility_seconds=visibility_seconds, sleep=sleep)


def close(manager: OrderManager) -> None:
    """Let another process trade."""
    assert isinstance(manager.venue, HyperliquidVenue)
    manager.venue.close()
    manager.journal.close()


def fail_once(server: LoopbackVenue, kind: str, failure: Failure) -> None:
    """Fail the next request of a kind, action or question."""
    left = [failure]

    def inject(endpoint: str, body: dict[str, Any]) -> Failure | None:
        return left.pop() if left and body.get("action", body).get("type") == kind else None

    server.inject = inject


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Look again and again until something holds; say whether it did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return holds()
