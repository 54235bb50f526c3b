"""The trader: bars in, decisions, plans, fills and a ledger out.

Each bar is one step: what it filled is booked, the strategies see it, they decide at its close, the pipeline judges,
the accounts plan, all of that is written down whole, and then what was planned is sent. Nothing here asks a clock or a
venue: bars and execution are handed in, so that a replay, a paper trader and a live one run the same code.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quant_organism.backtest import MarketRow
from quant_organism.backtest.account import AccountBar, TradedAsset
from quant_organism.errors import InputError
from quant_organism.market import Interval, format_ms
from quant_organism.trading.following import Followed
from quant_organism.trading.lanes import AccountLane, rules_for
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.orders import NotFlat
from quant_organism.trading.records import (
    LedgerBar,
    LedgerEvent,
    LedgerRecord,
    LedgerSession,
    LedgerSessionEnd,
    LedgerStrategy,
)
from quant_organism.venue import VenueError


@dataclass(frozen=True, eq=False)
class TradedBar:
    """One closed bar of all symbols of a session.

    Parameters
    ----------
    row
        As strategies see it.
    account
        As modelled fills see it.
    received_ms
        When it came, by the venue's clock; its close where it is read from the lake.
    """

    row: MarketRow
    account: AccountBar
    received_ms: int


@dataclass(frozen=True)
class CloseReport:
    """What a close brought; what people are shown while it trades.

    Parameters
    ----------
    close_ms
        The close.
    records
        All that was written down.
    """

    close_ms: int
    records: tuple[LedgerRecord, ...]


Watcher = Callable[[int, "Trader"], list[LedgerRecord]]
"""Looks at the documents at a close, and has strategies join or leave; returns what is to be written down of it."""


@dataclass(eq=False)
class Trader:
    """A session that runs.

    Parameters
    ----------
    ledger, session
        Where everything is written down, and under which session.
    symbols, interval
        The N symbols of the bars, sorted, and their length.
    lanes
        The session's account first, then those of strategies that are watched, by account.
    opens_lane
        Makes the lane of a strategy that is watched.
    keeps_bars
        Whether the bars are written down too: where nothing else can bring them back.
    watcher
        Called at each close.
    """

    ledger: TraderLedger
    session: LedgerSession
    symbols: tuple[str, ...]
    interval: Interval
    lanes: dict[str, AccountLane]
    opens_lane: Callable[[Followed], AccountLane]
    assets: Mapping[str, TradedAsset]
    keeps_bars: bool = False
    watcher: Watcher | None = None
    last_close_ms: int = -1
    _waiting: list[LedgerRecord] = field(default_factory=list)
    _said: str = ""

    @property
    def main(self) -> AccountLane:
        """The lane of the session's account."""
        return self.lanes[self.session.account]

    @property
    def strategies(self) -> dict[str, Followed]:
        """All that are followed, by identity."""
        return {name: strategy for lane in self.lanes.values() for name, strategy in lane.strategies.items()}

    def join(self, strategy: Followed, reason: str) -> LedgerStrategy:
        """Take a strategy in, and return the record of it."""
        if strategy.role == "trades":
            lane = self.main
            lane.account.assets.update({name: self.assets[name] for name in strategy.symbols})
        else:
            lane = self.opens_lane(strategy)
            self.lanes[lane.account.account] = lane
        lane.strategies[strategy.id] = strategy
        lane.account.rules = rules_for(lane.documents)
        return self._membership(strategy, joins=True, reason=reason)

    def lane_of(self, id: str) -> AccountLane:
        """Return the lane of a strategy that is followed."""
        return next(lane for lane in self.lanes.values() if id in lane.strategies)

    def leave(self, id: str, reason: str) -> LedgerStrategy:
        """Let go of a strategy; what it holds is closed by the next plan."""
        lane = self.lane_of(id)
        strategy = lane.strategies.pop(id)
        if lane.role == "shadow":
            del self.lanes[lane.account.account]
        elif lane.strategies:
            lane.account.rules = rules_for(lane.documents)
        return self._membership(strategy, joins=False, reason=reason)

    def note(self, kind: str, text: str, *, level: str = "info", at_ms: int | None = None) -> None:
        """Have something written down with the next close."""
        close = max(self.last_close_ms, 0)
        self._waiting.append(
            LedgerEvent(
                session=self.session.session,
                at_ms=close if at_ms is None else at_ms,
                close_ms=close,
                level=level,
                kind=kind,
                text=text,
            )
        )

    def open(self, close_ms: int, prices: Mapping[str, float], records: Sequence[LedgerRecord] = ()) -> CloseReport:
        """Decide for the first time, at a close whose bar the strategies have seen as history.

        Parameters
        ----------
        close_ms, prices
            The close, and the prices of those that had a bar, USD.
        records
            Written down with it.
        """
        return self._close(close_ms, prices, close_ms, list(records))

    def on_bar(self, bar: TradedBar) -> CloseReport:
        """Take a closed bar in, up to the orders for the next one.

        Raises
        ------
        InputError
            The bar is not later than the last, or not a possible one.
        StorageError
            The ledger cannot be written: then nothing was sent.
        """
        time = bar.row.time + self.interval.milliseconds
        if time <= self.last_close_ms:
            raise InputError(
                f"a bar that closes at {format_ms(time)} is not later than the last close",
                where=f"session {self.session.session}",
                remedy="hand each bar in once, in order",
            )
        with _uncollected():
            records: list[LedgerRecord] = _bars(self.session.session, bar, self.symbols) if self.keeps_bars else []
            for lane in self.lanes.values():
                records += lane.settle(bar.account)
            for strategy in self.strategies.values():
                strategy.advance(bar.row, self.symbols)
            return self._close(time, dict(bar.account.close), bar.received_ms, records)

    def watch(self) -> CloseReport:
        """See to what was sent and what rests; call it every second or so between two bars.

        Raises
        ------
        StorageError
            The ledger cannot be written.
        """
        records: list[LedgerRecord] = []
        for lane in self.lanes.values():
            try:
                records += lane.watch()
            except (VenueError, NotFlat) as error:  # tried again the next time
                if str(error) != self._said:
                    self.note("venue", str(error), level="error")
                self._said = str(error)
        if records:
            self.ledger.write([*records, *self._waiting], self._states())
            self._waiting.clear()
        return CloseReport(self.last_close_ms, tuple(records))

    def end(self, at_ms: int, reason: str) -> None:
        """Write down that the session ends here; what is planned stays planned for whoever goes on."""
        ended = LedgerSessionEnd(
            session=self.session.session, ended_ms=at_ms, last_close_ms=self.last_close_ms, reason=reason
        )
        self.ledger.write([*self._waiting, ended])
        self._waiting.clear()

    def _close(
        self, time: int, prices: Mapping[str, float], received_ms: int, records: list[LedgerRecord]
    ) -> CloseReport:
        self.last_close_ms = time
        for id, strategy in self.strategies.items():
            if strategy.trouble and not strategy.is_leaving:
                strategy.is_leaving = True
                self.note("stopped", f"{id} wants nothing any more: {strategy.trouble}", level="error")
        if self.watcher is not None:
            records += self.watcher(time, self)
        for lane in self.lanes.values():
            records += lane.decide(time, prices, received_ms)
        records += self._waiting
        self.ledger.write(records, self._states())
        self._waiting.clear()
        begun: list[LedgerRecord] = []
        for lane in self.lanes.values():
            try:
                begun += lane.begin()
            except (VenueError, NotFlat) as error:  # `watch` goes on from there
                self.note("venue", str(error), level="error")
        if begun:
            self.ledger.write(begun, self._states())
        for strategy in self.strategies.values():
            strategy.prepare()
        return CloseReport(time, (*records, *begun))

    def _states(self) -> dict[str, dict[str, Any]]:
        states: dict[str, dict[str, Any]] = {
            trader_state(self.session.session): {
                "close_ms": self.last_close_ms,
                "lanes": {name: lane.state() for name, lane in self.lanes.items()},
                "leaving": sorted(name for name, strategy in self.strategies.items() if strategy.is_leaving),
            }
        }
        return states | {name: lane.account.to_dict() for name, lane in self.lanes.items()}

    def _membership(self, strategy: Followed, *, joins: bool, reason: str) -> LedgerStrategy:
        return LedgerStrategy(
            session=self.session.session,
            close_ms=strategy.since_ms if joins else self.last_close_ms,
            strategy=strategy.id,
            role=strategy.role,
            stage=strategy.stage,
            joins=joins,
            document_hash=hashlib.sha256(strategy.stored.encode()).hexdigest(),
            document=strategy.stored,
            reason=reason,
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    # To look through all objects for garbage takes longer than to decide; it waits until the orders are out.
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def trader_state(session: int) -> str:
    """Return the name under which a session keeps what it goes on from."""
    return f"session {session}"


def _bars(session: int, bar: TradedBar, symbols: Sequence[str]) -> list[LedgerRecord]:
    row = bar.row
    return [
        LedgerBar(
            session=session,
            open_ms=row.time,
            symbol=symbols[place],
            open=float(row.open[place]),
            high=float(row.high[place]),
            low=float(row.low[place]),
            close=float(row.close[place]),
            volume=float(row.volume[place]),
            funding_rate=_known(row.funding_rate[place]),
            funding_paid=float(row.funding_paid[place]),
            fear_greed=_known(row.fear_greed),
            received_ms=bar.received_ms,
        )
        for place in np.flatnonzero(row.valid).tolist()
    ]


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
