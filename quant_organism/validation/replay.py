"""Accelerated replay: a strategy traded bar by bar as it would be live, and its trades compared with the backtest's.

The stream is given one bar after the other and decides at each close from the bars so far; it cannot see what comes
next. The population evaluator sees whole arrays. Where a family, an indicator or the evaluator looked ahead, or where
the code that trades differs from the code that breeds, the two lists of trades differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import HOURS_PER_YEAR, Costs, Evaluator, GenomeStream, MarketRow, TradeList, reduce_paths
from quant_organism.errors import InputError
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel, Span, format_ms
from quant_organism.strategies import Committee, FittedModels, Genome, Member
from quant_organism.validation.draws import in_order
from quant_organism.validation.replay_store import MemberReplay, PeriodReplay, ReplayStore
from quant_organism.validation.statistics.evidence import NotRun

LEAST_DAYS = 5
"""A shorter period says nothing."""


class Clock(Protocol):
    """What a paced replay asks for the time."""

    def now(self) -> float:
        """Return seconds since any fixed moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True)
class Pace:
    """How fast bars are handed out.

    Parameters
    ----------
    factor
        How many times faster than they came; 10 hands out an hour's bar every six minutes.
    clock
        Tells the time and waits.

    Raises
    ------
    InputError
        The factor is not positive.
    """

    factor: float
    clock: Clock

    def __post_init__(self) -> None:
        if not self.factor > 0.0:
            raise InputError(f"a pace of {self.factor} never arrives", remedy="give a factor above 0")


