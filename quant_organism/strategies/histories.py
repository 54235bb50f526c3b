"""The bars of all assets as they come in, in one place that compiled code takes them from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import Bars
from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.signals import COLUMNS

Floats = NDArray[np.float64]

_FIRST_ROOM = 1024
_FUNDING_RATE = COLUMNS.index("funding_rate")


class Histories:
    """All valid bars of N assets so far.

    Parameters
    ----------
    n_assets
        Number of assets N.
    bar_hours
        Length of a bar in hours.

    Attributes
    ----------
    columns
        Rows open, high, low, close, volume, funding_rate of each asset, shape (N, 6, room): there is room for more
        than the `counts` first ones, which alone have a meaning.
    counts
        How many bars each asset has, shape (N,).
    rated
        Whether all of them have a funding rate, shape (N,).
    """

    def __init__(self, n_assets: int, bar_hours: float) -> None:
        self.bar_hours = bar_hours
        self.columns = np.empty((n_assets, len(COLUMNS), _FIRST_ROOM))
        self.counts = np.zeros(n_assets, dtype=np.int64)
        self.rated = np.ones(n_assets, dtype=np.bool_)
        self._numbers = np.empty((n_assets, _FIRST_ROOM), dtype=np.int64)
        self._most = 0

    def bars(self, asset: int) -> Bars:
        """Return all bars of an asset so far."""
        count = self.counts[asset]
        opens, high, low, close, volume, funding_rate = self.columns[asset, :, :count]
        numbers = self._numbers[asset, :count]
        return Bars(opens, high, low, close, volume, funding_rate, numbers, self.bar_hours)

    def extend(self, asset: int, columns: Floats, numbers: NDArray[np.int64]) -> None:
        """Append bars of one asset.

        Parameters
        ----------
        asset
            Which.
        columns
            Rows open, high, low, close, volume, funding_rate, shape (6, n).
        numbers
            Absolute number of each bar (open time over bar length), shape (n,).
        """
        begin = int(self.counts[asset])
        end = begin + numbers.size
        self._make_room(end)
        self.columns[asset, :, begin:end] = columns
        self._numbers[asset, begin:end] = numbers
        self.rated[asset] &= np.isfinite(columns[_FUNDING_RATE]).all()
        self.counts[asset] = end

    def append(self, columns: Floats, number: int, valid: NDArray[np.bool_]) -> None:
        """Append one bar of each asset that has it.

        Parameters
        ----------
        columns
            As for `extend`, of this bar of all assets, shape (6, N).
        number
            Absolute number of the bar.
        valid
            Which assets have it, shape (N,).
        """
        self._make_room(self._most + 1)
        _append(columns, number, valid, self.columns, self._numbers, self.counts, self.rated)

    def _make_room(self, end: int) -> None:
        # No asset has more than `_most` bars.
        self._most = max(self._most, end)
        if end > self._numbers.shape[1]:
            room = max(end, 2 * self._numbers.shape[1])
            columns, numbers = self.columns, self._numbers
            self.columns = np.empty((*columns.shape[:2], room))
            self._numbers = np.empty((numbers.shape[0], room), dtype=np.int64)
            self.columns[:, :, : columns.shape[2]], self._numbers[:, : numbers.shape[1]] = columns, numbers


@compiled
def _append(
    bar: Floats,
    number: int,
    valid: NDArray[np.bool_],
    columns: Floats,
    numbers: NDArray[np.int64],
    counts: NDArray[np.int64],
    rated: NDArray[np.bool_],
) -> None:
    for asset in range(valid.size):
        if valid[asset]:
            place = counts[asset]
            for column in range(bar.shape[0]):
                columns[asset, column, place] = bar[column, asset]
            numbers[asset, place] = number
            rated[asset] &= np.isfinite(bar[_FUNDING_RATE, asset])
            counts[asset] += 1
