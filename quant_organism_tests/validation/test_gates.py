"""Gates pass only what was measured and reaches its bound."""

import numpy as np
import pytest

from quant_organism.validation.holdout import Opening
from quant_organism.validation.old_gates import luck, window_consistency
from quant_organism.validation.verdict import at_least, at_most


@pytest.mark.parametrize(("value", "status"), [(1.0, "passed"), (0.99, "failed"), (np.nan, "not_run")])
def test_a_lower_bound(value, status):
    assert at_least("in_sample", "sharpe", value, 1.0, 100).status == status


@pytest.mark.parametrize(("value", "status"), [(0.15, "passed"), (0.16, "failed"), (np.nan, "not_run")])
def test_an_upper_bound(value, status):
    assert at_most("in_sample", "max_drawdown", value, 0.15, 100).status == status


def test_windows_with_a_gain_are_counted():
    returns = np.concatenate([np.full(10, 0.01), np.full(10, -0.01), np.zeros(10), np.full(10, 0.01)])
    verdict = window_consistency("walk_forward", returns, 4, 0.5)
    assert (verdict.value, verdict.status) == (0.5, "passed")


def test_windows_without_any_trade_are_not_run():
    assert window_consistency("walk_forward", np.zeros(40), 4, 0.0).status == "not_run"


def opening(nth: int = 1, candidates: int = 1) -> Opening:
    return Opening(number=nth, look="look", nth=nth, candidates=candidates)


def test_luck_is_multiplied_by_the_number_of_candidates():
    noise = np.random.default_rng(1).normal(0.0, 1.0, 300)
    returns = noise - noise.mean() + 0.12
    alone, crowd = luck(returns, opening(), 0.05), luck(returns, opening(candidates=40), 0.05)
    assert crowd.value == pytest.approx(40 * alone.value)
    assert (alone.status, crowd.status) == ("passed", "failed")


def test_luck_is_doubled_for_each_earlier_look_and_says_so():
    noise = np.random.default_rng(1).normal(0.0, 1.0, 300)
    returns = noise - noise.mean() + 0.12
    first, third = luck(returns, opening(), 0.05), luck(returns, opening(nth=3), 0.05)
    assert third.value == pytest.approx(4 * first.value)
    assert "opened for the 3rd time" in third.reason


@pytest.mark.parametrize(("returns", "words"), [(np.ones(10), "needs 30 days"), (np.zeros(100), "do not vary")])
def test_luck_without_enough_evidence_is_not_run(returns, words):
    verdict = luck(returns, opening(), 0.05)
    assert verdict.status == "not_run"
    assert words in verdict.reason
