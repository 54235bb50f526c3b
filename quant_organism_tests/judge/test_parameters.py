"""Spaces of parameters and what is tried of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.judge import trials_of
from quant_organism.judge.parameters import ParameterRange

SPACE = {"a": [1, 2, 3], "b": ParameterRange(low=0.5, high=2.5, step=0.5), "c": "fixed"}


def test_all_combinations_are_tried_where_the_budget_holds_them() -> None:
    trials = trials_of(SPACE, 15, 0)
    assert len({tuple(trial.items()) for trial in trials}) == len(trials) == 15
    assert {trial["b"] for trial in trials} == {0.5, 1.0, 1.5, 2.0, 2.5}
    assert trials == trials_of(SPACE, None, 7)


@given(budget=st.integers(1, 14), seed=st.integers(0, 100))
def test_a_budget_draws_different_trials_of_the_space(budget: int, seed: int) -> None:
    every = {tuple(trial.items()) for trial in trials_of(SPACE, None, 0)}
    drawn = trials_of(SPACE, budget, seed)
    assert len({tuple(trial.items()) for trial in drawn}) == budget
    assert {tuple(trial.items()) for trial in drawn} <= every
    assert drawn == trials_of(SPACE, budget, seed)


def test_whole_numbers_stay_whole_and_both_ends_belong_to_a_range() -> None:
    assert ParameterRange(low=10, high=30, step=10).values == (10, 20, 30)
    assert all(isinstance(value, int) for value in ParameterRange(low=1, high=9, step=4).values)


def test_what_cannot_be_tried_is_refused() -> None:
    with pytest.raises(InputError, match="no value"):
        trials_of({"a": []}, None, 0)
    with pytest.raises(InputError, match="give a budget"):
        trials_of({name: ParameterRange(low=1, high=100, step=1) for name in "abc"}, None, 0)
    with pytest.raises(ValueError, match="no range"):
        ParameterRange(low=3, high=1, step=1)
