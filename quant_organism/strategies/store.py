"""The indicator store: what banks keep from one call to the next, up to a ceiling in bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Rows = NDArray[Any]
Arrays = tuple[NDArray[Any], ...]


class IndicatorStore:
    """Indicator rows and fitted models of the markets that were looked at last.

    Generations read the same market again and again, asset after asset. Dropping what was used longest ago would then
    drop what is needed next, so only other markets make room: what does not fit beside the rows of its own market is
    not kept, and is computed again.

    Parameters
    ----------
    max_bytes
        Ceiling of all arrays kept; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = Lock()
        self._tables: dict[tuple[str, str, str], tuple[Keys, Rows]] = {}
        self._models: dict[bytes, Arrays] = {}
        self._table_bytes: Counter[str] = Counter()
        self._model_bytes = 0

    @property
    def used_bytes(self) -> int:
        """Bytes of all arrays kept."""
        return self._model_bytes + self._table_bytes.total()

    def room(self, market: str) -> int:
        """Return how many bytes more a market's rows may take, other markets making way."""
        return self.max_bytes - self._model_bytes - self._table_bytes[market]

    def table(self, market: str, asset: str, name: str) -> tuple[Keys, Rows] | None:
        """Return the keys (K,) and rows (K, n) that are kept of an indicator of an asset, keys ascending."""
        return self._tables.get((market, asset, name))

    def keep_table(self, market: str, asset: str, name: str, keys: Keys, rows: Rows) -> None:
        """Keep the rows of an indicator in place of those kept before, if they fit."""
        place = (market, asset, name)
        with self._lock:
            before = self._tables.get(place)
            extra = rows.nbytes - (before[1].nbytes if before else 0)
            if extra > self.room(market):
                return
            for other in [known for known in self._tables if known[0] != market]:
                if self.used_bytes + extra <= self.max_bytes:
                    break
                self._table_bytes[other[0]] -= self._tables.pop(other)[1].nbytes
            self._tables[place] = keys, rows
            self._table_bytes[market] += extra

    def remember(self, key: bytes, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays kept under a key that stands for their whole content, made now if there are none."""
        found = self._models.get(key)
        if found is None:
            found = make()
            size = sum(array.nbytes for array in found)
            with self._lock:
                if key not in self._models and self.used_bytes + size <= self.max_bytes:
                    self._models[key] = found
                    self._model_bytes += size
        return found
