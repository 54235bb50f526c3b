"""What is shaken, its closed trades, and what a shake shows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from inspect import signature
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import CommitteeEvaluation, Costs, Evaluator
from quant_organism.market import Panel, Span
from quant_organism.strategies import Committee, Member, get_family
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.monte_carlo import QUANTILES

Floats = NDArray[np.float64]
Arguments = ParamSpec("Arguments")
Shown = TypeVar("Shown")

REEVALUATIONS = 20
"""Made markets that a strategy is measured on again; each costs as much as a first look at a market."""

_MOST_KEPT: Final = 256
"""What is kept of shakes, the newest; each is some hundred numbers."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A strategy and where it is measured.

    Attributes
    ----------
    committee
        The strategy.
    panel
        The market up to the end of the span: nothing later can be looked at.
    start
        First row of the span; rows before it are warm-up.
    costs, evaluator
        As everywhere else. Made markets are measured by evaluators of their own, so that this one's indicators stay.
    """

    committee: Committee
    panel: Panel
    start: int
    costs: Costs
    evaluator: Evaluator

    @classmethod
    def of(cls, committee: Committee, panel: Panel, span: Span, costs: Costs, evaluator: Evaluator) -> Subject:
        """Cut the panel off at the end of a span."""
        return cls(committee, panel.window(0, span.stop), span.start, costs, evaluator)

    @cached_property
    def measured(self) -> CommitteeEvaluation:
        """What it did, unchanged."""
        return self.measure([self.committee])

    @property
    def sharpe(self) -> float:
        """Annual net Sharpe ratio, unchanged; nan where nothing was traded."""
        return float(self.measured.metrics["sharpe"][0])

    @property
    def idle(self) -> NotRun | None:
        """Why there is nothing to shake, or None."""
        return NotRun("the returns do not vary: nothing was traded") if np.isnan(self.sharpe) else None

    def measure(self, committees: Sequence[Committee], **changes: Any) -> CommitteeEvaluation:
        """Evaluate committees on the span; `changes` are those of `Evaluator.evaluate_committees`."""
        arguments = {"panel": self.panel, "costs": self.costs, "start": self.start, **changes}
        return self.evaluator.evaluate_committees(committees, **arguments)

    def of_members(self, members: Sequence[Member]) -> Subject:
        """Return the same with some of the members, their weights in proportion."""
        return self if len(members) == len(self.committee.members) else replace(self, committee=of_members(members))

    @property
    def identity(self) -> Hashable:
        """All that what it shows is a function of."""
        members = tuple((*member.key, member.weight) for member in self.committee.members)
        ranked, stops = self.evaluator.ranked_on, self.evaluator.stops_from_next_bar
        return members, self.panel.hash, self.start, self.costs.hash, None if ranked is None else ranked.hash, stops


_kept: dict[Hashable, object] = {}


def once(show: Callable[Concatenate[Subject, Arguments], Shown]) -> Callable[Concatenate[Subject, Arguments], Shown]:
    """Make what is shown of a subject once in a process: the tear sheets of a run ask what its gates have asked."""

    @wraps(show)
    def showing(subject: Subject, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Shown:
        asked = signature(show).bind(subject, *args, **kwargs)
        asked.apply_defaults()
        said = list(asked.arguments.values())[1:]
        key = (show, subject.identity, *(tuple(value) if isinstance(value, list) else value for value in said))
        if key not in _kept:
            _kept[key] = show(subject, *args, **kwargs)
            for old in list(_kept)[:-_MOST_KEPT]:
                _kept.pop(old, None)
        return cast(Shown, _kept[key])

    return showing


@dataclass(frozen=True, eq=False)
class Shake:
    """What a strategy earned under each of n changes.

    Attributes
    ----------
    original
        Annual net Sharpe ratio without any change, of the members that took part.
    changes
        Length n: what was changed; a number where the changes were drawn.
    sharpe, max_drawdown
        float64 (n,). A Sharpe ratio is 0 where nothing was traded: nothing was earned.
    seed
        Of the draws; none where nothing was drawn.
    left_out
        Genomes that took no part, by identity.
    """

    original: float
    changes: tuple[str, ...]
    sharpe: Floats
    max_drawdown: Floats
    seed: int | None
    left_out: tuple[str, ...] = ()

    @classmethod
    def seen(
        cls,
        subject: Subject,
        changes: Sequence[str],
        sharpe: Floats,
        max_drawdown: Floats,
        *,
        seed: int | None = None,
        left_out: Sequence[Member] = (),
    ) -> Shake:
        """Collect what was measured; undefined Sharpe ratios become 0."""
        names = tuple(sorted({member.genome.id for member in left_out}))
        return cls(subject.sharpe, tuple(changes), np.nan_to_num(sharpe, nan=0.0), max_drawdown, seed, names)

    @property
    def sharpe_quantiles(self) -> Floats:
        """5, 50 and 95 % quantiles of the Sharpe ratio, float64 (3,)."""
        return np.asarray(np.quantile(self.sharpe, QUANTILES))

    @property
    def drawdown_quantiles(self) -> Floats:
        """5, 50 and 95 % quantiles of the maximum drawdown, float64 (3,)."""
        return np.asarray(np.quantile(self.max_drawdown, QUANTILES))

    @property
    def loss_probability(self) -> float:
        """Share of the changes under which nothing was earned."""
        return float(np.mean(self.sharpe <= 0))

    @property
    def worst(self) -> tuple[str, float]:
        """The change under which the Sharpe ratio was lowest, the first of them, and what it was."""
        place = int(np.argmin(self.sharpe))
        return self.changes[place], float(self.sharpe[place])


def seen_by_draws(
    subject: Subject, draws: int, make: Callable[[int], Panel], *, seed: int, left_out: Sequence[Member]
) -> Shake:
    """Measure a subject on markets that are made draw by draw, side by side on the evaluator's threads."""
    sharpe, drawdown = measured_on(subject, draws, make)
    return Shake.seen(subject, [str(draw) for draw in range(draws)], sharpe, drawdown, seed=seed, left_out=left_out)


