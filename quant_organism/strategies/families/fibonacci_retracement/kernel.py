"""Signals of fibonacci_retracement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, Targets, next_marked

_SIDE, _AIM, _ORIGIN = range(3)
"""Of `Targets.left`: what is held, 0 for nothing, where its swing ended and where it began."""

LEFT = 3
"""Numbers that earlier bars leave."""


@compiled
def fibonacci_retracement_targets(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    stands: NDArray[np.int64],
    true_range: NDArray[np.float64],
    swing_start: NDArray[np.float64],
    swing_end: NDArray[np.float64],
    mean_volume: NDArray[np.float64],
    range_row: NDArray[np.int64],
    start_row: NDArray[np.int64],
    end_row: NDArray[np.int64],
    volume_row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    level: NDArray[np.float64],
    nearness: NDArray[np.float64],
    least_ranges: NDArray[np.float64],
    least_volume: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars.

    `high`, `low`, `close` and `volume` have a row per asset, and `stands` names that of each genome; `true_range`,
    `swing_start`, `swing_end` and `mean_volume` hold one row per key in use.
    A swing must span `least_ranges` average true ranges, a bar trade `least_volume` mean volumes.
    """
    n = close.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(warmup.size):
        first = warmup[g]
        if first >= n:
            targets.counts[g] = 0
            continue
        asset = stands[g]
        price, before = close[asset, first:], close[asset, first - 1 :]
        highest, lowest = high[asset, first:], low[asset, first:]
        traded, usual_volume = volume[asset, first:], mean_volume[volume_row[g], first:]
        usual_range = true_range[range_row[g], first - 1 :]
        start, end = swing_start[start_row[g], first:], swing_end[end_row[g], first:]
        marks = scratch[first:]
        share = level[g]
        near = 1.0 + nearness[g]
        ranges, volumes = least_ranges[g], least_volume[g]
        for t in range(marks.size):
            c = price[t]
            rise = end[t] - start[t]
            retraced = end[t] - share * rise
            confirmed = (abs(rise) >= ranges * usual_range[t]) & (traded[t] >= volumes * usual_volume[t])
            up = (rise > 0.0) & (lowest[t] <= retraced * near) & (c >= retraced) & (c > before[t]) & (c < end[t])
            down = (rise < 0.0) & (highest[t] >= retraced / near) & (c <= retraced) & (c < before[t]) & (c > end[t])
            marks[t] = (ENTER_LONG if up & confirmed else 0) | (ENTER_SHORT if down & confirmed else 0)
        targets.counts[g] = _hold_swings(
            marks, price, start, end, first, targets.left[g], targets.bars[g], targets.sides[g]
        )


@compiled
def _hold_swings(
    marks: NDArray[np.int8],
    close: NDArray[np.float64],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    first: int,
    left: NDArray[np.float64],
    bars: NDArray[np.int32],
    sides: NDArray[np.int8],
) -> int:
    # A position ends where its own swing ended, or beyond where that swing began.
    count = 0
    state = 0
    aim = origin = 0.0
    if left.size > 0 and left[_SIDE] != 0.0:
        state, aim, origin = int(left[_SIDE]), left[_AIM], left[_ORIGIN]
        bars[0], sides[0] = first, state
        count = 1
    is_kept = left.size == 0
    t = 0
    while True:
        if state == 0:
            t = next_marked(marks, t, ENTER_LONG | ENTER_SHORT)
        if t >= close.size - 1 and not is_kept:
            left[_SIDE], left[_AIM], left[_ORIGIN] = state, aim, origin
            is_kept = True
        if t == close.size:
            return count
        c = close[t]
        following = state
        if (state > 0 and (c >= aim or c < origin)) or (state < 0 and (c <= aim or c > origin)):
            following = 0
        called = 1 if marks[t] & ENTER_LONG else -1 if marks[t] & ENTER_SHORT else 0
        if called != 0 and called != following:
            following, aim, origin = called, end[t], start[t]
        if following != state:
            state = following
            bars[count] = first + t
            sides[count] = state
            count += 1
        t += 1
