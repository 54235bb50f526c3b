"""What gates judge by: the grounds that all candidates of a cycle share, and the case of each one.

Evidence is made when a gate first asks for it and then kept, so that dear evidence is made only for those whom a gate
still asks about. Unseen bars are reached in one way only, through the register of openings.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import CommitteeEvaluation, Costs, Evaluator
from quant_organism.backtest.account import EQUITY_USD, AccountRun, account_metrics, committee_run
from quant_organism.errors import InputError
from quant_organism.evolution import Candidate
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel, Span, Splits, has_unseen
from quant_organism.validation.holdout import HoldoutRegister, Opening
from quant_organism.validation.rehearsal import Rehearses
from quant_organism.validation.replay_store import ReplayStore
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.trial_record import TrialRecord
from quant_organism.validation.verdict import Stage, Verdict

SpanName = Literal["in_sample", "out_of_sample", "walk_forward", "holdout"]
"""Spans that are scored; `holdout` is both unseen ones together."""

UnseenName = Literal["out_of_sample", "walk_forward", "holdout"]
"""Spans that the search did not see."""

Made = TypeVar("Made")

OF_TRADES: Final = ("trades", "win_rate")
"""Metrics of closed trades, which members have and accounts do not."""

_JUDGED_BY: Final = "quant_organism.validation.gauntlet"
"""What a look at the unseen bars shows, and is judged by, is computed by this module and what it imports."""


@dataclass(frozen=True)
class PValue:
    """A p-value, and the draws under the null that it rests on."""

    p_value: float
    draws: int


@dataclass(frozen=True, eq=False)
class SpanAccount:
    """What the account of one candidate did in one span of the unseen days.

    Parameters
    ----------
    metrics
        By name, as `account_metrics` returns them.
    daily_returns
        Net, float64 (days,).
    why_idle
        Why it has traded nothing on all unseen days though its members have; empty where it has.
    """

    metrics: Mapping[str, float]
    daily_returns: NDArray[np.float64]
    why_idle: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Grounds:
    """What all candidates of a cycle are judged on.

    Parameters
    ----------
    panel, splits
        The whole panel of the cycle, and its spans. Gates read it through `in_sample` and `unsealed`.
    costs, evaluator
        The same as the search's.
    register, reason
        Where the opening of the unseen spans is written down, and why they are opened.
    seed
        Of everything that is drawn at random.
    candidates
        All that the search put forward, in its order.
    read_trials
        Returns what was tried on these days; called when a gate first asks.
    find_significance
        Returns the p-value of the whole search by statistic (`committee`, `champion 1`, ...), or why there is none.
        Called when a gate first asks, since the search may have to be repeated for it.
    pretest
        p-value of the test before the search, or why there is none.
    equity_usd
        Of the account in which candidates are judged on the unseen days.
    replays
        Keeps what was replayed; without it, an interrupted replay begins anew.
    rehearses
        Carries orders out at a venue; none where no venue is configured.
    processes, executor
        How many replays are made at once, and where, as `in_order` takes them; nothing depends on either.
    """

    panel: Panel
    splits: Splits
    costs: Costs
    evaluator: Evaluator
    register: HoldoutRegister
    reason: str
    seed: int
    candidates: tuple[Candidate, ...]
    read_trials: Callable[[], TrialRecord]
    find_significance: Callable[[], Mapping[str, PValue | NotRun] | NotRun]
    pretest: PValue | NotRun
    equity_usd: float = EQUITY_USD
    replays: ReplayStore | None = None
    rehearses: Rehearses | None = None
    processes: int | None = 1
    executor: str = "threads"
    _kept: dict[Hashable, object] = field(default_factory=dict, init=False, repr=False)
    _admitted: list[Candidate] = field(default_factory=list, init=False, repr=False)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` gives, made on the first call with this key only: evidence that candidates share."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(Made, self._kept[key])

    @cached_property
    def in_sample(self) -> Panel:
        """The bars that the search saw."""
        return self.panel.window(self.splits.in_sample.start, self.splits.in_sample.stop)

    @cached_property
    def trials(self) -> TrialRecord:
        """What was tried on these days."""
        return self.read_trials()

    @cached_property
    def significance(self) -> Mapping[str, PValue | NotRun] | NotRun:
        """The p-value of the whole search by statistic."""
        return self.find_significance()

    def admit(self, candidates: Sequence[Candidate]) -> None:
        """Say who is looked at on the unseen bars: all of them together, once, before the first look."""
        if self._admitted and [c.id for c in candidates] != [c.id for c in self._admitted]:
            raise InputError("others were admitted to the unseen days before", remedy="admit all of them together")
        self._admitted[:] = candidates

    @property
    def admitted(self) -> tuple[Candidate, ...]:
        """Candidates that may be looked at on the unseen bars."""
        return tuple(self._admitted)

    @cached_property
    def opening(self) -> Opening:
        """The look at the unseen bars, written down before anything is read.

        Raises
        ------
        InputError
            Nobody was admitted, or there are no unseen bars.
        IntegrityError, BusyError, StorageError
            It cannot be written down; the bars stay sealed.
        """
        if not has_unseen(self.splits):
            raise InputError("there are no unseen days to open", remedy="judge by gates that read the in-sample days")
        identities = [candidate.id for candidate in self._admitted]
        measured_with = f"{self.costs.hash} {self.equity_usd!r} USD {code_identity(_JUDGED_BY)}"
        return self.register.open(
            self.panel, self.splits.unseen, identities, measured_with=measured_with, reason=self.reason
        )

    @property
    def replayable(self) -> Panel:
        """The panel whose promised days are replayed: opened first, where the search did not see them."""
        return self.unsealed if has_unseen(self.splits) else self.panel

    @property
    def unsealed(self) -> Panel:
        """The whole panel, opened first."""
        return self.register.unseal(self.panel, self.opening)

    def measured(self, span: SpanName) -> CommitteeEvaluation:
        """Return what the ideal sleeves of candidates did in a span: of all in sample, of the admitted elsewhere."""
        return self.once(("measured", span), lambda: self._measure(span))

    def _measure(self, name: SpanName) -> CommitteeEvaluation:
        if name == "in_sample":
            return self._over(self.candidates, self._until_unseen, self.splits.in_sample)
        return self._over(self.admitted, self.unsealed, self._unseen(name))

    def account_before(self, candidate: Candidate) -> AccountRun:
        """Return the account of a candidate over the in-sample days; it begins flat, and without a risk scale."""
        span = self.splits.in_sample
        return self.once(
            ("account before", candidate.id),
            lambda: committee_run(
                candidate.committee,
                self._until_unseen,
                self.costs,
                self.equity_usd,
                start=span.start,
                stop=span.stop,
                evaluator=self.evaluator,
            ),
        )

    @cached_property
    def accounts(self) -> tuple[AccountRun, ...]:
        """The accounts of the admitted over all unseen days; they begin flat, at the risk scale of the days before."""
        span, panel = self.splits.unseen, self.unsealed
        runs = tuple(
            committee_run(
                candidate.committee,
                panel,
                self.costs,
                self.equity_usd,
                start=span.start,
                stop=span.stop,
                after=self.account_before(candidate),
                evaluator=self.evaluator,
            )
            for candidate in self.admitted
        )
        self.register.close(self.panel, self.opening, _digest_of(self.admitted, self.measured("holdout"), runs))
        return runs

    def executed(self, name: UnseenName) -> tuple[SpanAccount, ...]:
        """Return what the accounts of the admitted did in a span of the unseen days; it is a part of all of them."""
        return self.once(("executed", name), lambda: self._execute(name))

    def _execute(self, name: UnseenName) -> tuple[SpanAccount, ...]:
        span, first = self._unseen(name), self.splits.unseen.start
        market, rows = self.measured(name).market_returns, {"start": span.start - first, "stop": span.stop - first}
        return tuple(
            SpanAccount(account_metrics(run, market, **rows), run.returns_by_day(**rows), run.why_idle)
            for run in self.accounts
        )

    @cached_property
    def _until_unseen(self) -> Panel:
        return self.panel.window(0, self.splits.in_sample.stop)

    def _unseen(self, name: UnseenName) -> Span:
        return {
            "out_of_sample": self.splits.out_of_sample,
            "walk_forward": self.splits.walk_forward,
            "holdout": self.splits.unseen,
        }[name]

    def _over(self, candidates: Sequence[Candidate], panel: Panel, span: Span) -> CommitteeEvaluation:
        committees = [candidate.committee for candidate in candidates]
        return self.evaluator.evaluate_committees(committees, panel, self.costs, start=span.start, stop=span.stop)


@dataclass(frozen=True, eq=False)
class Case:
    """One candidate and all that is known of it.

    Parameters
    ----------
    candidate
        Who is judged.
    grounds
        What it shares with the others.
    verdicts
        On this candidate so far, in the order in which they were given.
    """

    candidate: Candidate
    grounds: Grounds
    verdicts: list[Verdict] = field(default_factory=list)
    _kept: dict[Hashable, object] = field(default_factory=dict, init=False, repr=False)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` gives, made on the first call with this key only: evidence on this candidate."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(Made, self._kept[key])

    def verdict(self, stage: Stage, gate: str) -> Verdict | None:
        """Return an earlier verdict on this candidate, if there is one."""
        return next((v for v in self.verdicts if (v.stage, v.gate) == (stage, gate)), None)

    def metrics(self, span: SpanName) -> dict[str, float]:
        """Return the candidate's metrics in a span, by name: of its sleeves in sample, of its account elsewhere.

        Closed trades and their win rate are always those of its members: an account nets them.
        """
        own = self._row(span)
        sleeves = {name: float(values[own]) for name, values in self.grounds.measured(span).metrics.items()}
        if span == "in_sample":
            return sleeves
        return {**self.grounds.executed(span)[own].metrics, **{name: sleeves[name] for name in OF_TRADES}}

    def daily_returns(self, span: SpanName) -> NDArray[np.float64]:
        """Return its net daily returns in a span, float64 (days,): of its sleeves in sample, else of its account."""
        own = self._row(span)
        if span == "in_sample":
            returns: NDArray[np.float64] = self.grounds.measured(span).daily_returns[own]
            return returns
        return self.grounds.executed(span)[own].daily_returns

    def account(self) -> AccountRun:
        """Return its account over the days that it promises by: all unseen ones, or those in sample if all are."""
        if not has_unseen(self.grounds.splits):
            return self.grounds.account_before(self.candidate)
        return self.grounds.accounts[self._row("holdout")]

    def why_idle(self, span: SpanName) -> str:
        """Say why its account has traded nothing though its members have; empty where it has.

        Of the in-sample days it is asked only where there are no others.
        """
        if span != "in_sample":
            return self.grounds.executed(span)[self._row(span)].why_idle
        return self.account().why_idle if self.promise == "in_sample" else ""

    @property
    def promise(self) -> SpanName:
        """Span that its score is of: all unseen days, or those in sample where there are no others."""
        return "holdout" if has_unseen(self.grounds.splits) else "in_sample"

    def account_metrics(self) -> dict[str, float]:
        """Return the metrics of its account over the days that it promises by, closed trades those of its members."""
        if self.promise == "holdout":
            return self.metrics("holdout")
        found = account_metrics(self.account(), self.grounds.measured("in_sample").market_returns)
        sleeves = self.metrics("in_sample")
        return {**found, **{name: sleeves[name] for name in OF_TRADES}}

    def _row(self, span: SpanName) -> int:
        among = self.grounds.candidates if span == "in_sample" else self.grounds.admitted
        return [candidate.id for candidate in among].index(self.candidate.id)


def _digest_of(candidates: Sequence[Candidate], holdout: CommitteeEvaluation, accounts: Sequence[AccountRun]) -> bytes:
    """Return what a look showed, whatever the order of the candidates."""
    rows = sorted(
        (candidate.id.encode(), returns.tobytes(), run.path.equity.tobytes())
        for candidate, returns, run in zip(candidates, holdout.daily_returns, accounts, strict=True)
    )
    return b"".join(part for row in rows for part in row)
