"""Survivors become documents with their evidence; the fallen do not."""

from dataclasses import replace

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.birth import born_documents, earned, scored_returns
from quant_organism.deployment.config import StrategyConfig
from quant_organism.validation.records import read_reviewed
from quant_organism_tests.chain import PROVENANCE, edge, luck


def documents(found):
    return born_documents(reviewed(found), panel=found.panel, provenance=PROVENANCE, at="2024-06-01")


def reviewed(found):
    return read_reviewed(found.search.candidates, found.summary, found.verdicts)


@pytest.fixture(scope="module")
def born() -> list[StrategyConfig]:
    return documents(edge())


def test_each_survivor_has_a_document_and_nobody_else(born):
    survivors = edge().survivors
    assert [document.id for document in born] == [review.candidate.id for review in survivors]
    assert all(document.stage == "born" for document in born)
    assert documents(luck()) == []


def test_fitness_is_the_sharpe_ratio_on_unseen_days(born):
    assert [d.fitness for d in born] == edge().summary.filter("passed")["score"].to_list()


def test_the_evidence_of_every_stage_is_in_the_document(born):
    for document in born:
        assert list(document.evidence) == ["in_sample", "out_of_sample", "walk_forward", "holdout"]
        assert all(found.status == "passed" for found in document.evidence.values())
        assert document.evidence["holdout"].metrics["luck"] <= document.evidence["holdout"].thresholds["luck"]


def test_candidates_come_back_from_their_tables_as_they_were_reviewed():
    for kept, review in zip(reviewed(edge()), edge().reviews, strict=True):
        assert (kept.candidate, kept.standing, kept.why) == (review.candidate, review.standing, review.why)
        judged = [(judgement.verdict, judgement.goals) for judgement in review.judgements]
        assert repr([(judgement.verdict, judgement.goals) for judgement in kept.judgements]) == repr(judged)


def test_who_survived_may_go_as_far_as_it_has_earned_and_says_what_decided():
    how_far = earned(reviewed(edge()))
    assert list(how_far) == [review.candidate.id for review in edge().survivors]
    for review in edge().survivors:
        found = how_far[review.candidate.id]
        assert (found.proven, found.why) == (review.standing == "paper", review.why)
        judged = {judgement.verdict.gate: judgement.verdict for judgement in review.judgements}
        assert found.numbers["unseen_p"] == judged["holdout_mean"].value
        assert found.n["unseen_p"] == judged["holdout_mean"].n_used
        assert found.numbers["gates"] == 1.0
        assert "pretest_p" not in found.numbers  # it was not made here
        assert len(found.source) == 16
    assert earned(reviewed(luck())) == {}


def test_the_best_on_unseen_days_come_first():
    kept = next(review for review in reviewed(edge()) if review.standing != "fallen")
    made = born_documents(
        [replace(kept, score=score) for score in (1.0, 2.0)], panel=edge().panel, provenance=PROVENANCE, at="2024-06-01"
    )
    assert [document.fitness for document in made] == [2.0, 1.0]


def test_a_document_survives_the_round_trip(born):
    for document in born:
        assert StrategyConfig.from_json(document.to_json(), where="test") == document


def test_returns_for_the_comparison_are_those_of_validation():
    found = edge()
    committees = [candidate.committee for candidate in found.search.candidates]
    returns = scored_returns(committees, found.panel, found.splits, Costs(), Evaluator(threads=1))
    for row, candidate in enumerate(found.search.candidates):
        judged = [found.grounds.measured(span).daily_returns[row] for span in ("in_sample", "holdout")]
        np.testing.assert_array_equal(returns[candidate.id], np.concatenate(judged))
    assert scored_returns([], found.panel, found.splits, Costs(), Evaluator(threads=1)) == {}
