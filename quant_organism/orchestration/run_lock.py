"""One command at a time computes in a data folder; the second is refused and told who holds it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from quant_organism.errors import BusyError, StorageError


@contextmanager
def run_lock(data_dir: Path) -> Iterator[None]:
    """Hold the data folder's run lock; the operating system frees it when the process ends, however it ends.

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
        lock.acquire()
    except Timeout:
        pid = holder.read_text(encoding="ascii").strip() if holder.exists() else "unknown"
        raise BusyError(
            f"another command (process {pid}) is computing in this data folder",
            where=str(data_dir),
            remedy="wait for it to end, or choose another folder with --data-dir",
        ) from None
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
