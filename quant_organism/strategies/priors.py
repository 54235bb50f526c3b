"""Priors: from which part of its bounds a gene is drawn before anything has been measured.

Bounds say what a gene may be, a prior where a search begins to look. Priors read columns and indicators of the days
that are searched, never a return of a strategy: they waste fewer draws on genomes that never trade, or whose trading
costs more than any edge pays. Measured in docs/evolution.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bars import AssetBars

Measure = Callable[[AssetBars, Mapping[str, Any]], NDArray[np.float64]]
"""Values, shape (n,), nan where undefined, of what a threshold is compared with, on bars and under a genome's genes."""


@dataclass(frozen=True)
class RangePrior:
    """Evenly on the gene's scale between two values, both included.

    Parameters
    ----------
    low, high
        Within the gene's bounds; above 0 where the scale is logarithmic.
    """

    low: float
    high: float

    def describe(self, scale: str) -> str:
        """Say it in words, for tables."""
        return f"{'log-uniform' if scale == 'log' else 'uniform'} in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class NeutralPrior:
    """A value that leaves the gene without effect, mostly or always.

    Parameters
    ----------
    value
        The neutral value.
    share
        Probability of it.
    otherwise
        What is drawn else; None: by the gene's bounds or choices.
    """

    value: float | str
    share: float = 1.0
    otherwise: RangePrior | None = None

    def describe(self, scale: str) -> str:
        """Say it in words, for tables."""
        value = self.value if isinstance(self.value, str) else f"{self.value:g}"
        if self.share == 1.0:
            return f"{value}"
        return (
            f"{value} in {self.share:.0%}, else {'any' if self.otherwise is None else self.otherwise.describe(scale)}"
        )


@dataclass(frozen=True)
class QuantilePrior:
    """A quantile of what the threshold is compared with, over the bars that are searched.

    Parameters
    ----------
    measure
        Values that the threshold is compared with.
    of
        What these are, for tables.
    reads
        Other genes that the values depend on; they are drawn first.
    low, high
        Between which the quantile is drawn.
    tail
        `""`: evenly; `"lower"` or `"upper"`: the share of bars below or above it is log-uniform, so that far tails
        are drawn as often as near ones.
    """

    measure: Measure = field(repr=False)
    of: str
    reads: tuple[str, ...]
    low: float
    high: float
    tail: str = ""

    def level(self, rng: np.random.Generator) -> float:
        """Draw which quantile."""
        if not self.tail:
            return float(rng.uniform(self.low, self.high))
        ends = (self.low, self.high) if self.tail == "lower" else (1.0 - self.high, 1.0 - self.low)
        share = float(np.exp(rng.uniform(*np.log(ends))))
        return share if self.tail == "lower" else 1.0 - share

    def describe(self, scale: str) -> str:
        """Say it in words, for tables."""
        return f"quantile {self.low:g} to {self.high:g} of {self.of}"


@dataclass(frozen=True)
class MultiplePrior:
    """A multiple of another gene, which is drawn first.

    Parameters
    ----------
    gene
        The other gene.
    low, high
        Between which the multiple is drawn, evenly.
    """

    gene: str
    low: float
    high: float

    def describe(self, scale: str) -> str:
        """Say it in words, for tables."""
        return f"{self.low:g} to {self.high:g} times `{self.gene}`"


Prior = RangePrior | NeutralPrior | QuantilePrior | MultiplePrior


def read_first(prior: Prior | None) -> tuple[str, ...]:
    """Return the names of the genes that must be drawn before one with this prior."""
    if isinstance(prior, QuantilePrior):
        return prior.reads
    return (prior.gene,) if isinstance(prior, MultiplePrior) else ()
