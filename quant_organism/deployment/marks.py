"""Daily marks: what every living strategy earned on each new day, the evidence after it, and the moves that it opens.

Marks are a function of the lake and the documents. A day that is booked is never changed: to mark again adds what is
missing and leaves the rest as it is, byte by byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import committee_run
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.deploy import all_documents
from quant_organism.deployment.lifecycle import records_of
from quant_organism.deployment.live_evidence import LiveEvidence, Promise
from quant_organism.deployment.moves import Kind, source_of
from quant_organism.deployment.pool import Life, TakenMove, night
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.stages import DEPLOYED, timestamp
from quant_organism.deployment.tables import BirthTable, EvidenceDayTable, MoveTable
from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.lake import Lake
from quant_organism.market.panel import Panel, build_panel
from quant_organism.market.schema import MS_PER_DAY, Interval, day_start_ms
from quant_organism.market.table import Table
from quant_organism.market.tables import CandleTable

HISTORY_DAYS: Final = 180
"""Days before its first that a strategy is warmed up on, where there are so many."""

ALIKE_DAYS: Final = 365
"""Days over which living strategies are compared."""

_NO_LIMIT: Final = 100_000


@dataclass(frozen=True)
class Marked:
    """What marking did.

    Attributes
    ----------
    days
        Days to which rows were added, in order.
    rows
        How many.
    moves
        What happened, by day.
    """

    days: tuple[date, ...]
    rows: int
    moves: tuple[tuple[date, TakenMove], ...]


@dataclass(eq=False)
class _Strategy:
    """A document, its birth, and its days so far."""

    document: StrategyConfig
    birth: Mapping[str, Any]
    promise: Promise
    evidence: LiveEvidence
    rows: str = ""
    last: date | None = None
    stage: str = ""
    returns: Mapping[date, float] = field(default_factory=dict)

    @classmethod
    def at_birth(cls, document: StrategyConfig, birth: Mapping[str, Any]) -> _Strategy:
        promise = Promise(birth[BirthTable.deviation], birth[BirthTable.sharpe])
        return cls(document, birth, promise, LiveEvidence.born(promise, birth[BirthTable.starting_wealth]))

    def book(self, day: date, stage: str, net_return: float, source: str) -> dict[str, Any]:
        """Take a day in and return its row."""
        if (self.stage, stage) == ("decaying", "shadow"):
            self.evidence = self.evidence.restarted()
        self.evidence = self.evidence.after(net_return, self.promise)
        said = f"{self.rows}|{self.document.id}|{day}|{stage}|{net_return!r}|{source}"
        self.rows, self.last, self.stage = hashlib.sha256(said.encode()).hexdigest(), day, stage
        state = self.evidence
        return {
            EvidenceDayTable.id: self.document.id,
            EvidenceDayTable.stage: stage,
            EvidenceDayTable.source: source,
            EvidenceDayTable.recorded: net_return == net_return,
            EvidenceDayTable.net_return: _known(net_return),
            EvidenceDayTable.deviation: _known(state.deviation),
            EvidenceDayTable.standardised: _known(state.standardised),
            EvidenceDayTable.wealth: state.wealth,
            EvidenceDayTable.fresh_wealth: state.fresh_wealth,
            EvidenceDayTable.recent_sum: state.recent_sum,
            EvidenceDayTable.shortfall: state.shortfall,
            EvidenceDayTable.factor: state.factor,
            EvidenceDayTable.fresh_days: state.fresh_days,
            EvidenceDayTable.rows: self.rows,
        }

    def life(self, day: date) -> Life:
        """Return it at the end of a day."""
        known: dict[Kind, float] = {}
        for kind in ("pretest_p", "search_p", "unseen_p", "trade_parity", "perturbations"):
            if self.birth[kind] is not None:
                known[kind] = self.birth[kind]
        known["old_days"] = float(self.birth[BirthTable.credit] != "no old days")
        return Life(
            id=self.document.id,
            stage=self.document.stage,
            since=datetime.fromisoformat(self.document.entered_stage).toordinal(),
            born=self.birth[BirthTable.first_day].toordinal(),
            promise=self.promise,
            evidence=self.evidence,
            known=known,
        )


def mark_days(
    lake: Lake,
    repository: StrategyRepository,
    *,
    market: str,
    interval: Interval,
    through: date,
    equity_usd: float,
    costs: Costs | None = None,
    evaluator: Evaluator | None = None,
    ledger: Mapping[str, Mapping[date, float]] | None = None,
) -> Marked:
    """Book every day that is not booked yet, and after each let every strategy take the way that it opens.

    Parameters
    ----------
    lake, repository
        Bars, births and days; the documents.
    market, interval
        Whose strategies.
    through
        Last day; nothing after it is looked at.
    equity_usd
        Of the account that runs each strategy alone.
    costs, evaluator
        Of the sleeves; keeps indicators from call to call.
    ledger
        Net daily returns that the trader has booked, by strategy: from paper on they stand in place of simulated ones,
        and where a strategy has any, a day that is missing in them has no record.

    Raises
    ------
    IntegrityError
        Stored days are not what their returns give, or a document cannot be read.
    """
    own_costs, engine = costs or Costs(), evaluator or Evaluator()
    where = {"market": market, "interval": interval.name}
    strategies = _strategies(lake, repository, market, interval, through)
    stored = read_rows(lake, EvidenceDayTable, **where)
    _take_in(strategies, stored)
    held = set(lake.table(CandleTable).days(**where))
    newest = max((one.last for one in strategies.values() if one.last is not None), default=date.min)
    todo = sorted(
        {
            day
            for one in strategies.values()
            for day in _days(_next_day(one), through)
            if day in held or day < max(held, default=date.min)
        }
    )
    for one in strategies.values():
        if todo and _next_day(one) <= todo[-1] and _lives(one.document, _next_day(one)):
            one.returns = _account_returns(one, lake, market, interval, todo[-1], equity_usd, own_costs, engine)
    moves: list[tuple[date, TakenMove]] = []
    added = 0
    for day in todo:
        rows = []
        for id, one in sorted(strategies.items()):
            if _next_day(one) <= day and (stage := _lives(one.document, day)):
                booked = (ledger or {}).get(id, {}) if stage not in ("shadow", "decaying") else {}
                source = "ledger" if booked else "account"
                rows.append(one.book(day, stage, (booked or one.returns).get(day, float("nan")), source))
        added += _append(lake, EvidenceDayTable, rows, day, **where)
        if day > newest:
            moves += _move(strategies, repository, day, lake, market, interval, own_costs, engine)
    book_moves(lake, all_documents(repository), market=market, interval=interval)
    return Marked(tuple(todo), added, tuple(moves))


def mark_all(
    lake: Lake, repository: StrategyRepository, *, equity_usd: float, through: date | None = None
) -> dict[tuple[str, str], Marked]:
    """Mark every market that has strategies, up to its newest candles or an earlier day; by market and interval.

    Parameters
    ----------
    lake, repository, equity_usd
        As for `mark_days`.
    through
        Last day; None: the newest of each market.
    """
    found = {}
    evaluator = Evaluator()
    for market, name in sorted({(d.provenance.market, d.interval) for d in all_documents(repository)}):
        held = lake.table(CandleTable).days(market=market, interval=name)
        last = min(held[-1], through or held[-1]) if held else None
        if last is not None:
            interval = Interval.parse(name)
            found[market, name] = mark_days(
                lake,
                repository,
                market=market,
                interval=interval,
                through=last,
                equity_usd=equity_usd,
                evaluator=evaluator,
            )
    return found


@dataclass(frozen=True)
class Known:
    """What is known of a strategy now.

    Attributes
    ----------
    numbers
        What the table of moves asks for, the days in its stage by the clock.
    n
        Observations that a number rests on.
    source
        Hash of its booked days.
    """

    numbers: Mapping[Kind, float]
    n: Mapping[Kind, int]
    source: str


def known_of(lake: Lake, repository: StrategyRepository, id: str, *, now: str) -> Known:
    """Return what is known of a strategy by its booked days.

    Raises
    ------
    InputError
        There is no such strategy, or it was never watched.
    IntegrityError
        Its stored days are not what their returns give.
    """
    document = repository.load(id)
    market, interval = document.provenance.market, Interval.parse(document.interval)
    strategies = _strategies(lake, repository, market, interval, date.max)
    if id not in strategies:
        raise InputError(
            "it was never watched, so nothing is booked of it", where=id, remedy="see why with: strategies show"
        )
    one = strategies[id]
    _take_in({id: one}, read_rows(lake, EvidenceDayTable, market=market, interval=interval.name))
    today = datetime.fromisoformat(timestamp(now)).toordinal()
    numbers = one.life(date.min).numbers(today) | {"stage_days": document.days_in_stage(now)}
    return Known(numbers, _counts(one.evidence.fresh_days), source_of(one.rows.encode()))


def book_moves(lake: Lake, documents: Sequence[StrategyConfig], *, market: str, interval: Interval) -> int:
    """Enter the moves of documents in the lake, those that are not there yet; return how many rows were added."""
    by_day: dict[date, list[dict[str, Any]]] = {}
    for document in documents:
        if document.provenance.market != market or document.interval != interval.name:
            continue
        for move in document.history[1:]:
            whole = {
                MoveTable.id: document.id,
                MoveTable.at: move.at,
                MoveTable.start: move.from_stage,
                MoveTable.end: move.to_stage,
                MoveTable.rule: move.rule,
                MoveTable.by: move.by,
                MoveTable.reason: move.reason,
            }
            numbers = {record.kind: record for record in move.records}
            by_day.setdefault(date.fromisoformat(move.at[:10]), []).extend(
                whole | {"kind": kind, "value": r.value, "bound": r.bound, "n": r.n, "source": r.source}
                for kind, r in numbers.items()
            )
            if not numbers:
                empty = {"kind": "", "value": None, "bound": None, "n": 0, "source": ""}
                by_day[date.fromisoformat(move.at[:10])].append(whole | empty)
    where = {"market": market, "interval": interval.name}
    return sum(_append(lake, MoveTable, rows, day, **where) for day, rows in sorted(by_day.items()))


def book_births(lake: Lake, rows: Sequence[Mapping[str, Any]], *, day: date, market: str, interval: Interval) -> int:
    """Enter births of a cycle of a day in the lake, those that are not there yet; return how many were added."""
    return _append(lake, BirthTable, rows, day, market=market, interval=interval.name)


def read_rows(lake: Lake, table: type[Table], *, market: str, interval: str) -> pl.DataFrame:
    """Return all rows of a table of a market with their `date`, none where there are none."""
    stored = lake.table(table)
    parts = [
        stored.read_day(day, market=market, interval=interval).with_columns(pl.lit(day).alias("date"))
        for day in stored.days(market=market, interval=interval)
    ]
    empty = table.empty().with_columns(pl.lit(None, dtype=pl.Date).alias("date"))
    return pl.concat([empty, *parts])


def _strategies(
    lake: Lake, repository: StrategyRepository, market: str, interval: Interval, through: date
) -> dict[str, _Strategy]:
    documents = {document.id: document for document in all_documents(repository)}
    births = read_rows(lake, BirthTable, market=market, interval=interval.name)
    found: dict[str, _Strategy] = {}
    for row in births.iter_rows(named=True):
        id = row[BirthTable.id]
        if id in documents and id not in found and row[BirthTable.first_day] <= through:
            found[id] = _Strategy.at_birth(documents[id], row)
    return found


def _take_in(strategies: Mapping[str, _Strategy], stored: pl.DataFrame) -> None:
    """Compute the evidence of stored days again, and compare it with what is stored."""
    for row in stored.sort("date").iter_rows(named=True):
        one = strategies.get(row[EvidenceDayTable.id])
        if one is None:
            continue
        value = row[EvidenceDayTable.net_return]
        again = one.book(
            row["date"], row[EvidenceDayTable.stage], float("nan") if value is None else value, row["source"]
        )
        if any(again[name] != row[name] for name in (EvidenceDayTable.rows, EvidenceDayTable.wealth)):
            raise IntegrityError(
                f"the day {row['date']} of {one.document.id} is not what its days give: wealth {row['wealth']}, "
                f"but {again[EvidenceDayTable.wealth]} follows",
                where=f"{EvidenceDayTable.dataset}, {row['date']}",
                remedy="bring the files of these days back from a copy",
            )


def _account_returns(
    one: _Strategy,
    lake: Lake,
    market: str,
    interval: Interval,
    last: date,
    equity_usd: float,
    costs: Costs,
    evaluator: Evaluator,
) -> dict[date, float]:
    """Return the net return of every day since birth that has bars, of an account that trades the strategy alone."""
    first = one.birth[BirthTable.first_day]
    panel = _panel(lake, market, interval, last, (last - first).days + 1 + HISTORY_DAYS, one.document.universe)
    start = int(np.searchsorted(panel.times, day_start_ms(first)))
    committee = one.document.committee
    before = committee_run(committee, panel, costs, equity_usd, stop=start, evaluator=evaluator) if start else None
    run = committee_run(committee, panel, costs, equity_usd, start=start, after=before, evaluator=evaluator)
    quoted = panel.valid.any(axis=1)
    days = panel.times // MS_PER_DAY * MS_PER_DAY
    has_bars = set(days[quoted].tolist())
    return {
        datetime.fromtimestamp(day / 1000, UTC).date(): float(value)
        for day, value in zip(run.days.tolist(), run.daily_returns.tolist(), strict=True)
        if day in has_bars
    }


def _panel(lake: Lake, market: str, interval: Interval, last: date, days: int, universe: tuple[str, ...]) -> Panel:
    held = lake.table(CandleTable).days(market=market, interval=interval.name)
    longest = (last - held[0]).days + 1
    return build_panel(lake, market, interval, last, min(days, longest), universe, _NO_LIMIT)


def _move(
    strategies: Mapping[str, _Strategy],
    repository: StrategyRepository,
    day: date,
    lake: Lake,
    market: str,
    interval: Interval,
    costs: Costs,
    evaluator: Evaluator,
) -> list[tuple[date, TakenMove]]:
    """Let the strategies take their ways after a day, and write them down."""
    at = timestamp(day + timedelta(days=1))
    # Whoever was moved after this day is where somebody has put it.
    lives = {
        id: one.life(day) for id, one in strategies.items() if one.last is not None and one.document.entered_stage <= at
    }
    kept: dict[tuple[str, str], float | None] = {}

    def alike(left: str, right: str) -> float | None:
        if not kept:
            kept.update(_correlations(strategies, day, lake, market, interval, costs, evaluator))
        return kept.get((left, right))

    taken = []
    for move in night(lives, alike, (day + timedelta(days=1)).toordinal())[1]:
        one = strategies[move.id]
        days = one.evidence.fresh_days
        records = records_of(move.rule, move.numbers, source=source_of(one.rows.encode()), n=_counts(days))
        one.document = repository.move(move.id, move.rule.end, at=at, reason=_reason(move), records=records)
        taken.append((day, move))
    return taken


def _counts(days: int) -> dict[Kind, int]:
    return dict.fromkeys(("wealth", "fresh_wealth", "recent_sum", "shortfall", "size_factor", "fresh_days"), days)


def _reason(move: TakenMove) -> str:
    first = move.rule.requirements[0]
    value = move.numbers[first.kind]
    return f"{move.rule.name}: {first.kind.replace('_', ' ')} {value:.4g}, {first.relation} {first.bound:g}"


def _correlations(
    strategies: Mapping[str, _Strategy],
    day: date,
    lake: Lake,
    market: str,
    interval: Interval,
    costs: Costs,
    evaluator: Evaluator,
) -> dict[tuple[str, str], float | None]:
    """Return the correlation of every pair of living strategies over the days up to a day."""
    living = sorted(id for id, one in strategies.items() if one.document.stage in DEPLOYED)
    universe = tuple(sorted({symbol for id in living for symbol in strategies[id].document.universe}))
    panel = _panel(lake, market, interval, day, ALIKE_DAYS + HISTORY_DAYS, universe)
    start = max(0, panel.n_bars - ALIKE_DAYS * panel.interval.bars_per_day)
    committees = [strategies[id].document.committee for id in living]
    returns = evaluator.evaluate_committees(committees, panel, costs, start=start, stop=panel.n_bars).daily_returns
    varies = returns.std(axis=1) > 0
    found: dict[tuple[str, str], float | None] = {}
    for i, left in enumerate(living):
        for j, right in enumerate(living):
            alike = float(np.corrcoef(returns[i], returns[j])[0, 1]) if varies[i] and varies[j] else None
            found[left, right] = alike
    return found


def _lives(document: StrategyConfig, day: date) -> str | None:
    """Return the stage of a strategy on a day, none where it was not watched."""
    stage = document.stage_at(timestamp(day))
    return stage if stage in DEPLOYED else None


def _next_day(one: _Strategy) -> date:
    first: date = one.birth[BirthTable.first_day]
    return first if one.last is None else one.last + timedelta(days=1)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _known(value: float) -> float | None:
    return value if value == value else None


def _append(
    lake: Lake, table: type[Table], rows: Sequence[Mapping[str, Any]], day: date, *, market: str, interval: str
) -> int:
    """Add rows whose key a day does not have yet; those that are there stay as they are."""
    if not rows:
        return 0
    stored = lake.table(table)
    is_held = day in stored.days(market=market, interval=interval)
    before = stored.read_day(day, market=market, interval=interval) if is_held else table.empty()
    new = table.frame([dict(row) for row in rows]).join(before, on=list(table.key), how="anti")
    if new.height:
        stored.write(pl.concat([before, new]).sort(table.key), market=market, interval=interval, day=day)
    return new.height
