"""Families: the protocol that every strategy family fulfils, and the register of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.common_genes import COMMON_GENES
from quant_organism.strategies.genes import GeneSpec

if TYPE_CHECKING:
    from quant_organism.strategies.bank import IndicatorBank
    from quant_organism.strategies.targets import Targets

GeneArrays = Mapping[str, NDArray[Any]]
"""One value per genome and gene, shape (G,): float64, int64 for ints and indices of choices, objects for structures."""


Memory = Literal["direction", "position", "run", "history"]
"""The direction that is held and nothing else; the position, and nothing as soon as it is flat; the run of bars since
its side changed; or anything."""


class StrategyFamily(Protocol):
    """What a strategy family must say about itself and be able to do."""

    name: ClassVar[str]
    seed_type: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    conviction: ClassVar[bool]
    evolves: ClassVar[bool]
    own_genes: ClassVar[tuple[GeneSpec, ...]]
    genes: ClassVar[tuple[GeneSpec, ...]]

    def warmup(self, genes: Mapping[str, Any]) -> int:
        """Return W, the first valid bar on which the target may differ from zero."""
        ...

    def indicators(self, genes: GeneArrays) -> dict[str, NDArray[np.int64]]:
        """Name the indicators that these genomes read, and their keys: periods, or a `pair` of parameters."""
        ...

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of G genomes over the valid bars of one asset.

        Parameters
        ----------
        bank
            Indicators of the asset; holds at least what `indicators` named.
        genes
            Gene values of the genomes.
        out
            Written; it has room for convictions exactly where the family has them.
        """
        ...


class LinkedGenes(Protocol):
    """What a family must also do if a gene bounds another one or decides which columns are read."""

    def columns_of(self, genes: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the columns that a genome reads: `columns`, and those that its genes ask for."""
        ...

    def check(self, genes: Mapping[str, Any], where: str) -> None:
        """Raise an InputError if genes within their bounds contradict each other."""
        ...

    def repair(self, genes: Mapping[str, Any]) -> dict[str, Any]:
        """Return genes that do not contradict each other, for operators."""
        ...


FamilyType = TypeVar("FamilyType", bound=type[StrategyFamily])

_REGISTER: dict[str, StrategyFamily] = {}


def register(family: FamilyType) -> FamilyType:
    """Enter a family in the register, its own genes followed by those that every genome carries."""
    if family.name in _REGISTER:
        raise ValueError(f"two families are named {family.name}")
    family.genes = family.own_genes + COMMON_GENES
    _REGISTER[family.name] = family()
    return family


def _loaded() -> dict[str, StrategyFamily]:
    # Each module under library/ registers itself when imported; importing them here keeps genome and family
    # free of an import circle.
    from quant_organism.strategies import library as _library  # noqa: F401

    return _REGISTER


def families() -> tuple[str, ...]:
    """Return the names of all registered families, sorted."""
    return tuple(sorted(_loaded()))


def evolving_families() -> tuple[str, ...]:
    """Return the names of the families that take part in evolution unless others are chosen, sorted."""
    return tuple(name for name in families() if get_family(name).evolves)


def get_family(name: str) -> StrategyFamily:
    """Return a family by its name.

    Raises
    ------
    InputError
        If there is no such family; the message names the nearest.
    """
    known = _loaded()
    if name not in known:
        near = get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"unknown family {name!r}", remedy=f"{hint}known families: {', '.join(sorted(known))}")
    return known[name]


def linked(family: StrategyFamily) -> LinkedGenes | None:
    """Return a family whose genes bound one another as what it is, None for all others."""
    return cast(LinkedGenes, family) if hasattr(family, "columns_of") else None


def columns_of(family: StrategyFamily, genes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that a genome of a family reads."""
    bound = linked(family)
    return family.columns if bound is None else bound.columns_of(genes)


def repaired(family: StrategyFamily, genes: dict[str, Any]) -> dict[str, Any]:
    """Return genes, each within its bounds, that do not contradict each other."""
    bound = linked(family)
    return genes if bound is None else bound.repair(genes)


def model_genes(family: StrategyFamily) -> tuple[str, ...]:
    """Return the genes that the models of a fitted family depend on, none for families that fit nothing."""
    if not hasattr(family, "read_after_the_fit"):
        return ()
    return tuple(spec.name for spec in family.own_genes if spec.name not in family.read_after_the_fit)


def memory_of(family: StrategyFamily) -> Memory:
    """Return what a family's decisions know of earlier bars beside columns, indicators and its warm-up's bars."""
    found: Memory = getattr(family, "memory", "history")
    return found


def recall_of(family: StrategyFamily, genes: Mapping[str, Any]) -> int:
    """Return how many bars before the run of its side a family's decisions in it know, beside the warm-up's."""
    found: int = family.recall(genes) if hasattr(family, "recall") else 0
    return found
