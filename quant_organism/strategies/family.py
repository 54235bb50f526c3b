"""What a strategy family is, and how the targets of one set of its genes are made: over all bars, or bar by bar."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import GrowingBank, IndicatorBank, RepeatedBank
from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.common_genes import COMMON_GENES
from quant_organism.strategies.genes import GeneSpec, GeneValue
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.store import IndicatorStore
from quant_organism.strategies.targets import Targets

Genes = Mapping[str, Any]
"""A value for each gene of a family, own and common."""

GeneArrays = Mapping[str, NDArray[Any]]
"""One value per genome and gene, shape (G,): float64, int64 for ints and indices of choices, objects for structures."""

Memory = Literal["direction", "position", "run", "history"]
"""The direction that is held and nothing else; the position, and nothing as soon as it is flat; the run of bars since
its side changed; or anything."""


class StrategyFamily(ABC):
    """A strategy template with typed, bounded genes: what it says about itself, and what it must be able to do.

    Attributes
    ----------
    name
        Unique among families; the first part of every genome's identity.
    seed_type
        What kind of idea it is: momentum, mean_reversion, carry, ...
    columns
        Columns of the bars that every genome of it reads.
    own_genes
        Its genes, beside those that all genomes carry.
    conviction
        Whether its targets have a size of their own; without one they are -1, 0 and 1.
    evolves
        Whether it takes part in evolution unless others are chosen.
    memory
        What its decisions know of earlier bars beside columns, indicators and its warm-up's bars.
    read_after_the_fit
        Own genes that its models do not depend on; None for a family that fits no model.
    common_genes
        Genes that it shares with the families of its kind.
    ranks
        Whether it decides on all assets of a panel at once, by ranking them, and not on each by itself.
    foresees
        Whether its models tell how the coming day may go, beside the target (`foreseen_day`).
    """

    name: str
    seed_type: str
    columns: tuple[str, ...]
    own_genes: tuple[GeneSpec, ...]
    conviction: bool = False
    evolves: bool = True
    memory: Memory = "history"
    read_after_the_fit: tuple[str, ...] | None = None
    common_genes: tuple[GeneSpec, ...] = COMMON_GENES
    ranks: bool = False
    foresees: bool = False

    @cached_property
    def genes(self) -> tuple[GeneSpec, ...]:
        """Its own genes, then those that all genomes of its kind carry."""
        return self.own_genes + self.common_genes

    @cached_property
    def _gene_by_name(self) -> dict[str, GeneSpec]:
        return {spec.name: spec for spec in self.genes}

    def gene(self, name: str) -> GeneSpec:
        """Return a gene by its name, which must be one of the family's."""
        return self._gene_by_name[name]

    @cached_property
    def model_genes(self) -> tuple[str, ...]:
        """Names of the genes that its models depend on, none for a family that fits no model."""
        if self.read_after_the_fit is None:
            return ()
        return tuple(spec.name for spec in self.own_genes if spec.name not in self.read_after_the_fit)

    @property
    def default_genes(self) -> dict[str, GeneValue]:
        """Every gene at its default: the genes of its reference genome."""
        return {spec.name: spec.default for spec in self.genes}

    @abstractmethod
    def warmup(self, genes: Genes) -> int:
        """Return W, the first valid bar on which the target may differ from zero."""

    @abstractmethod
    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the indicators that these genomes read, and their keys."""

    @abstractmethod
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

    def foreseen_day(self, bank: IndicatorBank, genes: GeneArrays) -> NDArray[np.float64]:
        """Return the low and the high level of the coming day's log return, shape (G, 2, n); 0 where none is told."""
        return np.zeros((next(iter(genes.values())).size, 2, bank.bars.numbers.size))

    def columns_of(self, genes: Genes) -> tuple[str, ...]:
        """Return the columns that a genome reads: `columns`, and those that its genes ask for."""
        return self.columns

    def check(self, genes: Genes, where: str) -> None:
        """Raise an InputError if genes, each within its bounds, contradict each other; most families' cannot."""
        return

    def repair(self, genes: Genes) -> dict[str, GeneValue]:
        """Return genes, each within its bounds, that do not contradict each other."""
        return dict(genes)

    def recall(self, genes: Genes) -> int:
        """Return how many bars before the run of its side its decisions in it know, beside the warm-up's."""
        return 0

    def arrays(self, genomes: Sequence[Genes]) -> GeneArrays:
        """Collect the genes of genomes into arrays of shape (G,).

        Choices become their index, structures stand in an array of objects.
        """
        arrays: dict[str, NDArray[Any]] = {}
        for spec in self.genes:
            values = [genes[spec.name] for genes in genomes]
            if spec.kind == "structure":
                arrays[spec.name] = np.empty(len(values), dtype=object)
                arrays[spec.name][:] = values
            elif spec.kind == "choice":
                arrays[spec.name] = np.array([spec.choices.index(str(value)) for value in values], dtype=np.int64)
            else:
                arrays[spec.name] = np.array(values, dtype=np.int64 if spec.kind == "int" else np.float64)
        return arrays

    def target(self, genes: Genes, bars: AssetBars, store: IndicatorStore | None = None) -> NDArray[np.float64]:
        """Return the target of one genome over valid bars, shape (n,); a store keeps models for the next call."""
        return GenomeTargets(self, genes, store).target(bars)


