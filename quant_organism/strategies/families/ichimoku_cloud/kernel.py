"""Signals of ichimoku_cloud."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, hold_positions

_ROUNDING = 1e-9
"""Weights that should add up to one half may miss it by rounding."""


@compiled
def ichimoku_cloud_targets(
    close: NDArray[np.float64],
    stands: NDArray[np.int64],
    midrange: NDArray[np.float64],
    tenkan_row: NDArray[np.int64],
    kijun_row: NDArray[np.int64],
    span_b_row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    displacement: NDArray[np.int64],
    cloud_strength_weight: NDArray[np.float64],
    momentum_confirmation: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars; `midrange` holds one row per window in use.

    `close` has a row per asset, and `stands` names that of each genome.
    """
    n = close.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(warmup.size):
        first = min(warmup[g], n)
        # The cloud in force and the lagging comparison come from `displacement` bars before each bar.
        past = warmup[g] - displacement[g]
        price = close[stands[g], first:]
        past_price = close[stands[g], past:]
        tenkan = midrange[tenkan_row[g], first:]
        kijun = midrange[kijun_row[g], first:]
        past_tenkan = midrange[tenkan_row[g], past:]
        past_kijun = midrange[kijun_row[g], past:]
        span_b = midrange[span_b_row[g], past:]
        conditions = scratch[first:]
        lagging_weight = momentum_confirmation[g]
        present_weight = 1.0 - momentum_confirmation[g]
        cloud_weight = cloud_strength_weight[g]
        lines_weight = 1.0 - cloud_strength_weight[g]
        for t in range(conditions.size):
            span_a = (past_tenkan[t] + past_kijun[t]) / 2.0
            upper = span_a if span_a > span_b[t] else span_b[t]
            lower = span_a if span_a < span_b[t] else span_b[t]
            cloud = (1.0 if price[t] > upper else 0.0) - (1.0 if price[t] < lower else 0.0)
            lines = (1.0 if tenkan[t] > kijun[t] else 0.0) - (1.0 if tenkan[t] < kijun[t] else 0.0)
            lagging = (1.0 if price[t] > past_price[t] else 0.0) - (1.0 if price[t] < past_price[t] else 0.0)
            score = present_weight * (cloud_weight * cloud + lines_weight * lines) + lagging_weight * lagging
            conditions[t] = (
                (ENTER_LONG if score >= 0.5 - _ROUNDING else 0)
                | (ENTER_SHORT if score <= _ROUNDING - 0.5 else 0)
                | (EXIT_LONG if score <= _ROUNDING else 0)
                | (EXIT_SHORT if score >= -_ROUNDING else 0)
            )
        targets.counts[g] = hold_positions(conditions, first, targets.held[g], targets.bars[g], targets.sides[g])
