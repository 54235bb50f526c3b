"""What market data look like: bar intervals, moments and days, and small checks that sources and readers share."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import polars as pl

from quant_organism.errors import InputError

MS_PER_HOUR: Final = 3_600_000
MS_PER_DAY: Final = 24 * MS_PER_HOUR

TIMESTAMP: Final = pl.Datetime("ms", "UTC")

_MARKET_ID = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,79}")
_INTERVAL_MINUTES: Final = {
    "1m": 1,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "8h": 480,
    "12h": 720,
    "1d": 1440,
}


@dataclass(frozen=True, order=True)
class Interval:
    """The length of a bar; it divides a UTC day, so every day holds the same number of whole bars.

    Parameters
    ----------
    milliseconds
        Length in milliseconds.
    name
        Short name such as ``"1h"``.
    """

    milliseconds: int
    name: str

    @classmethod
    def parse(cls, name: str) -> "Interval":
        """Return the interval called `name`.

        Raises
        ------
        InputError
            `name` is none of 1m 5m 15m 30m 1h 2h 4h 8h 12h 1d.
        """
        minutes = _INTERVAL_MINUTES.get(name)
        if minutes is None:
            raise InputError(f"unknown bar interval {name!r}", remedy=f"use one of {', '.join(_INTERVAL_MINUTES)}")
        return cls(milliseconds=minutes * 60_000, name=name)

    @property
    def hours(self) -> float:
        """Length in hours."""
        return self.milliseconds / MS_PER_HOUR

    @property
    def bars_per_day(self) -> int:
        """Whole bars in one UTC day."""
        return MS_PER_DAY // self.milliseconds

    def __str__(self) -> str:
        return self.name


def day_start_ms(day: date) -> int:
    """Return the first millisecond of the UTC day, as milliseconds since the epoch."""
    return (day - date(1970, 1, 1)).days * MS_PER_DAY


def day_of(timestamp_ms: int) -> date:
    """Return the UTC day that a millisecond timestamp falls on."""
    return date(1970, 1, 1) + timedelta(days=timestamp_ms // MS_PER_DAY)


def format_ms(timestamp_ms: int) -> str:
    """Return a millisecond timestamp as people read it: ``2024-01-31 13:00 UTC``."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def check_market_id(market: str) -> str:
    """Return `market` if it can name a folder of the lake.

    Raises
    ------
    InputError
        Anything but 1 to 80 of a-z 0-9 _ . - that starts with a letter, a digit or an underscore.
    """
    if not _MARKET_ID.fullmatch(market):
        raise InputError(
            f"{market!r} cannot name a market",
            remedy="use at most 80 of a-z 0-9 _ . - and begin with a letter or a digit",
        )
    return market


def choose_symbols(wanted: Sequence[str] | None, known: Sequence[str], *, where: str) -> tuple[str, ...]:
    """Return the wanted symbols sorted and without repetition; all that are known when `wanted` is None.

    Raises
    ------
    InputError
        A symbol that is not known (near names are listed), or an empty list.
    """
    if wanted is None:
        return tuple(sorted(known))
    if not wanted:
        raise InputError(
            "the list of symbols is empty", where=where, remedy="name at least one symbol, or leave it out"
        )
    for symbol in wanted:
        if symbol not in known:
            raise InputError(f"no symbol {symbol!r} here", where=where, remedy=_near(symbol, known))
    return tuple(sorted(set(wanted)))


def _near(symbol: str, known: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    near = [by_lower[name] for name in difflib.get_close_matches(symbol.lower(), by_lower, n=4, cutoff=0.5)]
    names = near or sorted(known)[:8]
    more = f" (of {len(known)})" if len(known) > len(names) else ""
    return f"{'nearest' if near else 'known'}: {', '.join(names)}{more}" if names else "nothing is known here yet"
