"""Timestamps as makers of files write them: counts of any unit since 1970, dates and times with a zone or without."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from quant_organism.errors import InputError

UNITS: Final = ("s", "ms", "us", "ns")

_CALLED: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_FROM, _TO = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2009, 2100))
_NUMBER: Final = r"^-?\d+(\.\d*)?$"
_DAY_NUMBER: Final = r"^(20\d{2})(\d{2})(\d{2})$"
_YEAR_FIRST: Final = r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(.*)$"
_YEAR_LAST: Final = r"^(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4})(.*)$"
_MONTH_NAMED: Final = r"^([A-Za-z]{3})[a-z]* (\d{1,2}),? (\d{4})(.*)$"
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK: Final = r"^(?:(?:,? |T)(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?(?:[.,](\d{1,9}))?(?:[ -]?([AaPp][Mm]))?)?"
_ZONE: Final = r"(?: ?(Z|UTC|GMT))?(?: ?([+-])(\d{2}):?(\d{2})?)?$"


@dataclass(frozen=True)
class Times:
    """Moments in milliseconds since 1970 UTC, null where unreadable, and what was put right, in sentences."""

    values: pl.Series
    notes: tuple[str, ...]


def check_time_unit(unit: str | None) -> str | None:
    """Return a unit that times can be read in: one of `UNITS`, or a format with percent signs.

    Raises
    ------
    InputError
        It is neither.
    """
    if unit is None or unit in UNITS or "%" in unit:
        return unit
    raise InputError(
        f"{unit!r} is no unit of time",
        where="option --time-unit",
        remedy=f"use one of {', '.join(UNITS)}, or how dates are written, such as '%d/%m/%Y %H:%M'",
    )


def read_times(column: pl.Series, unit: str | None, *, name: str, exact: bool) -> Times:
    """Read a column of timestamps.

    Parameters
    ----------
    column
        Date-times, days, numbers or text.
    unit
        Of `UNITS`, or a format with percent signs; None: it is found from the column.
    name
        Name of the file, for notes and messages.
    exact
        Whether a moment between two milliseconds is unreadable (bars); otherwise it is cut off (trades).

    Raises
    ------
    InputError
        Day and month cannot be told apart.
    """
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        per_ms = {"ms": 1, "us": 1_000, "ns": 1_000_000}[kind.time_unit]
        notes = () if kind.time_zone else (f"{name}: {column.name} names no time zone and was read as UTC.",)
        return Times(_whole(column.to_physical(), per_ms, exact=exact), notes)
    if kind == pl.Date:
        return Times(column.cast(pl.Datetime("ms")).dt.epoch("ms"), ())
    text = column.cast(pl.String, strict=False) if kind != pl.String else column.str.strip_chars()
    if unit is not None and unit not in UNITS:
        return Times(text.str.to_datetime(unit, strict=False, time_unit="ms").dt.epoch("ms"), ())
    if unit is None and _mostly(text, _DAY_NUMBER):
        return _dates(text.str.replace(_DAY_NUMBER, "${1}-${2}-${3}"), name)
    if unit is not None or kind.is_numeric() or _mostly(text, _NUMBER):
        return _counts(column, text, unit, name, exact=exact)
    return _dates(text, name)


def joined_times(days: pl.Series, clocks: pl.Series) -> pl.Series:
    """Return days and times of the day, written in two columns, as one text each."""
    clock = clocks.cast(pl.String).str.strip_chars()
    clock = pl.select(pl.when(clock.str.contains(r"^\d{1,5}$")).then(clock.str.zfill(6)).otherwise(clock)).to_series()
    day = days.cast(pl.String).str.strip_chars().str.replace(_DAY_NUMBER, "${1}-${2}-${3}")
    return (day + " " + clock).alias(days.name)


def holds_clocks(column: pl.Series) -> bool:
    """Return whether a column holds times of the day alone, such as 13:00 or 130000."""
    text = column.cast(pl.String, strict=False).str.strip_chars()
    return _mostly(text, r"^\d{1,2}:\d{2}(:\d{2})?$") or _mostly(text, r"^([01]?\d|2[0-3])?\d{0,2}\d{2}$")


def _mostly(text: pl.Series, pattern: str) -> bool:
    present = text.drop_nulls()
    return present.len() > 0 and int(present.str.contains(pattern).sum()) * 2 > present.len()


def _whole(counts: pl.Series, per_ms: int, *, exact: bool) -> pl.Series:
    moments = pl.col("n") // per_ms
    kept = pl.when(pl.col("n") % per_ms == 0).then(moments) if exact else moments
    return counts.cast(pl.Int64).to_frame("n").select(kept.alias("time")).to_series()


def _counts(column: pl.Series, text: pl.Series, unit: str | None, name: str, *, exact: bool) -> Times:
    source = column if column.dtype.is_numeric() else text
    whole = source.cast(pl.Int64, strict=False)
    numbers = source.cast(pl.Float64, strict=False)
    if unit is None:
        middle = numbers.drop_nulls().abs().median()
        size = float(middle) if isinstance(middle, int | float) else 0.0
        unit = next((unit for unit in UNITS if _FROM * _PER_SECOND[unit] <= size < _TO * _PER_SECOND[unit]), "ms")
    notes = () if unit == "ms" else (f"{name}: timestamps count {_CALLED[unit]} and were read as such.",)
    if unit in ("us", "ns"):
        return Times(_whole(whole, _PER_SECOND[unit] // 1000, exact=exact), notes)
    scale = 1000 if unit == "s" else 1
    parts = pl.DataFrame({"whole": whole, "number": numbers})
    fine = pl.col("number").is_between(-9e15 / scale, 9e15 / scale)
    rounded = pl.when(fine).then((pl.col("number") * scale).round()).cast(pl.Int64)
    fits = pl.col("whole").is_between(-(2**62) // scale, 2**62 // scale) & (pl.col("whole") == pl.col("number"))
    moments = pl.when(fits).then(pl.col("whole") * scale).otherwise(rounded)
    return Times(parts.select(moments.alias("time")).to_series(), notes)


def _dates(text: pl.Series, name: str) -> Times:
    frame = text.to_frame("text").with_columns(
        first=pl.col("text").str.extract(_YEAR_LAST, 1).cast(pl.Int64),
        mark=pl.col("text").str.extract(_YEAR_LAST, 2),
        second=pl.col("text").str.extract(_YEAR_LAST, 3).cast(pl.Int64),
        year=pl.col("text").str.extract(_YEAR_LAST, 4),
        month=pl.col("text").str.extract(_MONTH_NAMED, 1).str.to_lowercase(),
    )
    notes: list[str] = []
    day_first = _day_first(frame, name, notes)
    day, month = ("first", "second") if day_first else ("second", "first")
    month_of = {called: f"{at:02d}" for at, called in enumerate(_MONTHS, start=1)}
    named = pl.col("month").replace_strict(month_of, default=None, return_dtype=pl.String())
    parts = frame.select(
        year=_part(_YEAR_FIRST, 1, "year", pl.col("text").str.extract(_MONTH_NAMED, 3)),
        month=_part(_YEAR_FIRST, 2, month, named),
        day=_part(_YEAR_FIRST, 3, day, pl.col("text").str.extract(_MONTH_NAMED, 2)),
        rest=_rest(),
    ).with_columns(
        hour=pl.col("rest").str.extract(_CLOCK, 1).cast(pl.Int64),
        minute=pl.col("rest").str.extract(_CLOCK, 2),
        second=pl.col("rest").str.extract(_CLOCK, 3),
        fraction=pl.col("rest").str.extract(_CLOCK, 4),
        half=pl.col("rest").str.extract(_CLOCK, 5).str.to_uppercase(),
        zone=pl.col("rest").str.replace(_CLOCK, ""),
    )
    hour = (
        pl.when(pl.col("half").is_null())
        .then(pl.col("hour"))
        .otherwise(pl.col("hour") % 12 + pl.when(pl.col("half") == "PM").then(12).otherwise(0))
    )
    written = pl.format(
        "{}-{}-{} {}:{}:{}.{}",
        pl.col("year"),
        pl.col("month").str.zfill(2),
        pl.col("day").str.zfill(2),
        hour.fill_null(0).cast(pl.String).str.zfill(2),
        pl.col("minute").fill_null("00"),
        pl.col("second").fill_null("00"),
        pl.col("fraction").fill_null("0").str.pad_end(3, "0").str.head(3),
    )
    sign = pl.when(pl.col("zone").str.extract(_ZONE, 2) == "-").then(-1).otherwise(1)
    ahead = 60 * pl.col("zone").str.extract(_ZONE, 3).cast(pl.Int64).fill_null(0)
    ahead += pl.col("zone").str.extract(_ZONE, 4).cast(pl.Int64).fill_null(0)
    local = written.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="ms").dt.epoch("ms")
    readable = pl.col("zone").str.contains(_ZONE)
    moments = parts.select(time=pl.when(readable).then(local - sign * ahead * 60_000), zone="zone", hour="hour")
    without = moments.filter(pl.col("time").is_not_null() & (pl.col("zone") == "") & pl.col("hour").is_not_null())
    if without.height:
        notes.append(f"{name}: {text.name} names no time zone and was read as UTC.")
    return Times(moments["time"], tuple(notes))


def _part(pattern: str, at: int, column: str, named: pl.Expr) -> pl.Expr:
    return pl.coalesce(pl.col("text").str.extract(pattern, at), pl.col(column).cast(pl.String), named)


def _rest() -> pl.Expr:
    text = pl.col("text").str
    return pl.coalesce(text.extract(_YEAR_FIRST, 4), text.extract(_YEAR_LAST, 5), text.extract(_MONTH_NAMED, 4))


def _day_first(frame: pl.DataFrame, name: str, notes: list[str]) -> bool:
    """Return whether dates that end with the year begin with the day; points say so, numbers above 12 may."""
    written = frame.filter(pl.col("mark").is_not_null())
    if written.is_empty() or (written["mark"] == ".").all():
        return True
    days_first, months_first = bool((written["first"] > 12).any()), bool((written["second"] > 12).any())
    if days_first == months_first:
        example = written["text"][0]
        raise InputError(
            f"day and month cannot be told apart: {example!r}",
            where=name,
            remedy="say how dates are written: --time-unit '%d/%m/%Y' or --time-unit '%m/%d/%Y'",
        )
    order = "day" if days_first else "month"
    notes.append(f"{name}: dates were read with the {order} first, since no other reading fits all of them.")
    return days_first


def same_moments(columns: Sequence[pl.Series]) -> bool:
    """Return whether columns of moments say the same wherever two of them can be read."""
    first = columns[0]
    return all(bool(((first == other) | first.is_null() | other.is_null()).all()) for other in columns[1:])


def newest_first(times: pl.Series) -> bool:
    """Return whether moments begin with the latest one."""
    present = times.drop_nulls()
    return present.len() > 1 and int(present[0]) > int(present[-1])


INTERVAL_WORD: Final = re.compile(
    r"(?P<n>\d+)(?P<unit>m|min|mins|minute|minutes|h|hr|hour|hours|d|day|days|w|week|weeks|mo|month|months)", re.I
)
"""A bar's length as names of files write it: ``1h``, ``60min``, ``1day``."""
