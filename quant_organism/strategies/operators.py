"""Operators on genomes: random, crossover, mutation. All respect bounds, types and families."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.families import evolving_families, get_family
from quant_organism.strategies.gene_rows import GeneRows
from quant_organism.strategies.genes import GeneSpec, GeneValue
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.real_coded import (
    polynomial_mutation,
    simulated_binary_crossover,
    some_of,
    step_beyond,
    step_near,
    whole_beyond,
    whole_near,
)

_CROSSED_SHARE = 0.5
"""Share of their shared genes that two parents cross."""


def default_genome(family: str) -> Genome:
    """Return the reference genome of a family: every gene at its default."""
    return Genome(family, get_family(family).default_genes)


def random_genome(rng: np.random.Generator, family: str | None = None, *, generation: int = 0) -> Genome:
    """Draw every gene uniformly from its bounds, whatever its prior, and the family from those that evolve by default.

    A search draws by `GenomeSampler`; this reaches every corner of what is allowed.
    """
    if family is None:
        names = evolving_families()
        family = names[int(rng.integers(len(names)))]
    template = get_family(family)
    return Genome(family, template.repair({spec.name: spec.draw(rng) for spec in template.genes}), generation)


def crossover(a: GeneRows, b: GeneRows, rng: np.random.Generator, *, eta: float) -> tuple[GeneRows, GeneRows]:
    """Return two children per pair of rows, the first of `a`'s family, the second of `b`'s.

    Each shared gene takes part with probability one half: numbers by simulated binary crossover, ints then rounded up
    or down at the odds of their fraction, and what has a grid moved to a step of it likewise; choices change places;
    structures exchange parts. Two families share the numbers that are common to their kind alone, one that ranks
    assets and one that does not nothing. Genes on a log scale cross and mutate by ratios.

    Parameters
    ----------
    a, b
        Parents, n rows each.
    rng
        Source of randomness.
    eta
        Distribution index: the larger, the nearer are children to their parents.
    """
    layout, kin = a.layout, a.kind == b.kind
    common = np.where(layout.ranks[a.kind] == layout.ranks[b.kind], layout.common[a.kind], 0)
    shared = layout.present[a.kind] & (kin[:, None] | (np.arange(layout.low.shape[1]) < common[:, None]))
    where = shared & (rng.random(shared.shape) < _CROSSED_SHARE)
    where &= a.numbers != b.numbers
    low, high, ints = layout.low_place[a.kind], layout.high_place[a.kind], where & layout.whole[a.kind]
    one, other = simulated_binary_crossover(a.places, b.places, low, high, eta=eta, where=where, rng=rng)
    first, second = a.moved(one, where), b.moved(other, where)
    stepped = where & layout.stepped[a.kind]
    ints &= ~stepped
    first[ints], second[ints] = whole_near(first[ints], rng), whole_near(second[ints], rng)
    steps = layout.steps_of(a.kind, stepped)
    first[stepped], second[stepped] = step_near(first[stepped], steps, rng), step_near(second[stepped], steps, rng)
    first_others, second_others = list(a.others), list(b.others)
    for row in np.flatnonzero(kin):
        for spec in layout.others[a.kind[row]]:
            if rng.random() < _CROSSED_SHARE:
                left, right = _exchanged(spec, a.others[row][spec.name], b.others[row][spec.name], rng)
                first_others[row] = first_others[row] | {spec.name: left}
                second_others[row] = second_others[row] | {spec.name: right}
    return (
        replace(a, numbers=first, others=tuple(first_others)),
        replace(b, numbers=second, others=tuple(second_others)),
    )


def mutate(
    rows: GeneRows, at_least_one: NDArray[np.bool_], rng: np.random.Generator, *, rate: float, eta: float
) -> GeneRows:
    """Move each gene with probability `rate`.

    Numbers move by polynomial mutation on their scale, ints by at least one, what has a grid on to a step of it;
    choices become another choice, structures a neighbour.

    Parameters
    ----------
    rows
        n rows.
    at_least_one
        Rows of which a gene moves whatever the luck, bool (n,). What has just been crossed had better be left alone
        now and then: to disturb every child costs the multimodal test problems most of their fronts.
    rng
        Source of randomness.
    rate
        Probability, in [0, 1].
    eta
        Distribution index: the mean step of a number is about 1 / (eta + 2) of its range.
    """
    layout, kind = rows.layout, rows.kind
    counts = np.array([len(specs) for specs in layout.others])
    beside = np.arange(counts.max(initial=0)) < counts[kind, None]
    chosen = some_of(np.concatenate([layout.present[kind], beside], axis=1), rate, at_least_one, rng)
    width = layout.low.shape[1]
    where, beside = chosen[:, :width], chosen[:, width:]
    low, high = layout.low_place[kind], layout.high_place[kind]
    numbers = rows.moved(polynomial_mutation(rows.places, low, high, eta=eta, where=where, rng=rng), where)
    stepped = where & layout.stepped[kind]
    ints = where & layout.whole[kind] & ~stepped
    numbers[ints] = whole_beyond(rows.numbers[ints], numbers[ints], layout.high[kind][ints])
    numbers[stepped] = step_beyond(rows.numbers[stepped], numbers[stepped], layout.steps_of(kind, stepped))
    others = list(rows.others)
    for row, place in np.argwhere(beside):
        spec = layout.others[kind[row]][place]
        others[row] = others[row] | {spec.name: spec.perturb(others[row][spec.name], rng)}
    return replace(rows, numbers=numbers, others=tuple(others))


def _exchanged(spec: GeneSpec, a: GeneValue, b: GeneValue, rng: np.random.Generator) -> tuple[GeneValue, GeneValue]:
    if spec.grammar is None:
        return b, a
    assert isinstance(a, tuple)
    assert isinstance(b, tuple)
    return spec.grammar.cross(a, b, rng)