class GenomeTargets:
    """The targets of one genome over any bars; what follows from its genes alone is made once.

    Parameters
    ----------
    family
        The family.
    genes
        The genome's genes.
    store
        Keeps models for the next call.
    """

    def __init__(self, family: StrategyFamily, genes: Genes, store: IndicatorStore | None = None) -> None:
        self._family = family
        self._genes = family.arrays([genes])
        self._bank = RepeatedBank(family.indicators(self._genes), store)
        self._targets = Targets.empty(1, 0, conviction=family.conviction)

    def over(self, bars: AssetBars) -> Targets:
        """Return the targets over valid bars; the next call writes over them."""
        if bars.numbers.size > self._targets.bars.shape[1]:
            self._targets = Targets.empty(1, bars.numbers.size, conviction=self._family.conviction)
        self._bank.turn_to(bars)
        self._family.targets(self._bank, self._genes, self._targets)
        return self._targets

    def target(self, bars: AssetBars) -> NDArray[np.float64]:
        """Return the target on each of some valid bars, shape (n,)."""
        return self.over(bars).expanded(0, bars.numbers.size)


class LastTarget:
    """The target of one genome at the last bar of one asset, by the family's own kernels.

    Parameters
    ----------
    family
        The family.
    genes
        The genome's genes.
    models
        Keeps the models of learning families.
    """

    def __init__(self, family: StrategyFamily, genes: Genes, models: IndicatorStore) -> None:
        self._family = family
        self._genes = family.arrays([genes])
        self._bank = GrowingBank(family.indicators(self._genes), models)
        self._targets = Targets.empty(1, 0, conviction=family.conviction)
        self._warmup, self._recall = family.warmup(genes), family.recall(genes)
        self._count = self._held = 0
        # The last bar, of those seen one by one, from which on nothing earlier is remembered.
        self._anew: int | None = None
        self._target = 0.0

    def at(self, bars: AssetBars) -> float:
        """Return the target in [-1, 1] that all bars so far decide, 0 without any; they begin with the last call's."""
        count, memory = bars.numbers.size, self._family.memory
        if count == self._count:
            return self._target
        self._bank.follow(bars)
        begin = self._first_read(count)
        self._bank.look_from(bars, begin)
        if count - begin > self._targets.bars.shape[1]:
            self._targets = Targets.empty(1, 2 * (count - begin), conviction=self._family.conviction)
        self._targets.held[0] = self._held if begin and memory == "direction" else 0
        self._family.targets(self._bank, self._genes, self._targets)
        self._held, side, self._target = self._targets.last(0, count - begin)
        forgets = side != self._held if memory == "run" else side == 0
        self._anew = count - 1 if forgets else self._anew
        self._count = count
        return self._target

    def foreseen_day(self) -> tuple[float, float]:
        """Return the low and the high level of the log return of the day that follows the last bar; 0 before any."""
        if self._count == 0:
            return 0.0, 0.0
        low, high = self._family.foreseen_day(self._bank, self._genes)[0, :, -1].tolist()
        return low, high

    def _first_read(self, count: int) -> int:
        # The first bar that the kernels must see to decide the last one, given what is known of earlier bars.
        memory = self._family.memory
        if count != self._count + 1 or memory == "history":
            return 0
        if memory == "direction":
            # The last two are decided, the first of them again: for how long no price has moved shows on one bar more
            # than the warm-up has.
            return max(count - self._warmup - 2, 0)
        return 0 if self._anew is None else max(self._anew + 1 - self._warmup - self._recall, 0)
