"""Probabilistic Sharpe ratio and minimum track record. All ratios here are per period (daily), never annual.

Two versions of the sampling variance live side by side: "2012" (Bailey, Lopez de Prado: independent returns, variance
at the estimate) and "2025" (Lopez de Prado, Lipton, Zoonekynd: autocorrelated returns, variance at the null), the
default.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from quant_organism.validation.statistics.evidence import FLAT, require, require_finite

Version = Literal["2012", "2025"]

MIN_PERIODS = 30
"""Fewer daily returns than this support no gate on a Sharpe ratio."""

MAX_AUTOCORRELATION = 0.99


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
    require_finite(returns)
    periods = len(returns)
    if periods < 2 or returns.std(ddof=1) <= FLAT:
        return SharpeMoments(np.nan, np.nan, np.nan, np.nan, periods)
    centred = returns - returns.mean()
    variance = np.mean(centred**2)
    autocorrelation = np.sum(centred[1:] * centred[:-1]) / np.sum(centred**2)
    return SharpeMoments(
        sharpe=float(returns.mean() / returns.std(ddof=1)),
        skew=float(np.mean(centred**3) / variance**1.5),
        kurtosis=float(np.mean(centred**4) / variance**2),
        autocorrelation=float(np.clip(autocorrelation, -MAX_AUTOCORRELATION, MAX_AUTOCORRELATION)),
        periods=periods,
    )


def sharpe_variance(moments: SharpeMoments, true_sharpe: float) -> float:
    """Return the sampling variance of a Sharpe ratio whose true value were `true_sharpe` (2025 version).

    Returns
    -------
    float
        `(a - b g3 S + c (g4-1)/4 S^2) / T`; nan when it is not positive (skew too extreme for the formula).

    Notes
    -----
    Lopez de Prado, Lipton, Zoonekynd 2025 (SSRN 5520741).
    """
    r = moments.autocorrelation
    a = (1 + r) / (1 - r)
    b = (1 + r + r**2) / (1 - r**2)
    c = (1 + r**2) / (1 - r**2)
    radicand = a - b * moments.skew * true_sharpe + c * (moments.kurtosis - 1) / 4 * true_sharpe**2
    return radicand / moments.periods if radicand > 0 else float("nan")


def _radicand_2012(moments: SharpeMoments) -> float:
    s = moments.sharpe
    radicand = 1 - moments.skew * s + (moments.kurtosis - 1) / 4 * s**2
    return radicand if radicand > 0 else float("nan")


def _standard_error(moments: SharpeMoments, benchmark: float, version: Version) -> float:
    if version == "2012":
        return float(np.sqrt(_radicand_2012(moments) / (moments.periods - 1)))
    return float(np.sqrt(sharpe_variance(moments, benchmark)))


def probabilistic_sharpe_ratio(
    moments: SharpeMoments, benchmark: float = 0.0, *, version: Version = "2025", inflation: float = 1.0
) -> float:
    """Return the probability that the true Sharpe ratio exceeds a benchmark.

    Parameters
    ----------
    moments
        Of the returns, per period; at least two periods.
    benchmark
        Sharpe ratio per period under the null.
    version
        "2025" allows for autocorrelation and takes the sampling variance at the benchmark; "2012" assumes independent
        returns and takes it at the estimate.
    inflation
        Factor on the sampling variance; the deflated Sharpe ratio sets it to the variance of a maximum.

    Returns
    -------
    float
        In [0, 1]; nan when the returns do not vary or their skew is too extreme for the formula.

    Notes
    -----
    Bailey, Lopez de Prado 2012 (J. Risk 15); Lopez de Prado, Lipton, Zoonekynd 2025 (SSRN 5520741).
    """
    if moments.periods < 2:
        return float("nan")
    error = _standard_error(moments, benchmark, version) * np.sqrt(inflation)
    return float(ndtr((moments.sharpe - benchmark) / error))


def minimum_track_record(
    moments: SharpeMoments, benchmark: float = 0.0, *, alpha: float = 0.05, version: Version = "2025"
) -> float:
    """Return how many periods a Sharpe ratio must be observed to exceed a benchmark at level alpha.

    Returns
    -------
    float
        Periods; infinity when the estimate does not exceed the benchmark; nan when the returns do not vary or their
        skew is too extreme for the formula.

    Raises
    ------
    InputError
        alpha is not in (0, 0.5].

    Notes
    -----
    Sources as for `probabilistic_sharpe_ratio`; the 2012 version adds one period.
    """
    require(0 < alpha <= 0.5, f"alpha {alpha} is not in (0, 0.5]", "0.05 is usual")
    if not np.isfinite(moments.sharpe):
        return float("nan")
    if moments.sharpe <= benchmark:
        return float("inf")
    scale = (ndtri(1 - alpha) / (moments.sharpe - benchmark)) ** 2
    if version == "2012":
        return float(1 + _radicand_2012(moments) * scale)
    return float(moments.periods * sharpe_variance(moments, benchmark) * scale)
