"""Dagster's SQLite event log, with range backfills written in one transaction instead of one per day and asset.

Dagster hands the materialisations of a range to its storage in batches; its SQLite storage unpacks each batch again
and opens several connections per event. Two years of candles and funding then cost 18 s, here less than one. It also
makes an engine for each connection, which compiles every statement anew; here the engines of the last files are kept.

Dagster offers no public way to do this: the file leans on five private names of it, and is the only one that does.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final, Self

from dagster import DagsterInvariantViolationError
from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, CursorResult, Engine

_INDEX: Final = "index"
"""Stands for the file of all runs, beside the runs' ids; that of events of no run is empty."""

_MOST_ENGINES: Final = 8


class EventLog(SqliteEventLogStorage):
    """The default event log of a Dagster instance, same files and tables, that writes batches as batches."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._one_at_a_time = Lock()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Open the event log of the instance whose home folder is `base_dir`."""
        return cls(base_dir=os.path.join(config_value["base_dir"], "history", "runs"), inst_data=inst_data)

    def run_connection(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        """Connect to the file of a run, in a transaction."""
        return self._connected(str(run_id), lambda: super(EventLog, self).run_connection(run_id))

    def index_connection(self) -> AbstractContextManager[Connection]:
        """Connect to the file of all runs, in a transaction."""
        return self._connected(_INDEX, super().index_connection)

    @contextmanager
    def _connected(self, file: str, first: Callable[[], AbstractContextManager[Connection]]) -> Iterator[Connection]:
        with self._one_at_a_time:
            engine = self._engines.pop(file, None)
            with first() if engine is None else engine.begin() as connection:
                self._engines[file] = connection.engine
                if len(self._engines) > _MOST_ENGINES:
                    del self._engines[next(iter(self._engines))]  # whose turn is the longest ago
                yield connection

    def files_of(self, run_id: str) -> list[Path]:
        """Return the files that hold the events of one run alone, its database last; those of assets are elsewhere."""
        database = self.path_for_shard(run_id)
        paths = [Path(f"{database}{end}") for end in ("-wal", "-shm", "-journal", "")]
        return [path for path in paths if path.is_file()]

    def wipe(self) -> None:
        """Remove all events, and forget the files."""
        super().wipe()
        self._engines.clear()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run: those of assets together, anything else one by one."""
        together = [event for event in events if event.dagster_event_type in ASSET_EVENTS]
        for event in events:
            if event.dagster_event_type not in ASSET_EVENTS:
                self.store_event(event)
        if not together:
            return
        rows = [self._event_to_row(event) for event in together]
        insert = SqlEventLogStorageTable.insert()
        with self.run_connection(together[0].run_id) as connection:
            connection.execute(insert, rows)
        with self.index_transaction() as connection:
            ids = [_new_id(connection.execute(insert, row)) for row in rows]
            self._store_asset_event_tags(connection, together, ids)
            newest = {event.get_dagster_event().asset_key: (event, id) for event, id in zip(together, ids, strict=True)}
            for event, id in newest.values():
                self._store_asset_event(connection, event, id)


def _new_id(result: CursorResult[Any]) -> int:
    if result.inserted_primary_key is None:
        raise DagsterInvariantViolationError("the event log gave no id to an event")
    return int(result.inserted_primary_key[0])
