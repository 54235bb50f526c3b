"""Test problems of multi-objective search with known fronts, and a search on them with the engine's own operators.

Zitzler, Deb, Thiele 2000, Evol. Comp. 8(2) (ZDT1-4, ZDT6); Deb, Thiele, Laumanns, Zitzler 2002, CEC (DTLZ1-3).
"""

from collections.abc import Callable
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from quant_organism.evolution.selection import Method, rank_and_crowding, survive, tournament
from quant_organism.strategies.real_coded import polynomial_mutation, simulated_binary_crossover, some_of

Floats = NDArray[np.float64]

POPULATION = 100
CROSSOVER_PROBABILITY, CROSSOVER_ETA, MUTATION_ETA = 0.9, 15.0, 20.0


@dataclass(frozen=True)
class Problem:
    """A problem to be minimised.

    Attributes
    ----------
    objectives
        From rows of variables, shape (n, L), to objectives, shape (n, m).
    low, high
        Bounds of the variables, shape (L,).
    reference
        Reference point of the hypervolume, the same in every objective.
    front
        Hypervolume of the true front.
    evaluations
        Budget of a search.
    pymoo
        Hypervolume that pymoo's NSGA-II, population 100, reached with it (the middle of the range over three seeds;
        ZDT2 and ZDT6 one seed).
    """

    objectives: Callable[[Floats], Floats]
    low: Floats
    high: Floats
    reference: float
    front: float
    evaluations: int
    pymoo: float


def zdt1(x: Floats) -> Floats:
    return _zdt(x[:, 0], 1 + 9 * x[:, 1:].mean(axis=1), lambda f, g: 1 - np.sqrt(f / g))


def zdt2(x: Floats) -> Floats:
    return _zdt(x[:, 0], 1 + 9 * x[:, 1:].mean(axis=1), lambda f, g: 1 - (f / g) ** 2)


def zdt3(x: Floats) -> Floats:
    g = 1 + 9 * x[:, 1:].mean(axis=1)
    return _zdt(x[:, 0], g, lambda f, g: 1 - np.sqrt(f / g) - f / g * np.sin(10 * np.pi * f))


def zdt4(x: Floats) -> Floats:
    rest = x[:, 1:]
    g = 1 + 10 * rest.shape[1] + (rest**2 - 10 * np.cos(4 * np.pi * rest)).sum(axis=1)
    return _zdt(x[:, 0], g, lambda f, g: 1 - np.sqrt(f / g))


def zdt6(x: Floats) -> Floats:
    f = 1 - np.exp(-4 * x[:, 0]) * np.sin(6 * np.pi * x[:, 0]) ** 6
    return _zdt(f, 1 + 9 * x[:, 1:].mean(axis=1) ** 0.25, lambda f, g: 1 - (f / g) ** 2)


def dtlz1(x: Floats) -> Floats:
    a, b, scale = x[:, 0], x[:, 1], 0.5 * (1 + _ripples(x[:, 2:]))
    return scale[:, None] * np.column_stack([a * b, a * (1 - b), 1 - a])


def dtlz2(x: Floats) -> Floats:
    return _sphere(x, ((x[:, 2:] - 0.5) ** 2).sum(axis=1))


def dtlz3(x: Floats) -> Floats:
    return _sphere(x, _ripples(x[:, 2:]))


def _zdt(f: Floats, g: Floats, h: Callable[[Floats, Floats], Floats]) -> Floats:
    return np.column_stack([f, g * h(f, g)])


def _ripples(rest: Floats) -> Floats:
    waves = (rest - 0.5) ** 2 - np.cos(20 * np.pi * (rest - 0.5))
    return 100 * (rest.shape[1] + waves.sum(axis=1))


def _sphere(x: Floats, g: Floats) -> Floats:
    a, b = 0.5 * np.pi * x[:, 0], 0.5 * np.pi * x[:, 1]
    return (1 + g)[:, None] * np.column_stack([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)])


def _problem(
    objectives: Callable[[Floats], Floats],
    variables: int,
    reference: float,
    front: float,
    evaluations: int,
    pymoo: float,
    *,
    others: tuple[float, float] = (0.0, 1.0),
) -> Problem:
    """Return a problem whose first variable lies in [0, 1] and all others within bounds of their own."""
    low, high = np.full(variables, others[0]), np.full(variables, others[1])
    low[0], high[0] = 0.0, 1.0
    return Problem(objectives, low, high, reference, front, evaluations, pymoo)


_SPHERE = 1.331 - np.pi / 6

PROBLEMS = {
    "ZDT1": _problem(zdt1, 30, 1.1, 0.876667, 25_000, 0.8698),
    "ZDT2": _problem(zdt2, 30, 1.1, 0.543333, 25_000, 0.5366),
    "ZDT3": _problem(zdt3, 30, 1.1, 1.331738, 25_000, 1.3275),
    "ZDT4": _problem(zdt4, 10, 1.1, 0.876667, 25_000, 0.8668, others=(-5.0, 5.0)),
    "ZDT6": _problem(zdt6, 10, 1.1, 0.507880, 25_000, 0.4958),
    "DTLZ1": _problem(dtlz1, 7, 1.0, 0.979167, 60_000, 0.97035),
    "DTLZ2": _problem(dtlz2, 12, 1.1, _SPHERE, 25_000, 0.70885),
    "DTLZ3": _problem(dtlz3, 12, 1.1, _SPHERE, 60_000, 0.68225),
}


def hypervolume_of(objectives: Floats, reference: float) -> float:
    """Return the volume that rows of objectives dominate against a reference point."""
    inside = objectives[np.all(objectives < reference, axis=1)]
    return float(moocore.hypervolume(inside, ref=np.full(objectives.shape[1], reference))) if len(inside) else 0.0


def evolved(problem: Problem, evaluations: int, seed: int, method: Method = "nsga2") -> float:
    """Return the hypervolume of the last population of a search of so many evaluations."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(problem.low, problem.high, (POPULATION, len(problem.low)))
    y = problem.objectives(x)
    every = np.ones(x.shape, dtype=bool)
    for _ in range(evaluations // POPULATION - 1):
        parents = x[tournament(*rank_and_crowding(y), POPULATION, rng)]
        crossed = rng.random(POPULATION // 2) < CROSSOVER_PROBABILITY
        where = crossed[:, None] & (rng.random((POPULATION // 2, x.shape[1])) < 0.5)
        pairs = simulated_binary_crossover(
            parents[::2], parents[1::2], problem.low, problem.high, eta=CROSSOVER_ETA, where=where, rng=rng
        )
        children = polynomial_mutation(
            np.concatenate(pairs),
            problem.low,
            problem.high,
            eta=MUTATION_ETA,
            where=some_of(every, 1 / x.shape[1], np.tile(~crossed, 2), rng),
            rng=rng,
        )
        x, y = np.concatenate([x, children]), np.concatenate([y, problem.objectives(children)])
        survivors = survive(y, POPULATION, method, rng)
        x, y = x[survivors], y[survivors]
    return hypervolume_of(y, problem.reference)
