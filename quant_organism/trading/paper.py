"""A session on live bars: a feed brings them, the trader decides, fills are modelled by the account's own rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from quant_organism.backtest.account import FillModel
from quant_organism.market.panel import Panel
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.lines import LineKeeper
from quant_organism.trading.live_bars import (
    BarCollector,
    FeedInstruments,
    LiveMarket,
    Settlements,
    extended,
    ledger_bars,
)
from quant_organism.trading.records import LedgerBar, LedgerSession
from quant_organism.trading.runtime import CloseReport, Trader, Watcher
from quant_organism.trading.starting import SessionSpec, begin_session, last_close, resumable, resume_session
from quant_organism.venue import Bar, Feed

_LOOK_S: Final = 0.02
_WATCH_S: Final = 1.0


class TraderClock(Protocol):
    """What a live session asks for the time."""

    def monotonic_s(self) -> float:
        """Return seconds since any fixed moment."""
        ...

    def wall_ms(self) -> int:
        """Return UTC milliseconds."""
        ...


@dataclass(frozen=True, kw_only=True)
class LiveSession:
    """What a session on live bars is made of.

    Parameters
    ----------
    ledger, spec
        Where it is written down, and what it is.
    history
        Whole days of the lake up to the first bar that the feed brings, of all symbols.
    feed
        Makes a feed of the bars that open at a time or later; not running yet.
    settlements
        Makes the funding from a time on.
    now_ms
        The venue's clock, asked once.
    clock
        This machine's.
    patience_s
        As in `BarCollector`.
    fear_greed
        Returns the index known at a close, none where there is none.
    instruments
        What is read of the feed.
    lines
        Leaves at rest how the lines are.
    beat
        Called every second or so, between decisions, to show that the session lives.
    """

    ledger: TraderLedger
    spec: SessionSpec
    history: Panel
    feed: Callable[[int], Feed]
    settlements: Callable[[int], Settlements]
    now_ms: int
    clock: TraderClock
    patience_s: float = 6.0
    fear_greed: Callable[[int], float | None] = lambda close_ms: None
    instruments: FeedInstruments
    lines: LineKeeper
    beat: Callable[[], None] = lambda: None


async def trade_live(
    session: LiveSession,
    *,
    told: Callable[[CloseReport], None],
    watcher: Watcher | None = None,
    closes: int | None = None,
) -> Trader:
    """Trade until cancelled, or for so many closes.

    A new session begins at the last bar that has closed; one that goes on first catches up with the bars that it has
    missed, as if it had never stopped.

    Parameters
    ----------
    session
        What is traded.
    told
        Is told of each close.
    watcher
        Has strategies join and leave while it runs; none: those of the beginning stay.
    closes
        Closes after which it ends; none: never.

    Raises
    ------
    QuantOrganismError
        The feed, the venue or the ledger failed.
    """
    return await _Running(session, told, watcher, closes).run()


class _Running:
    def __init__(
        self,
        session: LiveSession,
        told: Callable[[CloseReport], None],
        watcher: Watcher | None,
        closes: int | None,
    ) -> None:
        self.session, self.told, self.watcher, self.left = session, told, watcher, closes
        self.step = session.spec.interval.milliseconds
        self.begun: LedgerSession | None = resumable(session.ledger, session.spec)
        kept = [] if self.begun is None else session.ledger.read(LedgerBar, session=self.begun.session)
        self.number = session.ledger.next_session() if self.begun is None else self.begun.session
        self.next_ms = int(session.history.times[-1]) + self.step
        if self.begun is not None:
            self.next_ms = last_close(session.ledger, self.begun)
        self.known = extended(session.history, kept, self.next_ms)
        self.first_close_ms = session.now_ms // self.step * self.step
        self.settlements = session.settlements(self.next_ms - 2 * 24 * 3_600_000)
        self.warm: list[LedgerBar] = []
        self.trader: Trader | None = None
        self.market: LiveMarket | None = None
        self.deciding = asyncio.Lock()
        self.has_failed = False
        self.watched_s = session.clock.monotonic_s()

    async def run(self) -> Trader:
        session = self.session
        collector = BarCollector(
            session.spec.symbols,
            session.spec.interval,
            self.next_ms,
            past_ms=session.now_ms - self.step,
            patience_s=session.patience_s,
        )
        if self.begun is not None:
            self._start(resume_session(session.ledger, session.spec, self.begun, self.known))
            assert self.trader is not None
            self.trader.note("resumed", "taken up at its last close", at_ms=session.clock.wall_ms())
        elif self.next_ms >= self.first_close_ms:
            self._begin(self.next_ms)
        feed = session.feed(self.next_ms)
        session.instruments.follow(feed)

        async def collect() -> None:
            async for event in feed.events():
                if isinstance(event, Bar):
                    collector.add(event, session.clock.monotonic_s())
                    await self._decide(collector)

        tasks = [asyncio.create_task(work) for work in (feed.run(), collect(), session.lines.keep())]
        try:
            while self.left != 0:
                done, _ = await asyncio.wait(tasks, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                if done:
                    break
                if self.left != 0:
                    await self._decide(collector)
                    await self._watch()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.trader is not None:
                self.trader.end(session.clock.wall_ms(), "stopped")
        assert self.trader is not None
        return self.trader

    async def _decide(self, collector: BarCollector) -> None:
        async with self.deciding:
            if self.has_failed:  # whoever failed tells why: nothing is decided on what it has left
                return
            try:
                for open_ms, bars in collector.complete(self.session.clock.monotonic_s()):
                    if self.left != 0:
                        await self._take(open_ms, bars)
            except BaseException:
                self.has_failed = True
                raise

    async def _watch(self) -> None:
        """See to what was sent and what rests, every second."""
        now_s = self.session.clock.monotonic_s()
        if self.trader is not None and now_s >= self.watched_s + _WATCH_S:
            self.watched_s = now_s
            self.session.beat()
            async with self.deciding:
                await asyncio.to_thread(self.trader.watch)  # the socket is read meanwhile

    async def _take(self, open_ms: int, bars: Mapping[str, Bar]) -> None:
        session, close_ms = self.session, open_ms + self.step
        await asyncio.to_thread(self.settlements.fetch, close_ms)  # the socket is read meanwhile
        rate, paid = self.settlements.of_bar(open_ms, session.spec.interval)
        # What was missed is caught up with as if it had come in time.
        is_new = close_ms > session.now_ms
        rows = ledger_bars(
            self.number,
            open_ms,
            bars,
            rate,
            paid,
            fear_greed=session.fear_greed(close_ms),
            received_ms=session.instruments.received_ms(close_ms) if is_new else close_ms,
        )
        if self.trader is None:
            self.warm += rows
            if close_ms >= self.first_close_ms:
                self._begin(close_ms)
            return
        assert self.market is not None
        report = await asyncio.to_thread(self.trader.on_bar, self.market.take(open_ms, rows))
        self.left = None if self.left is None else self.left - 1
        self.told(report)

    def _begin(self, close_ms: int) -> None:
        session = self.session
        self.known = extended(self.known, self.warm, close_ms)
        self._start(begin_session(session.ledger, session.spec, self.known, session.clock.wall_ms(), self.warm))

    def _start(self, trader: Trader) -> None:
        self.trader = trader
        trader.watcher = self.watcher
        self.market = LiveMarket(self.known, FillModel.of(self.session.spec.costs))
