"""Regions of parameters, and how much better their trials did than others of the same days, with what chance can do.

Trials of a panel share its days, so they are lucky together, and their number says little. What is tested is the mean
daily return of those inside, each at unit risk, less that of those outside: a portfolio, whose deviation follows from
the sketches of its members. Clusters of like trials weigh as one, whichever number of trials they have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from quant_organism.evolution.sketch import SKETCH_BYTES
from quant_organism.workflows.mining.drawn import DrawnTrials, Floats

LEAST_CLUSTERS: Final = 3
"""Clusters inside and outside below which a region is not looked at."""

MOST_CONDITIONS: Final = 2
"""Ranges of genes that a region has at most."""

BEAM: Final = 8
"""Regions of a family that are narrowed further, the best of those with as many conditions."""

_LEVEL: Final = 1.959963984540054
_DAYS_A_YEAR: Final = 365.0
_FREEDOM: Final = SKETCH_BYTES - 1
_SHARES: Final = (0.0, 1 / 3, 0.5, 2 / 3, 1.0)
_RANGES: Final = ((0, 1), (0, 2), (1, 3), (2, 4), (3, 4))

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class GeneRange:
    """Values of one gene.

    Parameters
    ----------
    gene
        Its name.
    low, high
        Bounds, both inside; None: no bound.
    value
        The one value, of a gene that is no number.
    """

    gene: str
    low: float | None = None
    high: float | None = None
    value: Any = None

    def holds(self, genes: Mapping[str, Any]) -> bool:
        """Tell whether a genome's value is one of them; a genome without the gene has none."""
        if self.gene not in genes:
            return False
        value = genes[self.gene]
        if self.low is None and self.high is None:
            return bool(value == self.value)
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    @property
    def document(self) -> Any:
        """It as plain values."""
        return self.value if self.low is None and self.high is None else [self.low, self.high]

    def __str__(self) -> str:
        """Write it as people do."""
        if self.low is None and self.high is None:
            return f"{self.gene} is {self.value}"
        if self.high is None:
            return f"{self.gene} from {self.low:.4g}"
        if self.low is None:
            return f"{self.gene} to {self.high:.4g}"
        return f"{self.gene} {self.low:.4g} to {self.high:.4g}"


