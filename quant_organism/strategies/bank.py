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
        self._periods = {name: np.unique(periods) for name, periods in needs.items()}
        workshop = _Workshop(bars)
        self._rows = {name: workshop.make(name, periods) for name, periods in self._periods.items()}

    def rows(self, name: str, periods: NDArray[np.int64]) -> tuple[Rows, NDArray[np.int64]]:
        """Return all rows (K, n) of an indicator and the row number of each of the given periods."""
        table = self._periods[name]
        row = np.searchsorted(table, periods)
        if not np.array_equal(table[np.minimum(row, table.size - 1)], periods):
            raise KeyError(f"{name} was not built for all of the periods {np.unique(periods)}")
        return self._rows[name], row


class _Workshop:
    """Makes rows, and keeps those that others are made from as long as the bank is being built."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self._made: dict[tuple[str, bytes], Rows] = {}

    def make(self, name: str, periods: NDArray[np.int64]) -> Rows:
        key = (name, periods.tobytes())
        if key not in self._made:
            self._made[key] = _RECIPES[name](self, periods)
        return self._made[key]


def _deviation(shop: _Workshop, periods: NDArray[np.int64]) -> Rows:
    return ind.deviation_rows(shop.bars.close, shop.make("sma", periods), periods)


def _z_score(shop: _Workshop, periods: NDArray[np.int64]) -> Rows:
    return ind.z_score_rows(shop.bars.close, shop.make("sma", periods), shop.make("deviation", periods))


def _bandwidth_rank(shop: _Workshop, periods: NDArray[np.int64]) -> Rows:
    return ind.bandwidth_rank_rows(shop.make("sma", periods), shop.make("deviation", periods), periods)


def _rsi_divergence(shop: _Workshop, periods: NDArray[np.int64]) -> Rows:
    return ind.divergence_rows(shop.bars.close, shop.make("rsi", periods), periods)


_RECIPES: dict[str, Callable[[_Workshop, NDArray[np.int64]], Rows]] = {
    "ema": lambda shop, periods: ind.ema_rows(shop.bars.close, periods),
    "rate_of_change": lambda shop, periods: ind.rate_of_change_rows(shop.bars.close, periods),
    "sma": lambda shop, periods: ind.mean_rows(shop.bars.close, periods),
    "deviation": _deviation,
    "previous_high": lambda shop, periods: ind.maximum_rows(shop.bars.high, periods, 1),
    "previous_low": lambda shop, periods: ind.minimum_rows(shop.bars.low, periods, 1),
    "previous_mean_volume": lambda shop, periods: ind.mean_rows(shop.bars.volume, periods, 1),
    "rsi": lambda shop, periods: ind.rsi_rows(shop.bars.close, periods),
    "rsi_divergence": _rsi_divergence,
    "z_score": _z_score,
    "bandwidth_rank": _bandwidth_rank,
}
