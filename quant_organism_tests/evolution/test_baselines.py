"""Random search, TPE and CMA-ES: on the engine's own ground, to the bit, better than chance where it can be."""

import numpy as np
import pytest

from quant_organism.backtest import Evaluator
from quant_organism.errors import InputError
from quant_organism.evolution.baselines import BASELINES, baseline_search, baselines_named
from quant_organism.evolution.candidates import choose_candidates
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.measuring import BatchFailure
from quant_organism.evolution.proposals import listen, measured
from quant_organism.evolution.proposers import CmaEs, RandomSearch, Tpe
from quant_organism.evolution.source import GenomeSource
from quant_organism.strategies import default_genome, get_family

FAMILIES = ("atr_stop_loss", "composite", "donchian_breakout", "ema_crossover", "funding_rate_carry", "rsi_filter")
EVALUATIONS = 130


def searched(name, panel, spec, costs, *, seed=3, threads=2, **more):
    executor = ThreadExecutor(panel, costs, Evaluator(threads=threads))
    sequence = np.random.SeedSequence(seed)
    source = GenomeSource(panel, costs, Evaluator(threads=threads))
    return baseline_search(
        name, spec, FAMILIES, executor, source=source, seed=sequence, evaluations=EVALUATIONS, **more
    )


@pytest.fixture(scope="module", params=BASELINES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def result(name, panel, spec, costs, told):
    told.clear()
    return searched(
        name, panel, spec, costs, on_measured=lambda number, done, seen: told.append((number, done, seen.hash))
    )


def test_each_evaluation_is_of_another_genome_and_all_are_counted(result, told, panel):
    hashes = [genome.hash for genome in result.trials.genomes] + [flaw.hash for flaw in result.rejected]
    assert len(hashes) == len(set(hashes)) == result.spent.evaluations == EVALUATIONS
    assert [genome for _, done, _ in told for part in done for genome in part.genomes] == list(result.trials.genomes)
    assert [number for number, _, _ in told] == sorted({number for number, _, _ in told})
    assert {seen for _, _, seen in told} == {panel.hash}


def test_equal_seeds_give_equal_trials_on_any_number_of_threads(name, panel, spec, costs, result):
    again = searched(name, panel, spec, costs, threads=1)
    assert again.trials.genomes == result.trials.genomes
    assert again.trials.daily_returns.tobytes() == result.trials.daily_returns.tobytes()
    assert searched(name, panel, spec, costs, seed=4).trials.genomes != result.trials.genomes


def test_the_engine_s_constraints_hold(result, spec):
    enough = result.trials.metrics["trades"] >= spec.min_trades
    assert not result.trials.feasible[~enough].any()
    assert result.trials.feasible.any()
    assert not result.trials.on_front[~result.trials.feasible].any()


def test_every_family_takes_part_except_trees_in_cma_es(name, result):
    found = {genome.family for genome in result.trials.genomes}
    assert found == set(FAMILIES) - ({"composite"} if name == "cmaes" else set())


def test_the_same_final_choice_can_be_made(result, panel, spec, costs, evaluator):
    spec = spec.model_copy(update={"champions": 1})
    committee, champion = choose_candidates(result.trials, spec, panel, costs, evaluator)
    assert len(committee.committee.members) >= 3
    best = result.trials.genomes[
        int(np.nanargmax(np.where(result.trials.feasible, result.trials.metrics["sharpe"], -9)))
    ]
    assert champion.committee.members[0].genome == best


def test_lost_batches_end_a_search_that_gets_nothing_measured(name, spec, panel, costs, evaluator):
    class Broken:
        workers = 1

        def measure(self, batches):
            yield 0, BatchFailure("the worker ran out of memory")

    source = GenomeSource(panel, costs, evaluator)
    found = baseline_search(
        name, spec, FAMILIES, Broken(), source=source, seed=np.random.SeedSequence(0), evaluations=50
    )
    assert (len(found.trials), found.spent.evaluations) == (0, 0)
    assert found.stopped_by == "nothing new could be measured"
    assert {batch.reason for batch in found.lost} == {"the worker ran out of memory"}


def squared_distance(genome, target):
    """Return the mean squared distance of the numbers of a genome from a target's, in units of their ranges."""
    ranges = [spec for spec in get_family(target.family).genes if spec.kind != "choice"]
    if genome.family != target.family:
        return 1.0
    gaps = [(genome.genes[s.name] - target.genes[s.name]) / (s.high - s.low) for s in ranges]
    return float(np.mean(np.square(gaps)))


def best_after(proposer, evaluations, target):
    def measure(genomes, number):
        return [measured(genome, genome, (-squared_distance(genome, target), 0.0, 0)) for genome in genomes]

    return -max(result.fitness for result in listen(proposer, measure, budget=evaluations))


@pytest.mark.parametrize("make", [CmaEs, lambda families, rng: Tpe(families, rng, 30)], ids=["cmaes", "tpe"])
def test_a_bowl_over_the_genes_of_one_family_is_descended(make, panel, costs, evaluator):
    families, target = ("ema_crossover", "rsi_filter"), default_genome("ema_crossover")
    source = GenomeSource(panel, costs, evaluator)
    by_chance = best_after(RandomSearch(families, source, np.random.default_rng(0)), 200, target)
    assert best_after(make(families, np.random.default_rng(0)), 200, target) < 0.7 * by_chance


def test_the_margin_of_cma_es_keeps_every_choice_within_reach():
    proposer, late = CmaEs(("rsi_filter",), np.random.default_rng(0)), []
    for number in range(40):
        genomes = proposer.ask(1_000)
        modes = [genome.genes["operation_mode"] for genome in genomes]
        worth = [(float(mode == "reversion"), 0.0, 0) for mode in modes]
        proposer.tell([measured(genome, genome, own) for genome, own in zip(genomes, worth, strict=True)])
        late += modes if number >= 20 else []
    assert 0 < late.count("trend_filter") < late.count("reversion")


@pytest.mark.parametrize(
    ("names", "families", "message"),
    [
        (["random", "grid"], FAMILIES, "'grid' is no search"),
        (["tpe", "tpe"], FAMILIES, "named twice"),
        (["cmaes"], ["composite"], "none of composite"),
    ],
)
def test_what_cannot_be_compared_is_refused(names, families, message):
    with pytest.raises(InputError, match=message):
        baselines_named(names, families)
