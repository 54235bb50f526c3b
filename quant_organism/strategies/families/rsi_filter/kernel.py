"""Signals of rsi_filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.oscillators import BEARISH, BULLISH
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, hold_positions


@compiled
def rsi_filter_targets(
    close: NDArray[np.float64],
    stands: NDArray[np.int64],
    rsi: NDArray[np.float64],
    divergence: NDArray[np.int8],
    sma: NDArray[np.float64],
    rsi_row: NDArray[np.int64],
    divergence_row: NDArray[np.int64],
    sma_row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    oversold_threshold: NDArray[np.float64],
    overbought_threshold: NDArray[np.float64],
    divergence_weight: NDArray[np.float64],
    exit_level: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars; a genome without a trend's average has `sma_row` -1.

    `close` has a row per asset, and `stands` names that of each genome.
    """
    n = close.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(warmup.size):
        first = min(warmup[g], n)
        index = rsi[rsi_row[g], first:]
        diverges = divergence[divergence_row[g], first:]
        conditions = scratch[first:]
        oversold = oversold_threshold[g]
        overbought = overbought_threshold[g]
        shift = 10.0 * divergence_weight[g]
        long_exit = exit_level[g]
        short_exit = 100.0 - exit_level[g]
        for t in range(conditions.size):
            value = index[t]
            low = oversold + (shift if diverges[t] & BULLISH else 0.0)
            high = overbought - (shift if diverges[t] & BEARISH else 0.0)
            conditions[t] = (
                (ENTER_LONG if value <= low else 0)
                | (ENTER_SHORT if value >= high else 0)
                | (EXIT_LONG if value >= long_exit else 0)
                | (EXIT_SHORT if value <= short_exit else 0)
            )
        if sma_row[g] >= 0:
            average = sma[sma_row[g], first:]
            price = close[stands[g], first:]
            for t in range(conditions.size):
                allowed = (
                    EXIT_LONG
                    | EXIT_SHORT
                    | (ENTER_LONG if price[t] > average[t] else 0)
                    | (ENTER_SHORT if price[t] < average[t] else 0)
                )
                conditions[t] &= allowed
        targets.counts[g] = hold_positions(conditions, first, targets.held[g], targets.bars[g], targets.sides[g])
