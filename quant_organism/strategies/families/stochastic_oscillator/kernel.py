"""Signals of stochastic_oscillator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.oscillators import BEARISH, BULLISH
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, hold_positions


@compiled
def stochastic_oscillator_targets(
    stochastic_k: NDArray[np.float64],
    crossing: NDArray[np.int8],
    divergence: NDArray[np.int8],
    k_row: NDArray[np.int64],
    crossing_row: NDArray[np.int64],
    divergence_row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    overbought_level: NDArray[np.float64],
    oversold_level: NDArray[np.float64],
    divergence_sensitivity: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars; `crossing` holds one row per pair of windows in use."""
    n = stochastic_k.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(warmup.size):
        first = min(warmup[g], n)
        now = stochastic_k[k_row[g], first:]
        before = stochastic_k[k_row[g], warmup[g] - 1 :]
        crosses = crossing[crossing_row[g], first:]
        diverges = divergence[divergence_row[g], first:]
        conditions = scratch[first:]
        overbought = overbought_level[g]
        oversold = oversold_level[g]
        shift = 20.0 * divergence_sensitivity[g]
        for t in range(conditions.size):
            low = oversold + (shift if diverges[t] & BULLISH else 0.0)
            high = overbought - (shift if diverges[t] & BEARISH else 0.0)
            up = (crosses[t] & BULLISH != 0) & (before[t] <= low)
            down = (crosses[t] & BEARISH != 0) & (before[t] >= high)
            conditions[t] = (
                (ENTER_LONG if up else 0)
                | (ENTER_SHORT if down else 0)
                | (EXIT_LONG if now[t] >= overbought else 0)
                | (EXIT_SHORT if now[t] <= oversold else 0)
            )
        targets.counts[g] = hold_positions(conditions, first, targets.held[g], targets.bars[g], targets.sides[g])
