"""A feed whose line is cut by the thousand, while an account trades: every bar and every fill must come, and once.

The venue's clock runs two minutes a second. Storms, in which about every second ping finds the line cut, alternate with
calm weather, in which bars can be made of trades; frames are lost, late, doubled, swapped and spoilt all the time.
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from quant_organism.market.schema import Interval
from quant_organism.simulator import Fault, FaultInjector, RunningVenue
from quant_organism.trading.orders import Journal, OrderManager, flatten, reconcile
from quant_organism.venue import (
    Bar,
    Feed,
    FeedPlan,
    Fills,
    Limits,
    LineSpec,
    VenueError,
    VenueSpec,
    WatchSpec,
    connect,
    info_of,
)
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.chaos.market import COINS, chaos_venue, chaos_wallet
from quant_organism_tests.chaos.strategy import Strategy

SPEED: Final = 120.0
MINUTE: Final = Interval.parse("1m")
STORM_MS, CALM_SECONDS = 6 * 60_000, 1.5
HEALING_SECONDS: Final = 60.0
SECONDS_PER_DISCONNECT: Final = 10.0
"""Far more than a storm takes on a busy machine; a line that is cut more seldom is not being cut any more."""
STOP_SECONDS: Final = 60.0
LINE: Final = LineSpec(
    watch=WatchSpec(ping_seconds=0.02, pong_seconds=0.5, ack_seconds=0.5, freshness_seconds={"l2Book": 1.0}),
    first_backoff_seconds=0.01,
    max_backoff_seconds=0.05,
    messages_per_second=2_000,
    check_seconds=0.01,
)
_STANDING: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "refuse_socket", "probability": 0.1, "options": {"status": 503}},
    {"kind": "abort_socket", "probability": 0.003},
    {"kind": "close_socket", "probability": 0.01, "options": {"code": 1000}},
    {"kind": "silence_socket", "probability": 0.001},
    {"kind": "withhold_pong", "probability": 0.01},
    {"kind": "withhold_ack", "probability": 0.005},
    {"kind": "delay_ack", "probability": 0.01, "options": {"ms": 20}},
    # a lost frame shows by the stream's twin: trades by the candle, fills by the events of the account
    {"kind": "drop_frame", "probability": 0.02, "channel": "trades"},
    {"kind": "drop_frame", "probability": 0.1, "channel": "userFills"},
    {"kind": "delay_frame", "probability": 0.02, "options": {"ms": 30}},
    {"kind": "duplicate_frame", "probability": 0.05},
    {"kind": "reorder_frame", "probability": 0.02, "channel": "l2Book"},
    {"kind": "malform_frame", "probability": 0.005},
    {"kind": "unknown_channel", "probability": 0.02},
    {"kind": "unknown_keys", "probability": 0.05},
    {"kind": "null_fields", "probability": 0.05, "channel": "bbo"},
    {"kind": "unknown_status", "probability": 0.05, "channel": "orderUpdates"},
)


@dataclass(slots=True)
class LineCount:
    """What became of a line.

    Attributes
    ----------
    faults
        Strikes by kind.
    disconnects
        Sockets that ended, by reason.
    bars
        By origin: made of trades, or asked for; each was compared with the venue's candle.
    revisions
        Bars that a late trade brought again.
    fills
        Each was told of exactly once.
    """

    faults: Counter[str] = field(default_factory=Counter)
    disconnects: Counter[str] = field(default_factory=Counter)
    bars: Counter[str] = field(default_factory=Counter)
    revisions: int = 0
    fills: int = 0


def run_line(seed: int, folder: Path, disconnects: int, told: Callable[[str], None]) -> LineCount:
    """Cut a feed's line so many times.

    Parameters
    ----------
    seed
        Of market, faults and trading.
    folder
        Where the trader's journal is kept.
    disconnects
        At least so many.
    told
        Is told how far it is.

    Raises
    ------
    AssertionError
        A bar was lost or altered, a fill lost or doubled.
    """
    wallet = chaos_wallet(seed, "listener")
    with chaos_venue(seed, {wallet.address: 100_000}, speed=SPEED, days=8, ticks_per_bar=240) as running:
        spec = VenueSpec("simulator", wallet.address, running.url, read_seconds=5.0, limits=Limits(10**6, 10**5))
        venue = connect(spec, wallet, folder / "signers")
        manager = OrderManager(venue, Journal(folder / "ledger.sqlite", f"simulator {wallet.address}"))
        reconcile(manager)
        trading = _Trading(manager, Strategy("listener", COINS, np.random.default_rng([seed, 2])))
        try:
            return asyncio.run(_listen(seed, running, wallet.address, trading, disconnects, told))
        finally:
            trading.stop()
            venue.close()
            manager.journal.close()


class _Trading:
    """Trades in a thread until it is told to stop."""

    def __init__(self, manager: OrderManager, strategy: Strategy) -> None:
        self.manager, self._strategy = manager, strategy
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being done, and nothing after it."""
        self._enough.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
            assert not self._thread.is_alive(), f"the trading thread did not stop within {STOP_SECONDS:.0f} s"

    def _run(self) -> None:
        while not self._enough.wait(0.05):
            with contextlib.suppress(VenueError):
                self._strategy.step(self.manager)