@dataclass(frozen=True)
class Region:
    """A family, and ranges of its genes; without any it is the whole family, beside all others."""

    family: str
    ranges: tuple[GeneRange, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """It as plain values."""
        return {one.gene: one.document for one in self.ranges}

    @classmethod
    def read(cls, family: str, document: Mapping[str, Any]) -> Region:
        """Return the region that `document` was made of."""
        ranges = [
            GeneRange(gene, *value) if isinstance(value, list) else GeneRange(gene, value=value)
            for gene, value in document.items()
        ]
        return cls(family, tuple(ranges))

    def holds(self, family: str, genes: Mapping[str, Any]) -> bool:
        """Tell whether a genome lies in it."""
        return family == self.family and all(one.holds(genes) for one in self.ranges)

    def inside(self, trials: DrawnTrials) -> Mask:
        """Return which trials lie in it, bool (n,)."""
        families = trials.rows["family"].to_list()
        return np.array([self.holds(*pair) for pair in zip(families, trials.genes, strict=True)], dtype=np.bool_)

    def beside(self, trials: DrawnTrials) -> Mask:
        """Return which trials it is compared with, bool (n,): its family's others; of a whole family all others."""
        if not self.ranges:
            return ~self.inside(trials)
        return (trials.rows["family"] == self.family).to_numpy() & ~self.inside(trials)

    def __str__(self) -> str:
        """Write it as people do."""
        return f"{self.family}: {', '.join(map(str, self.ranges))}" if self.ranges else self.family


@dataclass(frozen=True)
class RegionFigures:
    """What the trials of a region did beside others of the same days; Sharpe ratios are annual and net.

    Attributes
    ----------
    trials, clusters, runs, markets
        How many lie inside, of panels with others beside them.
    sharpe
        Mean over clusters inside.
    effect, low, high
        That less the same of those beside, with its 95 % interval.
    confidence
        Share of the clusters inside that earned, net of costs.
    p_value
        Chance that luck alone shows such a mean, or such a difference: the larger of the two, one-sided.
    first_day, last_day
        Of the panels.
    """

    trials: int
    clusters: int
    runs: int
    markets: int
    sharpe: float
    effect: float
    low: float
    high: float
    confidence: float
    p_value: float
    first_day: date
    last_day: date


@dataclass(frozen=True, eq=False)
class TrialSpace:
    """Trials with what every region of them asks for.

    Parameters
    ----------
    trials
        On the days that are looked at.
    """

    trials: DrawnTrials
    _panels: list[_PanelDays] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows, panels = self.trials.rows, []
        for places in self.trials.panels.values():
            row = rows.row(int(places[0]), named=True)
            panels.append(_PanelDays(places, row["timeline"], row["first_day"], row["last_day"], row["n_days"]))
        object.__setattr__(self, "_panels", panels)

    def figures(self, inside: Mask, beside: Mask) -> RegionFigures | None:
        """Measure trials against others, both bool (n,); None where there are too few clusters of either."""
        clusters, rows = self.trials.clusters, self.trials.rows
        sharpe = rows["sharpe"].to_numpy()
        shared = [p for p in self._panels if inside[p.places].any() and beside[p.places].any()]
        ours = np.concatenate([p.places[inside[p.places]] for p in shared]) if shared else np.empty(0, dtype=np.int64)
        others = np.concatenate([p.places[beside[p.places]] for p in shared]) if shared else ours
        if min(len(np.unique(clusters[ours])), len(np.unique(clusters[others]))) < LEAST_CLUSTERS:
            return None
        means, effects, of_mean, of_effect = np.empty((4, len(shared)))
        for number, panel in enumerate(shared):
            a, b = (_weights(panel.places, mask, clusters) for mask in (inside, beside))
            paths = self.trials.directions[panel.places]
            means[number], effects[number] = a @ sharpe[panel.places], (a - b) @ sharpe[panel.places]
            of_mean[number], of_effect[number] = np.linalg.norm(a @ paths), np.linalg.norm((a - b) @ paths)
        days = np.array([panel.n_days for panel in shared], dtype=np.float64)
        weights = days / days.sum()
        scale = np.sqrt(_DAYS_A_YEAR / days)
        together = _together(shared)
        mean, effect = float(weights @ means), float(weights @ effects)
        mean_error, effect_error = (_error(weights * scale * size, together) for size in (of_mean, of_effect))
        in_clusters = [float(sharpe[ours[clusters[ours] == number]].mean()) for number in np.unique(clusters[ours])]
        mine = rows[ours]
        return RegionFigures(
            trials=len(ours),
            clusters=len(in_clusters),
            runs=mine["run"].n_unique(),
            markets=mine["market"].n_unique(),
            sharpe=mean,
            effect=effect,
            low=effect - _LEVEL * effect_error,
            high=effect + _LEVEL * effect_error,
            confidence=sum(value > 0 for value in in_clusters) / len(in_clusters),
            p_value=max(_p_value(mean, mean_error), _p_value(effect, effect_error)),
            first_day=min(panel.first_day for panel in shared),
            last_day=max(panel.last_day for panel in shared),
        )


@dataclass(frozen=True, eq=False)
class _PanelDays:
    places: NDArray[np.int64]
    timeline: str
    first_day: date
    last_day: date
    n_days: int


@dataclass(frozen=True, eq=False)
class LookedAt:
    """A region, which trials lie in it, and what they did."""

    region: Region
    inside: Mask
    figures: RegionFigures


def candidate_regions(space: TrialSpace) -> Iterator[LookedAt]:
    """Yield every region that is worth a look: families, halves and thirds of their genes, and the best narrowed.

    All of them are tests, and count as such.
    """
    trials = space.trials
    families = trials.rows["family"].to_numpy()
    for family in sorted(set(families)):
        own = families == family
        whole = Region(family)
        figures = space.figures(own, ~own)
        if figures is not None:
            yield LookedAt(whole, own, figures)
        single = [(one, _held(one, trials, own)) for one in _ranges(trials, own)]
        seen = {own.tobytes()}
        best = [LookedAt(whole, own, figures)] if figures is not None else []
        grown: list[tuple[Region, Mask]] = [(whole, own)]
        for _ in range(MOST_CONDITIONS):
            found = []
            for region, inside in grown:
                for one, holds in single:
                    mask = inside & holds
                    named = {other.gene for other in region.ranges}
                    if one.gene in named or mask.tobytes() in seen:
                        continue
                    seen.add(mask.tobytes())
                    measured = space.figures(mask, own & ~mask)
                    if measured is not None:
                        ranges = tuple(sorted((*region.ranges, one), key=lambda each: each.gene))
                        found.append(LookedAt(Region(family, ranges), mask, measured))
            yield from found
            best = sorted(found, key=lambda each: each.figures.p_value)[:BEAM]
            grown = [(each.region, each.inside) for each in best]


def _held(one: GeneRange, trials: DrawnTrials, own: Mask) -> Mask:
    held = np.zeros(len(trials), dtype=np.bool_)
    places = np.flatnonzero(own)
    held[places] = [one.holds(trials.genes[place]) for place in places]
    return held


def _ranges(trials: DrawnTrials, own: Mask) -> Iterator[GeneRange]:
    """Yield halves, thirds and two thirds of what a family's trials have of each number, and each other value."""
    genes = [trials.genes[place] for place in np.flatnonzero(own)]
    for name in sorted({name for one in genes for name in one}):
        values = [one[name] for one in genes if name in one]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            edges = np.quantile(np.array(values, dtype=np.float64), _SHARES)
            if len(set(values)) > 1:
                for low, high in _RANGES:
                    yield GeneRange(
                        name, None if low == 0 else float(edges[low]), None if high == 4 else float(edges[high])
                    )
        elif all(isinstance(value, str | bool) for value in values) and len(set(values)) > 1:
            for value in sorted(set(values)):
                yield GeneRange(name, value=value)


def _weights(places: NDArray[np.int64], chosen: Mask, clusters: NDArray[np.int64]) -> Floats:
    """Return weights over the trials of a panel, sum 1: those chosen, each cluster of them as much as another."""
    mask, own = chosen[places], clusters[places]
    _, number, count = np.unique(own[mask], return_inverse=True, return_counts=True)
    weights = np.zeros(len(places))
    weights[mask] = 1.0 / (count[number] * len(count))
    return weights


def _together(panels: Sequence[_PanelDays]) -> Floats:
    """Return the largest correlation that the means of panels can have: by the days that they share."""
    result = np.eye(len(panels))
    for i, one in enumerate(panels):
        for j, other in enumerate(panels[:i]):
            if one.timeline == other.timeline:
                shared = (min(one.last_day, other.last_day) - max(one.first_day, other.first_day)).days + 1
                result[i, j] = result[j, i] = min(1.0, max(0, shared) / math.sqrt(one.n_days * other.n_days))
    return result


def _error(sizes: Floats, together: Floats) -> float:
    return math.sqrt(float(sizes @ together @ sizes))


def _p_value(value: float, error: float) -> float:
    tiny = float(np.finfo(np.float64).tiny)
    return max(float(stdtr(_FREEDOM, -value / error)), tiny) if error > 0 else 1.0
