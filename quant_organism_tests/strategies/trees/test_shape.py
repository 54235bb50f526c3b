"""Trees are checked where they are made: names, types, bounds, limits, each with its path."""

import json

import pytest

from quant_organism.errors import InputError
from quant_organism.strategies.trees.grammar import VoteGrammar, canonical_tree
from quant_organism.strategies.trees.primitives import depth, size
from quant_organism_tests.strategies.trees.growing import CLOSE, FALLS, LANGUAGE, RISES

VOTE = ("vote", RISES, FALLS)


def nested(levels: int) -> tuple[object, ...]:
    """Return a vote whose long condition is negated so often that its tree has the given depth."""
    condition = RISES
    for _ in range(levels - 3):
        condition = ("not", condition)
    return ("vote", condition, FALLS)


def test_a_tree_knows_its_size_and_depth() -> None:
    # vote; gt, close, sma, 2; lt, close, sma, 2
    assert size(VOTE) == 9
    assert depth(VOTE) == 3
    assert (size(CLOSE), depth(CLOSE)) == (1, 0)


def test_lists_become_tuples_and_numbers_get_the_type_of_their_place() -> None:
    tree = canonical_tree(LANGUAGE, json.loads('["vote", ["gt", ["rsi", 14], 70], ["lt", ["rsi", 14], 30]]'), "here")
    assert tree == ("vote", ("gt", ("rsi", 14), 70.0), ("lt", ("rsi", 14), 30.0))
    assert [type(tree[1][1][1]), type(tree[1][2])] == [int, float]


@pytest.mark.parametrize(
    ("tree", "where", "what"),
    [
        (
            ("vote", RISES, ("lt", CLOSE, ("smaa", 2))),
            "here.vote[1].lt[1]",
            "unknown name 'smaa'.*\n.* mean sma",
        ),
        (("vote", RISES, ("lt", CLOSE, ("rsi", 14))), "here.vote[1]", r"lt takes .* found \(Price, Score100\)"),
        (("vote", RISES, ("lt", CLOSE, 30.0)), "here.vote[1]", r"found \(Price, 30.0\)"),
        (("vote", RISES, ("lt", 30.0, ("rsi", 14))), "here.vote[1]", r"found \(30.0, Score100\)"),
        (("vote", RISES, CLOSE), "here", r"vote takes \(Bool, Bool\), found \(Bool, Price\)"),
        (("vote", RISES), "here", r"found \(Bool\)"),
        (("vote", RISES, FALLS, FALLS), "here", "vote with 3 arguments, expected at most 2"),
        (RISES, "here", "yields Bool, expected Vote"),
        (("vote", RISES, ("gt", ("sma", 1), CLOSE)), r"here.vote[1].gt[0].sma[0]", r"is 1, expected an integer in"),
        (("vote", RISES, ("gt", ("sma", 2.0), CLOSE)), r"here.vote[1].gt[0].sma[0]", r"is 2.0, expected an integer"),
        (("vote", RISES, ("gt", ("rsi", 9), 4.0)), r"here.vote[1].gt[1]", r"expected a number in \[5, 95\]"),
        (("vote", RISES, ("gt", ("rsi", 9), float("nan"))), r"here.vote[1].gt[1]", "expected a number"),
        (("family", "composite"), r"here.family[0]", "is 'composite', expected one of"),
        (("family", "linear_svc_classifier"), r"here.family[0]", "expected one of"),
        (("family", 3), r"here.family[0]", "expected one of"),
        (("vote", ("gt", CLOSE, ("open",)), ("lt", CLOSE, ("open",))), "here", "no indicator in the tree"),
        (nested(9), "here.vote[0]" + 6 * ".not[0]" + ".gt[1]", "deeper than 8 levels"),
        ("close", "here", "'close' is no node"),
        ([], "here", r"\[\] is no node"),
        ([["vote"]], "here", "is no node"),
        (("__import__", "os"), "here", "unknown name '__import__'"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_path_to_the_fault(tree: object, where: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as refusal:
        canonical_tree(LANGUAGE, tree, "here")
    assert refusal.value.where == where


def test_the_limits_are_the_last_that_are_admitted() -> None:
    assert depth(canonical_tree(LANGUAGE, nested(8), "here")) == 8
    pairs = RISES
    for _ in range(3):
        pairs = ("and", pairs, pairs)
    # 8 x 4 + 7 nodes on the long side.
    assert size(canonical_tree(LANGUAGE, ("vote", pairs, ("and", ("and", RISES, RISES), RISES)), "here")) == 54
    wide = ("gt", CLOSE, ("upper_band", 2, 1.0))
    with pytest.raises(InputError, match="61 nodes, expected at most 60"):
        canonical_tree(LANGUAGE, ("vote", pairs, ("and", ("and", RISES, RISES), ("and", wide, wide))), "here")


def test_hostile_depth_and_width_end_early() -> None:
    tree: list[object] = ["close"]
    for _ in range(100_000):
        tree = ["not", tree]
    with pytest.raises(InputError, match="deeper than 8"):
        canonical_tree(LANGUAGE, tree, "here")
    with pytest.raises(InputError, match="100000 arguments"):
        canonical_tree(LANGUAGE, ["and", *[["close"]] * 100_000], "here")


@pytest.mark.parametrize(
    ("votes", "where", "what"),
    [
        (None, "votes", "expected a list of the groups momentum, reversion, breakout"),
        ([[VOTE], [VOTE]], "votes", "expected a list of the groups"),
        ([[VOTE], [], [VOTE]], "votes.reversion", "expected a list of 1 to 4 trees"),
        ([[VOTE], [VOTE], [VOTE] * 5], "votes.breakout", "expected a list of 1 to 4 trees"),
        ([[VOTE], [VOTE], [VOTE, ["vote", RISES, 3]]], "votes.breakout[1]", r"found \(Bool, 3\)"),
    ],
)
def test_a_wrong_group_is_refused_with_its_name(votes: object, where: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as refusal:
        VoteGrammar(LANGUAGE).canonical(votes)
    assert refusal.value.where == where
