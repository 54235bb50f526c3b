"""Accelerated replay: a strategy traded bar by bar as it would be live, and its trades compared with the backtest's.

The stream is given one bar after the other and decides at each close from the bars so far; it cannot see what comes
next. The population evaluator sees whole arrays. Where a family, an indicator or the evaluator looked ahead, or where
the code that trades differs from the code that breeds, the two lists of trades differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import HOURS_PER_YEAR, Costs, TradeList, reduce_paths, streamed_targets
from quant_organism.backtest.account import EQUITY_USD, virtual_costs
from quant_organism.errors import InputError
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel, Span, format_ms
from quant_organism.strategies import Committee, Member, get_family
from quant_organism.validation.account_replay import PeriodAccount, held_in_backtest, replay_account
from quant_organism.validation.draws import in_order
from quant_organism.validation.genome_replay import OwnEvaluator, Pace, replay_genome, taken_assets
from quant_organism.validation.replay_store import MemberReplay, PeriodReplay, ReplayStore
from quant_organism.validation.statistics.evidence import NotRun

LEAST_DAYS = 5
"""A shorter period says nothing."""


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
class Replayer(OwnEvaluator):
    """Replays members of strategies over periods; a function of its fields and the number of the replay.

    Parameters
    ----------
    replays
        Genomes and the assets that they are restricted to, each with where to trade; it enters each period flat.
    panel
        The market; bars before a period warm up, those after it are kept from the stream.
    costs
        As in the backtest.
    pace
        None: as fast as it goes.
    """

    replays: tuple[tuple[Member, tuple[Span, ...]], ...]
    panel: Panel
    costs: Costs
    pace: Pace | None = None

    def identity(self, number: int) -> dict[str, str]:
        """Return all that the replay of a member is a function of, by name."""
        member, periods = self.replays[number]
        return {
            "genome": member.genome.hash,
            "assets": ",".join(member.assets),
            "panel": self.panel.hash,
            "costs": self.costs.hash,
            "periods": ",".join(f"{span.start}-{span.stop}" for span in periods),
            "code": code_identity(__name__),
        }

    def __call__(self, number: int) -> MemberReplay:
        """Replay one member over its periods."""
        member, periods = self.replays[number]
        decided = self._decided(member, periods)
        return MemberReplay(tuple(self._period(member, span, decided) for span in periods))

    def _decided(self, member: Member, periods: Sequence[Span]) -> NDArray[np.float64] | None:
        # At the closes of all periods at once, each from the bars up to it; none where a stream decides by itself.
        if self.pace is not None or get_family(member.genome.family).ranks:
            return None
        first, last = min(span.start for span in periods), max(span.stop for span in periods)
        taken = taken_assets(self.panel, member.assets)
        return streamed_targets(
            member.genome, self.panel, start=max(first - 1, 0), stop=last, assets=taken, models=self.models
        )

    def _period(self, member: Member, span: Span, decided: NDArray[np.float64] | None) -> PeriodReplay:
        bars = self.panel.window(0, span.stop)
        found = replay_genome(
            member.genome,
            bars,
            self.costs,
            span.start,
            assets=member.assets,
            virtual=virtual_costs(self.costs),  # virtual orders fill whole
            pace=self.pace,
            models=self.models,
            decided=decided,
        )
        held_there, before = held_in_backtest(member, self.panel, self.costs, span, self.evaluator)
        # The backtest is given all that it was judged on: where it looked beyond the period, that shows.
        every = self.evaluator.trades(member.genome, self.panel, self.costs, start=span.start, stop=span.stop)
        expected = every.restricted_to(member.assets)
        trades = found.trades
        return PeriodReplay(
            trades=trades.frame.height,
            trade_hash=trades.hash,
            backtest_hash=expected.hash,
            difference="" if trades.hash == expected.hash else first_difference(trades, expected),
            returns=found.returns,
            held=found.held,
            before=before,
            held_difference=found.held.difference(held_there, bars.times[span.start :], bars.symbols),
        )


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
        Annual net Sharpe ratio of the ideal sleeves in each period, of bars; nan where nothing was traded.
    total_return
        Net return of the ideal sleeves in each period.
    accounts
        What the account did in each period.
    trades
        Number of trades in each period, over all members.
    equal, compared
        Of how many pairs of member and period the trades equal the backtest's, and of how many they were compared.
    trade_hash
        SHA-256 (hex) over the trade lists of all members in all periods.
    difference
        The first trade or order that differs, in words; empty where none does.
    """

    periods: tuple[Span, ...]
    begins: tuple[int, ...]
    sharpe: tuple[float, ...]
    total_return: tuple[float, ...]
    accounts: tuple[PeriodAccount, ...]
    trades: tuple[int, ...]
    equal: int
    compared: int
    trade_hash: str
    difference: str

    @property
    def orders_equal(self) -> int:
        """In how many periods the account's orders equal the backtest's."""
        return sum(account.order_hash == account.backtest_hash for account in self.accounts)

    @property
    def is_equal(self) -> bool:
        """Whether all trades and all orders equal the backtest's."""
        return self.equal == self.compared and self.orders_equal == len(self.accounts)

    @property
    def order_hash(self) -> str:
        """SHA-256 (hex) over the digests of the account's orders in all periods."""
        return hashlib.sha256("\n".join(account.order_hash for account in self.accounts).encode()).hexdigest()

    @property
    def mean_sharpe(self) -> float:
        """Mean Sharpe ratio of the account; a period in which nothing was traded counts as 0, nan where all are so."""
        known = np.array([account.sharpe for account in self.accounts])
        return float(np.nan_to_num(known).mean()) if np.isfinite(known).any() else float("nan")

    @property
    def consistency(self) -> float:
        """Share of the periods that ended with a gain of the account; nan where nothing was traded."""
        gains = [account.total_return > 0.0 for account in self.accounts]
        return float(np.mean(gains)) if any(account.orders for account in self.accounts) else float("nan")


