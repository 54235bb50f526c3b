"""What a strategy has earned since its birth, day by day: a state that its rows always give again.

A day judges a strategy only if the strategy was fixed before that day. Such days never wear out, and their evidence is
one number, the wealth: without an edge the chance that it ever grows b times is at most 1/b, however often one looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

from quant_organism.validation.statistics.decay import RecentSum, cusum_after, graded_size
from quant_organism.validation.statistics.evidence import require
from quant_organism.validation.statistics.sequential import DEFAULT_BET, standardised_day, starting_wealth

Credit = Literal["full", "no old days", "reduced"]
"""What the look back counts: in full; nothing beside a strategy that died lately and was much like it; less, for a
further look in the same week."""

LOW_FACTOR: Final = 0.5
"""Size factor below which a strategy counts as small."""

DEAD_LATELY_DAYS: Final = 292
"""Days after a retirement in which a near copy gets no credit for the days on which the dead edge still lived."""

NEAR_THE_DEAD: Final = 0.5
"""Correlation above which a strategy is a near copy of a dead one."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a strategy was validated to do: what its days are measured by.

    Parameters
    ----------
    deviation
        d0: standard deviation of its daily returns in the backtest.
    sharpe
        Validated annual Sharpe ratio.

    Raises
    ------
    InputError
        It promises nothing: either is not positive.
    """

    deviation: float
    sharpe: float

    def __post_init__(self) -> None:
        """Check that there is a promise."""
        require(self.deviation > 0, f"a daily deviation of {self.deviation} is none", "a strategy must have traded")
        require(self.sharpe > 0, f"a Sharpe ratio of {self.sharpe} promises nothing", "do not let it be born")

    @property
    def reference(self) -> float:
        """k: half the daily mean that was promised, in standard deviations."""
        return self.sharpe / (2 * math.sqrt(365.0))


class LiveEvidence(NamedTuple):
    """The state of a strategy's evidence after a day; `born` begins it, `after` takes a day in.

    Attributes
    ----------
    starting_wealth
        W0: what it was born with, or 1 after it had decayed.
    wealth
        W: what it is now.
    mean_square
        Estimate of the squared deviation for the next day.
    recent
        M and the weight of its days.
    shortfall
        S: CUSUM of what its days fell short of the promise.
    factor
        What to multiply the size of its positions by, in [0, 1].
    low_days
        Days in a row, up to now, with a factor below `LOW_FACTOR`.
    fresh_days
        Days since W0 that have a record.
    missing_days
        Days without; they leave all else as it was.
    equity, peak
        Of one unit since the birth; `peak` is the largest so far.
    deviation, standardised
        s and x of the last day; nan where it has no record.
    """

    starting_wealth: float
    wealth: float
    mean_square: float
    recent: RecentSum
    shortfall: float
    factor: float
    low_days: int
    fresh_days: int
    missing_days: int
    equity: float
    peak: float
    deviation: float
    standardised: float

    @classmethod
    def born(cls, promise: Promise, wealth: float) -> Self:
        """Return the state before the first day."""
        require(wealth > 0, f"a wealth of {wealth} is none", "see starting_wealth")
        nothing = math.nan
        return cls(wealth, wealth, promise.deviation**2, RecentSum(), 0.0, 1.0, 0, 0, 0, 1.0, 1.0, nothing, nothing)

    def after(self, net_return: float, promise: Promise) -> LiveEvidence:
        """Return the state after a day.

        Parameters
        ----------
        net_return
            After fees, slippage and funding; 0 on a day without a position, nan without a record.
        promise
            Of the strategy.

        Raises
        ------
        InputError
            The return is infinite.
        """
        if math.isnan(net_return):
            return self._replace(missing_days=self.missing_days + 1, deviation=math.nan, standardised=math.nan)
        require(math.isfinite(net_return), f"a daily return of {net_return} is none", "mend it upstream")
        day = standardised_day(net_return, self.mean_square, backtest_deviation=promise.deviation)
        recent = self.recent.after(day.value)
        factor = graded_size(recent.days, recent.sharpe, prior_sharpe=promise.sharpe / 2).factor
        equity = self.equity * max(0.0, 1 + net_return)
        return LiveEvidence(
            self.starting_wealth,
            self.wealth * DEFAULT_BET.factor(day.value),
            day.mean_square,
            recent,
            cusum_after(self.shortfall, day.value, promise.reference),
            factor,
            self.low_days + 1 if factor < LOW_FACTOR else 0,
            self.fresh_days + 1,
            self.missing_days,
            equity,
            max(self.peak, equity),
            day.deviation,
            day.value,
        )

    def restarted(self) -> LiveEvidence:
        """Return the state of one that has decayed and has to prove itself anew: wealth 1, on later days only."""
        return self._replace(starting_wealth=1.0, wealth=1.0, shortfall=0.0, low_days=0, fresh_days=0, peak=self.equity)

    @property
    def fresh_wealth(self) -> float:
        """E: how much of the wealth was earned since W0."""
        return self.wealth / self.starting_wealth

    @property
    def recent_sum(self) -> float:
        """M: its standardised returns of late; above 0 where it gains."""
        return self.recent.total

    @property
    def drawdown(self) -> float:
        """Loss from the largest equity so far, in [0, 1]."""
        return 1 - self.equity / self.peak


def replayed(promise: Promise, wealth: float, net_returns: Iterable[float]) -> LiveEvidence:
    """Return the state that days give, in the order of time: what is at rest can always be computed again."""
    state = LiveEvidence.born(promise, wealth)
    for net_return in net_returns:
        state = state.after(net_return, promise)
    return state


def credited_wealth(
    search_p: float, unseen_p: float | None, *, nearest_dead: float = -1.0, extra_looks: int = 0, committees: int = 1
) -> tuple[float, Credit]:
    """Return what a candidate is born with, and how its look back was credited.

    Parameters
    ----------
    search_p, unseen_p
        As for `starting_wealth`.
    nearest_dead
        Largest correlation with a strategy that was retired from paper or beyond within `DEAD_LATELY_DAYS`; -1 where
        there is none.
    extra_looks
        r: how many looks it is beyond the week's first. All of a week together weigh at most 2.
    committees
        Among how many committees of its cycle the wealth is shared.
    """
    require(extra_looks >= 0 and committees >= 1, "fewer looks than one", "count the week's looks from 0")
    wealth = starting_wealth(search_p, unseen_p) * 2.0**-extra_looks / committees
    if nearest_dead > NEAR_THE_DEAD:
        return min(1.0, wealth), "no old days"
    return wealth, "reduced" if extra_looks else "full"
