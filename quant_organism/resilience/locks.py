"""One writer at a time in a folder; the system frees the lock however its holder ends.

On an object store, where no system does, the lock is a lease: see `leases`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from quant_organism.errors import BusyError
from quant_organism.resilience.files import storage_error
from quant_organism.resilience.leases import leased
from quant_organism.resilience.objects import ObjectPath, StoragePath

_PATIENCE_S: Final = 60.0


@contextmanager
def alone_in(folder: StoragePath, doing: str, *, name: str = "", patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Keep other processes and threads out of a folder, which is made if it is not there, for as long as this lasts.

    Parameters
    ----------
    folder
        What is locked, for everyone who asks here.
    doing
        What whoever holds the lock is doing, for the message to others.
    name
        What in the folder is locked; by default all of it.
    patience_s
        How long to wait for another holder, in seconds.

    Raises
    ------
    BusyError, StorageError
        Another one held it for so long, or the folder cannot be written.
    """
    if isinstance(folder, ObjectPath):
        with leased(folder, doing, name=name, patience_s=patience_s):
            yield
        return
    assert isinstance(folder, Path)
    lock = FileLock(folder / f"{name}.lock", timeout=patience_s)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"another process has been {doing} for {patience_s:g} seconds",
            where=str(folder),
            remedy="wait until it has ended, then run the same again",
        ) from None
    except OSError as error:
        raise storage_error(error, folder) from error
    try:
        yield
    finally:
        lock.release()
