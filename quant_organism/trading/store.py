"""The file under journal and ledger: opened only if it is whole, written by one process, not needed to get out.

Where the disk fails while it is in use, what is known is carried on in memory, loudly: orders that close, and cancels,
go on; whatever must survive a crash before it may be sent is refused.
"""

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from quant_organism.errors import BusyError, IntegrityError, StorageError

T = TypeVar("T")
_NOWHERE: Final = Path(":memory:")
OWNER_ONLY: Final = 0o600
_DISK: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
    }
)
"""Failures of the disk and not of what is on it."""
_VERSION: Final = "schema_version"
_REBUILT: Final = "keep it, and open a backup of it or a new one: what the venue knows is taken from there"

log = logging.getLogger(__name__)


class Store:
    """A SQLite file that belongs to this process as long as it is open.

    Parameters
    ----------
    path
        Made if it is not there; readable by its owner alone. None: in memory, for whoever needs no disk.
    schema
        Statements that make what is not there.
    facts
        What its table `facts` must say; written into a new file.
    upgrades
        Statements that make a file of a `schema_version` one of the next; none: such a file is refused.
    kind
        What it is called in messages.
    survives_power_cut
        Whether a write is on disk when it returns; otherwise a power cut may cost the last ones, and nothing else.

    Raises
    ------
    BusyError
        Another process writes it.
    IntegrityError
        It is damaged, or says other facts.
    """

    def __init__(
        self,
        path: Path | None,
        schema: str,
        facts: Mapping[str, str],
        *,
        upgrades: Mapping[str, Sequence[str]] | None = None,
        kind: str = "journal",
        survives_power_cut: bool = True,
    ) -> None:
        self.path, self._schema, self._facts, self._upgrades = path or _NOWHERE, schema, dict(facts), upgrades or {}
        self._kind = kind
        self._synchronous = "FULL" if survives_power_cut else "NORMAL"
        self.failure: str | None = None
        """Why nothing is written to disk any more."""
        self._lock, self._is_writing = threading.RLock(), False
        self._is_copy = False
        self._descriptor: int | None = None
        if path is None:
            self._db = self._disk = self._fresh()
            return
        try:
            self._descriptor = _locked(path, kind)
            _make_private(path)
        except OSError as error:
            self._db = self._disk = self._fresh()
            self._fail(str(error))
            return
        try:
            self._db = self._disk = self._checked()
        except BaseException:
            self._release()
            raise

    def close(self) -> None:
        """Close the file, and let another process write it."""
        self._db.close()
        self._disk.close()
        self._release()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement that changes something; only within `write`."""
        return self._db.execute(statement, values)

    def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of some rows; only within `write`."""
        self._db.executemany(statement, rows)

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a question."""
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.DatabaseError as error:
                self._go_on_in_memory(error)
                return self._db.execute(statement, values).fetchall()

    def fact(self, name: str) -> str | None:
        """Return what the table of facts says, or None where it says nothing."""
        rows = self.read("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0]["value"]) if rows else None

    def set_fact(self, name: str, value: str) -> None:
        """Have the table of facts say something; only within `write`."""
        self.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def write(self, work: Callable[[], T], *, is_durable: bool = False) -> T:
        """Do some work whole or not at all; within other such work it is part of that.

        Parameters
        ----------
        work
            Runs statements; it may be run a second time, in memory, where the disk fails.
        is_durable
            It must be on disk.

        Raises
        ------
        StorageError
            It must be on disk, and cannot be.
        """
        with self._lock:
            if self._is_writing:
                return work()
            if is_durable and self.failure is not None and not self.recover():
                raise self._refusal()
            try:
                return self._committed(work)
            except sqlite3.IntegrityError:
                raise
            except sqlite3.DatabaseError as error:
                if is_durable:
                    raise StorageError(
                        f"cannot be written: {error}", where=str(self.path), remedy=_ONLY_EXITS
                    ) from None
                self._go_on_in_memory(error)
                return self._committed(work)

    def recover(self) -> bool:
        """Bring what was carried on in memory back to disk, if that can be written again; say whether it is there."""
        with self._lock:
            if self.failure is None:
                return True
            if not self._is_copy:
                return False
            try:
                self._db.backup(self._disk)
                self._disk.execute("PRAGMA wal_checkpoint")
            except sqlite3.DatabaseError:
                return False
            self._db.close()
            self._db, self.failure, self._is_copy = self._disk, None, False
            log.warning("%s: written to disk again", self.path)
            return True

    def _refusal(self) -> StorageError:
        return StorageError(f"cannot be written: {self.failure}", where=str(self.path), remedy=_ONLY_EXITS)

    def _committed(self, work: Callable[[], T]) -> T:
        self._db.execute("BEGIN IMMEDIATE")
        self._is_writing = True
        try:
            result = work()
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        finally:
            self._is_writing = False
        return result

    def _go_on_in_memory(self, error: sqlite3.DatabaseError) -> None:
        if self.failure is not None:
            raise IntegrityError(f"the copy in memory failed: {error}", where=str(self.path), remedy=_REBUILT) from None
        memory = _connected(":memory:")
        try:
            self._db.backup(memory)
            self._is_copy = _damage(memory) is None
        except sqlite3.DatabaseError:
            self._is_copy = False
        if not self._is_copy:
            memory.close()
            memory = self._fresh()
        self._db = memory
        self._fail(str(error))

    def _fail(self, why: str) -> None:
        self.failure = why
        log.critical("%s: %s; from now on only orders that close and cancels are sent, unwritten", self.path, why)

    def _fresh(self) -> sqlite3.Connection:
        memory = _connected(":memory:")
        self._prepare(memory)
        return memory

    def _prepare(self, db: sqlite3.Connection) -> None:
        # whole or not at all: a file with tables and no facts would be nobody's
        db.executescript(f"BEGIN IMMEDIATE;\n{self._schema}")
        db.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", sorted(self._facts.items()))
        db.execute("COMMIT")

    def _checked(self) -> sqlite3.Connection:
        """Return the file's connection, or one to memory where the disk fails."""
        db = _connected(str(self.path))
        try:
            damage = _damage(db)
            if damage is not None:
                raise IntegrityError(f"it is damaged: {damage}", where=str(self.path), remedy=_REBUILT)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {self._synchronous}")
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchone() is None:
                self._prepare(db)
            facts = _facts_of(db)
            others = {name: value for name, value in self._facts.items() if name != _VERSION}
            if others.items() <= facts.items() and facts.get(_VERSION) in self._upgrades:
                facts = self._upgraded(db, facts[_VERSION])
        except sqlite3.DatabaseError as error:
            db.close()
            if _code(error) not in _DISK:
                raise IntegrityError(f"not a {self._kind}: {error}", where=str(self.path), remedy=_REBUILT) from None
            self._fail(str(error))
            return self._fresh()
        except BaseException:
            db.close()
            raise
        if any(facts.get(name) != value for name, value in self._facts.items()):
            db.close()
            if is_newer(facts, self._facts):
                raise IntegrityError(
                    f"this {self._kind} was written by a newer version of quant-organism (schema version "
                    f"{facts[_VERSION]}, this one reads up to {self._facts[_VERSION]}); nothing was changed",
                    where=str(self.path),
                    remedy="use the newer version, or restore a backup from before it",
                )
            said = {name: facts.get(name) for name in self._facts}
            raise IntegrityError(f"it holds {said}, not {self._facts}", where=str(self.path), remedy="name another one")
        return db

    def _upgraded(self, db: sqlite3.Connection, version: str) -> dict[str, str]:
        """Bring a file to the present version, whole or not at all; return its facts."""
        db.execute("BEGIN IMMEDIATE")
        try:
            while version in self._upgrades:
                for statement in self._upgrades[version]:
                    db.execute(statement)
                version = str(int(version) + 1)
            db.execute("UPDATE facts SET value = ? WHERE name = ?", (version, _VERSION))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.executescript(self._schema)
        return _facts_of(db)

    def _release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


