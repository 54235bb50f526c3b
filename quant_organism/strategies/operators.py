"""Operators on genomes: random, mutation, crossover. All respect bounds, types and families."""

from __future__ import annotations

import numpy as np

from quant_organism.errors import InputError
from quant_organism.strategies.common_genes import COMMON_GENES
from quant_organism.strategies.family import evolving_families, get_family, repaired
from quant_organism.strategies.genes import GeneValue
from quant_organism.strategies.genome import Genome


def default_genome(family: str) -> Genome:
    """Return the reference genome of a family: every gene at its default."""
    return Genome(family, {spec.name: spec.default for spec in get_family(family).genes})


def random_genome(rng: np.random.Generator, family: str | None = None, *, generation: int = 0) -> Genome:
    """Draw every gene uniformly from its bounds, and the family from those that evolve when none is given."""
    if family is None:
        names = evolving_families()
        family = names[int(rng.integers(len(names)))]
    template = get_family(family)
    return Genome(family, repaired(template, {spec.name: spec.draw(rng) for spec in template.genes}), generation)


def mutate(genome: Genome, rng: np.random.Generator, rate: float, generation: int) -> Genome:
    """Move each gene with probability `rate`, and at least one gene, to a neighbouring value.

    Raises
    ------
    InputError
        If `rate` is not in [0, 1].
    """
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"mutation rate is {rate!r}, expected a number in [0, 1]")
    family = get_family(genome.family)
    specs = family.genes
    chosen = rng.random(len(specs)) < rate
    if not chosen.any():
        chosen[int(rng.integers(len(specs)))] = True
    genes = dict(genome.genes)
    for spec, moves in zip(specs, chosen, strict=True):
        if moves:
            genes[spec.name] = spec.perturb(genes[spec.name], rng)
    genes = repaired(family, genes)
    if genes == dict(genome.genes):
        # A repair may undo the only move.
        return mutate(genome, rng, rate, generation)
    return Genome(genome.family, genes, generation)


def crossover(a: Genome, b: Genome, rng: np.random.Generator, generation: int) -> tuple[Genome, Genome]:
    """Exchange each shared gene with probability one half.

    Genomes of one family share all genes; genomes of two families share the common genes only, so a child is
    always a valid genome of its first parent's family. Two structures exchange parts.
    """
    shared = get_family(a.family).genes if a.family == b.family else COMMON_GENES
    first: dict[str, GeneValue] = dict(a.genes)
    second: dict[str, GeneValue] = dict(b.genes)
    for spec, swap in zip(shared, rng.random(len(shared)) < 0.5, strict=True):
        if swap:
            first[spec.name], second[spec.name] = spec.cross(a.genes[spec.name], b.genes[spec.name], rng)
    first, second = repaired(get_family(a.family), first), repaired(get_family(b.family), second)
    return Genome(a.family, first, generation), Genome(b.family, second, generation)
