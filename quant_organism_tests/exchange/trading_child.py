"""A trader that does random things until it is killed, and whoever looks at what it left behind."""

import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from quant_organism.exchange.client.hyperliquid import HyperliquidVenue, connect
from quant_organism.exchange.client.network import Limits, VenueSpec
from quant_organism.exchange.client.requests import NewOrder, Trigger
from quant_organism.exchange.keystore import wallet_of
from quant_organism.exchange.orders.identity import cloid_of
from quant_organism.exchange.orders.journal import Journal
from quant_organism.exchange.orders.manager import OrderManager
from quant_organism.exchange.orders.reconciliation import reconcile
from quant_organism_tests.exchange.loopback import LoopbackVenue

KEY = "0x" + "0123456789" * 6 + "0123"
ADDRESS = wallet_of(KEY).address
D = Decimal


def new_order(decision: str, *, px: str = "1900", sz: str = "0.1", leg: str = "entry", **changes: Any) -> NewOrder:
    """Return a bid for ETH, unless said otherwise."""
    order: dict[str, Any] = {"coin": "ETH", "is_buy": True, "px": D(px), "sz": D(sz), **changes}
    return NewOrder(cloid_of(decision, leg), **order)


def bracket(decision: str) -> list[NewOrder]:
    """Return an entry that fills at once, with its take-profit and its stop."""
    child = {"is_buy": False, "reduce_only": True, "sz": "0.05"}
    return [
        new_order(decision, px="2010", sz="0.05"),
        new_order(decision, leg="tp", px="2200", trigger=Trigger(D(2200), "tp"), **child),
        new_order(decision, leg="sl", px="1700", trigger=Trigger(D(1800), "sl"), **child),
    ]


def spec(url: str) -> VenueSpec:
    """Return the loopback venue, asked often and with little patience."""
    return VenueSpec("simulator", ADDRESS, url, read_seconds=0.5, limits=Limits(breaker_failures=50))


def open_manager(url: str, folder: Path, *, visibility_seconds: float = 0.5) -> OrderManager:
    """Return a manager over the journal of a folder."""
    found = connect(spec(url), wallet_of(KEY), folder / "signers")
    # this machine's requests are not what is tested here
    found.transport.weight.spend = lambda weight, is_action=False: None  # type: ignore[method-assign]
    journal = Journal(folder / "ledger.sqlite", f"simulator {ADDRESS}")
    return OrderManager(found, journal, visibility_seconds=visibility_seconds)


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
        if kind == 0:
            manager.place(decision, [new_order(decision, px=str(1900 + int(rng.integers(20))))])
        elif kind == 1:
            side = bool(rng.integers(2))
            manager.place(decision, [new_order(decision, px="2010" if side else "1990", is_buy=side, tif="Ioc")])
        elif kind == 2:
            manager.place(decision, [new_order(decision, leg=str(leg), sz="0.02") for leg in range(3)])
        elif kind == 3:
            manager.place(decision, bracket(decision), grouping="normalTpsl")
        elif live and kind == 4:
            record = live[int(rng.integers(len(live)))]
            if record.state == "open" and not manager.journal.unsettled(record.order.cloid):
                manager.amend(record.order.cloid, D(1850 + int(rng.integers(40))), record.order.sz)
        elif live:
            manager.cancel([live[int(rng.integers(len(live)))].order.cloid])
        if step % 5 == 4:
            manager.settle()
            manager.sync_fills()


def trade_until_killed(url: str, folder: Path, run: int, ready: Any) -> None:
    """Run in a process of its own."""
    manager = open_manager(url, folder)
    reconcile(manager)
    ready.set()
    trade(manager, str(run), np.random.default_rng(run), itertools.count())


def check_journal_is_venue(manager: OrderManager, server: LoopbackVenue) -> None:
    """Assert that no order is doubled, lost or orphaned, and that every fill is there once."""
    records = {record.order.cloid: record for record in manager.journal.orders()}
    for order in server.orders():
        assert order.cloid in records, "an order of which the journal knows nothing"
        standing = records[order.cloid].state
        if order.status == "open":
            assert standing in ("open", "waiting")
    for cloid, record in records.items():
        there = server.orders(cloid)
        living = [order for order in there if order.status in ("open", "filled")]
        assert len(living) <= 1, "an order was placed twice"
        if record.state in ("open", "waiting", "filled"):
            assert len(living) == 1
    theirs = {(fill.tid, fill.oid) for fill in server.account.fills}
    ours = [(fill.tid, fill.oid) for fill in manager.journal.fills()]
    assert len(ours) == len(set(ours))
    assert set(ours) == theirs
    held = {coin: int(szi * 10_000) for coin, szi in manager.journal.positions().items()}
    assert held == server.positions()
