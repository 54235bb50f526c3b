"""A trader that does random things until it is killed, and whoever looks at what it left behind."""

import contextlib
import itertools
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from quant_organism.exchange.client.failures import VenueError
from quant_organism.exchange.client.hyperliquid import HyperliquidVenue, connect
from quant_organism.exchange.client.network import Limits, VenueSpec
from quant_organism.exchange.client.requests import NewOrder, Trigger
from quant_organism.exchange.keystore import wallet_of
from quant_organism.exchange.orders.identity import cloid_of
from quant_organism.exchange.orders.journal import Journal
from quant_organism.exchange.orders.manager import OrderManager
from quant_organism.exchange.orders.reconciliation import reconcile
from quant_organism.exchange.simulator.core.account import Account
from quant_organism.exchange.simulator.core.order import Order
from quant_organism.exchange.simulator.core.venue import Venue

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


def spec(url: str) -> VenueSpec:
    """Return the loopback venue, asked often and with little patience."""
    return VenueSpec("simulator", ADDRESS, url, read_seconds=0.5, limits=Limits(breaker_failures=50))


def open_manager(
    url: str,
    folder: Path,
    *,
    visibility_seconds: float = 0.5,
    sleep: Callable[[float], None] = time.sleep,
) -> OrderManager:
    """Return a manager over the journal of a folder."""
    found = connect(spec(url), wallet_of(KEY), folder / "signers", sleep=sleep)
    # this machine's requests are not what is tested here
    found.transport.weight.spend = lambda weight, is_action=False: None  # type: ignore[method-assign]
    journal = Journal(folder / "ledger.sqlite", f"simulator {ADDRESS}")
    return OrderManager(found, journal, visibility_seconds=visibility_seconds, sleep=sleep)


def close(manager: OrderManager) -> None:
    """Let another process trade."""
    assert isinstance(manager.venue, HyperliquidVenue)
    manager.venue.close()
    manager.journal.close()


def trade(manager: OrderManager, run: str, rng: np.random.Generator, steps: "itertools.count[int] | range") -> None:
    """Do random things."""
    for step in steps:
        decision = f"{run}/{step}"
        live = [record for record in manager.journal.orders(live_only=True) if record.order.trigger is None]
        kind = rng.integers(6)
        mid = _mid(manager)
        low = mid * 19 // 20
        if kind == 0:
            manager.place(decision, [new_order(decision, px=str(low + int(rng.integers(20))))])
        elif kind == 1:
            side = bool(rng.integers(2))
            px = str(mid * (201 if side else 199) // 200)
            manager.place(decision, [new_order(decision, px=px, is_buy=side, tif="Ioc")])
        elif kind == 2:
            manager.place(decision, [new_order(decision, px=str(low), leg=str(leg), sz="0.02") for leg in range(3)])
        elif kind == 3:
            manager.place(decision, bracket(decision, mid), grouping="normalTpsl")
        elif live and kind == 4:
            record = live[int(rng.integers(len(live)))]
            if record.state == "open" and not manager.journal.unsettled(record.order.cloid):
                manager.amend(record.order.cloid, D(low - int(rng.integers(40))), record.order.sz)
        elif live:
            manager.cancel([live[int(rng.integers(len(live)))].order.cloid])
        if step % 5 == 4:
            manager.settle()
            with contextlib.suppress(VenueError):
                manager.sync_fills()


def _mid(manager: OrderManager) -> int:
    while True:
        with contextlib.suppress(VenueError):
            return int(manager.venue.mids()["ETH"])


def trade_until_killed(url: str, folder: Path, run: int, ready: Any) -> None:
    """Run in a process of its own."""
    manager = open_manager(url, folder)
    reconcile(manager)
    ready.set()
    trade(manager, str(run), np.random.default_rng(run), itertools.count())


def check_journal_is_venue(manager: OrderManager, venue: Venue, account: Account) -> None:
    """Assert that no order is doubled, lost or orphaned, and that every fill is there once."""
    records = {record.order.cloid: record for record in manager.journal.orders()}
    there: dict[str, list[Order]] = {cloid: [] for cloid in records}
    for order in venue.state.orders.values():
        if order.account == account.address:
            assert order.cloid in records, "an order of which the journal knows nothing"
            there[order.cloid].append(order)
            if order.status == "open":
                assert records[order.cloid].state in ("open", "waiting")
    for cloid, record in records.items():
        living = [order for order in there[cloid] if order.status in ("open", "filled")]
        assert len(living) <= 1, "an order was placed twice"
        if record.state in ("open", "waiting", "filled"):
            assert len(living) == 1
    ours = [(fill.tid, fill.oid) for fill in manager.journal.fills()]
    assert len(ours) == len(set(ours))
    assert set(ours) == {(fill.tid, fill.oid) for fill in account.fills}
    listings = venue.state.listings
    held = {listings[a].instrument.name: D(listings[a].sz(holding.szi)) for a, holding in account.positions()}
    assert manager.journal.positions() == dict(sorted(held.items()))
