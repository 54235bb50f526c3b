"""What each strategy of a session earned on each UTC day, and the facts by which it is judged afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Final

from quant_organism.backtest import Costs
from quant_organism.backtest.account import IOC, LIQUIDATED, STOP, FillModel
from quant_organism.deployment import TraderDay
from quant_organism.market import Interval, Lake, day_of
from quant_organism.trading.breakers import LINES, LIQUIDATION, REJECTIONS
from quant_organism.trading.reading import MICRO_USD, LedgerReader
from quant_organism.trading.records import (
    LedgerBreaker,
    LedgerEquity,
    LedgerFill,
    LedgerPlan,
    LedgerProfit,
    LedgerSession,
    TradeDecision,
)
from quant_organism.trading.tables import LivePerformanceTable

SENDING: Final = ("testnet", "mainnet")
"""Modes in which orders are sent, and books compared with a venue."""

OWN_BREAKERS: Final = frozenset({LIQUIDATION.name, REJECTIONS.name})
"""Breakers that trading brings about, and not the market or the line."""

_MODEL: Final = FillModel.of(Costs())
"""What live sessions are traded with."""


def performance_rows(
    reader: LedgerReader, session: LedgerSession, decisions: Sequence[TradeDecision]
) -> Iterator[tuple[date, tuple[object, ...]]]:
    """Yield a row of `LivePerformanceTable` for each account, strategy and day of a session, with its day.

    Parameters
    ----------
    reader
        The ledger.
    session, decisions
        The session, and all that was decided in it.
    """
    facts = _SessionFacts.read(reader, session, decisions)
    records: dict[tuple[str, str], list[LedgerProfit]] = defaultdict(list)
    for record in reader.read(LedgerProfit, session=session.session):
        records[record.account, record.strategy].append(record)
    for (account, strategy), kept in sorted(records.items()):
        by_day: dict[date, list[LedgerProfit]] = defaultdict(list)
        for record in kept[1:]:  # the first is where it joined: no bar has been traded yet
            by_day[day_of_close(record.close_ms)].append(record)
        before = kept[0]
        for day, closes in sorted(by_day.items()):
            last, base = closes[-1], facts.equity[account, before.close_ms]
            profit, plan = last.profit - before.profit, facts.last_plan[account, day]
            yield (
                day,
                (
                    account,
                    strategy,
                    "trades" if account == session.account else "shadow",
                    len(closes),
                    profit / MICRO_USD,
                    last.profit / MICRO_USD,
                    facts.equity[account, last.close_ms] / MICRO_USD,
                    profit / base if base > 0 else 0.0,
                    facts.exits[strategy, day],
                    plan.h1,
                    plan.h2,
                    session.mode,
                    facts.weight(before),
                    facts.closed[strategy, day],
                    *facts.slippages(account, strategy, day),
                    facts.breakers_of(account, [before, *closes]),
                    facts.liquidations(account, strategy, day),
                    facts.is_reconciled(account, len(closes), day),
                ),
            )
            before = last


@dataclass
class _SessionFacts:
    """Facts of a session by account, strategy, symbol and day."""

    session: LedgerSession
    equity: dict[tuple[str, int], int]
    plans: dict[tuple[str, int], LedgerPlan]
    last_plan: dict[tuple[str, date], LedgerPlan]
    fills: dict[tuple[str, date], list[LedgerFill]]
    tripped: dict[int, int]
    unknown_lines: list[tuple[int, bool]]
    exits: dict[tuple[str, date], int] = field(default_factory=lambda: defaultdict(int))
    closed: dict[tuple[str, date], int] = field(default_factory=lambda: defaultdict(int))
    traded_from: dict[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def read(cls, reader: LedgerReader, session: LedgerSession, decisions: Sequence[TradeDecision]) -> _SessionFacts:
        number = session.session
        plans = {(each.account, each.close_ms): each for each in reader.read(LedgerPlan, session=number)}
        fills: dict[tuple[str, date], list[LedgerFill]] = defaultdict(list)
        for fill in reader.read(LedgerFill, session=number):
            fills[fill.account, day_of(fill.time_ms)].append(fill)
        tripped: dict[int, int] = defaultdict(int)
        unknown_lines: list[tuple[int, bool]] = []
        for change in reader.read(LedgerBreaker, session=number):
            if change.name in OWN_BREAKERS and change.state == "open":
                tripped[change.close_ms] += 1
            if change.name == LINES.name:
                unknown_lines.append((change.close_ms, change.state == "open"))
        facts = cls(
            session=session,
            equity={(each.account, each.close_ms): each.equity for each in reader.read(LedgerEquity, session=number)},
            plans=plans,
            last_plan={(account, day_of_close(close)): plan for (account, close), plan in plans.items()},
            fills=fills,
            tripped=tripped,
            unknown_lines=unknown_lines,
        )
        facts._count(decisions)
        return facts

    def _count(self, decisions: Sequence[TradeDecision]) -> None:
        # Of a position that no step let it enter there is nothing to leave.
        entered: set[tuple[str, str]] = set()
        for each in decisions:
            pair, day = (each.strategy, each.symbol), day_of_close(each.close_ms)
            if not each.is_allowed:
                continue
            if each.kind == "exit":
                self.exits[each.strategy, day] += 1
                self.closed[each.strategy, day] += pair in entered
                entered.discard(pair)
            else:
                entered.add(pair)
                self.traded_from.setdefault(pair, each.close_ms)

    def weight(self, before: LedgerProfit) -> float | None:
        """Return what the positions of a day were multiplied with, by the plan that it began with."""
        plan = self.plans[before.account, before.close_ms]
        return None if before.share is None else before.share * plan.scale * plan.factor

    def _own_fills(self, account: str, strategy: str, day: date) -> list[LedgerFill]:
        # Fills are the account's: those in symbols that the strategy has traded by then.
        return [
            fill
            for fill in self.fills.get((account, day), ())
            if self.traded_from.get((strategy, fill.symbol), fill.close_ms + 1) <= fill.close_ms
        ]

    def slippages(self, account: str, strategy: str, day: date) -> tuple[float, float]:
        """Return what its fills of a day paid for slippage, and what the model states for them, USD."""
        paid = stated = 0.0
        for fill in self._own_fills(account, strategy, day):
            at_open, at_stop = _MODEL.slippages(fill.symbol)
            rate = {IOC: at_open, STOP: at_stop}.get(fill.kind)
            if rate is not None:
                paid += fill.slippage / MICRO_USD
                stated += rate * abs(fill.lots) * fill.aimed / MICRO_USD
        return paid, stated

    def liquidations(self, account: str, strategy: str, day: date) -> int:
        """Return how often the venue took a position from it on a day."""
        return sum(fill.kind == LIQUIDATED for fill in self._own_fills(account, strategy, day))

    def breakers_of(self, account: str, closes: Sequence[LedgerProfit]) -> int:
        """Return how many breakers fired at closes at which it held anything; the first is that of the day before."""
        fired = 0
        for before, each in pairwise(closes):
            if before.gross == 0 and each.gross == 0:
                continue
            shut = self.plans[account, each.close_ms].factor == 0.0 < self.plans[account, before.close_ms].factor
            fired += shut + (self.tripped.get(each.close_ms, 0) if account == self.session.account else 0)
        return fired

    def is_reconciled(self, account: str, closes: int, day: date) -> bool:
        """Return whether books and venue agreed at every close of a whole day on which orders were sent."""
        is_whole = closes == Interval.parse(self.session.interval).bars_per_day
        if self.session.mode not in SENDING or account != self.session.account or not is_whole:
            return False
        state = False
        for close_ms, is_unknown in self.unknown_lines:
            if day_of_close(close_ms) > day:
                break
            if day_of_close(close_ms) == day and (state or is_unknown):
                return False
            state = is_unknown
        return not state


def trader_days(lake: Lake, *, market: str, interval: str) -> dict[str, dict[date, tuple[TraderDay, ...]]]:
    """Return the days that were exported of strategies that trade, by strategy.

    Days that an earlier version exported are left out: they do not say what mode they were of.
    """
    stored = lake.table(LivePerformanceTable)
    found: dict[str, dict[date, tuple[TraderDay, ...]]] = defaultdict(dict)
    whole = Interval.parse(interval).bars_per_day
    for day in stored.days(market=market, interval=interval):
        for row in stored.read_day(day, market=market, interval=interval).iter_rows(named=True):
            if row[LivePerformanceTable.role] != "trades" or row[LivePerformanceTable.mode] is None:
                continue
            booked = TraderDay(
                account=row[LivePerformanceTable.account],
                mode=row[LivePerformanceTable.mode],
                is_whole=row[LivePerformanceTable.closes] == whole,
                account_return=row[LivePerformanceTable.daily_return],
                weight=row[LivePerformanceTable.weight],
                closed_trades=row[LivePerformanceTable.closed_trades],
                paid_slippage_usd=row[LivePerformanceTable.fill_slippage],
                model_slippage_usd=row[LivePerformanceTable.model_slippage],
                breakers=row[LivePerformanceTable.breakers],
                liquidations=row[LivePerformanceTable.liquidations],
                is_reconciled=row[LivePerformanceTable.reconciled],
            )
            own = found[row[LivePerformanceTable.strategy]]
            own[day] = (*own.get(day, ()), booked)
    return dict(found)


def day_of_close(close_ms: int) -> date:
    """Return the UTC day that a close belongs to; one at midnight is the last of its day."""
    return day_of(close_ms - 1)
