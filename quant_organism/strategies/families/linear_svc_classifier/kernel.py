"""Signals of linear_svc_classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import Targets, write_changes


@compiled
def linear_svc_targets(
    scores: NDArray[np.float64],
    row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    decision_margin: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars: the score's sign where it reaches the margin."""
    n = scores.shape[1]
    scratch = np.empty(n, dtype=np.int8)
    for g in range(row.size):
        first = min(warmup[g], n)
        score, sides = scores[row[g], first:], scratch[first:]
        margin = decision_margin[g]
        for t in range(sides.size):
            long = (score[t] >= margin) & (score[t] > 0.0)
            short = (score[t] <= -margin) & (score[t] < 0.0)
            sides[t] = (1 if long else 0) - (1 if short else 0)
        targets.counts[g] = write_changes(sides, first, targets.held[g], targets.bars[g], targets.sides[g])
