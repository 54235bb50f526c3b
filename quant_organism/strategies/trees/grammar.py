"""The gene that holds groups of votes: what it may hold, checked node by node."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from quant_organism.errors import InputError
from quant_organism.strategies.genes import Structure
from quant_organism.strategies.trees.language import Language
from quant_organism.strategies.trees.primitives import (
    DEEPEST,
    MOST_NODES,
    PRIMITIVES,
    VOTE,
    Tree,
    is_constant,
    matching_signature,
    reads_indicator,
    size,
)
from quant_organism.strategies.trees.text import GROUPS, votes_text
from quant_organism.strategies.trees.variation import MOST_VOTES, cross_votes, draw_vote, perturb_votes


def canonical_tree(language: Language, value: object, where: str) -> Tree:
    """Return a tree of type Vote as nested tuples with checked types, bounds and limits.

    Parameters
    ----------
    language
        Knows the voters.
    value
        Nested lists or tuples.
    where
        Path to the tree, for messages.

    Raises
    ------
    InputError
        With the path to the node that is wrong.
    """
    tree = _canonical(language, value, where, 0)
    found = PRIMITIVES[tree[0]].returns
    if found != VOTE:
        raise InputError(f"a tree that yields {found}, expected {VOTE}", where=where, remedy="wrap it in vote(...)")
    if size(tree) > MOST_NODES:
        raise InputError(f"{size(tree)} nodes, expected at most {MOST_NODES}", where=where, remedy="split the vote")
    if not reads_indicator(tree):
        raise InputError("no indicator in the tree, expected at least one", where=where, remedy="compare with one")
    return tree


def _canonical(language: Language, value: object, where: str, depth: int) -> Tree:
    name, arguments = _parts(value, where, depth)
    found: list[str | None] = []
    checked: list[Any] = []
    for place, argument in enumerate(arguments):
        if isinstance(argument, list | tuple):
            branch = _canonical(language, argument, f"{where}.{name}[{place}]", depth + 1)
            checked.append(branch)
            found.append(PRIMITIVES[branch[0]].returns)
        else:
            checked.append(argument)
            found.append(None)
    kinds = matching_signature(name, found)
    if kinds is None:
        shown = ", ".join(kind or repr(argument) for kind, argument in zip(found, arguments, strict=True))
        admitted = " or ".join(f"({', '.join(kinds)})" for kinds in PRIMITIVES[name].signatures)
        raise InputError(f"{name} takes {admitted}, found ({shown})", where=where)
    for place, kind in enumerate(kinds):
        if is_constant(kind):
            checked[place] = language.constant(kind).check(checked[place], f"{where}.{name}[{place}]")
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


class VoteGrammar:
    """The values of a gene that holds, for each group, one to four trees of type Vote.

    Parameters
    ----------
    language
        What trees may say.
    """

    def __init__(self, language: Language) -> None:
        self.language = language

    def canonical(self, value: object) -> Structure:
        """Return the groups as nested tuples with checked types, bounds and limits.

        Raises
        ------
        InputError
            With the path to the part that is wrong.
        """
        if not isinstance(value, list | tuple) or len(value) != len(GROUPS):
            raise InputError(f"{value!r:.60}, expected a list of the groups {', '.join(GROUPS)}", where="votes")
        groups = []
        for name, group in zip(GROUPS, value, strict=True):
            where = f"votes.{name}"
            if not isinstance(group, list | tuple) or not 1 <= len(group) <= MOST_VOTES:
                raise InputError(f"{group!r:.60}, expected a list of 1 to {MOST_VOTES} trees", where=where)
            groups.append(
                tuple(canonical_tree(self.language, tree, f"{where}[{place}]") for place, tree in enumerate(group))
            )
        return tuple(groups)

    def draw(self, rng: np.random.Generator) -> Structure:
        """Draw one to four trees for each group."""
        return tuple(
            tuple(draw_vote(self.language, rng) for _ in range(int(rng.integers(1, MOST_VOTES + 1)))) for _ in GROUPS
        )

    def perturb(self, value: Structure, rng: np.random.Generator) -> Structure:
        """Change a constant or a branch of one vote, or add or drop one."""
        return perturb_votes(self.language, value, rng)

    def cross(self, a: Structure, b: Structure, rng: np.random.Generator) -> tuple[Structure, Structure]:
        """Exchange a branch between a vote of one and a vote of the other."""
        return cross_votes(a, b, rng)

    def describe(self, value: Structure) -> str:
        """Write the groups as text, one line each; `text.parse_votes` reads it back."""
        return votes_text(value)
