"""One p-value from several independent ones."""

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc

from quant_organism.validation.statistics.evidence import NotRun, require, require_probability


def fisher(p_values: Sequence[float]) -> float | NotRun:
    """Combine independent p-values by Fisher's method: `X = -2 sum ln p`, chi-square with 2k degrees of freedom.

    Parameters
    ----------
    p_values
        Of tests on disjoint data (the search's own on in-sample bars, the holdout's on later ones); nan is a test that
        did not run. Two tests of the same data must not be combined.

    Returns
    -------
    float or NotRun
        In (0, 1]; not run when a p-value is missing: what did not run is no evidence either way.

    Raises
    ------
    InputError
        There is no p-value, or one is outside (0, 1].
    """
    values = np.asarray(p_values, dtype=np.float64)
    require(len(values) > 0, "no p-value to combine", "give at least one")
    missing = np.flatnonzero(np.isnan(values))
    require_probability(values[~np.isnan(values)])
    if len(missing):
        return NotRun(f"p-value {missing[0]} is missing")
    return max(float(chdtrc(2 * len(values), -2 * np.log(values).sum())), float(np.finfo(np.float64).tiny))
