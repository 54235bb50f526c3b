"""The trial budget: how good the best of many trials looks by luck alone, and how many trials a history bears.

Source: Bailey, Borwein, Lopez de Prado, Zhu 2014, "Pseudo-mathematics and financial charlatanism", Notices of the AMS
61(5). The trials are taken as independent and without skill; clones make the true number smaller.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
from scipy.special import ndtri_exp

from quant_organism.errors import InputError

_MOST_TRIALS = 10**18


def expected_maximum(n_trials: int) -> float:
    """Return the expected maximum of `n_trials` independent standard normals, in its closed form; 0 for one.

    Raises
    ------
    InputError
        There is not at least one trial.
    """
    if n_trials < 1:
        raise InputError(f"the number of trials is {n_trials}, expected at least 1")
    if n_trials == 1:
        return 0.0
    # Z(1 - 1/N) is -Z(1/N), which stays exact where 1 - 1/N rounds to 1.
    log = math.log(n_trials)
    rare, rarer = -float(ndtri_exp(-log)), -float(ndtri_exp(-log - 1.0))
    return (1.0 - np.euler_gamma) * rare + np.euler_gamma * rarer


def expected_luck(n_trials: int, years: float) -> float:
    """Return the annual Sharpe ratio that the best of `n_trials` without skill is expected to show over `years`.

    Raises
    ------
    InputError
        There is not at least one trial, or the history has no length.
    """
    _check_positive("the number of years", years)
    return expected_maximum(n_trials) / math.sqrt(years)


def minimum_years(n_trials: int, target_sharpe: float) -> float:
    """Return the years of history that keep the luck of `n_trials` below an annual Sharpe ratio (MinBTL).

    Raises
    ------
    InputError
        There is not at least one trial, or the target is not positive.
    """
    _check_positive("the target Sharpe ratio", target_sharpe)
    return (expected_maximum(n_trials) / target_sharpe) ** 2


def trial_budget(years: float, target_sharpe: float) -> int:
    """Return the largest number of trials whose luck stays within an annual Sharpe ratio over `years`.

    At least 1, since one trial is no selection, and at most 10**18, more than anybody runs.

    Raises
    ------
    InputError
        The history has no length, or the target is not positive.
    """
    _check_positive("the number of years", years)
    _check_positive("the target Sharpe ratio", target_sharpe)
    bearable = target_sharpe * math.sqrt(years)
    return bisect_right(range(1, _MOST_TRIALS + 1), bearable, key=expected_maximum)


def luck_sentence(n_trials: int, years: float) -> str:
    """Say what luck alone is expected to show.

    Examples
    --------
    >>> luck_sentence(3620, 2.0)
    'With 3,620 trials on 2.0 years, luck alone is expected to show an annual Sharpe ratio of 2.55.'

    Raises
    ------
    InputError
        There is not at least one trial, or the history has no length.
    """
    trials = "1 trial" if n_trials == 1 else f"{n_trials:,} trials"
    luck = expected_luck(n_trials, years)
    return f"With {trials} on {years:.1f} years, luck alone is expected to show an annual Sharpe ratio of {luck:.2f}."


def _check_positive(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{what} is {value}, expected more than 0")
