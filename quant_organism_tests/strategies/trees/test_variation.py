"""Random trees, mutants and crossings keep to types and limits, and repeat themselves from a seed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies.genes import PERIODS
from quant_organism.strategies.trees.grammar import VoteGrammar
from quant_organism.strategies.trees.primitives import PRIMITIVES, Tree, depth, size, walk
from quant_organism.strategies.trees.simplify import is_dead, simplified
from quant_organism.strategies.trees.variation import cross_votes, draw_vote, opposite
from quant_organism_tests.strategies.trees.growing import FALLS, LANGUAGE, RISES

SEEDS = st.integers(0, 2**32 - 1)
GRAMMAR = VoteGrammar(LANGUAGE)


def assert_sound(votes: tuple[tuple[Tree, ...], ...]) -> None:
    """Check all that the grammar promises of votes that it makes."""
    assert GRAMMAR.canonical(votes) == votes
    for group in votes:
        for vote in group:
            assert size(vote) <= 60
            assert depth(vote) <= 8
            assert simplified(vote) == vote
            assert not is_dead(vote)


@settings(deadline=None)
@given(SEEDS)
def test_a_line_of_descent_stays_sound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = GRAMMAR.draw(rng), GRAMMAR.draw(rng)
    for _ in range(5):
        mutant = GRAMMAR.perturb(a, rng)
        assert mutant != a
        a, b = GRAMMAR.cross(mutant, b, rng)
        assert_sound(a)
        assert_sound(b)


@settings(deadline=None)
@given(SEEDS)
def test_the_same_seed_gives_the_same_trees(seed: int) -> None:
    def line() -> list[object]:
        rng = np.random.default_rng(seed)
        a, b = GRAMMAR.draw(rng), GRAMMAR.draw(rng)
        return [a, b, GRAMMAR.perturb(a, rng), GRAMMAR.cross(a, b, rng)]

    assert line() == line()


@settings(deadline=None)
@given(SEEDS)
def test_windows_that_are_drawn_or_moved_lie_on_a_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    votes = GRAMMAR.draw(rng)
    for _ in range(3):
        votes = GRAMMAR.perturb(votes, rng)
        windows = {
            part for group in votes for vote in group for node in walk(vote) for part in node if type(part) is int
        }
        assert windows <= {period for period in PERIODS if 2 <= period <= 100}


def names_in(votes: tuple[tuple[Tree, ...], ...]) -> set[str]:
    """Return the names of all nodes."""
    return {node[0] for group in votes for vote in group for node in walk(vote)}


def test_crossing_exchanges_nodes_and_invents_none() -> None:
    rng = np.random.default_rng(4)
    for _ in range(100):
        a, b = GRAMMAR.draw(rng), GRAMMAR.draw(rng)
        first, second = GRAMMAR.cross(a, b, rng)
        # A condition that can no longer hold is written as gt(close, close).
        assert names_in(first) | names_in(second) <= names_in(a) | names_in(b) | {"gt", "close", "not"}


def test_votes_of_different_make_change_places_as_a_whole() -> None:
    a = ((("family", "rsi_filter"),),) * 3
    b = ((("vote", RISES, FALLS),),) * 3
    first, second = cross_votes(a, b, np.random.default_rng(0))
    assert sorted(first + second) == sorted(a + b)
    assert first != a


def test_every_name_of_the_language_is_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = {node[0] for _ in range(3000) for node in walk(draw_vote(LANGUAGE, rng))}
    assert drawn == set(PRIMITIVES)


def test_the_opposite_of_a_condition_turns_each_comparison() -> None:
    assert opposite(RISES) == FALLS
    assert opposite(("and", ("gt", ("rsi", 9), 70.0), ("not", ("cross_below", ("close",), ("low",))))) == (
        "and",
        ("lt", ("rsi", 9), 30.0),
        ("not", ("cross_above", ("close",), ("low",))),
    )
    assert opposite(("held_for", ("lt", ("macd",), -0.01), 5)) == ("held_for", ("gt", ("macd",), 0.01), 5)
