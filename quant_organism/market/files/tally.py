"""What became of every row that was read: kept, or left aside and why; per file and symbol, and it adds up."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from quant_organism.market.files.table import Kind
from quant_organism.market.funding import funding_coverage, settlement_day
from quant_organism.market.resample import open_of_longer
from quant_organism.market.schema import Interval

ASIDE: Final[Mapping[str, str]] = {
    "incomplete_day": "on a day that has not all its bars yet, or outside the days imported",
    "incomplete_bar": "in a longer bar that lacks some of its parts",
    "other_interval": "bars of another length",
    "other_symbol": "a symbol that was not asked for",
    "no_candles": "funding of a symbol without candles",
    "candles_instead": "trades of a symbol that has candles of this length",
    "repeated": "the same trade, sent again",
}
"""Why a sound row is not kept; rows that broke a rule have the rule's reason (`files.rules`)."""

NOBODY: Final = "-"
"""Symbol of rows so damaged that they name none."""


@dataclass(frozen=True)
class FileTally:
    """What became of the rows of one symbol in one file.

    Parameters
    ----------
    file, kind, symbol
        Whose rows.
    read
        Rows that the file holds.
    kept
        Rows that an import of these days takes; of trades, those that its bars are made of.
    aside
        Reason -> rows left aside; `kept` and these add up to `read`.
    """

    file: str
    kind: Kind
    symbol: str
    read: int
    kept: int
    aside: Mapping[str, int]


@dataclass(frozen=True)
class Wanted:
    """What an import asks for: its symbols, and its first and last day."""

    symbols: Collection[str]
    start: date
    end: date


def per_symbol(rows: pl.DataFrame) -> dict[str, int]:
    """Return how many rows each symbol has."""
    named = rows.select(pl.col("symbol").cast(pl.String).fill_null(NOBODY))
    return {str(symbol): int(count) for symbol, count in named.group_by("symbol").len().iter_rows()}


def tally(
    file: str,
    kind: Kind,
    read: Mapping[str, int],
    refused: pl.DataFrame,
    sound: pl.DataFrame,
    why_not: pl.Expr,
    repeated: Mapping[str, int],
) -> list[FileTally]:
    """Return what became of the rows of a file, a tally for each symbol.

    Parameters
    ----------
    file, kind
        Whose rows.
    read
        Symbol -> rows in the file.
    refused
        Rows that broke a rule: `symbol`, `reason`.
    sound
        All others: `symbol`, `timestamp`.
    why_not
        Over the columns of `sound`: why a row is not kept, null where it is.
    repeated
        Symbol -> rows that the format itself took once.
    """
    reasons = pl.concat(
        [
            refused.select(pl.col("symbol").cast(pl.String).fill_null(NOBODY), pl.col("reason").cast(pl.String)),
            sound.select(pl.col("symbol").cast(pl.String), why_not.cast(pl.String).alias("reason")),
        ]
    )
    counts = {
        (str(symbol), reason): int(count)
        for symbol, reason, count in reasons.group_by("symbol", "reason").len().iter_rows()
    }
    return [
        FileTally(
            file,
            kind,
            symbol,
            read=read.get(symbol, 0) + repeated.get(symbol, 0),
            kept=counts.get((symbol, None), 0),
            aside={
                reason: count
                for (of, reason), count in sorted(counts.items(), key=lambda item: str(item[0]))
                if of == symbol and reason is not None
            }
            | ({"repeated": repeated[symbol]} if symbol in repeated else {}),
        )
        for symbol in sorted({*read, *repeated})
    ]


def of_candles(wanted: Wanted) -> pl.Expr:
    """Return why candles of the interval imported are not kept."""
    return _outside(wanted, pl.col("timestamp").dt.date())


def of_parts(wanted: Wanted, interval: Interval, incomplete: Mapping[str, pl.DataFrame]) -> pl.Expr:
    """Return why shorter candles are in no bar of `interval`: symbols made of them -> their bars that are not whole."""
    lacking = [
        pl.when((pl.col("symbol") == symbol) & open_of_longer(interval).is_in(bars["timestamp"].to_list())).then(
            pl.lit("incomplete_bar")
        )
        for symbol, bars in incomplete.items()
    ]
    other = pl.when(~pl.col("symbol").is_in(list(incomplete))).then(pl.lit("other_interval"))
    return pl.coalesce(other, *lacking, _outside(wanted, pl.col("timestamp").dt.date()))


def of_funding(wanted: Wanted, traded: Collection[str]) -> pl.Expr:
    """Return why settlements are not kept; `traded` have candles."""
    alone = pl.when(~pl.col("symbol").is_in(list(traded))).then(pl.lit("no_candles"))
    return pl.coalesce(alone, _outside(wanted, settlement_day(pl.col("timestamp"))))


def of_trades(wanted: Wanted, bar: pl.Expr, forming: pl.DataFrame, with_candles: Collection[str]) -> pl.Expr:
    """Return why trades are in no bar: `bar` is the open of theirs, `forming` are bars that had not closed."""
    has_candles = pl.when(pl.col("symbol").is_in(list(with_candles))).then(pl.lit("candles_instead"))
    unfinished = pl.when(bar.is_in(forming["timestamp"].to_list())).then(pl.lit("forming"))
    return pl.coalesce(has_candles, unfinished, _outside(wanted, pl.col("timestamp").dt.date()))


def _outside(wanted: Wanted, day: pl.Expr) -> pl.Expr:
    return pl.coalesce(
        pl.when(~pl.col("symbol").is_in(list(wanted.symbols))).then(pl.lit("other_symbol")),
        pl.when(~day.is_between(wanted.start, wanted.end)).then(pl.lit("incomplete_day")),
        pl.lit(None, pl.String()),
    )


def funding_known(candles: pl.DataFrame, funding: pl.DataFrame, interval: Interval) -> dict[str, float]:
    """Return on which share of its bars the funding of each symbol is known, in [0, 1], by symbol.

    Parameters
    ----------
    candles
        By `CandleTable`.
    funding
        By `FundingTable`; what was not settled by a bar of the candles' days counts for nothing, as in the lake.
    interval
        Length of a bar.
    """
    bars = candles.group_by("symbol", day=pl.col("timestamp").dt.date()).len()
    kept = funding.filter(settlement_day(pl.col("timestamp")).is_between(bars["day"].min(), bars["day"].max()))
    days = funding_coverage(candles, kept, interval).join(bars, on=["symbol", "day"])
    shares = days.group_by("symbol").agg(known=(pl.col("funding") * pl.col("len")).sum() / pl.col("len").sum())
    return dict(shares.sort("symbol").iter_rows())
