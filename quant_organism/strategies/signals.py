"""Signals: the target position of one genome on one asset, over all bars at once or at each close as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.bank import AbreastBank
from quant_organism.strategies.bars import COLUMNS, AssetBars, Histories
from quant_organism.strategies.families import get_family
from quant_organism.strategies.family import FamilyTargets
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.indicators.indicator import Indicator
from quant_organism.strategies.store import Arrays, IndicatorStore, Keys, Rows

_MODEL_BYTES = 64 * 2**20


def signal(
    genome: Genome,
    columns: Mapping[str, ArrayLike],
    *,
    bar_hours: float = 1.0,
    numbers: ArrayLike | None = None,
    store: IndicatorStore | None = None,
) -> NDArray[np.float64]:
    """Return the target position decided at each bar's close, from that bar and earlier ones.

    Parameters
    ----------
    genome
        The strategy.
    columns
        The columns that its family reads, each of shape (n,): of ``open high low close volume
        funding_rate``. A bar with a NaN or infinite value in one of them is void: it is left out, and the target
        repeats the one before.
    bar_hours
        Length of a bar in hours.
    numbers
        Absolute number of each bar (open time over bar length), shape (n,); 0, 1, ... when left out.
    store
        Keeps the models of learning families for the next call.

    Returns
    -------
    Target in [-1, 1], shape (n,): the share of `position_size` to hold, signed; 0 during warm-up.

    Raises
    ------
    InputError
        If a column that the family reads is absent, or the columns differ in length.
    """
    bars, valid = valid_bars(genome, columns, bar_hours=bar_hours, numbers=numbers)
    return _expand(target_of(genome, bars, store), valid)


def valid_bars(
    genome: Genome,
    columns: Mapping[str, ArrayLike],
    *,
    bar_hours: float = 1.0,
    numbers: ArrayLike | None = None,
) -> tuple[AssetBars, NDArray[np.bool_]]:
    """Return the bars that are not void for a genome's family, and which they are, shape (n,).

    Parameters and errors are those of `signal`.
    """
    family = get_family(genome.family)
    needed = family.columns_of(genome.genes)
    absent = [name for name in needed if name not in columns]
    if absent:
        raise InputError(
            f"{genome.family} reads the columns {', '.join(needed)}, but {', '.join(absent)} is absent",
            where=genome.id,
            remedy="supply the column; nothing is put in its place",
        )
    read = {name: np.asarray(columns[name], dtype=np.float64) for name in needed}
    shapes = {name: array.shape for name, array in read.items()}
    if len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != 1:
        raise InputError(f"columns must be of one length, found shapes {shapes}", where=genome.id)
    valid = np.all([np.isfinite(array) for array in read.values()], axis=0)
    counted = np.arange(valid.size) if numbers is None else np.asarray(numbers, dtype=np.int64)
    unread = np.empty(0)
    kept: dict[str, Any] = {
        name: np.ascontiguousarray(read[name][valid]) if name in read else unread for name in COLUMNS
    }
    bars = AssetBars(
        **kept,
        numbers=np.ascontiguousarray(counted[valid]),
        bar_hours=bar_hours,
    )
    return bars, valid


def target_of(genome: Genome, bars: AssetBars, store: IndicatorStore | None = None) -> NDArray[np.float64]:
    """Return the target of a genome over valid bars, shape (n,); a store keeps models for the next call."""
    return get_family(genome.family).target(genome.genes, bars, store)


def _expand(target: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    last_valid = np.cumsum(valid)
    return np.asarray(np.concatenate([[0.0], target])[last_valid] + 0.0)


class FittedModels(IndicatorStore):
    """Keeps the models of learning families from bar to bar, but no rows: those of a growing history do not repeat.

    Parameters
    ----------
    shared
        Where models are looked up and kept instead, with those that others have made of the same training rows.
    """

    def __init__(self, shared: IndicatorStore | None = None) -> None:
        super().__init__(_MODEL_BYTES)
        self._shared = shared

    def remember(self, key: bytes, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays kept under a key that stands for their whole content, made now if there are none."""
        return super().remember(key, make) if self._shared is None else self._shared.remember(key, make)

    def table(self, market: str, asset: str, name: str) -> None:
        """Return nothing: there are no rows."""

    def keep_table(self, market: str, asset: str, name: str, keys: Keys, rows: Rows) -> None:
        """Keep nothing."""


