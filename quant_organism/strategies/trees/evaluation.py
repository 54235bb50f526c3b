"""Values of trees over the bars of one asset, as whole rows; what occurs more than once is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.family import GeneArrays, get_family
from quant_organism.strategies.operators import default_genome
from quant_organism.strategies.trees.primitives import PRICES, PRIMITIVES, Row
from quant_organism.strategies.trees.shape import Tree, branches, constants, walk

if TYPE_CHECKING:
    from quant_organism.strategies.bank import IndicatorBank


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
    for name, key in dict.fromkeys(read for tree in trees for node in walk(tree) for read in _reads(node)):
        if name == "family":
            for indicator, used in get_family(key).indicators(_default_genes(key)).items():
                keys.setdefault(indicator, []).extend(used.tolist())
        elif name not in PRICES:
            keys.setdefault(name, []).append(key)
    return {name: np.unique(np.array(used, dtype=np.int64)) for name, used in keys.items()}


class Step(NamedTuple):
    """One computation: from which slots and constants its own slot is made, and which slots are read no more."""

    compute: Callable[..., Row]
    sources: tuple[int, ...]
    constants: tuple[Any, ...]
    finished: tuple[int, ...]


class Program:
    """Trees laid out in numbered slots: what is read of the bank first, then each distinct subtree once.

    Parameters
    ----------
    trees
        Trees of any type.
    """

    def __init__(self, trees: Sequence[Tree]) -> None:
        nodes = list(dict.fromkeys(node for tree in trees for node in _upwards(tree)))
        self._inputs = list(dict.fromkeys(read for node in nodes for read in _reads(node)))
        read_slots = {read: slot for slot, read in enumerate(self._inputs)}
        slots = {node: slot for slot, node in enumerate(nodes, len(self._inputs))}
        self._roots = [slots[tree] for tree in trees]
        needed = set(self._roots)
        self.steps: list[Step] = []
        for node in reversed(nodes):
            sources = [read_slots[read] for read in _reads(node)] + [slots[branch] for branch in branches(node)]
            finished = tuple(set(sources) - needed)
            needed.update(sources)
            compute = PRIMITIVES[node[0]].compute
            self.steps.append(Step(compute, tuple(sources), tuple(constants(node)), finished))
        self.steps.reverse()

    def run(self, bank: IndicatorBank) -> list[Row]:
        """Return the value of each tree on every bar, shape (n,); without meaning before its first bar.

        Parameters
        ----------
        bank
            Indicators of the asset; holds at least what `indicators_of` names.
        """
        slots: list[Any] = self._read(bank)
        for step in self.steps:
            slots.append(step.compute(*[slots[slot] for slot in step.sources], *step.constants))
            for slot in step.finished:
                slots[slot] = None
        return [slots[slot] for slot in self._roots]

    def _read(self, bank: IndicatorBank) -> list[Any]:
        slots: list[Any] = [None] * len(self._inputs)
        indicators: dict[str, tuple[list[int], list[int]]] = {}
        for slot, (name, key) in enumerate(self._inputs):
            if name == "family":
                slots[slot] = _family_vote(bank, key)
            elif name in PRICES:
                slots[slot] = getattr(bank.bars, name)
            else:
                taken = indicators.setdefault(name, ([], []))
                taken[0].append(slot)
                taken[1].append(key)
        for name, (places, keys) in indicators.items():
            rows, numbers = bank.rows(name, np.array(keys))
            for slot, number in zip(places, numbers, strict=True):
                slots[slot] = rows[number]
        return slots


@lru_cache(maxsize=32)
def program(trees: tuple[Tree, ...]) -> Program:
    """Return the program of trees, kept for the next asset on which they are evaluated."""
    return Program(trees)


def _upwards(tree: Tree) -> Iterator[Tree]:
    # A tree after all trees within it.
    for branch in branches(tree):
        yield from _upwards(branch)
    yield tree


def _reads(node: Tree) -> tuple[tuple[str, Any], ...]:
    return PRIMITIVES[node[0]].reads(*constants(node))


@cache
def _default_genes(family: str) -> GeneArrays:
    from quant_organism.strategies.signals import gene_arrays

    return gene_arrays([default_genome(family)])


def _family_vote(bank: IndicatorBank, name: str) -> NDArray[np.int8]:
    from quant_organism.strategies.targets import Targets

    family, n = get_family(name), bank.bars.numbers.size
    targets = Targets.empty(1, n, conviction=family.conviction)
    family.targets(bank, _default_genes(name), targets)
    return np.sign(targets.expanded(0, n)).astype(np.int8)
