"""Tidy Parquet: one file per symbol, named after it, or one file with a `symbol` column.

``BTC.parquet`` and ``BTC-5m.parquet`` hold candles (``timestamp``, the bar's open, ``open high low close volume``),
``BTC.funding.parquet`` holds funding (``timestamp``, ``funding_rate``). The symbol stands in the name as it is.
"""

from pathlib import Path
from typing import Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.files.columns import typed_columns
from quant_organism.market.files.reading import read_column_names, read_columns
from quant_organism.market.files.table import CANDLE_VALUES, FUNDING_VALUES, Claim, DataFile, FileTable, interval_named

FORMAT: Final = "tidy Parquet"


def claim(path: Path) -> Claim:
    """Claim any Parquet file."""
    if path.suffix != ".parquet":
        return None
    columns = read_column_names(path)
    name = path.name.removesuffix(".parquet")
    if name.endswith(".funding") or ("funding_rate" in columns and "close" not in columns):
        symbol = None if "symbol" in columns else name.removesuffix(".funding")
        return DataFile(path, FORMAT, "funding", _read, symbol=symbol)
    base, _, tail = name.rpartition("-")
    interval = interval_named(tail) if base else None
    symbol = name if interval is None else base
    return DataFile(path, FORMAT, "candles", _read, symbol=None if "symbol" in columns else symbol, interval=interval)


def _read(file: DataFile) -> FileTable:
    content = read_columns(file.path)
    values = FUNDING_VALUES if file.kind == "funding" else CANDLE_VALUES
    frame, notes = typed_columns(content, time="timestamp", values={name: name for name in values}, path=file.path)
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
