"""Inference on Sharpe ratios. All ratios here are per period (daily), never annual."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from quant_organism.errors import InputError

MIN_PERIODS = 30
_MAX_AUTOCORRELATION = 0.99
_FLAT = 1e-12


@dataclass(frozen=True)
class SharpeMoments:
    """What the sampling error of a Sharpe ratio depends on.

    Attributes
    ----------
    sharpe
        Mean over standard deviation (divisor T-1) per period; nan when the returns do not vary.
    skew, kurtosis
        Population moments; kurtosis of a normal is 3.
    autocorrelation
        Lag-1, clipped to +-0.99.
    periods
        T.
    """

    sharpe: float
    skew: float
    kurtosis: float
    autocorrelation: float
    periods: int


def sharpe_moments(returns: NDArray[np.float64]) -> SharpeMoments:
    """Measure returns, float64 (T,).

    Raises
    ------
    InputError
        A return is NaN or infinite: a gap in the data is settled upstream, never dropped here.
    """
    bad = np.flatnonzero(~np.isfinite(returns))
    if len(bad):
        raise InputError(
            f"return {returns[bad[0]]} is not a number", where=f"period {bad[0]}", remedy="repair the data upstream"
        )
    periods = len(returns)
    if periods < 2 or returns.std(ddof=1) <= _FLAT:
        return SharpeMoments(np.nan, np.nan, np.nan, np.nan, periods)
    centred = returns - returns.mean()
    variance = np.mean(centred**2)
    autocorrelation = np.sum(centred[1:] * centred[:-1]) / np.sum(centred**2)
    return SharpeMoments(
        sharpe=float(returns.mean() / returns.std(ddof=1)),
        skew=float(np.mean(centred**3) / variance**1.5),
        kurtosis=float(np.mean(centred**4) / variance**2),
        autocorrelation=float(np.clip(autocorrelation, -_MAX_AUTOCORRELATION, _MAX_AUTOCORRELATION)),
        periods=periods,
    )


def probabilistic_sharpe_ratio(moments: SharpeMoments, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio exceeds a benchmark, given autocorrelated, fat-tailed returns.

    The sampling variance is taken at the benchmark (the null), not at the estimate.

    Parameters
    ----------
    moments
        Of the returns, per period.
    benchmark
        Sharpe ratio per period under the null.

    Returns
    -------
    float
        In [0, 1]; nan when the returns do not vary or their skew is too extreme for the formula.

    Notes
    -----
    Lopez de Prado, Lipton, Zoonekynd 2025 (SSRN 5520741).
    """
    r, g3, g4 = moments.autocorrelation, moments.skew, moments.kurtosis
    a = (1 + r) / (1 - r)
    b = (1 + r + r**2) / (1 - r**2)
    c = (1 + r**2) / (1 - r**2)
    variance = (a - b * g3 * benchmark + c * (g4 - 1) / 4 * benchmark**2) / moments.periods
    if not variance > 0:
        return float("nan")
    return float(ndtr((moments.sharpe - benchmark) / np.sqrt(variance)))