class SignalStream:
    """The targets that G genomes draw from the bars so far of each of N assets.

    Every target is computed by the family's own kernels from these bars. A family looks at no later bar, so these
    are the targets of one call over the whole history, bit for bit. Indicators grow by one column per bar, and kernels
    go through as many of the latest bars as the family remembers (`StrategyFamily.memory`), a few nanoseconds a bar;
    bars of all assets that close together are taken at once. What several genomes read of an indicator is made once,
    and genomes of one family decide in one call.

    Parameters
    ----------
    genomes
        The strategies.
    histories
        Where the bars are; others append them.
    models
        Shared by the streams of one strategy; without it, the stream has its own.
    """

    def __init__(self, genomes: Sequence[Genome], histories: Histories, models: FittedModels | None = None) -> None:
        kept, n_assets = models or FittedModels(), histories.counts.size
        self._targets = np.zeros((len(genomes), n_assets))
        # Of each genome what decides for it, and its number there.
        self._decided_by: dict[int, tuple[Histories, FamilyTargets, int]] = {}
        self._banks: list[tuple[Histories, AbreastBank, list[tuple[list[int], FamilyTargets]]]] = []
        # Bars with a funding rate alone exist for a genome that reads one.
        rated = ["funding_rate" in get_family(each.family).columns_of(each.genes) for each in genomes]
        for reads_funding in sorted(set(rated)):
            read = histories.rated() if reads_funding else histories
            of_family: dict[str, list[int]] = {}
            for place, genome in enumerate(genomes):
                if rated[place] == reads_funding:
                    of_family.setdefault(genome.family, []).append(place)
            needs: dict[Indicator, list[Keys]] = {}
            for name, places in of_family.items():
                family = get_family(name)
                own = family.indicators(family.arrays([genomes[place].genes for place in places]))
                for indicator, keys in own.items():
                    needs.setdefault(indicator, []).append(keys)
            bank = AbreastBank({each: np.concatenate(keys) for each, keys in needs.items()}, kept, n_assets)
            parts = []
            for name, places in of_family.items():
                decided = FamilyTargets(get_family(name), [genomes[place].genes for place in places], bank, n_assets)
                parts.append((places, decided))
                for number, place in enumerate(places):
                    self._decided_by[place] = read, decided, number
            self._banks.append((read, bank, parts))

    def follow(self, assets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the targets in [-1, 1] decided at the close of the last bar of some assets; 0 before the first.

        A bar without a funding rate does not exist for a genome that reads one: the target stays.

        Parameters
        ----------
        assets
            Numbers of the assets, shape (A,).

        Returns
        -------
        Shape (G, A).
        """
        for read, bank, parts in self._banks:
            new = bank.follow(read, assets)
            for places, decided in parts if new.size else ():
                decided.decide(read, new)
                self._targets[places] = decided.targets
        return self._targets[:, assets]

    def keep(self, genomes: Sequence[int]) -> None:
        """Let go of all genomes but these, by their numbers; the first of them has number 0 from here on."""
        self._targets = self._targets[list(genomes)]
        new = {place: number for number, place in enumerate(genomes)}
        banks = []
        for read, bank, parts in self._banks:
            left = []
            for places, decided in parts:
                kept = [number for number, place in enumerate(places) if place in new]
                if kept:
                    decided.keep(kept)
                    left.append(([new[places[number]] for number in kept], decided))
            if left:
                bank.keep({indicator for _, decided in left for indicator in decided.indicators})
                banks.append((read, bank, left))
        self._banks = banks
        self._decided_by = {
            place: (read, decided, number)
            for read, _, parts in banks
            for places, decided in parts
            for number, place in enumerate(places)
        }

    def prepare(self) -> None:
        """Do what can be done of the next decisions before their bars have come; they stay the same."""
        for read, bank, _ in self._banks:
            bank.prepare(read)

    def foreseen_days(self, genome: int) -> NDArray[np.float64]:
        """Return the low and the high level of each asset's coming day's log return, shape (N, 2).

        As the models of a genome, by its number, told at the last `follow`; 0 where they tell none.
        """
        read, decided, number = self._decided_by[genome]
        return np.asarray(decided.foreseen_days(read)[number])
