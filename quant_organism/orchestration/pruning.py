"""What old runs left behind that nothing is computed from and nothing rests on: found, told, and removed when asked.

That is what a run said while it ran: its own events, its output, its log. Never touched are the lake, documents,
reports, ledgers and registers, runs themselves, and what assets have on record, by which a night knows its days.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import dagster as dg

from quant_organism.orchestration.event_storage import EventLog
from quant_organism.orchestration.home import open_instance
from quant_organism.orchestration.run_lock import run_lock
from quant_organism.resilience import remove_files

LeftoverKind = Literal["events", "output", "log"]

KINDS: Final[dict[LeftoverKind, str]] = {
    "events": "events of single runs, step by step, as the web UI shows them on the page of a run",
    "output": "what steps of runs printed",
    "log": "logs of runs of commands",
}

_ENDED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True)
class Leftover:
    """What one run left of one kind.

    Attributes
    ----------
    kind
        One of `KINDS`.
    ended
        When the run ended, or the log was written last, UTC.
    files, n_bytes
        Its files, and what they take up.
    folder
        That goes with them; None: there is none of its own.
    """

    kind: LeftoverKind
    ended: datetime
    files: tuple[Path, ...]
    n_bytes: int
    folder: Path | None = None


def find_leftovers(data_dir: Path, older_than: timedelta, now: datetime) -> list[Leftover]:
    """Return what may be removed, oldest first; nothing is changed.

    Parameters
    ----------
    data_dir
        The data folder.
    older_than
        Since the end of the run.
    now
        UTC.

    Raises
    ------
    InputError, StorageError, IntegrityError
        As `open_instance`, where there is a Dagster home.
    """
    before = now - older_than
    found = list(_logs(data_dir / "logs", before))
    if (home := data_dir.resolve() / "dagster_home").is_dir():
        with open_instance(data_dir) as instance:
            found += _of_runs(instance, home, before)
    return sorted(found, key=lambda one: one.ended)


def prune(data_dir: Path, older_than: timedelta, now: datetime) -> list[Leftover]:
    """Remove what `find_leftovers` finds while nothing computes in the folder, and return it.

    Interrupted, the same again removes the rest.

    Raises
    ------
    BusyError
        Something computes in the folder.
    """
    with run_lock(data_dir):
        found = find_leftovers(data_dir, older_than, now)
        for one in found:
            remove_files(one.files)
            if one.folder is not None:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(one.folder)
    return found


def _logs(folder: Path, before: datetime) -> Iterator[Leftover]:
    for path in sorted(folder.glob("*.log")):
        if path.is_file() and not path.is_symlink():
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            if written < before:
                yield Leftover("log", written, (path,), _size((path,)))


def _of_runs(instance: dg.DagsterInstance, home: Path, before: datetime) -> Iterator[Leftover]:
    log = instance.event_log_storage
    for record in instance.get_run_records(dg.RunsFilter(statuses=_ENDED)):
        run_id, moment = record.dagster_run.run_id, record.end_time or record.update_timestamp.timestamp()
        ended = datetime.fromtimestamp(moment, UTC)
        if ended >= before:
            continue
        if isinstance(log, EventLog) and (files := log.files_of(run_id)):
            yield Leftover("events", ended, tuple(files), _size(files))
        folder = home / "storage" / run_id
        if folder.is_dir() and not folder.is_symlink():
            files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
            yield Leftover("output", ended, tuple(files), _size(files), folder)


def _size(files: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in files)
