"""From the ledger into the lake, day by day; and from there into the documents of those that traded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from quant_organism.deployment import StrategyRepository
from quant_organism.deployment.records import Performance
from quant_organism.market import Lake, Table, day_of
from quant_organism.trading.performing import day_of_close, performance_rows
from quant_organism.trading.reading import MICRO_USD, LedgerReader
from quant_organism.trading.records import LedgerFill, LedgerSession, TradeDecision
from quant_organism.trading.tables import LiveDecisionTable, LiveFillTable, LivePerformanceTable

OBSERVED_DAYS: Final = 30
"""Days that a record of performance covers at most."""

_DAYS_PER_YEAR: Final = 365


@dataclass(frozen=True)
class LedgerExport:
    """What an export brought: days of each market, files that changed, strategies whose documents were told."""

    days: int
    files: int
    strategies: tuple[str, ...]


def export_ledger(reader: LedgerReader, lake: Lake, repository: StrategyRepository | None = None) -> LedgerExport:
    """Write every day of a ledger into the lake, in place of what was there; the same ledger gives the same bytes.

    Parameters
    ----------
    reader
        The ledger.
    lake
        Where to.
    repository
        Documents that are told how their strategies did; none: no document is touched.

    Raises
    ------
    StorageError
        The lake or the documents cannot be written.
    """
    markets: dict[tuple[str, str], list[LedgerSession]] = defaultdict(list)
    with reader.snapshot():
        for session in reader.read(LedgerSession):
            markets[session.market, session.interval].append(session)
        written = {place: _frames(reader, sessions) for place, sessions in markets.items()}
    days = files = 0
    told: list[str] = []
    for (market, interval), tables in written.items():
        for table, frames in tables.items():
            files += lake.table(table).write_days(frames, market=market, interval=interval)
        performance = tables[LivePerformanceTable]
        days += len(performance)
        if repository is not None:
            told += _told(repository, performance)
    return LedgerExport(days, files, tuple(sorted(set(told))))


def observation(days: Sequence[date], returns: Sequence[float], exits: Sequence[int]) -> Performance:
    """Return the record of a strategy's newest days, at most `OBSERVED_DAYS` of them.

    Parameters
    ----------
    days
        UTC days in order, all of them over.
    returns, exits
        Daily returns, fractions, and positions left, of each.
    """
    gains = np.array(returns[-OBSERVED_DAYS:])
    equity = np.cumprod(1.0 + gains)
    peak = np.maximum(np.maximum.accumulate(equity), 1.0)
    deviation = float(gains.std(ddof=1)) if gains.size > 1 else 0.0
    return Performance(
        observed_at=(days[-1] + timedelta(days=1)).isoformat(),
        days=gains.size,
        trades=sum(exits[-OBSERVED_DAYS:]),
        sharpe=float(gains.mean()) / deviation * _DAYS_PER_YEAR**0.5 if deviation > 0.0 else None,
        total_return=float(equity[-1] - 1.0),
        max_drawdown=float((1.0 - equity / peak).max()),
    )


Frames = dict[date, pl.DataFrame]


def _frames(reader: LedgerReader, sessions: Iterable[LedgerSession]) -> dict[type[Table], Frames]:
    decisions: dict[date, list[tuple[object, ...]]] = defaultdict(list)
    fills: dict[date, list[tuple[object, ...]]] = defaultdict(list)
    days: dict[date, list[tuple[object, ...]]] = defaultdict(list)
    for session in sessions:
        made = reader.read(TradeDecision, session=session.session)
        for each in made:
            decisions[day_of_close(each.close_ms)].append(
                (
                    session.account,
                    each.decision_id,
                    _moment(each.close_ms),
                    each.strategy,
                    each.symbol,
                    each.role,
                    each.kind,
                    each.side,
                    each.confidence,
                    each.size_usd,
                    each.reference_price,
                    each.is_allowed,
                    each.reason,
                )
            )
        numbers: dict[tuple[date, str], int] = defaultdict(int)
        for fill in reader.read(LedgerFill, session=session.session):
            day = day_of(fill.time_ms)
            numbers[day, fill.account] += 1
            fills[day].append(
                (
                    fill.account,
                    numbers[day, fill.account],
                    _moment(fill.time_ms),
                    fill.symbol,
                    fill.kind,
                    fill.size,
                    fill.price,
                    fill.fee / MICRO_USD,
                    fill.slippage / MICRO_USD,
                )
            )
        for day, row in performance_rows(reader, session, made):
            days[day].append(row)
    return {
        LiveDecisionTable: {day: LiveDecisionTable.frame(rows) for day, rows in decisions.items()},
        LiveFillTable: {day: LiveFillTable.frame(rows) for day, rows in fills.items()},
        LivePerformanceTable: {day: LivePerformanceTable.frame(rows) for day, rows in days.items()},
    }


def _told(repository: StrategyRepository, performance: Frames) -> list[str]:
    # The newest day is told of only once a later one has begun: until then it is not over.
    over = sorted(performance)[:-1]
    if not over:
        return []
    rows = pl.concat([performance[day].with_columns(day=pl.lit(day)) for day in over])
    known = {document.id: document for document in repository.load_all().documents}
    told = []
    for (strategy,), own in rows.partition_by(LivePerformanceTable.strategy, as_dict=True).items():
        document = known.get(str(strategy))
        if document is None:
            continue
        by_day = own.group_by("day").agg(pl.col(LivePerformanceTable.daily_return).last(), pl.col("exits").last())
        by_day = by_day.sort("day")
        record = observation(
            by_day["day"].to_list(), by_day[LivePerformanceTable.daily_return].to_list(), by_day["exits"].to_list()
        )
        newest = max((each.observed_at for each in document.performance), default="")
        if record.observed_at > newest:
            repository.update_performance(document.id, record)
            told.append(document.id)
    return told


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