async def _listen(
    seed: int, running: RunningVenue, user: str, trading: _Trading, disconnects: int, told: Callable[[str], None]
) -> LineCount:
    ask = info_of(running.url, weight_per_minute=10**6)
    begin = ask({"type": "exchangeStatus"})["time"]
    plan = FeedPlan(dict.fromkeys(COINS, 5), [MINUTE], begin, users=(user,), quotes=("bbo", "l2Book"))
    feed = Feed(running.url, plan, ask, rng=np.random.default_rng([seed, 1]), line=LINE)
    bars: dict[tuple[str, int], Bar] = {}
    fills: Counter[tuple[int, int]] = Counter()
    count = LineCount()

    async def collect() -> None:
        async for event in feed.events():
            if isinstance(event, Bar):
                count.revisions += event.is_revision
                bars[event.coin, event.open_ms] = event
            elif isinstance(event, Fills):
                fills.update((fill.tid, fill.oid) for fill in event.fills)

    injector = running.server.injector
    feeding, collecting = asyncio.create_task(feed.run()), asyncio.create_task(collect())
    try:
        trading.start()
        await asyncio.to_thread(_arm, injector)
        patience = time.monotonic() + STOP_SECONDS + disconnects * SECONDS_PER_DISCONNECT
        while (lost := sum(feed.status.lost.values())) < disconnects:
            for task in (feeding, collecting):
                assert not task.done(), f"the feed ended after {lost} disconnects: {task}"
            assert time.monotonic() < patience, f"{lost} of {disconnects} disconnects in all the time there was"
            injector.add(_fault("abort_socket", action="ping", probability=0.5, count=None, duration_ms=STORM_MS))
            await asyncio.sleep(STORM_MS / 1000 / SPEED + CALM_SECONDS)
            told(f"{sum(feed.status.lost.values())} disconnects, {len(bars)} bars, {sum(fills.values())} fills")
        injector.clear()
        await asyncio.to_thread(trading.stop)
        await asyncio.to_thread(flatten, trading.manager, "end", sleep=time.sleep)
        assert (await asyncio.to_thread(reconcile, trading.manager)).is_clean
        venue = running.server.engine.venue
        account = venue.state.accounts[user]
        check_journal_is_venue(trading.manager, venue, account)
        traded = Counter((fill.tid, fill.oid) for fill in account.fills)
        due = await asyncio.to_thread(_candles, ask, begin, ask({"type": "exchangeStatus"})["time"])
        end = time.monotonic() + HEALING_SECONDS
        while time.monotonic() < end:
            if fills == traded and all(_values(bars.get(key)) == values for key, values in due.items()):
                break
            await asyncio.sleep(0.1)
    finally:
        for task in (feeding, collecting):
            task.cancel()
        await asyncio.gather(feeding, collecting, return_exceptions=True)
    for key, values in due.items():
        assert _values(bars.get(key)) == values, f"bar {key}: the venue has {values}, the feed {bars.get(key)}"
    assert fills == traded, f"fills lost: {traded - fills}, too many: {fills - traded}"
    count.faults.update(entry["kind"] for entry in injector.log)
    count.disconnects = feed.status.lost
    count.bars.update(bars[key].origin for key in due)
    count.fills = sum(fills.values())
    return count


def _arm(injector: FaultInjector) -> None:
    for fault in _STANDING:
        injector.add(_fault(count=None, **fault))
    injector.add(_fault("refuse_subscription", channel="bbo", coin=COINS[0]))


def _fault(kind: str, **said: Any) -> Fault:
    return Fault.model_validate({"kind": kind, "endpoint": "ws", **said})


def _candles(ask: Callable[[Any], Any], begin_ms: int, now_ms: int) -> dict[tuple[str, int], tuple[float, ...]]:
    """Return the venue's closed candles."""
    last = now_ms // MINUTE.milliseconds * MINUTE.milliseconds
    found = {}
    for coin in COINS:
        span = {"startTime": begin_ms, "endTime": last}
        rows = ask({"type": "candleSnapshot", "req": {"coin": coin, "interval": MINUTE.name, **span}})
        found |= {
            (coin, row["t"]): (*(float(row[name]) for name in "ohlcv"), row["n"])
            for row in rows
            if begin_ms <= row["t"] < last
        }
    return found


def _values(bar: Bar | None) -> tuple[float, ...] | None:
    return None if bar is None else (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades)
