"""Operators yield valid genomes of the right family, and the same ones from the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.strategies import crossover, evolving_families, families, get_family, mutate, random_genome
from quant_organism.strategies.common_genes import COMMON_GENES
from quant_organism.strategies.family import linked

SEEDS = st.integers(0, 2**32 - 1)


def test_random_genomes_reach_every_family_and_both_ends_of_their_bounds() -> None:
    rng = np.random.default_rng(0)
    population = [random_genome(rng) for _ in range(400)]
    assert {genome.family for genome in population} == set(evolving_families())
    sizes = [genome.genes["position_size"] for genome in population]
    assert min(sizes) < 0.02
    assert max(sizes) > 0.14


@given(SEEDS, st.floats(0, 1))
def test_a_mutant_differs_and_keeps_its_family(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    parent = random_genome(rng)
    child = mutate(parent, rng, rate, generation=5)
    assert child.family == parent.family
    assert child.generation == 5
    assert child.hash != parent.hash


def test_the_mutation_rate_is_the_share_of_genes_that_move() -> None:
    rng = np.random.default_rng(1)
    parent = random_genome(rng, "donchian_breakout")
    moved = [
        sum(child.genes[name] != value for name, value in parent.genes.items()) / len(parent.genes)
        for child in (mutate(parent, rng, 0.4, 1) for _ in range(400))
    ]
    assert np.mean(moved) == pytest.approx(0.4, abs=0.03)


def test_a_mutation_rate_beyond_one_is_refused() -> None:
    rng = np.random.default_rng(2)
    with pytest.raises(InputError, match=r"mutation rate is 1.5"):
        mutate(random_genome(rng), rng, 1.5, 1)


@given(SEEDS)
def test_children_share_out_the_genes_of_their_parents(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_genome(rng), random_genome(rng)
    first, second = crossover(a, b, rng, generation=3)
    assert (first.family, second.family) == (a.family, b.family)
    assert (first.generation, second.generation) == (3, 3)
    risk = {spec.name for spec in COMMON_GENES}
    for name in first.genes:
        if linked(get_family(a.family)) and name not in risk:
            continue  # Trees exchange branches, and what they bound is repaired.
        if a.family == b.family or name in risk:
            assert {first.genes[name], second.genes[name]} == {a.genes[name], b.genes[name]}
        else:
            assert first.genes[name] == a.genes[name]


@given(SEEDS)
def test_operators_repeat_themselves_from_the_same_seed(seed: int) -> None:
    def offspring() -> list[str]:
        rng = np.random.default_rng(seed)
        a, b = random_genome(rng), random_genome(rng)
        return [genome.id for genome in (a, b, *crossover(a, b, rng, 1), mutate(a, rng, 0.3, 1))]

    assert offspring() == offspring()


def test_defaults_lie_within_their_own_bounds() -> None:
    for name in families():
        for spec in get_family(name).genes:
            assert spec.check(spec.default, name) == spec.default
