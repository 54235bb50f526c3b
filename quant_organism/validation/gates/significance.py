"""Gates on luck itself: the sealed days, the whole search repeated where nothing can be found, and both combined."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from quant_organism.validation.case import Case, PValue
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.statistics.bootstrap import mean_return_test
from quant_organism.validation.statistics.evidence import NotRun, too_few
from quant_organism.validation.statistics.p_values import fisher
from quant_organism.validation.statistics.sharpe import MIN_PERIODS, probabilistic_sharpe_ratio, sharpe_moments
from quant_organism.validation.verdict import Stage, Status, Verdict


class AtMostP(Gate):
    """A gate on a p-value.

    Parameters
    ----------
    at_most
        Largest accepted p-value.
    """

    at_most: float = Field(gt=0, lt=1)

    @property
    def stage(self) -> Stage:
        """Significance."""
        return "significance"

    @property
    def threshold(self) -> float:
        """The largest p-value."""
        return self.at_most


class HoldoutP(AtMostP):
    """A p-value of the account's unseen days, after paying for every look.

    It is multiplied by the number of candidates that were looked at together (Bonferroni), and doubled for each
    earlier look at any of these days.
    """

    @property
    def stage(self) -> Stage:
        """The unseen days."""
        return "holdout"

    def judge(self, case: Case) -> Verdict:
        """Ask how probable so good a result is without an edge."""
        returns, opening = case.daily_returns("holdout"), case.grounds.opening
        if why := case.why_idle("holdout"):
            return self.fails(why, len(returns))
        chance = self.chance(returns, case.grounds.seed)
        if isinstance(chance, NotRun):
            return self.without(chance.reason, len(returns))
        adjusted = opening.adjusted(chance)
        reason = (
            f"without an edge, the best of {opening.candidates} does as well with probability {adjusted:.3g} "
            f"(these days are {opening.sentence}); at most {self.at_most:.3g} accepted"
        )
        return self.at_most_threshold(adjusted, len(returns), reason)

    @abstractmethod
    def chance(self, returns: NDArray[np.float64], seed: int) -> float | NotRun:
        """Return the p-value of one look at one candidate's net daily returns, float64 (days,)."""


class Luck(HoldoutP):
    """The unseen days by the probabilistic Sharpe ratio (2025): asks for 30 days only, and is a little generous."""

    kind: ClassVar[str] = "luck"

    def chance(self, returns: NDArray[np.float64], seed: int) -> float | NotRun:
        """Return the probability of such a Sharpe ratio where the true one is 0."""
        if (few := too_few(MIN_PERIODS, len(returns), "days")) is not None:
            return few
        chance = 1.0 - probabilistic_sharpe_ratio(sharpe_moments(returns))
        return NotRun("the returns do not vary") if math.isnan(chance) else chance


class HoldoutMean(HoldoutP):
    """The unseen days by a studentised stationary bootstrap of the mean daily return: what the decision rests on."""

    kind: ClassVar[str] = "holdout_mean"

    def chance(self, returns: NDArray[np.float64], seed: int) -> float | NotRun:
        """Return the probability of such a mean where the true one is 0."""
        found = mean_return_test(returns, seed=seed)
        return found if isinstance(found, NotRun) else found.p_value


class Pretest(AtMostP):
    """The p-value of the test before the search: is there anything to find?"""

    kind: ClassVar[str] = "pretest"

    def judge(self, case: Case) -> Verdict:
        """Look up what was found before the search; the same for all candidates."""
        found = case.grounds.pretest
        if isinstance(found, NotRun):
            return self.without(found.reason)
        reason = (
            f"random strategies do as well where nothing can be found with probability {found.p_value:.3g}, at most "
            f"{self.at_most:.3g} accepted"
        )
        return self.at_most_threshold(found.p_value, found.draws, reason)


class SearchLuck(AtMostP):
    """The p-value of the whole search and its final choice, against the same on markets with nothing to find."""

    kind: ClassVar[str] = "search_luck"

    def judge(self, case: Case) -> Verdict:
        """Look up the p-value of the candidate's statistic."""
        found = search_p(case)
        if isinstance(found, NotRun):
            return self.without(found.reason)
        reason = f"the whole search does as well where nothing can be found with probability {found.p_value:.3g}"
        return self.at_most_threshold(found.p_value, found.draws, reason)


class CombinedSignificance(AtMostP):
    """The decision: the search's p-value and that of the unseen days, combined (Fisher).

    Both rest on days of their own. The gate `holdout_mean` has to stand in the same profile.
    """

    kind: ClassVar[str] = "decision"

    def judge(self, case: Case) -> Verdict:
        """Combine the two p-values; without either there is no decision, and so no promotion."""
        found = search_p(case)
        if isinstance(found, NotRun):
            return self.without(f"the search has no p-value: {found.reason}")
        luck = case.verdict("holdout", HoldoutMean.kind)
        if luck is None or math.isnan(luck.value):
            why = "they were not looked at" if luck is None else luck.reason
            return self.without(f"the unseen days have no p-value: {why}")
        combined = fisher([found.p_value, luck.value])
        if isinstance(combined, NotRun):
            return self.without(combined.reason)
        reason = (
            f"search ({found.p_value:.3g}) and unseen days ({luck.value:.3g}) together come about without an edge with "
            f"probability {combined:.3g}, less than {self.at_most:.3g} needed"
        )
        status: Status = "passed" if combined < self.at_most else "failed"
        return Verdict(self.stage, self.name, status, combined, self.at_most, found.draws, reason)


def search_p(case: Case) -> PValue | NotRun:
    """Return the p-value of the whole search for this candidate: of the committee, or of the champion of its rank."""
    p_values = case.grounds.significance
    if isinstance(p_values, NotRun):
        return p_values
    champions = [candidate.id for candidate in case.grounds.candidates if candidate.origin == "champion"]
    own = case.candidate
    name = f"champion {champions.index(own.id) + 1}" if own.origin == "champion" else "committee"
    return p_values.get(name, NotRun(f"the repeated searches have no {name}"))


GATES: Final[tuple[type[Gate], ...]] = (Luck, HoldoutMean, Pretest, SearchLuck, CombinedSignificance)
