"""Variation of rows of bounded numbers: simulated binary crossover and polynomial mutation, all rows at once.

Sources: Deb, Agrawal 1995, Complex Systems 9 (crossover); Deb, Goyal 1996, and Deb 2001, "Multi-Objective Optimization
using Evolutionary Algorithms", section 4.3 (mutation); both in the form that never leaves the bounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def simulated_binary_crossover(
    a: Floats, b: Floats, low: Floats, high: Floats, *, eta: float, where: Mask, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return two children per pair of rows, spread about their parents as far as those are apart.

    Parameters
    ----------
    a, b
        Parents, shape (n, L), within the bounds.
    low, high
        Inclusive bounds, of shape (n, L) or one that broadcasts to it.
    eta
        Distribution index: the larger, the nearer to the parents.
    where
        Which numbers cross, shape (n, L); equal ones stay as they are. Which child gets which of the two new numbers
        is even odds.
    rng
        Source of randomness.
    """
    where = where & (a != b)
    below, above = np.minimum(a, b)[where], np.maximum(a, b)[where]
    low, high = np.broadcast_to(low, a.shape)[where], np.broadcast_to(high, a.shape)[where]
    centre, distance = 0.5 * (below + above), above - below
    draw = rng.random(len(centre))
    left = np.clip(centre - 0.5 * distance * _spread(draw, (below - low) / distance, eta), low, high)
    right = np.clip(centre + 0.5 * distance * _spread(draw, (high - above) / distance, eta), low, high)
    swap = rng.random(len(centre)) < 0.5
    first, second = a.copy(), b.copy()
    first[where], second[where] = np.where(swap, right, left), np.where(swap, left, right)
    return first, second


def polynomial_mutation(
    values: Floats, low: Floats, high: Floats, *, eta: float, where: Mask, rng: np.random.Generator
) -> Floats:
    """Return rows of which the numbers in `where`, shape (n, L), moved by a share of their range, mostly a small one.

    Parameters
    ----------
    values
        Rows, shape (n, L), within the bounds.
    low, high
        Inclusive bounds, of shape (n, L) or one that broadcasts to it.
    eta
        Distribution index: the mean step is about 1 / (eta + 2) of the range.
    where
        Which numbers move. A number on its bound stays there in half of all draws.
    rng
        Source of randomness.
    """
    before = values[where]
    low, high = np.broadcast_to(low, values.shape)[where], np.broadcast_to(high, values.shape)[where]
    draw = rng.random(len(before))
    down = draw < 0.5
    tail = np.where(down, 2.0 * draw, 2.0 * (1.0 - draw))
    room = np.where(down, before - low, high - before) / (high - low)
    share = 1.0 - (tail + (1.0 - tail) * (1.0 - room) ** (eta + 1.0)) ** (1.0 / (eta + 1.0))
    moved = values.copy()
    moved[where] = np.clip(before + np.where(down, -share, share) * (high - low), low, high)
    return moved


def some_of(present: Mask, rate: float, at_least_one: Mask, rng: np.random.Generator) -> Mask:
    """Choose each of the `present` places, shape (n, L), with probability `rate`.

    In the rows `at_least_one`, shape (n,), that many are chosen whatever the luck.
    """
    draw = np.where(present, rng.random(present.shape), np.inf)
    chosen: Mask = draw < rate
    # Given that none was chosen, the smallest draw falls on each place with equal probability.
    empty = np.flatnonzero(at_least_one & ~chosen.any(axis=1))
    chosen[empty, np.argmin(draw[empty], axis=1)] = True
    return chosen


def whole_near(values: Floats, rng: np.random.Generator) -> Floats:
    """Round each number up with the probability of its fraction, down otherwise: right in the mean."""
    return np.floor(values + rng.random(values.shape))


def whole_beyond(before: Floats, after: Floats, high: Floats) -> Floats:
    """Round each step to a whole number away from where it began, so that it is at least one."""
    beyond = np.where(after > before, np.ceil(after), np.floor(after))
    inward = np.where(before < high, 1.0, -1.0)
    return np.where(beyond == before, before + inward, beyond)


def step_near(values: Floats, steps: Floats, rng: np.random.Generator) -> Floats:
    """Move each number to one of the two steps beside it, at odds that are right in the mean.

    Parameters
    ----------
    values
        Shape (m,).
    steps
        Ascending steps of each number, infinite beyond its last, shape (m, S).
    rng
        Source of randomness.
    """
    below, above = _neighbours(values, steps)
    odds = np.divide(values - below, above - below, out=np.zeros(values.shape), where=above > below)
    return np.where(rng.random(values.shape) < odds, above, below)


def step_beyond(before: Floats, after: Floats, steps: Floats) -> Floats:
    """Move each number on to the next step away from where it began, or back where there is none: always to another.

    Parameters
    ----------
    before, after
        Where it began and where it came to, each of shape (m,).
    steps
        As in `step_near`, at least two of each.
    """
    below, above = _neighbours(after, steps)
    beyond = np.where(after > before, above, below)
    rows = np.arange(before.size)
    lower = steps[rows, np.maximum((steps < before[:, None]).sum(axis=1) - 1, 0)]
    higher = steps[rows, np.minimum((steps <= before[:, None]).sum(axis=1), _counts(steps) - 1)]
    return np.where(beyond != before, beyond, np.where(higher > before, higher, lower))


def _neighbours(values: Floats, steps: Floats) -> tuple[Floats, Floats]:
    # The nearest steps that are not above, and not below, each value; beyond the ends, the end.
    rows, last = np.arange(values.size), _counts(steps) - 1
    below = np.maximum((steps <= values[:, None]).sum(axis=1) - 1, 0)
    above = np.minimum((steps < values[:, None]).sum(axis=1), last)
    return steps[rows, below], steps[rows, above]


def _counts(steps: Floats) -> NDArray[np.int64]:
    return np.asarray(np.isfinite(steps).sum(axis=1), dtype=np.int64)


def _spread(draw: Floats, room: Floats, eta: float) -> Floats:
    """Return the children's distance over their parents', cut off where it would pass a bound."""
    cut = 2.0 - (1.0 + 2.0 * room) ** -(eta + 1.0)
    scaled = draw * cut
    contracting = scaled <= 1.0
    return np.where(contracting, scaled, 1.0 / np.where(contracting, 1.0, 2.0 - scaled)) ** (1.0 / (eta + 1.0))
