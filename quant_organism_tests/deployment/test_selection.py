"""The pool takes the best first, nobody too like another, and no more than it has room for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.deployment.selection import choose_for_shadow
from quant_organism.errors import InputError
from quant_organism_tests.deployment.documents import document

DAYS = 400


def independent_returns(configs, seed=0):
    rng = np.random.default_rng(seed)
    return {config.id: rng.normal(0.001, 0.01, DAYS) for config in configs}


def actions(decisions):
    return [(decision.id, decision.action) for decision in decisions]


def test_the_best_come_first_until_the_pool_is_full():
    configs = [document(seed, fitness=float(seed)) for seed in range(6)]
    decisions = choose_for_shadow(configs, [], independent_returns(configs), limit=4)
    assert actions(decisions) == [
        (config.id, "deploy" if i < 4 else "wait") for i, config in enumerate(reversed(configs))
    ]
    assert [decision.reason for decision in decisions[4:]] == ["pool full: 4 of 4"] * 2


def test_a_double_of_a_better_one_waits_and_is_told_of_whom():
    best, double, other = (document(seed, fitness=3.0 - seed) for seed in range(3))
    returns = independent_returns([best, double, other])
    returns[double.id] = returns[best.id] + 0.5 * returns[double.id]
    correlation = np.corrcoef(returns[best.id], returns[double.id])[0, 1]
    decisions = choose_for_shadow([other, double, best], [], returns)
    assert actions(decisions) == [(best.id, "deploy"), (double.id, "wait"), (other.id, "deploy")]
    assert decisions[1].reason == f"correlation {correlation:.2f} with {best.id}, at most 0.70 allowed"
    assert "largest correlation" in decisions[2].reason


def test_as_alike_as_is_allowed_is_not_too_alike():
    best, other = document(0, fitness=2.0), document(1, fitness=1.0)
    up, down = 1.0, -1.0  # alike on six of eight days: a correlation of exactly one half
    returns = {
        best.id: np.array([up, down, up, down, up, down, up, down]),
        other.id: np.array([up, down, up, down, up, down, down, up]),
    }
    allowed = choose_for_shadow([best, other], [], returns, max_correlation=0.5)
    assert actions(allowed) == [(best.id, "deploy"), (other.id, "deploy")]
    refused = choose_for_shadow([best, other], [], returns, max_correlation=0.4999)
    assert actions(refused) == [(best.id, "deploy"), (other.id, "wait")]


def test_opposites_may_stand_side_by_side():
    left, right = document(0), document(1)
    returns = independent_returns([left])
    returns[right.id] = -returns[left.id]
    assert {d.action for d in choose_for_shadow([left, right], [], returns)} == {"deploy"}


def test_those_already_active_stay_and_take_their_place():
    active, same, double = document(0, fitness=0.1), document(0, fitness=0.1), document(1, fitness=9.0)
    returns = independent_returns([active])
    returns[double.id] = returns[active.id].copy()
    decisions = choose_for_shadow([same, double], [active], returns)
    assert actions(decisions) == [(active.id, "keep"), (double.id, "wait")]
    assert choose_for_shadow([double], [active], returns, limit=1)[1].reason == "pool full: 1 of 1"


def test_returns_that_do_not_vary_keep_a_newcomer_out_and_hinder_nobody():
    idle, busy, active = document(0, fitness=9.0), document(1), document(2)
    returns = independent_returns([busy])
    returns[idle.id] = np.zeros(DAYS)
    returns[active.id] = np.full(DAYS, 0.001)
    decisions = choose_for_shadow([idle, busy], [active], returns)
    assert actions(decisions) == [(active.id, "keep"), (idle.id, "wait"), (busy.id, "deploy")]
    assert decisions[1].reason == f"its returns do not vary over {DAYS} days"


def test_gaps_missing_and_uneven_returns_are_errors_that_name_the_strategy():
    config, other = document(0), document(1)
    returns = independent_returns([config, other])
    with pytest.raises(InputError, match=f"no daily returns of {other.id}"):
        choose_for_shadow([config], [other], {config.id: returns[config.id]})
    with pytest.raises(InputError, match="399"):
        choose_for_shadow([config, other], [], {**returns, other.id: returns[other.id][1:]})
    returns[config.id][17] = np.nan
    with pytest.raises(InputError, match="index 17 is nan") as caught:
        choose_for_shadow([config, other], [], returns)
    assert caught.value.where == config.id


@given(
    seed=st.integers(0, 1_000),
    fitness=st.lists(st.sampled_from([0.5, 1.0, 1.5]), min_size=1, max_size=8),
    limit=st.integers(1, 5),
    order=st.randoms(use_true_random=False),
)
def test_the_pool_never_breaks_its_limits_and_order_of_arrival_does_not_matter(seed, fitness, limit, order):
    configs = [document(i, fitness=value) for i, value in enumerate(fitness)]
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.01, 60)
    returns = {config.id: rng.uniform(0, 2) * common + rng.normal(0, 0.01, 60) for config in configs}
    decisions = choose_for_shadow(configs, [], returns, limit=limit)
    deployed = [decision.id for decision in decisions if decision.action == "deploy"]
    assert 1 <= len(deployed) <= limit
    assert all(np.corrcoef(returns[a], returns[b])[0, 1] <= 0.7 + 1e-12 for a in deployed for b in deployed if a != b)
    shuffled = list(configs)
    order.shuffle(shuffled)
    assert choose_for_shadow(shuffled, [], returns, limit=limit) == decisions
