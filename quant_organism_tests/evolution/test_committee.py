"""Committees: their identity, their members' order, and what the final choice picks."""

import hashlib

import numpy as np
import orjson
import polars as pl
import pytest

from quant_organism.errors import InputError, IntegrityError
from quant_organism.evolution.candidates import ORIGINS
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.records import read_candidates
from quant_organism.strategies import Committee, random_genome


@pytest.fixture(scope="module")
def genomes():
    rng = np.random.default_rng(0)
    return [random_genome(rng) for _ in range(6)]


def test_weights_are_normalised_and_order_does_not_matter(genomes):
    committee = Committee.of(genomes, [1, 2, 3, 4, 5, 6])
    shuffled = Committee.of(genomes[::-1], [6, 5, 4, 3, 2, 1])
    assert committee.id == shuffled.id
    assert sum(committee.weights) == pytest.approx(1.0, abs=1e-11)
    assert committee.id.startswith("committee_0_")


def test_a_committee_of_one_is_its_genome(genomes):
    assert Committee.of(genomes[:1]).id == genomes[0].id


def test_impossible_committees_are_errors(genomes):
    members = Committee.of(genomes).members
    rng = np.random.default_rng(1)
    crowd = [random_genome(rng) for _ in range(31)]
    for wrong in ((), (members[0], members[0]), members[::-1], members[:3]):
        with pytest.raises(InputError):
            Committee(wrong)
    with pytest.raises(InputError, match="1 to 30 members, not 31"):
        Committee.of(crowd)


def test_one_genome_may_be_a_member_with_several_assets_but_not_twice_with_the_same(genomes):
    genome = genomes[0]
    committee = Committee.of([genome] * 3, [1, 2, 1], [("S1",), (), ("S0",)])
    assert [member.assets for member in committee.members] == [(), ("S0",), ("S1",)]
    assert committee.id == Committee.of([genome] * 3, [1, 1, 2], [("S0",), ("S1",), ()]).id
    assert committee.id != Committee.of([genome] * 3, [1, 1, 2], [("S0",), ("S2",), ()]).id
    with pytest.raises(InputError, match="repeated"):
        Committee.of([genome] * 2, None, [("S0",), ("S0",)])


def test_a_genome_on_some_assets_is_another_strategy_than_the_genome(genomes):
    assert Committee.of(genomes[:1], None, [()]).id == genomes[0].id
    restricted = Committee.of(genomes[:1], None, [("S1", "S0")])
    assert restricted.members[0].assets == ("S0", "S1")
    assert restricted.id.startswith("committee_0_")


def test_committees_without_restrictions_keep_the_identity_that_they_always_had():
    rng = np.random.default_rng(0)
    pair = [random_genome(rng, "ema_crossover"), random_genome(rng, "rsi_filter")]
    content = [[genome.hash, 0.5] for genome in sorted(pair, key=lambda genome: genome.hash)]
    digest = hashlib.sha256(orjson.dumps(content)).hexdigest()
    assert Committee.of(pair).id == f"committee_0_{digest[:8]}"


def test_a_committee_earns_the_weighted_mean_of_its_members(panel, costs, evaluator, genomes):
    committee = Committee.of(genomes[:3], [1, 1, 2])
    together = evaluator.evaluate_committees([committee], panel, costs)
    alone = evaluator.evaluate_committees([Committee.of([genome]) for genome in committee.genomes], panel, costs)
    np.testing.assert_allclose(together.bar_returns[0], committee.weights @ alone.bar_returns, atol=1e-15)
    assert together.metrics["trades"][0] == alone.metrics["trades"].sum()


def test_the_committee_comes_first_and_champions_are_not_clones(panel, spec, costs, evaluator):
    result = evolve(panel, spec.model_copy(update={"champions": 4}), costs, evaluator, seed=3)
    assert result.candidates[0].origin in ORIGINS.values()
    assert len({candidate.id for candidate in result.candidates}) == len(result.candidates)
    champions = [c.committee for c in result.candidates if c.origin == "champion"]
    returns = evaluator.evaluate_committees(champions, panel, costs).daily_returns
    correlation = np.corrcoef(returns) - np.eye(len(champions))
    assert len(champions) >= 2
    assert correlation.max() <= spec.max_correlation + 1e-9


def test_a_frame_whose_members_were_altered_is_refused(panel, spec, costs, evaluator):
    members = evolve(panel, spec, costs, evaluator, seed=3).candidate_members
    altered = members.with_columns(pl.col("candidate").str.replace("committee", "genius"))
    with pytest.raises(IntegrityError, match="materialise evolved_population again"):
        read_candidates(altered)
