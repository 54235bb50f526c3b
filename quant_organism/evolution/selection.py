"""Selection as array operations: which rows of an objective matrix breed, and which survive.

Every objective is minimised. Ties go to the row that comes first, so that a selection repeats itself.
"""

from __future__ import annotations

from typing import Literal

import moocore
import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.evolution.reference_directions import niche_picks

Method = Literal["nsga2", "nsga3"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def rank_and_crowding(objectives: Floats) -> tuple[Indices, Floats]:
    """Return the Pareto rank of each row and its crowding distance within its rank.

    Parameters
    ----------
    objectives
        Finite values to be minimised, shape (n, m).

    Returns
    -------
    rank
        int64 (n,): 0 for rows that nothing dominates, 1 for those that only rows of rank 0 dominate, and so on.
    crowding
        float64 (n,): mean over the objectives of the gap between both neighbours in the same rank, as a share of the
        rank's range; infinite for the ends. Larger is better.

    Raises
    ------
    InputError
        If a value is not finite.

    Notes
    -----
    Deb, Pratap, Agarwal, Meyarivan 2002, IEEE Trans. Evol. Comp. 6(2), sections III-A and III-B.
    """
    objectives = _checked(objectives)
    rank = _ranks(objectives)
    crowding = np.zeros(len(objectives))
    order = np.argsort(rank, kind="stable")
    for column in objectives.T:
        order = order[np.lexsort((column[order], rank[order]))]
        value = column[order]
        first = np.flatnonzero(np.diff(rank[order], prepend=-1))
        last = np.flatnonzero(np.diff(rank[order], append=-1))
        spread = np.repeat((value[last] - value[first]) * objectives.shape[1], last - first + 1)
        gap = np.zeros(len(value))
        gap[1:-1] = value[2:] - value[:-2]
        gap[first] = gap[last] = 0.0
        share = np.divide(gap, spread, out=np.zeros(len(value)), where=spread > 0.0)
        share[first] = share[last] = np.inf
        crowding[order] += share
    return rank, crowding


def tournament(rank: Indices, crowding: Floats, count: int, rng: np.random.Generator) -> Indices:
    """Return the winners of binary tournaments, int64 (count,).

    Of two rows the one of lower rank wins, then the less crowded one, then the one drawn first. Rows are drawn without
    putting back until all have played, so each plays as often as any other, give or take once.
    """
    rounds = max(1, -(-2 * count // len(rank)))
    drawn = np.concatenate([rng.permutation(len(rank)) for _ in range(rounds)])[: 2 * count]
    first, second = drawn[::2], drawn[1::2]
    closer = rank[second] < rank[first]
    lonelier = (rank[second] == rank[first]) & (crowding[second] > crowding[first])
    winners: Indices = np.where(closer | lonelier, second, first)
    return winners


def survive(objectives: Floats, keep: int, method: Method, rng: np.random.Generator) -> Indices:
    """Return the rows that survive, best rank first; all of them if there are no more than `keep`.

    Parameters
    ----------
    objectives
        Finite values to be minimised, shape (n, m): parents and children together.
    keep
        Rows to keep.
    method
        ``"nsga2"`` keeps the least crowded of the rank that does not fit whole; ``"nsga3"`` those that fill the
        emptiest niches around reference directions, which spreads better over four and more objectives.
    rng
        Decides between equals in NSGA-III; NSGA-II draws nothing.

    Returns
    -------
    indices
        int64 (min(keep, n),). NSGA-II orders each rank from its least crowded row on.

    Raises
    ------
    InputError
        If a value is not finite, or the method unknown.

    Notes
    -----
    NSGA-II: Deb, Pratap, Agarwal, Meyarivan 2002. NSGA-III: Deb, Jain 2014, IEEE Trans. Evol. Comp. 18(4).
    """
    if method == "nsga2":
        rank, crowding = rank_and_crowding(objectives)
        return np.lexsort((-crowding, rank))[:keep]
    if method != "nsga3":
        raise InputError(f"unknown selection method {method!r}", remedy="choose nsga2 or nsga3")
    objectives = _checked(objectives)
    rank = _ranks(objectives)
    order = np.argsort(rank, kind="stable")
    if keep >= len(order):
        return order
    split = rank[order[keep]]
    certain, contested = order[rank[order] < split], np.flatnonzero(rank == split)
    picks = niche_picks(objectives, np.flatnonzero(rank == 0), certain, contested, keep, rng)
    return np.concatenate([certain, picks])


def _ranks(objectives: Floats) -> Indices:
    return np.asarray(moocore.pareto_rank(objectives), dtype=np.int64)


def _checked(objectives: Floats) -> Floats:
    objectives = np.asarray(objectives, dtype=np.float64)
    wrong = np.argwhere(~np.isfinite(objectives))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{len(wrong)} objective values are not finite, the first is {objectives[row, column]}",
            where=f"row {row}, objective {column}",
            remedy="give what could not be measured the value of an infeasible genome",
        )
    return objectives
