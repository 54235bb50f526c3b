"""Binance Vision's archive: ``<PAIR>-<interval>-<YYYY-MM[-DD]>.csv`` or ``.zip``, and ``<PAIR>-fundingRate-<YYYY-MM>``.

Klines have twelve columns, with a header line (futures since 2022) or without. Spot files count microseconds from
2025 on, all others milliseconds (https://github.com/binance/binance-public-data).
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.files.columns import pick_fields, require_columns, split_lines, text_to_numbers
from quant_organism.market.files.reading import read_text
from quant_organism.market.files.table import (
    CANDLE_VALUES,
    Claim,
    DataFile,
    FileTable,
    LeftAside,
    interval_named,
    left_aside_interval,
    symbol_of_pair,
)

FORMAT: Final = "Binance Vision"

_NAME: Final = re.compile(
    r"(?P<pair>[A-Za-z0-9]+(?:_[A-Z0-9]+)?)-(?P<what>\d+[smhdw]o?|fundingRate)(?P<date>-\d{4}-\d{2}(?:-\d{2})?)?"
    r"\.(?:csv|zip)"
)
_KLINE_COLUMNS: Final = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
_FUNDING_COLUMNS: Final = ("calc_time", "funding_interval_hours", "last_funding_rate")
# The archive trades against dollars' tokens only, but for the coin-margined perpetuals (BTCUSD_PERP).
_QUOTES: Final = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP")
_MICROSECONDS_FROM: Final = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)


def claim(path: Path) -> Claim:
    """Claim a file that is named in the archive's way."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    pair = match["pair"]
    perpetual = pair.removesuffix("_PERP")
    symbol = symbol_of_pair(perpetual, run_together=_QUOTES if perpetual == pair else ("USD",))
    dated = match["date"] is not None
    if match["what"] == "fundingRate":
        return DataFile(path, FORMAT, "funding", _read_funding, symbol=symbol, dated=dated)
    interval = interval_named(match["what"])
    if interval is None:
        return LeftAside(left_aside_interval(match["what"]))
    return DataFile(path, FORMAT, "candles", _read_klines, symbol=symbol, interval=interval, dated=dated)


def _read_klines(file: DataFile) -> FileTable:
    frame = _read(file, _KLINE_COLUMNS, time="open_time", values={name: name for name in CANDLE_VALUES})
    micro = pl.col("time") >= _MICROSECONDS_FROM
    count = frame.select(micro.sum()).item()
    notes = (f"{file.path.name}: {count} timestamps in microseconds were read as such.",) if count else ()
    exact = pl.col("time") % 1000 == 0
    frame = frame.with_columns(
        time=pl.when(micro & exact).then(pl.col("time") // 1000).otherwise(pl.col("time")),
    )
    return FileTable(frame, "line", notes)


def _read_funding(file: DataFile) -> FileTable:
    return FileTable(
        _read(file, _FUNDING_COLUMNS, time="calc_time", values={"funding_rate": "last_funding_rate"}), "line"
    )


def _read(file: DataFile, columns: tuple[str, ...], *, time: str, values: dict[str, str]) -> pl.DataFrame:
    lines = split_lines(read_text(file.path))
    first = lines["fields"][0].to_list() if lines.height else []
    if first and not first[0].lstrip("-").isdigit():
        header = first
        require_columns(header, [time, *values.values()], f"{file.path}, line {lines['row'][0]}")
        lines = lines.slice(1)
    else:
        header = list(columns)
    if lines.is_empty():
        raise InputError(
            "the file has no rows", where=str(file.path), remedy="remove it, or download it again from the archive"
        )
    positions = {"time": header.index(time)} | {name: header.index(source) for name, source in values.items()}
    frame = pick_fields(lines, positions, len(header))
    frame = text_to_numbers(frame, ["time"], pl.Int64())
    return text_to_numbers(frame, list(values), pl.Float64()).with_columns(symbol=pl.lit(file.symbol))
