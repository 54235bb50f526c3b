"""Compaction: the days of a month that is over are joined into one file, and their own files go.

A joined file is written whole before any file of a day is removed, and a day's own file is read before the joined one:
whatever interrupts it, each day is there, once, and the same again does the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.joined import DATE, JOINED_TABLES, days_of, join_days, joined_file, joined_in, split_days
from quant_organism.market.lake import Lake
from quant_organism.market.stored import VERSION, encode, read_joined, read_parts
from quant_organism.market.table import BY_INTERVAL, Table
from quant_organism.resilience import alone_in, located, remove_files, write_file

Progress = Callable[[int, int], None]
"""Called with (spans done, spans in all)."""


@dataclass(frozen=True)
class JoinedSpan:
    """Days in a row of one dataset, all of one month, that are joined into one file.

    Attributes
    ----------
    dataset, market, interval
        What lies there; None: it has no interval.
    first, last
        The days, both included.
    files
        Of single days, that go.
    before
        What these and the joined file that there was take up, in bytes.
    after
        What the joined file takes up, in bytes; None: it was not made.
    """

    dataset: str
    market: str
    interval: str | None
    first: date
    last: date
    files: tuple[Path, ...]
    before: int
    after: int | None = None


def find_spans(root: Path) -> list[JoinedSpan]:
    """Return what may be joined in a lake; nothing is changed.

    Of each dataset, market and interval that is every month but the newest one, which grows.

    Raises
    ------
    InputError
        The lake is in a bucket.
    """
    folder = located(root)
    if not isinstance(folder, Path):
        raise InputError(
            "days are joined in a lake on a disk alone, and this one is in a bucket",
            where=str(folder),
            remedy="leave its days as they are: nothing else depends on it",
        )
    return [span for table in JOINED_TABLES.values() for place in _folders(folder, table) for span in _spans(place)]


def compact(root: Path, progress: Progress | None = None) -> list[JoinedSpan]:
    """Join what `find_spans` finds, and return it with what it takes up now.

    Every day is taken out of its joined file again before its own file goes, and must make the same bytes.

    Raises
    ------
    InputError
        As `find_spans`.
    IntegrityError
        A file is damaged, or a day would not come back as it was; this span stays as it is.
    BusyError, StorageError
        A market is being imported, or the lake cannot be written; each day is where it was or joined.
    """
    found, done = find_spans(root), list[JoinedSpan]()
    for span in found:
        with alone_in(Lake(root).root / "markets", f"joining days of market {span.market}", name=span.market):
            done.append(_join(root, span))
        if progress is not None:
            progress(len(done), len(found))
    return done


def _join(root: Path, span: JoinedSpan) -> JoinedSpan:
    table = JOINED_TABLES[span.dataset]
    folder = span.files[0].parent.parent
    target, days = joined_file(folder, span.first, span.last), {}
    held = read_joined(table, target) if target.exists() else None
    for day in days_of(span.first, span.last):
        alone = folder / f"date={day.isoformat()}" / target.name
        if alone.exists() or held is None:
            days[day] = read_parts(table, [alone])
        else:
            days[day] = held.filter(held[DATE] == day).drop(DATE)
    content = join_days(table, days, {VERSION: str(table.version)})
    rows = split_days(table, content)
    for day, frame in days.items():
        if encode(table, rows.filter(rows[DATE] == day).drop(DATE)) != encode(table, frame):
            raise IntegrityError(
                "joined with others, this day would not come back as it is: its rows lie in another order",
                where=str(folder / f"date={day.isoformat()}"),
                remedy="delete it and import that day again",
            )
    write_file(target, content)
    remove_files(span.files)
    for file in span.files:
        with contextlib.suppress(OSError):  # something that is not ours lies there as well
            file.parent.rmdir()
    return replace(span, after=len(content))


def _folders(root: Path, table: type[Table]) -> Iterator[Path]:
    beneath = "market=*/interval=*" if table.partitions == BY_INTERVAL else "market=*"
    yield from sorted(path for path in (root / table.dataset).glob(beneath) if path.is_dir())


def _spans(folder: Path) -> Iterator[JoinedSpan]:
    alone = {date.fromisoformat(path.parent.name[5:]): path for path in sorted(folder.glob("date=*/part.parquet"))}
    joined = {path: span for path, span in joined_in(folder).items() if isinstance(path, Path)}
    newest = max([*alone, *(last for _, last in joined.values())], default=date.min).replace(day=1)
    for path, (first, last) in joined.items():  # days that were imported again since
        if files := [alone.pop(day) for day in days_of(first, last) if day in alone]:
            yield _span(folder, first, last, [*files, path], files)
    for run in _runs(sorted(day for day in alone if day < newest)):
        if len(run) > 1:
            files = [alone[day] for day in run]
            yield _span(folder, run[0], run[-1], files, files)


def _span(folder: Path, first: date, last: date, before: Sequence[Path], files: Sequence[Path]) -> JoinedSpan:
    levels = dict(level.split("=", 1) for level in folder.parts if level.startswith(("market=", "interval=")))
    dataset = folder.parents[1 if "interval" in levels else 0].name
    size = sum(path.stat().st_size for path in before)
    return JoinedSpan(dataset, levels["market"], levels.get("interval"), first, last, tuple(files), size)


def _runs(days: Sequence[date]) -> Iterator[list[date]]:
    """Return days that follow one another, in one month each."""
    run: list[date] = []
    for day in days:
        if run and (day != run[-1] + timedelta(days=1) or day.month != run[-1].month):
            yield run
            run = []
        run.append(day)
    if run:
        yield run
