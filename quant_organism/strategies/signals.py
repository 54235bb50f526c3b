"""Signals: the target position of one genome on one asset, over all bars at once or at each close as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.bars import COLUMNS, AssetBars, Histories
from quant_organism.strategies.families import get_family
from quant_organism.strategies.family import LastTargets
from quant_organism.strategies.genome import Genome
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
    """The targets that one genome draws from the bars so far of each of N assets.

    Every target is computed by the family's own kernels from these bars. A family looks at no later bar, so these
    are the targets of one call over the whole history, bit for bit. Indicators grow by one column per bar, and kernels
    go through as many of the latest bars as the family remembers (`StrategyFamily.memory`), a few nanoseconds a bar;
    bars of all assets that close together are taken at once.

    Parameters
    ----------
    genome
        The strategy.
    histories
        Where the bars are; others append them.
    models
        Shared by the streams of one strategy; without it, the stream has its own.
    """

    def __init__(self, genome: Genome, histories: Histories, models: FittedModels | None = None) -> None:
        family = get_family(genome.family)
        # Bars with a funding rate alone exist for a genome that reads one.
        reads_funding = "funding_rate" in family.columns_of(genome.genes)
        self._read = histories.rated() if reads_funding else histories
        self._last = LastTargets(family, genome.genes, models or FittedModels(), histories.counts.size)

    def follow(self, assets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the target in [-1, 1] decided at the close of the last bar of each of some assets; 0 before the first.

        A bar without a funding rate does not exist for a genome that reads one: the target stays.

        Parameters
        ----------
        assets
            Numbers of the assets, shape (A,).
        """
        self._last.follow(self._read, assets)
        return self._last.targets[assets]

    def prepare(self) -> None:
        """Do what can be done of the next decision before its bars have come; it stays the same."""
        self._last.prepare(self._read)

    def foreseen_days(self) -> NDArray[np.float64]:
        """Return the low and the high level of each asset's coming day's log return, shape (N, 2).

        As its models told at the last `follow`; 0 where they tell none.
        """
        return self._last.foreseen_days(self._read)
