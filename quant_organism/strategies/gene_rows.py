"""Genomes as rows: their numbers in one array over all families, the genes that are no numbers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.families import family_names, get_family, ranking_family_names
from quant_organism.strategies.genes import GeneSpec, GeneValue, off_scale, on_scale
from quant_organism.strategies.genome import Genome

_NUMBERS = ("int", "float")


@dataclass(frozen=True, eq=False)
class GeneLayout:
    """What stands in the columns of rows, for each of F families.

    Attributes
    ----------
    families
        Names, length F.
    numbers
        Int and float genes of each family by column, those first that mean the same in all families of its kind.
    others
        Its choices and structures.
    low, high
        float64 (F, L): inclusive bounds; 0 and 1 beyond the columns that a family has.
    whole, present
        bool (F, L): which columns are ints; which the family has.
    ranks
        bool (F,): which families rank assets; the others are of the other kind.
    common
        int64 (F,): how many of its columns a family shares with all of its kind.
    shift
        float64 (F, L): what is added before the logarithm of columns on a log scale, nan where the scale is linear.
    steps
        float64 (F, L, S): the steps of columns with a grid, infinite beyond the last of them.
    """

    families: tuple[str, ...]
    numbers: tuple[tuple[GeneSpec, ...], ...]
    others: tuple[tuple[GeneSpec, ...], ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    whole: NDArray[np.bool_]
    present: NDArray[np.bool_]
    ranks: NDArray[np.bool_]
    common: NDArray[np.int64]
    shift: NDArray[np.float64]
    steps: NDArray[np.float64]

    @cached_property
    def stepped(self) -> NDArray[np.bool_]:
        """Which columns have a grid, bool (F, L)."""
        return np.isfinite(self.steps[:, :, 0])

    def steps_of(self, kind: NDArray[np.int64], where: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the steps of the numbers in `where`, bool (n, L), of rows of some families, int64 (n,): (m, S)."""
        rows, columns = np.nonzero(where)
        return self.steps[kind[rows], columns]

    @cached_property
    def low_place(self) -> NDArray[np.float64]:
        """Where the lower bounds stand on their scales, (F, L)."""
        return on_scale(self.low, self.shift)

    @cached_property
    def high_place(self) -> NDArray[np.float64]:
        """Where the upper bounds stand on their scales, (F, L)."""
        return on_scale(self.high, self.shift)


@dataclass(frozen=True, eq=False)
class GeneRows:
    """n genomes of any families, ready for operators on arrays.

    Attributes
    ----------
    kind
        int64 (n,): the family, as its place in the layout.
    numbers
        float64 (n, L): values of int and float genes; 0 beyond the columns that a family has.
    others
        Length n: values of choices and structures by the name of their gene.
    """

    kind: NDArray[np.int64]
    numbers: NDArray[np.float64]
    others: tuple[dict[str, GeneValue], ...]

    @classmethod
    def of(cls, genomes: Sequence[Genome]) -> GeneRows:
        """Lay genomes out as rows."""
        layout = _layout((*family_names(), *ranking_family_names()))
        place = {name: kind for kind, name in enumerate(layout.families)}
        kinds = [place[genome.family] for genome in genomes]
        width = layout.low.shape[1]
        numbers = np.zeros((len(genomes), width))
        for row, (kind, genome) in enumerate(zip(kinds, genomes, strict=True)):
            values = [genome.genes[spec.name] for spec in layout.numbers[kind]]
            numbers[row, : len(values)] = values
        others = tuple(
            {spec.name: genome.genes[spec.name] for spec in layout.others[kind]}
            for kind, genome in zip(kinds, genomes, strict=True)
        )
        return cls(np.array(kinds, dtype=np.int64), numbers, others)

    @classmethod
    def joined(cls, parts: Sequence[GeneRows]) -> GeneRows:
        """Put rows below one another."""
        return cls(
            np.concatenate([part.kind for part in parts]),
            np.concatenate([part.numbers for part in parts]),
            tuple(others for part in parts for others in part.others),
        )

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def places(self) -> NDArray[np.float64]:
        """Where the numbers stand on the scales of their genes, float64 (n, L): logarithms on a log scale."""
        return on_scale(self.numbers, self.layout.shift[self.kind])

    @cached_property
    def layout(self) -> GeneLayout:
        """What stands in the columns."""
        return _layout((*family_names(), *ranking_family_names()))

    def take(self, rows: NDArray[np.int64]) -> GeneRows:
        """Return some of the rows, in the order of `rows`, int64 (k,)."""
        return GeneRows(self.kind[rows], self.numbers[rows], tuple(self.others[row] for row in rows))

    def moved(self, places: NDArray[np.float64], where: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the numbers, those in `where` moved to other places of their scales, (n, L)."""
        low, high = self.layout.low[self.kind], self.layout.high[self.kind]
        return np.where(where, np.clip(off_scale(places, self.layout.shift[self.kind]), low, high), self.numbers)

    def genomes(self, generation: int) -> list[Genome]:
        """Return the rows as genomes, genes that contradict each other repaired."""
        born = []
        for kind, values, others in zip(self.kind.tolist(), self.numbers.tolist(), self.others, strict=True):
            genes = dict(others)
            for spec, value in zip(self.layout.numbers[kind], values, strict=False):
                genes[spec.name] = int(value) if spec.kind == "int" else value
            name = self.layout.families[kind]
            born.append(Genome(name, get_family(name).repair(genes), generation))
        return born


@cache
def _layout(names: tuple[str, ...]) -> GeneLayout:
    families = [get_family(name) for name in names]
    genes = [(*family.common_genes, *family.own_genes) for family in families]
    numbers = tuple(tuple(spec for spec in specs if spec.kind in _NUMBERS) for specs in genes)
    shape = len(names), max(map(len, numbers))
    low, high, shift = np.zeros(shape), np.ones(shape), np.full(shape, np.nan)
    whole, present = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for kind, specs in enumerate(numbers):
        for column, spec in enumerate(specs):
            low[kind, column], high[kind, column] = spec.low, spec.high
            shift[kind, column] = spec.shift if spec.scale == "log" else np.nan
            whole[kind, column], present[kind, column] = spec.kind == "int", True
    steps = np.full((*shape, max(len(spec.steps) for specs in numbers for spec in specs)), np.inf)
    for kind, specs in enumerate(numbers):
        for column, spec in enumerate(specs):
            steps[kind, column, : len(spec.steps)] = spec.steps
    others = tuple(tuple(spec for spec in specs if spec.kind not in _NUMBERS) for specs in genes)
    ranks = np.array([family.ranks for family in families])
    common = np.array([sum(spec.kind in _NUMBERS for spec in family.common_genes) for family in families])
    return GeneLayout(names, numbers, others, low, high, whole, present, ranks, common, shift, steps)
