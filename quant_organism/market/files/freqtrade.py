"""freqtrade's data folder: ``<PAIR>-<interval>[-<type>]`` and ``<PAIR>-trades`` as feather, Parquet, JSON or JSON.gz.

Columns are ``date open high low close volume``; its funding files keep the rate in ``open``. Mark, index and premium
prices are not traded at and are left aside. A JSON row is ``[ms, open, high, low, close, volume]``, a trade is
``[ms, id, type, side, price, amount, cost]`` (freqtrade documentation, "Data downloading").
"""

import re
from pathlib import Path
from typing import Final

import polars as pl

from quant_organism.market.files.columns import json_columns, typed_columns
from quant_organism.market.files.reading import read_column_names, read_columns, read_json
from quant_organism.market.files.table import (
    CANDLE_VALUES,
    FUNDING_VALUES,
    TRADE_VALUES,
    Claim,
    DataFile,
    FileTable,
    LeftAside,
    interval_named,
    left_aside_interval,
    symbol_of_pair,
)

FORMAT: Final = "freqtrade"

_NAME: Final = re.compile(
    r"(?P<pair>[^-_]+(?:_[^-_]+)+)-(?:(?P<trades>trades)|(?P<interval>\d+[a-zA-Z]+)(?:-(?P<type>[A-Za-z_]+))?)"
    r"\.(?:feather|parquet|json|json\.gz)"
)
_NOT_TRADED: Final = {"mark": "mark prices", "index": "index prices", "premiumIndex": "premium index prices"}


def claim(path: Path) -> Claim:
    """Claim a file that is named in freqtrade's way."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    if path.suffix == ".parquet" and "date" not in read_column_names(path):
        return None  # a tidy file whose symbol has an underscore
    symbol = symbol_of_pair(match["pair"])
    columnar = path.suffix in (".feather", ".parquet")
    if match["trades"]:
        if columnar:
            return LeftAside("freqtrade trades are read from JSON.gz only (freqtrade convert-trade-data)")
        return DataFile(path, FORMAT, "trades", _read_trades, symbol=symbol)
    kind = match["type"] or "spot"
    if kind in _NOT_TRADED:
        return LeftAside(f"{_NOT_TRADED[kind]} are not prices that orders trade at")
    read = _read_columnar if columnar else _read_json
    if kind == "funding_rate":
        return DataFile(path, FORMAT, "funding", read, symbol=symbol)
    if kind not in ("spot", "futures"):
        return LeftAside(f"unknown candle type {kind}")
    interval = interval_named(match["interval"])
    if interval is None:
        return LeftAside(left_aside_interval(match["interval"]))
    return DataFile(path, FORMAT, "candles", read, symbol=symbol, interval=interval)


def _read_columnar(file: DataFile) -> FileTable:
    values = {"funding_rate": "open"} if file.kind == "funding" else {name: name for name in CANDLE_VALUES}
    frame, notes = typed_columns(read_columns(file.path), time="date", values=values, path=file.path)
    return FileTable(frame.with_columns(symbol=pl.lit(file.symbol)), "row", (*notes, *_funding_note(file)))


def _read_json(file: DataFile) -> FileTable:
    names = FUNDING_VALUES if file.kind == "funding" else CANDLE_VALUES
    values = {name: at for at, name in enumerate(names, start=1)}
    frame, _ = json_columns(read_json(file.path), time_at=0, values=values, width=6, path=file.path)
    return FileTable(frame.with_columns(symbol=pl.lit(file.symbol)), "row", _funding_note(file))


def _funding_note(file: DataFile) -> tuple[str, ...]:
    if file.kind != "funding":
        return ()
    return (f"{file.path.name}: funding rates are read from column open, where freqtrade keeps them.",)


def _read_trades(file: DataFile) -> FileTable:
    values = dict(zip(TRADE_VALUES, (4, 5), strict=True))
    frame, rows = json_columns(read_json(file.path), time_at=0, values=values, width=7, path=file.path)
    ids = pl.Series("trade_id", [None if row[1] is None else str(row[1]) for row in rows], dtype=pl.String())
    return FileTable(frame.with_columns(ids, symbol=pl.lit(file.symbol)), "row")
