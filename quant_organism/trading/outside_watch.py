"""Takes other sources' signals into a running session: who may send joins, what is sent counts or is refused."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Final

from quant_organism.backtest import Costs
from quant_organism.backtest.account import RiskState
from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.market import MS_PER_HOUR
from quant_organism.market.panel import Panel
from quant_organism.trading.outside import OutsideSignal, SourceStore
from quant_organism.trading.outside_strategy import OutsideStrategy
from quant_organism.trading.records import LedgerOutsideSignal, LedgerRecord
from quant_organism.trading.runtime import Trader

MOST_LINES: Final = 500
"""Of an inbox that are read at one close."""

_REMEMBERED: Final = 100_000
"""Identities of signals of a source that cannot be used again."""


class SignalWatcher:
    """Looks at sources and inboxes at each close.

    Parameters
    ----------
    store
        Sources and inboxes.
    costs
        Of the virtual books of sources.
    bars_until
        Returns all bars of the session up to a close.
    taken
        What earlier sessions have read of the inboxes.
    """

    def __init__(
        self,
        store: SourceStore,
        costs: Costs,
        bars_until: Callable[[int], Panel],
        taken: Iterable[LedgerOutsideSignal] = (),
    ) -> None:
        self._store, self._costs, self._bars_until = store, costs, bars_until
        self._ends: dict[str, int] = {}
        self._seen: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._accepted_ms: defaultdict[str, deque[int]] = defaultdict(deque)
        self._said: set[str] = set()
        for record in taken:
            self._remember(record)

    def __call__(self, close_ms: int, trader: Trader) -> list[LedgerRecord]:
        """Have sources join and leave, and take what they have sent; return what is to be written down of it."""
        records: list[LedgerRecord] = []
        try:
            sources = self._store.sources()
        except QuantOrganismError as error:
            self._say(trader, f"no signal is taken: {error}")
            return records
        followed = {each.id: each for each in trader.strategies.values() if isinstance(each, OutsideStrategy)}
        for strategy in followed.values():
            if sources.get(strategy.source.name) != strategy.source:  # gone, or under other limits
                if strategy.is_leaving:
                    records.append(trader.leave(strategy.id, "it is no source any more, or under other limits"))
                strategy.is_leaving = True
                strategy.want_nothing()
        for source in sources.values():
            if source.id not in trader.strategies:
                try:
                    followed[source.id] = OutsideStrategy(
                        source, self._costs, self._bars_until(close_ms), since_ms=close_ms
                    )
                except InputError as error:
                    self._say(trader, f"{source.id} cannot join: {error.what}")
                    continue
                records.append(trader.join(followed[source.id], f"it may send signals, as {source.role}"))
                if source.role == "shadow":  # it has no past of its own: the session's risk scale is its own
                    account, main = trader.lane_of(source.id).account, trader.main.account
                    account.risk = RiskState.seeded(main.risk.daily, account.rules)
            if not followed[source.id].is_leaving:
                records += self._taken(trader, followed[source.id], close_ms)
        return records

    def _say(self, trader: Trader, text: str) -> None:
        if text not in self._said:
            trader.note("sources", text, level="warning")
        self._said.add(text)

    def _taken(self, trader: Trader, strategy: OutsideStrategy, close_ms: int) -> list[LedgerRecord]:
        name = strategy.source.name
        lines, end, passed_over = self._store.unread(name, self._ends.get(name, 0))
        self._ends[name] = end
        records: list[LedgerOutsideSignal] = []

        def note(signal: OutsideSignal | None, reason: str) -> None:
            record = LedgerOutsideSignal(
                session=trader.session.session,
                close_ms=close_ms,
                source=name,
                end=end,
                signal_id="" if signal is None else signal.signal_id,
                signal={} if signal is None else signal.model_dump(mode="json"),
                is_accepted=not reason,
                reason=reason,
            )
            self._remember(record)
            records.append(record)

        for line in lines[:MOST_LINES]:
            signal: OutsideSignal | None = None
            try:
                signal = OutsideSignal.of(line, where=f"inbox of {name}")
                self._check(strategy, signal, close_ms, trader.interval.milliseconds)
            except InputError as error:
                note(signal, error.what)
                continue
            strategy.take(signal)
            note(signal, "")
        if passed_over or len(lines) > MOST_LINES:
            more = max(len(lines) - MOST_LINES, 0)
            note(None, f"{more} lines and {passed_over} bytes more that came at once were passed over")
        return list(records)

    def _check(self, strategy: OutsideStrategy, signal: OutsideSignal, close_ms: int, interval_ms: int) -> None:
        source = strategy.source
        signal.check(source)
        where = f"signal {signal.signal_id} of {source.name}"
        if signal.signal_id in self._seen[source.name]:
            raise InputError("its identity was seen before", where=where, remedy="give each signal one of its own")
        taken = self._accepted_ms[source.name]
        while taken and taken[0] <= close_ms - MS_PER_HOUR:
            taken.popleft()
        if len(taken) >= source.signals_per_hour and signal.side != "flat":
            raise InputError(
                f"{len(taken)} of {source.signals_per_hour} signals of this hour were taken",
                where=where,
                remedy="send fewer",
            )
        signal.check_price(source, strategy.price(signal.symbol), close_ms, interval_ms)

    def _remember(self, record: LedgerOutsideSignal) -> None:
        self._ends[record.source] = record.end
        if record.signal_id:
            self._seen[record.source].append(record.signal_id)
        if record.is_accepted:
            self._accepted_ms[record.source].append(record.close_ms)