def measured_on(subject: Subject, count: int, make: Callable[[int], Panel]) -> tuple[Floats, Floats]:
    """Return the Sharpe ratio and the maximum drawdown on each of some made markets, float64 (count,) each."""
    alone = replace(subject.evaluator, threads=1, memory_bytes=0)

    def measure(place: int) -> tuple[float, float]:
        evaluator = replace(alone)
        seen = replace(subject, panel=make(place), evaluator=evaluator).measured.metrics
        return float(seen["sharpe"][0]), float(seen["max_drawdown"][0])

    with ThreadPoolExecutor(subject.evaluator.threads) as executor:
        found = np.array(list(executor.map(measure, range(count))))
    return found[:, 0], found[:, 1]


def without_models(subject: Subject) -> tuple[Subject, tuple[Member, ...]] | NotRun:
    """Leave out members of families that fit models, which every made market would ask to be fitted anew.

    Returns
    -------
    The subject with the others and the members left out; or why not: less than half of the weight would remain.
    """
    members = subject.committee.members
    fitted = tuple(member for member in members if get_family(member.genome.family).model_genes)
    rest = [member for member in members if member not in fitted]
    if 2 * sum(member.weight for member in rest) < 1:
        return NotRun(f"{len(fitted)} of {len(members)} members fit models, and all would have to be fitted anew")
    return subject.of_members(rest), fitted


def of_members(members: Iterable[Member]) -> Committee:
    """Return a committee of members, their weights in proportion; those that have become the same add up."""
    joined: dict[tuple[str, tuple[str, ...]], Member] = {}
    for member in members:
        weight = member.weight + (joined[member.key].weight if member.key in joined else 0.0)
        joined[member.key] = replace(member, weight=weight)
    return Committee.of(
        [member.genome for member in joined.values()],
        [member.weight for member in joined.values()],
        [member.assets for member in joined.values()],
    )


def stream_of(seed: int, *key: int) -> np.random.Generator:
    """Return a source of randomness of its own for each key."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True, eq=False)
class ClosedTrades:
    """Closed trades, those that ended on one day as one.

    Members and assets ride on the same moves: counted apart, a lucky day would look like many lucky trades.

    Attributes
    ----------
    returns
        What the trades of each day with an exit added to the committee's equity, in time order, float64 (days,): the
        sum of their net returns on their sleeves' equity, each times the member's weight.
    average_holding_hours
        Mean time from the bar of entry to the bar of exit; 0 without trades.
    count
        Trades in all.
    years
        Length of the span in years of 365 days.
    """

    returns: Floats
    average_holding_hours: float
    count: int
    years: float


@once
def closed_trades(subject: Subject) -> ClosedTrades:
    """Collect the closed trades of all members, each on its own assets."""
    panel = subject.panel
    years = (panel.n_bars - subject.start) * panel.interval.hours / (24 * 365)
    frames = []
    for member in subject.committee.members:
        trades = subject.evaluator.trades(member.genome, panel, subject.costs, start=subject.start).frame
        own = trades.filter(pl.col("reason") != "open")
        if member.assets:
            own = own.filter(pl.col("symbol").is_in(member.assets))
        frames.append(
            own.select(
                day=pl.col("exit_time").dt.date(),
                gain=member.weight * pl.col("return"),
                hours=(pl.col("exit_time") - pl.col("entry_time")).dt.total_milliseconds() / 3_600_000,
            )
        )
    found = pl.concat(frames)
    # Sorted, so that sums do not depend on the order of members, assets or threads.
    by_day = found.sort("day", "gain").group_by("day", maintain_order=True).agg(pl.col("gain"))
    returns = np.array([float(np.sum(gains.to_numpy())) for gains in by_day["gain"]], dtype=np.float64)
    hours = np.sort(found["hours"].to_numpy())
    return ClosedTrades(returns, float(hours.mean()) if hours.size else 0.0, len(found), years)
