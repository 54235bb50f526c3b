"""Signals of nadaraya_watson."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.kernels.steps import (
    ENTER_LONG,
    ENTER_SHORT,
    EXIT_LONG,
    EXIT_SHORT,
    hold_positions,
    next_marked,
)
from quant_organism.strategies.targets import Targets

_DOUBT = 16
"""Bit of a bar whose slope is so near the threshold that the threshold must be computed exactly."""

_ROUNDING = 1e-12


@compiled
def nadaraya_watson_targets(
    close: NDArray[np.float64],
    regression: NDArray[np.float64],
    volatility_ratio: NDArray[np.float64],
    regression_row: NDArray[np.int64],
    ratio_row: NDArray[np.int64],
    bandwidth: NDArray[np.int64],
    seed: NDArray[np.int64],
    trend_threshold: NDArray[np.float64],
    smoothing_factor: NDArray[np.float64],
    volatility_adaptation: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars; `seed` is the first bar of each genome's regression."""
    n = close.size
    line = np.empty(n)
    marks = np.empty(n, dtype=np.int8)
    for g in range(bandwidth.size):
        first = 4 * bandwidth[g]
        if first >= n:
            targets.counts[g] = 0
            continue
        _smooth(regression[regression_row[g], seed[g] :], smoothing_factor[g], line[seed[g] :])
        span = max(1, (bandwidth[g] + 1) // 2)
        ratio = volatility_ratio[ratio_row[g], first:]
        conditions = marks[first:]
        _compare(
            close[first:],
            line[first:],
            line[first - span :],
            ratio,
            trend_threshold[g],
            volatility_adaptation[g],
            conditions,
        )
        t = next_marked(conditions, 0, _DOUBT)
        while t < conditions.size:
            slope = line[first + t] / line[first + t - span] - 1.0
            if not abs(slope) > trend_threshold[g] * ratio[t] ** volatility_adaptation[g]:
                conditions[t] &= EXIT_LONG | EXIT_SHORT
            t = next_marked(conditions, t + 1, _DOUBT)
        targets.counts[g] = hold_positions(conditions, first, targets.bars[g], targets.sides[g])


@compiled
def _smooth(regression: NDArray[np.float64], memory: float, line: NDArray[np.float64]) -> None:
    # s[t] = memory s[t-1] + (1 - memory) x[t], written for s - x: a constant then stays itself to the last bit.
    line[0] = regression[0]
    lead = 0.0
    before = regression[0]
    for t in range(1, line.size):
        now = regression[t]
        lead = memory * (lead - (now - before))
        line[t] = now + lead
        before = now


@compiled
def _compare(
    close: NDArray[np.float64],
    line: NDArray[np.float64],
    earlier: NDArray[np.float64],
    ratio: NDArray[np.float64],
    threshold: float,
    adaptation: float,
    conditions: NDArray[np.int8],
) -> None:
    # For exponents a in [0, 1], ratio / (ratio + a (1 - ratio)) <= ratio**a <= 1 + a (ratio - 1). Beyond both bounds
    # nothing is left to compute; only bars between them need the power itself.
    above, below = threshold * (1.0 + _ROUNDING), threshold * (1.0 - _ROUNDING)
    for t in range(conditions.size):
        c, s, q = close[t], line[t], ratio[t]
        slope = s / earlier[t] - 1.0
        steepness = abs(slope)
        steep = steepness * (q + adaptation * (1.0 - q)) > below * q
        doubt = steep & (steepness <= above * (1.0 + adaptation * (q - 1.0)))
        conditions[t] = (
            (ENTER_LONG if steep & (slope > 0.0) & (c > s) else 0)
            | (ENTER_SHORT if steep & (slope < 0.0) & (c < s) else 0)
            | (EXIT_LONG if slope <= 0.0 else 0)
            | (EXIT_SHORT if slope >= 0.0 else 0)
            | (_DOUBT if doubt else 0)
        )
