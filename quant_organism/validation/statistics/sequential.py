"""Evidence that may be looked at every day: e-processes of live returns, and discoveries among many of them.

An e-process is the wealth of a bet against "no positive mean". Without an edge the chance that it ever reaches 20 is at
most 5 %: look as often as you like, stop when you like.

What is bet with is earned by one look back: the p-values of search and unseen days buy the starting wealth.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import require

PROMOTE_AT = 20.0
HALF_LIFE_DAYS = 60.0

FLOOR = 0.75
"""Share of the backtest's deviation below which no day's deviation is taken to lie. With 0.5, a payoff of mean zero
that crashes on 2 % of days reached 20 on 7 to 9 % of two-year paths instead of 5 %."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bet:
    """How much is staked each day on a standardised return.

    Parameters
    ----------
    stake
        Share of the wealth per standard deviation.
    low, high
        Returns are clipped to this range. It is asymmetric on purpose: clipping losses as tightly as gains would
        hide the rare crash of a strategy that sells insurance.

    Raises
    ------
    InputError
        The worst return could take all the wealth, or the range does not hold 0.
    """

    stake: float = 0.1
    low: float = -9.0
    high: float = 3.0

    def __post_init__(self) -> None:
        """Check that wealth stays positive."""
        require(self.low < 0 < self.high, f"the range [{self.low}, {self.high}] does not hold 0", "use [-9, 3]")
        require(self.stake > 0, f"a stake of {self.stake} is no bet", "use 0.1")
        require(self.stake * -self.low < 1, f"stake {self.stake} times {-self.low} takes all", "lower the stake")

    def factor(self, standardised: float) -> float:
        """Return what a day multiplies the wealth by; always positive."""
        return 1 + self.stake * min(self.high, max(self.low, standardised))


DEFAULT_BET = Bet()


@dataclass(frozen=True)
class Evidence:
    """A path of daily evidence.

    Attributes
    ----------
    values
        float64 (T,), after each day.
    undefined
        Days without a return; they leave the evidence as it was.
    """

    values: Floats
    undefined: int

    def first_reached(self, threshold: float) -> int | None:
        """Return the first day, counted from 0, on which the evidence is at least the threshold."""
        reached = np.flatnonzero(self.values >= threshold)
        return int(reached[0]) if len(reached) else None


def starting_wealth(search_p: float, unseen_p: float | None = None) -> float:
    """Return the wealth that one look back buys: `1 / (4 sqrt(p_s p_h))`, or `1 / (2 sqrt p_s)` without unseen days.

    Each `1 / (2 sqrt p)` turns a p-value into an e-value, whose mean without an edge is 1.

    Parameters
    ----------
    search_p
        Of the whole search.
    unseen_p
        Of the unseen days, not adjusted; None: there are none.

    Raises
    ------
    InputError
        A p-value is outside (0, 1].
    """
    for p_value in (search_p, 1.0 if unseen_p is None else unseen_p):
        require(0 < p_value <= 1, f"p-value {p_value} is not in (0, 1]", "leave out what did not run")
    own = 1 / (2 * math.sqrt(search_p))
    return own if unseen_p is None else own / (2 * math.sqrt(unseen_p))


class StandardisedDay(NamedTuple):
    """A day's return over a deviation that was known before it.

    Attributes
    ----------
    value
        x: the standardised return.
    deviation
        s: what it was divided by.
    mean_square
        The estimate for the next day.
    """

    value: float
    deviation: float
    mean_square: float


def standardised_day(
    value: float, mean_square: float, *, backtest_deviation: float, half_life_days: float = HALF_LIFE_DAYS
) -> StandardisedDay:
    """Divide a day's return by the deviation known before it, and take the day into the estimate.

    Parameters
    ----------
    value
        Net return of the day.
    mean_square
        Exponentially weighted mean square of the days before; the square of `backtest_deviation` at the start.
    backtest_deviation
        Daily standard deviation in the backtest; `FLOOR` of it is the least deviation.
    half_life_days
        Of the mean square.
    """
    deviation = max(math.sqrt(mean_square), FLOOR * backtest_deviation)
    keep = 0.5 ** (1 / half_life_days)
    return StandardisedDay(value / deviation, deviation, keep * mean_square + (1 - keep) * value**2)


def standardised_live_returns(
    returns: Floats, *, backtest_deviation: float, half_life_days: float = HALF_LIFE_DAYS
) -> Floats:
    """Divide each day's return by a standard deviation that was known before the day.

    Parameters
    ----------
    returns
        Net daily returns, float64 (T,); nan on days without a record.
    backtest_deviation
        Daily standard deviation in the backtest: where the estimate starts, and `FLOOR` of it is the least.
    half_life_days
        Of the exponentially weighted mean square.

    Returns
    -------
    float64 (T,)
        nan where the return is.

    Raises
    ------
    InputError
        The deviation or the half-life is not positive, or a return is infinite.
    """
    _require_no_infinity(returns)
    require(backtest_deviation > 0, f"a deviation of {backtest_deviation} is none", "a strategy must have traded")
    require(half_life_days > 0, f"a half-life of {half_life_days} days is none", "60 is usual")
    square = backtest_deviation**2
    result = np.full(len(returns), np.nan)
    for day, value in enumerate(returns.tolist()):
        if not math.isnan(value):
            result[day], _, square = standardised_day(
                value, square, backtest_deviation=backtest_deviation, half_life_days=half_life_days
            )
    return result


