"""Signals of composite: votes of trees, weighed and held."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.kernels.steps import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, hold_positions


@compiled
def held_for(condition: NDArray[np.bool_], period: int) -> NDArray[np.bool_]:
    """Return where a condition has held on each of the last `period` bars."""
    held = np.empty_like(condition)
    run = 0
    for t in range(condition.size):
        run = run + 1 if condition[t] else 0
        held[t] = run >= period
    return held


@compiled
def bars_at_rest(high: NDArray[np.float64], low: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for how many bars, the current one included, no price has moved, shape (n,)."""
    rest = np.zeros(high.size, dtype=np.int64)
    run = 0
    for t in range(high.size):
        moved = high[t] != low[t] or (t > 0 and high[t] != high[t - 1])
        run = 0 if moved else run + 1
        rest[t] = run
    return rest


@compiled
def composite_targets(
    sums: NDArray[np.int8],
    cast: NDArray[np.int8],
    rest: NDArray[np.int64],
    sizes: NDArray[np.int64],
    weights: NDArray[np.float64],
    minimum_signals: int,
    entry_score: float,
    first: int,
    bars: NDArray[np.int32],
    sides: NDArray[np.int8],
) -> int:
    """Write where one genome's direction changes.

    Parameters
    ----------
    sums
        Sum of the votes of each group, shape (3, n).
    cast
        Number of votes other than zero, shape (n,).
    rest
        For how many bars no price has moved, shape (n,); where that is all that the trees see, no vote counts.
    sizes
        Number of votes in each group, shape (3,).
    weights
        Weight of each group and of their confluence, shape (4,).
    minimum_signals, entry_score
        Votes on its side, and score, that an entry needs.
    first
        First bar on which all votes are defined.
    bars, sides
        Written: the bar of each change and the direction from there on.

    Returns
    -------
    Number of changes.
    """
    total = weights[0] + weights[1] + weights[2] + weights[3]
    if total == 0.0 or first >= cast.size:
        return 0
    voters = sizes[0] + sizes[1] + sizes[2]
    momentum, reversion, breakout = sums[0, first:], sums[1, first:], sums[2, first:]
    counted, still = cast[first:], rest[first:]
    conditions = np.empty(counted.size, dtype=np.int8)
    for t in range(conditions.size):
        balance = np.int64(momentum[t]) + reversion[t] + breakout[t]
        confluence = (balance / voters) * (counted[t] / voters)
        score = (
            weights[0] * (momentum[t] / sizes[0])
            + weights[1] * (reversion[t] / sizes[1])
            + weights[2] * (breakout[t] / sizes[2])
            + weights[3] * confluence
        ) / total
        score = 0.0 if still[t] > first else score
        # Of the votes cast, (cast + balance) / 2 are long and (cast - balance) / 2 short.
        long = (score >= entry_score) & (counted[t] + balance >= 2 * minimum_signals)
        short = (score <= -entry_score) & (counted[t] - balance >= 2 * minimum_signals)
        conditions[t] = (
            (ENTER_LONG if long else 0)
            | (ENTER_SHORT if short else 0)
            | (EXIT_LONG if score <= 0.0 else 0)
            | (EXIT_SHORT if score >= 0.0 else 0)
        )
    return hold_positions(conditions, first, bars, sides)
