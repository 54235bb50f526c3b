"""Signals bar by bar: the target of one genome on one asset, decided at each close as the bars come in."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import Bars
from quant_organism.strategies.family import columns_of, get_family
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.growing_bank import LastTarget
from quant_organism.strategies.signals import COLUMNS
from quant_organism.strategies.store import Arrays, IndicatorStore, Keys, Rows

_MODEL_BYTES = 64 * 2**20
_FIRST_ROOM = 1024
_FUNDING_RATE = COLUMNS.index("funding_rate")


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
    """The history of one asset and the target that one genome draws from it.

    Every target is computed by the family's own kernels from the bars so far. A family looks at no later bar, so these
    are the targets of one call over the whole history, bit for bit. Indicators grow by one column per bar, and kernels
    go through as many of the latest bars as the family remembers (`memory_of`), a few nanoseconds a bar.

    Parameters
    ----------
    genome
        The strategy.
    bar_hours
        Length of a bar in hours.
    models
        Shared by the streams of one strategy; without it, the stream has its own.
    """

    def __init__(self, genome: Genome, bar_hours: float, models: FittedModels | None = None) -> None:
        self.genome = genome
        self.bar_hours = bar_hours
        self._target = LastTarget(genome, models or FittedModels())
        self._reads_funding = "funding_rate" in columns_of(get_family(genome.family), genome.genes)
        self._all_rated = True
        self._columns = np.empty((len(COLUMNS), _FIRST_ROOM))
        self._numbers = np.empty(_FIRST_ROOM, dtype=np.int64)
        self._bars: Bars | None = None
        self.count = 0

    @property
    def bars(self) -> Bars:
        """All bars so far."""
        if self._bars is None:
            opens, high, low, close, volume, funding_rate = self._columns[:, : self.count]
            numbers = self._numbers[: self.count]
            self._bars = Bars(opens, high, low, close, volume, funding_rate, numbers, self.bar_hours)
        return self._bars

    def extend(self, columns: NDArray[np.float64], numbers: NDArray[np.int64]) -> None:
        """Append valid bars.

        Parameters
        ----------
        columns
            Rows open, high, low, close, volume, funding_rate, shape (6, n).
        numbers
            Absolute number of each bar (open time over bar length), shape (n,).
        """
        end = self.count + numbers.size
        self._make_room(end)
        self._columns[:, self.count : end] = columns
        self._numbers[self.count : end] = numbers
        self._all_rated &= bool(np.isfinite(columns[_FUNDING_RATE]).all())
        self.count, self._bars = end, None

    def step(self, columns: NDArray[np.float64], number: int) -> float:
        """Append one bar, shape (6,), and return the target decided at its close."""
        self._make_room(self.count + 1)
        self._columns[:, self.count] = columns
        self._numbers[self.count] = number
        self._all_rated &= math.isfinite(columns[_FUNDING_RATE])
        self.count, self._bars = self.count + 1, None
        return self.target()

    def target(self) -> float:
        """Return the target in [-1, 1] decided at the close of the last bar; 0 before the first.

        A bar without a funding rate does not exist for a genome that reads one: the target stays.
        """
        bars = self.bars
        if self._reads_funding and not self._all_rated:
            bars = bars.part(np.isfinite(bars.funding_rate), "rated")
        return self._target.at(bars)

    def _make_room(self, end: int) -> None:
        if end > self._numbers.size:
            room = max(end, 2 * self._numbers.size)
            kept = self._columns[:, : self.count], self._numbers[: self.count]
            self._columns, self._numbers = np.empty((len(COLUMNS), room)), np.empty(room, dtype=np.int64)
            self._columns[:, : self.count], self._numbers[: self.count] = kept
