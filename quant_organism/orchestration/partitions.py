"""Partitions: one per UTC day of the market's own span, all symbols inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import dagster as dg

from quant_organism.errors import InputError
from quant_organism.market import LINE_DAYS, CandleSource, Interval, Line, choose_symbols
from quant_organism.settings import MarketSettings

FIRST_DAY: Final = date(2015, 1, 1)

VENUES_BEGAN: Final = date(2023, 1, 1)
"""No venue that is asked for candles has any from before."""

DAILY: Final = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), timezone="UTC", end_offset=0)
"""What assets are declared with, until `on_days` gives them those of a market. A day is there once it has ended."""


def lookback(days: int) -> dg.TimeWindowPartitionMapping:
    """Map a day to itself and the days before it, `days` in all, that a panel is made of."""
    return dg.TimeWindowPartitionMapping(start_offset=-(days - 1), allow_nonexistent_upstream_partitions=True)


def market_days(first: date, last: date | None) -> dg.DailyPartitionsDefinition:
    """Return the days of a market's own span, both ends included.

    Parameters
    ----------
    first
        First day with data.
    last
        Last complete day; None where a new one is complete every night.
    """
    end = None if last is None else (last + timedelta(days=1)).isoformat()
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_date=end, timezone="UTC")


def on_days(days: dg.PartitionsDefinition[str], assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return assets whose partitions are these days and no others."""
    moved = dg.map_asset_specs(lambda spec: spec.replace_attributes(partitions_def=days), assets)
    return [asset for asset in moved if isinstance(asset, dg.AssetsDefinition)]


def partition_key(days: dg.DailyPartitionsDefinition, day: date) -> str:
    """Return the key of a day's partition.

    Raises
    ------
    InputError
        The day is not among the days: it is not over yet, or lies outside the market's span.
    """
    first, last = (
        day.isoformat() if key is None else key
        for key in (days.get_first_partition_key(), days.get_last_partition_key())
    )
    if not first <= day.isoformat() <= last:
        raise InputError(
            f"there is no partition {day}", where="date", remedy=f"choose a complete UTC day from {first} to {last}"
        )
    return day.isoformat()


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the tags of a run that materialises the days `first` to `last` at once."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }


@dataclass(frozen=True)
class Days:
    """The day of a cycle and the first day of history that it looks at."""

    first: date
    last: date


def days_of(
    source: CandleSource, interval: Interval, market: MarketSettings, day: date | None, line: Line = "long"
) -> Days:
    """Return the days of a cycle of a line: `day`, or the newest complete one, and the lookback before it.

    Raises
    ------
    InputError
        The market has no data on that day, or not enough before it, or a symbol is unknown; or the lookback is longer
        than what the line sees.
    """
    most = LINE_DAYS[line]
    known, wanted = all_days_of(source, interval, market), market.lookback_days
    first, last = known.first, known.last
    day = last if day is None else day
    if not first <= day <= last:
        raise InputError(
            f"there are no complete data of {day}",
            where=f"market {source.market}",
            remedy=f"choose a --date from {first} to {last}",
        )
    if wanted is not None and wanted > most:
        raise InputError(
            f"a lookback of {wanted} days, but the {line} line sees {most}",
            where=f"market {source.market}",
            remedy=f"use --lookback-days {most} or less",
        )
    begin = day - timedelta(days=(wanted or most) - 1)
    if wanted is not None and begin < first:
        raise InputError(
            f"a lookback of {wanted} days before {day} begins on {begin}, but the data begin on {first}",
            where=f"market {source.market}",
            remedy=f"use --lookback-days {(day - first).days + 1} or less, or a later --date",
        )
    return Days(max(first, begin), day)


def all_days_of(source: CandleSource, interval: Interval, market: MarketSettings) -> Days:
    """Return the first and last complete day of a market; an `InputError` where it lacks a symbol."""
    choose_symbols(market.symbols, source.symbols(), where=f"market {source.market}")
    return Days(*source.span(interval))
