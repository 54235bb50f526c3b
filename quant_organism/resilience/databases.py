"""SQLite files at rest: whether one is whole, and a copy of one that another process may be writing meanwhile."""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from quant_organism.errors import BusyError, IntegrityError, StorageError
from quant_organism.resilience.files import flush_folders

_PATIENCE_S: Final = 5.0
_EVERY_PAGE: Final = "PRAGMA quick_check(1)"
_HEADER: Final = b"SQLite format 3\0"


def is_database(path: Path) -> bool:
    """Tell whether a file begins as SQLite files do; an empty one is none yet."""
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def damage_of(path: Path, *, every_page: bool = True) -> str:
    """Say what is wrong with a SQLite file; empty where nothing is.

    Parameters
    ----------
    path
        The file.
    every_page
        Read all of it; otherwise only see whether it can be opened.
    """
    if path.stat().st_size == 0:
        return ""  # made, and nothing in it yet
    question = _EVERY_PAGE if every_page else "SELECT 'ok' FROM sqlite_master LIMIT 1"
    try:
        with contextlib.closing(_reading(path)) as database:
            return _answer(database, question)
    except sqlite3.OperationalError:
        return ""  # busy, or its journal cannot be replayed by who only reads: whoever writes will see
    except sqlite3.DatabaseError as error:
        return str(error)


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite file as it is after its last whole transaction, whoever writes it; the copy needs no other file.

    Raises
    ------
    BusyError
        Somebody keeps it locked.
    IntegrityError
        It is damaged.
    StorageError
        The disk is full.
    """
    target.unlink(missing_ok=True)
    try:
        with contextlib.closing(_reading(source)) as one, contextlib.closing(sqlite3.connect(target)) as other:
            one.backup(other)
            damage = _answer(other, _EVERY_PAGE)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise StorageError(
                f"the copy cannot be written: {error}", where=str(target), remedy="free some space, or see to the disk"
            ) from error
        raise BusyError(
            f"the database cannot be read: {error}", where=str(source), remedy="try again in a moment"
        ) from error
    except sqlite3.DatabaseError as error:
        raise IntegrityError(
            f"the database is damaged: {error}", where=str(source), remedy="see what else is: quant-organism doctor"
        ) from error
    if damage:
        raise IntegrityError(
            f"the database is damaged: {damage}", where=str(source), remedy="see what else is: quant-organism doctor"
        )
    shutil.copymode(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    flush_folders([target.parent])


def _answer(database: sqlite3.Connection, question: str) -> str:
    row = database.execute(question).fetchone()
    found = "ok" if row is None else str(row[0])
    return "" if found == "ok" else found.splitlines()[-1]


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)
