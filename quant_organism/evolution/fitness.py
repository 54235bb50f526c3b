"""What a search takes for the worth of a genome: its Sharpe ratio, or a score that flatters luck less; and penalties.

The score stands in the place of the Sharpe ratio in the first objective, and nowhere else: the final choice ranks by
the Sharpe ratio itself, since a score that was already searched for is no independent judge of what was found.

Genomes always trade all assets under their allocation genes, so `plain` is what other systems call the pooled fitness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.strategies import GeneSpec, Genome, Structure, get_family

Fitness = Literal["plain", "smoothed", "asset_median"]
"""`plain`: the portfolio's Sharpe ratio. `smoothed`: its mean over the nearest neighbours among the genomes evaluated.
`asset_median`: the median over assets of the Sharpe ratios of the genome's sleeves alone; `sharpe` where it ranks
assets."""

TURNOVER_UNIT = 1_000.0
"""Turnover a year by which the turnover penalty counts."""

Floats = NDArray[np.float64]


def fitness(
    name: Fitness, genomes: Sequence[Genome], sharpe: Floats, asset_sharpe: Floats, *, neighbours: int = 5
) -> Floats:
    """Return the score of genomes.

    Parameters
    ----------
    name
        Which score.
    genomes
        All n genomes that were evaluated so far.
    sharpe
        Annual Sharpe ratio of each portfolio, shape (n,); finite where `name` is `smoothed`.
    asset_sharpe
        Sharpe ratio of each sleeve alone, NaN where it is undefined, shape (n, N).
    neighbours
        Over how many genomes `smoothed` takes the mean, the genome itself included.

    Returns
    -------
    Shape (n,).
    """
    if name == "smoothed":
        return smoothed(genomes, sharpe, neighbours)
    if name == "asset_median":
        # Those that rank assets have no sleeves whose median could be taken.
        ranks = np.array([get_family(genome.family).ranks for genome in genomes], dtype=np.bool_)
        return np.where(ranks, sharpe, asset_median(asset_sharpe))
    return sharpe


def asset_median(asset_sharpe: Floats) -> Floats:
    """Return the median over assets, shape (n,); an asset on which a genome did nothing counts 0."""
    return np.asarray(np.median(np.nan_to_num(asset_sharpe, nan=0.0), axis=1))


def smoothed(genomes: Sequence[Genome], values: Floats, neighbours: int) -> Floats:
    """Return the mean of each genome's value with those of its nearest neighbours in gene space.

    Only genomes of its family are neighbours. Each gene is a coordinate: numbers over the span of their bounds; choices
    and structures are 0 apart when equal and 1 when not. Of two equally near ones the earlier counts; where a family
    has fewer genomes than `neighbours`, all of them do.

    Parameters
    ----------
    genomes
        n genomes.
    values
        Finite, shape (n,).
    neighbours
        At least 1; the genome itself is its own first neighbour.

    Raises
    ------
    InputError
        A value that is not finite, or no neighbour.
    """
    if neighbours < 1:
        raise InputError(f"neighbours is {neighbours}, expected at least 1", where="fitness")
    if not np.isfinite(values).all():
        first = genomes[int(np.flatnonzero(~np.isfinite(values))[0])]
        raise InputError(
            "a value is not finite", where=f"genome {first.id}", remedy="give infeasible genomes the worst value"
        )
    means = np.empty(len(genomes))
    for family in sorted({genome.family for genome in genomes}):
        places = np.array([place for place, genome in enumerate(genomes) if genome.family == family])
        numbers, codes = _coordinates([genomes[place] for place in places], get_family(family).genes)
        own = values[places]
        for row, place in enumerate(places):
            apart = ((numbers - numbers[row]) ** 2).sum(axis=1) + (codes != codes[row]).sum(axis=1)
            nearest = np.argsort(apart, kind="stable")[:neighbours]
            means[place] = np.sort(own[nearest]).mean()
    return means


def _coordinates(genomes: Sequence[Genome], specs: Sequence[GeneSpec]) -> tuple[Floats, NDArray[np.int64]]:
    # Numbers over their span, shape (n, any), and what can only be equal or not as codes, shape (n, any).
    measured = [spec for spec in specs if spec.kind in ("int", "float") and spec.high > spec.low]
    compared = [spec for spec in specs if spec.kind in ("choice", "structure")]
    numbers = np.array([[float(genome.genes[spec.name]) for spec in measured] for genome in genomes])  # type: ignore[arg-type]
    spans = np.array([spec.high - spec.low for spec in measured])
    known: dict[object, int] = {}
    codes = [[known.setdefault(genome.genes[spec.name], len(known)) for spec in compared] for genome in genomes]
    return numbers / spans, np.array(codes, dtype=np.int64).reshape(len(genomes), len(compared))


def complexity(genomes: Sequence[Genome]) -> Floats:
    """Return how many parts each genome's rule has, shape (n,).

    Each of its family's own genes is one, a structure as many as it has nodes. Genes that all genomes carry are left
    out.
    """
    return np.array(
        [sum(_nodes(genome.genes[spec.name]) for spec in get_family(genome.family).own_genes) for genome in genomes],
        dtype=np.float64,
    )


def _nodes(value: Structure | float | str) -> int:
    return 1 + sum(_nodes(part) for part in value if isinstance(part, tuple)) if isinstance(value, tuple) else 1


def penalised(
    scores: Floats,
    parts: Floats,
    turnover_per_year: Floats,
    *,
    complexity_penalty: float = 0.0,
    turnover_penalty: float = 0.0,
) -> Floats:
    """Return scores less what complexity and turnover cost.

    Parameters
    ----------
    scores, parts, turnover_per_year
        Of n genomes, each of shape (n,): `fitness`, `complexity`, and the metric of that name.
    complexity_penalty
        Sharpe ratio that a part of the rule must be worth.
    turnover_penalty
        Sharpe ratio that a turnover of 1,000 times the equity a year must be worth, beyond the costs already paid.
    """
    return np.asarray(
        scores - complexity_penalty * parts - turnover_penalty * turnover_per_year / TURNOVER_UNIT, dtype=np.float64
    )
