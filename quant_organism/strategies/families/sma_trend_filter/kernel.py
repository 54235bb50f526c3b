"""Signals of sma_trend_filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, hold_positions


@compiled
def sma_trend_filter_targets(
    sma: NDArray[np.float64],
    above: NDArray[np.int32],
    below: NDArray[np.int32],
    efficiency: NDArray[np.float64],
    rows: NDArray[np.int64],
    warmup: NDArray[np.int64],
    window: NDArray[np.int64],
    least_efficiency: NDArray[np.float64],
    least_closes: NDArray[np.int32],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars.

    `above` and `below` count closes from the first bar on; `rows` names, for each genome, those of the fast and the
    slow average, of the closes above and below the fast one, and of the efficiency ratio.
    """
    n = sma.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(warmup.size):
        first = min(warmup[g], n)
        fast = sma[rows[g, 0], first:]
        slow = sma[rows[g, 1], first:]
        above_now = above[rows[g, 2], first:]
        above_before = above[rows[g, 2], warmup[g] - window[g] :]
        below_now = below[rows[g, 3], first:]
        below_before = below[rows[g, 3], warmup[g] - window[g] :]
        straight = efficiency[rows[g, 4], first:]
        conditions = scratch[first:]
        enough = least_efficiency[g]
        closes = least_closes[g]
        for t in range(conditions.size):
            trends = straight[t] >= enough
            up = (fast[t] > slow[t]) & trends & (above_now[t] - above_before[t] >= closes)
            down = (fast[t] < slow[t]) & trends & (below_now[t] - below_before[t] >= closes)
            conditions[t] = (
                (ENTER_LONG if up else 0)
                | (ENTER_SHORT if down else 0)
                | (EXIT_LONG if fast[t] <= slow[t] else 0)
                | (EXIT_SHORT if fast[t] >= slow[t] else 0)
            )
        targets.counts[g] = hold_positions(conditions, first, targets.held[g], targets.bars[g], targets.sides[g])
