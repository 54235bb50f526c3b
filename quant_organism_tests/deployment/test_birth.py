"""Survivors become documents with their evidence; the fallen do not."""

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.birth import born_documents, scored_returns
from quant_organism.deployment.config import StrategyConfig
from quant_organism_tests.chain import PROVENANCE, edge, luck


def documents(found):
    return born_documents(
        found.search.candidates,
        found.summary,
        found.verdicts,
        panel=found.panel,
        provenance=PROVENANCE,
        at="2024-06-01",
    )


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
