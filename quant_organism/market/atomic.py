"""Files that are replaced whole or not at all, whatever kills the writer and whenever.

A file is written under a temporary name in its own folder, flushed to disk and renamed over the old one. A writer holds
a lock on its temporary file for as long as it lives; one that nobody holds was left by a killed writer and is removed.
"""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from quant_organism.errors import StorageError

_PREFIX: Final = ".writing-"


def write_file(path: Path, content: bytes) -> bool:
    """Make `path` hold `content`; return whether anything had to be written.

    Raises
    ------
    StorageError
        The folder cannot be written (full, read-only, not a folder); the file is then what it was before.
    """
    return bool(write_files([(path, content)]))


def write_files(files: Iterable[tuple[Path, bytes]]) -> int:
    """Make each path hold its content, file by file; return how many had to be written.

    Each file appears whole or not at all. Folders are flushed once at the end, not once a file.

    Raises
    ------
    StorageError
        A folder cannot be written (full, read-only, not a folder); its file is then what it was before.
    """
    changed: dict[Path, None] = {}  # folders whose entries changed, in order
    written = 0
    folder = Path()
    try:
        for path, content in files:
            folder = path.parent
            _make_folder(folder, changed)
            _remove_abandoned(folder)
            if path.exists() and path.read_bytes() == content:
                continue
            _replace(path, content)
            changed[folder] = None
            written += 1
        for folder in changed:
            _flush_folder(folder)
    except OSError as error:
        raise storage_error(error, folder) from error
    return written


def _make_folder(folder: Path, changed: dict[Path, None]) -> None:
    missing = folder
    while not missing.exists():
        changed[missing.parent] = None
        missing = missing.parent
    folder.mkdir(parents=True, exist_ok=True)


def _remove_abandoned(folder: Path) -> None:
    for left in folder.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(left, os.O_RDWR)
        except FileNotFoundError:  # its writer finished between the listing and now
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink(missing_ok=True)
        except BlockingIOError:  # its writer lives
            pass
        finally:
            os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    descriptor, temporary = _open_temporary(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _open_temporary(folder: Path) -> tuple[int, Path]:
    while True:
        temporary = folder / f"{_PREFIX}{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # another process took it for abandoned before it was locked


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(error: OSError, folder: Path) -> StorageError:
    """Return what to tell a person about a write that failed: the folder, why, and what to do."""
    remedies = {
        errno.ENOSPC: "free some space, or choose another data folder",
        errno.EDQUOT: "free some of your quota, or choose another data folder",
        errno.EROFS: "choose a data folder on a writable disk",
        errno.EACCES: "give yourself the right to write there, or choose another data folder",
        errno.EPERM: "give yourself the right to write there, or choose another data folder",
        errno.ENOTDIR: "choose a data folder that is not inside a file",
        errno.EEXIST: "choose a data folder that is not inside a file",
    }
    return StorageError(
        f"cannot write: {error.strerror}; what was there before is unchanged",
        where=str(folder),
        remedy=remedies.get(error.errno or 0, "see to the disk, then run the same again"),
    )
