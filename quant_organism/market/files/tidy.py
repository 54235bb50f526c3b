"""Tidy Parquet: one file per symbol, named after it, or one file with a `symbol` column.

``BTC.parquet`` and ``BTC-5m.parquet`` hold candles (``timestamp``, the bar's open, ``open high low close volume``),
``BTC.funding.parquet`` holds funding (``timestamp``, ``funding_rate``). The symbol stands in the name as it is; before
an underscore and an interval, as in ``ADAUSDT_1h.parquet``, it stands as a pair.
"""

from pathlib import Path
from typing import Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.files.columns import typed_columns
from quant_organism.market.files.reading import read_column_names, read_columns
from quant_organism.market.files.table import (
    CANDLE_VALUES,
    FUNDING_VALUES,
    Claim,
    DataFile,
    FileTable,
    interval_named,
    symbol_of_pair,
)
from quant_organism.market.files.times import read_times

FORMAT: Final = "tidy Parquet"


def claim(path: Path) -> Claim:
    """Claim a Parquet file with these columns."""
    if path.suffix != ".parquet":
        return None
    columns = read_column_names(path)
    name = path.name.removesuffix(".parquet")
    if not {"timestamp", "funding_rate"} <= set(columns) and not {"timestamp", *CANDLE_VALUES} <= set(columns):
        return None
    if name.endswith(".funding") or ("funding_rate" in columns and "close" not in columns):
        symbol = None if "symbol" in columns else name.removesuffix(".funding")
        return DataFile(path, FORMAT, "funding", _read, symbol=symbol)
    base, mark, tail = name.replace("_", "-").rpartition("-")
    interval = interval_named(tail) if base else None
    base, mark = name[: len(base)], name[len(base) : len(base) + len(mark)]
    symbol = name if interval is None else symbol_of_pair(base) if mark == "_" else base
    return DataFile(path, FORMAT, "candles", _read, symbol=None if "symbol" in columns else symbol, interval=interval)


def _read(file: DataFile) -> FileTable:
    content = read_columns(file.path)
    times = content["timestamp"]
    counted: tuple[str, ...] = ()
    if times.dtype.is_numeric() or times.dtype == pl.String:
        read = read_times(times, None, name=file.path.name, exact=True)
        content, counted = content.with_columns(read.values.alias("timestamp")), read.notes
    values = FUNDING_VALUES if file.kind == "funding" else CANDLE_VALUES
    frame, notes = typed_columns(content, time="timestamp", values={name: name for name in values}, path=file.path)
    notes = (*counted, *notes)
    if file.symbol is None:
        symbols = content["symbol"]
        if symbols.dtype != pl.String or symbols.null_count():
            raise InputError(
                "column symbol is not text throughout", where=str(file.path), remedy="give every row its symbol"
            )
        frame = frame.with_columns(symbols)
    else:
        frame = frame.with_columns(symbol=pl.lit(file.symbol))
    extra = [name for name in content.columns if name not in {"timestamp", "symbol", *values}]
    if extra:
        notes = (*notes, f"{file.path.name}: columns {', '.join(extra)} are not used.")
    return FileTable(frame, "row", notes)