def paired_wealth(newcomer: Floats, holder: Floats, *, backtest_deviation: float) -> Evidence:
    """Bet each day on one strategy doing better than another: wealth on the difference of their returns.

    Parameters
    ----------
    newcomer, holder
        Net daily returns on the same days, those after the younger's birth, float64 (T,); nan without a record.
    backtest_deviation
        Daily standard deviation of the difference in the backtest.

    Raises
    ------
    InputError
        They are of different lengths, or as for `standardised_live_returns`.
    """
    require(
        len(newcomer) == len(holder), f"{len(newcomer)} days against {len(holder)}", "cut both to their common days"
    )
    return e_process(standardised_live_returns(newcomer - holder, backtest_deviation=backtest_deviation))


def e_process(standardised: Floats, *, bet: Bet = DEFAULT_BET, start: float = 1.0) -> Evidence:
    """Accumulate evidence for a positive mean: `E_t = E_{t-1} (1 + stake clip(x_t))`.

    Parameters
    ----------
    standardised
        Float64 (T,) as `standardised_live_returns`; 0 on days without a position, nan on days without a record.
    bet
        Stake and range.
    start
        Evidence so far: 1 at the beginning, and again whenever the strategy's parameters change.

    Raises
    ------
    InputError
        A return is infinite, or the start is not positive.
    """
    _require_no_infinity(standardised)
    require(start > 0, f"evidence of {start} is none", "start at 1")
    values, wealth = np.empty(len(standardised)), start
    for day, x in enumerate(standardised):
        wealth *= 1.0 if np.isnan(x) else bet.factor(x)
        values[day] = wealth
    return Evidence(values, int(np.isnan(standardised).sum()))


def e_detector(standardised: Floats, promised_mean: float, *, bet: Bet = DEFAULT_BET, start: float = 0.0) -> Evidence:
    """Accumulate evidence that returns fell short of a promise: `M_t = (1 + M_{t-1}) (1 + stake clip(m - x_t))`.

    Parameters
    ----------
    standardised
        Float64 (T,) as for `e_process`; a day without a record leaves the evidence as it was.
    promised_mean
        m: validated mean daily return over its standard deviation.
    bet
        Stake and range.
    start
        Evidence so far: 0 at the beginning.

    Returns
    -------
    Evidence
        An alarm at 1 / alpha comes falsely once in 1 / alpha days or more, on average.

    Raises
    ------
    InputError
        A return is infinite, or the start is negative.

    Notes
    -----
    Shin, Ramdas, Rinaldo 2023 (e-detectors).
    """
    _require_no_infinity(standardised)
    require(start >= 0, f"evidence of {start} is negative", "start at 0")
    values, level = np.empty(len(standardised)), start
    for day, x in enumerate(standardised):
        if not np.isnan(x):
            level = (1 + level) * bet.factor(promised_mean - x)
        values[day] = level
    return Evidence(values, int(np.isnan(standardised).sum()))


def e_benjamini_hochberg(e_values: Floats, level: float) -> NDArray[np.bool_]:
    """Choose discoveries among many e-values, with the expected share of false ones at most a level.

    Parameters
    ----------
    e_values
        Float64 (K,), not negative; they may depend on each other in any way.
    level
        q, in (0, 1).

    Returns
    -------
    bool (K,)
        True for the k largest, k the largest i with `e_(i) >= K / (q i)`.

    Raises
    ------
    InputError
        An e-value is negative or missing, or the level is outside (0, 1).

    Notes
    -----
    Wang, Ramdas 2022 (JRSS B 84).
    """
    chosen: NDArray[np.bool_] = e_values >= discovery_bound(e_values, level)
    return chosen


def discovery_bound(e_values: Floats, level: float) -> float:
    """Return the least e-value that is a discovery among these, infinite where none is; as `e_benjamini_hochberg`."""
    bad = np.flatnonzero(~(e_values >= 0))
    if len(bad):
        raise InputError(f"e-value {e_values[bad[0]]} is below 0", where=f"index {bad[0]}", remedy="mend it upstream")
    require(0 < level < 1, f"level {level} is not in (0, 1)", "0.05 is usual")
    count = len(e_values)
    ordered = np.sort(e_values)[::-1]
    bounds = count / (level * np.arange(1, count + 1))
    good = np.flatnonzero(ordered >= bounds)
    return float(bounds[good[-1]]) if len(good) else math.inf


def _require_no_infinity(values: Floats) -> None:
    bad = np.flatnonzero(np.isinf(values))
    if len(bad):
        raise InputError(f"return {values[bad[0]]} is infinite", where=f"day {bad[0]}", remedy="mend it upstream")
