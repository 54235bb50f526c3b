"""Signals of vwap_reversion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, hold_positions


@compiled
def vwap_reversion_targets(
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    stands: NDArray[np.int64],
    vwap: NDArray[np.float64],
    deviation: NDArray[np.float64],
    mean_volume: NDArray[np.float64],
    efficiency: NDArray[np.float64],
    rows: NDArray[np.int64],
    warmup: NDArray[np.int64],
    reversion_threshold: NDArray[np.float64],
    volume_confirmation: NDArray[np.float64],
    deviation_multiplier: NDArray[np.float64],
    most_efficiency: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars.

    `rows` names, for each genome, those of the weighted price, its deviation, the usual volume and the efficiency.
    `close` and `volume` have a row per asset, and `stands` names that of each genome.
    """
    n = close.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(warmup.size):
        first = min(warmup[g], n)
        price = close[stands[g], first:]
        traded = volume[stands[g], first:]
        centre = vwap[rows[g, 0], first:]
        spread = deviation[rows[g, 1], first:]
        usual_volume = mean_volume[rows[g, 2], first:]
        straight = efficiency[rows[g, 3], first:]
        conditions = scratch[first:]
        least_share = reversion_threshold[g]
        least_spreads = deviation_multiplier[g]
        least_volume = volume_confirmation[g]
        straightest = most_efficiency[g]
        for t in range(conditions.size):
            away = price[t] - centre[t]
            by_spread = least_spreads * spread[t]
            by_share = least_share * centre[t]
            limit = by_spread if by_spread > by_share else by_share
            fades = (spread[t] > 0.0) & (traded[t] >= least_volume * usual_volume[t]) & (straight[t] <= straightest)
            conditions[t] = (
                (ENTER_LONG if fades & (away <= -limit) else 0)
                | (ENTER_SHORT if fades & (away >= limit) else 0)
                | (EXIT_LONG if away >= 0.0 else 0)
                | (EXIT_SHORT if away <= 0.0 else 0)
            )
        targets.counts[g] = hold_positions(conditions, first, targets.held[g], targets.bars[g], targets.sides[g])
