"""Dagster's history moved from the SQLite files of a home into PostgreSQL: runs, events, ticks, cursors, all of it.

In SQLite each run has a file of its own, and what concerns assets, checks and the status of runs stands a second time
in a file of all runs, whose numbers others refer to. PostgreSQL has one table: events are numbered anew, each run's in
its order, and whatever refers to one is given the new number. Of Dagster, only the names of its tables are used.
"""

import hashlib
import json
import re
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, func, insert, inspect, select, text
from sqlalchemy.pool import NullPool

from quant_organism.errors import BusyError, InputError, IntegrityError
from quant_organism.orchestration.history import (
    ADDRESS_VARIABLE,
    POSTGRES_SECTION,
    SQLITE_SECTION,
    HistoryServer,
    variable_of,
)
from quant_organism.orchestration.home import open_instance, prepare_home, settle_runs
from quant_organism.orchestration.run_lock import run_lock
from quant_organism.resilience import write_file

_EVENTS: Final = "event_logs"
_OWN_OF_A_STORAGE: Final = frozenset({"alembic_version", "secondary_indexes", "instance_info", "sqlite_sequence"})
"""What each storage makes for itself: its version, which of its upgrades are done, its name."""

_COMPARED: Final = ("runs", _EVENTS, "job_ticks")
_NUMBERED_CLASSES: Final = frozenset({"EventLogRecord", "AssetCheckEvaluationTargetMaterializationData"})
_NOWHERE: Final = 0
"""Stands where the event that was referred to is there no more; no event has this number."""

_LONG_AGO: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the files' moments are UTC and say nothing of it
_ROWS: Final = 1000
_DAEMON_S: Final = 60.0
_POINTER: Final = "dagster/input_event_pointer/"
_REFERRING: Final = re.compile(r"storage_id|input_event_pointer")
_REFERRING_COLUMNS: Final = {
    "asset_event_tags": ("event_id",),
    "asset_check_executions": ("evaluation_event_storage_id", "materialization_event_storage_id"),
}


@dataclass(frozen=True)
class HistoryCount:
    """How much history there is: runs, events of all runs, and ticks of schedules and sensors."""

    where: str
    runs: int
    events: int
    ticks: int


def count_history(data_dir: Path) -> HistoryCount:
    """Return where a data folder's history lies, and how much there is; errors as `open_instance`."""
    home = prepare_home(data_dir)
    server = HistoryServer.of(home)
    with open_instance(data_dir):
        if server is not None:
            return _count(server.where, server.engine)
    counts = [_count(str(home), _file(path)) for path in _files(home) if path.name != "index.db"]
    return HistoryCount(
        str(home), sum(c.runs for c in counts), sum(c.events for c in counts), sum(c.ticks for c in counts)
    )


def move_history(data_dir: Path, *, take_over: bool = False) -> HistoryCount:
    """Move a data folder's history into the PostgreSQL database that the environment names; return what is there now.

    It is there whole or not at all, and then Dagster's settings name the server; the files stay, and nobody reads them
    any more. Once it is moved, the same again changes nothing.

    Parameters
    ----------
    data_dir
        The data folder.
    take_over
        Make a history that is in PostgreSQL already that of this folder, whose it was before.

    Raises
    ------
    InputError
        Nobody says which database, something else is in it, or Dagster's settings were edited where they name files.
    BusyError
        A command or the web UI is at work on the folder.
    StorageError, IntegrityError
        The server cannot be reached; a database is damaged, or its tables are others than this version knows.
    """
    home = prepare_home(data_dir)
    with run_lock(data_dir):
        if variable_of(home) is not None:
            if take_over:
                _take_over(home)
            return count_history(data_dir)
        settings = _with_server(home / "dagster.yaml")
        server = HistoryServer.named(home)
        begun = server.check()
        with open_instance(data_dir) as instance:
            settle_runs(instance)
            beats = instance.get_daemon_heartbeats().values()
            if any(time.time() - beat.timestamp < _DAEMON_S for beat in beats):
                raise BusyError(
                    "the web UI's daemon is at work", where=str(home), remedy="stop quant-organism ui, wait a minute"
                )
        _make_tables(server)
        with server.engine.begin() as target:
            if not _is_there(home, target, server, begun=begun):
                _copy(home, target)
                server.claim(target)
        write_file(home / "dagster.yaml", settings.encode())
    return count_history(data_dir)


