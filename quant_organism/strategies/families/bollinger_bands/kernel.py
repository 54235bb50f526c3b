"""Signals of bollinger_bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import Targets, next_marked

# Bits of a bar: the event's direction, whether it is a fade, and on which side of the mean the bar closed.
_UP, _DOWN, _FADE, _NOT_ABOVE, _NOT_BELOW = 1, 2, 4, 8, 16

_SIDE, _CONVICTION, _END = range(3)
"""Of `Targets.left`: what is held, 0 for nothing, its conviction, and the bit of the bars that end it."""

LEFT = 3
"""Numbers that earlier bars leave."""


@compiled
def bollinger_bands_targets(
    z_score: NDArray[np.float64],
    bandwidth_rank: NDArray[np.int16],
    z_row: NDArray[np.int64],
    rank_row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    lookback_period: NDArray[np.int64],
    volatility_multiplier: NDArray[np.float64],
    squeeze_threshold: NDArray[np.float64],
    breakout_strength: NDArray[np.float64],
    position_scaling_factor: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars; `z_score` and `bandwidth_rank` hold one row per period in use."""
    n = z_score.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(lookback_period.size):
        first = min(warmup[g], n)
        z = z_score[z_row[g], first:]
        rank = bandwidth_rank[rank_row[g], first:]
        marks = scratch[first:]
        squeeze_below = squeeze_threshold[g] * (5 * lookback_period[g])
        band = volatility_multiplier[g]
        breakout = band + breakout_strength[g]
        fades = position_scaling_factor[g] > 0.0
        for t in range(marks.size):
            squeezed = rank[t] < squeeze_below
            up = (z[t] > breakout) if squeezed else (z[t] <= -band) & fades
            down = (z[t] < -breakout) if squeezed else (z[t] >= band) & fades
            marks[t] = (
                (_UP if up else 0)
                | (_DOWN if down else 0)
                | (0 if squeezed else _FADE)
                | (_NOT_ABOVE if z[t] <= 0.0 else 0)
                | (_NOT_BELOW if z[t] >= 0.0 else 0)
            )
        targets.counts[g] = _hold_events(
            marks,
            first,
            position_scaling_factor[g],
            targets.left[g],
            targets.bars[g],
            targets.sides[g],
            targets.convictions[g],
        )


@compiled
def _hold_events(
    marks: NDArray[np.int8],
    first: int,
    fade_conviction: float,
    left: NDArray[np.float64],
    bars: NDArray[np.int32],
    sides: NDArray[np.int8],
    convictions: NDArray[np.float64],
) -> int:
    # A fade is held until price is back at the mean, a breakout until it has fallen back to it.
    count = 0
    state = 0
    conviction = 0.0
    end_mark = 0
    if left.size > 0 and left[_SIDE] != 0.0:
        state, conviction, end_mark = int(left[_SIDE]), left[_CONVICTION], int(left[_END])
        bars[0], sides[0], convictions[0] = first, state, conviction
        count = 1
    is_kept = left.size == 0
    t = 0
    while True:
        t = next_marked(marks, t, end_mark | (_UP if state <= 0 else 0) | (_DOWN if state >= 0 else 0))
        if t >= marks.size - 1 and not is_kept:
            left[_SIDE], left[_CONVICTION], left[_END] = state, conviction, end_mark
            is_kept = True
        if t == marks.size:
            return count
        side, held = state, conviction
        if marks[t] & end_mark:
            state, conviction = 0, 0.0
        event = 1 if marks[t] & _UP else -1 if marks[t] & _DOWN else 0
        if event != 0 and event != state:
            is_fade = marks[t] & _FADE != 0
            state, conviction = event, fade_conviction if is_fade else 1.0
            end_mark = _NOT_BELOW if (event > 0) == is_fade else _NOT_ABOVE
        elif state == 0:
            end_mark = 0
        if state != side or conviction != held:
            bars[count] = first + t
            sides[count] = state
            convictions[count] = conviction
            count += 1
        t += 1
