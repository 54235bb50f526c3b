"""The lake: datasets as Hive-partitioned Parquet, a file per market, interval and day; many readers, no locks."""

import io
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.joined import JOINED_TABLES
from quant_organism.market.schema import Interval, check_market_id
from quant_organism.market.stored import StoredTable, days_in, joined_days, part_of_day
from quant_organism.market.table import Table
from quant_organism.resilience.files import PASSING, write_file, write_files
from quant_organism.resilience.objects import (
    ObjectPath,
    StoragePath,
    check_conditions,
    contents_of,
    located,
    location_document,
    stamps_of,
)

_PART: Final = "part.parquet"
_DATASET: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MANIFESTS: Final = "markets"


@dataclass(frozen=True)
class Holding:
    """The days that the lake holds of one dataset of one market."""

    dataset: str
    interval: str | None
    first: date
    last: date
    n_days: int


@dataclass(frozen=True)
class MarketEntry:
    """One market of the lake: where it came from (empty when nobody recorded it), and what is held of it."""

    market: str
    source: dict[str, Any]
    holdings: tuple[Holding, ...]


class Lake:
    """Market data and everything derived from them, at rest under one folder.

    Every file is replaced whole or not at all, and the same frame always makes the same bytes.

    Parameters
    ----------
    root
        The lake's folder; made on the first write. A file in its place says on which object store the lake is.
    """

    def __init__(self, root: StoragePath) -> None:
        self.root = located(root)

    def table(self, table: type[Table], *, cycle: str | None = None) -> StoredTable:
        """Return the days of a table that the lake holds, to be read and written by what the table describes.

        Parameters
        ----------
        table
            What is stored.
        cycle
            Whose records, where the table lies by cycle; None: those of the latest cycle of each day.
        """
        return StoredTable(self.root, table, cycle)

    def write(
        self, dataset: str, frame: pl.DataFrame, *, market: str, day: date, interval: str | None = None
    ) -> StoragePath:
        """Make `frame` the dataset's content for one day, in place of what was there; return its file.

        Raises
        ------
        InputError
            `dataset`, `market` or `interval` cannot name a folder of the lake.
        StorageError
            The folder cannot be written; what was there before is unchanged.
        """
        self.write_days(dataset, {day: frame}, market=market, interval=interval)
        return self._part(self._folder(dataset, market, interval), day)

    def write_days(
        self, dataset: str, frames: Mapping[date, pl.DataFrame], *, market: str, interval: str | None = None
    ) -> int:
        """Write many days as `write` does one, in the order of their dates; return how many files changed.

        Each day is whole or untouched, not all the days together: after a crash the first ones are written.

        Raises
        ------
        InputError, StorageError
            As `write`.
        """
        folder = self._folder(dataset, market, interval)
        return write_files((self._part(folder, day), _encode(frames[day])) for day in sorted(frames))

    def scan(
        self,
        dataset: str,
        *,
        market: str,
        interval: str | None = None,
        start: date | None = None,
        end: date | None = None,
    ) -> pl.LazyFrame:
        """Return the rows of the days `start` to `end` (inclusive), lazily, in the order of the days.

        Raises
        ------
        InputError
            Nothing is there, or not for these days.
        """
        if dataset in JOINED_TABLES:
            return self.table(JOINED_TABLES[dataset]).scan(market=market, interval=interval, start=start, end=end)
        parts = contents_of(self._parts(dataset, market, interval, start, end))
        return pl.scan_parquet(parts, glob=False, hive_partitioning=False)

    def read(
        self,
        dataset: str,
        *,
        market: str,
        interval: str | None = None,
        start: date | None = None,
        end: date | None = None,
    ) -> pl.DataFrame:
        """Return the rows of the days `start` to `end` (inclusive), in the order of the days.

        Raises
        ------
        InputError
            Nothing is there, or not for these days.
        IntegrityError
            A file is damaged; it is named.
        """
        if dataset in JOINED_TABLES:
            return self.table(JOINED_TABLES[dataset]).read(market=market, interval=interval, start=start, end=end)
        parts = self._parts(dataset, market, interval, start, end)
        try:
            return pl.scan_parquet(contents_of(parts), glob=False, hive_partitioning=False).collect()
        except pl.exceptions.PolarsError as error:
            raise _damaged(parts, error) from error

    def days(self, dataset: str, *, market: str, interval: str | None = None) -> list[date]:
        """Return the days that the dataset holds of a market, in order; none when there is nothing."""
        return days_in(self._folder(dataset, market, interval))

    def stamps(self, dataset: str, *, market: str, end: date, interval: str | None = None) -> tuple[object, ...]:
        """Return day, size and time of change of each file up to a day: equal as long as nobody has replaced one."""
        folder = self._folder(dataset, market, interval)
        joined = joined_days(folder)
        held = [day for day in self.days(dataset, market=market, interval=interval) if day <= end]
        stamps = stamps_of([joined.get(day) or self._part(folder, day) for day in held])
        return tuple((day, *stamp) for day, stamp in zip(held, stamps, strict=True))

    def markets(self) -> tuple[MarketEntry, ...]:
        """Return every market that the lake knows, with where it came from and what is held of it."""
        recorded = {path.stem for path in (self.root / _MANIFESTS).glob("*.json")}
        held: dict[str, list[Holding]] = {market: [] for market in recorded}
        for folder in sorted(self.root.glob("*/market=*")):
            holdings = held.setdefault(folder.name.removeprefix("market="), [])
            intervals = [path.name.removeprefix("interval=") for path in folder.glob("interval=*")]
            by_length = sorted(intervals, key=lambda name: Interval.parse(name).milliseconds)
            for interval in by_length or (None,):
                market = folder.name.removeprefix("market=")
                days = self.days(folder.parent.name, market=market, interval=interval)
                if days:
                    holdings.append(Holding(folder.parent.name, interval, days[0], days[-1], len(days)))
        return tuple(MarketEntry(market, self.source_of(market) or {}, tuple(held[market])) for market in sorted(held))

    def source_of(self, market: str) -> dict[str, Any] | None:
        """Return what was recorded about where a market came from; None when nothing was.

        Raises
        ------
        IntegrityError
            The record cannot be read.
        """
        path = self._manifest(market)
        if not path.exists():
            return None
        try:
            document = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise IntegrityError(
                f"not a JSON document: {error}", where=str(path), remedy="delete it and import the market again"
            ) from error
        return dict(document)

    def record_source(self, market: str, document: Mapping[str, Any]) -> None:
        """Record where a market came from, in place of an earlier record.

        Raises
        ------
        StorageError
            The folder cannot be written; the earlier record is unchanged.
        """
        options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        write_file(self._manifest(market), orjson.dumps(dict(document), option=options))

    def _folder(self, dataset: str, market: str, interval: str | None) -> StoragePath:
        if not _DATASET.fullmatch(dataset):
            raise InputError(f"{dataset!r} cannot name a dataset", remedy="use lower-case letters, digits and _")
        folder = self.root / dataset / f"market={check_market_id(market)}"
        return folder if interval is None else folder / f"interval={Interval.parse(interval).name}"

    def _part(self, folder: StoragePath, day: date) -> StoragePath:
        return folder / f"date={date.isoformat(day)}" / _PART

    def _manifest(self, market: str) -> StoragePath:
        return self.root / _MANIFESTS / f"{check_market_id(market)}.json"

    def _parts(
        self, dataset: str, market: str, interval: str | None, start: date | None, end: date | None
    ) -> list[StoragePath]:
        days = self.days(dataset, market=market, interval=interval)
        what = f"{dataset} of market {market}" + (f" at {interval}" if interval else "")
        if not days:
            known = ", ".join(entry.market for entry in self.markets()) or "none"
            raise InputError(
                f"the lake holds no {what}",
                where=str(self.root),
                remedy=f"import them first; the lake knows these markets: {known}",
            )
        first, last = start or days[0], end or days[-1]
        folder = self._folder(dataset, market, interval)
        parts = [part for day in days if first <= day <= last and (part := part_of_day(self.root, folder, day))]
        if not parts:
            raise InputError(
                f"the lake holds no {what} from {first} to {last}",
                where=str(self.root),
                remedy=f"there are days from {days[0]} to {days[-1]}",
            )
        return parts


