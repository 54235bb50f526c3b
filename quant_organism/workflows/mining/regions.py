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
from typing import Any, Final, Literal

import numpy as np
import orjson
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
DAYS_A_YEAR: Final = 365.0
_FREEDOM: Final = SKETCH_BYTES - 1
_SHARES: Final = (0.0, 1 / 3, 0.5, 2 / 3, 1.0)
_RANGES: Final = ((0, 1), (0, 2), (1, 3), (2, 4), (3, 4))

Mask = NDArray[np.bool_]
RegionKind = Literal["genes", "asset", "regime"]


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
    """Part of what a family does: with some genes, on one asset, or on the days of one regime.

    Parameters
    ----------
    family
        Its name; alone it is the whole family, beside all others.
    ranges
        Of its genes.
    asset
        A symbol; empty: all.
    regime
        Factor and label of the day before, such as `volatility: calm`; empty: any.
    """

    family: str
    ranges: tuple[GeneRange, ...] = ()
    asset: str = ""
    regime: str = ""

    @property
    def kind(self) -> RegionKind:
        """What it is a part by."""
        return "asset" if self.asset else "regime" if self.regime else "genes"

    @property
    def document(self) -> dict[str, Any]:
        """It as plain values."""
        return {one.gene: one.document for one in self.ranges}

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Region:
        """Return the region of a row by `MinedPatternTable`."""
        ranges = [
            GeneRange(gene, *value) if isinstance(value, list) else GeneRange(gene, value=value)
            for gene, value in orjson.loads(row["ranges"]).items()
        ]
        return cls(row["family"], tuple(ranges), row["asset"], row["regime"])

    def holds(self, family: str, genes: Mapping[str, Any]) -> bool:
        """Tell whether a genome lies in it, on whatever asset and day."""
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
        words = f"{self.family}: {', '.join(map(str, self.ranges))}" if self.ranges else self.family
        return words + (f" on {self.asset}" if self.asset else "") + (f" after {self.regime}" if self.regime else "")


@dataclass(frozen=True)
class PanelFigures:
    """What the trials of a region did on one panel, beside others of its days; Sharpe ratios are annual and net.

    Attributes
    ----------
    market, timeline, first_day, last_day
        Of the panel.
    n_days
        Days that count.
    runs
        That the trials inside are of.
    trials, clusters, earned
        How many lie inside, and clusters of them that earned.
    beside
        Clusters that they are compared with.
    sharpe, effect
        Mean over clusters inside, and that less the same of those beside.
    sharpe_error, effect_error
        Their standard errors.
    freedom
        Degrees of freedom that these errors are estimated with.
    """

    market: str
    timeline: str
    first_day: date
    last_day: date
    n_days: int
    runs: frozenset[str]
    trials: int
    clusters: int
    earned: int
    beside: int
    sharpe: float
    effect: float
    sharpe_error: float
    effect_error: float
    freedom: int


