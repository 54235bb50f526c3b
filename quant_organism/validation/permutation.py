"""Significance of a whole search: the same search and final choice, again and again, on markets with nothing to find.

What a search finds is the best of thousands of trials that it chose on the very data that judge them. How good the
best looks by luck alone is not a matter of formulas: it is measured, by running the whole search on copies of the
market whose bars are turned over at random. The p-value is the share of copies on which it did at least as well.

It does not cover what was done before the search: a universe chosen because it rose, families designed on these data.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution import (
    EdgeEvidence,
    EvolutionSpec,
    GenomeSource,
    choose_candidates,
    composition,
    default_families,
)
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.search import search
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel
from quant_organism.validation.draws import LOST, Remembered, Statistics, in_order
from quant_organism.validation.nulls import NullKind, draw_copies
from quant_organism.validation.pretest import rule_families, unfit_for_nulls
from quant_organism.validation.statistics.evidence import NotRun, require
from quant_organism.validation.statistics.p_values import SimulatedP, simulated_p_value

STOP_AFTER: Final = 10
"""Copies that do at least as well after which the answer is clear (Besag, Clifford 1991)."""

CHAMPIONS: Final = 4
"""Least number of single genomes that have a p-value of their own, put forward or not."""

COMMITTEE, _CHAMPION = "committee", "champion "
_STREAM: Final = 2
"""Keeps the random numbers of the copies apart from those of the search itself."""


@dataclass(frozen=True)
class SearchOnNulls:
    """A search and its final choice, frozen; makes the statistics of a draw.

    Parameters
    ----------
    panel
        The in-sample span only.
    spec
        As `frozen_spec` returns it.
    costs, threads
        What trading costs, and the threads of the evaluator.
    seed
        Of the search; that of each rerun, and of the signs, is spawned from it.
    kind
        Which null, for families that decide asset by asset; those that rank assets have their own (`draw_copies`).
    """

    panel: Panel
    spec: EvolutionSpec
    costs: Costs
    threads: int
    seed: int
    kind: NullKind = "mean_preserving"

    def __call__(self, draw: int) -> Statistics:
        """Search the market itself (draw 0) or a copy, and return the net in-sample Sharpe ratio of what came of it."""
        panel, ranked, seed = self.panel, None, np.random.SeedSequence(self.seed)
        families = self.spec.families or ()
        if draw:
            signs, seed = np.random.SeedSequence(self.seed, spawn_key=(_STREAM, draw)).spawn(2)
            panel, ranked = draw_copies(panel, self.kind, signs, families, charge_funding=self.costs.charge_funding)
        evaluator = Evaluator(threads=self.threads, ranked_on=ranked)
        executor = ThreadExecutor(panel, self.costs, evaluator)
        found = search(self.spec, families, executor, source=GenomeSource(panel, self.costs, evaluator), seed=seed)
        candidates = choose_candidates(found.trials, self.spec, panel, self.costs, evaluator)
        statistics = {COMMITTEE: math.nan, **{f"{_CHAMPION}{k + 1}": math.nan for k in range(self.spec.champions)}}
        if candidates:
            measured = evaluator.evaluate_committees([c.committee for c in candidates], panel, self.costs)
            champions = 0
            for candidate, sharpe in zip(candidates, measured.metrics["sharpe"].tolist(), strict=True):
                champions += candidate.origin == "champion"
                name = f"{_CHAMPION}{champions}" if candidate.origin == "champion" else COMMITTEE
                statistics[name] = sharpe
        return statistics | {LOST: float(len(found.lost))}

    @property
    def identity(self) -> dict[str, str]:
        """All that a draw is a function of."""
        return {
            "panel": self.panel.hash,
            "spec": self.spec.hash,
            "costs": self.costs.hash,
            "seed": str(self.seed),
            "kind": self.kind,
            "code": code_identity(__name__),
        }


def frozen_spec(
    spec: EvolutionSpec, panel: Panel, *, evidence: EdgeEvidence | None = None, fitted: bool = False
) -> tuple[EvolutionSpec, tuple[str, ...]]:
    """Return the spec that is rerun, and the families that are left out of it.

    Budgets of time and money are lifted, for they would end each rerun elsewhere; what the committee is made of is
    settled by the evidence of the market itself. The best single genomes are looked at, put forward or not.

    Parameters
    ----------
    spec, panel
        The search of the cycle, and what it saw.
    evidence
        That its final choice was given.
    fitted
        Whether families that fit models take part, which costs many times more.
    """
    families = tuple(spec.families or default_families(panel))
    covered = families if fitted else rule_families(families)
    settled = {
        "families": covered,
        "choice": composition(spec.choice, evidence),
        "champions": max(spec.champions, CHAMPIONS),
    }
    return spec.uninterrupted.model_copy(update=settled), tuple(name for name in families if name not in covered)


@dataclass(frozen=True)
class SearchSignificance:
    """How good a search looks beside the same search where nothing can be found.

    Attributes
    ----------
    kind
        The null.
    draws
        Copies that were searched.
    wanted
        Copies that were planned; fewer are searched where the answer is clear before.
    sharpe
        In-sample Sharpe ratio of the committee and of each champion on the market itself, by name.
    luck_sharpe
        Median of the same over the copies: what luck alone shows.
    p_values
        By name; for the second champion and later the largest of its own and those before it, since a rank counts only
        if all better ones do.
    undefined
        Copies on which the committee was undefined, which count as lower.
    left_out
        Families that the reruns leave out: the p-values do not cover what they found.
    seconds_per_draw
        What a copy took, from the previous one to it; 0 where all were kept from before.
    missing
        Copies that were planned, and cut short by a time limit or lost; each counts as one that did at least as well.
    """

    kind: NullKind
    draws: int
    wanted: int
    sharpe: Mapping[str, float]
    luck_sharpe: Mapping[str, float]
    p_values: Mapping[str, SimulatedP | NotRun]
    undefined: int
    left_out: tuple[str, ...]
    seconds_per_draw: float
    missing: int = 0

    @property
    def p_value(self) -> float:
        """The p-value of the committee, or of the best champion where no committee was formed; nan if neither."""
        found = self.p_values[_primary(self.sharpe)]
        return found.p_value if isinstance(found, SimulatedP) else math.nan

    @property
    def smallest_possible(self) -> float:
        """The smallest p-value that so many copies can give."""
        return 1.0 / (1.0 + self.draws)

    @property
    def sentence(self) -> str:
        """The answer for people."""
        if math.isnan(self.p_value):
            return "The search found nothing that traded enough, so there is nothing to be significant."
        if self.missing:
            short = _cut_short(self.draws, self.wanted)
            return f"{short}; until then those not made count against it: p = {self.p_value:.3g}"
        what = _primary(self.sharpe)
        copies = "1 copy" if self.draws == 1 else f"{self.draws} copies"
        found = (
            f"The {what} shows a Sharpe ratio of {self.sharpe[what]:.2f} in sample; the same search on "
            f"{copies} of the market in which nothing can be found showed {self.luck_sharpe[what]:.2f} (median): "
            f"p = {self.p_value:.3g}."
        )
        if self.smallest_possible > 0.05 and self.p_value < 2 * self.smallest_possible:
            found += (
                f" So few copies cannot show less than {self.smallest_possible:.3g}, which is not enough to tell; "
                f"{19 - self.draws} more would be."
            )
        if self.left_out:
            found += f" It does not cover families that fit models ({len(self.left_out)} left out)."
        return found


@dataclass(frozen=True)
class Incomplete(NotRun):
    """A test that was cut short before the market itself was searched. What was made is kept, so that it can go on.

    Attributes
    ----------
    made, planned
        Copies of the market that were searched whole, and those that the p-value asks for.
    """

    made: int
    planned: int


def search_significance(
    searched: SearchOnNulls,
    *,
    draws: int = 99,
    minutes: float | None = None,
    make: Callable[[int], Statistics] | None = None,
    left_out: Sequence[str] = (),
    processes: int | None = 1,
    executor: str = "threads",
    progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> SearchSignificance | NotRun:
    """Measure how good the search would look on markets with nothing to find.

    The search on the market itself is made anew as draw 0, by the same frozen spec as the others: what a warm start or
    a family left out has added to the cycle's own search is in none of them.

    Parameters
    ----------
    searched
        The search, frozen.
    draws
        Copies B that are planned; 19 reach 0.05, 99 reach 0.01. Fewer are made only where the answer is clear before.
    minutes
        Time after which no draw is begun any more; None: none. Draws that were kept take no time. Each draw that is
        missing then counts as one that did at least as well: what was cut short can only be more cautious.
    make
        Makes draws in place of `searched`, such as one that remembers them.
    left_out
        Families that the frozen spec leaves out.
    processes, executor
        Draws made at once, and where, as `in_order` takes them; the answer depends on neither.
    progress
        Told how many draws are made and how many there may be.
    clock
        Seconds, for the time limit.

    Returns
    -------
    SearchSignificance or NotRun
        Not run on less than 90 days or without a family; `Incomplete` where time was up before the market itself was
        searched, or where that search could not be made whole.

    Raises
    ------
    InputError
        There is no draw.
    """
    require(draws >= 1, f"{draws} draws are none", "19 reach 0.05, 99 reach 0.01")
    if (unfit := unfit_for_nulls(searched.panel, searched.spec.families or ())) is not None:
        return unfit
    began = clock()
    done: list[Statistics] = []

    def numbers() -> Iterator[int]:
        for number in range(draws + 1):
            is_kept = isinstance(make, Remembered) and make.keeps(number)
            if minutes is not None and not is_kept and clock() - began >= 60.0 * minutes:
                return
            yield number

    exceedances = 0
    for number, found in in_order(make or searched, numbers(), processes, executor):
        done.append(found)
        if progress is not None:
            progress(number + 1, draws + 1)
        primary = _primary(done[0])
        exceedances += number > 0 and found[primary] >= done[0][primary]
        if exceedances == STOP_AFTER:
            break
    whole = [found for found in done if not found.get(LOST)]
    if not done or done[0].get(LOST):
        return Incomplete(_cut_short(len(whole), draws), len(whole), draws)
    is_clear = exceedances == STOP_AFTER and len(whole) == len(done)
    missing = 0 if is_clear else draws + 1 - len(whole)
    return _judged(whole, searched.kind, draws, left_out, (clock() - began) / len(done), missing)


def _cut_short(made: int, planned: int) -> str:
    return f"incomplete: {made} of {planned} copies; go on with `quant-organism run --resume-copies`"


def _primary(real: Statistics) -> str:
    """Return the name of the statistic that ends the draws: the committee's where there is one."""
    return f"{_CHAMPION}1" if math.isnan(real[COMMITTEE]) and f"{_CHAMPION}1" in real else COMMITTEE


