"""The indicator bank: every (indicator, period) pair that a population reads on one asset, computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies import indicators as ind

Rows = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Bars:
    """The valid bars of one asset, each column of shape (n,), float64."""

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]


class IndicatorBank:
    """Indicators of one asset, shared by all genomes and read-only once built.

    Parameters
    ----------
    bars
        Valid bars of the asset.
    needs
        Periods in use per indicator name, in any order and with repetitions.
    """

    def __init__(self, bars: Bars, needs: Mapping[str, NDArray[np.int64]]) -> None:
        self.bars = bars
        self._periods: dict[str, NDArray[np.int64]] = {}
        self._rows: dict[str, Rows] = {}
        for name in sorted(needs):
            self._build(name, np.unique(needs[name]))

    def rows(self, name: str, periods: NDArray[np.int64]) -> tuple[Rows, NDArray[np.int64]]:
        """Return all rows (K, n) of an indicator and the row number of each of the given periods."""
        table = self._periods[name]
        row = np.searchsorted(table, periods)
        if not np.array_equal(table[np.minimum(row, table.size - 1)], periods):
            raise KeyError(f"{name} was not built for all of the periods {np.unique(periods)}")
        return self._rows[name], row

    def _build(self, name: str, periods: NDArray[np.int64]) -> None:
        self._periods[name] = periods
        self._rows[name] = _BUILDERS[name](self.bars, periods)


def _rsi_divergence(bars: Bars, periods: NDArray[np.int64]) -> Rows:
    return ind.divergence_rows(bars.close, ind.rsi_rows(bars.close, periods), periods)


def _z_score(bars: Bars, periods: NDArray[np.int64]) -> Rows:
    mean = ind.mean_rows(bars.close, periods)
    return ind.z_score_rows(bars.close, mean, ind.deviation_rows(bars.close, mean, periods))


def _bandwidth_rank(bars: Bars, periods: NDArray[np.int64]) -> Rows:
    mean = ind.mean_rows(bars.close, periods)
    return ind.bandwidth_rank_rows(mean, ind.deviation_rows(bars.close, mean, periods), periods)


_BUILDERS: dict[str, Callable[[Bars, NDArray[np.int64]], Rows]] = {
    "ema": lambda bars, periods: ind.ema_rows(bars.close, periods),
    "rate_of_change": lambda bars, periods: ind.rate_of_change_rows(bars.close, periods),
    "sma": lambda bars, periods: ind.mean_rows(bars.close, periods),
    "previous_high": lambda bars, periods: ind.previous_rows(ind.maximum_rows(bars.high, periods)),
    "previous_low": lambda bars, periods: ind.previous_rows(ind.minimum_rows(bars.low, periods)),
    "previous_mean_volume": lambda bars, periods: ind.previous_rows(ind.mean_rows(bars.volume, periods)),
    "rsi": lambda bars, periods: ind.rsi_rows(bars.close, periods),
    "rsi_divergence": _rsi_divergence,
    "z_score": _z_score,
    "bandwidth_rank": _bandwidth_rank,
}
