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


def bars_of(hours: NDArray[np.int64], bar_hours: float) -> NDArray[np.int64]:
    """Return how many bars of so many hours cover each number of hours, at least one."""
    return np.maximum(1, np.ceil(hours / bar_hours)).astype(np.int64)


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
        return bars_of(hours, self.bar_hours)

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
    numbers
        Absolute number of each of these bars, shape (N, room).
    counts
        How many bars each asset has, shape (N,).
    """

    def __init__(self, n_assets: int, bar_hours: float) -> None:
        self.bar_hours = bar_hours
        self.columns = np.empty((n_assets, len(COLUMNS), _FIRST_ROOM))
        self.counts = np.zeros(n_assets, dtype=np.int64)
        self.numbers = np.empty((n_assets, _FIRST_ROOM), dtype=np.int64)
        self._most = 0
        self._rated: Histories | None = None
        self._joined: dict[int, _JoinedBars] = {}
        self._latest: dict[tuple[str, int, bytes], NDArray[np.float64]] = {}
        self._bars: dict[int, AssetBars] = {}

    def bars(self, asset: int) -> AssetBars:
        """Return all bars of an asset so far."""
        if asset not in self._bars:
            count = self.counts[asset]
            opens, high, low, close, volume, funding_rate = self.columns[asset, :, :count]
            numbers = self.numbers[asset, :count]
            self._bars[asset] = AssetBars(opens, high, low, close, volume, funding_rate, numbers, self.bar_hours)
        return self._bars[asset]

    def rated(self) -> Histories:
        """Return the bars that have a funding rate; whatever comes in here comes in there too."""
        if self._rated is None:
            self._rated = Histories(self.counts.size, self.bar_hours)
            for asset in range(self.counts.size):
                bars = self.bars(asset)
                self._rated.extend(asset, *_with_rate(np.stack(bars[: len(COLUMNS)]), bars.numbers))
        return self._rated

    def end_to_end(self, assets: NDArray[np.int64], width: int) -> AssetBars:
        """Return the last `width` bars of some assets, one asset behind the other; they must have as many.

        They stand until the next bar is appended.

        Parameters
        ----------
        assets
            Numbers of the assets, shape (A,).
        width
            How many bars of each.
        """
        if width not in self._joined:
            self._joined[width] = _JoinedBars(width)
        return self._joined[width].of(self, assets)

    def latest(self, assets: NDArray[np.int64], width: int, name: str) -> NDArray[np.float64]:
        """Return the last values of a column of some assets, shape (A, width); zeros before an asset's first.

        They are copied once for all who ask before the next bar is appended.
        """
        place = name, width, assets.tobytes()
        if place not in self._latest:
            self._latest[place] = np.empty((assets.size, width))
            _copy_column(self.columns, self.counts, assets, COLUMNS.index(name), self._latest[place])
        return self._latest[place]

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
        self.numbers[asset, begin:end] = numbers
        self.counts[asset] = end
        if self._rated is not None:
            self._rated.extend(asset, *_with_rate(columns, numbers))

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
        self.numbers[assets, places] = numbers
        self.counts[assets] = places + 1
        if self._rated is not None:
            known = np.isfinite(columns[_FUNDING_RATE])
            self._rated.append_to(assets[known], columns[:, known], numbers[known])

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
        _append(columns, number, valid, self.columns, self.numbers, self.counts)
        if self._rated is not None:
            self._rated.append(columns, number, valid & np.isfinite(columns[_FUNDING_RATE]))

    def _make_room(self, end: int) -> None:
        # For bars that are to come. No asset has more than `_most` bars.
        self._latest.clear()
        self._bars.clear()
        self._most = max(self._most, end)
        if end > self.numbers.shape[1]:
            room = max(end, 2 * self.numbers.shape[1])
            columns, numbers = self.columns, self.numbers
            self.columns = np.empty((*columns.shape[:2], room))
            self.numbers = np.empty((numbers.shape[0], room), dtype=np.int64)
            self.columns[:, :, : columns.shape[2]], self.numbers[:, : numbers.shape[1]] = columns, numbers


def _with_rate(
    columns: NDArray[np.float64], numbers: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    known = np.isfinite(columns[_FUNDING_RATE])
    return columns[:, known], numbers[known]


@compiled
def _append(
    bar: NDArray[np.float64],
    number: int,
    valid: NDArray[np.bool_],
    columns: NDArray[np.float64],
    numbers: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    for asset in range(valid.size):
        if valid[asset]:
            place = counts[asset]
            for column in range(bar.shape[0]):
                columns[asset, column, place] = bar[column, asset]
            numbers[asset, place] = number
            counts[asset] += 1


class _JoinedBars:
    # The last bars of some assets end to end. Where all of them have one more, the first of each falls out and the
    # place of the next asset's first is that of the new one: the whole moves on by one place, and nothing is copied.
    def __init__(self, width: int) -> None:
        self._width, self._begin = width, 0
        self._assets, self._counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self._room = np.empty((len(COLUMNS), 0))
        self._numbers = np.empty(0, dtype=np.int64)

    def of(self, histories: Histories, assets: NDArray[np.int64]) -> AssetBars:
        counts, length = histories.counts[assets], assets.size * self._width
        if not np.array_equal(assets, self._assets):
            self._assets, self._counts = assets.copy(), counts
            self._room = np.empty((len(COLUMNS), length + _FIRST_ROOM))
            self._numbers = np.empty(length + _FIRST_ROOM, dtype=np.int64)
            self._lay_out(histories, 0, self._width)
        elif not np.array_equal(counts, self._counts):
            goes_on = self._begin < _FIRST_ROOM and np.array_equal(counts, self._counts + 1)
            self._counts = counts
            if goes_on:
                self._lay_out(histories, self._begin + 1, 1)
            else:
                self._lay_out(histories, 0, self._width)
        end = self._begin + length
        opens, high, low, close, volume, funding_rate = self._room[:, self._begin : end]
        numbers = self._numbers[self._begin : end]
        return AssetBars(opens, high, low, close, volume, funding_rate, numbers, histories.bar_hours)

    def _lay_out(self, histories: Histories, begin: int, new: int) -> None:
        # From place `begin` on, the last `new` bars of each asset.
        self._begin = begin
        _copy_last(
            histories.columns,
            histories.numbers,
            self._counts,
            self._assets,
            self._width,
            begin,
            new,
            self._room,
            self._numbers,
        )


@compiled
def _copy_last(
    columns: NDArray[np.float64],
    numbers: NDArray[np.int64],
    counts: NDArray[np.int64],
    assets: NDArray[np.int64],
    width: int,
    begin: int,
    new: int,
    joined: NDArray[np.float64],
    joined_numbers: NDArray[np.int64],
) -> None:
    for i in range(assets.size):
        asset, place, first = assets[i], begin + (i + 1) * width - new, counts[i] - new
        for column in range(columns.shape[1]):
            for t in range(new):
                joined[column, place + t] = columns[asset, column, first + t]
        for t in range(new):
            joined_numbers[place + t] = numbers[asset, first + t]


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
