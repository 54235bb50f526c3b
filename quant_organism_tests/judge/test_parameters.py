"""Spaces of parameters and what is tried of them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.judge import CallableSpec, load_spec, trials_of, with_space
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
    with pytest.raises(ValueError, match="no step"):
        ParameterRange(low=0.5, high=2)


WRITTEN = """
kind: callable
file: strategy.py
parameters:
  fast: {low: 5, high: 40}
  slow: [20, 50, 100]
  width: {low: 0.5, high: 1.5, step: 0.25}
  side: [both, long]
  whole: true
budget: 7
"""

SAID = ("fast=5:40", "slow=20,50,100", "width=0.5:1.5:0.25", "side=both,long", "whole=true")


def read(folder: Path, text: str):
    (folder / "strategy.py").write_text("def signal(panel, **parameters):\n    return 0 * panel.close\n")
    (folder / "judge.yaml").write_text(text)
    return load_spec(str(folder / "judge.yaml"))[0]


def test_a_space_said_by_options_is_the_one_of_a_document(tmp_path: Path) -> None:
    written = read(tmp_path, WRITTEN)
    said = with_space(load_spec(str(tmp_path / "strategy.py"))[0], SAID, 7)
    assert said == written
    assert isinstance(said, CallableSpec)
    assert isinstance(written, CallableSpec)
    strategy = said.strategy(tmp_path)
    assert strategy.n_trials == 7
    assert strategy.identity == written.strategy(tmp_path).identity
    assert {type(trial["fast"]) for trial in strategy.trials} == {int}


def test_options_stand_before_the_parameters_of_a_document(tmp_path: Path) -> None:
    changed = with_space(read(tmp_path, WRITTEN), ("slow=30", "other=1"), 3)
    assert isinstance(changed, CallableSpec)
    assert changed.parameters["slow"] == 30
    assert changed.parameters["other"] == 1
    assert changed.parameters["side"] == ["both", "long"]
    assert changed.budget == 3


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{low: 9, high: 3}", "9:3"),
        ("{low: 1, high: 3, step: 0}", "1:3:0"),
        ("{low: 0.5, high: 3}", "0.5:3"),
        ("{low: a, high: b}", "a:b"),
        ("[1, null]", "1,"),
        ("2025-01-01", "2025-01-01"),
        ("", ""),
    ],
)
def test_what_a_document_may_not_say_an_option_may_not_either(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(InputError) as in_document:
        read(tmp_path, f"kind: callable\nfile: strategy.py\nparameters:\n  fast: {written}\n")
    with pytest.raises(InputError) as in_option:
        with_space(load_spec(str(tmp_path / "strategy.py"))[0], (f"fast={said}",))
    assert in_option.value.what == in_document.value.what
    assert "parameters.fast" in str(in_option.value.where)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("fast",), "no list and no range"),
        (("=3",), "no list and no range"),
        (("fast=1:2:3:4",), "no list and no range"),
        (("fast=1,2:3",), "no list and no range"),
        (("fast=1", "fast=2"), "said twice"),
        (("fast=[1",), "not YAML"),
        (("fast=*all",), "alias"),
    ],
)
def test_an_option_that_is_no_space_is_refused(tmp_path: Path, options: tuple[str, ...], found: str) -> None:
    with pytest.raises(InputError, match=found):
        with_space(read(tmp_path, WRITTEN), options)


def test_only_code_has_a_space_and_only_searches_have_a_budget(tmp_path: Path) -> None:
    listed, _ = load_spec("proposals")
    assert with_space(listed, (), 3).budget == 3  # type: ignore[union-attr]
    with pytest.raises(InputError, match="proposals: no code with parameters"):
        with_space(listed, ("fast=1",))
    (tmp_path / "judge.yaml").write_text("kind: document\nfile: dip.yaml\n")
    one, _ = load_spec(str(tmp_path / "judge.yaml"))
    with pytest.raises(InputError, match="document: no search"):
        with_space(one, (), 3)
