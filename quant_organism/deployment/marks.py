"""Daily marks: what every living strategy earned on each new day, the evidence after it, and the moves that it opens.

Marks are a function of the lake and the documents. A day that is booked is never changed: to mark again adds what is
missing and leaves the rest as it is, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import VirtualWindow, day_starts
from quant_organism.deployment.birth import booked_returns
from quant_organism.deployment.booking import append_rows, book_moves, read_rows
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.deploy import all_documents
from quant_organism.deployment.effects import closed_seats
from quant_organism.deployment.executed import birth_costs
from quant_organism.deployment.external import ExternalRunner, NobodyRuns, account_run
from quant_organism.deployment.lifecycle import LEAST_CANARY, records_of, rulings
from quant_organism.deployment.moves import Kind, approval, source_of
from quant_organism.deployment.pairs import PairedBets
from quant_organism.deployment.pool import TakenMove, discoveries_from, night
from quant_organism.deployment.postmortem import book_postmortems
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.stages import DEPLOYED, Stage, timestamp
from quant_organism.deployment.tables import BirthTable, EvidenceDayTable
from quant_organism.deployment.trader_days import TraderDays
from quant_organism.deployment.watched import WatchedStrategy, take_in, watched_strategies
from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.market.lake import Lake
from quant_organism.market.panel import Panel, build_panel
from quant_organism.market.schema import MS_PER_DAY, Interval, day_of, day_start_ms
from quant_organism.market.tables import CandleTable
from quant_organism.strategies import Committee

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
    unmarked
        Why code that was made elsewhere could not be run, by identity of the strategy: its days wait until it can.
    """

    days: tuple[date, ...]
    rows: int
    moves: tuple[tuple[date, TakenMove], ...]
    unmarked: Mapping[str, str] = field(default_factory=dict)


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
    trader: Mapping[str, TraderDays] | None = None,
    runner: ExternalRunner | None = None,
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
        What trading costs, without: what it did where each was born; keeps indicators from call to call.
    trader
        Days that the trader has booked, by strategy: from the first of them on they stand in place of simulated ones
        while it is on paper or beyond, and a day that is missing in them has no record.
    runner
        Runs code that was made elsewhere. What fails there is not marked, and keeps nobody else from it.

    Raises
    ------
    IntegrityError
        Stored days are not what their returns give, or a document cannot be read.
    """
    own_costs, engine = costs or Costs(), evaluator or Evaluator()
    where = {"market": market, "interval": interval.name}
    strategies = watched_strategies(lake, repository, market, interval, through, trader)
    stored = read_rows(lake, EvidenceDayTable, **where)
    take_in(strategies, stored)
    held = set(lake.table(CandleTable).days(**where))
    newest = max((one.last for one in strategies.values() if one.last is not None), default=date.min)
    todo = sorted(
        {
            day
            for one in strategies.values()
            for day in _days(one.next_day, through)
            if day in held or day < max(held, default=date.min)
        }
    )
    runs, unmarked = runner or NobodyRuns(), dict[str, str]()
    for id, one in strategies.items():
        if todo and one.next_day <= todo[-1] and _lives(one.document, one.next_day):
            paid = costs or birth_costs(one.document, lake)
            place = (lake, market, interval, todo[-1], equity_usd, paid, engine, runs)
            try:
                one.returns, one.scales = _account(one, *place)
            except QuantOrganismError as error:
                if one.document.external is None:
                    raise
                unmarked[id] = str(error)
    bets = PairedBets()
    moves: list[tuple[date, TakenMove]] = []
    added = 0
    for day in todo:
        rows = []
        for id, one in sorted(strategies.items()):
            if id not in unmarked and one.next_day <= day and (stage := _lives(one.document, day)):
                rows.append(one.book(day, stage, *one.earned(day, stage)))
        added += append_rows(lake, EvidenceDayTable, rows, day, **where)
        if day > newest:
            moves += _move(strategies, repository, day, lake, market, interval, own_costs, engine, bets)
    documents = {document.id: document for document in all_documents(repository)}
    book_moves(lake, list(documents.values()), market=market, interval=interval)
    for id, one in strategies.items():
        one.document = documents[id]
    booked = read_rows(lake, EvidenceDayTable, **where)
    book_postmortems(lake, strategies.values(), booked, market=market, interval=interval)
    return Marked(tuple(todo), added, tuple(moves), unmarked)


def mark_all(
    lake: Lake,
    repository: StrategyRepository,
    *,
    equity_usd: float,
    through: date | None = None,
    trader: Callable[[str, str], Mapping[str, TraderDays]] | None = None,
    runner: ExternalRunner | None = None,
) -> dict[tuple[str, str], Marked]:
    """Mark every market that has strategies, up to its newest candles or an earlier day; by market and interval.

    Parameters
    ----------
    lake, repository, equity_usd
        As for `mark_days`.
    through
        Last day; None: the newest of each market.
    trader
        Returns the days that the trader has booked in a market on bars of an interval, by strategy.
    runner
        As for `mark_days`.
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
                trader=trader(market, name) if trader else None,
                runner=runner,
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
    source, sources
        Hash of its booked days, and of other rows that a number comes from.
    """

    numbers: Mapping[Kind, float]
    n: Mapping[Kind, int]
    source: str
    sources: Mapping[Kind, str]


def known_of(
    lake: Lake,
    repository: StrategyRepository,
    id: str,
    *,
    now: str,
    equity_usd: float | None = None,
    trader: Mapping[str, TraderDays] | None = None,
) -> Known:
    """Return what is known of a strategy by its booked days.

    Parameters
    ----------
    lake, repository, id
        Births and days; the documents; who.
    now
        The moment.
    equity_usd
        Of the account that a canary would have a part of; none: what it asks for is not known.
    trader
        As for `mark_days`.

    Raises
    ------
    InputError
        There is no such strategy, or it was never watched.
    IntegrityError
        Its stored days are not what their returns give.
    """
    document = repository.load(id)
    market, interval = document.provenance.market, Interval.parse(document.interval)
    strategies = watched_strategies(lake, repository, market, interval, date.max, trader)
    if id not in strategies:
        raise InputError(
            "it was never watched, so nothing is booked of it", where=id, remedy="see why with: strategies show"
        )
    one = strategies[id]
    take_in(strategies, read_rows(lake, EvidenceDayTable, market=market, interval=interval.name))
    day = datetime.fromisoformat(timestamp(now)).date()
    lives = {name: other.life(day) for name, other in strategies.items()}
    numbers = lives[id].numbers(day.toordinal()) | {"stage_days": document.days_in_stage(now)}
    numbers["discovery"] = one.evidence.wealth / discoveries_from(lives, day.toordinal())
    share = canary_share(document, equity_usd)
    if share is not None:
        numbers["capital_share"] = share
    return Known(numbers, one.counts(day), source_of(one.rows.encode()), one.sources(day))


def move_by_person(
    lake: Lake,
    repository: StrategyRepository,
    id: str,
    to: Stage,
    *,
    reason: str,
    now: str,
    equity_usd: float,
    trader: Mapping[str, TraderDays] | None = None,
) -> StrategyConfig:
    """Take a move as a person who says yes, and book it; return the document after it.

    Parameters
    ----------
    lake, repository, id, now, equity_usd, trader
        As for `known_of`.
    to, reason
        Where to, and why.

    Raises
    ------
    InputError
        What is booked does not open the way: everything that it lacks is named.
    """
    document, records = repository.load(id), [approval(reason)]
    if to != "retired":
        known = known_of(lake, repository, id, now=now, equity_usd=equity_usd, trader=trader)
        numbers = {**known.numbers, "approved": 1.0}
        if ways := rulings(document.stage, numbers, to=to):
            best = min(ways, key=lambda way: len(way.refusals))
            sources = {**known.sources, "approved": records[0].source}
            records = list(records_of(best.rule, numbers, source=known.source, n=known.n, sources=sources))
    moved = repository.move(id, to, reason=reason, records=records, by="person")
    book_moves(lake, [moved], market=moved.provenance.market, interval=Interval.parse(moved.interval))
    return moved


def canary_share(document: StrategyConfig, equity_usd: float | None) -> float | None:
    """Return the share of the capital that a canary needs: the least there is, or what its smallest equity comes to.

    None where the capital is not known, or no equity that was tried carries the strategy out.
    """
    if equity_usd is None or document.account is None or document.account.min_equity_usd is None:
        return None
    return max(LEAST_CANARY, document.account.min_equity_usd / equity_usd)


def _account(
    one: WatchedStrategy,
    lake: Lake,
    market: str,
    interval: Interval,
    last: date,
    equity_usd: float,
    costs: Costs,
    evaluator: Evaluator,
    runner: ExternalRunner,
) -> tuple[dict[date, float], dict[date, float]]:
    """Return what an account that trades the strategy alone earned since its birth, and its risk scale, by day.

    Days without bars are in neither.
    """
    first = one.birth[BirthTable.first_day]
    panel = _panel(lake, market, interval, last, (last - first).days + 1 + HISTORY_DAYS, one.document.universe)
    start = int(np.searchsorted(panel.times, day_start_ms(first)))
    code = one.document.external
    strategy: Committee | VirtualWindow = (
        one.document.committee if code is None else runner.ask(code, panel, costs).window
    )
    before = account_run(strategy, panel, costs, equity_usd, stop=start, evaluator=evaluator) if start else None
    run = account_run(strategy, panel, costs, equity_usd, start=start, after=before, evaluator=evaluator)
    quoted = panel.valid.any(axis=1)
    days = panel.times // MS_PER_DAY * MS_PER_DAY
    has_bars = set(days[quoted].tolist())
    scales = run.path.scale[day_starts(run.path.times)]
    returns, known = {}, {}
    for day, value, scale in zip(run.days.tolist(), run.daily_returns.tolist(), scales.tolist(), strict=True):
        if day in has_bars:
            when = datetime.fromtimestamp(day / 1000, UTC).date()
            returns[when], known[when] = float(value), float(scale)
    return returns, known


def _panel(lake: Lake, market: str, interval: Interval, last: date, days: int, universe: tuple[str, ...]) -> Panel:
    held = lake.table(CandleTable).days(market=market, interval=interval.name)
    longest = (last - held[0]).days + 1
    return build_panel(lake, market, interval, last, min(days, longest), universe, _NO_LIMIT)


def _move(
    strategies: Mapping[str, WatchedStrategy],
    repository: StrategyRepository,
    day: date,
    lake: Lake,
    market: str,
    interval: Interval,
    costs: Costs,
    evaluator: Evaluator,
    bets: PairedBets,
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

    def paired(newcomer: str, holder: str) -> float | None:
        return bets.wealth((newcomer, holder), strategies[newcomer].days, strategies[holder].days)

    # Decisions follow the marks of their day: the newest that this night knows is that of the day before.
    closed = closed_seats(lake, day, market=market, interval=interval, by=f"marks of {day}")
    taken, tomorrow = [], day + timedelta(days=1)
    for move in night(lives, alike, tomorrow.toordinal(), paired=paired, closed_seats=closed)[1]:
        one = strategies[move.id]
        source = source_of(one.rows.encode())
        records = records_of(move.rule, move.numbers, source=source, n=one.counts(day), sources=one.sources(day))
        one.document = repository.move(move.id, move.rule.end, at=at, reason=_reason(move), records=records)
        taken.append((day, move))
    return taken


def _reason(move: TakenMove) -> str:
    first = move.rule.requirements[0]
    value = move.numbers[first.kind]
    return f"{move.rule.name}: {first.kind.replace('_', ' ')} {value:.4g}, {first.relation} {first.bound:g}"


def _correlations(
    strategies: Mapping[str, WatchedStrategy],
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
    days = np.unique(panel.times[start:] // MS_PER_DAY) * MS_PER_DAY
    returns = np.zeros((len(living), days.size))
    bred = [place for place, id in enumerate(living) if strategies[id].document.external is None]
    if bred:
        committees = [strategies[living[place]].document.committee for place in bred]
        made = evaluator.evaluate_committees(committees, panel, costs, start=start, stop=panel.n_bars)
        returns[bred] = made.daily_returns
    for place in set(range(len(living))) - set(bred):
        known = booked_returns(lake, strategies[living[place]].document)
        returns[place] = [known.get(day_of(int(when)), 0.0) for when in days]
    varies = returns.std(axis=1) > 0
    found: dict[tuple[str, str], float | None] = {}
    for i, left in enumerate(living):
        for j, right in enumerate(living):
            alike = float(np.corrcoef(returns[i], returns[j])[0, 1]) if varies[i] and varies[j] else None
            found[left, right] = alike
    return found


def _lives(document: StrategyConfig, day: date) -> Stage | None:
    """Return the stage of a strategy on a day, none where it was not watched."""
    stage = document.stage_at(timestamp(day))
    return stage if stage in DEPLOYED else None


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
