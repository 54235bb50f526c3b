"""Signals of pca_tree_quantile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import Targets, write_changes


@compiled
def pca_tree_targets(
    levels: NDArray[np.float64],
    row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    min_edge: NDArray[np.float64],
    risk_asymmetry: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars from their lower, middle and upper levels, shape (K, 3, n)."""
    n = levels.shape[2]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(row.size):
        first = min(warmup[g], n)
        lower, median, upper = levels[row[g], 0, first:], levels[row[g], 1, first:], levels[row[g], 2, first:]
        sides = scratch[first:]
        edge, asymmetry = min_edge[g], risk_asymmetry[g]
        for t in range(sides.size):
            long = (median[t] >= edge) & (median[t] > 0.0) & (upper[t] >= asymmetry * max(-lower[t], 0.0))
            short = (median[t] <= -edge) & (median[t] < 0.0) & (-lower[t] >= asymmetry * max(upper[t], 0.0))
            sides[t] = (1 if long else 0) - (1 if short else 0)
        targets.counts[g] = write_changes(sides, first, targets.held[g], targets.bars[g], targets.sides[g])
