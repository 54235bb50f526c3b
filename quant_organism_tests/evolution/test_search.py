"""The search: reproducible, resumable, within its budgets, complete in its account, and better than chance."""

import gc
import weakref
from itertools import count

import numpy as np
import polars as pl
import pytest

from quant_organism.backtest import Evaluator
from quant_organism.evolution.checkpoint import Checkpoint
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.executors import open_executor
from quant_organism.evolution.genetic import GeneticSearch
from quant_organism.evolution.measuring import BatchFailure, Workbench
from quant_organism.evolution.objectives import objective_matrix, objectives_named
from quant_organism.evolution.proposals import ask_and_tell, results_of
from quant_organism.evolution.records import read_candidates
from quant_organism.evolution.search import search
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.trials import NO_PARENT, Trials
from quant_organism.strategies import default_genome, random_genome
from quant_organism_tests.evolution.conftest import RULES
from quant_organism_tests.panels import trending_panel


@pytest.fixture(scope="module")
def result(panel, spec, costs, evaluator):
    return evolve(panel, spec, costs, evaluator, seed=3)


def assert_same(one, other) -> None:
    for name in ("population", "generations", "families", "rejected", "candidate_members"):
        assert getattr(one, name).equals(getattr(other, name), null_equal=True), name
    a, b = one.search.trials, other.search.trials
    for name in ("daily_returns", "asset_sharpe", "objectives", "behaviour", "parents", "days"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    assert (a.operator, a.symbols) == (b.operator, b.symbols)


class Backwards:
    """Measures the last batch first, each with another number of threads; loses some."""

    def __init__(self, panel, costs, lost=()):
        self.workers = 3
        self._benches = [Workbench(panel, costs, Evaluator(threads=1 + k)) for k in range(2)]
        self._lost, self._calls = lost, count()

    def measure(self, batches):
        call = next(self._calls)
        for place in reversed(range(len(batches))):
            if (call, place) in self._lost:
                yield place, BatchFailure("the worker ran out of memory")
            else:
                yield place, self._benches[place % 2].measure(batches[place])


class Killed(Exception):
    """What stands for the end of the process."""


def stopped_after(last, checkpoint, panel, spec, costs, evaluator):
    """Stop a search after its generation `last`, and return what its checkpoint holds."""

    def keep(generation, state, new):
        checkpoint.save(generation, state, new)
        if generation == last:
            raise Killed

    with pytest.raises(Killed):
        evolve(panel, spec, costs, evaluator, seed=3, on_generation=keep)
    return checkpoint.load()


def test_a_search_that_is_over_holds_nothing_back(panel, spec, costs, result):
    # Repeated a hundred times, searches would otherwise fill the memory until the collector comes by.
    gc.collect()
    gc.disable()
    try:
        own = Evaluator(threads=1)
        store = weakref.ref(own.store)
        evolve(panel, spec, costs, own, seed=3)
        del own
        assert store() is None
    finally:
        gc.enable()


def test_equal_seeds_give_equal_results_on_any_executor(panel, spec, costs, evaluator, result):
    assert_same(evolve(panel, spec, costs, evaluator, seed=3, executor=Backwards(panel, costs)), result)


@pytest.mark.parametrize(
    "options", [{}, {"rates": "adaptive", "selection": "nsga3", "restart_after": 1, "fitness": "smoothed"}]
)
def test_a_search_resumed_after_any_generation_ends_in_the_same_bits(tmp_path, panel, spec, costs, evaluator, options):
    spec = spec.model_copy(update=options)
    whole = evolve(panel, spec, costs, evaluator, seed=3)
    for last in range(spec.generations + 1):
        checkpoint = Checkpoint(tmp_path / str(last), {"spec": spec.hash})
        saved = stopped_after(last, checkpoint, panel, spec, costs, evaluator)
        assert_same(evolve(panel, spec, costs, evaluator, seed=3, saved=saved), whole)


@pytest.mark.parametrize("n", [7, 50])
def test_the_engine_is_a_proposer_that_finds_the_same_however_many_it_is_asked_for(
    panel, spec, costs, evaluator, result, n
):
    source, bench = GenomeSource(panel, costs, evaluator), Workbench(panel, costs, evaluator)
    engine = GeneticSearch(spec, RULES, source=source, seed=np.random.SeedSequence(3))
    while not engine.is_over:
        told = ask_and_tell(engine, lambda genomes, number: results_of(genomes, bench.measure(genomes)), n, 0)
        assert 0 < len(told) <= n
    assert engine.ask(n) == []
    trials, expected = engine.trials(), result.search.trials
    for name in ("daily_returns", "objectives", "behaviour", "parents", "generation", "island", "survived"):
        assert getattr(trials, name).tobytes() == getattr(expected, name).tobytes(), name
    assert trials.genomes == expected.genomes
    assert [(each.hash, each.kind) for each in engine.rejected] == list(
        result.rejected.select("hash", "kind").iter_rows()
    )


def test_another_seed_gives_another_search(panel, spec, costs, evaluator, result):
    other = evolve(panel, spec, costs, evaluator, seed=4)
    assert set(other.population["hash"]) != set(result.population["hash"])


def test_every_trial_is_listed_once_and_counted(panel, spec, costs, evaluator):
    told: list[tuple[int, int]] = []

    def count_them(generation, evaluations, seen):
        assert seen is panel
        told.append((generation, sum(len(evaluation.genomes) for evaluation in evaluations)))

    result = evolve(panel, spec, costs, evaluator, seed=3, on_measured=count_them)
    population = result.population
    assert population["hash"].n_unique() == len(population)
    assert population["trial"].to_list() == list(range(len(population)))
    assert np.cumsum([trials for _, trials in told]).tolist() == result.generations["trials"].to_list()
    assert [generation for generation, _ in told] == list(range(spec.generations + 1))
    assert result.search.spent.evaluations == len(population) + len(result.rejected)


def test_what_was_rejected_is_not_asked_for_again(result):
    rejected = result.rejected
    assert rejected["hash"].n_unique() == len(rejected) > 0
    assert not set(rejected["hash"]) & set(result.population["hash"])


def test_survivors_are_as_many_as_there_are_seats_at_most_and_no_two_behave_alike(result, spec):
    survived = result.population.filter("survived")
    assert spec.strategies / 2 < len(survived) <= spec.strategies
    per_island = (
        result.families.filter(pl.col("generation") == spec.generations).group_by("island").agg(pl.sum("members"))
    )
    assert per_island["members"].max() <= spec.population
    assert result.generations["behaviours"].to_list() == result.generations["members"].to_list()


def test_parents_were_born_before_their_children(result):
    trials = result.search.trials
    for generation, parents, operator in zip(trials.generation, trials.parents, trials.operator, strict=True):
        known = parents[parents != NO_PARENT]
        assert (trials.generation[known] < generation).all()
        assert len(known) == {"founder": 0, "immigrant": 0, "mutation": 1, "crossover": 2}[operator]


def test_the_best_of_each_objective_never_gets_lost_without_restarts(result):
    generations = result.generations
    assert generations["restarts"].sum() == 0
    assert generations["best_sharpe"].is_sorted()
    assert generations["best_max_drawdown"].is_sorted(descending=True)


def test_families_travel_along_the_ring_and_only_at_migrations(panel, spec, costs, evaluator):
    def strangers(spec: EvolutionSpec) -> list[bool]:
        families = evolve(panel, spec, costs, evaluator, seed=3).families
        groups = {i: set(RULES[2 * i : 2 * i + 2]) for i in range(3)}
        return [
            any(row["family"] not in groups[row["island"]] for row in rows.iter_rows(named=True))
            for _, rows in families.group_by("generation", maintain_order=True)
        ]

    assert strangers(spec)[:3] == [False, False, False]
    assert True in strangers(spec)
    assert True not in strangers(spec.model_copy(update={"migration_interval": 9}))


def test_no_trial_of_the_front_is_dominated(result):
    front = result.population.filter(pl.col("on_front"))
    metrics = {name: front[name].to_numpy() for name in front.columns}
    columns = -objective_matrix(metrics, np.ones(len(front), dtype=bool), objectives_named(EvolutionSpec().objectives))
    for point in columns:
        assert not np.any(np.all(columns >= point, axis=1) & np.any(columns > point, axis=1))


def test_selection_improves_on_the_random_founders(result):
    generations = result.generations
    assert generations["median_sharpe"][-1] > generations["median_sharpe"][0]
    assert generations["hypervolume"][-1] > generations["hypervolume"][0]


def test_a_lost_batch_costs_its_generations_children_only_and_is_reported(panel, spec, costs, evaluator, result):
    # Founding takes up to four calls; what is lost here is the second island's brood of a later generation.
    found = evolve(panel, spec, costs, evaluator, seed=3, executor=Backwards(panel, costs, lost={(5, 1)}))
    assert len(found.lost) == 1
    row = found.lost.row(0, named=True)
    assert (row["island"], row["genomes"]) == (1, spec.brood)
    assert "out of memory" in row["reason"]
    before = result.generations.filter(pl.col("generation") < row["generation"])
    assert found.generations.head(len(before)).equals(before, null_equal=True)
    assert found.generations["generation"].to_list() == list(range(spec.generations + 1))
    born = found.population.filter(pl.col("generation") == row["generation"])
    assert 1 not in born["island"].to_list()


def test_a_search_whose_every_batch_is_lost_ends_in_good_order(panel, spec, costs, evaluator):
    everything = {(call, place) for call in range(20) for place in range(3)}
    found = evolve(panel, spec, costs, evaluator, seed=3, executor=Backwards(panel, costs, lost=everything))
    assert (len(found.population), found.candidates) == (0, [])
    assert found.search.spent.evaluations == 0
    assert found.population.columns == trials_columns(panel, spec, costs, evaluator)


def trials_columns(panel, spec, costs, evaluator) -> list[str]:
    small = spec.model_copy(update={"generations": 0})
    return evolve(panel, small, costs, evaluator, seed=0).population.columns


def test_only_the_families_of_the_spec_take_part(panel, costs, evaluator):
    spec = EvolutionSpec(families=("rsi_filter",), islands=2, population=8, generations=1)
    result = evolve(panel, spec, costs, evaluator, seed=0)
    assert result.population["family"].unique().to_list() == ["rsi_filter"]


def test_founders_from_elsewhere_are_measured_on_an_island_of_their_family(panel, spec, costs, evaluator, result):
    best = result.population.filter("feasible").sort("sharpe", descending=True)["trial"][:6]
    founders = [result.search.trials.genomes[trial] for trial in best]
    founders += [default_genome("vwap_reversion")]  # no island's family
    trials = evolve(panel, spec, costs, evaluator, seed=9, founders=founders).search.trials
    invited = [place for place, operator in enumerate(trials.operator) if operator == "archive"]
    assert {trials.genomes[place].hash for place in invited} == {genome.hash for genome in founders[:6]}
    assert set(trials.generation[invited]) == {0}
    for place in invited:
        assert trials.genomes[place].family in RULES[2 * trials.island[place] : 2 * trials.island[place] + 2]


def test_founders_from_elsewhere_take_no_more_than_half_of_an_islands_seats(panel, spec, costs, evaluator):
    rng = np.random.default_rng(0)
    crowd = [random_genome(rng, "ema_crossover") for _ in range(40)]
    trials = evolve(panel, spec, costs, evaluator, seed=9, founders=crowd).search.trials
    assert sum(operator == "archive" for operator in trials.operator) == spec.population // 2


def test_the_fitness_of_the_spec_stands_in_the_place_of_the_sharpe_ratio(panel, spec, costs, evaluator):
    spec = spec.model_copy(update={"generations": 1, "fitness": "asset_median", "turnover_penalty": 2.0})
    trials = evolve(panel, spec, costs, evaluator, seed=0).search.trials
    expected = np.median(np.nan_to_num(trials.asset_sharpe), axis=1) - 2.0 * trials.metrics["turnover_per_year"] / 1_000
    np.testing.assert_allclose(trials.objectives[trials.feasible, 0], -expected[trials.feasible], rtol=1e-12)


def test_objectives_are_those_of_the_spec(panel, spec, costs, evaluator):
    spec = spec.model_copy(update={"objectives": ("sortino", "beta"), "generations": 1})
    result = evolve(panel, spec, costs, evaluator, seed=0)
    trials = result.search.trials
    np.testing.assert_array_equal(trials.objectives[trials.feasible, 0], -trials.metrics["sortino"][trials.feasible])
    np.testing.assert_array_equal(trials.objectives[trials.feasible, 1], abs(trials.metrics["beta"][trials.feasible]))
    assert {"best_sortino", "best_beta", "best_sharpe"} <= set(result.generations.columns)


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
    assert set(result.rejected["kind"]) == {"never fires"}


def test_candidates_survive_the_round_trip_through_their_frame(result):
    assert read_candidates(result.candidate_members) == result.candidates


@pytest.fixture
def ticking(panel, spec, costs, evaluator):
    """Return a search under a budget, each of whose generations takes an hour by its clock."""

    def run(**budget):
        hours = count()
        bench = Backwards(panel, costs)
        return search(
            spec.model_copy(update=budget),
            RULES,
            bench,
            source=GenomeSource(panel, costs, evaluator),
            seed=np.random.SeedSequence(3),
            clock=lambda: 3600.0 * next(hours),
        )

    return run


@pytest.mark.parametrize(
    ("budget", "last", "reason"),
    [
        ({}, 4, None),
        ({"hours": 6.0}, 2, "hours"),  # half of the six are the search's: founding and two generations
        ({"hours": 10.0}, 4, None),
        ({"cost_per_worker_hour_usd": 2.0, "cost_limit_usd": 12.5}, 1, "cost_limit_usd"),  # 3 workers x 2 USD an hour
        ({"max_evaluations": 110}, 1, "max_evaluations"),
    ],
)
def test_budgets_stop_a_search_at_the_end_of_a_generation_and_say_so(ticking, budget, last, reason):
    found = ticking(**budget)
    assert found.generations[-1]["generation"] == last
    assert found.stopped_by == reason
    assert found.spent.seconds == 3600.0 * (last + 1)
    if "max_evaluations" in budget:
        assert found.spent.evaluations <= budget["max_evaluations"]


def test_what_hours_cut_short_is_incomplete_and_goes_on_without_them_to_the_same_bits(
    tmp_path, panel, spec, costs, evaluator, result
):
    limited, hours = spec.model_copy(update={"hours": 6.0}), count()
    checkpoint = Checkpoint(tmp_path, {"spec": limited.uninterrupted.hash})
    with open_executor("threads", panel, costs, evaluator) as executor:
        cut = search(
            limited,
            limited.families or (),
            executor,
            source=GenomeSource(panel, costs, evaluator),
            seed=np.random.SeedSequence(3),
            on_generation=checkpoint.save,
            clock=lambda: 3600.0 * next(hours),
        )
    assert not cut.is_complete
    assert cut.ending.startswith("hours: incomplete")
    assert result.search.is_complete
    saved = Checkpoint(tmp_path, {"spec": spec.hash}).load()
    assert_same(evolve(panel, spec, costs, evaluator, seed=3, saved=saved), result)


def test_a_cost_is_measured_where_there_is_a_price_and_never_made_up(ticking, spec):
    free = ticking()
    assert free.spent.cost_usd(spec) is None
    assert free.spent.expected_cost_usd(spec) is None
    priced = spec.model_copy(update={"cost_per_worker_hour_usd": 2.0})
    assert free.spent.cost_usd(priced) == pytest.approx(5 * 3 * 2.0)


def test_progress_tells_of_every_batch_and_the_cost_to_come_after_the_founding(panel, spec, costs, evaluator):
    told = []
    priced = spec.model_copy(update={"cost_per_worker_hour_usd": 2.0})
    evolve(panel, priced, costs, evaluator, seed=3, progress=told.append)
    last = [standing for standing in told if standing.generation == spec.generations]
    assert [standing.batches_done for standing in last] == [0, 1, 2, 3]
    assert {standing.batches for standing in last} == {3}
    assert all((standing.expected_cost_usd is None) == (standing.generation == 0) for standing in told)
    assert last[0].best_sharpe > 0


def test_no_trials_have_the_fields_of_trials(result):
    none, some = Trials.none(4), result.search.trials
    assert list(none.metrics) == list(some.metrics)
    for name in ("objectives", "parents", "behaviour", "feasible", "generation"):
        a, b = getattr(none, name), getattr(some, name)
        assert (a.dtype, a.shape[1:]) == (b.dtype, b.shape[1:])