_ONLY_EXITS: Final = "free some space; until then orders that only reduce, cancels and flattening are possible"


def is_newer(facts: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """Tell whether the facts of a file are those of a later schema version than the known ones, and the same else."""
    found, mine = facts.get(_VERSION, ""), known[_VERSION]
    same = all(facts.get(name) == value for name, value in known.items() if name != _VERSION)
    return same and found.isdecimal() and int(found) > int(mine)


def _facts_of(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT name, value FROM facts").fetchall())


def _connected(name: str) -> sqlite3.Connection:
    db = sqlite3.connect(name, check_same_thread=False, isolation_level=None, timeout=30.0)
    db.row_factory = sqlite3.Row
    return db


def _damage(db: sqlite3.Connection) -> str | None:
    """Return what is wrong with a file by its own account of its pages, or None."""
    text = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return None if text == "ok" else text


def _code(error: sqlite3.DatabaseError) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _locked(path: Path, kind: str) -> int:
    """Return the descriptor of a lock that this process holds.

    Raises
    ------
    BusyError
        Another one holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path.with_name(f"{path.name}.lock"), flags, OWNER_ONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError(f"another process writes this {kind}", where=str(path), remedy="stop it first") from None
    return descriptor


def _make_private(path: Path) -> None:
    """Make the file if it is not there, and have nobody but its owner read it."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY))
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        each = path.with_name(name)
        if each.exists() and each.stat().st_mode & 0o077:
            each.chmod(OWNER_ONLY)
