"""How likely luck shows as much, by the number of trials that is declared, and the number that overturns a verdict."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.statistics.deflation import deflated_sharpe_ratio
from quant_organism.validation.statistics.evidence import NotRun, too_few
from quant_organism.validation.statistics.sharpe import MIN_PERIODS, sharpe_moments

LEAST: Final = 0.95
"""Deflated Sharpe ratio that a strategy stands on."""

MOST_TRIALS: Final = 10**9
"""Trials beyond which no number is looked for."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LuckAmongTrials:
    """What luck shows.

    Attributes
    ----------
    p_value
        Probability that the best of so many trials without an edge shows as much: 1 less the deflated Sharpe ratio.
    trials
        That it was deflated by.
    overturned_at
        Least number of trials by which it would not stand; 1: it stands as no more than its own only trial; None: it
        stands on `MOST_TRIALS` still.
    """

    p_value: float
    trials: int
    overturned_at: int | None

    @property
    def overturning(self) -> str:
        """What would overturn the verdict, in words."""
        if self.overturned_at is None:
            return f"no number of trials up to {MOST_TRIALS:,} would explain it by luck"
        if self.overturned_at == 1:
            return "luck explains it even if nothing else was ever tried"
        if self.overturned_at > self.trials:
            return f"from {self.overturned_at:,} trials on luck would explain it"
        return f"it would have stood up to {self.overturned_at - 1:,} trials"


def luck_of(returns: Floats, trials: int) -> LuckAmongTrials | NotRun:
    """Say how likely the best of some independent trials without an edge shows what a strategy showed.

    Parameters
    ----------
    returns
        Its net daily returns, float64 (T,).
    trials
        How many were tried, itself included; clones once.

    Raises
    ------
    InputError
        A return is not a number, or there is no trial.
    """
    moments = sharpe_moments(returns)
    if (few := too_few(MIN_PERIODS, len(returns), "days")) is not None:
        return few
    if np.isnan(moments.sharpe):
        return NotRun("the returns do not vary: nothing was traded")
    deflated = deflated_sharpe_ratio(moments, trials)
    if np.isnan(deflated):
        return NotRun(f"a skew of {moments.skew:.1f} is too extreme for the formula")

    def falls(count: int) -> bool:
        # What the formula cannot say does not stand.
        return not deflated_sharpe_ratio(moments, count) >= LEAST

    overturned = 1 + bisect_left(range(1, MOST_TRIALS + 1), True, key=falls)
    return LuckAmongTrials(1.0 - deflated, trials, overturned if overturned <= MOST_TRIALS else None)


def among_searches(p_value: float, times: float) -> float:
    """Return the chance that the best of several such searches shows as much (Sidak); of one, its own."""
    if times <= 1.0 or p_value >= 1.0:
        return p_value
    return float(-np.expm1(times * np.log1p(-p_value)))
