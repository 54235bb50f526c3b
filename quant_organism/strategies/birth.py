"""Birth checks: what every genome must show on a sample of bars before it may enter a population.

A signal that knows bars to come, speaks before its warm-up is over, or hangs on where the history happens to begin
earns in a backtest what it can never earn afterwards; one that never speaks only costs time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.families import get_family
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.signals import target_of
from quant_organism.strategies.store import IndicatorStore

SAMPLE_BARS = 2_400
"""AssetBars of a sample: enough for the longest warm-up of a fitted family, and as much again."""

LOOKS_AHEAD, SPEAKS_EARLY, HANGS_ON_THE_START, SILENT = (
    "looks ahead",
    "speaks before its warm-up is over",
    "hangs on where the history begins",
    "never fires",
)

_CUTS = 3
_DROPPED_BARS = 100
_TOLERANCE = 0.1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Flaw:
    """Why a genome was not let into a population.

    Parameters
    ----------
    genome
        Its identity.
    kind
        One of the kinds of this module.
    detail
        Where it showed.
    """

    genome: str
    kind: str
    detail: str


def check_birth(genome: Genome, samples: Sequence[AssetBars], store: IndicatorStore | None = None) -> Flaw | None:
    """Return what is wrong with a genome, or None.

    On the first sample with a target: cutting the bars off right after a target changed must leave every target up to
    there as it was; no target comes before the warm-up; and without the first hundred bars the direction in the last
    third is the same, but for a tenth of its bars (a position remembers more than indicators do). On a sample that is
    shorter than `SAMPLE_BARS` the last is not asked: too little would be left to tell.

    Parameters
    ----------
    genome
        The genome.
    samples
        AssetBars of some assets, tried in this order until the genome fires.
    store
        Keeps fitted models, so that equal fits are made once.
    """
    columns = get_family(genome.family).columns_of(genome.genes)
    for bars in samples:
        seen = _readable(bars, columns)
        target = target_of(genome, seen, store)
        if target.any():
            return _first_flaw(genome, seen, target, store)
    return Flaw(genome.id, SILENT, f"no target on {len(samples)} samples of up to {SAMPLE_BARS} bars")


def _first_flaw(genome: Genome, bars: AssetBars, target: Floats, store: IndicatorStore | None) -> Flaw | None:
    changes = np.flatnonzero(np.diff(target, prepend=0.0))
    for change in changes[np.unique(np.linspace(0, changes.size - 1, _CUTS).astype(int))]:
        known = target_of(genome, _part(bars, slice(0, change + 1)), store)
        differing = np.flatnonzero(known != target[: change + 1])
        if differing.size:
            return Flaw(genome.id, LOOKS_AHEAD, f"bar {differing[0]} of its sample changes when bar {change + 1} comes")
    warmup = get_family(genome.family).warmup(genome.genes)
    if changes[0] < warmup:
        return Flaw(genome.id, SPEAKS_EARLY, f"bar {changes[0]} of its sample, but the warm-up lasts {warmup} bars")
    if target.size < SAMPLE_BARS:
        return None
    late = target_of(genome, _part(bars, slice(_DROPPED_BARS, None)), store)
    last_third = slice(-(target.size // 3), None)
    differing_share = float(np.mean(np.sign(late[last_third]) != np.sign(target[last_third])))
    if differing_share > _TOLERANCE:
        return Flaw(
            genome.id,
            HANGS_ON_THE_START,
            f"{differing_share:.0%} of later directions change without the first {_DROPPED_BARS} bars",
        )
    return None


def _readable(bars: AssetBars, columns: Sequence[str]) -> AssetBars:
    # The bars on which all columns that the genome reads are known, the latest of them.
    known = np.all([np.isfinite(getattr(bars, name)) for name in columns], axis=0)
    return _part(bars, np.flatnonzero(known)[-SAMPLE_BARS:])


def _part(bars: AssetBars, rows: Any) -> AssetBars:
    return bars.part(rows, "sample")._replace(market="", asset="")
