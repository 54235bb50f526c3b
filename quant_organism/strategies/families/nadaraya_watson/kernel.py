"""Signals of nadaraya_watson."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.extremes import greatest_of
from quant_organism.strategies.targets import (
    ENTER_LONG,
    ENTER_SHORT,
    EXIT_LONG,
    EXIT_SHORT,
    Targets,
    hold_positions,
    next_marked,
)

_DOUBT = 16
"""Bit of a bar whose slope is so near the threshold that the threshold must be computed exactly."""

_ROUNDING = 1e-12

_SIDE_BY_SIDE = 4
"""Genomes whose lines are smoothed together."""

_GOES_ON, _LEAD = range(2)
"""Of `Targets.left`: whether there is anything, and how far the line is from the regression."""

LEFT = 2
"""Numbers that earlier bars leave."""


@compiled
def nadaraya_watson_targets(
    close: NDArray[np.float64],
    stands: NDArray[np.int64],
    regression: NDArray[np.float64],
    volatility_ratio: NDArray[np.float64],
    regression_row: NDArray[np.int64],
    ratio_row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    bandwidth: NDArray[np.int64],
    seed: NDArray[np.int64],
    trend_threshold: NDArray[np.float64],
    smoothing_factor: NDArray[np.float64],
    volatility_adaptation: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars; `seed` is the first bar of each genome's regression.

    `close` has a row per asset, and `stands` names that of each genome.
    """
    n, count = close.shape[1], bandwidth.size
    lines = np.empty((_SIDE_BY_SIDE, n))
    marks = np.empty(n, dtype=np.int8)
    for begin in range(0, count, _SIDE_BY_SIDE):
        # The last of them may be smoothed twice.
        group = np.minimum(np.arange(begin, begin + _SIDE_BY_SIDE), count - 1)
        if targets.left.shape[1] == 0:
            _smooth(regression, regression_row[group], seed[group], smoothing_factor[group], lines)
        for g in range(begin, min(begin + _SIDE_BY_SIDE, count)):
            first = warmup[g]
            if first >= n:
                targets.counts[g] = 0
                continue
            line = lines[g - begin]
            span = max(1, (bandwidth[g] + 1) // 2)
            if targets.left.shape[1] > 0:
                _smooth_on(regression[regression_row[g]], seed[g], smoothing_factor[g], span, targets.left[g], line)
            ratio = volatility_ratio[ratio_row[g], first:]
            conditions = marks[first:]
            _compare(
                close[stands[g], first:],
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
            targets.counts[g] = hold_positions(conditions, first, targets.held[g], targets.bars[g], targets.sides[g])


@compiled
def _smooth(
    regression: NDArray[np.float64],
    row: NDArray[np.int64],
    seed: NDArray[np.int64],
    memory: NDArray[np.float64],
    lines: NDArray[np.float64],
) -> None:
    # s[t] = memory s[t-1] + (1 - memory) x[t], written for s - x: a constant then stays itself to the last bit. Each
    # bar waits for the one before, so several lines are smoothed side by side.
    common = min(greatest_of(seed) + 1, lines.shape[1])
    leads = np.zeros(_SIDE_BY_SIDE)
    for k in range(_SIDE_BY_SIDE):
        x, line = regression[row[k]], lines[k]
        if seed[k] < line.size:
            line[seed[k]] = x[seed[k]]
        for t in range(seed[k] + 1, common):
            leads[k] = memory[k] * (leads[k] - (x[t] - x[t - 1]))
            line[t] = x[t] + leads[k]
    a, b, c, d = regression[row[0]], regression[row[1]], regression[row[2]], regression[row[3]]
    line_a, line_b, line_c, line_d = lines[0], lines[1], lines[2], lines[3]
    memory_a, memory_b, memory_c, memory_d = memory[0], memory[1], memory[2], memory[3]
    lead_a, lead_b, lead_c, lead_d = leads[0], leads[1], leads[2], leads[3]
    for t in range(common, lines.shape[1]):
        lead_a = memory_a * (lead_a - (a[t] - a[t - 1]))
        lead_b = memory_b * (lead_b - (b[t] - b[t - 1]))
        lead_c = memory_c * (lead_c - (c[t] - c[t - 1]))
        lead_d = memory_d * (lead_d - (d[t] - d[t - 1]))
        line_a[t] = a[t] + lead_a
        line_b[t] = b[t] + lead_b
        line_c[t] = c[t] + lead_c
        line_d[t] = d[t] + lead_d


@compiled
def _smooth_on(
    x: NDArray[np.float64], seed: int, memory: float, span: int, left: NDArray[np.float64], line: NDArray[np.float64]
) -> None:
    # As `_smooth`, of one line, from where earlier bars have left it: at the first bar that the last but one is
    # compared with.
    begin, lead = seed, 0.0
    if left[_GOES_ON] != 0.0:
        begin, lead = x.size - 2 - span, left[_LEAD]
    left[_GOES_ON] = left[_LEAD] = 0.0
    for t in range(begin, x.size):
        if t > begin:
            lead = memory * (lead - (x[t] - x[t - 1]))
        line[t] = x[t] + lead
        if t == x.size - 1 - span:
            left[_GOES_ON], left[_LEAD] = 1.0, lead


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
