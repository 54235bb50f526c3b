"""Many tests at once: adjusted p-values that can be compared with the level directly."""

import numpy as np
from numpy.typing import NDArray

from quant_organism.validation.statistics.evidence import require_probability

Floats = NDArray[np.float64]


def bonferroni(p_values: Floats) -> Floats:
    """Return p-values times their number, at most 1: the chance of any false rejection is held under any dependence.

    Parameters
    ----------
    p_values
        Float64 (N,), each in (0, 1].

    Raises
    ------
    InputError
        A p-value is missing or outside (0, 1]; the first is named.
    """
    require_probability(p_values)
    return np.minimum(1.0, p_values * len(p_values))


def holm(p_values: Floats) -> Floats:
    """Return Holm's step-down p-values: as safe as Bonferroni's and never larger.

    Parameters, errors as for `bonferroni`.
    """
    require_probability(p_values)
    order = np.argsort(p_values, kind="stable")
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    return _unsorted(np.minimum(1.0, steps), order)


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Return Benjamini and Hochberg's step-up p-values: the share of false rejections is held, for independent tests.

    Parameters, errors as for `bonferroni`.
    """
    require_probability(p_values)
    order = np.argsort(p_values, kind="stable")
    count = len(p_values)
    steps = np.minimum.accumulate((p_values[order] * count / np.arange(1, count + 1))[::-1])[::-1]
    return _unsorted(np.minimum(1.0, steps), order)


def _unsorted(values: Floats, order: NDArray[np.int64]) -> Floats:
    result = np.empty_like(values)
    result[order] = values
    return result
