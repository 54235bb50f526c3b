"""Simplification: cut out what cannot change a vote."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from quant_organism.strategies.trees.primitives import EFFICIENCY, Tree

NEVER: Tree = ("gt", ("close",), ("close",))
ALWAYS: Tree = ("not", NEVER)
"""How the language writes conditions that do not depend on the data."""


@lru_cache(maxsize=2**14)
def simplified(tree: Tree) -> Tree:
    """Return a tree of type Vote that votes the same on every bar, without its dead branches.

    A vote that never changes is returned as it is, since it would be left without an indicator.
    """
    long, short = (_folded(branch) for branch in tree[1:]) if tree[0] == "vote" else (tree, tree)
    if tree[0] != "vote" or _is_dead(long, short):
        return tree
    return ("vote", _written(long), _written(short))


def is_dead(tree: Tree) -> bool:
    """Say whether a tree of type Vote casts the same vote on every bar."""
    return tree[0] == "vote" and _is_dead(_folded(tree[1]), _folded(tree[2]))


def _is_dead(long: Tree | bool, short: Tree | bool) -> bool:
    return long == short or (isinstance(long, bool) and isinstance(short, bool))


def _written(condition: Tree | bool) -> Tree:
    if isinstance(condition, bool):
        return ALWAYS if condition else NEVER
    return condition


def _folded(tree: Tree) -> Tree | bool:
    # A condition without its dead branches, or the constant that it amounts to.
    name = tree[0]
    if name in ("gt", "lt", "cross_above", "cross_below"):
        return _folded_comparison(tree)
    if name == "not":
        return _negated(_folded(tree[1]))
    if name == "held_for":
        held = _folded(tree[1])
        return held if isinstance(held, bool) else ("held_for", held, tree[2])
    return _folded_junction(name, _folded(tree[1]), _folded(tree[2]))


def _negated(condition: Tree | bool) -> Tree | bool:
    if isinstance(condition, bool):
        return not condition
    return condition[1] if condition[0] == "not" else ("not", condition)


def _folded_junction(name: str, a: Tree | bool, b: Tree | bool) -> Tree | bool:
    # The constant that settles the junction: false for and, true for or.
    settles = name == "or"
    if a is settles or b is settles or a == _negated(b):
        return settles
    if isinstance(a, bool):
        return b
    if isinstance(b, bool) or a == b:
        return a
    for one, other in ((a, b), (b, a)):
        if other[0] in ("and", "or") and one in other[1:]:
            return other if other[0] == name else one
    return (name, a, b)


def _folded_comparison(tree: Tree) -> Tree | bool:
    name, a, b = tree
    if a == b:
        return False
    (least_a, most_a), (least_b, most_b) = _bounds(a), _bounds(b)
    if name in ("lt", "cross_below"):
        least_a, most_a, least_b, most_b = least_b, most_b, least_a, most_a
    always, never = least_a > most_b, most_a <= least_b
    if name in ("cross_above", "cross_below"):
        # What is always above was never below before.
        return False if always or never else tree
    return always if always or never else tree


def _bounds(value: Any) -> tuple[float, float]:
    if not isinstance(value, tuple):
        return value, value
    name = value[0]
    if name == EFFICIENCY:
        return 0.0, 1.0
    if (name == "relative" and value[1] == value[2]) or (
        name == "share" and value[1][0] == "difference" and value[1][1] == value[1][2]
    ):
        return 0.0, 0.0
    return -math.inf, math.inf
