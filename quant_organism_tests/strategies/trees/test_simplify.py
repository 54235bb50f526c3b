"""Simplification cuts branches and changes no vote."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies.trees.evaluation import first_bar
from quant_organism.strategies.trees.primitives import Tree, depth, size
from quant_organism.strategies.trees.simplify import ALWAYS, NEVER, is_dead, simplified
from quant_organism_tests.strategies.scenarios import noisy
from quant_organism_tests.strategies.trees.growing import CLOSE, FALLS, LANGUAGE, RISES, conditions, votes


@settings(max_examples=150, deadline=None)
@given(long=conditions, short=conditions, seed=st.integers(0, 5))
def test_a_simplified_vote_is_the_same_vote(long: Tree, short: Tree, seed: int) -> None:
    vote = ("vote", long, short)
    short_form = simplified(vote)
    columns = noisy(seed, 120)
    first = first_bar(LANGUAGE, vote)
    whole = votes([vote], columns)[0, first:]
    np.testing.assert_array_equal(votes([short_form], columns)[0, first:], whole)
    assert size(short_form) <= max(size(vote), size(("vote", ALWAYS, RISES)))
    assert depth(short_form) <= max(depth(vote), 4)
    assert first_bar(LANGUAGE, short_form) <= first
    assert simplified(short_form) == short_form
    if is_dead(vote):
        assert np.unique(whole).size == 1


HIGHER: Tree = ("gt", ("rsi", 5), 60.0)


@pytest.mark.parametrize(
    ("condition", "short_form"),
    [
        (("not", ("not", RISES)), RISES),
        (("not", ("not", ("not", RISES))), ("not", RISES)),
        (("and", RISES, RISES), RISES),
        (("or", RISES, RISES), RISES),
        (("and", RISES, ("not", RISES)), NEVER),
        (("or", ("not", RISES), RISES), ALWAYS),
        (("and", RISES, ("gt", CLOSE, CLOSE)), NEVER),
        (("or", RISES, ("cross_above", ("ema", 9), ("ema", 9))), RISES),
        (("and", RISES, ("or", RISES, HIGHER)), RISES),
        (("or", ("and", HIGHER, RISES), RISES), RISES),
        (("and", ("and", HIGHER, RISES), RISES), ("and", HIGHER, RISES)),
        (("and", RISES, ("gt", ("relative", CLOSE, CLOSE), -0.01)), RISES),
        (("or", RISES, ("lt", ("efficiency_ratio", 9), 0.0)), RISES),
        (("and", RISES, ("gt", ("efficiency_ratio", 9), -0.001)), RISES),
        (("held_for", ("lt", CLOSE, CLOSE), 5), NEVER),
        (("held_for", ("not", ("not", RISES)), 5), ("held_for", RISES, 5)),
    ],
)
def test_dead_branches_are_cut(condition: Tree, short_form: Tree) -> None:
    assert simplified(("vote", condition, FALLS)) == ("vote", short_form, FALLS)


@pytest.mark.parametrize(
    "vote",
    [
        ("vote", RISES, RISES),
        ("vote", RISES, ("not", ("not", RISES))),
        ("vote", ("and", RISES, ("not", RISES)), ("gt", CLOSE, CLOSE)),
        ("vote", ("or", RISES, ("not", RISES)), ("gt", CLOSE, CLOSE)),
    ],
)
def test_a_vote_that_never_changes_is_dead_and_left_as_it_is(vote: Tree) -> None:
    assert is_dead(vote)
    assert simplified(vote) == vote


def test_what_may_change_is_alive() -> None:
    assert not is_dead(("vote", RISES, FALLS))
    assert not is_dead(("vote", RISES, NEVER))
    assert not is_dead(("family", "rsi_filter"))
