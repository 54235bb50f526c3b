"""Survivors become documents with their evidence; the fallen do not."""

from dataclasses import replace
from functools import cache

import numpy as np
import orjson
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import SIZES_USD
from quant_organism.deployment.birth import born_documents, earned, kept_share, scored_returns
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.executed import accounts_frame, execute_strategy, read_accounts
from quant_organism.deployment.tables import AccountTable
from quant_organism.validation.gauntlet import Judgement
from quant_organism.validation.records import read_reviewed
from quant_organism.validation.verdict import Verdict
from quant_organism_tests.chain import PROVENANCE, edge, luck


@cache
def executed(found):
    return {
        review.candidate.id: execute_strategy(
            review.candidate.committee, found.panel, found.splits, Costs(), 10_000.0, found.grounds.evaluator
        )
        for review in found.survivors
    }


SEARCHED = Judgement(Verdict("significance", "search_luck", "passed", 0.01, 0.05, 99, "p = 0.01"), ())


def documents(found):
    return born_documents(reviewed(found), executed(found), panel=found.panel, provenance=PROVENANCE, at="2024-06-01")


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


def test_a_document_carries_the_account_that_its_gates_judged(born):
    for document, run in zip(born, edge().grounds.accounts, strict=True):
        own = document.account
        assert own is not None
        assert (own.equity_usd, own.h1, own.h2) == (10_000.0, run.account.h1[:16], run.account.h2[:16])
        shown = {"sharpe", "total_return", "max_drawdown"}
        found = document.evidence["holdout"].metrics
        assert {name: getattr(own, name) for name in shown} == {name: found[name] for name in shown}
        assert own.sharpe == pytest.approx(document.fitness, rel=1e-5)


def test_what_accounts_execute_comes_back_from_its_table_and_reads_as_words():
    frame = accounts_frame(executed(edge()))
    assert AccountTable.problems(frame) == []
    assert frame.group_by("span").len().sort("span").rows() == [("in_sample", 1), ("unseen", len(SIZES_USD))]
    assert read_accounts(frame) == executed(edge())
    (one,) = executed(edge()).values()
    far = replace(one, min_equity_usd=None, capacity_usd=None, capacity_above_usd=1e9)
    said = "Slippage is assumed for every asset, 5 bps at the open and 10 bps of stops: no recorded books measure it."
    assert far.sentences == (
        "No account that was tried follows one of 1,000,000 USD.",
        "Up to 1,000,000,000 USD impact does not halve the return of the unseen days.",
        said,
    )
    none = replace(one, min_equity_usd=500.0, capacity_usd=None, capacity_above_usd=None)
    assert replace(one, slippage_said="").sentences == one.sentences[:-1]
    assert none.sentences == (
        "An account follows one of 1,000,000 USD from 500 USD on.",
        "There is no capacity: the unseen days earned nothing.",
        said,
    )
    reached = replace(none, capacity_usd=2.5e6)
    assert reached.sentences[1] == "At 2,500,000 USD impact halves the return of the unseen days."
    least = replace(none, capacity_usd=1_000.0)
    assert least.sentences[1] == "At 1,000 USD or less impact halves the return of the unseen days."
    assert len({orjson.dumps(one.to_dict()) for one in (far, none, reached)}) == 3


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
        assert (found.numbers["gates"], found.numbers["stage_days"]) == (1.0, 0)
        assert "pretest_p" not in found.numbers  # it was not made here
        assert len(found.source) == 16
    assert earned(reviewed(luck())) == {}


def test_a_near_copy_of_the_dead_may_not_take_the_door_of_the_night():
    (review, *_) = edge().survivors
    reviews = [replace(kept, judgements=(*kept.judgements, SEARCHED)) for kept in reviewed(edge())]
    id = review.candidate.id
    full, copy = (earned(reviews, nearest_dead={id: near})[id].numbers for near in (0.5, 0.51))
    assert (full["old_days"], copy["old_days"]) == (1.0, 0.0)
    assert full["starting_wealth"] > 1.0 >= copy["starting_wealth"]


def test_the_best_on_unseen_days_come_first():
    kept = next(review for review in reviewed(edge()) if review.standing != "fallen")
    made = born_documents(
        [replace(kept, score=score) for score in (1.0, 2.0)],
        executed(edge()),
        panel=edge().panel,
        provenance=PROVENANCE,
        at="2024-06-01",
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


@pytest.mark.parametrize(
    ("shown", "luck", "kept"),
    [
        (5.0, 3.0, 0.4),
        (3.0, 3.0, 0.0),
        (2.0, 3.0, 0.0),
        (-1.0, 0.5, 0.0),
        (4.0, 0.0, 1.0),
        (4.0, -0.5, 1.0),
        (4.0, None, 1.0),
        (None, 2.0, 1.0),
    ],
)
def test_of_a_sharpe_ratio_in_sample_that_is_kept_which_its_search_does_not_show_by_luck(shown, luck, kept):
    assert kept_share(shown, luck) == pytest.approx(kept)
