"""Birth checks: what every genome must show on a sample of bars before it may enter a population.

A signal that knows bars to come, speaks before its warm-up is over, or hangs on where the history happens to begin
earns in a backtest what it can never earn afterwards; one that never speaks only costs time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.market import Panel
from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.cross_section.family import CrossSectionFamily
from quant_organism.strategies.cross_section.history import CrossSectionBars
from quant_organism.strategies.families import get_family
from quant_organism.strategies.family import GenomeTargets
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.store import IndicatorStore
from quant_organism.strategies.targets import Targets

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

    On the first sample with a target: cutting the bars off right after a target changed, at some changes all over the
    sample and at those right before its largest moves, must leave every target up to there as it was; no target comes
    before the warm-up; and without the first hundred bars the direction in the last third is the same, but for a tenth
    of its bars (a position remembers more than indicators do). On a sample that is shorter than `SAMPLE_BARS` the last
    is not asked: too little would be left to tell.

    Parameters
    ----------
    genome
        The genome.
    samples
        AssetBars of some assets, tried in this order until the genome fires.
    store
        Keeps fitted models, so that equal fits are made once.
    """
    family = get_family(genome.family)
    columns, targets = family.columns_of(genome.genes), GenomeTargets(family, genome.genes, store)
    for bars in samples:
        seen = birth_sample(bars, columns)
        whole = targets.over(seen)
        if (target := whole.expanded(0, seen.numbers.size)).any():
            return _first_flaw(genome, seen, targets, whole.copied(), target)
    return Flaw(genome.id, SILENT, f"no target on {len(samples)} samples of up to {SAMPLE_BARS} bars")


def birth_sample(bars: AssetBars, columns: Sequence[str]) -> AssetBars:
    """Return the latest bars on which all columns that a genome reads are known, `SAMPLE_BARS` at most, unnamed."""
    known = np.ones(bars.numbers.size, dtype=np.bool_)
    for name in columns:
        known &= np.isfinite(getattr(bars, name))
    if known.size <= SAMPLE_BARS and known.all():
        return bars.since(0)
    return bars.part(np.flatnonzero(known)[-SAMPLE_BARS:], "sample").since(0)


def check_ranked_birth(genome: Genome, panel: Panel) -> Flaw | None:
    """Return what is wrong with a genome that ranks the assets of a panel, or None.

    The same is asked of its decisions: bars cut off right after one leave all weights up to there as they were, nothing
    is held before an asset's warm-up could be over, and without the first hundred bars the sides in the last third are
    the same, but for a tenth.

    Parameters
    ----------
    genome
        Of a family that ranks.
    panel
        The sample; `SAMPLE_BARS` rows are asked for the last question too.
    """
    rows, weights = _decided(genome, panel, panel.n_bars)
    firing = np.flatnonzero(weights.any(axis=0))
    if not firing.size:
        return Flaw(genome.id, SILENT, f"it never holds anything on {panel.n_bars} bars of {panel.n_assets} assets")
    for cut in rows[firing[np.unique(np.linspace(0, firing.size - 1, _CUTS).astype(int))]]:
        known = _decided(genome, panel, int(cut) + 1)[1]
        differing = np.flatnonzero((known != weights[:, : known.shape[1]]).any(axis=0))
        if differing.size:
            bar = rows[differing[0]]
            return Flaw(genome.id, LOOKS_AHEAD, f"bar {bar} of its sample changes when bar {cut + 1} comes")
    warmup = math.ceil(get_family(genome.family).warmup(genome.genes) / panel.interval.hours)
    if rows[firing[0]] < warmup:
        return Flaw(
            genome.id, SPEAKS_EARLY, f"bar {rows[firing[0]]} of its sample, but the warm-up lasts {warmup} bars"
        )
    if panel.n_bars < SAMPLE_BARS:
        return None
    late_rows, late = _decided(genome, panel.window(_DROPPED_BARS, panel.n_bars), panel.n_bars - _DROPPED_BARS)
    shared = min(int(np.count_nonzero(rows >= 2 * panel.n_bars // 3)), late_rows.size)
    differs = np.sign(late[:, late_rows.size - shared :]) != np.sign(weights[:, rows.size - shared :])
    if shared and float(np.mean(differs)) > _TOLERANCE:
        return Flaw(
            genome.id,
            HANGS_ON_THE_START,
            f"{np.mean(differs):.0%} of later sides change without the first {_DROPPED_BARS} bars",
        )
    return None


def _decided(genome: Genome, panel: Panel, stop: int) -> tuple[NDArray[np.int64], Floats]:
    # Rows on which a genome decides before `stop`, and the weights that it decides on, shape (N, D).
    family, bars = get_family(genome.family), CrossSectionBars.of(panel, stop)
    assert isinstance(family, CrossSectionFamily)
    rows = np.flatnonzero(family.decides(genome.genes, bars.numbers, panel.interval.hours))
    return rows, family.weights(bars.view(rows), genome.genes)


def _first_flaw(genome: Genome, bars: AssetBars, targets: GenomeTargets, whole: Targets, target: Floats) -> Flaw | None:
    before = np.zeros(target.size)
    before[1:] = target[:-1]
    changes = np.flatnonzero(target != before)
    for change in _cuts(changes, bars.close):
        known = targets.over(bars.since(0, change + 1))
        if known.changes_as(whole, 0, change):
            continue
        differing = np.flatnonzero(known.expanded(0, change + 1) != target[: change + 1])
        if differing.size:
            return Flaw(genome.id, LOOKS_AHEAD, f"bar {differing[0]} of its sample changes when bar {change + 1} comes")
    warmup = get_family(genome.family).warmup(genome.genes)
    if changes[0] < warmup:
        return Flaw(genome.id, SPEAKS_EARLY, f"bar {changes[0]} of its sample, but the warm-up lasts {warmup} bars")
    if target.size < SAMPLE_BARS:
        return None
    late = targets.target(bars.since(_DROPPED_BARS))
    last_third = slice(-(target.size // 3), None)
    differing_share = float(np.mean(np.sign(late[last_third]) != np.sign(target[last_third])))
    if differing_share > _TOLERANCE:
        return Flaw(
            genome.id,
            HANGS_ON_THE_START,
            f"{differing_share:.0%} of later directions change without the first {_DROPPED_BARS} bars",
        )
    return None


def _cuts(changes: NDArray[np.int64], close: Floats) -> list[int]:
    # Changes all over the sample, and those that were followed by the largest moves, ascending: who knows a bar to come
    # only now and then knows one that pays.
    last = changes.size - 1
    spread = {int(changes[k * last // (_CUTS - 1)]) for k in range(_CUTS)}
    followed = changes[: last + int(changes[last] < close.size - 1)]
    moves = np.abs(np.log(close[followed + 1] / close[followed]))
    return sorted(spread.union(followed[np.argsort(-moves, kind="stable")[:_CUTS]].tolist()))
