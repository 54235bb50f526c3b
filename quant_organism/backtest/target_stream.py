"""What a genome wants at each close of a whole sample, decided from the bars so far and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.cross_section.walk import ranking_family
from quant_organism.market.panel import Panel
from quant_organism.strategies import COLUMNS, FittedModels, Genome, Histories, get_family
from quant_organism.strategies.cross_section.history import CrossSectionHistory, CrossSectionView
from quant_organism.strategies.family import LastTargets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ABREAST: Final = 32
"""Stretches of all assets that are followed side by side: more cost memory, fewer cost calls."""

SHORTEST_STRETCH: Final = 512
"""Fewest bars of a stretch: what lies before the next one is gone through once more for it."""


def streamed_targets(
    genome: Genome,
    panel: Panel,
    *,
    start: int = 0,
    stop: int | None = None,
    assets: Sequence[int] | None = None,
    models: FittedModels | None = None,
) -> Floats:
    """Return what a genome decides at each close, shape (T, N): the twin of `Evaluator.targets`, bar by bar.

    Each decision is made by the kernels that trade live, when the bars up to it are all that there is; where the two
    differ, the backtest has looked at bars to come. The sample of an asset is cut into stretches that are followed side
    by side, each behind the bars before it, which were known by then: every bar is decided once, in few calls.

    Parameters
    ----------
    genome, panel
        As for the evaluator.
    start
        First row that is asked for; earlier ones need not be decided, and what stands there has no meaning.
    stop
        Only rows before this one; default: all.
    assets
        Numbers of those that are asked for; the others stay at 0. Default: all.
    models
        Keeps fitted models; without it, they are made anew.
    """
    rows = panel.n_bars if stop is None else stop
    family = get_family(genome.family)
    if family.ranks:
        return _streamed_weights(genome, panel, rows)
    known = panel.valid[:rows]
    if "funding_rate" in family.columns_of(genome.genes):
        known = known & np.isfinite(panel.funding_rate[:rows])
    asked = list(range(panel.n_assets) if assets is None else assets)
    seen = [np.flatnonzero(known[:, asset]) for asset in asked]
    prices = (
        np.stack([getattr(panel, name)[own, asset] for name in COLUMNS]) for asset, own in zip(asked, seen, strict=True)
    )
    columns = np.hstack(list(prices))
    numbers = panel.times[np.concatenate(seen)] // panel.interval.milliseconds
    sizes = np.array([own.size for own in seen])
    # In the first row that is asked for stands what the last bar up to there has decided.
    passed = np.array([max(np.searchsorted(own, start, side="right") - 1, 0) for own in seen])
    firsts, begins, lengths = _stretches(sizes, passed)
    histories = Histories(firsts.size, panel.interval.hours)
    last = LastTargets(family, genome.genes, models or FittedModels(), firsts.size)
    for lane in np.flatnonzero(begins).tolist():
        before = slice(firsts[lane] - begins[lane], firsts[lane])
        histories.extend(lane, columns[:, before], numbers[before])
    last.follow(histories, np.flatnonzero(begins))
    decided = np.zeros(numbers.size)
    for step in range(int(lengths.max(initial=0))):
        lanes = np.flatnonzero(lengths > step)
        places = firsts[lanes] + step
        histories.append_to(lanes, columns[:, places], numbers[places])
        last.follow(histories, lanes)
        decided[places] = last.targets[lanes]
    wanted = np.zeros((rows, panel.n_assets))
    for place, own in enumerate(np.split(decided, np.cumsum(sizes)[:-1])):
        wanted[:, asked[place]] = carried(own, seen[place], rows)
    return wanted


def carried(values: Floats, rows: Ints, count: int) -> Floats:
    """Return what stands in each of so many rows, given what came in some: 0 before the first, then the latest."""
    stands = np.concatenate([np.zeros((1, *values.shape[1:])), values])
    return np.asarray(stands[np.searchsorted(rows, np.arange(count), side="right")])


def _stretches(sizes: Ints, passed: Ints) -> tuple[Ints, Ints, Ints]:
    # Of each stretch its first bar among those of all assets, one asset behind the other, its first bar among those of
    # its own, and how many bars it has; the first bars of each asset, as many as were passed, are in none.
    each = max(1, min(ABREAST // sizes.size, int((sizes - passed).max()) // SHORTEST_STRETCH))
    bounds = np.linspace(passed, sizes, each + 1).astype(np.int64).T
    begins, lengths = bounds[:, :-1], np.diff(bounds, axis=1)
    firsts = begins + (np.cumsum(sizes) - sizes)[:, np.newaxis]
    filled = lengths.ravel() > 0
    return firsts.ravel()[filled], begins.ravel()[filled], lengths.ravel()[filled]


def _streamed_weights(genome: Genome, panel: Panel, rows: int) -> Floats:
    family, hours = ranking_family(genome), panel.interval.hours
    order = np.array(sorted(range(panel.n_assets), key=panel.symbols.__getitem__))
    numbers = panel.times[:rows] // panel.interval.milliseconds
    close, volume, rate, paid = (
        np.ascontiguousarray(values[:rows][:, order])
        for values in (panel.close, panel.volume, panel.funding_rate, panel.funding_paid)
    )
    valid = np.ascontiguousarray(panel.valid[:rows][:, order])
    history = CrossSectionHistory(panel.n_assets, hours)
    decided = [row for row in range(rows) if family.decides(genome.genes, numbers[row : row + 1], hours)[0]]
    weights, begin = np.zeros((len(decided), panel.n_assets)), 0
    for place, row in enumerate(decided):
        new = slice(begin, row + 1)
        ends = history.extend(numbers[new], close[new], volume[new], rate[new], paid[new], valid[new])
        view = CrossSectionView(history, ends[-1][:, np.newaxis], valid[row][:, np.newaxis])
        weights[place, order] = family.weights(view, genome.genes)[:, 0]
        begin = row + 1
    return carried(weights, np.array(decided, dtype=np.int64), rows)
