"""Any CSV, Parquet or feather table whose columns can be recognised, whoever made it.

What a maker does otherwise (names and order of columns, separators, units and forms of time, newest bar first) is
put right and noted. What can be read in two ways is an InputError that names the option which decides.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.files.columns import pick_fields, require_columns, split_lines, text_to_numbers
from quant_organism.market.files.headers import Header, recognise
from quant_organism.market.files.names import KRAKEN_CODES, NameSays, read_name, symbol_of_cell
from quant_organism.market.files.reading import read_columns, read_head_text, read_text
from quant_organism.market.files.table import (
    CANDLE_VALUES,
    FUNDING_VALUES,
    TRADE_VALUES,
    Claim,
    DataFile,
    FileTable,
    Kind,
    LeftAside,
    left_aside_interval,
)
from quant_organism.market.files.times import holds_clocks, joined_times, newest_first, read_times, same_moments

FORMAT: Final = "table"

_TEXT_ENDINGS: Final = (".csv", ".tsv", ".txt", ".csv.gz", ".csv.zip", ".zip")
_BINARY_ENDINGS: Final = (".parquet", ".pq", ".feather", ".arrow")
_VALUES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "candles": CANDLE_VALUES,
    "funding": FUNDING_VALUES,
    "trades": TRADE_VALUES,
}
_SHEETS: Final = (".xlsx", ".xls", ".ods")
_THREE_LINES: Final = (["price", "ticker", "date"], ["price", "ticker", "datetime"])
_THOUSANDS: Final = r"^-?\d{1,3}(,\d{3})+(\.\d+)?$"
_SURELY_THOUSANDS: Final = r"^-?\d{1,3}(,\d{3})+\.\d+$|^-?\d{1,3}(,\d{3}){2,}$"
_SUFFIXES: Final = {"K": "e3", "M": "e6", "B": "e9"}
_SUFFIXED: Final = r"^(\d+(?:\.\d+)?)([KMB])$"
_LINES_LOOKED_AT: Final = 500
_FITTING: Final = 0.95
# Columns of tables without names, by their number: makers who write none.
_UNNAMED: Final[Mapping[int, tuple[str, tuple[str, ...]]]] = {
    3: ("trades as Kraken and Bitcoincharts write them", ("time", "price", "amount")),
    6: ("candles", ("time", *CANDLE_VALUES)),
    7: ("candles as Kraken writes them", ("time", *CANDLE_VALUES, "count")),
    8: ("candles as Kraken writes them", ("time", "open", "high", "low", "close", "vwap", "volume", "count")),
    12: (
        "candles as Binance writes them",
        ("time", *CANDLE_VALUES, "close_time", "quote_volume", "count", "taker_base", "taker_quote", "ignore"),
    ),
}
_OTHER_ORDERS: Final = (
    ("time", "low", "high", "open", "close", "volume"),
    ("time", "open", "close", "high", "low", "volume"),
    ("time", "open", "close", "low", "high", "volume"),
)


@dataclass(frozen=True)
class Hints:
    """What a person says of files that do not say it themselves.

    Parameters
    ----------
    columns
        Field -> column, as `headers.parse_columns` gives it.
    time_unit
        As `times.read_times` takes it; None: found from the data.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    time_unit: str | None = None

    def __bool__(self) -> bool:
        return bool(self.columns) or self.time_unit is not None


def claim(path: Path, hints: Hints) -> Claim:
    """Claim a table whose columns are those of a market, or were said to be.

    Raises
    ------
    InputError
        The columns are those of a market, but not all of them, or one may be two things.
    """
    name = path.name.lower()
    if name.endswith(_SHEETS):
        return LeftAside("sheets are not read; save it as CSV")
    binary = name.endswith(_BINARY_ENDINGS)
    if not binary and not name.endswith(_TEXT_ENDINGS):
        return None
    layout = _binary_layout(path, hints) if binary else _text_layout(path, hints)
    if layout is None or isinstance(layout, LeftAside):
        return layout
    says = read_name(_stem(path))
    if layout.ticker is not None:
        says = replace(says, symbol=symbol_of_cell(layout.ticker))
    if layout.header.kind == "candles" and says.minutes is not None and says.interval is None:
        return LeftAside(left_aside_interval(f"{says.minutes}m"))
    return DataFile(
        path,
        FORMAT,
        layout.header.kind,
        partial(_read, layout=layout, hints=hints, says=says, binary=binary),
        symbol=None if "symbol" in layout.header.columns else _of_kraken(says.symbol, layout),
        interval=says.interval if layout.header.kind == "candles" else None,
    )


