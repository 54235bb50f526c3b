"""Is the mean daily return above zero? Studentised stationary bootstrap, one-sided: the p-value of a sealed holdout."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.statistics.evidence import FLAT, NotRun, require, require_finite, too_few
from quant_organism.validation.statistics.resampling import (
    block_variances,
    long_run_variance,
    politis_white_length,
    stationary_rows,
)

MIN_DAYS = 60
DRAWS = 9_999
_ROUNDING = 1e-9
# Values per batch of resamples: bounds memory, and is part of what the seed reproduces.
_BATCH_VALUES = 2_000_000


@dataclass(frozen=True)
class MeanTest:
    """A one-sided test of "the mean daily return is at most zero".

    Attributes
    ----------
    p_value
        `(1 + exceedances) / (1 + draws)`.
    t_statistic
        Mean over its long-run standard error.
    days, draws, mean_block_days, seed
        What it rests on.
    """

    p_value: float
    t_statistic: float
    days: int
    draws: int
    mean_block_days: float
    seed: int


def mean_return_test(
    returns: NDArray[np.float64], *, seed: int, draws: int = DRAWS, mean_block_days: float | None = None
) -> MeanTest | NotRun:
    """Test whether a strategy's mean daily return is above zero, allowing for dependence, skew and fat tails.

    Parameters
    ----------
    returns
        Net daily returns, float64 (T,).
    seed
        Of the resampling.
    draws
        Number of resamples B; the smallest p-value is 1 / (1 + B).
    mean_block_days
        Mean block length; by default that of Politis and White.

    Raises
    ------
    InputError
        A return is not a number, or there is no draw.

    Notes
    -----
    Each resample is studentised by its own blocks (Goetze, Kuensch 1996), the original by the variance that the
    stationary bootstrap implies (Politis, Romano 1994).
    """
    require_finite(returns)
    require(draws >= 1, f"{draws} draws are none", f"{DRAWS} is usual")
    if (few := too_few(MIN_DAYS, len(returns), "days")) is not None:
        return few
    if returns.std(ddof=1) <= FLAT:
        return NotRun("the returns do not vary: nothing was traded")
    days = len(returns)
    block = politis_white_length(returns) if mean_block_days is None else mean_block_days
    variance = long_run_variance(returns, block)
    if variance <= FLAT**2:
        return NotRun("the returns cancel within every block: they leave no variance to test against")
    t_statistic = float(returns.mean() / np.sqrt(variance / days))
    rounding = _ROUNDING * np.sqrt(variance / days)
    rng = np.random.default_rng(seed)
    exceedances, batch = 0, max(1, _BATCH_VALUES // days)
    for done in range(0, draws, batch):
        rows, starts = stationary_rows(rng, days, block, min(batch, draws - done))
        sample = returns[rows]
        means = sample.mean(axis=1)
        errors = np.sqrt(block_variances(sample - means[:, None], starts) / days)
        # Written as a product, and with ties up to rounding: a resample without variance counts against the strategy.
        exceedances += int(np.sum(means - returns.mean() >= t_statistic * errors - rounding))
    return MeanTest((1 + exceedances) / (1 + draws), t_statistic, days, draws, block, seed)
