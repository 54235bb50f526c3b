"""The final choice: what committees are made of, who is let in, and how members are weighed."""

import numpy as np
import pytest

from quant_organism.evolution.candidates import ORIGINS, WITHOUT_EVIDENCE, EdgeEvidence, choose_candidates, composition
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.search import search
from quant_organism.evolution.source import GenomeSource

MODES = tuple(ORIGINS)


@pytest.fixture(scope="module")
def trials(panel, spec, costs, evaluator):
    executor = ThreadExecutor(panel, costs, evaluator)
    source = GenomeSource(panel, costs, evaluator)
    return search(spec, spec.families, executor, source=source, seed=np.random.SeedSequence(3)).trials


@pytest.fixture(scope="module")
def choose(trials, spec, panel, costs, evaluator):
    def chosen(evidence=None, **fields):
        changed = spec.model_copy(update=fields)
        return choose_candidates(trials, changed, panel, costs, evaluator, evidence=evidence)

    return chosen


@pytest.fixture(scope="module")
def measure(panel, costs, evaluator):
    def measured(committee):
        assets = [member.assets for member in committee.members]
        return evaluator.evaluate(committee.genomes, panel, costs, assets=assets)

    return measured


@pytest.mark.parametrize(
    ("choice", "evidence", "expected"),
    [
        ("auto", EdgeEvidence(pooled_p=0.05, per_asset_p=0.9), "pooled"),
        ("auto", EdgeEvidence(pooled_p=0.01, per_asset_p=0.01), "pooled"),
        ("auto", EdgeEvidence(pooled_p=0.06, per_asset_p=0.05), "per_asset"),
        ("auto", EdgeEvidence(pooled_p=0.06, per_asset_p=0.06), "own_assets"),
        ("auto", None, WITHOUT_EVIDENCE),
        ("per_asset", EdgeEvidence(pooled_p=0.01, per_asset_p=0.9), "per_asset"),
        ("pooled", None, "pooled"),
    ],
)
def test_evidence_decides_what_a_committee_is_made_of_unless_the_spec_does(choice, evidence, expected):
    assert composition(choice, evidence) == expected


def test_evidence_reaches_the_committee(choose):
    assert choose(EdgeEvidence(pooled_p=0.5, per_asset_p=0.01))[0].origin == ORIGINS["per_asset"]


@pytest.mark.parametrize("choice", MODES)
def test_there_is_one_committee_and_no_more_champions_than_asked_for(choose, choice):
    candidates = choose(choice=choice, champions=2)
    assert [candidate.origin for candidate in candidates] == [ORIGINS[choice], "champion", "champion"]
    assert [candidate.origin for candidate in choose(choice=choice, champions=0)] == [ORIGINS[choice]]


@pytest.mark.parametrize("choice", MODES)
def test_members_traded_enough_differ_and_carry_equal_risk(choose, measure, spec, choice):
    committee = choose(choice=choice)[0].committee
    found = measure(committee)
    assert found.metrics["trades"].min() >= spec.min_trades
    assert len({returns.tobytes() for returns in found.daily_returns}) == len(committee.members)
    risk = committee.weights * found.daily_returns.std(axis=1)
    np.testing.assert_allclose(risk, risk[0], rtol=1e-6)


@pytest.mark.parametrize("choice", MODES)
@pytest.mark.parametrize("size", [4, 30])
def test_no_committee_is_larger_than_it_may_be(choose, choice, size):
    committee = choose(choice=choice, committee_size=size, committee_fraction=0.5)[0].committee
    assert len(committee.members) == size


def test_a_pooled_committee_has_the_best_on_all_assets(choose, trials):
    committee = choose(choice="pooled", committee_fraction=0.1)[0].committee
    assert all(member.assets == () for member in committee.members)
    sharpe = dict(zip((genome.hash for genome in trials.genomes), trials.metrics["sharpe"], strict=True))
    least = min(sharpe[genome.hash] for genome in committee.genomes)
    better = {r.tobytes() for r in trials.daily_returns[trials.feasible & (trials.metrics["sharpe"] >= least)]}
    assert len(committee.members) == len(better)


def test_a_committee_per_asset_seats_each_asset_in_turn(choose, trials, measure, panel):
    committee = choose(choice="per_asset", committee_size=6, max_correlation=1.0)[0].committee
    assert sorted(member.assets for member in committee.members) == sorted((s,) for s in panel.symbols for _ in "12")
    found = measure(committee)
    for column, symbol in enumerate(panel.symbols):
        seated = [place for place, member in enumerate(committee.members) if member.assets == (symbol,)]
        own = found.asset_metrics["sharpe"][seated, column]
        np.testing.assert_allclose(own, found.metrics["sharpe"][seated], rtol=1e-9)
        # Few did better there, and those traded too little or did the same.
        assert (trials.asset_sharpe[trials.feasible, column] > own.min()).mean() < 0.3


def test_units_on_assets_of_their_own_are_ranked_with_those_on_all(choose, trials, measure):
    committee = choose(choice="own_assets", max_correlation=1.0)[0].committee
    pooled = choose(choice="pooled", max_correlation=1.0)[0].committee
    assert len(committee.members) == len(pooled.members)
    assert measure(committee).metrics["sharpe"].min() >= measure(pooled).metrics["sharpe"].min()


def test_seats_go_first_to_those_that_differ(choose, measure):
    def mean_correlation(limit):
        chosen = choose(choice="pooled", committee_size=5, committee_fraction=1.0, max_correlation=limit)[0]
        correlation = np.corrcoef(measure(chosen.committee).daily_returns)
        return correlation[np.triu_indices(5, 1)].mean()

    assert mean_correlation(0.7) < mean_correlation(1.0)


def test_a_limit_that_nobody_meets_still_fills_the_seats(choose):
    assert len(choose(choice="pooled", committee_fraction=0.1, max_correlation=0.0)[0].committee.members) == len(
        choose(choice="pooled", committee_fraction=0.1, max_correlation=1.0)[0].committee.members
    )


def test_where_nobody_traded_enough_on_one_asset_no_committee_is_made_of_single_assets(choose, trials):
    most = int(trials.metrics["trades"].max())
    assert [c.origin for c in choose(choice="per_asset", min_trades=most, champions=4)] == ["champion"] * 4
