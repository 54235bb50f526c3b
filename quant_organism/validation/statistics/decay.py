"""When a live strategy fades: size it down gradually, raise an alarm rarely.

No detector on daily returns is both quiet and fast. The size factor does the daily work; the alarm is for people.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import require
from quant_organism.validation.statistics.p_values import ProportionInterval, wilson_interval

ALARM_AT = 25.0
DAYS_PER_YEAR = 365.0

RECENT_HALF_LIFE_DAYS: Final = 180.0
"""Of the weights by which a day counts in what a strategy did lately."""

LARGEST_SHORTFALL: Final = 4.0
"""Standard deviations beyond which a single day says no more about a strategy's mean."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sizing:
    """What the live record leaves of a strategy's promise.

    Attributes
    ----------
    sharpe
        Posterior mean of the annual Sharpe ratio.
    factor
        In [0, 1]: what to multiply the position size by.
    """

    sharpe: float
    factor: float


@dataclass(frozen=True)
class RecentSum:
    """Standardised returns of late, older days counting less: half after `RECENT_HALF_LIFE_DAYS`.

    Attributes
    ----------
    total
        M: weighted sum of the days' standardised returns.
    days
        n': sum of the weights.
    """

    total: float = 0.0
    days: float = 0.0

    def after(self, standardised: float) -> "RecentSum":
        """Return the sum with one more day."""
        keep = 0.5 ** (1 / RECENT_HALF_LIFE_DAYS)
        return RecentSum(keep * self.total + standardised, keep * self.days + 1)

    @property
    def sharpe(self) -> float:
        """Annual Sharpe ratio of the weighted days; nan before the first."""
        return self.total / self.days * math.sqrt(DAYS_PER_YEAR) if self.days else math.nan


def graded_size(days: float, live_sharpe: float, *, prior_sharpe: float, prior_deviation: float = 1.0) -> Sizing:
    """Weigh a live record against what was expected of a strategy.

    Parameters
    ----------
    days
        Live days n, older ones may count less; with 0 the prior stands.
    live_sharpe
        Annual Sharpe ratio over them.
    prior_sharpe
        m0: half the validated annual Sharpe ratio.
    prior_deviation
        tau: how uncertain that is.

    Returns
    -------
    Sizing
        `m = (m0/tau^2 + S n/365) / (1/tau^2 + n/365)`, factor `m/m0` clipped to [0, 1]; all nan when there are days but
        no live Sharpe ratio.

    Raises
    ------
    InputError
        A negative number of days, or a prior that is not positive.
    """
    require(days >= 0, f"{days} live days", "give the number of days since deployment")
    require(prior_sharpe > 0, f"a prior Sharpe ratio of {prior_sharpe} promises nothing", "do not deploy it")
    require(prior_deviation > 0, f"a prior deviation of {prior_deviation} is none", "1 is usual")
    precision = 1 / prior_deviation**2
    years = days / DAYS_PER_YEAR
    gained = live_sharpe * years if days else 0.0
    posterior = (prior_sharpe * precision + gained) / (precision + years)
    share = posterior / prior_sharpe
    return Sizing(posterior, share if math.isnan(share) else min(1.0, max(0.0, share)))


def cusum(standardised: Floats, reference: float, *, start: float = 0.0) -> Floats:
    """Sum shortfalls of daily returns: `S_t = max(0, S_{t-1} + k - clip(x_t, -4, 4))`; above the threshold is an alarm.

    Parameters
    ----------
    standardised
        Daily returns over their standard deviation, float64 (T,); nan on days without a record, which change nothing.
    reference
        k: half the expected mean in standard deviations.
    start
        Sum so far.

    Returns
    -------
    float64 (T,)
        The sum after each day.

    Raises
    ------
    InputError
        A return is infinite.
    """
    bad = np.flatnonzero(np.isinf(standardised))
    if len(bad):
        raise InputError(f"return {standardised[bad[0]]} is infinite", where=f"day {bad[0]}", remedy="mend it upstream")
    path, level = np.empty(len(standardised)), start
    for day, x in enumerate(standardised):
        if not np.isnan(x):
            level = cusum_after(level, x, reference)
        path[day] = level
    return path


def cusum_after(level: float, standardised: float, reference: float) -> float:
    """Return the sum of shortfalls after one more day, as `cusum` does."""
    return max(0.0, level + reference - min(LARGEST_SHORTFALL, max(-LARGEST_SHORTFALL, standardised)))


def cusum_false_alarms(
    annual_sharpe: float, *, days: int, threshold: float = ALARM_AT, paths: int = 4_000, seed: int = 0
) -> ProportionInterval:
    """Simulate how often a strategy that keeps its promise raises a false alarm: state it beside every alarm.

    Parameters
    ----------
    annual_sharpe
        The promise, kept: daily returns are its daily mean plus Student-t noise with 4 degrees of freedom.
    days
        Length of the watch.
    threshold
        Of the sum.
    paths, seed
        Of the simulation.

    Returns
    -------
    ProportionInterval
        Of the share of paths with an alarm (Wilson, 95 %).
    """
    mean = annual_sharpe / np.sqrt(DAYS_PER_YEAR)
    noise = np.random.default_rng(seed).standard_t(4, (days, paths)) / np.sqrt(2)
    level, alarmed = np.zeros(paths), np.zeros(paths, dtype=np.bool_)
    for day in noise:
        level = np.maximum(0, level + mean / 2 - np.clip(mean + day, -LARGEST_SHORTFALL, LARGEST_SHORTFALL))
        alarmed |= level > threshold
    return wilson_interval(int(alarmed.sum()), paths)
