"""The p-value of a statistic against simulated ones, with early stopping when the answer is clear."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from quant_organism.validation.statistics.evidence import NotRun, require


@dataclass(frozen=True)
class SimulatedP:
    """A p-value from draws under the null.

    Attributes
    ----------
    p_value
        In (0, 1]: `(1 + exceedances) / (1 + draws)`, or `exceedances / draws` after an early stop.
    draws, exceedances
        Draws used, and those that reached the statistic; ties count against it.
    undefined
        Draws without a value; they count as no exceedance.
    stopped_early
        True if the draws ended because enough had exceeded.
    """

    p_value: float
    draws: int
    exceedances: int
    undefined: int
    stopped_early: bool


def simulated_p_value(
    statistic: float, null_draws: Iterable[float], *, stop_after: int | None = None
) -> SimulatedP | NotRun:
    """Compare a statistic with draws under the null, one at a time.

    Parameters
    ----------
    statistic
        Large values speak against the null.
    null_draws
        Drawn in a fixed order; consumed lazily, so that an early stop saves the rest.
    stop_after
        Stop at this many exceedances (10 is usual): the p-value is then exceedances / draws, which is valid.

    Returns
    -------
    SimulatedP or NotRun
        Not run when the statistic is undefined or there is no draw.

    Raises
    ------
    InputError
        `stop_after` is below 1.

    Notes
    -----
    Besag, Clifford 1991 (Biometrika 78).
    """
    require(stop_after is None or stop_after >= 1, f"stopping after {stop_after} exceedances is no rule", "use 10")
    if math.isnan(statistic):
        return NotRun("the statistic is undefined: nothing was traded")
    draws = exceedances = undefined = 0
    for value in null_draws:
        draws += 1
        undefined += math.isnan(value)
        exceedances += value >= statistic
        if exceedances == stop_after:
            return SimulatedP(exceedances / draws, draws, exceedances, undefined, stopped_early=True)
    if draws == 0:
        return NotRun("there is no draw under the null")
    return SimulatedP((1 + exceedances) / (1 + draws), draws, exceedances, undefined, stopped_early=False)
