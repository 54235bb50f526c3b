"""Readings of an annual Sharpe ratio, for information: Lo's error and scaling, the haircut of Harvey and Liu."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from quant_organism.validation.statistics.evidence import require, require_finite


def lo_standard_error(sharpe: float, periods: int) -> float:
    """Return the standard error of a Sharpe ratio per period from independent normal returns, `sqrt((1+s^2/2)/T)`.

    Raises
    ------
    InputError
        No period.

    Notes
    -----
    Lo 2002 (FAJ 58:4).
    """
    require(periods >= 1, f"{periods} periods are none", "give the number of returns")
    return float(np.sqrt((1 + sharpe**2 / 2) / periods))


def lo_annualisation(autocorrelations: NDArray[np.float64]) -> float:
    """Return what to multiply a Sharpe ratio per period by for q periods: `q / sqrt(q + 2 sum (q-k) rho_k)`.

    Parameters
    ----------
    autocorrelations
        Lags 1 to q-1 of the returns, float64 (q-1,). All zero gives the familiar sqrt(q).

    Returns
    -------
    float
        nan when the autocorrelations leave no positive variance.

    Raises
    ------
    InputError
        An autocorrelation is not a number.

    Notes
    -----
    Lo 2002 (FAJ 58:4).
    """
    require_finite(autocorrelations, "autocorrelation")
    q = len(autocorrelations) + 1
    variance = q + 2 * np.sum(np.arange(q - 1, 0, -1) * autocorrelations)
    return float(q / np.sqrt(variance)) if variance > 0 else float("nan")


def haircut_sharpe(
    annual_sharpe: float, years: float, tests: int, method: Literal["bonferroni", "sidak"] = "bonferroni"
) -> float:
    """Return the annual Sharpe ratio that is left after paying for the number of tests.

    Parameters
    ----------
    annual_sharpe
        As observed.
    years
        Length of the record.
    tests
        How many strategies were tried, at least 1.
    method
        How the two-sided p-value is corrected.

    Returns
    -------
    float
        0 when nothing is left.

    Raises
    ------
    InputError
        No test or no time.

    Notes
    -----
    Harvey, Liu 2015 (JPM 42:1).
    """
    require(tests >= 1, f"{tests} tests are none", "count every strategy that was tried")
    require(years > 0, f"{years} years are none", "give the length of the record in years")
    if annual_sharpe <= 0:
        return 0.0
    p = max(2 * ndtr(-annual_sharpe * np.sqrt(years)), np.finfo(np.float64).tiny)
    corrected = p * tests if method == "bonferroni" else -np.expm1(tests * np.log1p(-p))
    return 0.0 if corrected >= 1 else float(-ndtri(corrected / 2) / np.sqrt(years))
