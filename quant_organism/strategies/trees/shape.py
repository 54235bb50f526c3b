"""What a tree may look like: types, bounds of constants, limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from quant_organism.errors import InputError
from quant_organism.strategies.trees.primitives import (
    FUNDING,
    PRICES,
    PRIMITIVES,
    VOTE,
    constant,
    is_constant,
)

Tree = tuple[Any, ...]
"""A node: its name, then its arguments, each a tree or a constant."""

DEEPEST, MOST_NODES = 8, 60
"""Most edges from the root to a leaf, and most nodes; constants are leaves."""


def canonical_tree(value: object, where: str) -> Tree:
    """Return a tree of type Vote as nested tuples with checked types, bounds and limits.

    Parameters
    ----------
    value
        Nested lists or tuples.
    where
        Path to the tree, for messages.

    Raises
    ------
    InputError
        With the path to the node that is wrong.
    """
    tree = _canonical(value, where, 0)
    found = PRIMITIVES[tree[0]].returns
    if found != VOTE:
        raise InputError(f"a tree that yields {found}, expected {VOTE}", where=where, remedy="wrap it in vote(...)")
    if size(tree) > MOST_NODES:
        raise InputError(f"{size(tree)} nodes, expected at most {MOST_NODES}", where=where, remedy="split the vote")
    if not reads_indicator(tree):
        raise InputError("no indicator in the tree, expected at least one", where=where, remedy="compare with one")
    return tree


def _canonical(value: object, where: str, depth: int) -> Tree:
    name, arguments = _parts(value, where, depth)
    found: list[str | None] = []
    checked: list[Any] = []
    for place, argument in enumerate(arguments):
        if isinstance(argument, list | tuple):
            branch = _canonical(argument, f"{where}.{name}[{place}]", depth + 1)
            checked.append(branch)
            found.append(PRIMITIVES[branch[0]].returns)
        else:
            checked.append(argument)
            found.append(None)
    kinds = _signature(name, found)
    if kinds is None:
        shown = ", ".join(kind or repr(argument) for kind, argument in zip(found, arguments, strict=True))
        admitted = " or ".join(f"({', '.join(kinds)})" for kinds in PRIMITIVES[name].signatures)
        raise InputError(f"{name} takes {admitted}, found ({shown})", where=where)
    for place, kind in enumerate(kinds):
        if is_constant(kind):
            checked[place] = constant(kind).check(checked[place], f"{where}.{name}[{place}]")
    return (name, *checked)


def _parts(value: object, where: str, depth: int) -> tuple[str, Sequence[object]]:
    if not isinstance(value, list | tuple) or not value or not isinstance(value[0], str):
        raise InputError(f"{value!r:.60} is no node, expected a list of a name and its arguments", where=where)
    name, *arguments = value
    if name not in PRIMITIVES:
        near = get_close_matches(name, PRIMITIVES, n=1)
        raise InputError(
            f"unknown name {name!r:.60}", where=where, remedy=f"did you mean {near[0]}?" if near else "see the table"
        )
    # Too many arguments are refused by the signature, but not before each has been looked at.
    most = max(map(len, PRIMITIVES[name].signatures))
    if len(arguments) > most:
        raise InputError(f"{name} with {len(arguments)} arguments, expected at most {most}", where=where)
    if depth + bool(arguments) > DEEPEST:
        raise InputError(f"deeper than {DEEPEST} levels", where=where, remedy="flatten the tree")
    return name, arguments


def _signature(name: str, found: Sequence[str | None]) -> tuple[str, ...] | None:
    for kinds in PRIMITIVES[name].signatures:
        if len(kinds) == len(found) and all(
            is_constant(kind) if seen is None else seen == kind for kind, seen in zip(kinds, found, strict=True)
        ):
            return kinds
    return None


def signature(tree: Tree) -> tuple[str, ...]:
    """Return the types of a tree's arguments."""
    found = [PRIMITIVES[branch[0]].returns if isinstance(branch, tuple) else None for branch in tree[1:]]
    kinds = _signature(tree[0], found)
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


@lru_cache(maxsize=2**14)
def columns_read(tree: Tree) -> frozenset[str]:
    """Return the columns beyond prices and volume that a tree cannot do without."""
    read: set[str] = set()
    for node in walk(tree):
        if node[0] == FUNDING:
            read.add("funding_rate")
        if node[0] == "family":
            from quant_organism.strategies.family import get_family

            read.update(get_family(node[1]).columns)
    return frozenset(read)
