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
from quant_organism.validation.statistics.sequential import starting_wealth
from quant_organism.validation.statistics.sharpe import MIN_PERIODS, probabilistic_sharpe_ratio, sharpe_moments
from quant_organism.validation.verdict import Stage, Verdict


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
    """A p-value of the account's unseen days, as it is: looks and candidates are paid for with starting wealth."""

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
        reason = (
            f"without an edge, it does as well with probability {chance:.3g} (these days are {opening.sentence}); "
            f"at most {self.at_most:.3g} accepted"
        )
        return self.at_most_threshold(chance, len(returns), reason)

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


class CombinedSignificance(Gate):
    """The decision: the starting wealth that search and unseen days buy, 1 / (4 sqrt(p_s p_h)).

    Both rest on days of their own. It is shared by the candidates that were looked at together, and halved for
    each further look of the week. The gate `holdout_mean` has to stand in the same profile.

    Parameters
    ----------
    at_least
        Starting wealth that is needed: 1.748163 is Fisher's .10, 2.679521 his .05.
    unseen_at_most
        Largest p-value of the unseen days, however good the search.
    """

    kind: ClassVar[str] = "decision"
    at_least: float = Field(gt=0, allow_inf_nan=False)
    unseen_at_most: float = Field(0.25, gt=0, le=1)

    @property
    def stage(self) -> Stage:
        """Significance."""
        return "significance"

    @property
    def threshold(self) -> float:
        """The starting wealth."""
        return self.at_least

    def judge(self, case: Case) -> Verdict:
        """Combine the two p-values; without either there is no decision, and so no promotion.

        Where there are no unseen days no decision is taken: only days to come open paper.
        """
        luck, found = case.verdict("holdout", HoldoutMean.kind), search_p(case)
        if luck is not None and luck.status == "not_applicable":
            return self.beside_the_point(_NO_DECISION)
        if isinstance(found, NotRun):
            return self.without(f"the search has no p-value: {found.reason}")
        if luck is None or math.isnan(luck.value):
            why = "they were not looked at" if luck is None else luck.reason
            return self.without(f"the unseen days have no p-value: {why}")
        opening = case.grounds.opening
        wealth = starting_wealth(found.p_value, luck.value) * 2.0**-opening.rerun / opening.candidates
        reason = (
            f"search ({found.p_value:.3g}) and unseen days ({luck.value:.3g}) buy a starting wealth of {wealth:.4g}, "
            f"at least {self.at_least:.4g} needed"
        )
        if luck.value > self.unseen_at_most:
            reason += f"; unseen days of p = {luck.value:.3g} are vetoed, at most {self.unseen_at_most:g} accepted"
            return Verdict(self.stage, self.name, "failed", wealth, self.at_least, found.draws, reason)
        return self.at_least_threshold(wealth, found.draws, reason)


_NO_DECISION: Final = "there are no unseen days, and only days to come open paper"


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
