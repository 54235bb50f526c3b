"""The search: reproducible, complete in its account of trials, blind to what comes later, and better than chance."""

import numpy as np
import polars as pl
import pytest

from quant_organism.backtest import Evaluator
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.records import read_candidates
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism_tests.panels import trending_panel


@pytest.fixture(scope="module")
def result(panel, spec, costs, evaluator):
    return evolve(panel, spec, costs, evaluator, seed=3)


def test_equal_seeds_give_equal_results_on_any_number_of_threads(panel, spec, costs, result):
    again = evolve(panel, spec, costs, Evaluator(threads=1), seed=3)
    assert again.population.equals(result.population, null_equal=True)
    assert again.generations.equals(result.generations, null_equal=True)
    assert again.candidate_members.equals(result.candidate_members)


def test_another_seed_gives_another_search(panel, spec, costs, evaluator, result):
    other = evolve(panel, spec, costs, evaluator, seed=4)
    assert set(other.population["hash"]) != set(result.population["hash"])


def test_every_trial_is_listed_once_and_counted(result):
    population = result.population
    assert population["hash"].n_unique() == len(population)
    assert result.generations["trials"].to_list()[-1] == len(population)
    assert population["trial"].to_list() == list(range(len(population)))
    assert len(population) > 3 * 40


def test_the_last_population_has_the_size_of_the_spec(result, spec):
    assert result.population["survived"].sum() == spec.population


def test_the_best_of_each_objective_never_gets_lost(result):
    generations = result.generations
    assert generations["best_sharpe"].is_sorted()
    assert generations["best_max_drawdown"].is_sorted(descending=True)


def test_no_trial_of_the_front_is_dominated(result):
    front = result.population.filter(pl.col("on_front"))
    columns = np.column_stack(
        [front["sharpe"], front["consistency"], -front["max_drawdown"], -front["turnover_per_year"]]
    )
    for point in columns:
        assert not np.any(np.all(columns >= point, axis=1) & np.any(columns > point, axis=1))


def test_selection_improves_on_the_random_founders(result):
    generations = result.generations
    assert generations["median_sharpe"][-1] > generations["median_sharpe"][0]
    assert generations["hypervolume"][-1] > generations["hypervolume"][0]


def test_only_the_families_of_the_spec_take_part(panel, costs, evaluator):
    spec = EvolutionSpec(families=("rsi_filter",), population=16, generations=1)
    result = evolve(panel, spec, costs, evaluator, seed=0)
    assert result.population["family"].unique().to_list() == ["rsi_filter"]


def test_a_market_that_never_moves_yields_no_candidate(spec, costs, evaluator):
    still = trending_panel(drift=0.0)
    flat = type(still).from_arrays(
        symbols=still.symbols,
        interval=still.interval,
        times=still.times,
        **{name: np.full(still.close.shape, 100.0) for name in ("open", "high", "low", "close", "volume")},
        funding_rate=np.zeros(still.close.shape),
    )
    result = evolve(flat, spec, costs, evaluator, seed=0)
    assert result.candidates == []
    assert result.population["feasible"].sum() == 0
    assert len(result.candidate_members) == 0


def test_candidates_survive_the_round_trip_through_their_frame(result):
    assert read_candidates(result.candidate_members) == result.candidates