def _take_over(home: Path) -> None:
    """Have the server note that its history is this home's, if it says that it is another's."""
    server = HistoryServer.of(home)
    if server is None:
        return
    try:
        server.check()
    except IntegrityError:
        with server.engine.begin() as connection:
            server.claim(connection)


def _with_server(path: Path) -> str:
    """Return Dagster's settings with the server in the place of the files."""
    written = path.read_text(encoding="utf-8")
    if written.count(SQLITE_SECTION) != 1:
        raise InputError(
            "Dagster's settings were edited where they say that history is in SQLite files",
            where=str(path),
            remedy=f"have this section there again, or remove the file:\n{SQLITE_SECTION}",
        )
    return written.replace(SQLITE_SECTION, POSTGRES_SECTION)


def _make_tables(server: HistoryServer) -> None:
    """Have Dagster make its tables, where they are not there yet."""
    from dagster_postgres import DagsterPostgresStorage

    DagsterPostgresStorage(server.url.render_as_string(hide_password=False))


def _files(home: Path) -> list[Path]:
    """Return the SQLite files of a home: runs, schedules, events of all runs, then those of each run."""
    runs = home / "history" / "runs"
    first = [home / "history" / "runs.db", home / "schedules" / "schedules.db", runs / "index.db"]
    rest = sorted(path for path in runs.glob("*.db") if path.name != "index.db")
    return [path for path in [*first, *rest] if path.exists()]


def _file(path: Path) -> Engine:
    address = f"{path.absolute().as_uri()}?mode=ro"
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)


def _is_there(home: Path, target: Connection, server: HistoryServer, *, begun: bool) -> bool:
    """Tell whether the database has all runs of the home already: a move was killed after its last row."""
    held = _runs(target)
    if not held:
        return False
    with _file(home / "history" / "runs.db").connect() as source:
        missing = _runs(source) - held
    if not begun or missing:
        raise InputError(
            f"there are {len(held)} runs in it, and not those of this folder",
            where=server.where,
            remedy=f"name an empty database in {ADDRESS_VARIABLE}",
        )
    return True


def _runs(connection: Connection) -> set[str]:
    return set(connection.execute(text("SELECT run_id FROM runs")).scalars())


def _count(where: str, engine: Engine) -> HistoryCount:
    with engine.connect() as connection:
        known = inspect(connection).get_table_names()
        counts = [
            connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() if name in known else 0
            for name in _COMPARED
        ]
    return HistoryCount(where, *counts)


def _copy(home: Path, target: Connection) -> None:
    """Copy every row of every file, events with new numbers."""
    metadata = MetaData()
    metadata.reflect(target)
    files = _files(home)
    order, numbers = _numbered(files)
    kept: dict[str, Path] = {}
    for path in files[: files.index(home / "history" / "runs" / "index.db") + 1]:
        with _file(path).connect() as source:
            for name in set(inspect(source).get_table_names()) - _OWN_OF_A_STORAGE:
                if name not in metadata.tables:
                    raise IntegrityError(f"a table that PostgreSQL has not: {name}", where=str(path))
                kept.setdefault(name, path)
    for table in metadata.sorted_tables:
        if table.name == _EVENTS:
            batches = _events(order, numbers)
        elif table.name in kept:
            batches = _rows(kept[table.name], table.name, numbers)
        else:
            continue
        for batch in batches:
            target.execute(insert(table), batch)
        last = target.execute(select(func.max(table.c.id))).scalar()
        if last is not None:
            target.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), last)))


