"""What the pool says of a newcomer: numbers that do not depend on the order of anybody's arrival."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.deployment.selection import neighbours
from quant_organism.errors import InputError

DAYS = 400


def returns_of(*names, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0.001, 0.01, DAYS) for name in names}


def test_others_are_counted_where_they_are():
    pool = {"a": "shadow", "b": "shadow", "c": "paper", "d": "live", "e": "decaying", "f": "born", "g": "retired"}
    numbers = neighbours("a", pool, returns_of(*pool)).numbers
    assert (numbers["in_shadow"], numbers["seated"]) == (1, 2)


def test_an_empty_pool_is_like_nobody():
    found = neighbours("a", {}, returns_of("a"))
    assert found.nearest is None
    assert [found.numbers[kind] for kind in ("near_living", "near_judged", "near_seated")] == [-1.0] * 3


def test_whom_it_is_like_and_whose_seat_it_stands_by_for():
    returns = returns_of("new", "paper", "gone", "watched", "judged")
    returns["paper"] = returns["new"] + 0.8 * returns["paper"]
    returns["watched"] = returns["new"] + 0.1 * returns["watched"]
    returns["judged"] = returns["new"] + 0.5 * returns["judged"]
    pool = {"paper": "paper", "gone": "decaying", "watched": "shadow"}
    found = neighbours("new", pool, returns, judged=["judged"])
    for kind, other in (("near_living", "watched"), ("near_seated", "paper"), ("near_judged", "judged")):
        assert found.numbers[kind] == pytest.approx(np.corrcoef(returns["new"], returns[other])[0, 1])
    assert found.nearest == "watched"
    assert (found.holder, found.numbers["holder_decaying"]) == ("paper", 0.0)
    assert neighbours("new", {**pool, "paper": "decaying"}, returns).numbers["holder_decaying"] == 1.0


def test_who_would_need_two_seats_stands_by_for_none():
    returns = returns_of("new", "left", "right")
    for other in ("left", "right"):
        returns[other] = returns["new"] + 0.5 * returns[other]
    assert neighbours("new", {"left": "paper", "right": "live"}, returns).holder is None


def test_returns_that_do_not_vary_are_like_nobody_and_leave_the_number_unknown():
    returns = returns_of("busy") | {"idle": np.zeros(DAYS), "flat": np.full(DAYS, 0.001)}
    assert "near_living" not in neighbours("idle", {"busy": "shadow"}, returns).numbers
    assert neighbours("busy", {"flat": "shadow"}, returns).numbers["near_living"] == -1.0


def test_gaps_missing_and_uneven_returns_are_errors_that_name_the_strategy():
    returns = returns_of("a", "b")
    with pytest.raises(InputError, match="no daily returns of b"):
        neighbours("a", {"b": "shadow"}, {"a": returns["a"]})
    with pytest.raises(InputError, match="399"):
        neighbours("a", {"b": "shadow"}, {**returns, "b": returns["b"][1:]})
    returns["a"][17] = np.nan
    with pytest.raises(InputError, match="index 17 is nan") as caught:
        neighbours("a", {"b": "shadow"}, returns)
    assert caught.value.where == "a"


@given(seed=st.integers(0, 1_000), order=st.randoms(use_true_random=False))
def test_the_order_of_the_pool_does_not_matter(seed, order):
    stages = ["shadow", "paper", "decaying", "live", "shadow"]
    pool = {f"s{i}": stage for i, stage in enumerate(stages)}
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.01, 60)
    returns = {name: rng.uniform(0, 2) * common + rng.normal(0, 0.01, 60) for name in [*pool, "new"]}
    shuffled = list(pool.items())
    order.shuffle(shuffled)
    assert neighbours("new", dict(shuffled), returns) == neighbours("new", pool, returns)
