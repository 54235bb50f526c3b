"""An account is followed over a real line that is cut again and again: no fill is lost or told twice."""

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from quant_organism.simulator import RunningVenue, Tape
from quant_organism.trading import (
    AccountFollower,
    BooksDiffer,
    CashMoved,
    FillHeard,
    FollowerSpec,
    LineLost,
    LineRestored,
    OrderEnded,
)
from quant_organism.trading.follower import unprotected_coins
from quant_organism.trading.orders import OrderManager, cloid_of
from quant_organism.venue import HyperliquidVenue, LineSpec, Trigger, WatchSpec, account_feed, quantised_price
from quant_organism.venue.protocol import wire
from quant_organism.venue.protocol.decimals import MICRO_USD
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.simulator.conftest import make_server, small_tape
from quant_organism_tests.trading.trader import ADDRESS, D, close, eventually, new_order, open_manager

__all__ = ["small_tape"]

LINE = LineSpec(
    watch=WatchSpec(ping_seconds=0.2, pong_seconds=1.0, freshness_seconds={}),
    first_backoff_seconds=0.02,
    max_backoff_seconds=0.1,
    messages_per_second=1_000,
    check_seconds=0.05,
)
SPEC = FollowerSpec(account_seconds=0.3, reconcile_seconds=30.0, stale_seconds=2.0, retry_seconds=0.1)


class Followed:
    """A served venue, an account on it, and whoever follows it."""

    def __init__(self, running: RunningVenue, manager: OrderManager) -> None:
        self.running, self.manager = running, manager
        assert isinstance(manager.venue, HyperliquidVenue)
        feed = account_feed(manager.venue, rng=np.random.default_rng(0), line=LINE)
        self.follower = AccountFollower(manager, feed, SPEC)
        self.heard: list[object] = []

    @property
    def account(self):  # type: ignore[no-untyped-def]
        return self.running.server.engine.venue.state.accounts[ADDRESS]

    def told(self, kind: type) -> list:  # type: ignore[type-arg]
        """Return the events of a kind so far."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.heard.append(self.follower.events.get_nowait())
        return [event for event in self.heard if isinstance(event, kind)]

    def cut(self) -> None:
        """Break every socket."""
        self.running.server.break_connections()

    def buy(self, name: str, usd: int = 100, *, sells: bool = False) -> None:
        """Trade some ETH at market."""
        listed, mid = self.manager.venue.listed("ETH"), self.manager.venue.mids()["ETH"]
        px = quantised_price(mid * (D("0.97") if sells else D("1.03")), listed, up=sells)
        sz = (D(usd) / mid).quantize(D("0.0001"))
        self.manager.place(name, [new_order(name, px=str(px), sz=str(sz), is_buy=not sells, tif="Ioc")])

    def pass_hours(self, hours: int) -> None:
        """Let the venue's time pass."""
        server = self.running.server
        server.step(server.engine.now_ms + hours * 3_600_000)


@pytest.fixture
def followed(small_tape: Tape, tmp_path: Path) -> Iterator[Followed]:
    """Follow an account with 10,000 USD."""
    server = make_server(small_tape)
    server.engine.deposit(ADDRESS, 10_000 * MICRO_USD)
    with RunningVenue(server) as running:
        manager = open_manager(running.url, tmp_path)
        world = Followed(running, manager)
        assert world.follower.start().is_clean
        assert eventually(lambda: world.follower.standing().is_known)
        yield world
        world.follower.close()
        close(manager)


def test_an_account_is_known_once_everything_is(followed: Followed) -> None:
    followed.buy("a")
    assert eventually(lambda: len(followed.told(FillHeard)) > 0)
    assert eventually(lambda: followed.told(OrderEnded) != [])
    assert eventually(lambda: followed.follower.standing().round_trip_s is not None)
    standing = followed.follower.standing()
    assert standing.is_known
    assert standing.unprotected == ("ETH",)
    assert standing.positions == followed.manager.journal.positions()
    assert standing.state is not None
    assert abs(standing.skew_ms) < 5_000
    assert all(event.order.order.cloid == cloid_of("a") for event in followed.told(FillHeard))
    assert [event.order.state for event in followed.told(OrderEnded)] == ["filled"]


