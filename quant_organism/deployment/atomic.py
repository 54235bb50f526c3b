"""Write files so that whoever kills the process, or pulls the plug, leaves each file as it was or as it should be."""

import contextlib
import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from quant_organism.errors import StorageError

_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "free some space and run again; nothing was lost"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run again; nothing was lost"),
    errno.EROFS: ("the file system is read-only", "mount it for writing, or choose another folder"),
    errno.EACCES: ("permission denied", "make the folder writable for this user, or choose another folder"),
    errno.EPERM: ("permission denied", "make the folder writable for this user, or choose another folder"),
}


def storage_error(error: OSError, path: Path) -> StorageError:
    """Say in words what the operating system refused to do with a file or folder."""
    what, remedy = _REMEDIES.get(error.errno or 0, (str(error), "check the folder and the disk"))
    return StorageError(what, where=str(path), remedy=remedy)


def temporary_name(path: Path) -> Path:
    """Return the hidden name beside `path` that this process writes under before it renames."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write many files; each is replaced at once, and none before all are safely on the disk under temporary names.

    Raises
    ------
    StorageError
        The disk is full or a folder cannot be written; the files are as they were.
    """
    temporaries = {path: temporary_name(path) for path in contents}
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
    flush_folders(contents)


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files, those that are not there included."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def flush_folders(paths: Iterable[Path]) -> None:
    """Make renames and removals in the folders of these files survive a power cut."""
    for folder in sorted({path.parent for path in paths}):
        _flush(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
