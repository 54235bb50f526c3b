"""What passes between the parts of this package: a file claimed by a format, and its rows before any judgement."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from quant_organism.market.schema import Interval

PRICES: Final = ("open", "high", "low", "close")
CANDLE_VALUES: Final = (*PRICES, "volume")
FUNDING_VALUES: Final = ("funding_rate",)
TRADE_VALUES: Final = ("price", "amount")

Kind = Literal["candles", "funding", "trades"]


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
    """

    frame: pl.DataFrame
    unit: Literal["line", "row"]
    notes: tuple[str, ...] = ()


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
