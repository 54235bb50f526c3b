"""The trader's ledger: every decision, verdict, order, fill and close, written once; SQLite, one writing process.

A close is written whole or not at all, together with the state that the accounts have after it: a trader that is killed
goes on from its last whole close. Readers (`quant_organism.trading.reading`) never hold it up.
"""

from __future__ import annotations

import types
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

from quant_organism.errors import IntegrityError
from quant_organism.trading.records import RECORDS, LedgerRecord, LedgerSession, Mode
from quant_organism.trading.store import Store

R = TypeVar("R", bound=LedgerRecord)

SCHEMA_VERSION: Final = 2

UPGRADES: Final[Mapping[str, Sequence[str]]] = {"1": ("ALTER TABLE profits ADD COLUMN share REAL",)}
"""By version, what makes a file of it one of the next."""

_SQL_TYPES: Final[Mapping[type, str]] = {int: "INTEGER", bool: "INTEGER", float: "REAL", str: "TEXT"}
_INDEXED: Final = ("close_ms", "open_ms")


def ledger_path(data_dir: Path, mode: Mode) -> Path:
    """Return where a mode keeps its ledger: replays have one of their own, so that they hold up no trader."""
    return data_dir / "trader" / ("replay.sqlite" if mode == "replay" else "ledger.sqlite")