@dataclass(frozen=True, eq=False)
class PanelSlice:
    """A family on one asset or in one regime of a panel: which assets (N,) or days (D,) these are, and figures."""

    region: Region
    inside: Mask
    figures: PanelFigures


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
    _sharpe: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows, panels = self.trials.rows, []
        for places in self.trials.panels.values():
            row = rows.row(int(places[0]), named=True)
            days = row["first_day"], row["last_day"], row["n_days"]
            panels.append(_PanelDays(places, row["market"], row["timeline"], *days))
        object.__setattr__(self, "_panels", panels)
        object.__setattr__(self, "_sharpe", rows["sharpe"].to_numpy())

    def figures(self, inside: Mask, beside: Mask) -> RegionFigures | None:
        """Measure trials against others, both bool (n,); None where there are too few clusters of either."""
        shared = [p for p in self._panels if inside[p.places].any() and beside[p.places].any()]
        return join_panels([self._on_panel(panel, inside, beside) for panel in shared])

    def _on_panel(self, panel: _PanelDays, inside: Mask, beside: Mask) -> PanelFigures:
        clusters, rows = self.trials.clusters, self.trials.rows
        sharpe, paths = self._sharpe[panel.places], self.trials.directions[panel.places]
        a, b = (_weights(panel.places, mask, clusters) for mask in (inside, beside))
        own = inside[panel.places]
        numbers, place = np.unique(clusters[panel.places][own], return_inverse=True)
        means = np.bincount(place, sharpe[own]) / np.bincount(place)
        scale = math.sqrt(DAYS_A_YEAR / panel.n_days)
        return PanelFigures(
            market=panel.market,
            timeline=panel.timeline,
            first_day=panel.first_day,
            last_day=panel.last_day,
            n_days=panel.n_days,
            runs=frozenset(rows["run"].gather(panel.places[own])),
            trials=int(own.sum()),
            clusters=len(numbers),
            earned=int((means > 0).sum()),
            beside=len(np.unique(clusters[panel.places][beside[panel.places]])),
            sharpe=float(a @ sharpe),
            effect=float((a - b) @ sharpe),
            sharpe_error=scale * float(np.linalg.norm(a @ paths)),
            effect_error=scale * float(np.linalg.norm((a - b) @ paths)),
            freedom=_FREEDOM,
        )


@dataclass(frozen=True, eq=False)
class _PanelDays:
    places: NDArray[np.int64]
    market: str
    timeline: str
    first_day: date
    last_day: date
    n_days: int


@dataclass(frozen=True, eq=False)
class LookedAt:
    """A region, what it did, and which part of the whole it is: of the trials, of the assets, or of the days."""

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


def candidate_slices(panels: Sequence[Sequence[PanelSlice]]) -> Iterator[LookedAt]:
    """Yield every family on one asset and in one regime, over the panels that know of it; all of them are tests."""
    by_region: dict[Region, list[PanelSlice]] = {}
    for slices in panels:
        for one in slices:
            by_region.setdefault(one.region, []).append(one)
    for region, own in by_region.items():
        figures = join_panels([one.figures for one in own])
        if figures is not None:
            yield LookedAt(region, np.concatenate([one.inside for one in own]), figures)


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


def join_panels(panels: Sequence[PanelFigures]) -> RegionFigures | None:
    """Return what a region did on several panels; None where there are too few clusters inside or beside.

    A panel weighs as many days as it has. Panels that share days are taken to be as lucky together as they can be.
    """
    clusters = sum(panel.clusters for panel in panels)
    if min(clusters, sum(panel.beside for panel in panels)) < LEAST_CLUSTERS:
        return None
    days = np.array([panel.n_days for panel in panels], dtype=np.float64)
    weights, together = days / days.sum(), _together(panels)
    sharpe = float(weights @ [panel.sharpe for panel in panels])
    effect = float(weights @ [panel.effect for panel in panels])
    sharpe_error = _error(weights * [panel.sharpe_error for panel in panels], together)
    effect_error = _error(weights * [panel.effect_error for panel in panels], together)
    freedom = min(panel.freedom for panel in panels)
    return RegionFigures(
        trials=sum(panel.trials for panel in panels),
        clusters=clusters,
        runs=len(frozenset().union(*(panel.runs for panel in panels))),
        markets=len({panel.market for panel in panels}),
        sharpe=sharpe,
        effect=effect,
        low=effect - _LEVEL * effect_error,
        high=effect + _LEVEL * effect_error,
        confidence=sum(panel.earned for panel in panels) / clusters,
        p_value=max(_p_value(sharpe, sharpe_error, freedom), _p_value(effect, effect_error, freedom)),
        first_day=min(panel.first_day for panel in panels),
        last_day=max(panel.last_day for panel in panels),
    )


def _together(panels: Sequence[PanelFigures]) -> Floats:
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


def _p_value(value: float, error: float, freedom: int) -> float:
    tiny = float(np.finfo(np.float64).tiny)
    return max(float(stdtr(freedom, -value / error)), tiny) if error > 0 else 1.0
