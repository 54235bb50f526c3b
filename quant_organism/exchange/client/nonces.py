"""Nonces of one signer: strictly increasing over threads, objects and restarts.

Whoever holds a signer's source holds a lock on its file, so that no second process or object signs with the same
wallet. What is written down is a bound that has not been reached yet: a crash skips nonces, it never repeats one.
"""

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from quant_organism.errors import BusyError, IntegrityError
from quant_organism.resilience.files import write_file

_BLOCK: Final = 5_000
"""Nonces that are drawn between two writes; as they are milliseconds, five seconds' worth, far inside the window."""


class NonceSource:
    """Draws nonces for one signer.

    Parameters
    ----------
    folder
        Where bound and lock are kept; the same for all that sign with this wallet.
    signer
        Address of the wallet, lower case.
    now_ms
        Wall clock: the venue takes nonces only within days of its own time.

    Raises
    ------
    BusyError
        Another process, or another source of this one, holds the signer.
    IntegrityError
        The file does not hold a number.
    """

    def __init__(self, folder: Path, signer: str, now_ms: Callable[[], int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._now, self._lock = folder / f"{signer}.nonce", now_ms, threading.Lock()
        self._descriptor = os.open(folder / f"{signer}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise BusyError(
                "another process signs with this wallet",
                where=signer,
                remedy="stop it first, or approve another agent wallet for this one",
            ) from None
        try:
            self._bound = int(self._path.read_text()) if self._path.exists() else 0
        except ValueError:
            os.close(self._descriptor)
            raise IntegrityError(
                "not a number", where=str(self._path), remedy="remove the file if the clock is right"
            ) from None
        self._last = self._bound

    def draw(self) -> int:
        """Return a nonce greater than every one before it: the time in ms, or the next number where that is taken."""
        with self._lock:
            self._last = max(self._now(), self._last + 1)
            if self._last >= self._bound:
                self._bound = self._last + _BLOCK
                write_file(self._path, str(self._bound).encode())
            return self._last

    def close(self) -> None:
        """Let others sign with this wallet."""
        os.close(self._descriptor)
