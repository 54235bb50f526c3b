"""Do two strategies differ in Sharpe ratio, or only in luck? Ledoit and Wolf's studentised bootstrap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.statistics.evidence import (
    NotRun,
    flat_columns,
    require,
    require_finite,
    too_few,
)
from quant_organism.validation.statistics.resampling import long_run_variance, politis_white_length

MIN_DAYS = 60
DRAWS = 4_999
_BATCH_VALUES = 1_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SharpeDifference:
    """A two-sided test of "both Sharpe ratios are equal".

    Attributes
    ----------
    difference
        Of the Sharpe ratios per day, first minus second.
    standard_error
        Of the difference, allowing for dependence in time and between the two.
    p_value
        `(1 + exceedances) / (1 + draws)`.
    days, draws, block_days, seed
        What it rests on.
    """

    difference: float
    standard_error: float
    p_value: float
    days: int
    draws: int
    block_days: int
    seed: int


def sharpe_difference(
    first: Floats, second: Floats, *, seed: int, draws: int = DRAWS, block_days: int | None = None
) -> SharpeDifference | NotRun:
    """Test whether two strategies, on the same days, have the same Sharpe ratio (champion against challenger).

    Parameters
    ----------
    first, second
        Net daily returns, float64 (T,).
    seed, draws
        Of the circular block bootstrap.
    block_days
        Block length; by default the longer of what Politis and White advise for the two.

    Raises
    ------
    InputError
        A return is not a number, the lengths differ, or there is no draw.

    Notes
    -----
    Ledoit, Wolf 2008 (J. Empirical Finance 15). The standard error on the data weighs autocovariances as the stationary
    bootstrap does, where the paper offers kernels; each resample is studentised by its own blocks, as there.
    """
    require_finite(first, "first return")
    require_finite(second, "second return")
    require(len(first) == len(second), f"{len(first)} and {len(second)} returns", "compare the same days")
    require(draws >= 1, f"{draws} draws are none", f"{DRAWS} is usual")
    days = len(first)
    if (few := too_few(MIN_DAYS, days, "days")) is not None:
        return few
    pair = np.column_stack([first, second])
    if flat_columns(pair).any():
        return NotRun("the returns of one strategy do not vary")
    block = block_days
    if block is None:
        block = int(np.ceil(max(politis_white_length(first), politis_white_length(second))))
    require(1 <= block <= days, f"a block of {block} days does not fit {days} days", "use fewer")
    difference, influence = _difference(pair[None])
    variance = long_run_variance(influence[0], block)
    if variance <= 1e-24:
        return NotRun("the two strategies do not differ on any day")
    error = float(np.sqrt(variance / days))
    exceedances = _exceedances(pair, float(difference[0]), error, block, draws, np.random.default_rng(seed))
    return SharpeDifference(float(difference[0]), error, (1 + exceedances) / (1 + draws), days, draws, block, seed)


def _exceedances(
    pair: Floats, difference: float, error: float, block: int, draws: int, rng: np.random.Generator
) -> int:
    days = len(pair)
    blocks = -(-days // block)
    begins = np.arange(0, days, block)
    exceedances, batch = 0, max(1, _BATCH_VALUES // days)
    for done in range(0, draws, batch):
        origin = rng.integers(0, days, (min(batch, draws - done), blocks))
        rows = ((origin[:, :, None] + np.arange(block)) % days).reshape(len(origin), -1)[:, :days]
        resampled, influence = _difference(pair[rows])
        sums = np.add.reduceat(influence, begins, axis=1)
        errors = np.sqrt((sums**2).sum(axis=1)) / days
        # Written as products, so that a resample without variance counts against a difference.
        near = np.abs(resampled - difference) * error >= abs(difference) * errors
        exceedances += int(np.sum(near | ~np.isfinite(resampled)))
    return exceedances


def _difference(pairs: Floats) -> tuple[Floats, Floats]:
    """Return of (B, T, 2) returns the Sharpe differences (B,) and each day's influence on them (B, T)."""
    mean = pairs.mean(axis=1, keepdims=True)
    centred = pairs - mean
    deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe = mean / deviation
        z = centred / deviation
        # The derivative of mean / deviation: a day helps by its return and harms by its share of the variance.
        influence = z - sharpe / 2 * (z**2 - 1)
    divisor = np.sqrt(1 - 1 / pairs.shape[1])
    return divisor * (sharpe[:, 0, 0] - sharpe[:, 0, 1]), divisor * (influence[:, :, 0] - influence[:, :, 1])
