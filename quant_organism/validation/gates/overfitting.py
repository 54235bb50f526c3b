"""Gates on the search as a whole: how good the best of so many trials looks by luck. Filters, no tests.

The trials are those of the ledger. Clones count once, and what goes together counts as one cluster.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from quant_organism.evolution import DAYS_A_YEAR, expected_luck, trial_budget
from quant_organism.validation.case import Case, Grounds
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.statistics.annualised import haircut_sharpe
from quant_organism.validation.statistics.clusters import Clusters, cluster_sketches
from quant_organism.validation.statistics.deflation import deflate
from quant_organism.validation.statistics.evidence import NotRun, flat_columns
from quant_organism.validation.statistics.pbo import BLOCKS, Overfitting, backtest_overfitting
from quant_organism.validation.statistics.spa import predictive_ability, stepwise_survivors
from quant_organism.validation.trial_record import is_rule
from quant_organism.validation.verdict import Stage, Verdict


class OverfittingGate(Gate):
    """A gate of the stage `overfitting`."""

    @property
    def stage(self) -> Stage:
        """Overfitting."""
        return "overfitting"


class DeflatedSharpe(OverfittingGate):
    """The probability that the candidate beats, in sample, the best that so many clusters of trials show by luck.

    Parameters
    ----------
    at_least
        Least probability. The figure for every trial by itself stands beside it as the pessimist's.
    """

    kind: ClassVar[str] = "deflated_sharpe"

    at_least: float = Field(ge=0, le=1)

    @property
    def threshold(self) -> float:
        """The least probability."""
        return self.at_least

    def judge(self, case: Case) -> Verdict:
        """Deflate the candidate's in-sample returns."""
        clusters = clusters_of(case.grounds)
        if isinstance(clusters, NotRun):
            return self.without(clusters.reason)
        record = case.grounds.trials
        found = deflate(
            case.daily_returns("in_sample"), clusters=clusters.count, trials=max(record.tried, clusters.count)
        )
        if isinstance(found, NotRun):
            return self.without(found.reason, clusters.count)
        luck = found.lucky_sharpe * np.sqrt(DAYS_A_YEAR)
        reason = (
            f"beats the luck of {found.clusters} clusters of trials (a Sharpe ratio of {luck:.2f}) with probability "
            f"{found.probability:.3f}, at least {self.at_least:.3g} needed; {found.pessimist:.3f} against all "
            f"{found.trials} trials"
        )
        return self.at_least_threshold(found.probability, clusters.count, reason)


class BacktestOverfitting(OverfittingGate):
    """The probability of backtest overfitting among cluster medoids, by cross-validation on all halves (CSCV).

    Parameters
    ----------
    at_most
        Largest probability that the best of one half ranks in the lower half of the other.
    blocks
        Most blocks that the days are cut into, even; fewer where the days are few.
    """

    kind: ClassVar[str] = "backtest_overfitting"

    at_most: float = Field(ge=0, le=1)
    blocks: int = Field(BLOCKS, ge=2, le=16, multiple_of=2)

    @property
    def threshold(self) -> float:
        """The largest probability."""
        return self.at_most

    def judge(self, case: Case) -> Verdict:
        """Look at the search that put the candidate forward; the same for all of them."""
        found = case.grounds.once((self.kind, self.blocks), lambda: self._measure(case.grounds))
        if isinstance(found, NotRun):
            return self.without(found.reason)
        reason = (
            f"what looks best on one half of the days falls behind on the other with probability "
            f"{found.probability:.2f} ({found.columns} kinds of trials, {found.blocks} blocks of days), "
            f"at most {self.at_most:.3g} accepted"
        )
        return self.at_most_threshold(found.probability, found.columns, reason)

    def _measure(self, grounds: Grounds) -> Overfitting | NotRun:
        returns = medoid_returns(grounds)
        return returns if isinstance(returns, NotRun) else backtest_overfitting(returns, self.blocks)


class TrialBudget(OverfittingGate):
    """What luck alone is expected to show after all that was ever tried on these days (minimum backtest length).

    Parameters
    ----------
    at_most
        Largest annual Sharpe ratio of luck that is still within the budget of trials.
    """

    kind: ClassVar[str] = "trial_budget"

    at_most: float = Field(gt=0, allow_inf_nan=False)

    @property
    def threshold(self) -> float:
        """The largest Sharpe ratio of luck."""
        return self.at_most

    def judge(self, case: Case) -> Verdict:
        """Count the trials."""
        years, tried = _years(case), case.grounds.trials.tried
        if not tried:
            return self.without("nothing was tried on these days")
        luck = expected_luck(tried, years)
        reason = (
            f"{tried:,} trials on {years:.1f} years show a Sharpe ratio of {luck:.2f} by luck; "
            f"the budget for {self.at_most:.3g} is {trial_budget(years, self.at_most):,} trials"
        )
        return self.at_most_threshold(luck, tried, reason)


