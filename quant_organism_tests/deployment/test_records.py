"""Evidence and performance keep what was measured, say what was not, and stay short."""

import math

import pytest

from quant_organism.deployment.records import PerformanceSummary, StageEvidence
from quant_organism.validation.verdict import Verdict, at_least, at_most
from quant_organism_tests.deployment.documents import observation, provenance


def verdict(status: str) -> Verdict:
    return Verdict("in_sample", status, status, 1.0, 0.5, 30, f"it {status}")


@pytest.mark.parametrize(
    ("statuses", "stage"),
    [
        (["passed", "passed"], "passed"),
        (["passed", "not_run"], "not_run"),
        (["not_run", "failed", "passed"], "failed"),
    ],
)
def test_a_stage_passes_only_if_every_gate_ran_and_passed(statuses, stage):
    assert StageEvidence.of([verdict(status) for status in statuses], {}).status == stage


def test_evidence_holds_what_the_gates_saw_and_their_bounds():
    found = StageEvidence.of(
        [at_least("in_sample", "sharpe", 1.23456789, 1.0, 300), at_most("in_sample", "max_drawdown", 0.2, 0.15, 300)],
        {"trades": 41.0, "win_rate": math.nan, "profit_factor": math.inf},
    )
    assert found.metrics == {
        "trades": 41.0, "win_rate": None, "profit_factor": None, "sharpe": 1.23457, "max_drawdown": 0.2,
    }  # fmt: skip
    assert found.thresholds == {"sharpe": 1.0, "max_drawdown": 0.15}
    assert found.status == "failed"
    assert "max drawdown 0.2" in found.reason


def test_folding_keeps_the_extremes_and_the_span_and_ignores_what_is_undefined():
    summary = None
    for day, sharpe in enumerate([0.5, None, -1.5, 2.5], start=1):
        summary = PerformanceSummary.of(summary, observation(day, sharpe))
    assert summary.records == 4
    assert (summary.first_observed_at, summary.last_observed_at) == ("2025-06-01T00:00:00Z", "2025-06-04T00:00:00Z")
    assert (summary.worst_sharpe, summary.best_sharpe, summary.max_drawdown) == (-1.5, 2.5, 0.0456)


def test_a_cycle_is_known_by_its_data_search_and_seed_and_not_by_the_code_that_ran_it():
    cycle = provenance().cycle_id
    assert cycle.startswith("world-demo-0a1b2c/2025-05-31/")
    assert provenance(code_version="0.2.0").cycle_id == cycle
    for field, value in {"seed": 8, "panel_hash": "c" * 64, "spec_hash": "c" * 64, "date": "2025-06-01"}.items():
        assert provenance(**{field: value}).cycle_id != cycle
