"""Trees as text that people read and that reads back exactly."""

from __future__ import annotations

import json
import re
from typing import Any

from quant_organism.errors import InputError
from quant_organism.strategies.genes import Structure
from quant_organism.strategies.trees.primitives import DEEPEST, Tree

GROUPS = ("momentum", "reversion", "breakout")
"""Groups of votes, in the order in which they are stored."""

_TOKEN = re.compile(r"\s*(?:(?P<number>-?\d[\d.]*(?:e-?\d+)?)|(?P<name>[a-z]\w*)|(?P<mark>[(),]))")


def tree_text(tree: Tree) -> str:
    """Write a tree: names, arguments in brackets, numbers in their shortest exact form."""
    if len(tree) == 1:
        return str(tree[0])
    return f"{tree[0]}({', '.join(tree_text(part) if isinstance(part, tuple) else str(part) for part in tree[1:])})"


def votes_text(votes: Structure) -> str:
    """Write groups of votes, one line each, the votes apart by semicolons."""
    lines = []
    for name, group in zip(GROUPS, votes, strict=True):
        assert isinstance(group, tuple)
        lines.append(f"{name}: " + "; ".join(tree_text(tree) for tree in group if isinstance(tree, tuple)))
    return "\n".join(lines)


def parse_votes(text: str) -> Structure:
    """Read what `votes_text` writes; types and bounds are for the grammar to check.

    Raises
    ------
    InputError
        With the place at which the text is not of that form.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    groups = []
    for place, name in enumerate(GROUPS):
        if place >= len(lines) or not lines[place].startswith(f"{name}:"):
            raise InputError(f"no line {name}: ..., expected lines {', '.join(GROUPS)} in this order", where="votes")
        parts = lines[place].removeprefix(f"{name}:").split(";")
        groups.append(tuple(parse_tree(part, f"votes.{name}[{number}]") for number, part in enumerate(parts)))
    if len(lines) > len(GROUPS):
        raise InputError(f"{len(lines)} lines, expected {len(GROUPS)}", where="votes")
    return tuple(groups)


def parse_tree(text: str, where: str) -> Tree:
    """Read what `tree_text` writes.

    Raises
    ------
    InputError
        With the place at which the text is not of that form.
    """
    reader = _Reader(text.strip(), where)
    node = reader.node(0)
    reader.expect_end()
    return node


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self._text, self._where, self._place = text, where, 0

    def node(self, depth: int) -> Tree:
        kind, name = self._next()
        if kind != "name":
            raise self._error(f"{name!r}, expected a name")
        if depth > DEEPEST:
            raise self._error(f"deeper than {DEEPEST} levels")
        if not self._skip("("):
            return (name,)
        parts: list[Any] = [name, self._argument(name, depth + 1)]
        while self._skip(","):
            parts.append(self._argument(name, depth + 1))
        if not self._skip(")"):
            raise self._error("expected , or )")
        return tuple(parts)

    def expect_end(self) -> None:
        if self._place < len(self._text):
            raise self._error("expected the end")

    def _argument(self, owner: str, depth: int) -> Any:
        before = self._place
        kind, word = self._next()
        if kind == "number":
            try:
                return json.loads(word)
            except ValueError:
                raise self._error(f"{word!r} is no number") from None
        if owner == "family" and kind == "name":
            return word
        self._place = before
        return self.node(depth)

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._place)
        if found is None or found.lastgroup is None:
            raise self._error("expected a name or a number")
        self._place = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _skip(self, mark: str) -> bool:
        found = _TOKEN.match(self._text, self._place)
        if found is None or found["mark"] != mark:
            return False
        self._place = found.end()
        return True

    def _error(self, what: str) -> InputError:
        rest = self._text[self._place : self._place + 20]
        return InputError(f"{what} at character {self._place}, before {rest!r}", where=self._where)
