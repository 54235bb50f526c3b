"""Signals: the target position of one genome over the bars of one asset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.bank import Bars, IndicatorBank
from quant_organism.strategies.family import GeneArrays, columns_of, get_family
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.store import IndicatorStore
from quant_organism.strategies.targets import Targets

COLUMNS = ("open", "high", "low", "close", "volume", "funding_rate")


def gene_arrays(genomes: Sequence[Genome]) -> GeneArrays:
    """Collect the genes of genomes of one family into arrays of shape (G,).

    Choices become their index, structures stand in an array of objects.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for spec in get_family(genomes[0].family).genes:
        values = [genome.genes[spec.name] for genome in genomes]
        if spec.kind == "structure":
            arrays[spec.name] = np.empty(len(values), dtype=object)
            arrays[spec.name][:] = values
        elif spec.kind == "choice":
            arrays[spec.name] = np.array([spec.choices.index(str(value)) for value in values], dtype=np.int64)
        else:
            arrays[spec.name] = np.array(values, dtype=np.int64 if spec.kind == "int" else np.float64)
    return arrays


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
) -> tuple[Bars, NDArray[np.bool_]]:
    """Return the bars that are not void for a genome's family, and which they are, shape (n,).

    Parameters and errors are those of `signal`.
    """
    family = get_family(genome.family)
    needed = columns_of(family, genome.genes)
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
    bars = Bars(
        **kept,
        numbers=np.ascontiguousarray(counted[valid]),
        bar_hours=bar_hours,
    )
    return bars, valid


def target_of(genome: Genome, bars: Bars, store: IndicatorStore | None = None) -> NDArray[np.float64]:
    """Return the target of a genome over valid bars, shape (n,); a store keeps models for the next call."""
    family = get_family(genome.family)
    genes = gene_arrays([genome])
    targets = Targets.empty(1, bars.numbers.size, conviction=family.conviction)
    family.targets(IndicatorBank(bars, family.indicators(genes), store), genes, targets)
    return targets.expanded(0, bars.numbers.size)


def _expand(target: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    last_valid = np.cumsum(valid)
    return np.asarray(np.concatenate([[0.0], target])[last_valid] + 0.0)
