"""A trader as of any of its closes: what the dashboard shows and what the metrics say, read from its ledger."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from quant_organism.errors import InputError
from quant_organism.market.schema import MS_PER_DAY, Interval, format_ms
from quant_organism.trading import (
    MICRO_USD,
    LedgerBar,
    LedgerBreaker,
    LedgerEquity,
    LedgerEvent,
    LedgerFill,
    LedgerOrder,
    LedgerPlan,
    LedgerProfit,
    LedgerReader,
    LedgerRecord,
    LedgerSession,
    LedgerSessionEnd,
    StepVerdict,
    TradeDecision,
    held_positions,
)

R = TypeVar("R", bound=LedgerRecord)

_FOLLOWED: Final[tuple[type[LedgerRecord], ...]] = (
    LedgerSession,
    LedgerSessionEnd,
    TradeDecision,
    StepVerdict,
    LedgerPlan,
    LedgerOrder,
    LedgerFill,
    LedgerEquity,
    LedgerProfit,
    LedgerBreaker,
    LedgerEvent,
)


@dataclass(frozen=True)
class MarkedPosition:
    """A net position of an account at a close, and the strategies that stand behind it.

    Parameters
    ----------
    symbol, size
        Units of the asset, negative when short.
    price, entry_price
        Close of the latest bar, none where it is not in the ledger, and mean price of the position; USD.
    strategies
        Those whose last decision wants the symbol, with the share of their equity that they want of it.
    """

    symbol: str
    size: float
    price: float | None
    entry_price: float
    strategies: tuple[tuple[str, float], ...]

    @property
    def value_usd(self) -> float:
        """Signed notional at the last price, or at the entry where there is none."""
        return self.size * (self.entry_price if self.price is None else self.price)

    @property
    def profit_usd(self) -> float | None:
        """What the position has gained since its entry, without fees and funding."""
        return None if self.price is None else self.size * (self.price - self.entry_price)


@dataclass(frozen=True)
class TraderView:
    """A trader as of a close.

    Parameters
    ----------
    session
        The session in which the close lies.
    is_ended
        Whether that session ended in order at this close.
    close_ms
        The close; none before the first.
    equity
        The account at its closes up to this one, oldest first.
    plan
        The account's plan at this close, none before the first.
    positions, profits, breakers
        Held; what each strategy has earned; the state of each breaker.
    decisions, orders, fills, events
        Up to this close, newest first; at most so many as were asked for.
    refusals
        Verdicts that did not let something pass, by the identity of the decision.
    counts
        Number of decisions, orders and fills up to this close.
    feed_delays_ms
        How long after its close each of the latest bars came.
    """

    session: LedgerSession
    is_ended: bool
    close_ms: int | None
    equity: tuple[LedgerEquity, ...]
    plan: LedgerPlan | None
    positions: tuple[MarkedPosition, ...]
    profits: tuple[LedgerProfit, ...]
    breakers: tuple[LedgerBreaker, ...]
    decisions: tuple[TradeDecision, ...]
    orders: tuple[LedgerOrder, ...]
    fills: tuple[LedgerFill, ...]
    events: tuple[LedgerEvent, ...]
    refusals: dict[str, tuple[StepVerdict, ...]]
    counts: dict[str, int]
    feed_delays_ms: tuple[int, ...]

    @property
    def equity_usd(self) -> float | None:
        """Equity at the close, USD."""
        return self.equity[-1].equity / MICRO_USD if self.equity else None

    @property
    def total_return(self) -> float | None:
        """Profit over the capital that was paid in, as a fraction."""
        if not self.equity or self.equity[-1].capital <= 0:
            return None
        return self.equity[-1].equity / self.equity[-1].capital - 1.0

    @property
    def tripped(self) -> tuple[LedgerBreaker, ...]:
        """Breakers that are not closed."""
        return tuple(breaker for breaker in self.breakers if breaker.state != "closed")


class TraderHistory:
    """All that the account of a session has done, kept up to date by asking the ledger for what is new.

    Parameters
    ----------
    reader
        The ledger.
    session
        Whose account to show; default: that of the latest session.

    Raises
    ------
    InputError
        There is no such session.
    """

    def __init__(self, reader: LedgerReader, session: int | None = None) -> None:
        self._reader = reader
        self.account = reader.session(session).account
        self._places: dict[type[LedgerRecord], int] = dict.fromkeys(_FOLLOWED, 0)
        self._records: dict[type[LedgerRecord], list[LedgerRecord]] = {kind: [] for kind in _FOLLOWED}
        self._sessions: set[int] = set()
        self.refresh()

    def refresh(self) -> bool:
        """Take over what is new in the ledger; return whether anything was."""
        found = False
        with self._reader.snapshot():
            for kind in _FOLLOWED:
                while True:
                    new, place = self._reader.after(kind, self._places[kind])
                    if not new:
                        break
                    self._places[kind] = place
                    mine = [record for record in new if self._is_mine(record)]
                    self._records[kind] += mine
                    found |= bool(mine)
        return found

    @property
    def closes(self) -> tuple[int, ...]:
        """All closes of the account, UTC milliseconds, oldest first."""
        return tuple(record.close_ms for record in self._all(LedgerEquity))

    def closes_of(self, day_ms: int) -> tuple[int, ...]:
        """Return the closes of a UTC day, which its last midnight still belongs to.

        Raises
        ------
        InputError
            There is none.
        """
        found = tuple(close for close in self.closes if day_ms < close <= day_ms + MS_PER_DAY)
        if not found:
            every = self.closes
            span = f"it traded from {format_ms(every[0])} to {format_ms(every[-1])}" if every else "it never traded"
            raise InputError(f"account {self.account} has no close on {format_ms(day_ms)[:10]}; {span}")
        return found

    def view(self, close_ms: int | None = None, *, rows: int = 50) -> TraderView:
        """Return the trader as of a close.

        Parameters
        ----------
        close_ms
            Default: the latest.
        rows
            Most decisions, orders, fills and events.
        """
        every = self._all(LedgerEquity)
        until = close_ms if close_ms is not None else every[-1].close_ms if every else None
        equity = self._until(LedgerEquity, until)
        session = self._session_at(until)
        decisions = [one for one in self._until(TradeDecision, until) if one.role == "trades"]
        orders, fills = self._until(LedgerOrder, until), self._until(LedgerFill, until)
        shown = decisions[-rows:][::-1]
        refusals: dict[str, tuple[StepVerdict, ...]] = {one.decision_id: () for one in shown}
        for verdict in self._until(StepVerdict, until):
            if verdict.decision_id in refusals and not verdict.passes:
                refusals[verdict.decision_id] += (verdict,)
        bars = self._bars(session, until)
        return TraderView(
            session=session,
            is_ended=any(
                end.session == session.session and (until is None or end.last_close_ms <= until)
                for end in self._all(LedgerSessionEnd)
            ),
            close_ms=until,
            equity=tuple(equity),
            plan=next(iter(self._until(LedgerPlan, until)[-1:]), None),
            positions=_marked(fills, decisions, {bar.symbol: bar.close for bar in bars}),
            profits=_latest(self._until(LedgerProfit, until), "strategy"),
            breakers=_latest(self._until(LedgerBreaker, until), "name"),
            decisions=tuple(shown),
            orders=tuple(orders[-rows:][::-1]),
            fills=tuple(fills[-rows:][::-1]),
            events=tuple(self._until(LedgerEvent, until)[-rows:][::-1]),
            refusals=refusals,
            counts={
                "decisions": len(decisions),
                "orders": sum(order.lots != 0 for order in orders),
                "fills": len(fills),
            },
            feed_delays_ms=tuple(bar.received_ms - (until or 0) for bar in bars),
        )

    def _is_mine(self, record: LedgerRecord) -> bool:
        if isinstance(record, LedgerSession) and record.account == self.account:
            self._sessions.add(record.session)
        stated = getattr(record, "account", self.account)
        return stated == self.account and getattr(record, "session", None) in self._sessions

    def _all(self, kind: type[R]) -> list[R]:
        return self._records[kind]  # type: ignore[return-value]

    def _until(self, kind: type[R], close_ms: int | None) -> list[R]:
        records = self._all(kind)
        if close_ms is None:
            return records
        return records[: bisect_right(records, close_ms, key=lambda record: record.close_ms)]  # type: ignore[attr-defined]

    def _session_at(self, close_ms: int | None) -> LedgerSession:
        begun = [one for one in self._all(LedgerSession) if close_ms is None or one.first_close_ms <= close_ms]
        return (begun or self._all(LedgerSession))[-1]

    def _bars(self, session: LedgerSession, close_ms: int | None) -> list[LedgerBar]:
        if close_ms is None:
            return []
        opened = close_ms - Interval.parse(session.interval).milliseconds
        return self._reader.read(LedgerBar, session=session.session, open_ms=opened)


def _marked(
    fills: Sequence[LedgerFill], decisions: Sequence[TradeDecision], closes: dict[str, float]
) -> tuple[MarkedPosition, ...]:
    wanted: dict[str, dict[str, float]] = {}
    for decision in decisions:
        if decision.is_allowed:
            wanted.setdefault(decision.symbol, {})[decision.strategy] = decision.target
    return tuple(
        MarkedPosition(
            symbol=held.symbol,
            size=held.size,
            price=closes.get(held.symbol),
            entry_price=held.entry_price,
            strategies=tuple(
                (name, target) for name, target in sorted(wanted.get(held.symbol, {}).items()) if target != 0.0
            ),
        )
        for held in held_positions(fills)
    )


def _latest(records: Sequence[R], by: str) -> tuple[R, ...]:
    found = {getattr(record, by): record for record in records}
    return tuple(found[name] for name in sorted(found))
