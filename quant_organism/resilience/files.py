"""Files that are replaced whole or not at all, whatever kills the writer and whenever.

A file is written under a temporary name in its own folder, flushed to disk and renamed over the old one. A writer holds
a lock on its temporary file for as long as it lives; one that nobody holds was left by a killed writer and is removed.
On an object store a file is one object, put there in one request.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from quant_organism.errors import StorageError
from quant_organism.resilience.leases import check_held
from quant_organism.resilience.objects import ObjectPath, StoragePath

_PREFIX: Final = ".writing-"
_STAGED: Final = ".tmp"

PASSING: Final = re.compile(rf"{re.escape(_PREFIX)}.*|\..*{re.escape(_STAGED)}|.*\.lock", re.DOTALL)
"""Names of what comes and goes in a folder: locks, and files that are being written."""

_REMEDIES: Final = {
    errno.ENOSPC: ("the disk is full", "free some space, or choose another folder"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another folder"),
    errno.EROFS: ("the file system is read-only", "choose a folder on a writable disk"),
    errno.EACCES: ("permission denied", "make the folder writable for this user, or choose another one"),
    errno.EPERM: ("permission denied", "make the folder writable for this user, or choose another one"),
    errno.ENOTDIR: ("a file is where a folder should be", "choose a folder that is not inside a file"),
    errno.EEXIST: ("a file is where a folder should be", "choose a folder that is not inside a file"),
}


def write_file(path: StoragePath, content: bytes) -> bool:
    """Make `path` hold `content`; return whether anything had to be written.

    Raises
    ------
    StorageError
        The folder cannot be written (full, read-only, not a folder); the file is then what it was before.
    """
    return bool(write_files([(path, content)]))


def write_files(files: Iterable[tuple[StoragePath, bytes]]) -> int:
    """Make each path hold its content, file by file; return how many had to be written. As `write_changed`."""
    return len(write_changed(files))


def write_changed(files: Iterable[tuple[StoragePath, bytes]]) -> list[StoragePath]:
    """Make each path hold its content, file by file; return those that had to be written.

    Each file appears whole or not at all. Folders are flushed once at the end, not once a file.

    Raises
    ------
    StorageError
        A folder cannot be written (full, read-only, not a folder); its file is then what it was before.
    """
    changed: dict[Path, None] = {}  # folders whose entries changed, in order
    written: list[StoragePath] = []
    folder = Path()
    try:
        for path, content in files:
            if isinstance(path, ObjectPath):
                check_held(path)
                if path.replace(content):
                    written.append(path)
                continue
            assert isinstance(path, Path)
            folder = path.parent
            _make_folder(folder, changed)
            _remove_abandoned(folder)
            if path.exists() and path.read_bytes() == content:
                continue
            _replace(path, content)
            changed[folder] = None
            written.append(path)
        flush_folders(changed)
    except OSError as error:
        raise storage_error(error, folder) from error
    return written


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write many files; each is replaced at once, and none before all are safely on disk under temporary names.

    The caller keeps other writers out. What a killed one left behind is `abandoned_files`, for the caller to remove.

    Raises
    ------
    StorageError
        The disk is full or a folder cannot be written; the files are as they were.
    """
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}{_STAGED}") for path in contents}
    path = Path()
    try:
        for path, content in contents.items():
            temporaries[path].write_bytes(content)
        for temporary in temporaries.values():
            _flush(temporary)
        for path, temporary in temporaries.items():
            temporary.replace(path)
    except OSError as error:
        remove_files(temporaries.values())
        raise storage_error(error, path) from error
    flush_folders(path.parent for path in contents)


def abandoned_files(folder: Path) -> list[Path]:
    """Return what a killed `replace_files` left in a folder."""
    return list(folder.glob(f".*{_STAGED}"))


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files, those that are not there included, so that a power cut does not bring them back."""
    folders = set()
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            folders.add(path.parent)
    flush_folders(folders)


def flush_folders(folders: Iterable[Path]) -> None:
    """Make what was made, renamed and removed in these folders survive a power cut."""
    for folder in sorted(set(folders)):
        _flush(folder)


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


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(error: OSError, path: Path) -> StorageError:
    """Say in words what the operating system refused to do with a file or folder."""
    what, remedy = _REMEDIES.get(error.errno or 0, (str(error.strerror), "see to the disk, then run the same again"))
    return StorageError(f"{what}; what was there before is unchanged", where=str(path), remedy=remedy)
