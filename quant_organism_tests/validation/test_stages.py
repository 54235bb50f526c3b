"""Candidates are judged on what they did in each span, by every gate, and nothing passes that did not run."""

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.validation.records import returns_frame, summary_frame, verdicts_frame
from quant_organism_tests.chain import edge, judged, luck, without_tail

STAGES = ["in_sample"] * 3 + ["out_of_sample"] * 3 + ["walk_forward"] * 3 + ["holdout"]


def test_an_edge_that_is_hard_to_miss_survives():
    survivors = edge().validation.survivors
    assert survivors
    assert all(verdict.status == "passed" for review in survivors for verdict in review.verdicts)
    assert [review.score for review in survivors] == sorted([review.score for review in survivors], reverse=True)


def test_without_an_edge_nothing_survives_here():
    result = luck().validation
    assert len(result.reviews) > 0
    assert result.survivors == []


def test_every_candidate_meets_every_gate_in_the_same_order():
    for review in edge().validation.reviews:
        assert [verdict.stage for verdict in review.verdicts] == STAGES


def test_metrics_of_a_span_are_those_of_a_backtest_over_it():
    found = edge()
    span = found.splits.out_of_sample
    committees = [candidate.committee for candidate in found.search.candidates]
    measured = Evaluator(threads=1).evaluate_committees(
        committees, found.panel, Costs(), start=span.start, stop=span.stop
    )
    reviewed = [review.metrics["out_of_sample"]["sharpe"] for review in found.validation.reviews]
    np.testing.assert_array_equal(reviewed, measured.metrics["sharpe"])


def test_the_in_sample_verdict_does_not_depend_on_what_came_later():
    found = edge()
    altered = without_tail(found.panel, found.splits.unseen.stop - found.splits.unseen.start)
    again = judged(found.search.candidates, altered, found.splits)
    for before, after in zip(found.validation.reviews, again.reviews, strict=True):
        assert before.metrics["in_sample"] == after.metrics["in_sample"]


def test_returns_cover_the_scored_days_once():
    found = edge()
    days = found.validation.days
    assert len(np.unique(days)) == len(days)
    assert len(days) == (len(found.splits.in_sample) + len(found.splits.unseen)) // 24
    assert found.validation.daily_returns.shape == (len(found.validation.reviews), len(days))


def test_no_candidates_give_an_empty_result_with_frames_of_the_same_shape():
    found = edge()
    empty = judged([], found.panel, found.splits)
    assert empty.survivors == []
    for frame in (verdicts_frame, summary_frame, returns_frame):
        assert frame(empty).schema == frame(found.validation).schema
        assert len(frame(empty)) == 0


@pytest.mark.parametrize("found", [edge, luck])
def test_the_summary_agrees_with_the_verdicts(found):
    result = found().validation
    verdicts, summary = verdicts_frame(result), summary_frame(result)
    for row in summary.to_dicts():
        statuses = verdicts.filter(candidate=row["candidate"])["status"].to_list()
        assert row["passed"] == (set(statuses) == {"passed"})
