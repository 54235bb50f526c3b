"""How straight price moves, and on which side of its average it stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.indicators.averages import lagged_mean_rows


@compiled
def efficiency_ratio_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the move over `period` bars as a share of the way that was walked, in [0, 1].

    Returns
    -------
    Shape (K, n); 0 where nothing moved, NaN before bar period.

    Source: Perry J. Kaufman, Trading Systems and Methods.
    """
    moves = np.zeros(x.size)
    for t in range(1, x.size):
        moves[t] = abs(x[t] - x[t - 1])
    # First the mean move, then what is made of it.
    rows = lagged_mean_rows(moves, periods, 0)
    for k in range(periods.size):
        rows[k, : periods[k]] = np.nan
        row, later = rows[k, periods[k] :], x[periods[k] :]
        period = float(periods[k])
        for t in range(row.size):
            way = period * row[t]
            # The sum may round to less than the move of a straight line.
            share = abs(later[t] - x[t]) / way
            share = share if share < 1.0 else 1.0
            row[t] = share if way > 0.0 else 0.0
    return rows


@compiled
def count_above_rows(x: NDArray[np.float64], level: NDArray[np.float64], sign: int) -> NDArray[np.int32]:
    """Return how many values up to each bar were above their level, or below it.

    Parameters
    ----------
    x
        Values, shape (n,).
    level
        Levels, shape (K, n); NaN counts nothing.
    sign
        1 counts values above, -1 values below.

    Returns
    -------
    Shape (K, n). The difference of two bars is the count between them, for windows of any length.
    """
    rows = np.empty(level.shape, dtype=np.int32)
    for k in range(level.shape[0]):
        count = 0
        for t in range(x.size):
            count += 1 if sign * (x[t] - level[k, t]) > 0.0 else 0
            rows[k, t] = count
    return rows
