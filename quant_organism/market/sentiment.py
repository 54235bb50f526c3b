"""The Fear & Greed index: read from a file, and put on the grid of bars as it was known at each close.

The index is one number for the whole market, 0 (fear) to 100 (greed), published once a day. A value is known from the
moment of its publication on, and no longer than two days: a source that has fallen silent says nothing.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import polars as pl
from numpy.typing import ArrayLike, NDArray

from quant_organism.errors import InputError
from quant_organism.market.schema import MS_PER_HOUR, TIMESTAMP, Interval, format_ms
from quant_organism.market.tables import SentimentTable

FEAR, GREED = 25.0, 75.0
"""At most the first is fear, at least the second is greed."""

MAX_AGE_HOURS: Final = 48
_MAX_BYTES: Final = 20_000_000
_TIMES: Final = ("timestamp", "date", "time")
_VALUES: Final = ("fear_greed", "value", "fng_value")


def align_sentiment(sentiment: pl.DataFrame, times: NDArray[np.int64], interval: Interval) -> NDArray[np.float64]:
    """Put published values on a grid of bars.

    Parameters
    ----------
    sentiment
        By `SentimentTable`; may begin before the first bar.
    times
        (T,) bar opens in UTC milliseconds.
    interval
        Length of a bar.

    Returns
    -------
    (T,) the latest value published by each bar's close; NaN where none is younger than two days.
    """
    rows = sentiment.sort("timestamp")
    published, values = rows["timestamp"].dt.epoch("ms").to_numpy(), rows["fear_greed"].to_numpy()
    closes = times + interval.milliseconds
    latest = np.searchsorted(published, closes, side="right") - 1
    index = np.full(times.size, np.nan)
    known = latest >= 0
    known[known] = closes[known] - published[latest[known]] <= MAX_AGE_HOURS * MS_PER_HOUR
    index[known] = values[latest[known]]
    return index


def beyond(fear_greed: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far an index is beyond greed and beyond fear, both in [0, 1] and of its shape; 0 where unknown."""
    index = np.asarray(fear_greed, dtype=np.float64)
    index = np.where(np.isnan(index), 50.0, index)
    return np.maximum(0.0, index - GREED) / (100.0 - GREED), np.maximum(0.0, FEAR - index) / FEAR


def read_sentiment(path: Path) -> pl.DataFrame:
    """Read an index from a file.

    Parameters
    ----------
    path
        JSON as alternative.me delivers it (`data` with `value` and `timestamp` in seconds), or CSV or Parquet with a
        column of moments (timestamp, date or time: seconds, milliseconds or text) and one of values (value or
        fear_greed). A date without a time is its midnight, UTC.

    Returns
    -------
    DataFrame by `SentimentTable`, sorted.

    Raises
    ------
    InputError
        No such file, another format, a value outside 0 to 100, or two values at one moment.
    """
    table = _table(path)
    moment = next((name for name in _TIMES if name in table.columns), None)
    value = next((name for name in _VALUES if name in table.columns), None)
    if moment is None or value is None:
        raise InputError(
            f"the columns are {', '.join(table.columns)}",
            where=str(path),
            remedy=f"name the moments one of {', '.join(_TIMES)} and the values one of {', '.join(_VALUES)}",
        )
    frame = pl.DataFrame(
        {"timestamp": _moments(table[moment], path), "fear_greed": table[value].cast(pl.Float64, strict=False)},
        schema=SentimentTable.schema,
    ).sort("timestamp")
    _refuse(frame, pl.col("timestamp").is_null(), "a moment that cannot be read", path)
    outside = pl.col("fear_greed").is_null() | ~pl.col("fear_greed").is_between(0, 100)
    _refuse(frame, outside, "a value outside 0 to 100", path)
    _refuse(frame, pl.col("timestamp").is_duplicated(), "two values at one moment", path)
    return frame


def _table(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise InputError(f"there is no file {path}", where="sentiment", remedy="correct the path of the index")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError("too large for a daily index", where=str(path), remedy=f"at most {_MAX_BYTES:,} bytes")
    try:
        match path.suffix:
            case ".json":
                return _of_json(orjson.loads(path.read_bytes()))
            case ".csv":
                return pl.read_csv(path)
            case ".parquet":
                return pl.read_parquet(path, glob=False, hive_partitioning=False)
    except (orjson.JSONDecodeError, pl.exceptions.PolarsError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), remedy="correct the file") from error
    raise InputError(f"a file of {path.suffix or 'no'} type", where=str(path), remedy="use .json, .csv or .parquet")


def _of_json(document: Any) -> pl.DataFrame:
    rows = document["data"] if isinstance(document, dict) and "data" in document else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("expected a list of objects, or one under `data`")
    return pl.DataFrame(
        {name: [str(row[name]) for row in rows] for name in (*_TIMES, *_VALUES) if rows and name in rows[0]}
    )


def _moments(column: pl.Series, path: Path) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        aware = column if column.dtype.time_zone else column.dt.replace_time_zone("UTC")
        return aware.dt.convert_time_zone("UTC").cast(TIMESTAMP)
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    numbers = column.cast(pl.Int64, strict=False)
    if numbers.null_count() == 0:
        in_seconds = bool((numbers < 10**11).all())
        return (numbers * (1000 if in_seconds else 1)).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    return pl.Series([_moment(str(text), path) for text in column], dtype=TIMESTAMP)


def _moment(text: str, path: Path) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no moment", where=str(path), remedy="write 2024-01-31 or seconds") from error
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _refuse(frame: pl.DataFrame, broken: pl.Expr, what: str, path: Path) -> None:
    rows = frame.filter(broken)
    if rows.height:
        stamp = rows["timestamp"].dt.epoch("ms")[0]
        at = "without a moment" if stamp is None else f"at {format_ms(stamp)}"
        raise InputError(f"{what}: {rows['fear_greed'][0]} {at}", where=str(path), remedy="correct the file")