def disjoint_periods(span: Span, bars_per_day: int, count: int, most_days: int) -> tuple[Span, ...] | NotRun:
    """Cut periods of equal length out of a span: whole days, adjoining, the last one ending with it.

    Parameters
    ----------
    span
        The bars that they may lie in.
    bars_per_day
        Bars of a day.
    count
        How many, at least 1.
    most_days
        Longest period; shorter where the span has no room for so many of that length.

    Returns
    -------
    Periods in the order of time; not run where not even `LEAST_DAYS` are left for each.
    """
    if count < 1 or most_days < LEAST_DAYS:
        raise InputError(
            f"{count} periods of at most {most_days} days", remedy=f"ask for at least one of at least {LEAST_DAYS}"
        )
    days = min(most_days, len(span) // bars_per_day // count)
    if days < LEAST_DAYS:
        return NotRun(
            f"{len(span) / bars_per_day:.0f} days have no room for {count} periods of at least {LEAST_DAYS} days"
        )
    bars = days * bars_per_day
    first = span.stop - count * bars
    return tuple(Span(f"period {k + 1}", first + k * bars, first + (k + 1) * bars) for k in range(count))


@dataclass(frozen=True, eq=False)
class Replayer:
    """Replays members of a strategy, each over all periods; a function of its fields and the number of the member.

    Parameters
    ----------
    members
        Genomes and the assets that they are restricted to.
    panel
        The market; bars before a period warm up, those after it are kept from the stream.
    costs
        As in the backtest.
    periods
        Where to trade; a strategy enters each flat.
    pace
        None: as fast as it goes.
    """

    members: tuple[Member, ...]
    panel: Panel
    costs: Costs
    periods: tuple[Span, ...]
    pace: Pace | None = None

    def __getstate__(self) -> dict[str, object]:
        # Another process keeps indicators and fits of its own, whatever this one has kept by then.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(threads=1)

    @cached_property
    def _models(self) -> FittedModels:
        # A fit is kept under its training rows: what one side has made, the other would make of the same numbers.
        return FittedModels(self._evaluator.store)

    def identity(self, number: int) -> dict[str, str]:
        """Return all that the replay of a member is a function of, by name."""
        member = self.members[number]
        return {
            "genome": member.genome.hash,
            "assets": ",".join(member.assets),
            "panel": self.panel.hash,
            "costs": self.costs.hash,
            "periods": ",".join(f"{span.start}-{span.stop}" for span in self.periods),
            "code": code_identity(__name__),
        }

    def __call__(self, number: int) -> MemberReplay:
        """Replay one member over all periods."""
        member = self.members[number]
        return MemberReplay(tuple(self._period(member, span) for span in self.periods))

    def _period(self, member: Member, span: Span) -> PeriodReplay:
        bars = self.panel.window(0, span.stop)
        found, returns = replay_genome(
            member.genome, bars, self.costs, span.start, assets=member.assets, pace=self.pace, models=self._models
        )
        # The backtest is given all that it was judged on: where it looked beyond the period, that shows.
        every = self._evaluator.trades(member.genome, self.panel, self.costs, start=span.start, stop=span.stop)
        expected = every.restricted_to(member.assets)
        return PeriodReplay(
            trades=found.frame.height,
            trade_hash=found.hash,
            backtest_hash=expected.hash,
            difference="" if found.hash == expected.hash else first_difference(found, expected),
            returns=returns,
        )


def replay_genome(
    genome: Genome,
    panel: Panel,
    costs: Costs,
    start: int,
    *,
    assets: Sequence[str] = (),
    pace: Pace | None = None,
    models: FittedModels | None = None,
) -> tuple[TradeList, NDArray[np.float64]]:
    """Trade a genome bar by bar from a row of a panel to its end.

    Parameters
    ----------
    genome, panel, costs
        As for the evaluator.
    start
        First row that is traded; rows before it warm signals and ranks up.
    assets
        Symbols that the portfolio is restricted to; none: all.
    pace
        None: as fast as it goes.
    models
        Keeps fitted models from one replay to the next.

    Returns
    -------
    The trades, and the portfolio's net return in each bar, float64 (T - start,).
    """
    if not 0 <= start < panel.n_bars:
        raise InputError(f"no period from bar {start} on in a panel of {panel.n_bars} bars")
    history = panel.window(0, start) if start else None
    stream = GenomeStream(genome, panel.symbols, panel.interval, costs, history=history, models=models)
    equity = np.ones((panel.n_bars - start + 1, panel.n_assets))
    begun = pace.clock.now() if pace else 0.0
    for number, row in enumerate(range(start, panel.n_bars), start=1):
        if pace:
            due = begun + number * panel.interval.hours * 3_600.0 / pace.factor
            pace.clock.sleep(max(due - pace.clock.now(), 0.0))
        stream.advance(MarketRow.of(panel, row))
        equity[number] = stream.equity
    _mark_ends(equity, stream, panel.valid[start:])
    taken = [asset for asset, symbol in enumerate(panel.symbols) if not assets or symbol in assets]
    before, after = equity[:-1, taken], equity[1:, taken]
    returns = np.divide(after, before, out=np.ones_like(after), where=before > 0.0) - 1.0
    return stream.finish().restricted_to(assets), returns.sum(axis=1)


def _mark_ends(equity: NDArray[np.float64], stream: GenomeStream, valid: NDArray[np.bool_]) -> None:
    # A delisted asset's position is sold at its last close, which is known as its last only when no other has come.
    closed = stream.closing_equity()
    for asset in range(valid.shape[1]):
        rows = np.flatnonzero(valid[:, asset])
        if rows.size:
            equity[rows[-1] + 1 :, asset] = closed[asset]


def first_difference(found: TradeList, expected: TradeList) -> str:
    """Say in a sentence which trade of the replay is the first that the backtest did not make alike."""
    ours, theirs = found.frame, expected.frame
    for place in range(max(ours.height, theirs.height)):
        mine = _described(ours.row(place, named=True)) if place < ours.height else "nothing"
        other = _described(theirs.row(place, named=True)) if place < theirs.height else "nothing"
        if mine != other:
            return f"trade {place + 1}: the replay made {mine}, the backtest {other}"
    return "the trades look alike, but their hashes differ"


def _described(trade: dict[str, object]) -> str:
    entry, exit_ = (f"{trade[name]:%Y-%m-%d %H:%M}" for name in ("entry_time", "exit_time"))
    return (
        f"{trade['side']} {trade['symbol']} {trade['quantity']:.8e} from {entry} at {trade['entry_price']:.8e} "
        f"to {exit_} at {trade['exit_price']:.8e} by {trade['reason']}"
    )


@dataclass(frozen=True, eq=False)
class Replay:
    """What a strategy did when it was traded bar by bar.

    Attributes
    ----------
    periods
        Where; in the order of time.
    begins
        Open time of each period's first bar, UTC milliseconds.
    sharpe
        Annual net Sharpe ratio in each period; nan where nothing was traded.
    total_return
        Net return in each period.
    trades
        Number of trades in each period, over all members.
    equal, compared
        Of how many pairs of member and period the trades equal the backtest's, and of how many they were compared.
    trade_hash
        SHA-256 (hex) over the trade lists of all members in all periods.
    difference
        The first trade that differs, in words; empty where none does.
    """

    periods: tuple[Span, ...]
    begins: tuple[int, ...]
    sharpe: tuple[float, ...]
    total_return: tuple[float, ...]
    trades: tuple[int, ...]
    equal: int
    compared: int
    trade_hash: str
    difference: str

    @property
    def mean_sharpe(self) -> float:
        """Mean Sharpe ratio of the periods; one in which nothing was traded counts as 0, nan where all are so."""
        known = np.array(self.sharpe)
        return float(np.nan_to_num(known).mean()) if np.isfinite(known).any() else float("nan")

    @property
    def consistency(self) -> float:
        """Share of the periods that ended with a gain; nan where nothing was traded."""
        return float(np.mean(np.array(self.total_return) > 0.0)) if sum(self.trades) else float("nan")


def replay_committee(
    committee: Committee,
    panel: Panel,
    costs: Costs,
    periods: tuple[Span, ...],
    *,
    processes: int = 1,
    store: ReplayStore | None = None,
    minutes: float | None = None,
    pace: Pace | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Replay | NotRun:
    """Replay a strategy over several periods and compare its trades with those of the population evaluator.

    Parameters
    ----------
    committee
        The strategy; each member trades with stops of its own.
    panel, costs, periods
        As for `Replayer`.
    processes
        Members that are replayed at once; nothing depends on it.
    store
        Keeps what is finished: an interrupted replay goes on from there.
    minutes
        Time in which members are begun; None: all.
    pace
        None: as fast as it goes.
    clock
        Seconds, for the time limit.

    Returns
    -------
    Replay, or not run where time was up before every member was replayed.

    Raises
    ------
    InputError
        No period, or one outside the panel.
    """
    _check_periods(periods, panel)
    replayer = Replayer(committee.members, panel, costs, periods, pace)
    began, done = clock(), dict[int, MemberReplay]()

    def left() -> Iterator[int]:
        for number in range(len(committee.members)):
            if minutes is not None and clock() - began > 60.0 * minutes:
                return
            known = store.read(replayer.identity(number)) if store else None
            if known is None:
                yield number
            else:
                done[number] = known

    for number, found in in_order(replayer, left(), min(processes, len(committee.members))):
        done[number] = found
        if store is not None:
            store.write(replayer.identity(number), found)
    if len(done) < len(committee.members):
        return NotRun(f"time was up after {len(done)} of {len(committee.members)} members")
    return _joined(committee, [done[number] for number in range(len(done))], panel, periods)


def _check_periods(periods: Sequence[Span], panel: Panel) -> None:
    if not periods:
        raise InputError("no period to replay", remedy="give at least one")
    for span in periods:
        if not 0 <= span.start < span.stop <= panel.n_bars:
            raise InputError(
                f"{span.name} goes from bar {span.start} to {span.stop}, but the panel has {panel.n_bars} bars",
                where=f"panel from {format_ms(int(panel.times[0]))}",
                remedy="choose a shorter period, or a longer lookback",
            )


def _joined(committee: Committee, members: Sequence[MemberReplay], panel: Panel, periods: tuple[Span, ...]) -> Replay:
    digest, sharpe, total, trades = hashlib.sha256(), list[float](), list[float](), list[int]()
    for place, span in enumerate(periods):
        parts = [member.periods[place] for member in members]
        returns = np.zeros(len(span))
        for weight, part in zip(committee.weights, parts, strict=True):
            returns += weight * part.returns
        traded = sum(part.trades for part in parts)
        found = reduce_paths(
            returns[np.newaxis],
            HOURS_PER_YEAR / panel.interval.hours,
            np.zeros(len(span)),
            np.zeros(1, dtype=np.int64),
        )[0]
        sharpe.append(float(found["sharpe"][0]) if traded else float("nan"))
        total.append(float(found["total_return"][0]))
        trades.append(traded)
        for member, part in zip(committee.members, parts, strict=True):
            digest.update(f"{member.genome.hash} {','.join(member.assets)} {part.trade_hash}\n".encode())
    every = [part for member in members for part in member.periods]
    differences = (
        f"{member.genome.id} in {span.name}, {part.difference}"
        for place, span in enumerate(periods)
        for member, found in zip(committee.members, members, strict=True)
        if (part := found.periods[place]).difference
    )
    return Replay(
        periods=periods,
        begins=tuple(int(panel.times[span.start]) for span in periods),
        sharpe=tuple(sharpe),
        total_return=tuple(total),
        trades=tuple(trades),
        equal=sum(part.trade_hash == part.backtest_hash for part in every),
        compared=len(every),
        trade_hash=digest.hexdigest(),
        difference=next(differences, ""),
    )
