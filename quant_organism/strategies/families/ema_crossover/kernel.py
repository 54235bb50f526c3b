"""Signals of ema_crossover."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, hold_positions


@compiled
def ema_crossover_targets(
    ema: NDArray[np.float64],
    change: NDArray[np.float64],
    fast_row: NDArray[np.int64],
    slow_row: NDArray[np.int64],
    change_row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    momentum_threshold: NDArray[np.float64],
    trend_filter: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars; `ema` and `change` hold one row per period in use."""
    n = ema.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(warmup.size):
        # Slices from the warm-up on, so that no index can be negative and the loop compiles to vector instructions.
        first = min(warmup[g], n)
        fast = ema[fast_row[g], first:]
        slow = ema[slow_row[g], first:]
        rate = change[change_row[g], first:]
        conditions = scratch[first:]
        least_gap = trend_filter[g]
        least_rate = momentum_threshold[g]
        for t in range(conditions.size):
            gap = fast[t] / slow[t] - 1.0
            long = (gap > least_gap) & (rate[t] > least_rate)
            short = (gap < -least_gap) & (rate[t] < -least_rate)
            conditions[t] = (
                (ENTER_LONG if long else 0)
                | (ENTER_SHORT if short else 0)
                | (EXIT_LONG if gap < 0.0 else 0)
                | (EXIT_SHORT if gap > 0.0 else 0)
            )
        targets.counts[g] = hold_positions(conditions, first, targets.held[g], targets.bars[g], targets.sides[g])
