"""Tables at rest: the bytes of a file, and the days of a table under the lake's folder, written and read whole."""

from __future__ import annotations

import glob
import io
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Final

import polars as pl

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.joined import DATE, days_of, joined_in, split_days
from quant_organism.market.schema import Interval, check_market_id
from quant_organism.market.table import BY_CYCLE, BY_INTERVAL, BY_MARKET, Table
from quant_organism.market.tables import CycleIndexTable
from quant_organism.resilience.files import write_changed
from quant_organism.resilience.objects import StoragePath, contents_of, located

VERSION: Final = "schema_version"
"""Name in a file's metadata under which the version of its table stands; a file without is of version 1."""

_PART: Final = "part.parquet"
_MAKE_AGAIN: Final = "delete it and import that day again, or materialise its asset again"
_DAY_FOLDER: Final = re.compile(r"date=(\d{4}-\d{2}-\d{2})")
_CYCLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def encode(table: type[Table], frame: pl.DataFrame, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the Parquet bytes of a frame; they depend on its content alone.

    Parameters
    ----------
    table
        What the frame is.
    frame
        Its rows.
    metadata
        What else is written beside the table's version.

    Raises
    ------
    InputError
        The frame is not what the table describes.
    """
    return parquet_bytes(table.validate(frame), {**(metadata or {}), VERSION: str(table.version)})


def parquet_bytes(frame: pl.DataFrame, metadata: Mapping[str, str]) -> bytes:
    """Return the Parquet bytes of any frame with any metadata; chunks are joined first, since they do not count."""
    buffer = io.BytesIO()
    frame.rechunk().write_parquet(buffer, compression="zstd", compression_level=3, metadata=dict(metadata))
    return buffer.getvalue()


def scan_parts(table: type[Table], parts: Sequence[StoragePath]) -> pl.LazyFrame:
    """Return the rows of some files of a table, lazily, in the order of the files and in the table's newest form.

    Raises
    ------
    IntegrityError
        A file is damaged, or was written by a newer version of the table; it is named.
    """
    if not parts:
        return table.empty().lazy()
    contents = _contents(parts)
    each: list[Path | bytes] = [*contents]
    versions = [_version(table, part, content) for part, content in zip(parts, each, strict=True)]
    if min(versions) == table.version and not any(column.optional for column in table.columns):
        return pl.scan_parquet(contents, glob=False, hive_partitioning=False, schema=table.schema)
    frames = [
        _in_form(table, pl.read_parquet(content, glob=False, hive_partitioning=False), version, part)
        for part, content, version in zip(parts, each, versions, strict=True)
    ]
    return pl.concat(frames, how="diagonal").select(name for name in table.schema if _anywhere(name, frames)).lazy()


def read_parts(table: type[Table], parts: Sequence[StoragePath]) -> pl.DataFrame:
    """Return the rows of some files of a table; as `scan_parts`, at once.

    Raises
    ------
    IntegrityError
        A file is damaged, has other columns, or was written by a newer version of the table; it is named.
    """
    if not parts:
        return table.empty()
    try:
        return scan_parts(table, parts).collect()
    except pl.exceptions.PolarsError as error:
        raise _culprit(table, parts, error) from error


def read_joined(table: type[Table], path: StoragePath) -> pl.DataFrame:
    """Return the rows of a joined file in the table's newest form, with the column `date`.

    Raises
    ------
    IntegrityError
        As `scan_parts`.
    """
    (content,) = _contents([path])
    version = _version(table, path, content)
    try:
        rows = split_days(table, content)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(path, error) from error
    return _in_form(table, rows.drop(DATE), version, path).with_columns(rows[DATE])


class StoredTable:
    """The days of one table in the lake.

    What depends on how was searched and judged lies by cycle beneath its day: without a cycle, a day is its latest.

    Parameters
    ----------
    root
        The lake's folder.
    table
        A table whose files lie by market and day, with or without an interval between the two, by cycle or not.
    cycle
        Identity of the cycle whose records are meant; None: the latest of each day, to be read only.
    """

    def __init__(self, root: StoragePath, table: type[Table], cycle: str | None = None) -> None:
        if table.partitions not in (BY_CYCLE, BY_INTERVAL, BY_MARKET):
            raise TypeError(f"{table.__name__} does not lie by market and day: use its own store")
        if cycle is not None and not _CYCLE.fullmatch(cycle):
            raise InputError(f"{cycle!r} cannot name a cycle", remedy="see them with: quant-organism runs list")
        self._root = located(root)
        self._table = table
        self._cycle = cycle if table.partitions == BY_CYCLE else None

    def write(self, frame: pl.DataFrame, *, market: str, day: date, interval: str | None = None) -> StoragePath:
        """Make `frame` the table's content for one day, in place of what was there; return its file.

        Raises
        ------
        InputError
            The frame is not what the table describes, `market` or `interval` cannot name a folder of the lake, or the
            table lies by cycle and none is named.
        StorageError
            The folder cannot be written; what was there before is unchanged.
        """
        self.write_days({day: frame}, market=market, interval=interval)
        return self.path(market=market, day=day, interval=interval)

    def write_days(self, frames: Mapping[date, pl.DataFrame], *, market: str, interval: str | None = None) -> int:
        """Write many days as `write` does one, in the order of their dates; return how many files changed.

        Errors as `replace_days`.
        """
        return len(self.replace_days(frames, market=market, interval=interval))

    def replace_days(
        self, frames: Mapping[date, pl.DataFrame], *, market: str, interval: str | None = None
    ) -> list[date]:
        """Write many days as `write` does one, in the order of their dates; return those whose files changed.

        Each day is whole or untouched, not all the days together: after a crash the first ones are written.

        Raises
        ------
        InputError, StorageError
            As `write`.
        """
        paths = {day: self.path(market=market, day=day, interval=interval) for day in sorted(frames)}
        same = self._unchanged(frames, market, interval)
        contents = ((path, encode(self._table, frames[day])) for day, path in paths.items() if day not in same)
        written = set(write_changed(contents))
        return [day for day, path in paths.items() if path in written]

    def read(
        self, *, market: str, interval: str | None = None, start: date | None = None, end: date | None = None
    ) -> pl.DataFrame:
        """Return the rows of the days `start` to `end` (inclusive), in the order of the days.

        Raises
        ------
        InputError
            Nothing is there, or not for these days.
        IntegrityError
            A file is damaged, or was written by a newer version of the table; it is named.
        """
        parts = self._parts(market, interval, start, end)
        try:
            return self._scan(parts).collect()
        except (pl.exceptions.PolarsError, IntegrityError) as error:
            if all(part.exists() for _, part in parts):
                if isinstance(error, IntegrityError):
                    raise
                raise _culprit(self._table, list(dict.fromkeys(part for _, part in parts)), error) from error
        return self._scan(self._parts(market, interval, start, end)).collect()  # days were joined in between

    def read_day(self, day: date, *, market: str, interval: str | None = None) -> pl.DataFrame:
        """Return the rows of one day; errors as `read`."""
        return self.read(market=market, interval=interval, start=day, end=day)

    def scan(
        self, *, market: str, interval: str | None = None, start: date | None = None, end: date | None = None
    ) -> pl.LazyFrame:
        """Return the rows of the days `start` to `end` (inclusive), lazily; errors as `read`."""
        return self._scan(self._parts(market, interval, start, end))

    def days(self, *, market: str, interval: str | None = None) -> list[date]:
        """Return the days that the table holds of a market, in order; of any cycle where none is named."""
        return days_in(self._folder(market, interval), self._cycle)

    def path(self, *, market: str, day: date, interval: str | None = None) -> StoragePath:
        """Return the file of a day, there or not.

        Raises
        ------
        InputError
            `market` or `interval` cannot name a folder of the lake, or the table lies by cycle and none is named.
        """
        folder = self._folder(market, interval)
        if self._table.partitions == BY_CYCLE and self._cycle is None:
            raise InputError(
                f"the table {self._table.dataset} lies by cycle, and none is named",
                where=str(folder),
                remedy="name one: lake.table(table, cycle=...)",
            )
        return _file(folder, day, self._cycle)

    def _scan(self, parts: Sequence[tuple[date, StoragePath]]) -> pl.LazyFrame:
        """Return the rows of days from their files; days that lie joined one after another are read at once."""
        pieces = []
        for joined, group in groupby(parts, lambda part: part[1] if _is_joined(part[1]) else None):
            days = list(group)
            if joined is None:
                pieces.append(scan_parts(self._table, [part for _, part in days]))
            else:
                rows = read_joined(self._table, joined)
                pieces.append(rows.filter(pl.col(DATE).is_in([day for day, _ in days])).drop(DATE).lazy())
        return pieces[0] if len(pieces) == 1 else pl.concat(pieces, how="diagonal")

    def _unchanged(self, frames: Mapping[date, pl.DataFrame], market: str, interval: str | None) -> set[date]:
        """Return the days that lie joined, and hold what is to be written already."""
        joined = sorted((path, day) for day, path in joined_days(self._folder(market, interval)).items())
        same = set[date]()
        for path, group in groupby((part for part in joined if part[1] in frames), lambda part: part[0]):
            rows = read_joined(self._table, path)
            for _, day in group:
                held = rows.filter(pl.col(DATE) == day).drop(DATE)
                if encode(self._table, held) == encode(self._table, frames[day]):
                    same.add(day)
        return same

    def _folder(self, market: str, interval: str | None) -> StoragePath:
        if (interval is not None) != ("interval" in self._table.partitions):
            raise InputError(
                f"the table {self._table.dataset} lies by {', '.join(self._table.partitions)}",
                where=f"interval {interval}",
                remedy="name an interval where the table has one, and none where it has not",
            )
        folder = self._root / self._table.dataset / f"market={check_market_id(market)}"
        return folder if interval is None else folder / f"interval={Interval.parse(interval).name}"

    def _parts(
        self, market: str, interval: str | None, start: date | None, end: date | None
    ) -> list[tuple[date, StoragePath]]:
        days = self.days(market=market, interval=interval)
        what = f"{self._table.dataset} of market {market}" + (f" at {interval}" if interval else "")
        what += f" by cycle {self._cycle}" if self._cycle else ""
        if not days:
            known = ", ".join(sorted(markets_in(self._root))) or "none"
            raise InputError(
                f"the lake holds no {what}",
                where=str(self._root),
                remedy=f"import them first; the lake knows these markets: {known}",
            )
        first, last = start or days[0], end or days[-1]
        folder = self._folder(market, interval)
        joined = joined_days(folder)
        parts = [
            (day, part)
            for day in days
            if first <= day <= last and (part := joined.get(day) or part_of_day(self._root, folder, day, self._cycle))
        ]
        if not parts:
            raise InputError(
                f"the lake holds no {what} from {first} to {last}",
                where=str(self._root),
                remedy=f"there are days from {days[0]} to {days[-1]}; see the cycles with: quant-organism runs list",
            )
        return parts


def days_in(folder: StoragePath, cycle: str | None = None) -> list[date]:
    """Return the days whose files lie under a folder, joined or by whatever cycle or by one, in order."""
    beneath = [_PART, f"cycle=*/{_PART}"] if cycle is None else [f"cycle={cycle}/{_PART}"]
    return sorted(_days(folder, beneath).union(*(days_of(*span) for span in joined_in(folder).values())))


def joined_days(folder: StoragePath) -> dict[date, StoragePath]:
    """Return the days under a folder that lie joined and have no file of their own, which would be newer."""
    if not (spans := joined_in(folder)):
        return {}
    alone = _days(folder, [_PART])
    return {day: path for path, span in spans.items() for day in days_of(*span) if day not in alone}


def _days(folder: StoragePath, beneath: Sequence[str]) -> set[date]:
    if isinstance(folder, Path):
        return _days_on_disk(folder, beneath)
    level = len(folder.parts)
    names = {path.parts[level] for pattern in beneath for path in folder.glob(f"date=*/{pattern}")}
    return {date.fromisoformat(match[1]) for match in map(_DAY_FOLDER.fullmatch, names) if match}


def _days_on_disk(folder: Path, beneath: Sequence[str]) -> set[date]:
    """As `_days`, by one listing and a look into each day, without objects for paths: a night asks some forty times."""
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        days = [(entry.path, match[1]) for entry in entries if (match := _DAY_FOLDER.fullmatch(entry.name))]
    return {date.fromisoformat(day) for path, day in days if any(_has(path, pattern) for pattern in beneath)}


def _has(folder: str, pattern: str) -> bool:
    if "*" not in pattern:
        return os.path.exists(f"{folder}/{pattern}")
    return any(glob.iglob(f"{glob.escape(folder)}/{pattern}"))


def part_of_day(root: StoragePath, folder: StoragePath, day: date, cycle: str | None = None) -> StoragePath | None:
    """Return a day's own file: of a cycle, else of the latest of the day where files lie by cycle; None without one.

    Parameters
    ----------
    root
        The lake's folder.
    folder
        Where the days of a dataset lie, of one market and interval.
    day, cycle
        Which file.
    """
    part = _file(folder, day, cycle)
    if cycle is None and not part.exists():
        index = root / CycleIndexTable.dataset / "/".join(folder.parts[len(root.parts) + 1 :])
        latest = index_of_day(_file(index, day)).filter("latest")[CycleIndexTable.cycle]
        if latest.is_empty():
            return None
        part = _file(folder, day, latest[0])
    return part if part.exists() else None


def index_of_day(path: StoragePath) -> pl.DataFrame:
    """Return the index of a day's cycles; empty where the file is not there."""
    return read_parts(CycleIndexTable, [path] if path.exists() else [])


def markets_in(root: StoragePath) -> set[str]:
    """Return the markets that a lake has data of."""
    return {folder.name.removeprefix("market=") for folder in root.glob("*/market=*")}


def _file(folder: StoragePath, day: date, cycle: str | None = None) -> StoragePath:
    of_day = folder / f"date={date.isoformat(day)}"
    return of_day / _PART if cycle is None else of_day / f"cycle={cycle}" / _PART


def _is_joined(part: StoragePath) -> bool:
    return part.parent.name.startswith("dates=")


def _contents(parts: Sequence[StoragePath]) -> list[Path] | list[bytes]:
    """Return what files can be read from; one that somebody removed since it was listed is named."""
    try:
        return contents_of(parts)
    except FileNotFoundError as error:
        raise IntegrityError("the file has gone", where=str(error), remedy=_MAKE_AGAIN) from error


def _version(table: type[Table], part: StoragePath, content: Path | bytes) -> int:
    try:
        written = int(pl.read_parquet_metadata(content).get(VERSION, "1"))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise _damaged(part, error) from error
    if written > table.version:
        raise IntegrityError(
            f"the table {table.dataset} is stored in version {written}, but this program knows version {table.version}",
            where=str(part),
            remedy="use the program that wrote it, or a newer one",
        )
    return written


def _in_form(table: type[Table], frame: pl.DataFrame, version: int, part: StoragePath) -> pl.DataFrame:
    """Return what a file holds in the table's newest form."""
    try:
        return table.check_columns(table.adopt(frame, version), where=str(part))
    except InputError as error:
        remedy = _MAKE_AGAIN if version == table.version else "bring the lake up to date: quant-organism data migrate"
        raise IntegrityError(error.what, where=error.where, remedy=remedy) from error


def _anywhere(name: str, frames: Sequence[pl.DataFrame]) -> bool:
    return any(name in frame.columns for frame in frames)


def _culprit(table: type[Table], parts: Sequence[StoragePath], error: Exception) -> IntegrityError:
    """Name the first file that cannot be read by itself."""
    for part in parts:
        try:
            frame = pl.read_parquet(contents_of([part])[0], glob=False, hive_partitioning=False)
        except (pl.exceptions.PolarsError, OSError) as alone:
            return _damaged(part, alone)
        try:
            table.check_columns(frame, where=str(part))
        except InputError as wrong:
            return IntegrityError(wrong.what, where=str(part), remedy=_MAKE_AGAIN)
    return IntegrityError(_first_line(error), where=str(parts[0].parent.parent))


def _damaged(part: StoragePath, error: Exception) -> IntegrityError:
    return IntegrityError(f"the file is damaged: {_first_line(error)}", where=str(part), remedy=_MAKE_AGAIN)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
