"""Reference directions of NSGA-III, and how they thin out a Pareto rank.

Source of the method: Deb, Jain 2014, IEEE Trans. Evol. Comp. 18(4), sections IV-A to IV-E. Ideal and nadir are those of
the rows at hand; nothing is remembered between generations.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_OFF_AXIS = 1e6
"""Weight of the other objectives when the extreme point of one is sought."""

_LEAST_RANGE = 1e-9


@lru_cache(maxsize=64)
def reference_directions(objectives: int, most: int) -> Floats:
    """Return evenly spread points of the unit simplex, shape (H, objectives): its corners, and H <= `most` if they fit.

    As many equal parts per axis as fit (Das and Dennis 1998). If all those points lie on the rim, a second layer
    half-way to the centre is added as far as there is room.
    """
    parts = _parts(objectives, most)
    directions = _simplex(objectives, parts)
    room = most - len(directions)
    if parts < objectives <= room:
        inner = _simplex(objectives, _parts(objectives, room))
        directions = np.concatenate([directions, 0.5 * inner + 0.5 / objectives])
    directions.flags.writeable = False
    return directions


def niche_picks(
    objectives: Floats, front: Indices, certain: Indices, contested: Indices, keep: int, rng: np.random.Generator
) -> Indices:
    """Return which contested rows fill up the survivors, in the order in which they are picked.

    Parameters
    ----------
    objectives
        Values to be minimised, shape (n, m).
    front
        Rows that nothing dominates: they span the scale of each objective.
    certain
        Rows of better ranks, which survive whole.
    contested
        Rows of the rank of which only `keep` - len(certain) fit.
    keep
        Number of survivors, and of reference directions at most.
    rng
        Decides among niches that are equally empty, and among rows of a niche that is already taken.
    """
    considered = np.concatenate([certain, contested])
    directions = reference_directions(objectives.shape[1], keep)
    niche, distance = _nearest_direction(_normalised(objectives, front, considered), directions)
    members = np.bincount(niche[: len(certain)], minlength=len(directions))
    niche, distance = niche[len(certain) :], distance[len(certain) :]
    waiting = [list(np.flatnonzero(niche == direction)) for direction in range(len(directions))]
    picks: list[int] = []
    while len(picks) < keep - len(certain):
        open_niches = np.array([direction for direction, rows in enumerate(waiting) if rows])
        emptiest = open_niches[members[open_niches] == members[open_niches].min()]
        for direction in rng.permutation(emptiest)[: keep - len(certain) - len(picks)]:
            rows = waiting[direction]
            taken = int(rng.integers(len(rows))) if members[direction] else int(np.argmin(distance[rows]))
            picks.append(rows.pop(taken))
            members[direction] += 1
    return contested[picks]


def _parts(objectives: int, most: int) -> int:
    if objectives == 1:
        return 1
    parts = 1
    while comb(parts + objectives, objectives - 1) <= most:
        parts += 1
    return parts


def _simplex(objectives: int, parts: int) -> Floats:
    # Every way to put `objectives - 1` bars between `parts` stars.
    bars = np.array(list(combinations(range(parts + objectives - 1), objectives - 1)), dtype=np.float64)
    edges = np.column_stack([np.full(len(bars), -1.0), bars, np.full(len(bars), parts + objectives - 1.0)])
    return (np.diff(edges, axis=1) - 1.0) / parts


def _normalised(objectives: Floats, front: Indices, considered: Indices) -> Floats:
    """Return the considered rows on a scale where the ideal is 0 and the nadir 1."""
    ideal = objectives[considered].min(axis=0)
    spanning = objectives[front] - ideal
    weights = np.where(np.eye(objectives.shape[1], dtype=bool), 1.0, _OFF_AXIS)
    extremes = spanning[[int(np.argmin((spanning * weight).max(axis=1))) for weight in weights]]
    reach = spanning.max(axis=0)
    if np.linalg.matrix_rank(extremes) == len(extremes):
        intercepts = 1.0 / np.linalg.solve(extremes, np.ones(len(extremes)))
        if np.all((intercepts > _LEAST_RANGE) & (intercepts <= reach)):
            reach = intercepts
    rows = objectives[considered] - ideal
    reach = np.where(reach > _LEAST_RANGE, reach, rows.max(axis=0))
    scaled: Floats = rows / np.where(reach > _LEAST_RANGE, reach, 1.0)
    return scaled


def _nearest_direction(rows: Floats, directions: Floats) -> tuple[Indices, Floats]:
    """Return the direction whose line passes nearest to each row, and how far from it."""
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    along = rows @ units.T
    squares = (rows**2).sum(axis=1, keepdims=True) - along**2
    niche = np.argmin(squares, axis=1)
    return niche, np.sqrt(np.maximum(squares[np.arange(len(rows)), niche], 0.0))
