"""The indicator store: what banks keep from one call to the next, up to a ceiling in bytes."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from threading import Lock
from typing import Any, NamedTuple
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from quant_organism.resilience import when_memory_is_returned

Keys = NDArray[np.int64]
Rows = NDArray[Any]
Arrays = tuple[NDArray[Any], ...]

_SPARE_ROWS = 16
"""Rows for which there is room beside twice as many as there are: windows stand on a grid of some twenty."""


class IndicatorTable(NamedTuple):
    """Rows of one indicator of one asset.

    Parameters
    ----------
    keys
        Key of each row, ascending, shape (K,).
    places
        Where the row of each key stands, shape (K,).
    rows
        In any order, shape (K, n).
    """

    keys: Keys
    places: Keys
    rows: Rows

    @classmethod
    def of(cls, keys: Keys, rows: Rows) -> IndicatorTable:
        """Return the table of rows that stand in the order of their keys, whatever that is."""
        order = np.argsort(keys)
        return cls(keys[order], order, rows)

    def holds(self, keys: Keys) -> NDArray[np.bool_]:
        """Return whether the row of each key is here."""
        if self.keys.size == 0:
            return np.zeros(keys.size, dtype=np.bool_)
        return np.asarray(self.keys.take(self.keys.searchsorted(keys), mode="clip") == keys)

    def places_of(self, keys: Keys) -> Keys:
        """Return where the row of each key stands; all must be here."""
        return self.places[self.keys.searchsorted(keys)]


class IndicatorStore:
    """Indicator rows and fitted models of the markets that were looked at last.

    Generations read the same market again and again, asset after asset. Dropping what was used longest ago would then
    drop what is needed next, so only other markets make room for rows: what does not fit beside the rows of its own
    market is not kept, and is computed again. For models, which cost thousands of times more to make, rows of any
    market make room.

    Parameters
    ----------
    max_bytes
        Ceiling of all arrays kept; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = Lock()
        self._tables: dict[tuple[str, str, str], IndicatorTable] = {}
        self._rooms: dict[tuple[str, str, str], Rows] = {}
        self._models: dict[bytes, Arrays] = {}
        self._table_bytes: Counter[str] = Counter()
        self._model_bytes = 0

    @property
    def used_bytes(self) -> int:
        """Bytes of all arrays kept."""
        return self._model_bytes + self._table_bytes.total()

    def table(self, market: str, asset: str, name: str) -> IndicatorTable | None:
        """Return what is kept of an indicator of an asset."""
        return self._tables.get((market, asset, name))

    def missing(self, market: str, asset: str, name: str, keys: Keys) -> int:
        """Return how many of the keys, each given once, have no row of an indicator of an asset here."""
        kept = self.table(market, asset, name)
        return keys.size if kept is None else int(keys.size - kept.holds(keys).sum())

    def room_beside(self, market: str) -> int:
        """Return how many bytes of rows of a market can be kept beside those that are kept of it already."""
        return self.max_bytes - self._model_bytes - self._table_bytes[market]

    def keep_table(self, market: str, asset: str, name: str, keys: Keys, rows: Rows) -> IndicatorTable | None:
        """Keep rows beside those kept before, and return all of them; None if they do not fit."""
        place = (market, asset, name)
        with self._lock:
            before = self._tables.get(place)
            if before is not None:
                new = ~before.holds(keys)
                if not new.all():
                    # Another thread has made some of the same rows.
                    keys, rows = keys[new], rows[new]
            if self._model_bytes + self._table_bytes[market] + rows.nbytes > self.max_bytes:
                return None
            self._make_room(rows.nbytes, keeping=market)
            self._table_bytes[market] += rows.nbytes
            if before is None:
                self._rooms[place] = rows
                table = IndicatorTable.of(keys, rows)
            else:
                table = IndicatorTable.of(
                    np.concatenate([before.keys[np.argsort(before.places)], keys]),
                    self._extended(place, before.rows, rows),
                )
            self._tables[place] = table
            return table

    def _extended(self, place: tuple[str, str, str], before: Rows, rows: Rows) -> Rows:
        # Banks that read the rows of before are not disturbed: new ones are written behind them, in room that is made
        # for more than twice as many when it is used up, and costs what is written of it.
        count = len(before) + len(rows)
        room = self._rooms[place]
        if count > len(room):
            room = _ROOMS.take((2 * count + _SPARE_ROWS, *rows.shape[1:]), rows.dtype)
            room[: len(before)] = before
            self._rooms[place] = room
        room[len(before) : count] = rows
        return room[:count]

    def remember(self, key: bytes, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays kept under a key that stands for their whole content, made now if there are none."""
        found = self._models.get(key)
        if found is None:
            found = make()
            size = sum(array.nbytes for array in found)
            with self._lock:
                if key not in self._models and self._model_bytes + size <= self.max_bytes:
                    self._make_room(size)
                    self._models[key] = found
                    self._model_bytes += size
        return found

    def _make_room(self, size: int, keeping: str = "") -> None:
        """Drop rows, those that came first, until so many bytes fit; not those of the market to keep."""
        while self.used_bytes + size > self.max_bytes:
            place = next((known for known in self._tables if known[0] != keeping), None)
            if place is None:
                return
            self._table_bytes[place[0]] -= self._tables.pop(place).rows.nbytes
            del self._rooms[place]


class RoomPool:
    """Memory for rows, used again as soon as nobody reads it: its first touch costs several times what writing does.

    Memory is taken in powers of two, which costs what is touched of it.

    Parameters
    ----------
    most_bytes
        Most that is kept for later use, counted as if all of it had been touched.

    Attributes
    ----------
    idle
        Memory that nobody reads, by its size.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.idle: dict[int, deque[mmap]] = defaultdict(deque)
        when_memory_is_returned(self.idle.clear)

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Rows:
        """Return room for rows, with anything in it."""
        size = math.prod(shape) * dtype.itemsize
        if size == 0:
            return np.empty(shape, dtype)
        whole = 1 << (size - 1).bit_length()
        try:
            memory = self.idle[whole].pop()
        except IndexError:
            # Of pages that are touched one by one. What `np.empty` gives stands on large pages, for which a virtual
            # machine may have to ask its host each time: their first touch took five times as long.
            memory = mmap(-1, whole, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        room = np.frombuffer(memory, np.uint8)  # all that is read of it refers to this array
        finalize(room, self._give_back, memory).atexit = False
        return room[:size].view(dtype).reshape(shape)

    def _give_back(self, memory: mmap) -> None:
        # Called wherever the last reader goes, so without a lock: each step is whole by itself.
        if sum(size * len(idle) for size, idle in [*self.idle.items()]) + len(memory) <= self.most_bytes:
            self.idle[len(memory)].append(memory)


_ROOMS = RoomPool(2**29)
