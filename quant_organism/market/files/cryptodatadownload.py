"""CryptoDataDownload's CSV: a first line with a URL (or "Created on"), a header line, then bars, newest first.

Known quirks, put right and noted: the order, seconds and milliseconds in one column, dates as ``2019-10-17 09-AM`` or
``2019-10-17 09:00:00``, Windows line ends, two volume columns (the one of the base currency is used). Where a line
has both a Unix timestamp and a readable date, the two must agree (https://www.cryptodatadownload.com).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.files.columns import pick_fields, require_columns, split_lines, text_to_numbers
from quant_organism.market.files.reading import read_head, read_text
from quant_organism.market.files.table import PRICES, Claim, DataFile, FileTable, symbol_of_pair

FORMAT: Final = "CryptoDataDownload"

_SECONDS_BELOW: Final = 100_000_000_000  # the year 5138 in seconds, 1973 in milliseconds
_DATE_FORMATS: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %I:%M %p", "%Y-%m-%d")


def claim(path: Path) -> Claim:
    """Claim a CSV whose first line is the site's, or, where a person has cut that off, the site's names of columns."""
    if path.suffix != ".csv":
        return None
    first = read_head(path).split(b"\n", 1)[0].lower()
    named = _names(first.decode("utf-8", "replace").split(","))
    ours = _is_of_the_site(first) or {"unix", "date", "symbol", "open"} <= set(named)
    return DataFile(path, FORMAT, "candles", _read) if ours else None


def _is_of_the_site(line: bytes) -> bool:
    return b"cryptodatadownload" in line


def _names(cells: list[str]) -> list[str]:
    return [cell.strip('\ufeff" \r').lower().removesuffix(" timestamp") for cell in cells]


def _read(file: DataFile) -> FileTable:
    lines = split_lines(read_text(file.path))
    if lines.height and _is_of_the_site(" ".join(lines["fields"][0]).lower().encode()):
        lines = lines.slice(1)
    if lines.height < 2:
        raise InputError("the file has no rows", where=str(file.path), remedy="remove it, or download it again")
    where = f"{file.path}, line {lines['row'][0]}"
    header = _names(lines["fields"][0].to_list())
    stamps = [name for name in ("unix", "date") if name in header] or ["unix"]
    require_columns(header, [*stamps, "symbol", *PRICES], where)
    lines = lines.slice(1)
    first_pair = lines["fields"][0].to_list()[header.index("symbol") :][:1]
    volume = _base_volume(header, first_pair[0] if first_pair else "", where)
    columns = [*stamps, "symbol", *PRICES, volume]
    frame = pick_fields(lines, {name: header.index(name) for name in columns}, len(header)).rename({volume: "volume"})
    frame, notes = _read_times(frame, stamps, file.path.name)
    frame = text_to_numbers(frame, [*PRICES, "volume"], pl.Float64())
    symbols = {pair: _symbol(pair, volume) for pair in frame["symbol"].drop_nulls().unique()}
    frame = frame.with_columns(pl.col("symbol").replace_strict(symbols, return_dtype=pl.String()))
    times = frame["time"].drop_nulls()
    if times.len() and times[0] > times[-1]:
        frame = frame.reverse()
        notes = (*notes, f"{file.path.name}: the newest bar stood first; the order was turned round.")
    return FileTable(frame, "line", notes)


def _base_volume(header: list[str], pair: str, where: str) -> str:
    """Return the volume column in the base currency: the only one, or the one named after the pair's beginning."""
    found = [name for name in header if name.startswith("volume")]
    if len(found) > 1:
        found = [name for name in found if pair.lower().startswith(name.removeprefix("volume").strip())]
    if len(found) != 1:
        raise InputError(
            f"no single volume column in the base currency of {pair!r}; found {', '.join(header)}",
            where=where,
            remedy="name one column Volume",
        )
    return found[0]


def _symbol(pair: str, volume: str) -> str:
    base = volume.removeprefix("volume").strip()
    if base and pair.lower().startswith(base):
        return symbol_of_pair(f"{pair[: len(base)]}/{pair[len(base) :]}")
    return symbol_of_pair(pair)


def _read_times(frame: pl.DataFrame, stamps: Sequence[str], name: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    notes: list[str] = []
    if "date" in stamps:
        text = pl.col("date").str.replace(r"-(AM|PM)$", ":00 ${1}")
        parsed = [text.str.to_datetime(form, strict=False, time_unit="ms") for form in _DATE_FORMATS]
        frame = frame.with_columns(dated=pl.coalesce(*parsed).dt.epoch("ms"))
        halves = frame.select(pl.col("date").str.contains(r"-(AM|PM)$").sum()).item()
        if halves:
            notes.append(f"{name}: {halves} dates are written with AM and PM and were read as UTC.")
    if "unix" not in stamps:
        unread = pl.when(pl.col("dated").is_null()).then(pl.format("date is '{}', which is no date", pl.col("date")))
        return frame.with_columns(time="dated", unreadable=pl.coalesce("unreadable", unread)), tuple(notes)
    frame = text_to_numbers(frame.rename({"unix": "time"}), ["time"], pl.Int64())
    seconds = pl.col("time").abs() < _SECONDS_BELOW
    count = frame.select(seconds.sum()).item()
    if 0 < count < frame.height:
        notes.append(f"{name}: {count} of {frame.height} timestamps are in seconds, the others in milliseconds.")
    frame = frame.with_columns(time=pl.when(seconds).then(pl.col("time") * 1000).otherwise(pl.col("time")))
    if "date" in stamps:
        differ = pl.when(pl.col("time") != pl.col("dated")).then(
            pl.format("the Unix timestamp says {} ms and the date says '{}'", pl.col("time"), pl.col("date"))
        )
        frame = frame.with_columns(unreadable=pl.coalesce("unreadable", differ))
    return frame, tuple(notes)
