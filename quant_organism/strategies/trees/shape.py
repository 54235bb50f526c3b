"""What a tree may look like: types, bounds of constants, limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from quant_organism.strategies.trees.primitives import (
    PRICES,
    PRIMITIVES,
    is_constant,
)

Tree = tuple[Any, ...]
"""A node: its name, then its arguments, each a tree or a constant."""

DEEPEST, MOST_NODES = 8, 60
"""Most edges from the root to a leaf, and most nodes; constants are leaves."""


def matching_signature(name: str, found: Sequence[str | None]) -> tuple[str, ...] | None:
    """Return the types of arguments that a name takes, given the types of those found, None for constants."""
    for kinds in PRIMITIVES[name].signatures:
        if len(kinds) == len(found) and all(
            is_constant(kind) if seen is None else seen == kind for kind, seen in zip(kinds, found, strict=True)
        ):
            return kinds
    return None


def signature(tree: Tree) -> tuple[str, ...]:
    """Return the types of a tree's arguments."""
    found = [PRIMITIVES[branch[0]].returns if isinstance(branch, tuple) else None for branch in tree[1:]]
    kinds = matching_signature(tree[0], found)
    assert kinds is not None
    return kinds


def branches(tree: Tree) -> list[Tree]:
    """Return the arguments of a tree that are trees."""
    return [argument for argument in tree[1:] if isinstance(argument, tuple)]


def constants(tree: Tree) -> list[Any]:
    """Return the arguments of a tree that are constants."""
    return [argument for argument in tree[1:] if not isinstance(argument, tuple)]


def walk(tree: Tree) -> Iterator[Tree]:
    """Yield a tree and all trees within it."""
    yield tree
    for branch in branches(tree):
        yield from walk(branch)


def size(tree: Tree) -> int:
    """Return the number of nodes, constants included."""
    return sum(1 + len(constants(node)) for node in walk(tree))


def depth(tree: Tree) -> int:
    """Return the number of edges from the root to the farthest leaf."""
    return max((1 + depth(part) if isinstance(part, tuple) else 1 for part in tree[1:]), default=0)


def reads_indicator(tree: Tree) -> bool:
    """Say whether a tree contains an indicator, or a family, which reads some."""
    return any(node[0] not in PRICES and PRIMITIVES[node[0]].is_leaf for node in walk(tree))