def place_lake(root: Path, folder: ObjectPath) -> None:
    """Let a data folder have its lake on an object store from now on; one that is there already is taken as it is.

    Parameters
    ----------
    root
        Where the lake's folder would be; a file that says where the lake is takes its place.
    folder
        Bucket and prefix.

    Raises
    ------
    InputError
        The folder has a lake already, here or elsewhere.
    StorageError
        The server does not answer, refuses, or does not keep the conditions of a write.
    """
    if root.is_file() and root.read_bytes() != location_document(folder):
        raise InputError(
            f"the lake of this data folder is at {located(root)} already",
            where=str(root),
            remedy="choose another --data-dir",
        )
    if root.is_dir() and any(path.is_file() for path in root.rglob("*") if not PASSING.fullmatch(path.name)):
        raise InputError(
            "this data folder has a lake, and its register of looks must not begin anew elsewhere",
            where=str(root),
            remedy="choose another --data-dir, or move the folder away and copy its files to the bucket yourself",
        )
    check_conditions(folder)
    if root.is_dir():
        shutil.rmtree(root)  # locks at most
    write_file(root, location_document(folder))


def _encode(frame: pl.DataFrame) -> bytes:
    """Return the Parquet bytes of a frame; they depend on its content alone, so chunks are joined first."""
    buffer = io.BytesIO()
    frame.rechunk().write_parquet(buffer, compression="zstd", compression_level=3)
    return buffer.getvalue()


def _damaged(parts: list[StoragePath], error: pl.exceptions.PolarsError) -> IntegrityError:
    """Name the first file that cannot be read by itself, or that does not fit the first one."""
    schema = None
    for part in parts:
        try:
            found = pl.read_parquet(contents_of([part])[0], glob=False, hive_partitioning=False).schema
        except (pl.exceptions.PolarsError, OSError) as alone:
            return IntegrityError(
                f"the file is damaged: {_first_line(alone)}",
                where=str(part),
                remedy="delete it and import that day again",
            )
        schema = schema or found
        if found != schema:
            return IntegrityError(
                f"its columns differ from those of {parts[0].parent.name}",
                where=str(part),
                remedy="delete it and import that day again",
            )
    return IntegrityError(_first_line(error), where=str(parts[0].parent.parent))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
