"""What passes between the parts: a file claimed by a format, what its name says, and its rows, not yet judged."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.schema import Interval

PRICES: Final = ("open", "high", "low", "close")
CANDLE_VALUES: Final = (*PRICES, "volume")
FUNDING_VALUES: Final = ("funding_rate",)
TRADE_VALUES: Final = ("price", "amount")

Kind = Literal["candles", "funding", "trades"]

INTERVALS: Final = tuple(
    Interval.parse(name) for name in ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d")
)

# A perpetual is named by its base alone when it is quoted in dollars or a dollar's token.
USD_LIKE: Final = frozenset({"USD", "USDT", "USDC", "BUSD", "TUSD", "FDUSD", "USDP", "DAI", "USDE", "PYUSD"})

_SEPARATOR = re.compile(r"[/_:]")


@dataclass(frozen=True)
class FileTable:
    """Rows as a format wrote them, put into columns and not judged yet.

    Parameters
    ----------
    frame
        ``row`` Int64 (1-based line of a text file, row of any other), ``symbol`` String, ``time`` Int64 (milliseconds
        since 1970 UTC, null where unreadable), the kind's value columns Float64 (null where unreadable) and
        ``unreadable`` String (what could not be read, null where all could). Trades also have ``trade_id`` String.
    unit
        What ``row`` counts.
    notes
        Quirks of the format that were put right, one sentence each.
    repeated
        Symbol -> rows that the format wrote more than once and that `frame` has once.
    """

    frame: pl.DataFrame
    unit: Literal["line", "row"]
    notes: tuple[str, ...] = ()
    repeated: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DataFile:
    """A file that one of the formats has claimed by its name or its first bytes.

    Parameters
    ----------
    path
        The file.
    format
        The format's name, for people.
    kind
        What the rows are.
    symbol
        The symbol that the name gives; None where only the content tells.
    interval
        The interval that the name gives; None where only the content tells, and for funding and trades.
    dated
        Whether the file is one of a series that the format splits by month or day.
    read
        Reads the rows of the file.
    """

    path: Path
    format: str
    kind: Kind
    read: Callable[["DataFile"], FileTable]
    symbol: str | None = None
    interval: Interval | None = None
    dated: bool = False


@dataclass(frozen=True)
class LeftAside:
    """A file that a format knows and that holds nothing to trade on; `reason` says why."""

    reason: str


Claim = DataFile | LeftAside | None


def symbol_of_pair(pair: str, *, run_together: Sequence[str] = ("USDT", "USDC", "USD")) -> str:
    """Return the project's symbol for a venue's pair.

    A dollar-like quote is left out, any other stays: ``BTC/USDT``, ``BTC_USDC_USDC`` and ``BTCUSDT`` are ``BTC``,
    ``XRP/ETH`` is ``XRP-ETH``. The base is never altered: ``kPEPE`` stays ``kPEPE``, ``1000PEPE`` stays ``1000PEPE``.

    Parameters
    ----------
    pair
        Base and quote, separated by ``/``, ``_`` or ``:`` (a third part, the settlement currency, says nothing
        more), or run together.
    run_together
        Quotes looked for, in this order, at the end of a pair without separator. BUSD and TUSD are not among the
        default ones because ``BNBUSD`` may as well be BNB in USD; a format that excludes that reading adds them.
    """
    parts = [part for part in _SEPARATOR.split(pair) if part]
    if len(parts) > 1:
        base, quote = parts[0], parts[1]
        return base if quote.upper() in USD_LIKE else f"{base}-{quote}"
    for quote in run_together:
        if pair.upper().endswith(quote) and len(pair) > len(quote):
            return pair[: -len(quote)]
    return pair


def interval_named(name: str) -> Interval | None:
    """Return the interval that a file name calls `name`, or None where the project has no such bars."""
    try:
        return Interval.parse(name)
    except InputError:
        return None


def interval_of_length(milliseconds: int) -> Interval | None:
    """Return the interval of this length, or None where the project has no such bars."""
    return next((interval for interval in INTERVALS if interval.milliseconds == milliseconds), None)


def left_aside_interval(name: str) -> str:
    """Say why a file of `name` bars is left aside."""
    return f"{name} bars are none of {', '.join(interval.name for interval in INTERVALS)}"
