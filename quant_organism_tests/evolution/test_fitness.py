"""Scores against values worked out by hand, and the laws that they keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.fitness import asset_median, complexity, fitness, penalised, smoothed
from quant_organism.strategies import COMMON_GENES, Genome, default_genome, evolving_families, random_genome


def moved(**genes) -> Genome:
    genome = default_genome("ema_crossover")
    return Genome(genome.family, {**genome.genes, **genes})


def crowd(seed: int, count: int = 30) -> list[Genome]:
    rng = np.random.default_rng(seed)
    names = evolving_families()[:4]
    return [random_genome(rng, names[i % 4]) for i in range(count)]


def test_the_mean_is_over_the_nearest_of_the_same_family():
    # Stop losses of .03, .04, .05 and .15: the first three are neighbours; the outsider's nearest is .05.
    genomes = [moved(stop_loss=loss) for loss in (0.03, 0.04, 0.05, 0.15)] + [default_genome("rsi_filter")]
    values = np.array([1.0, 2.0, 6.0, -3.0, 100.0])
    np.testing.assert_allclose(smoothed(genomes, values, 2), [1.5, 1.5, 4.0, 1.5, 100.0])
    np.testing.assert_allclose(smoothed(genomes, values, 3), [3.0, 3.0, 3.0, 5.0 / 3.0, 100.0])


def test_a_gene_counts_by_its_share_of_its_bounds():
    # Half of the holding time's bounds (4 to 336) is farther than a third of the stop's (.01 to .15).
    start, far, near = moved(), moved(max_holding_hours=72 + 166), moved(stop_loss=0.03 + 0.14 / 3)
    np.testing.assert_allclose(smoothed([start, far, near], np.array([0.0, 10.0, 2.0]), 2)[0], 1.0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000), neighbours=st.integers(1, 40), shift=st.floats(-5, 5))
def test_smoothing_moves_with_its_values_and_stays_between_them(seed, neighbours, shift):
    genomes = crowd(seed)
    values = np.random.default_rng(seed).normal(size=len(genomes))
    found = smoothed(genomes, values, neighbours)
    np.testing.assert_allclose(smoothed(genomes, values + shift, neighbours), found + shift, atol=1e-9)
    assert values.min() - 1e-9 <= found.min() <= found.max() <= values.max() + 1e-9
    if neighbours == 1:
        np.testing.assert_array_equal(found, values)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_the_order_of_genomes_does_not_matter(seed):
    genomes = crowd(seed)
    values = np.random.default_rng(seed).normal(size=len(genomes))
    order = np.random.default_rng([seed, 1]).permutation(len(genomes))
    again = smoothed([genomes[i] for i in order], values[order], 4)
    np.testing.assert_array_equal(again, smoothed(genomes, values, 4)[order])


def test_smoothing_refuses_what_is_no_number():
    with pytest.raises(InputError, match="not finite"):
        smoothed(crowd(0, 3), np.array([1.0, np.nan, 2.0]), 2)
    with pytest.raises(InputError, match="at least 1"):
        smoothed(crowd(0, 3), np.zeros(3), 0)


def test_the_median_over_assets_takes_idleness_for_nothing_earned():
    sharpe = np.array([[1.0, 2.0, 9.0], [np.nan, np.nan, 3.0], [np.nan, 1.0, 2.0]])
    np.testing.assert_array_equal(asset_median(sharpe), [2.0, 0.0, 1.0])


def test_each_name_is_its_own_score():
    genomes, sharpe = crowd(1, 8), np.arange(8.0)
    by_asset = np.column_stack([sharpe, sharpe - 1, sharpe + 5])
    np.testing.assert_array_equal(fitness("plain", genomes, sharpe, by_asset), sharpe)
    np.testing.assert_array_equal(fitness("asset_median", genomes, sharpe, by_asset), sharpe)
    np.testing.assert_array_equal(
        fitness("smoothed", genomes, sharpe, by_asset, neighbours=2), smoothed(genomes, sharpe, 2)
    )


def test_complexity_counts_own_genes_and_the_nodes_of_trees():
    tree = default_genome("composite")
    bigger = max(
        (random_genome(np.random.default_rng(i), "composite") for i in range(20)), key=lambda g: len(str(g.genes))
    )
    found = complexity([default_genome("ema_crossover"), moved(stop_loss=0.1), tree, bigger])
    assert found[0] == found[1] == len(default_genome("ema_crossover").genes) - len(COMMON_GENES)
    assert found[3] > found[2] > 1


def test_penalties_cost_what_they_say():
    scores, parts, turnover = np.array([1.0, 2.0]), np.array([3.0, 10.0]), np.array([500.0, 4_000.0])
    np.testing.assert_array_equal(penalised(scores, parts, turnover), scores)
    np.testing.assert_allclose(
        penalised(scores, parts, turnover, complexity_penalty=0.01, turnover_penalty=0.1), [0.92, 1.5]
    )


@pytest.mark.parametrize("changed", [{"fitness": "smoothed"}, {"fitness": "asset_median"}, {"complexity_penalty": 0.5}])
def test_another_score_leads_the_search_elsewhere_and_the_choice_still_ranks_by_sharpe(
    panel, spec, costs, evaluator, changed
):
    plain = evolve(panel, spec, costs, evaluator, seed=3)
    led = evolve(panel, spec.model_copy(update=changed), costs, evaluator, seed=3)
    founders = [result.population.filter(result.population["generation"] == 0) for result in (plain, led)]
    assert founders[0]["hash"].equals(founders[1]["hash"])
    assert set(led.population["hash"]) != set(plain.population["hash"])
    again = evaluator.evaluate_committees([led.candidates[0].committee], panel, costs)
    assert again.metrics["sharpe"][0] > led.population["sharpe"].median()
