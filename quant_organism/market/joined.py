"""Days joined: market data of a span of days that are over in one file, to the bit what their own files held.

A price has few digits, and is near the one before it: what is stored of it is a whole number of its smallest steps, as
the difference from the last one. A number that has no such form to the bit stands beside it as it is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import polars as pl

from quant_organism.market.table import BY_INTERVAL, Table
from quant_organism.market.tables import CandleTable, FundingTable, SentimentTable
from quant_organism.resilience import StoragePath

if TYPE_CHECKING:
    import numpy.typing as npt

JOINED_TABLES: Final[Mapping[str, type[Table]]] = {
    table.dataset: table for table in (CandleTable, FundingTable, SentimentTable)
}
"""Tables whose days may be joined, by dataset: those that imports write and whose rows lie by time."""

DATE: Final = "date"
"""Column of a joined file that says which day a row lies under."""

_PART: Final = "part.parquet"
_SPAN: Final = re.compile(r"dates=(\d{4}-\d{2}-\d{2})_(\d{4}-\d{2}-\d{2})")
_PRICES: Final = (CandleTable.open, CandleTable.high, CandleTable.low, CandleTable.close)
_SCALE: Final = "/scale"
_AS_IT_IS: Final = "/float"
_MOST_DIGITS: Final = 12
_WHOLE: Final = 2.0**53


def joined_file(folder: Path, first: date, last: date) -> Path:
    """Return the file of the days `first` to `last`, there or not; `folder` is where the days of a dataset lie."""
    return folder / f"dates={first.isoformat()}_{last.isoformat()}" / _PART


def joined_in(folder: StoragePath) -> dict[StoragePath, tuple[date, date]]:
    """Return the joined files of a folder with their first and last days, in order; each holds all days between."""
    found = {path: _SPAN.fullmatch(path.parent.name) for path in sorted(folder.glob(f"dates=*/{_PART}"))}
    return {
        path: (date.fromisoformat(match[1]), date.fromisoformat(match[2])) for path, match in found.items() if match
    }


def days_of(first: date, last: date) -> list[date]:
    """Return the days from `first` to `last`, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def join_days(table: type[Table], days: Mapping[date, pl.DataFrame], metadata: Mapping[str, str]) -> bytes:
    """Return the Parquet bytes of a file that holds many days; they depend on their content alone.

    Parameters
    ----------
    table
        One of `JOINED_TABLES`.
    days
        The rows of each day.
    metadata
        What is written beside them.
    """
    import pyarrow as pa
    from pyarrow import parquet

    rows = pl.concat(frame.with_columns(pl.lit(day).alias(DATE)) for day, frame in days.items()).sort(_lie_by(table))
    groups = rows.partition_by(_group(table), maintain_order=True) if _group(table) and rows.height else [rows]
    packed = pl.concat(_pack(table, group) for group in groups)
    numbers = [name for name in packed.columns if packed[name].dtype == pl.Int64 or name.endswith(_AS_IT_IS)]
    steady = [name for name in packed.columns if packed[name].dtype in (pl.Date, pl.Datetime("ms", "UTC"))]
    buffer = io.BytesIO()
    arrow = packed.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    parquet.write_table(
        arrow.replace_schema_metadata(dict(metadata)).cast(
            pa.schema([_plain(pa, field) for field in arrow.schema], metadata=dict(metadata))
        ),
        buffer,
        compression="brotli",
        compression_level=11,
        use_dictionary=[name for name in packed.columns if name not in (*numbers, *steady)],
        column_encoding=dict.fromkeys(numbers, "BYTE_STREAM_SPLIT") | dict.fromkeys(steady, "DELTA_BINARY_PACKED"),
        write_statistics=[*table.key, DATE],
        store_schema=False,
    )
    return buffer.getvalue()


def split_days(table: type[Table], source: Path | bytes) -> pl.DataFrame:
    """Return the rows of a joined file in the order of the days, each in its own order, with the column `date`.

    Raises
    ------
    polars.exceptions.PolarsError, OSError
        The file is damaged, or not there.
    """
    packed = pl.read_parquet(source, glob=False, hive_partitioning=False)
    prices = _prices(table)
    whole = {name: _signed(pl.col(name)) for name in table.schema if name + _AS_IT_IS in packed.columns}
    if prices:
        frame = packed.with_columns(whole[name].alias(name) for name in prices)
        over = _group(table)
        close = pl.col(CandleTable.close).cum_sum().over(over)
        opened = close - pl.col(CandleTable.close) + pl.col(CandleTable.open)
        whole |= {
            CandleTable.close: close,
            CandleTable.open: opened,
            CandleTable.high: pl.max_horizontal(opened, close) + pl.col(CandleTable.high),
            CandleTable.low: pl.min_horizontal(opened, close) - pl.col(CandleTable.low),
        }
    else:
        frame = packed
    scale = {name: CandleTable.close if name in prices else name for name in whole}
    return (
        frame.with_columns(
            pl.coalesce(pl.col(name + _AS_IT_IS), number.cast(pl.Float64) / pl.col(scale[name] + _SCALE)).alias(name)
            for name, number in whole.items()
        )
        .select(*[name for name in table.schema if name in packed.columns], DATE)
        .sort(DATE, *reversed(table.key))
    )