@dataclass(frozen=True)
class _Layout:
    header: Header
    names: tuple[str, ...]
    separator: str
    head: int  # lines that hold the names
    ticker: str | None = None
    notes: tuple[str, ...] = ()


def _stem(path: Path) -> str:
    return re.sub(r"(\.(csv|tsv|txt|gz|zip|parquet|pq|feather|arrow|funding))+$", "", path.name, flags=re.I)


def _of_kraken(symbol: str | None, layout: _Layout) -> str | None:
    return KRAKEN_CODES.get(symbol, symbol) if symbol is not None and not layout.head else symbol


def _binary_layout(path: Path, hints: Hints) -> _Layout | LeftAside:
    names = tuple(read_columns(path).columns)
    header = recognise(names, hints.columns, where=str(path))
    return _not_a_market(names) if header is None else _Layout(header, names, ",", head=1)


def _text_layout(path: Path, hints: Hints) -> _Layout | LeftAside | None:
    head = read_head_text(path)
    lines = [line for line in head.split("\n") if line.strip()] if head is not None else []
    if not lines:
        return LeftAside("it is no text in UTF-8; save it as UTF-8") if head is None else None
    separator = max(",;\t|", key=lambda mark: lines[0].count(mark))
    if separator not in lines[0]:
        return None
    first = _fields(lines[0], separator)
    if any(_is_number(cell) for cell in first[1:]):
        return _unnamed_layout(path, first, lines, separator, hints)
    if [_fields(line, separator)[0].lower() for line in lines[:3]] in _THREE_LINES:
        return _yfinance_layout(path, first, lines, separator, hints)
    header = recognise(first, hints.columns, where=f"{path}, line 1")
    return _not_a_market(first) if header is None else _Layout(header, tuple(first), separator, head=1)


def _yfinance_layout(
    path: Path, first: Sequence[str], lines: Sequence[str], separator: str, hints: Hints
) -> _Layout | LeftAside:
    """Read the names of `yfinance.download(...).to_csv()`: what a column is, whose it is, and what the first one is."""
    tickers = list(dict.fromkeys(cell for cell in _fields(lines[1], separator)[1:] if cell))
    if len(tickers) != 1:
        raise InputError(
            f"the prices of {', '.join(tickers) or 'nobody'} stand side by side",
            where=f"{path}, line 2",
            remedy="save one file for each, such as BTC-USD.csv",
        )
    names = (_fields(lines[2], separator)[0], *first[1:])
    header = recognise(names, hints.columns, where=f"{path}, line 1")
    if header is None:
        return _not_a_market(names)
    header = replace(header, quote_volume="volume" not in hints.columns)  # Yahoo counts money for every coin
    return _Layout(header, names, separator, head=3, ticker=tickers[0])


def _unnamed_layout(
    path: Path, first: Sequence[str], lines: Sequence[str], separator: str, hints: Hints
) -> _Layout | LeftAside:
    numbers = tuple(str(at) for at in range(1, len(first) + 1))
    if hints.columns:
        header = recognise(numbers, hints.columns, where=str(path))
        if header is None:
            return _not_a_market(numbers)
        return _Layout(header, numbers, separator, head=0)
    known = _UNNAMED.get(len(first))
    if known is None:
        raise InputError(
            f"the columns have no names, and {len(first)} columns are no maker's layout that is known",
            where=str(path),
            remedy="say which is which by number, such as --columns time=1,open=2,high=3,low=4,close=5,volume=6",
        )
    called, columns = known
    if "open" in columns:
        _check_order(path, columns, lines, separator)
    kind: Kind = "candles" if "open" in columns else "trades"
    wanted = ("time", *_VALUES[kind])
    header = Header(kind, {name: numbers[columns.index(name)] for name in wanted}, (numbers[0],), quote_volume=False)
    return _Layout(header, numbers, separator, head=0, notes=(f"columns without names were read as {called}",))


