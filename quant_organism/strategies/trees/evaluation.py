"""Votes of trees over the bars of one asset: trees are laid out as instructions, and these are interpreted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.indicators.indicator import Indicator, Needs
from quant_organism.strategies.trees.interpreter import OPERATIONS, Instructions, interpret
from quant_organism.strategies.trees.language import Language
from quant_organism.strategies.trees.primitives import (
    BOOL,
    CONSTANTS,
    FAMILY,
    FUNDING,
    PRIMITIVES,
    VOTE,
    Read,
    Tree,
    branches,
    constants,
    is_constant,
    walk,
)


@lru_cache(maxsize=2**14)
def first_bar(language: Language, tree: Tree) -> int:
    """Return the first bar on which every indicator of a tree is defined, as far back as the tree looks."""
    if tree[0] == "family":
        voter = language.voters[tree[1]]
        return voter.warmup(voter.default_genes)
    primitive, settings = PRIMITIVES[tree[0]], constants(tree)
    before = max((first_bar(language, branch) for branch in branches(tree)), default=0)
    return max(primitive.first(*settings), before + primitive.looks_back(*settings))


@lru_cache(maxsize=2**14)
def bars_behind(tree: Tree) -> int:
    """Return how many bars before the one on which it votes a tree looks at."""
    if tree[0] == "family":
        return 0
    primitive = PRIMITIVES[tree[0]]
    before = max((bars_behind(branch) for branch in branches(tree)), default=0)
    return before + primitive.looks_back(*constants(tree))


def indicators_of(language: Language, trees: Iterable[Tree]) -> Needs:
    """Name the indicators that trees read, and their keys."""
    keys: dict[Indicator, list[int]] = {}
    for source, key in dict.fromkeys(read for tree in trees for read in _all_reads(language, tree)):
        if isinstance(source, Indicator):
            keys.setdefault(source, []).append(key)
    return {indicator: np.unique(np.array(used, dtype=np.int64)) for indicator, used in keys.items()}


@lru_cache(maxsize=2**14)
def columns_read(language: Language, tree: Tree) -> frozenset[str]:
    """Return the columns beyond prices and volume that a tree cannot do without."""
    read: set[str] = set()
    for node in walk(tree):
        if node[0] == FUNDING:
            read.add("funding_rate")
        if node[0] == "family":
            read.update(language.voters[node[1]].columns)
    return frozenset(read)


class Program:
    """Votes as instructions of the interpreter; what occurs in several trees is computed once.

    Parameters
    ----------
    language
        What the trees are written in.
    trees
        Trees of type Vote, each once.

    Attributes
    ----------
    columns
        Of the bars that it reads itself, beside indicators.
    """

    def __init__(self, language: Language, trees: Sequence[Tree]) -> None:
        nodes = list(dict.fromkeys(node for tree in trees for node in _upwards(tree)))
        every = dict.fromkeys(read for tree in trees for read in _all_reads(language, tree))
        reads = [read for read in every if read[0] is not language.sign]
        layout = _TreeLayout(language, reads, trees)
        last_use = {branch: place for place, node in enumerate(nodes) for branch in branches(node)}
        for place, node in enumerate(nodes):
            layout.add(node)
            for branch in set(branches(node)):
                if last_use[branch] == place:
                    layout.free(branch)
        self.instructions = layout.instructions()
        self._buffers = layout.numbers.size, layout.truths.size
        tables = {source: place for place, source in enumerate(_tables_read())}
        self._n_tables, self._n_votes = len(tables), len(trees)
        self._table = np.array([tables[source] for source, _ in reads], dtype=np.int64)
        by_source: dict[Indicator | str, list[tuple[int, int]]] = {}
        for number, (source, key) in enumerate(reads):
            by_source.setdefault(source, []).append((number, key))
        self._prices = [(tables[name], name) for name in by_source if isinstance(name, str)]
        self.columns = tuple(name for _, name in self._prices)
        # Table of each indicator, the numbers of the inputs that are read of it, and their keys.
        self._indicators = [
            (tables[source], source, *np.array(pairs).T.copy())
            for source, pairs in by_source.items()
            if isinstance(source, Indicator)
        ]
        self._sign = language.sign
        signs = [(row, language.reads(tree)[0][1]) for row, tree in enumerate(trees) if tree[0] == "family"]
        self._signs = np.array(signs, dtype=np.int64).reshape(-1, 2).T

    def run(self, bank: IndicatorBank) -> NDArray[np.int8]:
        """Return the votes of each tree on every bar, shape (V, n); without meaning before its first bar.

        Parameters
        ----------
        bank
            Indicators of the asset; holds at least what `indicators_of` names.
        """
        votes = np.empty((self._n_votes, bank.bars.numbers.size), dtype=np.int8)
        row = np.zeros(self._table.size, dtype=np.int64)
        tables = [np.empty((0, votes.shape[1]))] * self._n_tables
        for place, name in self._prices:
            # The tables must be of one type, and a column that may not be written to is of another.
            tables[place] = np.require(getattr(bank.bars, name)[np.newaxis], requirements=["C", "W"])
        for place, indicator, inputs, keys in self._indicators:
            tables[place], row[inputs] = bank.rows(indicator, keys)
        interpret(self.instructions, tuple(tables), self._table, row, *self._buffers, votes)
        if self._signs.size:
            signs, numbers = bank.rows(self._sign, self._signs[1])
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


class _TreeLayout:
    # Turns nodes into instructions, and knows where the value of each node stands.
    def __init__(self, language: Language, inputs: Sequence[Read], trees: Sequence[Tree]) -> None:
        self._language = language
        self._inputs = {read: number for number, read in enumerate(inputs)}
        self._votes = {tree: row for row, tree in enumerate(trees)}
        self._places: dict[Tree, int] = {}
        self._lines: list[tuple[tuple[int, ...], float]] = []
        self.numbers, self.truths = _Buffers(), _Buffers()

    def add(self, node: Tree) -> None:
        primitive = PRIMITIVES[node[0]]
        arguments = [self._inputs[read] for read in self._language.reads(node) if read in self._inputs]
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
        operation, a, b, out = np.array([line for line, _ in self._lines], dtype=np.int64).reshape(-1, 4).T.copy()
        return Instructions(operation, a, b, out, np.array([constant for _, constant in self._lines], dtype=np.float64))


@cache
def _tables_read() -> tuple[Indicator | str, ...]:
    # All indicators and columns that primitives read, so that the interpreter always gets as many tables.
    reads = (
        read
        for primitive in PRIMITIVES.values()
        if primitive.signatures[0] != (FAMILY,)
        for read in primitive.reads(*(CONSTANTS[kind].default for kind in primitive.signatures[0] if is_constant(kind)))
    )
    return tuple(sorted({source for source, _ in reads}, key=lambda s: s if isinstance(s, str) else s.name))


def _upwards(tree: Tree) -> Iterator[Tree]:
    # A tree after all trees within it.
    for branch in branches(tree):
        yield from _upwards(branch)
    yield tree


@lru_cache(maxsize=2**14)
def _all_reads(language: Language, tree: Tree) -> tuple[Read, ...]:
    return tuple(dict.fromkeys(read for node in walk(tree) for read in language.reads(node)))
