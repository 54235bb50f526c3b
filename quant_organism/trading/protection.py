"""Stop automation: a position is protected while a stop for all of it rests at the venue; unprotected, it is closed.

Rule A7 has it closed after five seconds. This is the clockwork of that: it is told what is held and what rests, and
when, and says what must be closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

UNPROTECTED_MS: Final = 5_000


@dataclass
class ProtectionWatch:
    """Since when each position has been without a whole stop.

    Parameters
    ----------
    since
        By symbol, UTC milliseconds.
    """

    since: dict[str, int] = field(default_factory=dict)

    def observe(self, positions: Mapping[str, int], stops: Mapping[str, int], now_ms: int) -> tuple[str, ...]:
        """Take note of what is held and what protects it, and return what must be closed now.

        Parameters
        ----------
        positions
            Lots held by symbol, negative when short.
        stops
            Lots that the resting stop of each symbol trades: negative for a long.
        now_ms
            When that was seen, UTC milliseconds.

        Returns
        -------
        tuple of str
            Symbols that have been unprotected for more than five seconds, sorted.
        """
        bare = {symbol for symbol, lots in positions.items() if lots and not _covers(lots, stops.get(symbol, 0))}
        self.since = {symbol: self.since.get(symbol, now_ms) for symbol in sorted(bare)}
        return tuple(symbol for symbol, began in self.since.items() if now_ms - began > UNPROTECTED_MS)


def _covers(lots: int, stop: int) -> bool:
    # A stop on the other side, for all of the position or more: it only reduces.
    return lots * stop < 0 and abs(stop) >= abs(lots)
