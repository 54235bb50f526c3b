"""Operators yield valid genomes of the right family, and the same ones from the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import (
    COMMON_GENES,
    GeneRows,
    Genome,
    crossover,
    evolving_families,
    family_names,
    get_family,
    mutate,
    random_genome,
)

SEEDS = st.integers(0, 2**32 - 1)
COMMON = {spec.name for spec in COMMON_GENES}


def crowd(rng: np.random.Generator) -> list[Genome]:
    """Return a genome of every registered family."""
    return [random_genome(rng, name) for name in family_names()]


def bounds(genome: Genome, name: str) -> tuple[float, float]:
    spec = next(spec for spec in get_family(genome.family).genes if spec.name == name)
    return spec.low, spec.high


def test_random_genomes_reach_every_family_and_both_ends_of_their_bounds() -> None:
    rng = np.random.default_rng(0)
    population = [random_genome(rng) for _ in range(400)]
    assert {genome.family for genome in population} == set(evolving_families())
    sizes = [genome.genes["position_size"] for genome in population]
    assert min(sizes) < 0.02
    assert max(sizes) > 0.14


@given(SEEDS)
def test_rows_hold_all_of_a_genome(seed: int) -> None:
    genomes = crowd(np.random.default_rng(seed))
    again = GeneRows.of(genomes).genomes(generation=0)
    assert [genome.hash for genome in again] == [genome.hash for genome in genomes]


@settings(deadline=None)
@given(SEEDS, st.floats(0, 1))
def test_mutants_keep_their_family_and_bounds(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    parents = crowd(rng)
    children = mutate(GeneRows.of(parents), rng.random(len(parents)) < 0.5, rng, rate=rate, eta=20.0).genomes(
        generation=5
    )
    # Being a genome at all, each is within its bounds.
    assert [child.family for child in children] == [parent.family for parent in parents]
    assert {child.generation for child in children} == {5}


def test_the_mutation_rate_is_the_share_of_genes_that_move() -> None:
    rng = np.random.default_rng(1)
    # Away from the bounds every chosen gene moves.
    genes = {spec.name: spec.default for spec in get_family("pca_tree_quantile").genes} | {"trailing_stop": 0.1}
    genes = {name: value if isinstance(value, str) else _inner(name, value) for name, value in genes.items()}
    parent = Genome("pca_tree_quantile", genes)
    children = mutate(GeneRows.of([parent] * 1_000), np.zeros(1_000, dtype=bool), rng, rate=0.4, eta=20.0).genomes(1)
    for name, value in parent.genes.items():
        assert np.mean([child.genes[name] != value for child in children]) == pytest.approx(0.4, abs=0.06)


def _inner(name: str, value: float) -> float:
    spec = next(spec for spec in get_family("pca_tree_quantile").genes if spec.name == name)
    middle = (spec.low + spec.high) / 2
    return type(value)(middle)


def test_without_luck_one_gene_moves_where_one_must() -> None:
    rng = np.random.default_rng(2)
    parents = [random_genome(rng, "ema_crossover") for _ in range(200)]
    must = np.arange(200) < 100
    children = mutate(GeneRows.of(parents), must, rng, rate=0.0, eta=20.0).genomes(1)
    moved = [
        sum(child.genes[name] != value for name, value in parent.genes.items())
        for parent, child in zip(parents, children, strict=True)
    ]
    assert moved == [1] * 100 + [0] * 100


@settings(deadline=None)
@given(SEEDS)
def test_a_child_has_its_first_parents_family_and_another_family_gives_common_genes_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mothers = crowd(rng)
    fathers = [random_genome(rng, name) for name in rng.permutation(family_names())]
    first, second = (rows.genomes(3) for rows in crossover(GeneRows.of(mothers), GeneRows.of(fathers), rng, eta=15.0))
    for child, parent, other in (
        *zip(first, mothers, fathers, strict=True),
        *zip(second, fathers, mothers, strict=True),
    ):
        assert child.family == parent.family
        assert child.generation == 3
        if child.family != other.family:
            assert {name for name, value in child.genes.items() if value != parent.genes[name]} <= COMMON


def test_choices_change_places_and_numbers_are_centred_on_those_of_both_parents() -> None:
    rng = np.random.default_rng(4)
    a, b = random_genome(rng, "linear_svc_classifier"), random_genome(rng, "linear_svc_classifier")
    first, second = (
        rows.genomes(1) for rows in crossover(GeneRows.of([a] * 300), GeneRows.of([b] * 300), rng, eta=15.0)
    )
    for name, value in a.genes.items():
        children = [genome.genes[name] for genome in (*first, *second)]
        if isinstance(value, str):
            assert children.count(value) == (600 if value == b.genes[name] else 300)
            assert {genome.genes[name] for genome in first} == {value, b.genes[name]}
        else:
            low, high = bounds(a, name)
            middle = (value + b.genes[name]) / 2
            assert np.mean(children) == pytest.approx(middle, abs=0.03 * (high - low))
            assert all(type(child) is type(value) for child in children)


@settings(deadline=None)
@given(SEEDS)
def test_operators_repeat_themselves_from_the_same_seed(seed: int) -> None:
    def offspring() -> list[str]:
        rng = np.random.default_rng(seed)
        rows = GeneRows.of(crowd(rng))
        first, second = crossover(
            rows, mutate(rows, np.ones(len(rows), dtype=bool), rng, rate=0.3, eta=20.0), rng, eta=15.0
        )
        return [genome.id for genome in first.genomes(1) + second.genomes(1)]

    assert offspring() == offspring()


def test_defaults_lie_within_their_own_bounds() -> None:
    for name in family_names():
        for spec in get_family(name).genes:
            assert spec.check(spec.default, name) == spec.default