def _check_order(path: Path, columns: Sequence[str], lines: Sequence[str], separator: str) -> None:
    """Refuse prices that do not stand in the order in which this layout has them."""
    rows = [_fields(line, separator) for line in lines[:_LINES_LOOKED_AT]]
    rows = [row for row in rows if len(row) == len(columns) and all(_is_number(cell) for cell in row[1:6])]
    if not rows or _share(rows, columns) >= _FITTING:
        return
    fitting = [order for order in _OTHER_ORDERS if len(columns) == len(order) and _share(rows, order) >= _FITTING]
    order = fitting[0] if fitting else tuple(columns[:6])
    raise InputError(
        "the columns have no names, and in the order open, high, low, close the prices contradict each other",
        where=str(path),
        remedy="say which is which by number: --columns "
        + ",".join(f"{name}={at}" for at, name in enumerate(order, start=1) if name in ("time", *CANDLE_VALUES))
        + ("" if fitting else " is what was tried"),
    )


def _share(rows: Sequence[Sequence[str]], order: Sequence[str]) -> float:
    at = {name: order.index(name) for name in ("open", "high", "low", "close")}
    fits = 0
    for row in rows:
        opened, high, low, close = (float(row[at[name]]) for name in ("open", "high", "low", "close"))
        fits += low <= min(opened, close) and high >= max(opened, close)
    return fits / len(rows)


def _not_a_market(names: Sequence[str]) -> LeftAside:
    shown = ", ".join(list(names)[:12])
    return LeftAside(f"its columns ({shown}) are no candles, trades or funding; if they are, say so with --columns")


def _read(file: DataFile, *, layout: _Layout, hints: Hints, says: NameSays, binary: bool) -> FileTable:
    header, name = layout.header, file.path.name
    frame = _binary_cells(file, layout) if binary else _text_cells(file, layout)
    notes = [f"{name}: {note}." for note in layout.notes]
    frame = _with_time(frame, header, hints, file, notes)
    frame = _with_values(frame, header, file, notes)
    if header.quote_volume:
        frame = frame.with_columns(volume=pl.col("volume") / pl.col("close"))
        notes.append(f"{name}: the volume counts money here; it was divided by the close, to count coins.")
    if "symbol" in header.columns:
        cells = frame["symbol"].cast(pl.String)
        symbols = {cell: symbol_of_cell(cell) for cell in cells.drop_nulls().unique()}
        frame = frame.with_columns(symbol=cells.replace_strict(symbols, return_dtype=pl.String()))
    elif file.symbol is None:
        raise InputError(
            "the name of the file does not tell the symbol",
            where=str(file.path),
            remedy="name it after its pair, such as BTC-USD.csv, or point to a column: --columns symbol=COLUMN",
        )
    else:
        frame = frame.with_columns(symbol=pl.lit(file.symbol))
        if says.symbol != file.symbol:
            notes.append(f"{name}: {says.symbol} is {file.symbol} in Kraken's code.")
    one = frame.filter(pl.col("symbol") == frame["symbol"][0]) if frame.height else frame
    if newest_first(one["time"]):
        frame = frame.reverse()
        notes.append(f"{name}: the newest row stood first; the order was turned round.")
    return FileTable(frame, "row" if binary else "line", tuple(notes))


def _text_cells(file: DataFile, layout: _Layout) -> pl.DataFrame:
    lines = split_lines(read_text(file.path), layout.separator)
    lines = lines.slice(layout.head)
    if lines.is_empty():
        raise InputError("the file has no rows", where=str(file.path), remedy="remove it, or download it again")
    return pick_fields(lines, {name: at for at, name in enumerate(layout.names)}, len(layout.names), prefix="file.")


def _binary_cells(file: DataFile, layout: _Layout) -> pl.DataFrame:
    content = read_columns(file.path)
    require_columns(content.columns, layout.names, str(file.path))
    return content.select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("row"),
        *[pl.col(name).alias(f"file.{name}") for name in layout.names],
        unreadable=pl.lit(None, pl.String()),
    )


