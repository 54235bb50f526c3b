"""A brood: valid, new, with its parents on record; and rates that follow what succeeds."""

import math

import numpy as np
import pytest
from deap import base
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.evolution.variation import VariationRates, toolbox, vary
from quant_organism.strategies import GeneRows, family_names, random_genome

SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(0, 25), st.floats(0, 1), st.floats(0, 1))
def test_every_child_differs_from_its_parent_and_keeps_its_family(
    seed: int, count: int, crossover_probability: float, mutation_rate: float
) -> None:
    rng = np.random.default_rng(seed)
    parents = [random_genome(rng, family_names()[int(rng.integers(len(family_names())))]) for _ in range(count)]
    rates = VariationRates(crossover_probability=crossover_probability, mutation_rate=mutation_rate)
    children = vary(parents, rates, rng, generation=7)
    assert len(children) == count
    for place, child in enumerate(children):
        assert child.parents[0] == place
        assert child.genome.family == parents[place].family
        assert child.genome.genes != parents[place].genes
        assert child.genome.generation == 7
        assert child.operator == ("crossover" if len(child.parents) == 2 else "mutation")
        assert child.parents in ((place,), (place, place ^ 1))


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_equal_seeds_give_equal_broods(seed: int) -> None:
    parents = [random_genome(np.random.default_rng(seed), name) for name in family_names()]
    first, second = (vary(parents, VariationRates(), np.random.default_rng(seed), 1) for _ in range(2))
    assert first == second


def test_pairs_cross_as_often_as_the_probability_says() -> None:
    rng = np.random.default_rng(0)
    parents = [random_genome(rng, "rsi_filter") for _ in range(1_000)]
    children = vary(parents, VariationRates(crossover_probability=0.3), rng, 1)
    assert np.mean([child.operator == "crossover" for child in children]) == pytest.approx(0.3, abs=0.06)
    # Both of a pair or none.
    assert [child.operator for child in children[::2]] == [child.operator for child in children[1::2]]


def test_operators_stand_in_a_deap_toolbox() -> None:
    rng = np.random.default_rng(2)
    tools = toolbox(VariationRates(), rng, "nsga3")
    assert isinstance(tools, base.Toolbox)
    rows = GeneRows.of([random_genome(rng, "rsi_filter") for _ in range(4)])
    first, second = tools.mate(rows.take(np.array([0, 1])), rows.take(np.array([2, 3])))
    assert len(tools.mutate(first, np.ones(2, dtype=bool)).genomes(1)) == len(second) == 2
    assert sorted(tools.select(np.array([[0.0, 1.0], [2.0, 2.0], [1.0, 0.0]]), 2).tolist()) == [0, 2]


@pytest.mark.parametrize(
    ("field", "value"),
    [("mutation_rate", 1.5), ("crossover_probability", -0.1), ("mutation_eta", math.nan), ("crossover_eta", math.inf)],
)
def test_rates_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{field} is"):
        VariationRates(**{field: value})


def test_the_mutation_rate_follows_the_one_fifth_rule() -> None:
    rates = VariationRates(mutation_rate=0.15)
    assert rates.adapted({"mutation": 0.2}).mutation_rate == pytest.approx(0.15)
    assert rates.adapted({"mutation": 1.0}).mutation_rate == pytest.approx(0.15 * math.exp(1 / 3))
    assert rates.adapted({"mutation": 0.0}).mutation_rate == pytest.approx(0.15 * math.exp(-0.25 / 3))
    for share, limit in ((0.0, 0.02), (1.0, 0.5)):
        adapted = rates
        for _ in range(50):
            adapted = adapted.adapted({"mutation": share})
        assert adapted.mutation_rate == limit


def test_the_crossover_probability_goes_to_its_share_of_success() -> None:
    rates = VariationRates(crossover_probability=0.8)
    # Matched: 0.1 + 0.8 x 0.1 / (0.1 + 0.3) = 0.3; three tenths of the way from 0.8.
    assert rates.adapted({"crossover": 0.1, "mutation": 0.3}).crossover_probability == pytest.approx(0.65)
    adapted = rates
    for _ in range(100):
        adapted = adapted.adapted({"crossover": 0.0, "mutation": 0.3})
    assert adapted.crossover_probability == pytest.approx(0.1)


def test_without_evidence_rates_stay() -> None:
    assert VariationRates().adapted({}) == VariationRates()
    assert VariationRates().adapted({"crossover": 0.4}) == VariationRates()
    assert VariationRates().adapted({"crossover": 0.0, "mutation": 0.2}).crossover_probability < 0.8
    assert VariationRates().adapted({"crossover": 0.0, "mutation": 0.0}).crossover_probability == 0.8