class TraderLedger:
    """The ledger, opened to be written.

    Parameters
    ----------
    path
        Made if it is not there; readable by its owner alone.
    survives_power_cut
        Whether each close is on disk before the next step; a replay can be repeated and needs not wait for that.

    Raises
    ------
    BusyError
        Another process writes it.
    IntegrityError
        It is damaged, of another version, or no ledger.
    """

    def __init__(self, path: Path, *, survives_power_cut: bool = True) -> None:
        self.path = path
        facts = {"kind": "trader", "schema_version": str(SCHEMA_VERSION)}
        self._store = Store(
            path, _schema(), facts, upgrades=UPGRADES, kind="ledger", survives_power_cut=survives_power_cut
        )

    def close(self) -> None:
        """Close the file, and let another process write it."""
        self._store.close()

    def write(self, records: Iterable[LedgerRecord], states: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Add facts, and what a trader goes on from after them, whole or not at all.

        Parameters
        ----------
        records
            Of any tables, in the order in which they came about.
        states
            Values of JSON by name: of accounts by theirs; each takes the place of its earlier state.

        Raises
        ------
        StorageError
            The disk refuses; nothing of it was written.
        """
        by_table: dict[type[LedgerRecord], list[tuple[Any, ...]]] = {}
        for record in records:
            by_table.setdefault(type(record), []).append(to_row(record))

        def work() -> None:
            for kind, rows in by_table.items():
                self._store.execute_many(_insertion(kind), rows)
            for name, state in (states or {}).items():
                packed = zlib.compress(orjson.dumps(state), 1)
                self._store.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", (name, packed))

        self._store.write(work, is_durable=True)

    def read(self, kind: type[R], **equals: object) -> list[R]:
        """Return the records of a table in the order in which they were written, those with these values only."""
        statement, values = selection(kind, equals)
        return [of_row(kind, row) for row in self._store.read(statement, values)]

    def state(self, name: str) -> dict[str, Any] | None:
        """Return what was left under a name with the last close that was written, or none.

        Raises
        ------
        IntegrityError
            It cannot be read.
        """
        rows = self._store.read("SELECT state FROM states WHERE name = ?", (name,))
        return unpacked(rows[0][0], name, self.path) if rows else None

    def next_session(self) -> int:
        """Return the number that the next session has."""
        return int(self._store.read("SELECT coalesce(max(session), 0) + 1 FROM sessions")[0][0])

    def last_session(self, identity: str) -> LedgerSession | None:
        """Return the latest session of an identity, or none."""
        sessions = self.read(LedgerSession, identity=identity)
        return sessions[-1] if sessions else None


def unpacked(state: bytes, name: str, path: Path) -> dict[str, Any]:
    """Return the values of a stored state.

    Raises
    ------
    IntegrityError
        It cannot be read.
    """
    try:
        values: dict[str, Any] = orjson.loads(zlib.decompress(state))
        return values
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise IntegrityError(
            f"the state {name} cannot be read: {error}",
            where=str(path),
            remedy="keep the file, and begin with a new one",
        ) from error


def to_row(record: LedgerRecord) -> tuple[Any, ...]:
    """Return a record as values of its table."""
    of_record, structured = _ROWS[type(record)]
    values = list(of_record(record))
    for place in structured:
        if isinstance(values[place], Mapping):
            values[place] = orjson.dumps(values[place]).decode()
    return tuple(values)


def of_row(kind: type[R], row: Iterable[Any]) -> R:
    """Return the record of a row of its table."""
    values = {
        name: orjson.loads(value) if column == "JSON" else bool(value) if column == "BOOL" else value
        for (name, (column, _)), value in zip(_COLUMNS[kind].items(), row, strict=True)
    }
    return kind(**values)


def columns(kind: type[LedgerRecord]) -> tuple[str, ...]:
    """Return the names of a table's columns."""
    return tuple(_COLUMNS[kind])


def selection(kind: type[LedgerRecord], equals: Mapping[str, object]) -> tuple[str, list[Any]]:
    """Return the question for records with these values, oldest first, and its values."""
    where = " AND ".join(f"{name} = ?" for name in equals)
    return (
        f"SELECT {', '.join(columns(kind))} FROM {kind.table}{' WHERE ' + where if where else ''} ORDER BY rowid",
        list(equals.values()),
    )


def _columns_of(kind: type[LedgerRecord]) -> dict[str, tuple[str, bool]]:
    # Of each column its type (JSON and BOOL are told apart) and whether it may be missing.
    hints = get_type_hints(kind)
    return {field.name: _column_type(hints[field.name]) for field in fields(kind)}  # type: ignore[arg-type]


def _column_type(hint: Any) -> tuple[str, bool]:
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    (kind,) = [part for part in parts if part is not type(None)]
    if get_origin(kind) is Literal:
        kind = str
    name = "JSON" if get_origin(kind) is Mapping else "BOOL" if kind is bool else _SQL_TYPES[kind]
    return name, type(None) in parts


_COLUMNS: Final = {kind: _columns_of(kind) for kind in RECORDS}

_ROWS: Final = {
    kind: (attrgetter(*own), tuple(place for place, (column, _) in enumerate(own.values()) if column == "JSON"))
    for kind, own in _COLUMNS.items()
}
"""Of each kind what returns the values of a record, and the places of those that are structured."""


def _insertion(kind: type[LedgerRecord]) -> str:
    names = columns(kind)
    return f"INSERT INTO {kind.table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def _schema() -> str:
    parts = [
        "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
        "CREATE TABLE IF NOT EXISTS states (name TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT;",
    ]
    for kind in RECORDS:
        described = ", ".join(
            f"{name} {'TEXT' if column == 'JSON' else 'INTEGER' if column == 'BOOL' else column}"
            f"{'' if may_miss else ' NOT NULL'}"
            for name, (column, may_miss) in _COLUMNS[kind].items()
        )
        parts.append(f"CREATE TABLE IF NOT EXISTS {kind.table} ({described}) STRICT;")
        parts += [
            f"CREATE INDEX IF NOT EXISTS {kind.table}_by_{name} ON {kind.table} (session, {name});"
            for name in _INDEXED
            if name in columns(kind)
        ]
        parts += [
            f"CREATE TRIGGER IF NOT EXISTS {kind.table}_stay_{verb} BEFORE {verb} ON {kind.table} "
            "BEGIN SELECT RAISE(ABORT, 'facts are added, never changed'); END;"
            for verb in ("UPDATE", "DELETE")
        ]
    return "\n".join(parts)
