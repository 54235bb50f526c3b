"""What a strategy family is, and how the targets of one set of its genes are made: over all bars, or bar by bar."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import AbreastBank, IndicatorBank, RepeatedBank
from quant_organism.strategies.bars import AssetBars, Histories
from quant_organism.strategies.common_genes import COMMON_GENES
from quant_organism.strategies.genes import GeneSpec, GeneValue
from quant_organism.strategies.indicators.indicator import Indicator, Needs
from quant_organism.strategies.store import IndicatorStore
from quant_organism.strategies.targets import Targets, last_targets

Genes = Mapping[str, Any]
"""A value for each gene of a family, own and common."""

GeneArrays = Mapping[str, NDArray[Any]]
"""One value per genome and gene, shape (G,): float64, int64 for ints and indices of choices, objects for structures."""

Memory = Literal["direction", "history"]
"""The direction that is held, with what `StrategyFamily.left` keeps, and nothing else; or anything."""


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
    left
        How many numbers `Targets.left` holds of each genome: what its decisions know of earlier bars beside what
        `memory` says; 0 for none.
    abreast
        Whether `targets` decides genomes that stand on different assets: it reads prices by `IndicatorBank.prices` and
        `stands`, and begins at `firsts`.
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
    left: int = 0
    abreast: bool = False

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

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return how many bars before the first that is decided its kernels read, where `memory` is the direction."""
        return self.warmup(genes)

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


