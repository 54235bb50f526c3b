"""Session profiles: how many strategies trade, in how many symbols, and on which bars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from quant_organism.errors import InputError
from quant_organism.market import Interval


@dataclass(frozen=True, kw_only=True)
class SessionProfile:
    """A way to trade; make one with `session_profile`.

    Parameters
    ----------
    name
        scalping, intraday or swing.
    strategies
        Most that trade at once; the best ones do.
    symbols
        Most symbols that are entered, the best ranked, under a policy that limits them by their ranks.
    pool_factor
        Most strategies that are watched, over those that trade.
    intervals
        Bars that its strategies decide on.
    history_days
        Days before the session that warm strategies up and measure the risk of their virtual book.
    """

    name: str
    strategies: int
    symbols: int
    pool_factor: float
    intervals: tuple[str, ...]
    history_days: int

    @property
    def watched(self) -> int:
        """Most strategies that are watched beside those that trade."""
        return math.floor(self.strategies * self.pool_factor)

    def takes(self, interval: Interval) -> bool:
        """Say whether its strategies may decide on such bars."""
        return interval.name in self.intervals


_PROFILES: Final[Mapping[str, SessionProfile]] = {
    profile.name: profile
    for profile in (
        SessionProfile(
            name="scalping",
            strategies=3,
            symbols=5,
            pool_factor=2.0,
            intervals=("1m", "3m", "5m"),
            history_days=40,
        ),
        SessionProfile(
            name="intraday",
            strategies=5,
            symbols=10,
            pool_factor=1.5,
            intervals=("15m", "30m", "1h"),
            history_days=120,
        ),
        SessionProfile(
            name="swing",
            strategies=8,
            symbols=20,
            pool_factor=1.0,
            intervals=("4h", "8h", "12h", "1d"),
            history_days=365,
        ),
    )
}

PROFILES: Final = tuple(_PROFILES)
"""Names of all profiles, the fastest first."""


def session_profile(name: str) -> SessionProfile:
    """Return the profile of a name, one of `PROFILES`.

    Raises
    ------
    InputError
        There is no such profile.
    """
    if name not in _PROFILES:
        raise InputError(
            f"no session profile is called {name!r}", where="--session", remedy=f"choose {', '.join(PROFILES)}"
        )
    return _PROFILES[name]
