"""Drawing genomes from the priors of their genes, on the bars that are searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.families import get_family
from quant_organism.strategies.genes import GeneSpec, GeneValue
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.priors import MultiplePrior, NeutralPrior, QuantilePrior, RangePrior, read_first

_MOST_VALUES = 2_000
"""Values of an asset that a quantile is taken of, at even distances: more change its third digit at most."""


class GenomeSampler:
    """Draws genomes, each a function of the bars and of the generator alone.

    Parameters
    ----------
    samples
        Valid bars of some assets, as they are searched: quantiles of indicators are taken over all of them. A market
        that is turned over is one of its own, with quantiles of its own.
    """

    def __init__(self, samples: Sequence[AssetBars]) -> None:
        self._samples = samples
        self._readable: dict[tuple[str, ...], list[AssetBars]] = {}
        self._ordered: dict[tuple[Any, ...], NDArray[np.float64]] = {}

    def draw(self, rng: np.random.Generator, family: str, *, generation: int = 0) -> Genome:
        """Draw a genome: each gene by its prior, the genes that others are measured by first."""
        template = get_family(family)
        # Repair may exchange what is drawn for what is still to be drawn: that lies on the grid too.
        genes = {spec.name: _on_grid(spec) for spec in template.genes}
        later = [spec for spec in template.genes if read_first(spec.prior)]
        for spec in template.genes:
            if spec not in later:
                genes[spec.name] = _drawn(spec, rng)
        while later:
            # What others read is in order before they read it: each round, all whose own are drawn.
            waiting = {spec.name for spec in later}
            ready = [spec for spec in later if waiting.isdisjoint(read_first(spec.prior))]
            genes = template.repair(genes)
            for spec in ready:
                genes[spec.name] = self._dependent(spec, template.columns, genes, rng)
            later = [spec for spec in later if spec not in ready]
        return Genome(family, template.repair(genes), generation)

    def _dependent(
        self, spec: GeneSpec, columns: tuple[str, ...], genes: Mapping[str, Any], rng: np.random.Generator
    ) -> GeneValue:
        if isinstance(spec.prior, MultiplePrior):
            return spec.fitted(rng.uniform(spec.prior.low, spec.prior.high) * genes[spec.prior.gene])
        assert isinstance(spec.prior, QuantilePrior)
        level, values = spec.prior.level(rng), self._values(spec.prior, columns, genes)
        if not values.size:
            return spec.draw(rng)
        place = level * (values.size - 1)
        below = int(place)
        above = min(below + 1, values.size - 1)
        return spec.fitted(float(values[below] + (place - below) * (values[above] - values[below])))

    def _values(self, prior: QuantilePrior, columns: tuple[str, ...], genes: Mapping[str, Any]) -> NDArray[np.float64]:
        # Ascending values of what a threshold is compared with, over all samples.
        key = (prior.measure, *(genes[name] for name in prior.reads))
        if key not in self._ordered:
            if columns not in self._readable:
                self._readable[columns] = [_readable(bars, columns) for bars in self._samples]
            found = [_thinned(prior.measure(bars, genes)) for bars in self._readable[columns] if bars.numbers.size]
            self._ordered[key] = np.sort(np.concatenate([np.empty(0), *found]))
        return self._ordered[key]


def _on_grid(spec: GeneSpec) -> GeneValue:
    return spec.fitted(float(spec.default)) if spec.grid and not isinstance(spec.default, str | tuple) else spec.default


def _drawn(spec: GeneSpec, rng: np.random.Generator) -> GeneValue:
    prior = spec.prior
    if isinstance(prior, NeutralPrior):
        if rng.random() < prior.share:
            return prior.value if isinstance(prior.value, str) else spec.fitted(prior.value)
        prior = prior.otherwise
    if isinstance(prior, RangePrior):
        return spec.draw_from(prior, rng)
    if spec.scale == "log" or spec.grid:
        return spec.draw_from(RangePrior(spec.low, spec.high), rng)
    return spec.draw(rng)


def _readable(bars: AssetBars, columns: tuple[str, ...]) -> AssetBars:
    known = np.all([np.isfinite(getattr(bars, name)) for name in columns], axis=0)
    return bars if known.all() else bars.part(known, "known")


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    defined = values[np.isfinite(values)]
    return defined[:: -(-defined.size // _MOST_VALUES) or 1]
