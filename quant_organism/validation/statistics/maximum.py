"""The maximum of N standard normals: what the best of N trials shows by luck alone."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from quant_organism.validation.statistics.evidence import require

_STEP = 0.002


@dataclass(frozen=True)
class MaximumMoments:
    """Mean and variance of the largest of N independent standard normals."""

    mean: float
    variance: float


def maximum_moments(n: int) -> MaximumMoments:
    """Integrate the density of the maximum, `n phi(x) Phi(x)^(n-1)`.

    Parameters
    ----------
    n
        Number of independent standard normals, at least 1.

    Returns
    -------
    MaximumMoments
        Exact to about 1e-10. The closed form that budgets trials overstates the mean by up to 2 % (N = 10).

    Raises
    ------
    InputError
        n is below 1.
    """
    require(n >= 1, f"the maximum of {n} values does not exist", "at least one trial is needed")
    x = np.arange(-12.0, 14.0, _STEP)
    # The integrand falls to nothing at both ends, where the plain sum is as exact as any quadrature.
    density = np.exp(np.log(n) - x**2 / 2 - 0.5 * np.log(2 * np.pi) + (n - 1) * log_ndtr(x))
    mean = float(np.sum(x * density) * _STEP)
    return MaximumMoments(mean, float(np.sum((x - mean) ** 2 * density) * _STEP))