def select_rows(table: type[Table], rows: str) -> str:
    """Return the SQL that does in DuckDB what `split_days` does, without its order.

    Parameters
    ----------
    table
        One of `JOINED_TABLES`.
    rows
        What reads the joined files, with the levels of their folders as columns.
    """
    prices, levels = _prices(table), [level for level in table.partitions if level != DATE]
    others = [name for name, kind in table.schema.items() if kind != pl.Float64]
    whole = {name: _sql_signed(name) for name, kind in table.schema.items() if kind == pl.Float64}
    scales = {name: CandleTable.close if name in prices else name for name in whole}
    carried = [f'"{name}"' for name in (*others, *levels, DATE)]
    carried += [f'"{name}{_AS_IT_IS}"' for name in whole] + [f'"{name}{_SCALE}"' for name in {*scales.values()}]
    if prices:
        opened, high, low, moved = (_sql_signed(name) for name in _PRICES)
        by = ", ".join(["dates", *levels, f'"{_group(table)}"'])
        summed = f'cast(sum({moved}) over (partition by {by} order by "{CandleTable.timestamp}") as bigint)'
        kept = [f'{sql} as "{name}"' for name, sql in whole.items() if name not in prices]
        steps = f"{summed} as closes, {moved} as moved, {opened} as gap, {high} as above, {low} as below"
        rows = f"(select {', '.join(carried + kept)}, {steps} from {rows})"
        rows = f"(select *, closes - moved + gap as opens from {rows})"
        whole = {name: f'"{name}"' for name in whole} | {
            CandleTable.close: "closes",
            CandleTable.open: "opens",
            CandleTable.high: "greatest(opens, closes) + above",
            CandleTable.low: "least(opens, closes) - below",
        }
    values = [
        f'coalesce("{name}{_AS_IT_IS}", ({whole[name]}) / "{scales[name]}{_SCALE}") as "{name}"'
        if name in whole
        else f'"{name}"'
        for name in table.schema
    ]
    shown = [*values, *(f'"{level}"' for level in (*levels, DATE))]
    return f"select {', '.join(shown)} from {rows}"


def _pack(table: type[Table], rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of one symbol in the form of a joined file."""
    prices = _prices(table)
    packed: dict[str, pl.Series] = {name: rows[name] for name in rows.columns if rows[name].dtype != pl.Float64}
    if prices:
        values = rows.select(prices).to_numpy()
        scale, whole, single = _whole_numbers(values)
        exact: npt.NDArray[np.bool_] = np.all(single, axis=1)
        opened, high, low, close = np.where(exact[:, None], whole, 0).T
        # A row without such a form carries the last close on, so that the next one starts from there.
        last = np.maximum.accumulate(np.where(exact, np.arange(len(close)), -1)) if len(close) else exact
        close = np.where(last >= 0, close[last], 0)
        before = np.concatenate([np.zeros(1, np.int64), close[:-1]]) if len(close) else close
        steps = {
            CandleTable.open: opened - before,
            CandleTable.high: high - np.maximum(opened, close),
            CandleTable.low: np.minimum(opened, close) - low,
            CandleTable.close: close - before,
        }
        for name, step in steps.items():
            packed[name] = pl.Series(_unsigned(np.where(exact, step, 0)))
            packed[name + _AS_IT_IS] = _unless(rows[name], exact)
        packed[CandleTable.close + _SCALE] = pl.Series([scale]).new_from_index(0, len(rows))
    for name in (name for name in rows.columns if rows[name].dtype == pl.Float64 and name not in prices):
        scale, whole, single = _whole_numbers(rows[name].to_numpy())
        packed[name] = pl.Series(_unsigned(np.where(single, whole, 0)))
        packed[name + _AS_IT_IS] = _unless(rows[name], single)
        packed[name + _SCALE] = pl.Series([scale]).new_from_index(0, len(rows))
    return pl.DataFrame({name: packed[name] for name in sorted(packed)})


def _whole_numbers(
    values: npt.NDArray[np.float64],
) -> tuple[float, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the smallest power of ten that makes most values whole, these numbers, and which give the values back."""
    best: tuple[float, npt.NDArray[np.int64], npt.NDArray[np.bool_]] | None = None
    for digits in range(_MOST_DIGITS + 1):
        scale = 10.0**digits
        with np.errstate(over="ignore", invalid="ignore"):
            near = np.round(values * scale)
            whole = np.where(np.abs(near) < _WHOLE, near, 0.0).astype(np.int64)
        exact = (whole / scale).view(np.int64) == np.ascontiguousarray(values).view(np.int64)
        if best is None or exact.sum() > best[2].sum():
            best = scale, whole, exact
        if exact.all():
            break
    assert best is not None
    return best


def _unless(values: pl.Series, exact: npt.NDArray[np.bool_]) -> pl.Series:
    return values.to_frame("value").select(pl.when(~pl.Series(exact)).then(pl.col("value"))).to_series()


def _unsigned(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return 0, 1, 2, 3, 4 for 0, -1, 1, -2, 2, so that small numbers of either sign begin with zeros."""
    return cast("npt.NDArray[np.int64]", np.where(numbers < 0, -2 * numbers - 1, 2 * numbers))


def _signed(column: pl.Expr) -> pl.Expr:
    return pl.when(column % 2 == 0).then(column // 2).otherwise(-(column // 2) - 1)


def _sql_signed(name: str) -> str:
    return f'(case when "{name}" % 2 = 0 then "{name}" // 2 else -("{name}" // 2) - 1 end)'


def _prices(table: type[Table]) -> tuple[str, ...]:
    return _PRICES if table.partitions == BY_INTERVAL else ()


def _group(table: type[Table]) -> str:
    """Return the column whose values are told apart, each with numbers of its own; empty where there is none."""
    return table.key[0] if len(table.key) > 1 else ""


def _lie_by(table: type[Table]) -> Sequence[str]:
    return [*([_group(table)] if _group(table) else []), DATE, table.key[-1]]


def _plain(pa: object, field: object) -> object:
    """Return an Arrow field with short texts."""
    kind = pa.string() if pa.types.is_large_string(field.type) else field.type  # type: ignore[attr-defined]
    return pa.field(field.name, kind)  # type: ignore[attr-defined]
