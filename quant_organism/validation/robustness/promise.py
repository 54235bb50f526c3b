"""What the days that a search saw promise of the days that it did not: a cone of equity paths."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.statistics.evidence import FLAT, NotRun, require, require_finite
from quant_organism.validation.statistics.monte_carlo import DRAWS
from quant_organism.validation.statistics.resampling import politis_white_length, stationary_rows

CONE: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the cone."""


def equity_cone(
    returns: NDArray[np.float64], *, days: int, average_holding: float, seed: int, draws: int = DRAWS
) -> NDArray[np.float64] | NotRun:
    """Resample daily returns in blocks and return where equity lies after each of some days.

    Parameters
    ----------
    returns
        Net daily returns, float64 (T,).
    days
        Length of the paths D.
    average_holding
        Days that a position lasts: blocks are at least as long, and at least what Politis and White advise.
    seed, draws
        Of the resampling.

    Returns
    -------
    float64 (5, D)
        The quantiles `CONE` of equity, 1 before the first day; or why there are none.

    Raises
    ------
    InputError
        A return is not a number, or there is no draw or day.
    """
    require_finite(returns)
    require(draws >= 1 and days >= 1, f"{draws} draws of {days} days are none", "give at least one of each")
    if len(returns) < 2 or returns.std(ddof=1) <= FLAT:
        return NotRun("the returns do not vary: nothing was traded")
    block = max(politis_white_length(returns), average_holding, 1.0)
    rng, repeats = np.random.default_rng(seed), -(-days // len(returns))
    rows = np.hstack([stationary_rows(rng, len(returns), block, draws)[0] for _ in range(repeats)])[:, :days]
    paths = np.cumprod(np.maximum(1 + returns[rows], 0), axis=1)
    return np.asarray(np.quantile(paths, CONE, axis=0))
