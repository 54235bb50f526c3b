"""Session profiles: how often the venue is asked, how many strategies trade, and on which bars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from quant_organism.errors import InputError
from quant_organism.market import Interval

TARGET_RESPONSE_MS: Final = 150.0
"""Mean answer of the venue above which fewer questions are asked."""

_WEIGHT_OF_A_CALL: Final = 20
_FEWEST_CALLS: Final = 3


@dataclass(frozen=True, kw_only=True)
class SessionProfile:
    """A way to trade; make one with `session_profile`.

    Parameters
    ----------
    name
        scalping, intraday or swing.
    calls_per_minute
        Questions to the venue.
    strategies
        Most that trade at once; the best ones do.
    symbols
        Most symbols that are entered, the best ranked, under a policy that limits them by their ranks.
    pool_factor
        Most strategies that are watched, over those that trade.
    keep_alive_s
        Silence of the line after which it is asked whether it lives.
    intervals
        Bars that its strategies decide on.
    history_days
        Days before the session that warm strategies up and measure the risk of their virtual book.
    """

    name: str
    calls_per_minute: int
    strategies: int
    symbols: int
    pool_factor: float
    keep_alive_s: float
    intervals: tuple[str, ...]
    history_days: int

    @property
    def weight_per_minute(self) -> int:
        """What the questions of a minute may weigh at the venue."""
        return self.calls_per_minute * _WEIGHT_OF_A_CALL

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
            calls_per_minute=20,
            strategies=3,
            symbols=5,
            pool_factor=2.0,
            keep_alive_s=30.0,
            intervals=("1m", "3m", "5m"),
            history_days=40,
        ),
        SessionProfile(
            name="intraday",
            calls_per_minute=10,
            strategies=5,
            symbols=10,
            pool_factor=1.5,
            keep_alive_s=60.0,
            intervals=("15m", "30m", "1h"),
            history_days=120,
        ),
        SessionProfile(
            name="swing",
            calls_per_minute=3,
            strategies=8,
            symbols=20,
            pool_factor=1.0,
            keep_alive_s=120.0,
            intervals=("4h", "8h", "12h", "1d"),
            history_days=365,
        ),
    )
}

PROFILES: Final = tuple(_PROFILES)
"""Names of all profiles, the fastest first."""


def session_profile(name: str, *, response_ms: float | None = None) -> SessionProfile:
    """Return the profile of a name.

    Parameters
    ----------
    name
        One of `PROFILES`.
    response_ms
        Mean answer of the venue as measured: where it is above `TARGET_RESPONSE_MS`, fewer questions are asked, in
        proportion. None: nothing was measured.

    Raises
    ------
    InputError
        There is no such profile, or the measured time is not positive.
    """
    if name not in _PROFILES:
        raise InputError(
            f"no session profile is called {name!r}", where="--session", remedy=f"choose {', '.join(PROFILES)}"
        )
    profile = _PROFILES[name]
    if response_ms is None:
        return profile
    if not response_ms > 0.0:
        raise InputError(f"a mean response of {response_ms} ms", where="session profile", remedy="measure it again")
    calls = math.floor(profile.calls_per_minute * min(1.0, TARGET_RESPONSE_MS / response_ms))
    return replace(profile, calls_per_minute=max(calls, _FEWEST_CALLS))
