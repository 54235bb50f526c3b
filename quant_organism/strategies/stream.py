"""Signals bar by bar: the target of one genome on one asset, decided at each close as the bars come in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quant_organism.strategies.family import columns_of, get_family
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.growing_bank import LastTarget
from quant_organism.strategies.histories import Histories
from quant_organism.strategies.store import Arrays, IndicatorStore, Keys, Rows

_MODEL_BYTES = 64 * 2**20


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
    """The target that one genome draws from the bars of one asset so far.

    Every target is computed by the family's own kernels from these bars. A family looks at no later bar, so these
    are the targets of one call over the whole history, bit for bit. Indicators grow by one column per bar, and kernels
    go through as many of the latest bars as the family remembers (`memory_of`), a few nanoseconds a bar.

    Parameters
    ----------
    genome
        The strategy.
    histories
        Where the bars are; others append them.
    asset
        Number of the asset there.
    models
        Shared by the streams of one strategy; without it, the stream has its own.
    """

    def __init__(
        self, genome: Genome, histories: Histories, asset: int = 0, models: FittedModels | None = None
    ) -> None:
        self._histories, self._asset = histories, asset
        self._target = LastTarget(genome, models or FittedModels())
        self._reads_funding = "funding_rate" in columns_of(get_family(genome.family), genome.genes)

    def target(self) -> float:
        """Return the target in [-1, 1] decided at the close of the last bar; 0 before the first.

        A bar without a funding rate does not exist for a genome that reads one: the target stays.
        """
        bars = self._histories.bars(self._asset)
        if self._reads_funding and not self._histories.rated[self._asset]:
            bars = bars.part(np.isfinite(bars.funding_rate), "rated")
        return self._target.at(bars)
