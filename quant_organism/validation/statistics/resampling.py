"""Resampling of dependent returns: block length, stationary bootstrap rows, and the long-run variance they imply."""

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.statistics.evidence import FLAT, require, require_finite

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def politis_white_length(returns: Floats) -> float:
    """Return the mean block length that suits the stationary bootstrap of these returns.

    Parameters
    ----------
    returns
        Float64 (T,), T at least 30 for a figure of any worth.

    Returns
    -------
    float
        Periods, from 1 to T/3; 1 when the returns do not vary or are too few to tell.

    Raises
    ------
    InputError
        A return is not a number.

    Notes
    -----
    Politis, White 2004 (Econometric Reviews 23), corrected by Patton, Politis, White 2009; through `arch`.
    """
    from arch.bootstrap import optimal_block_length

    require_finite(returns)
    if len(returns) < 10 or returns.std() <= FLAT:
        return 1.0
    length = float(optimal_block_length(returns)["stationary"].iloc[0])
    return float(np.clip(length, 1.0, len(returns) / 3)) if np.isfinite(length) else 1.0


def stationary_rows(
    rng: np.random.Generator, periods: int, mean_block: float, draws: int
) -> tuple[Integers, NDArray[np.bool_]]:
    """Draw stationary bootstrap samples: blocks of geometric length on a circle.

    Parameters
    ----------
    rng
        Source of randomness.
    periods
        T.
    mean_block
        Mean block length in periods, at least 1 (independent draws).
    draws
        Number of samples B.

    Returns
    -------
    rows : int64 (B, T)
        Rows of the original; the same for all assets, so that what happens together stays together.
    starts : bool (B, T)
        Where a block begins; always at the first period.

    Raises
    ------
    InputError
        The mean block is shorter than one period.

    Notes
    -----
    Politis, Romano 1994 (JASA 89).
    """
    require(mean_block >= 1, f"a mean block of {mean_block} periods is too short", "use at least 1")
    starts = rng.random((draws, periods)) < 1 / mean_block
    starts[:, 0] = True
    origin = rng.integers(0, periods, (draws, periods))
    time = np.arange(periods)
    begun = np.maximum.accumulate(np.where(starts, time, 0), axis=1)
    return (np.take_along_axis(origin, begun, axis=1) + time - begun) % periods, starts


def long_run_variance(values: Floats, mean_block: float) -> float:
    """Return T times the variance of the mean under the stationary bootstrap, in closed form.

    Parameters
    ----------
    values
        Float64 (T,).
    mean_block
        Mean block length in periods, at least 1; 1 gives the ordinary variance (divisor T).

    Notes
    -----
    Politis, Romano 1994 (JASA 89), lemma 1: autocovariances weighted by `(1-i/T)(1-q)^i + (i/T)(1-q)^(T-i)`, q = 1 /
    mean block.
    """
    periods = len(values)
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * periods)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, 2 * periods)[:periods] / periods
    lag = np.arange(1, periods)
    stay = 1 - 1 / mean_block
    weight = (1 - lag / periods) * stay**lag + lag / periods * stay ** (periods - lag)
    return float(covariance[0] + 2 * np.sum(weight * covariance[1:]))


def block_variances(centred: Floats, starts: NDArray[np.bool_]) -> Floats:
    """Return each resample's own long-run variance: the mean square of its blocks' sums, per period.

    Parameters
    ----------
    centred
        Float64 (B, T), each row centred on its mean.
    starts
        Bool (B, T): where a block begins.

    Returns
    -------
    float64 (B,)
        Zero when every block sums to zero.

    Notes
    -----
    Goetze, Kuensch 1996 (Annals of Statistics 24).
    """
    draws, periods = centred.shape
    begins = np.flatnonzero(starts)
    sums = np.add.reduceat(centred.ravel(), begins)
    variances = np.zeros(draws)
    np.add.at(variances, begins // periods, sums**2 / periods)
    return variances
