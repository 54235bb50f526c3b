"""Evidence that may be looked at every day: e-processes of live returns, and discoveries among many of them.

An e-process is the wealth of a bet against "no positive mean". Without an edge the chance that it ever reaches 20 is at
most 5 %: look as often as you like, stop when you like.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import require

PROMOTE_AT = 20.0
HALF_LIFE_DAYS = 60.0

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


def standardised_live_returns(
    returns: Floats, *, backtest_deviation: float, half_life_days: float = HALF_LIFE_DAYS
) -> Floats:
    """Divide each day's return by a standard deviation that was known before the day.

    Parameters
    ----------
    returns
        Net daily returns, float64 (T,); nan on days without a record.
    backtest_deviation
        Daily standard deviation in the backtest: where the estimate starts, and half of it is its floor.
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
    keep = 0.5 ** (1 / half_life_days)
    square = backtest_deviation**2
    result = np.full(len(returns), np.nan)
    for day, value in enumerate(returns):
        if not np.isnan(value):
            result[day] = value / max(np.sqrt(square), backtest_deviation / 2)
            square = keep * square + (1 - keep) * value**2
    return result


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
    bad = np.flatnonzero(~(e_values >= 0))
    if len(bad):
        raise InputError(f"e-value {e_values[bad[0]]} is below 0", where=f"index {bad[0]}", remedy="mend it upstream")
    require(0 < level < 1, f"level {level} is not in (0, 1)", "0.05 is usual")
    count = len(e_values)
    ordered = np.sort(e_values)[::-1]
    good = np.flatnonzero(ordered >= count / (level * np.arange(1, count + 1)))
    if not len(good):
        return np.zeros(count, dtype=np.bool_)
    chosen: NDArray[np.bool_] = e_values >= ordered[good[-1]]
    return chosen


def _require_no_infinity(values: Floats) -> None:
    bad = np.flatnonzero(np.isinf(values))
    if len(bad):
        raise InputError(f"return {values[bad[0]]} is infinite", where=f"day {bad[0]}", remedy="mend it upstream")
