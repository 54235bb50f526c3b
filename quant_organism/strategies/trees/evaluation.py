"""Values of trees over the bars of one asset, as whole rows; what occurs more than once is computed once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.family import GeneArrays, get_family
from quant_organism.strategies.operators import default_genome
from quant_organism.strategies.trees.primitives import PRICES, PRIMITIVES, Reads, Row
from quant_organism.strategies.trees.shape import Tree, branches, constants, walk

if TYPE_CHECKING:
    from quant_organism.strategies.bank import IndicatorBank

_COLUMNS = (*PRICES, "volume", "funding_rate")


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
    for tree in trees:
        for node in walk(tree):
            if node[0] == "family":
                for name, used in get_family(node[1]).indicators(_default_genes(node[1])).items():
                    keys.setdefault(name, []).extend(used.tolist())
            else:
                for name, key in _reads(node):
                    if name not in _COLUMNS:
                        keys.setdefault(name, []).append(key)
    return {name: np.unique(np.array(used, dtype=np.int64)) for name, used in keys.items()}


def _reads(node: Tree) -> Reads:
    return PRIMITIVES[node[0]].reads(*constants(node))


@cache
def _default_genes(family: str) -> GeneArrays:
    from quant_organism.strategies.signals import gene_arrays

    return gene_arrays([default_genome(family)])


class Forest:
    """Trees that are evaluated together.

    Parameters
    ----------
    bank
        Indicators of the asset; holds at least what `indicators_of` names.
    trees
        All trees whose values will be asked for.
    """

    def __init__(self, bank: IndicatorBank, trees: Iterable[Tree]) -> None:
        self._bank = bank
        self._rows: dict[Tree, Row] = {}
        self._seen: set[Tree] = set()
        self._shared: set[Tree] = set()
        for tree in trees:
            self._note(tree)

    def _note(self, tree: Tree) -> None:
        # Only what is met a second time is worth keeping; its parts are then met no more.
        if tree in self._seen:
            self._shared.add(tree)
            return
        self._seen.add(tree)
        for part in tree[1:]:
            if isinstance(part, tuple):
                self._note(part)

    def value(self, tree: Tree) -> Row:
        """Return the value of a tree on every bar, shape (n,); without meaning before its first bar."""
        row = self._rows.get(tree)
        if row is None:
            row = self._computed(tree)
            if tree in self._shared:
                self._rows[tree] = row
        return row

    def _computed(self, tree: Tree) -> Row:
        if tree[0] == "family":
            return self._family_vote(tree[1])
        primitive = PRIMITIVES[tree[0]]
        arguments = [self.value(part) if isinstance(part, tuple) else part for part in tree[1:]]
        if primitive.is_leaf:
            arguments = [self._row(name, key) for name, key in primitive.reads(*arguments)] + arguments
        return primitive.compute(*arguments)

    def _row(self, name: str, key: int) -> Row:
        if name in _COLUMNS:
            column: Row = getattr(self._bank.bars, name)
            return column
        rows, place = self._bank.rows(name, np.array([key]))
        row: Row = rows[place[0]]
        return row

    def _family_vote(self, name: str) -> Row:
        from quant_organism.strategies.targets import Targets

        family, n = get_family(name), self._bank.bars.numbers.size
        targets = Targets.empty(1, n, conviction=family.conviction)
        family.targets(self._bank, _default_genes(name), targets)
        return np.sign(targets.expanded(0, n)).astype(np.int8)
