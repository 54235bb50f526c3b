"""One process at a time computes in a data folder, be it of a command or of the web UI."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from quant_organism.errors import BusyError, StorageError


@contextmanager
def run_lock(data_dir: Path, *, waits: Callable[[str], object] | None = None) -> Iterator[None]:
    """Hold the data folder's run lock; the operating system frees it when the process ends, however it ends.

    Parameters
    ----------
    data_dir
        The data folder.
    waits
        Told who holds the lock, and then it is waited for; without, the second is refused.

    Raises
    ------
    BusyError
        Another process holds it.
    StorageError
        The data folder cannot be written.
    """
    holder = data_dir / "run.pid"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(data_dir / "run.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            pid = holder.read_text(encoding="ascii").strip() if holder.exists() else "unknown"
            held = f"another run (process {pid}) is computing in this data folder"
            if waits is None:
                remedy = "wait for it to end, or choose another folder with --data-dir"
                raise BusyError(held, where=str(data_dir), remedy=remedy) from None
            waits(held)
            lock.acquire(timeout=-1)
    except OSError as error:
        raise StorageError(
            f"the data folder cannot be written: {error.strerror}",
            where=str(data_dir),
            remedy="make it writable, or choose another one with --data-dir",
        ) from error
    try:
        holder.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def is_computing(data_dir: Path) -> bool:
    """Tell whether some process holds the data folder's run lock."""
    if not (data_dir / "run.lock").exists():
        return False
    lock = FileLock(data_dir / "run.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False