def _with_time(frame: pl.DataFrame, header: Header, hints: Hints, file: DataFile, notes: list[str]) -> pl.DataFrame:
    name, exact = file.path.name, header.kind != "trades"
    columns = [frame[f"file.{column}"].alias(column) for column in header.times]
    clocks = [column for column in columns[1:] if holds_clocks(column)]
    if len(columns) == 2 and clocks:
        columns = [joined_times(columns[0], clocks[0])]
    read = [read_times(column, hints.time_unit, name=name, exact=exact) for column in columns]
    if not same_moments([times.values for times in read]):
        raise InputError(
            f"the columns {', '.join(header.times)} say different times",
            where=str(file.path),
            remedy=f"say which one is the bar's open: --columns time={header.times[0]}",
        )
    notes.extend(read[0].notes)
    raw = columns[0].cast(pl.String)
    unread = pl.when(pl.col("time").is_null()).then(
        pl.when(pl.col("raw").fill_null("") == "")
        .then(pl.lit(f"{columns[0].name} is empty"))
        .otherwise(
            pl.format(f"{columns[0].name} is '{{}}', which is no time that is known", pl.col("raw").str.head(40))
        )
    )
    frame = frame.with_columns(read[0].values.alias("time"), raw.alias("raw"))
    return frame.with_columns(unreadable=pl.coalesce("unreadable", unread))


def _with_values(frame: pl.DataFrame, header: Header, file: DataFile, notes: list[str]) -> pl.DataFrame:
    values = _VALUES[header.kind]
    chosen = {name: f"file.{header.columns[name]}" for name in values}
    for name, column in chosen.items():
        kind = frame.schema[column]
        if kind != pl.String and not kind.is_numeric():
            raise InputError(
                f"column {header.columns[name]} has type {kind}, expected numbers",
                where=str(file.path),
                remedy="store prices, volumes and rates as 64-bit floating-point numbers",
            )
    others = {"symbol": header.columns.get("symbol"), "trade_id": header.columns.get("id")}
    cells = frame.select(
        "row",
        "time",
        "unreadable",
        *[pl.col(column).alias(name) for name, column in chosen.items()],
        *[pl.col(f"file.{column}").cast(pl.String).alias(name) for name, column in others.items() if column],
    )
    cells = _as_people_write(cells, values, file.path.name, notes)
    cells = text_to_numbers(cells, list(values), pl.Float64())
    if header.kind == "trades" and "trade_id" not in cells.columns:
        cells = cells.with_columns(trade_id=pl.lit(None, pl.String()))
    return cells


def _as_people_write(cells: pl.DataFrame, values: Sequence[str], name: str, notes: list[str]) -> pl.DataFrame:
    """Write `71,387.1` and a volume of `1.25M` as numbers are written; a comma that may be a decimal one stays."""
    text = [column for column in values if cells.schema[column] == pl.String]
    if text and cells.select(pl.any_horizontal(pl.col(text).str.contains(_SURELY_THOUSANDS)).any()).item():
        plain = [
            pl.when(pl.col(column).str.contains(_THOUSANDS))
            .then(pl.col(column).str.replace_all(",", "", literal=True))
            .otherwise(column)
            .alias(column)
            for column in text
        ]
        cells = cells.with_columns(plain)
        notes.append(f"{name}: commas in numbers set thousands apart.")
    if "volume" in text and cells["volume"].str.contains(_SUFFIXED).any():
        parts = pl.col("volume").str.extract_groups(_SUFFIXED).struct
        scaled = pl.concat_str(parts.field("1"), parts.field("2").replace(_SUFFIXES))
        cells = cells.with_columns(volume=pl.coalesce(scaled, "volume"))
        notes.append(f"{name}: volumes are rounded to thousands and more (K, M or B) and were read as such.")
    return cells


def _fields(line: str, separator: str) -> list[str]:
    return [cell.strip('\ufeff" \r') for cell in next(csv.reader([line.strip("\r\n")], delimiter=separator), [])]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