class HaircutSharpe(OverfittingGate):
    """The in-sample Sharpe ratio that is left after paying for all trials (Harvey, Liu 2015, Bonferroni).

    Parameters
    ----------
    at_least
        Least annual Sharpe ratio.
    """

    kind: ClassVar[str] = "haircut_sharpe"

    at_least: float = Field(allow_inf_nan=False)

    @property
    def threshold(self) -> float:
        """The least Sharpe ratio."""
        return self.at_least

    def judge(self, case: Case) -> Verdict:
        """Cut the candidate's in-sample Sharpe ratio."""
        sharpe, tried = case.metrics("in_sample")["sharpe"], case.grounds.trials.tried
        if np.isnan(sharpe) or not tried:
            return self.without("nothing was traded" if tried else "nothing was tried on these days", tried)
        left = haircut_sharpe(sharpe, _years(case), tried)
        reason = f"a Sharpe ratio of {sharpe:.2f} is worth {left:.2f} after {tried:,} trials"
        return self.at_least_threshold(left, tried, reason)


class PredictiveAbility(OverfittingGate):
    """Whether any of the random founders beats cash (Hansen's SPA), and how many do (StepM).

    Valid for the founders only: they were drawn before anything was learned from these days. Among all trials of a
    search it rejects far too often.

    Parameters
    ----------
    at_most
        Largest p-value.
    """

    kind: ClassVar[str] = "predictive_ability"

    at_most: float = Field(gt=0, lt=1)

    @property
    def threshold(self) -> float:
        """The largest p-value."""
        return self.at_most

    def judge(self, case: Case) -> Verdict:
        """Test the founders; the same for all candidates."""
        return case.grounds.once(self, lambda: self._judge(case.grounds))

    def _judge(self, grounds: Grounds) -> Verdict:
        founders = grounds.trials.founders
        if not founders:
            return self.without("no founder of a rule family was drawn at random")
        returns = grounds.evaluator.evaluate(founders, grounds.in_sample, grounds.costs).daily_returns.T
        found = predictive_ability(returns, seed=grounds.seed)
        steps = stepwise_survivors(returns, seed=grounds.seed, level=self.at_most)
        if isinstance(found, NotRun):
            return self.without(found.reason, returns.shape[1])
        beating = 0 if isinstance(steps, NotRun) else len(steps.columns)
        reason = f"the best of {found.models} random founders does as well without an edge with probability " + (
            f"{found.p_value:.3g}; {beating} of them beat cash for certain"
        )
        return self.at_most_threshold(found.p_value, found.models, reason)


def clusters_of(grounds: Grounds) -> Clusters | NotRun:
    """Return the clusters of all trials on the days that the search saw: how many different things were tried."""

    def make() -> Clusters | NotRun:
        record = grounds.trials
        return cluster_sketches(record.sketches, record.sharpe)

    return grounds.once("clusters", make)


def medoid_returns(grounds: Grounds) -> NDArray[np.float64] | NotRun:
    """Return the net daily returns of one trial per cluster, float64 (days, clusters), measured anew.

    It is the medoid, or the first trial that can stand for it where the medoid is of another search, whose genomes are
    not at hand, or of a family that fits models, which costs many times more. Clusters without any are left out.
    """

    def make() -> NDArray[np.float64] | NotRun:
        clusters = clusters_of(grounds)
        if isinstance(clusters, NotRun):
            return clusters
        known = grounds.trials.genomes
        chosen = []
        for cluster, medoid in enumerate(clusters.medoids.tolist()):
            members = [medoid, *np.flatnonzero(clusters.labels == cluster).tolist()]
            chosen += [genome for i in members if (genome := known[i]) is not None and is_rule(genome)][:1]
        if not chosen:
            return NotRun("no trial of a rule family of this search is at hand")
        returns = grounds.evaluator.evaluate(chosen, grounds.in_sample, grounds.costs).daily_returns.T
        kept: NDArray[np.float64] = returns[:, ~flat_columns(returns)]
        return kept

    return grounds.once("medoid returns", make)


def _years(case: Case) -> float:
    return len(case.daily_returns("in_sample")) / DAYS_A_YEAR


GATES: Final[tuple[type[Gate], ...]] = (
    DeflatedSharpe,
    BacktestOverfitting,
    TrialBudget,
    HaircutSharpe,
    PredictiveAbility,
)
