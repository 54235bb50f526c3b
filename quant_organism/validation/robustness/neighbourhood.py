"""Parameter neighbourhood: a rule that works earns much the same when its numbers are a little different."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies import GeneSpec, GeneValue, Genome, get_family
from quant_organism.validation.robustness.subject import Shake, Subject, of_members, once, stream_of
from quant_organism.validation.statistics.evidence import NotRun, require

NEIGHBOURS: Final = 100
STEP: Final = 0.05
"""Standard deviation of a gene's step, as a share of its range."""

_GENOMES_AT_ONCE: Final = 1_000
"""Genomes of one call: bounds memory, changes no result."""


@once
def neighbourhood(subject: Subject, *, seed: int, neighbours: int = NEIGHBOURS, step: float = STEP) -> Shake | NotRun:
    """Move every number of every member by a small random step, all members together.

    Parameters
    ----------
    subject
        What is shaken.
    seed
        Of the steps.
    neighbours
        Number of committees n.
    step
        Standard deviation of the normal steps, as a share of each gene's range; what leaves the range is brought back
        to its bound. Choices and structures stay, and so do the numbers that models are fitted with.

    Raises
    ------
    InputError
        No neighbour, or a negative step.
    """
    require(neighbours >= 1, f"{neighbours} neighbours are none", f"{NEIGHBOURS} is usual")
    require(step >= 0, f"a step of {step} is negative", f"{STEP} is usual")
    if (idle := subject.idle) is not None:
        return idle
    committee = subject.committee
    moved = [
        neighbours_of(member.genome, stream_of(seed, place), neighbours, step)
        for place, member in enumerate(committee.members)
    ]
    around = [
        of_members(replace(member, genome=genome) for member, genome in zip(committee.members, genomes, strict=True))
        for genomes in zip(*moved, strict=True)
    ]
    at_once = max(1, _GENOMES_AT_ONCE // len(committee.members))
    parts = [subject.measure(around[first : first + at_once]).metrics for first in range(0, neighbours, at_once)]
    sharpe, drawdown = (np.concatenate([part[name] for part in parts]) for name in ("sharpe", "max_drawdown"))
    return Shake.seen(subject, [str(place) for place in range(neighbours)], sharpe, drawdown, seed=seed)


def neighbours_of(genome: Genome, rng: np.random.Generator, count: int, step: float) -> list[Genome]:
    """Return genomes with every number moved; equal ones may come more than once."""
    family = get_family(genome.family)
    fixed = family.model_genes
    numbers = [spec for spec in family.genes if spec.kind in ("int", "float") and spec.name not in fixed]
    steps = step * rng.standard_normal((count, len(numbers)))
    return [
        Genome(
            genome.family,
            family.repair(dict(genome.genes) | _moved(genome, numbers, row)),
            genome.generation,
        )
        for row in steps
    ]


def _moved(genome: Genome, numbers: list[GeneSpec], steps: NDArray[np.float64]) -> dict[str, GeneValue]:
    moved: dict[str, GeneValue] = {}
    for spec, step in zip(numbers, steps, strict=True):
        before = genome.genes[spec.name]
        assert isinstance(before, int | float)
        value = float(np.clip(before + step * (spec.high - spec.low), spec.low, spec.high))
        moved[spec.name] = round(value) if spec.kind == "int" else value
    return moved
