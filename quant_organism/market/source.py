"""The one question to every origin of market data: which candles, funding and sentiment were there, on which days."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

import polars as pl

from quant_organism.market.schema import Interval


class CandleSource(Protocol):
    """A market that candles and funding can be read from: files, a simulated world, a venue.

    Attributes
    ----------
    market
        Name of this market in the lake, of a-z 0-9 _ . -.
    """

    @property
    def market(self) -> str: ...

    def describe(self) -> dict[str, Any]:
        """Return the JSON-able identity of the source: its `kind`, and what makes it the same source again."""
        ...

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols on offer, sorted."""
        ...

    def span(self, interval: Interval) -> tuple[date, date]:
        """Return the first UTC day with data of any symbol, and the last complete one."""
        ...

    def candles(self, symbols: Sequence[str], interval: Interval, start: date, end: date) -> pl.DataFrame:
        """Return the candles that open on the UTC days `start` to `end` (inclusive), by `CandleTable`."""
        ...

    def funding(self, symbols: Sequence[str], start: date, end: date) -> pl.DataFrame:
        """Return the funding stamped on the UTC days `start` to `end` (inclusive), by `FundingTable`."""
        ...

    def sentiment(self, start: date, end: date) -> pl.DataFrame:
        """Return the index published on the UTC days `start` to `end` (inclusive), by `SentimentTable`."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know of how the data were read so far, a sentence each."""
        ...

    def set_aside(self) -> pl.DataFrame:
        """Return the rows that the source could not use and why, by `SetAsideTable`; empty where all are good."""
        ...
