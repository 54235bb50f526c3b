"""Fibonacci levels of the last swing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled

GOLDEN = 0.618
"""Share of the swing that is given back at the level."""


@compiled
def retracement_rows(
    high: NDArray[np.float64], low: NDArray[np.float64], periods: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the price at which `GOLDEN` of the swing between the extremes of the previous bars is given back.

    Parameters
    ----------
    high, low
        Prices, shape (n,).
    periods
        Previous bars in which the highest high and the lowest low are sought, shape (K,); the latest wins a tie.

    Returns
    -------
    Below the high if it came after the low, above the low otherwise; shape (K, n), NaN before bar period.
    """
    n = high.size
    rows = np.full((periods.size, n), np.nan)
    for k in range(periods.size):
        for t in range(periods[k], n):
            highs, lows = high[t - periods[k] : t], low[t - periods[k] : t]
            top = bottom = 0
            for i in range(highs.size):
                top = i if highs[i] >= highs[top] else top
                bottom = i if lows[i] <= lows[bottom] else bottom
            given_back = GOLDEN * (highs[top] - lows[bottom])
            rows[k, t] = highs[top] - given_back if top > bottom else lows[bottom] + given_back
    return rows