class FamilyTargets:
    """The targets of G genomes of one family at the last bar of each of N assets, by the family's own kernels.

    Bars of many assets that close together are decided in one call of the kernels, as if each genome on each asset were
    a genome of its own; a family that is not `abreast` decides asset after asset.

    Parameters
    ----------
    family
        The family.
    genomes
        Genes of each genome.
    bank
        Follows the bars, and has at least the indicators that these genomes read; others may read it too.
    n_assets
        Number of assets N.

    Attributes
    ----------
    targets
        What all bars so far decide, in [-1, 1], 0 without any, shape (G, N).
    """

    def __init__(self, family: StrategyFamily, genomes: Sequence[Genes], bank: AbreastBank, n_assets: int) -> None:
        self._family, self._genomes = family, genomes
        self._genes = family.arrays(genomes)
        self._bank = bank.part(family.indicators(self._genes), len(genomes))
        self._room = Targets.empty(0, 0, conviction=family.conviction, left=family.left)
        self._left = np.zeros((len(genomes), n_assets, family.left))
        self._warmup = max(family.warmup(genes) for genes in genomes)
        self._looks_back = -1
        self._counts = np.zeros(n_assets, dtype=np.int64)
        self._held = np.zeros((len(genomes), n_assets), dtype=np.int8)
        self._repeated: dict[int, GeneArrays] = {}
        self._foreseen: NDArray[np.float64] | None = None
        self.targets = np.zeros((len(genomes), n_assets))

    def decide(self, histories: Histories, assets: NDArray[np.int64]) -> None:
        """Decide at the last bars of some assets, which are new to it and known to the bank."""
        if self._looks_back < 0:
            backs = (self._family.looks_back(genes, histories.bar_hours) for genes in self._genomes)
            # Asset after asset, kernels begin after the warm-up of what they are shown.
            self._looks_back = max(backs) if self._family.abreast else self._warmup
        self._foreseen = None
        counts = histories.counts[assets]
        later = counts == self._counts[assets] + 1
        if not later.all():
            several, assets, counts = assets[~later], assets[later], counts[later]
            self._decide(histories, several, np.zeros_like(several))
        if assets.size:
            self._decide(histories, assets, self._first_read(counts))

    @property
    def indicators(self) -> Collection[Indicator]:
        """Which it reads."""
        return self._family.indicators(self._genes).keys()

    def keep(self, genomes: Sequence[int]) -> None:
        """Let go of all genomes but these, by their numbers."""
        chosen = list(genomes)
        self._genomes = [self._genomes[genome] for genome in chosen]
        self._genes, self._repeated = self._family.arrays(self._genomes), {}
        self._foreseen = None
        self._bank.show_to(len(chosen))
        self._left, self._held, self.targets = self._left[chosen], self._held[chosen], self.targets[chosen]

    def foreseen_days(self, histories: Histories) -> NDArray[np.float64]:
        """Return the low and the high level of the log return of the day after each last bar, shape (G, N, 2).

        As it was at the last decision; 0 before any.
        """
        if self._foreseen is not None:
            return self._foreseen
        genomes = len(self._genomes)
        found = self._foreseen = np.zeros((genomes, self._counts.size, 2))
        assets = np.flatnonzero(self._counts)
        if assets.size and self._family.foresees:
            self._bank.look_at(histories, assets, np.ones_like(assets), np.full_like(assets, -1))
            days = self._family.foreseen_day(self._bank, self._genes_of(assets.size))[:, :, -1]
            found[:, assets] = days.reshape(genomes, assets.size, 2)
        return found

    def _decide(self, histories: Histories, assets: NDArray[np.int64], begins: NDArray[np.int64]) -> None:
        family, genomes, counts = self._family, len(self._genomes), histories.counts[assets]
        rows, widths = genomes * assets.size, counts - begins
        # Most often all of them, which a slice takes without a copy.
        own: Any = slice(None) if assets.size == self._counts.size else assets
        goes_on = begins > 0
        # What goes on from the direction decides the last two bars alone.
        self._bank.look_at(histories, assets, widths, np.where(goes_on, widths - 2, -1))
        room = int(widths.max())
        if rows > self._room.counts.size or room > self._room.bars.shape[1]:
            self._room = Targets.empty(rows, 2 * room, conviction=family.conviction, left=family.left)
        out = self._room.part(rows, conviction=family.conviction)
        out.held[:] = (self._held[:, own] * goes_on).ravel()
        if family.left:
            out.left[:] = np.where(goes_on[:, np.newaxis], self._left[:, own], 0.0).reshape(rows, family.left)
        if family.abreast:
            family.targets(self._bank, self._genes_of(assets.size), out)
            ends = np.full(rows, room)
        else:
            for place in range(assets.size):
                bank = self._bank.of_asset(place)
                for genome in range(genomes):
                    genes = {name: values[genome : genome + 1] for name, values in self._genes.items()}
                    family.targets(bank, genes, out.only(genome * assets.size + place))
            ends = np.tile(widths, genomes)
        before, _, targets = (each.reshape(genomes, -1) for each in last_targets(out, ends))
        self.targets[:, own], self._held[:, own], self._counts[own] = targets, before, counts
        if family.left:
            self._left[:, own] = out.left.reshape(genomes, assets.size, family.left)

    def _genes_of(self, assets: int) -> GeneArrays:
        # Genome after genome, each on all assets.
        if assets not in self._repeated:
            self._repeated[assets] = {name: np.repeat(values, assets) for name, values in self._genes.items()}
        return self._repeated[assets]

    def _first_read(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        # The first bar of each asset that the kernels must see to decide the last one, given what earlier bars left.
        if self._family.memory == "history":
            return np.zeros_like(counts)
        # The last two are decided, the first of them again: for how long no price has moved shows on one bar more
        # than the warm-up has.
        is_warm = counts > max(self._warmup, self._looks_back) + 2
        return np.where(is_warm, counts - self._looks_back - 2, 0)


class LastTargets:
    """The target of one genome at the last bar of each of N assets, with indicators of its own.

    Parameters
    ----------
    family
        The family.
    genes
        The genome's genes.
    models
        Keeps the models of learning families.
    n_assets
        Number of assets N.
    """

    def __init__(self, family: StrategyFamily, genes: Genes, models: IndicatorStore, n_assets: int) -> None:
        self._bank = AbreastBank(family.indicators(family.arrays([genes])), models, n_assets)
        self._decided = FamilyTargets(family, [genes], self._bank, n_assets)

    @property
    def targets(self) -> NDArray[np.float64]:
        """What all bars so far decide, in [-1, 1], 0 without any, shape (N,)."""
        return np.asarray(self._decided.targets[0])

    def follow(self, histories: Histories, assets: NDArray[np.int64]) -> None:
        """Decide at the last bars of some assets; their bars begin with those of the last call."""
        assets = self._bank.follow(histories, assets)
        if assets.size:
            self._decided.decide(histories, assets)

    def prepare(self, histories: Histories) -> None:
        """Do what can be done of the next decision before its bars have come; it stays the same."""
        self._bank.prepare(histories)