def _judged(
    done: Sequence[Statistics], kind: NullKind, wanted: int, left_out: Sequence[str], seconds: float, missing: int
) -> SearchSignificance:
    real, copies = done[0], done[1:]
    names = [name for name in real if name != LOST]
    p_values: dict[str, SimulatedP | NotRun] = {}
    before: SimulatedP | NotRun | None = None
    for name in names:
        own = simulated_p_value(real[name], [copy[name] for copy in copies], stop_after=STOP_AFTER, missing=missing)
        if name != COMMITTEE:
            own = before = _no_better_than(before, own)
        p_values[name] = own
    return SearchSignificance(
        kind=kind,
        draws=len(copies),
        wanted=wanted,
        sharpe={name: real[name] for name in names},
        luck_sharpe={name: _median([copy[name] for copy in copies]) for name in names},
        p_values=p_values,
        undefined=sum(math.isnan(copy[COMMITTEE]) for copy in copies),
        left_out=tuple(left_out),
        seconds_per_draw=seconds,
        missing=missing,
    )


def _no_better_than(before: SimulatedP | NotRun | None, own: SimulatedP | NotRun) -> SimulatedP | NotRun:
    if isinstance(own, NotRun) or before is None:
        return own
    return before if isinstance(before, NotRun) or before.p_value > own.p_value else own


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else math.nan