def replay_committee(
    committee: Committee,
    panel: Panel,
    costs: Costs,
    periods: tuple[Span, ...],
    *,
    equity_usd: float = EQUITY_USD,
    processes: int = 1,
    store: ReplayStore | None = None,
    minutes: float | None = None,
    pace: Pace | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Replay | NotRun:
    """Replay a strategy and its account over several periods, and compare their trades and orders with the backtest's.

    Parameters
    ----------
    committee
        The strategy; each member trades with stops of its own.
    panel, costs
        As for `Replayer`.
    periods
        Where to trade.
    equity_usd
        Of the account, which enters each period flat, at the risk scale of the days before.
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
    replayer = Replayer(tuple((member, periods) for member in committee.members), panel, costs, pace)
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
    members = [done[number] for number in range(len(done))]
    return joined_replay(committee, members, panel, costs, periods, equity_usd=equity_usd)


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


def joined_replay(
    committee: Committee,
    members: Sequence[MemberReplay],
    panel: Panel,
    costs: Costs,
    periods: tuple[Span, ...],
    *,
    equity_usd: float,
) -> Replay:
    """Join the replays of a strategy's members, trade its account by them, and compare both with the backtest's.

    Parameters
    ----------
    committee, members
        The strategy, and the replay of each of its members over all periods.
    panel, costs, periods
        What they were replayed on.
    equity_usd
        Of the account, which enters each period flat.
    """
    digest, sharpe, total, trades = hashlib.sha256(), list[float](), list[float](), list[int]()
    accounts = list[PeriodAccount]()
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
        elsewhere = (
            f"{member.genome.id}, {part.held_difference}"
            for member, part in zip(committee.members, parts, strict=True)
            if part.held_difference
        )
        accounts.append(
            replay_account(
                committee,
                [part.held for part in parts],
                [part.before for part in parts],
                panel,
                costs,
                span,
                equity_usd=equity_usd,
                difference=next(elsewhere, ""),
            )
        )
        for member, part in zip(committee.members, parts, strict=True):
            digest.update(f"{member.genome.hash} {','.join(member.assets)} {part.trade_hash}\n".encode())
    every = [part for member in members for part in member.periods]
    differences = (
        f"{member.genome.id} in {span.name}, {part.difference}"
        for place, span in enumerate(periods)
        for member, found in zip(committee.members, members, strict=True)
        if (part := found.periods[place]).difference
    )
    orders = (
        f"the account in {span.name}, {account.difference}"
        for span, account in zip(periods, accounts, strict=True)
        if account.difference
    )
    return Replay(
        periods=periods,
        begins=tuple(int(panel.times[span.start]) for span in periods),
        sharpe=tuple(sharpe),
        total_return=tuple(total),
        accounts=tuple(accounts),
        trades=tuple(trades),
        equal=sum(part.trade_hash == part.backtest_hash for part in every),
        compared=len(every),
        trade_hash=digest.hexdigest(),
        difference=next(chain(differences, orders), ""),
    )
