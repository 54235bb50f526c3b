"""The bars of one asset, and those of all assets in one place as they come in."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled

COLUMNS: Final = ("open", "high", "low", "close", "volume", "funding_rate")
"""What a strategy may read of a bar."""

_FIRST_ROOM = 1024
_FUNDING_RATE = COLUMNS.index("funding_rate")


class AssetBars(NamedTuple):
    """The valid bars of one asset.

    Parameters
    ----------
    open, high, low, close, volume
        Prices and base volume, each of shape (n,).
    funding_rate
        Fraction per hour in force at each close, shape (n,); NaN where there is none.
    numbers
        Absolute number of each bar: its open time over its length, shape (n,).
    bar_hours
        Length of a bar in hours.
    market, asset
        Names under which a store keeps what is computed from these bars; equal names promise equal bars. Bars without
        names leave nothing behind.
    """

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    funding_rate: NDArray[np.float64]
    numbers: NDArray[np.int64]
    bar_hours: float
    market: str = ""
    asset: str = ""

    def count_of(self, hours: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many bars cover each number of hours, at least one."""
        return np.maximum(1, np.ceil(hours / self.bar_hours)).astype(np.int64)

    def part(self, chosen: NDArray[Any], name: str) -> AssetBars:
        """Return the chosen ones of these bars, by mask or by number, under a name that is added to the asset's."""
        kept: dict[str, Any] = {
            column: np.ascontiguousarray(getattr(self, column)[chosen]) for column in (*COLUMNS, "numbers")
        }
        return self._replace(**kept, asset=f"{self.asset}, {name}")

    def since(self, begin: int, end: int | None = None) -> AssetBars:
        """Return the bars from number `begin` on, those from number `end` on left out, without names."""
        opens, high, low, close, volume, funding_rate, numbers, bar_hours, _, _ = self
        return AssetBars(
            opens[begin:end],
            high[begin:end],
            low[begin:end],
            close[begin:end],
            volume[begin:end],
            funding_rate[begin:end],
            numbers[begin:end],
            bar_hours,
        )


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

    def bars(self, asset: int) -> AssetBars:
        """Return all bars of an asset so far."""
        count = self.counts[asset]
        opens, high, low, close, volume, funding_rate = self.columns[asset, :, :count]
        numbers = self._numbers[asset, :count]
        return AssetBars(opens, high, low, close, volume, funding_rate, numbers, self.bar_hours)

    def end_to_end(
        self, assets: NDArray[np.int64], width: int, room: NDArray[np.float64], read: NDArray[np.int64]
    ) -> AssetBars:
        """Return the last `width` bars of some assets, one asset behind the other; they must have as many.

        Parameters
        ----------
        assets
            Numbers of the assets, shape (A,).
        width
            How many bars of each.
        room
            Where columns are written to, shape (6, A x width).
        read
            Numbers of the columns that are; the others have no meaning.
        """
        numbers = np.empty(assets.size * width, dtype=np.int64)
        _join_latest(self.columns, self._numbers, self.counts, assets, width, read, room, numbers)
        opens, high, low, close, volume, funding_rate = room
        return AssetBars(opens, high, low, close, volume, funding_rate, numbers, self.bar_hours)

    def latest(self, assets: NDArray[np.int64], width: int, name: str) -> NDArray[np.float64]:
        """Return the last values of a column of some assets, shape (A, width); zeros before an asset's first."""
        found = np.empty((assets.size, width))
        _copy_column(self.columns, self.counts, assets, COLUMNS.index(name), found)
        return found

    def extend(self, asset: int, columns: NDArray[np.float64], numbers: NDArray[np.int64]) -> None:
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

    def append_to(self, assets: NDArray[np.int64], columns: NDArray[np.float64], numbers: NDArray[np.int64]) -> None:
        """Append one bar of each of some assets, each with a number of its own.

        Parameters
        ----------
        assets
            Numbers of the assets, each once, shape (A,).
        columns
            As for `extend`, of their bars, shape (6, A).
        numbers
            Absolute numbers of their bars, shape (A,).
        """
        places = self.counts[assets]
        self._make_room(int(places.max(initial=0)) + 1)
        self.columns[assets, :, places] = columns.T
        self._numbers[assets, places] = numbers
        self.rated[assets] &= np.isfinite(columns[_FUNDING_RATE])
        self.counts[assets] = places + 1

    def append(self, columns: NDArray[np.float64], number: int, valid: NDArray[np.bool_]) -> None:
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
    bar: NDArray[np.float64],
    number: int,
    valid: NDArray[np.bool_],
    columns: NDArray[np.float64],
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


@compiled
def _join_latest(
    columns: NDArray[np.float64],
    numbers: NDArray[np.int64],
    counts: NDArray[np.int64],
    assets: NDArray[np.int64],
    width: int,
    read: NDArray[np.int64],
    joined: NDArray[np.float64],
    joined_numbers: NDArray[np.int64],
) -> None:
    for i in range(assets.size):
        asset, begin = assets[i], i * width
        first = counts[asset] - width
        for column in read:
            for t in range(width):
                joined[column, begin + t] = columns[asset, column, first + t]
        for t in range(width):
            joined_numbers[begin + t] = numbers[asset, first + t]


@compiled
def _copy_column(
    columns: NDArray[np.float64],
    counts: NDArray[np.int64],
    assets: NDArray[np.int64],
    column: int,
    found: NDArray[np.float64],
) -> None:
    for i in range(assets.size):
        asset, room = assets[i], found.shape[1]
        width = min(room, counts[asset])
        found[i, : room - width] = 0.0
        for t in range(width):
            found[i, room - width + t] = columns[asset, column, counts[asset] - width + t]