def _numbered(files: list[Path]) -> tuple[list[tuple[Path, int]], dict[int, int]]:
    """Return file and row of each event, by time and each run's in its own order, and the new number of each in the
    file of all runs."""
    of_all = next(path for path in files if path.name == "index.db")
    again: dict[str, dict[bytes, deque[int]]] = defaultdict(lambda: defaultdict(deque))
    moments: dict[int, datetime] = {}
    for number, run, moment, event in _digests(of_all):
        again[run][event].append(number)
        moments[number] = moment
    order: list[tuple[datetime, int, int, int | None]] = []
    for place, path in enumerate(files):
        if path.parent != of_all.parent or path == of_all:
            continue
        latest = _LONG_AGO
        for row, run, moment, event in _digests(path):
            latest = max(latest, moment)
            second = again[run][event]
            order.append((latest, place, row, second.popleft() if second else None))
    alone = (number for events in again.values() for numbers in events.values() for number in numbers)
    order += [(moments[number], files.index(of_all), number, number) for number in alone]
    order.sort(key=lambda event: event[:3])
    numbers = {second: place for place, (*_, second) in enumerate(order, 1) if second is not None}
    return [(files[place], row) for _, place, row, _ in order], numbers


def _digests(path: Path) -> Iterator[tuple[int, str, datetime, bytes]]:
    """Yield number, run, moment and digest of each event of a file, in its order."""
    with _file(path).connect() as source:
        table = Table(_EVENTS, MetaData(), autoload_with=source)
        asked = select(table.c.id, table.c.run_id, table.c.timestamp, table.c.event).order_by(table.c.id)
        for number, run, moment, event in source.execute(asked):
            yield number, run, moment or _LONG_AGO, hashlib.sha256(event.encode()).digest()


def _events(order: list[tuple[Path, int]], numbers: Mapping[int, int]) -> Iterator[list[dict[str, Any]]]:
    """Yield the events of all runs in their order, with their new numbers."""
    done = 0
    for path, group in groupby(order, key=lambda event: event[0]):
        rows = [row for _, row in group]
        with _file(path).connect() as source:
            table = Table(_EVENTS, MetaData(), autoload_with=source)
            for begin in range(0, len(rows), _ROWS):
                asked = select(table).where(table.c.id.in_(rows[begin : begin + _ROWS])).order_by(table.c.id)
                batch = [dict(row) for row in source.execute(asked).mappings()]
                for row in batch:
                    done += 1
                    row |= {"id": done, "event": _renumbered(row["event"], numbers)}
                yield batch


def _rows(path: Path, name: str, numbers: Mapping[int, int]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table, with the new number of each event that they refer to."""
    with _file(path).connect() as source:
        table = Table(name, MetaData(), autoload_with=source)
        for part in source.execute(select(table).order_by(table.c.id)).mappings().partitions(_ROWS):
            yield [_referring(name, dict(row), numbers) for row in part]


def _referring(name: str, row: dict[str, Any], numbers: Mapping[int, int]) -> dict[str, Any]:
    for column in _REFERRING_COLUMNS.get(name, ()):
        if row[column] is not None:
            row[column] = numbers.get(row[column], _NOWHERE)
    if name == "asset_event_tags" and row["key"].startswith(_POINTER):
        row["value"] = _pointed(row["value"], numbers)
    if name == "asset_keys":
        row |= {"last_materialization": _renumbered(row["last_materialization"], numbers), "cached_status_data": None}
    if name == "asset_check_executions":
        row["evaluation_event"] = _renumbered(row["evaluation_event"], numbers)
    return row


def _renumbered(document: str | None, numbers: Mapping[int, int]) -> str | None:
    """Return an event as Dagster writes it, with the new numbers of the events that it refers to."""
    if document is None or not _REFERRING.search(document):
        return document
    return json.dumps(_walked(json.loads(document), numbers))


def _walked(node: Any, numbers: Mapping[int, int]) -> Any:
    if isinstance(node, list):
        return [_walked(each, numbers) for each in node]
    if not isinstance(node, dict):
        return node
    walked = {
        key: _pointed(value, numbers) if key.startswith(_POINTER) else _walked(value, numbers)
        for key, value in node.items()
    }
    if walked.get("__class__") in _NUMBERED_CLASSES:
        walked["storage_id"] = numbers.get(walked["storage_id"], _NOWHERE)
    return walked


def _pointed(value: Any, numbers: Mapping[int, int]) -> Any:
    return str(numbers.get(int(value), _NOWHERE)) if isinstance(value, str) and value.isdecimal() else value
