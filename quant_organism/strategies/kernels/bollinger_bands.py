"""Signals of bollinger_bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled


@compiled
def bollinger_bands_targets(
    z_score: NDArray[np.float64],
    bandwidth_rank: NDArray[np.int16],
    z_row: NDArray[np.int64],
    rank_row: NDArray[np.int64],
    lookback_period: NDArray[np.int64],
    volatility_multiplier: NDArray[np.float64],
    squeeze_threshold: NDArray[np.float64],
    breakout_strength: NDArray[np.float64],
    position_scaling_factor: NDArray[np.float64],
    direction: NDArray[np.int8],
    conviction: NDArray[np.float64],
) -> None:
    """Write the directions and convictions of G genomes over n bars."""
    for g in range(direction.shape[0]):
        first = 6 * lookback_period[g] - 1
        z = z_score[z_row[g], first:]
        rank = bandwidth_rank[rank_row[g], first:]
        out = direction[g, first:]
        size = conviction[g, first:]
        squeeze_below = squeeze_threshold[g] * (5 * lookback_period[g])
        band = volatility_multiplier[g]
        breakout = band + breakout_strength[g]
        fade = position_scaling_factor[g]
        state = 0
        conviction_now = 0.0
        is_fade = False
        for t in range(out.size):
            side = z[t] * state
            if state != 0 and (side >= 0.0 if is_fade else side <= 0.0):
                state = 0
                conviction_now = 0.0
            squeezed = rank[t] < squeeze_below
            event = 0
            if squeezed:
                if z[t] > breakout:
                    event = 1
                elif z[t] < -breakout:
                    event = -1
            elif fade > 0.0:
                if z[t] >= band:
                    event = -1
                elif z[t] <= -band:
                    event = 1
            if event != 0 and event != state:
                state = event
                is_fade = not squeezed
                conviction_now = fade if is_fade else 1.0
            out[t] = state
            size[t] = conviction_now
