"""Partitions: one per UTC day, all symbols inside."""

from datetime import date
from typing import Final

import dagster as dg

from quant_organism.errors import InputError

FIRST_DAY: Final = date(2015, 1, 1)

DAILY: Final = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), timezone="UTC", end_offset=0)
"""A day's partition exists from the end of that day on."""


def lookback(days: int) -> dg.TimeWindowPartitionMapping:
    """Map a day to itself and the days before it, `days` in all, that a panel is made of."""
    return dg.TimeWindowPartitionMapping(start_offset=-(days - 1), allow_nonexistent_upstream_partitions=True)


def partition_key(day: date) -> str:
    """Return the key of a day's partition.

    Raises
    ------
    InputError
        The day is not over yet, or lies before the first partition.
    """
    last = DAILY.get_last_partition_key() or FIRST_DAY.isoformat()
    if not FIRST_DAY.isoformat() <= day.isoformat() <= last:
        raise InputError(
            f"there is no partition {day}",
            where="date",
            remedy=f"choose a complete UTC day from {FIRST_DAY} to {last}",
        )
    return day.isoformat()


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the tags of a run that materialises the days `first` to `last` at once."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
