"""Signals of donchian_breakout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import (
    ENTER_LONG,
    ENTER_SHORT,
    EXIT_LONG,
    EXIT_SHORT,
    Targets,
    hold_positions,
    next_marked,
)

_PENDING, _LEVEL, _COUNT = range(3)
"""Of `Targets.left`: the side of a break that is not confirmed yet, its level, and closes that have been seen since."""

LEFT = 3
"""Numbers that earlier bars leave."""


@compiled
def donchian_breakout_targets(
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    stands: NDArray[np.int64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    mean_volume: NDArray[np.float64],
    rows: NDArray[np.int64],
    warmup: NDArray[np.int64],
    breakout_threshold: NDArray[np.float64],
    volume_confirmation: NDArray[np.float64],
    false_breakout_filter: NDArray[np.int64],
    trend_bias: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars.

    `high` and `low` hold extremes of previous bars, one row per period in use; `rows` names, for each genome, those
    of the channel's high and low, of three channels' high and low, of the exit's high and low, and of the volume.
    `close` and `volume` have a row per asset, and `stands` names that of each genome.
    """
    n = close.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(warmup.size):
        first = min(warmup[g], n)
        price = close[stands[g], first:]
        traded = volume[stands[g], first:]
        upper = high[rows[g, 0], first:]
        lower = low[rows[g, 1], first:]
        long_upper = high[rows[g, 2], first:]
        long_lower = low[rows[g, 3], first:]
        exit_upper = high[rows[g, 4], first:]
        exit_lower = low[rows[g, 5], first:]
        usual_volume = mean_volume[rows[g, 6], first:]
        conditions = scratch[first:]
        beyond = 1.0 + breakout_threshold[g]
        least_volume = volume_confirmation[g]
        bias = trend_bias[g]
        for t in range(conditions.size):
            c = price[t]
            confirmed = traded[t] >= least_volume * usual_volume[t]
            reach = bias * (long_upper[t] - long_lower[t])
            up = (c > upper[t] * beyond) & confirmed & (c >= long_lower[t] + reach)
            down = (c < lower[t] / beyond) & confirmed & (c <= long_upper[t] - reach)
            conditions[t] = (
                (ENTER_LONG if up else 0)
                | (ENTER_SHORT if down else 0)
                | (EXIT_LONG if c < exit_lower[t] else 0)
                | (EXIT_SHORT if c > exit_upper[t] else 0)
            )
        if false_breakout_filter[g] > 0:
            _confirm_breaks(price, upper, lower, beyond, false_breakout_filter[g], conditions, targets.left[g])
        targets.counts[g] = hold_positions(conditions, first, targets.held[g], targets.bars[g], targets.sides[g])


@compiled
def _confirm_breaks(
    close: NDArray[np.float64],
    upper: NDArray[np.float64],
    lower: NDArray[np.float64],
    beyond: float,
    confirmations: int,
    conditions: NDArray[np.int8],
    left: NDArray[np.float64],
) -> None:
    # Replace the bar on which a channel breaks by the bar on which the last required close confirms the break.
    pending = 0
    level = 0.0
    count = 0
    if left.size > 0:
        pending, level, count = int(left[_PENDING]), left[_LEVEL], int(left[_COUNT])
    t = 0 if pending != 0 else next_marked(conditions, 0, ENTER_LONG | ENTER_SHORT)
    is_kept = left.size == 0
    while t < conditions.size:
        if t == conditions.size - 1 and not is_kept:
            left[_PENDING], left[_LEVEL], left[_COUNT] = pending, level, count
            is_kept = True
        breaks = conditions[t] & (ENTER_LONG | ENTER_SHORT)
        fired = 0
        if pending != 0:
            holds = close[t] > level if pending == ENTER_LONG else close[t] < level
            count += 1
            if not holds:
                pending = 0
            elif count == confirmations:
                fired = pending
                pending = 0
        if fired == 0 and breaks != 0 and breaks != pending:
            pending = breaks
            level = upper[t] * beyond if breaks == ENTER_LONG else lower[t] / beyond
            count = 0
        conditions[t] = (conditions[t] & (EXIT_LONG | EXIT_SHORT)) | fired
        t = t + 1 if pending != 0 else next_marked(conditions, t + 1, ENTER_LONG | ENTER_SHORT)
    if not is_kept:
        left[_PENDING], left[_LEVEL], left[_COUNT] = pending, level, count
