"""Gates: one measured number against one threshold, and a verdict that says why."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.holdout import Opening
from quant_organism.validation.statistics.sharpe import MIN_PERIODS, probabilistic_sharpe_ratio, sharpe_moments

Status = Literal["passed", "failed", "not_run"]
Stage = Literal["in_sample", "out_of_sample", "walk_forward", "holdout"]


@dataclass(frozen=True)
class Verdict:
    """What a gate found.

    Attributes
    ----------
    stage, gate
        Which span was looked at, and for what.
    status
        `not_run` never counts as passed.
    value, threshold
        The measured number (nan when there is none) and its bound.
    n_used
        Trades, days or windows that the number rests on.
    reason
        One sentence for people.
    """

    stage: Stage
    gate: str
    status: Status
    value: float
    threshold: float
    n_used: int
    reason: str


def at_least(stage: Stage, gate: str, value: float, threshold: float, n_used: int) -> Verdict:
    """Pass a value that reaches the threshold."""
    return _compare(stage, gate, value, threshold, n_used, value >= threshold, "at least")


def at_most(stage: Stage, gate: str, value: float, threshold: float, n_used: int) -> Verdict:
    """Pass a value that does not exceed the threshold."""
    return _compare(stage, gate, value, threshold, n_used, value <= threshold, "at most")


def _compare(stage: Stage, gate: str, value: float, threshold: float, n_used: int, good: bool, bound: str) -> Verdict:
    label = gate.replace("_", " ")
    if math.isnan(value):
        return Verdict(stage, gate, "not_run", value, threshold, n_used, f"{label} is undefined: nothing was traded")
    status: Status = "passed" if good else "failed"
    return Verdict(
        stage, gate, status, value, threshold, n_used, f"{label} {value:.3g}, {bound} {threshold:.3g} needed"
    )


def window_consistency(stage: Stage, bar_returns: NDArray[np.float64], windows: int, threshold: float) -> Verdict:
    """Judge the share of equal windows, in time order, that ended with a gain; a window without trades is no gain."""
    totals = np.array([np.prod(1 + part) - 1 for part in np.array_split(bar_returns, windows)])
    if not np.any(bar_returns):
        return Verdict(
            stage, "positive_windows", "not_run", np.nan, threshold, windows, "nothing was traded in any window"
        )
    return at_least(stage, "positive_windows", float(np.mean(totals > 0)), threshold, windows)


def luck(daily_returns: NDArray[np.float64], opening: Opening, threshold: float) -> Verdict:
    """Judge how probable so good a result would be without an edge.

    Parameters
    ----------
    daily_returns
        Net daily returns of the candidate over all unseen days, float64 (days,).
    opening
        The look at those days: the probability is multiplied by the number of candidates that were judged in it
        (Bonferroni), and doubled for each earlier look at any of them.
    threshold
        Largest accepted probability.

    Returns
    -------
    Verdict
        `value` is the adjusted p-value of "true Sharpe ratio at most 0" (autocorrelation-aware, 2025).
    """
    days = len(daily_returns)
    if days < MIN_PERIODS:
        reason = f"needs {MIN_PERIODS} days, has {days}"
        return Verdict("holdout", "luck", "not_run", np.nan, threshold, days, reason)
    chance = 1.0 - probabilistic_sharpe_ratio(sharpe_moments(daily_returns))
    if math.isnan(chance):
        return Verdict("holdout", "luck", "not_run", np.nan, threshold, days, "the returns do not vary")
    adjusted = opening.adjusted(chance)
    status: Status = "passed" if adjusted <= threshold else "failed"
    reason = (
        f"without an edge, the best of {opening.candidates} does as well with probability {adjusted:.3g} "
        f"(these days are {opening.sentence}); at most {threshold:.3g} accepted"
    )
    return Verdict("holdout", "luck", status, adjusted, threshold, days, reason)