def test_a_lost_line_is_not_healthy_and_nothing_is_lost_over_it(followed: Followed) -> None:
    """Fills of the gap, of orders that rested and of nobody's, come once; then it is said that nothing is missing."""
    listed, mid = followed.manager.venue.listed("ETH"), followed.manager.venue.mids()["ETH"]
    bid = quantised_price(mid * D("0.999"), listed, up=False)
    followed.manager.place("rest", [new_order("rest", px=str(bid), sz="0.05")])
    for number in range(3):
        followed.cut()
        followed.pass_hours(3)
        followed.buy(f"gap{number}", sells=number == 1)
        assert eventually(lambda: len(followed.told(LineRestored)) > number)  # noqa: B023
    traded = Counter((fill.tid, fill.oid) for fill in followed.account.fills)
    assert eventually(lambda: len(followed.told(FillHeard)) == sum(traded.values()))
    assert Counter((event.fill.tid, event.fill.oid) for event in followed.told(FillHeard)) == traded
    assert len(followed.told(LineLost)) == len(followed.told(LineRestored))
    assert eventually(lambda: followed.follower.standing().is_known)
    assert followed.told(BooksDiffer) == []
    paid = sum(event.flow.usd for event in followed.told(CashMoved) if event.flow.kind == "funding")
    assert paid == D(sum(row.micro_usd for row in followed.account.fundings)) / 1_000_000
    check_journal_is_venue(followed.manager, followed.running.server.engine.venue, followed.account)


def test_a_line_that_does_not_come_back_is_unknown(followed: Followed) -> None:
    stop = threading.Event()

    def keep_cutting() -> None:
        while not stop.is_set():
            followed.cut()
            time.sleep(0.01)

    thread = threading.Thread(target=keep_cutting, daemon=True)
    thread.start()
    try:
        assert eventually(lambda: not followed.follower.standing().is_known)
        assert eventually(lambda: followed.told(LineLost) != [])
        assert followed.told(LineRestored) == []
    finally:
        stop.set()
        thread.join(30.0)
    assert eventually(lambda: followed.told(LineRestored) != [])


def test_what_somebody_else_does_is_told(followed: Followed) -> None:
    engine = followed.running.server.engine
    followed.running.server.step(engine.now_ms + 1_000)
    mid, listed = followed.manager.venue.mids()["ETH"], followed.manager.venue.listed("ETH")
    px = quantised_price(mid * D("1.03"), listed, up=False)
    order = wire.OrderRequest(listed.asset, True, px, D("0.05"), False, "Ioc", None, None)
    answer = engine.act(followed.account, wire.PlaceOrders((order,), "na"))
    assert "filled" in answer["response"]["data"]["statuses"][0], answer
    engine.deposit(ADDRESS, 5 * MICRO_USD)
    assert eventually(lambda: followed.told(FillHeard) != [])
    assert followed.told(FillHeard)[0].order is None
    followed.account.add_raw(0, -3 * MICRO_USD)
    followed.follower.compare_soon()
    assert eventually(lambda: followed.told(BooksDiffer) != [])
    assert followed.told(BooksDiffer)[0].balance.gap_usd == -3
    assert [event.flow.usd for event in followed.told(CashMoved)] == [5]
    assert "books and venue do not agree" in followed.follower.standing().doubts


def test_a_stop_protects_what_it_covers(followed: Followed) -> None:
    followed.buy("a", 200)
    followed.manager.sync_fills()
    held = followed.manager.journal.positions()["ETH"]
    listed, mid = followed.manager.venue.listed("ETH"), followed.manager.venue.mids()["ETH"]
    level = quantised_price(mid * D("0.8"), listed, up=False)

    def protect(name: str, sz: str) -> None:
        stop = new_order(
            name,
            px=str(quantised_price(level * D("0.9"), listed, up=False)),
            sz=sz,
            is_buy=False,
            reduce_only=True,
            trigger=Trigger(level, "sl"),
        )
        assert followed.manager.place(name, [stop])[0].state == "open"

    protect("half", str((held / 2).quantize(D("0.0001"))))
    assert followed.follower.standing().unprotected == ("ETH",)
    protect("rest", str(held))
    assert followed.follower.standing().unprotected == ()
    assert unprotected_coins({"ETH": -held}, followed.follower.standing().orders) == ("ETH",)
