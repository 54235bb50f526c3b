"""Signals of funding_rate_carry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, next_marked

# Bits of a bar beside those of the conditions: it offers no carry to a long, to a short.
_NO_LONG, _NO_SHORT = 16, 32

_BLOCKED, _ENTERED = range(2)
"""Of `Targets.left`: the direction that is blocked, and on which bar that of the position was entered, 0 being the
first that is decided."""

LEFT = 2
"""Numbers that earlier bars leave."""


@compiled
def funding_rate_carry_targets(
    mean_rate: NDArray[np.float64],
    mean_row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    persistence: NDArray[np.int64],
    duration: NDArray[np.int64],
    funding_threshold: NDArray[np.float64],
    rate_momentum: NDArray[np.float64],
    reversal_sensitivity: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars.

    `mean_rate` holds one row per persistence in use; `persistence` and `duration` are in bars.
    """
    n = mean_rate.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(persistence.size):
        window = persistence[g]
        first = warmup[g]
        if first >= n:
            targets.counts[g] = 0
            continue
        mean, earlier = mean_rate[mean_row[g], first:], mean_rate[mean_row[g], first - window :]
        marks = scratch[first:]
        threshold = funding_threshold[g]
        momentum = rate_momentum[g]
        least = reversal_sensitivity[g] * threshold
        for t in range(marks.size):
            expected = mean[t] + momentum * (mean[t] - earlier[t])
            long = (expected <= -threshold) & (-mean[t] >= least)
            short = (expected >= threshold) & (mean[t] >= least)
            marks[t] = (
                (ENTER_LONG if long else _NO_LONG)
                | (ENTER_SHORT if short else _NO_SHORT)
                | (EXIT_LONG if -mean[t] < least else 0)
                | (EXIT_SHORT if mean[t] < least else 0)
            )
        held, left = targets.held[g], targets.left[g]
        targets.counts[g] = _hold_carries(marks, first, duration[g], held, left, targets.bars[g], targets.sides[g])


@compiled
def _hold_carries(
    marks: NDArray[np.int8],
    first: int,
    duration: int,
    held: int,
    left: NDArray[np.float64],
    bars: NDArray[np.int32],
    sides: NDArray[np.int8],
) -> int:
    # A direction that was held for the whole duration is blocked until the rate has once ceased to call for it.
    count = 0
    state = int(held)
    blocked = 0
    entered = 0
    if left.size > 0:
        blocked, entered = int(left[_BLOCKED]), int(left[_ENTERED])
    is_kept = left.size == 0
    t = 0
    while True:
        awaited = 0
        if state <= 0 and blocked <= 0:
            awaited |= ENTER_LONG
        if state >= 0 and blocked >= 0:
            awaited |= ENTER_SHORT
        if state != 0:
            awaited |= EXIT_LONG if state > 0 else EXIT_SHORT
        if blocked != 0:
            awaited |= _NO_LONG if blocked > 0 else _NO_SHORT
        last = min(entered + duration, marks.size) if state != 0 else marks.size
        t = next_marked(marks[:last], t, awaited)
        if t >= marks.size - 1 and not is_kept:
            left[_BLOCKED], left[_ENTERED] = blocked, entered - (marks.size - 1)
            is_kept = True
        if t == marks.size:
            return count
        now = marks[t]
        called = 1 if now & ENTER_LONG else -1 if now & ENTER_SHORT else 0
        following = state
        if called != blocked:
            blocked = 0
        if state != 0:
            if t - entered >= duration:
                blocked, following = state, 0
            elif now & (EXIT_LONG if state > 0 else EXIT_SHORT):
                following = 0
        if called != 0 and called != following and called != blocked:
            following, entered = called, t
        if following != state:
            state = following
            bars[count] = first + t
            sides[count] = state
            count += 1
        t += 1
