"""P-values: against simulated draws, combined from independent tests, adjusted for many. The interval of a share."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtri

from quant_organism.validation.statistics.evidence import NotRun, require, require_probability

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedP:
    """A p-value from draws under the null.

    Attributes
    ----------
    p_value
        In (0, 1]: `(1 + exceedances) / (1 + draws)` over all draws that were planned, or `exceedances / draws` after an
        early stop.
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
    statistic: float, null_draws: Iterable[float], *, stop_after: int | None = None, missing: int = 0
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
    missing
        Draws that were planned and could not be made: each counts as an exceedance, so that what was cut short can
        only be more cautious.

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
    if draws + missing == 0:
        return NotRun("there is no draw under the null")
    p_value = (1 + exceedances + missing) / (1 + draws + missing)
    return SimulatedP(p_value, draws, exceedances, undefined, stopped_early=False)


def fisher(p_values: Sequence[float]) -> float | NotRun:
    """Combine independent p-values by Fisher's method: `X = -2 sum ln p`, chi-square with 2k degrees of freedom.

    Parameters
    ----------
    p_values
        Of tests on disjoint data (the search's own on in-sample bars, the holdout's on later ones); nan is a test that
        did not run. Two tests of the same data must not be combined.

    Returns
    -------
    float or NotRun
        In (0, 1]; not run when a p-value is missing: what did not run is no evidence either way.

    Raises
    ------
    InputError
        There is no p-value, or one is outside (0, 1].
    """
    values = np.asarray(p_values, dtype=np.float64)
    require(len(values) > 0, "no p-value to combine", "give at least one")
    missing = np.flatnonzero(np.isnan(values))
    require_probability(values[~np.isnan(values)])
    if len(missing):
        return NotRun(f"p-value {missing[0]} is missing")
    return max(float(chdtrc(2 * len(values), -2 * np.log(values).sum())), float(np.finfo(np.float64).tiny))


def bonferroni(p_values: Floats) -> Floats:
    """Return p-values times their number, at most 1: the chance of any false rejection is held under any dependence.

    Parameters
    ----------
    p_values
        Float64 (N,), each in (0, 1].

    Raises
    ------
    InputError
        A p-value is missing or outside (0, 1]; the first is named.
    """
    require_probability(p_values)
    return np.minimum(1.0, p_values * len(p_values))


def holm(p_values: Floats) -> Floats:
    """Return Holm's step-down p-values: as safe as Bonferroni's and never larger.

    Parameters, errors as for `bonferroni`.
    """
    require_probability(p_values)
    order = np.argsort(p_values, kind="stable")
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    return _unsorted(np.minimum(1.0, steps), order)


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Return Benjamini and Hochberg's step-up p-values: the share of false rejections is held, for independent tests.

    Parameters, errors as for `bonferroni`.
    """
    require_probability(p_values)
    order = np.argsort(p_values, kind="stable")
    count = len(p_values)
    steps = np.minimum.accumulate((p_values[order] * count / np.arange(1, count + 1))[::-1])[::-1]
    return _unsorted(np.minimum(1.0, steps), order)


def benjamini_yekutieli(p_values: Floats) -> Floats:
    """Return Benjamini and Yekutieli's (2001) step-up p-values: the share of false rejections is held, for any tests.

    Parameters, errors as for `bonferroni`.
    """
    require_probability(p_values)
    order = np.argsort(p_values, kind="stable")
    ranks = np.arange(1.0, len(p_values) + 1.0)
    scaled = p_values[order] * (len(p_values) / ranks) * np.sum(1.0 / ranks)
    return _unsorted(np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1]), order)


def _unsorted(values: Floats, order: NDArray[np.int64]) -> Floats:
    result = np.empty_like(values)
    result[order] = values
    return result


class ProportionInterval(NamedTuple):
    """Bounds of a probability."""

    low: float
    high: float


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> ProportionInterval:
    """Return Wilson's score interval of a probability.

    Parameters
    ----------
    successes, trials
        Counts, 0 <= successes <= trials, at least one trial.
    level
        Two-sided confidence.

    Raises
    ------
    InputError
        The counts or the level make no sense.

    Notes
    -----
    Wilson 1927 (JASA 22).
    """
    require(0 <= successes <= trials and trials >= 1, f"{successes} of {trials} is no share", "mend the counts")
    require(0 < level < 1, f"level {level} is not in (0, 1)", "0.95 is usual")
    z = float(ndtri((1 + level) / 2))
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == trials else float(centre + half)
    return ProportionInterval(low, high)
