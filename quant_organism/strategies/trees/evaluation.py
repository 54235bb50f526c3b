"""Votes of trees over the bars of one asset: trees are laid out as instructions, and these are interpreted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.family import get_family
from quant_organism.strategies.operators import default_genome
from quant_organism.strategies.trees.primitives import (
    BOOL,
    FAMILY_SIGN,
    PRICES,
    PRIMITIVES,
    VOTE,
    Read,
    constant,
    is_constant,
)
from quant_organism.strategies.trees.shape import Tree, branches, constants, walk

if TYPE_CHECKING:
    from quant_organism.strategies.bank import IndicatorBank
    from quant_organism.strategies.kernels.trees import Instructions


@lru_cache(maxsize=2**14)
def first_bar(tree: Tree) -> int:
    """Return the first bar on which every indicator of a tree is defined, as far back as the tree looks."""
    if tree[0] == "family":
        return get_family(tree[1]).warmup(default_genome(tree[1]).genes)
    primitive, settings = PRIMITIVES[tree[0]], constants(tree)
    before = max(map(first_bar, branches(tree)), default=0)
    return max(primitive.first(*settings), before + primitive.looks_back(*settings))


def indicators_of(trees: Iterable[Tree]) -> dict[str, NDArray[np.int64]]:
    """Name the indicators that trees read, and their keys."""
    keys: dict[str, list[int]] = {}
    for name, key in dict.fromkeys(read for tree in trees for read in _all_reads(tree)):
        if name not in PRICES:
            keys.setdefault(name, []).append(key)
    return {name: np.unique(np.array(used, dtype=np.int64)) for name, used in keys.items()}


class Program:
    """Votes as instructions of the interpreter; what occurs in several trees is computed once.

    Parameters
    ----------
    trees
        Trees of type Vote, each once.
    """

    def __init__(self, trees: Sequence[Tree]) -> None:
        nodes = list(dict.fromkeys(node for tree in trees for node in _upwards(tree)))
        reads = list(dict.fromkeys(read for tree in trees for read in _all_reads(tree) if read[0] != FAMILY_SIGN))
        layout = _Layout(reads, trees)
        last_use = {branch: place for place, node in enumerate(nodes) for branch in branches(node)}
        for place, node in enumerate(nodes):
            layout.add(node)
            for branch in set(branches(node)):
                if last_use[branch] == place:
                    layout.free(branch)
        self.instructions = layout.instructions()
        self._buffers = layout.numbers.size, layout.truths.size
        tables = {name: place for place, name in enumerate(_tables_read())}
        self._n_tables, self._n_votes = len(tables), len(trees)
        self._table = np.array([tables[name] for name, _ in reads], dtype=np.int64)
        by_name: dict[str, list[tuple[int, int]]] = {}
        for number, (name, key) in enumerate(reads):
            by_name.setdefault(name, []).append((number, key))
        self._prices = [(tables[name], name) for name in by_name if name in PRICES]
        # Table and name of each indicator, the numbers of the inputs that are read of it, and their keys.
        self._indicators = [
            (tables[name], name, *np.array(pairs).T.copy()) for name, pairs in by_name.items() if name not in PRICES
        ]
        signs = [(row, _reads(tree)[0][1]) for row, tree in enumerate(trees) if tree[0] == "family"]
        self._signs = np.array(signs, dtype=np.int64).reshape(-1, 2).T

    def run(self, bank: IndicatorBank) -> NDArray[np.int8]:
        """Return the votes of each tree on every bar, shape (V, n); without meaning before its first bar.

        Parameters
        ----------
        bank
            Indicators of the asset; holds at least what `indicators_of` names.
        """
        from quant_organism.strategies.kernels.trees import interpret

        votes = np.empty((self._n_votes, bank.bars.numbers.size), dtype=np.int8)
        row = np.zeros(self._table.size, dtype=np.int64)
        tables = [np.empty((0, votes.shape[1]))] * self._n_tables
        for place, name in self._prices:
            # The tables must be of one type, and a column that may not be written to is of another.
            tables[place] = np.require(getattr(bank.bars, name)[np.newaxis], requirements=["C", "W"])
        for place, name, inputs, keys in self._indicators:
            tables[place], row[inputs] = bank.rows(name, keys)
        interpret(self.instructions, tuple(tables), self._table, row, *self._buffers, votes)
        if self._signs.size:
            signs, numbers = bank.rows(FAMILY_SIGN, self._signs[1])
            votes[self._signs[0]] = signs[numbers]
        return votes


class _Buffers:
    # Numbered buffers; those that are free again are taken first.
    def __init__(self) -> None:
        self._free: list[int] = []
        self.size = 0

    def take(self) -> int:
        if self._free:
            return self._free.pop()
        self.size += 1
        return self.size - 1

    def free(self, buffer: int) -> None:
        self._free.append(buffer)


class _Layout:
    # Turns nodes into instructions, and knows where the value of each node stands.
    def __init__(self, inputs: Sequence[Read], trees: Sequence[Tree]) -> None:
        self._inputs = {read: number for number, read in enumerate(inputs)}
        self._votes = {tree: row for row, tree in enumerate(trees)}
        self._places: dict[Tree, int] = {}
        self._lines: list[tuple[tuple[int, ...], float]] = []
        self.numbers, self.truths = _Buffers(), _Buffers()

    def add(self, node: Tree) -> None:
        from quant_organism.strategies.kernels.trees import OPERATIONS

        primitive = PRIMITIVES[node[0]]
        arguments = [self._inputs[read] for read in _reads(node) if read in self._inputs]
        if primitive.operation is None:
            if arguments:
                self._places[node] = arguments[0]
            return
        arguments += [self._places[branch] for branch in branches(node)]
        if primitive.is_swapped:
            arguments.reverse()
        operation, constant = primitive.operation, primitive.constant(*constants(node))
        if len(arguments) == 1:
            # The second argument of one that has none is never read, but must stand somewhere.
            arguments.append(arguments[0])
            if operation == "greater":
                operation, constant = "below" if primitive.is_swapped else "above", constants(node)[0]
        if primitive.returns == VOTE:
            out = self._votes[node]
        elif primitive.returns == BOOL:
            out = self._places[node] = self.truths.take()
        else:
            out = self.numbers.take()
            self._places[node] = ~out
        self._lines.append(((OPERATIONS.index(operation), *arguments, out), constant))

    def free(self, node: Tree) -> None:
        if PRIMITIVES[node[0]].returns == BOOL:
            self.truths.free(self._places[node])
        elif PRIMITIVES[node[0]].operation is not None:
            self.numbers.free(~self._places[node])

    def instructions(self) -> Instructions:
        from quant_organism.strategies.kernels.trees import Instructions

        operation, a, b, out = np.array([line for line, _ in self._lines], dtype=np.int64).reshape(-1, 4).T.copy()
        return Instructions(operation, a, b, out, np.array([constant for _, constant in self._lines], dtype=np.float64))


@cache
def _tables_read() -> tuple[str, ...]:
    # Names of all indicators and columns that the language reads, so that the interpreter always gets as many tables.
    reads = (
        read
        for primitive in PRIMITIVES.values()
        for read in primitive.reads(*(constant(kind).default for kind in primitive.signatures[0] if is_constant(kind)))
    )
    return tuple(sorted({name for name, _ in reads} - {FAMILY_SIGN}))


def _upwards(tree: Tree) -> Iterator[Tree]:
    # A tree after all trees within it.
    for branch in branches(tree):
        yield from _upwards(branch)
    yield tree


def _reads(node: Tree) -> tuple[Read, ...]:
    return PRIMITIVES[node[0]].reads(*constants(node))


@lru_cache(maxsize=2**14)
def _all_reads(tree: Tree) -> tuple[Read, ...]:
    return tuple(dict.fromkeys(read for node in walk(tree) for read in _reads(node)))
