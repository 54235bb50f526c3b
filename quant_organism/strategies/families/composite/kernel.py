"""Signals of composite: votes of trees, weighed and held."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, hold_positions

_MOST, _LEVELS, _COUNTS = 4, 9, 13
"""Most votes of a group, sums that it may reach, and numbers of votes cast that three groups may reach."""

_UNKNOWN = np.int8(-1)


@compiled
def bars_at_rest(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    begins: NDArray[np.int64],
    firsts: NDArray[np.int64],
    left: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return for how many bars, the current one included, no price has moved.

    Parameters
    ----------
    high, low
        Prices, a row per asset, shape (A, n).
    begins
        First bar of each asset, shape (A,).
    firsts, left
        First bar that each genome decides, shape (G,), and of `Targets.left` 1 and for how many bars no price had moved
        before it, or 0 where all bars are at hand. Where nobody asks what is left, shape (G, 0); else each genome
        stands on the asset of its place, and what all bars but the last leave is written.

    Returns
    -------
    Shape (A, n); 0 before an asset's first bar.
    """
    rest = np.zeros(high.shape, dtype=np.int64)
    for asset in range(begins.size):
        begin = begins[asset]
        top, bottom, out = high[asset], low[asset], rest[asset]
        goes_on = left.shape[1] > 0 and left[asset, 0] > 0.0
        run, first = (int(left[asset, 0]) - 1, firsts[asset]) if goes_on else (0, begin)
        for t in range(first, top.size):
            moved = top[t] != bottom[t] or (t > begin and top[t] != top[t - 1])
            run = 0 if moved else run + 1
            out[t] = run
        if left.shape[1] > 0:
            left[asset, 0] = 1 + out[top.size - 2] if top.size - begin > 1 else 0
    return rest


@compiled
def composite_targets(
    votes: NDArray[np.int8],
    rest: NDArray[np.int64],
    stands: NDArray[np.int64],
    members: NDArray[np.int64],
    weights: NDArray[np.float64],
    minimum_signals: NDArray[np.int64],
    entry_score: NDArray[np.float64],
    warmup: NDArray[np.int64],
    firsts: NDArray[np.int64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars.

    Parameters
    ----------
    votes
        Votes of all trees on every bar, shape (any, n).
    rest
        For how many bars no price has moved, a row per asset, shape (A, n); where that is all that the trees see, no
        vote counts.
    stands
        Row of the asset on which each genome stands, shape (G,).
    members
        Rows of the votes of each group, shape (G, 3, 4); -1 where a group has fewer.
    weights
        Weight of each group and of their confluence, shape (G, 4).
    minimum_signals, entry_score
        Votes on its side, and score, that an entry needs, shape (G,).
    warmup
        Bars before the first on which all votes are defined, shape (G,).
    firsts
        That first bar, shape (G,).
    targets
        Written.
    """
    n = rest.shape[1]
    longest_rests = np.zeros(rest.shape[0], dtype=np.int64)
    for asset in range(rest.shape[0]):
        for t in range(n):
            longest_rests[asset] = max(longest_rests[asset], rest[asset, t])
    sizes = np.zeros(members.shape[1], dtype=np.int64)
    scratch, tallies = np.empty(n, dtype=np.int8), np.empty(n, dtype=np.int16)
    verdicts = np.empty(_LEVELS * _LEVELS * _LEVELS * _COUNTS, dtype=np.int8)
    for g in range(warmup.size):
        first = min(firsts[g], n)
        conditions, tally = scratch[first:], tallies[first:]
        _tally(votes, members[g], first, tally)
        verdicts[:] = _UNKNOWN
        for group in range(sizes.size):
            sizes[group] = 0
            for member in members[g, group]:
                sizes[group] += member >= 0
        for t in range(tally.size):
            verdict = verdicts[tally[t]]
            if verdict == _UNKNOWN:
                verdict = _verdict(tally[t], sizes, weights[g], minimum_signals[g], entry_score[g])
                verdicts[tally[t]] = verdict
            conditions[t] = verdict
        if longest_rests[stands[g]] > warmup[g]:
            still = rest[stands[g], first:]
            for t in range(conditions.size):
                conditions[t] = EXIT_LONG | EXIT_SHORT if still[t] > warmup[g] else conditions[t]
        targets.counts[g] = hold_positions(conditions, first, targets.held[g], targets.bars[g], targets.sides[g])


@compiled
def _tally(votes: NDArray[np.int8], members: NDArray[np.int64], first: int, tally: NDArray[np.int16]) -> None:
    # The sums of the groups' votes, each from -4 to 4, and how many were cast, as the digits of one number.
    tally[:] = ((_MOST * _LEVELS + _MOST) * _LEVELS + _MOST) * _COUNTS
    for group in range(members.shape[0]):
        digit = np.int16(_COUNTS * _LEVELS ** (members.shape[0] - 1 - group))
        for place in range(members.shape[1]):
            if members[group, place] >= 0:
                cast = votes[members[group, place], first:]
                for t in range(tally.size):
                    tally[t] += digit * np.int16(cast[t]) + np.int16(cast[t] & 1)


@compiled
def _verdict(
    tally: int, sizes: NDArray[np.int64], weights: NDArray[np.float64], minimum_signals: int, entry_score: float
) -> np.int8:
    # What a bar with this tally permits.
    total = weights[0] + weights[1] + weights[2] + weights[3]
    if total == 0.0:
        return np.int8(0)
    counted, sums = tally % _COUNTS, tally // _COUNTS
    breakout, sums = sums % _LEVELS - _MOST, sums // _LEVELS
    reversion, momentum = sums % _LEVELS - _MOST, sums // _LEVELS - _MOST
    voters = sizes[0] + sizes[1] + sizes[2]
    balance = momentum + reversion + breakout
    confluence = (balance / voters) * (counted / voters)
    score = (
        weights[0] * (momentum / sizes[0])
        + weights[1] * (reversion / sizes[1])
        + weights[2] * (breakout / sizes[2])
        + weights[3] * confluence
    ) / total
    # Of the votes cast, (cast + balance) / 2 are long and (cast - balance) / 2 short.
    long = (score >= entry_score) & (counted + balance >= 2 * minimum_signals)
    short = (score <= -entry_score) & (counted - balance >= 2 * minimum_signals)
    return np.int8(
        (ENTER_LONG if long else 0)
        | (ENTER_SHORT if short else 0)
        | (EXIT_LONG if score <= 0.0 else 0)
        | (EXIT_SHORT if score >= 0.0 else 0)
    )
