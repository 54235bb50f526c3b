"""What this side keeps to before the venue must insist: REST weight, requests of the account, nonces of a signer.

Reference: sections 4 and 17. All tasks of a process share one `WeightLimiter` and, for an account, one `AddressBudget`;
a signer belongs to one `NonceSource` at a time.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from quant_organism.errors import BusyError, IntegrityError, StorageError
from quant_organism.resilience import write_file
from quant_organism.venue.protocol import admission

log = logging.getLogger(__name__)

RESERVED_FOR_ACTIONS: Final = 40
"""Weight that questions leave in the bucket, so that a cancel never waits behind a download."""

OVER_LIMIT_SECONDS: Final = 11.0
_BLOCK: Final = 5_000
"""Nonces that are drawn between two writes; as they are milliseconds, five seconds' worth, far inside the window."""


class WeightLimiter:
    """Spends at most so much weight in any minute.

    A bucket of `burst` that fills with the rest of the limit over a minute: whatever the pattern, no 60 seconds see
    more than `per_minute`. What an answer weighs beyond its question is taken out afterwards, so the bucket may go
    below zero, and the next one waits.

    Parameters
    ----------
    per_minute
        Limit of the venue.
    burst
        How much may be spent at once.
    clock
        Seconds of a clock that never goes back.
    sleep
        Waits so many seconds.
    """

    def __init__(
        self, per_minute: int, burst: int, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._rate, self._burst = (per_minute - burst) / 60, burst
        self._left, self._at = float(burst), clock()
        self._clock, self._sleep, self._lock = clock, sleep, threading.Lock()

    def spend(self, weight: int, *, is_action: bool = False) -> None:
        """Wait until a weight may be spent, and spend it. Actions may use what questions must leave."""
        floor = 0 if is_action else min(RESERVED_FOR_ACTIONS, self._burst // 2)
        while True:
            with self._lock:
                self._fill()
                # heavier than the bucket: it goes when the bucket is full, and is paid off afterwards
                missing = min(weight + floor, self._burst) - self._left
                if missing <= 0:
                    self._left -= weight
                    return
            self._sleep(missing / self._rate)

    def charge(self, weight: int) -> None:
        """Take out what an answer weighed on top, without waiting."""
        with self._lock:
            self._fill()
            self._left -= weight

    def drain(self) -> None:
        """Empty the bucket: the venue said that nothing is left."""
        with self._lock:
            self._fill()
            self._left = min(self._left, 0.0)

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(float(self._burst), self._left + (now - self._at) * self._rate)
        self._at = now


class AddressBudget:
    """Requests that an account may still send: 10,000 and one for each USD it ever traded.

    Beyond that the venue lets one action pass in ten seconds; then this source spaces them, one waiter at a time.

    Parameters
    ----------
    clock, sleep
        As for `WeightLimiter`.
    """

    def __init__(self, *, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._used, self._volume_usd, self._bought = 0, 0, 0
        self._passed_at: float | None = None

    def learn(self, used: int, volume_usd: int, cap: int = 0) -> None:
        """Take over what `userRateLimit` says; a cap above that of the volume has been paid for."""
        with self._lock:
            self._used, self._volume_usd = used, volume_usd
            self._bought = max(cap - admission.request_cap(volume_usd), 0)

    def left(self, *, is_cancel: bool) -> int:
        """Return how many requests the account has left; cancels may go further."""
        cap = admission.cancel_cap if is_cancel else admission.request_cap
        with self._lock:
            return cap(self._volume_usd) + self._bought - self._used

    def spend(self, count: int, *, is_cancel: bool = False) -> None:
        """Count an action of so many items; wait for its turn where nothing is left."""
        if self.left(is_cancel=is_cancel) >= count:
            with self._lock:
                self._used += count
            return
        with self._turn:
            if self._passed_at is not None:
                wait = self._passed_at + OVER_LIMIT_SECONDS - self._clock()
                if wait > 0:
                    self._sleep(wait)
            self._passed_at = self._clock()
        with self._lock:
            self._used += count

    def give_back(self, count: int) -> None:
        """Take back what a refused action was counted: the venue does not count it."""
        with self._lock:
            self._used -= count


class NonceSource:
    """Draws nonces for one signer.

    A disk that fails holds up nothing: nonces are then drawn in memory, loudly. They still rise, being milliseconds;
    what is lost is that they rise over a restart with a clock that goes back.

    Parameters
    ----------
    folder
        Where bound and lock are kept; the same for all that sign with this wallet.
    signer
        Address of the wallet, lower case.
    now_ms
        Wall clock: the venue takes nonces only within days of its own time.
    beside_others
        Draw beside another process that holds the signer, above what that may draw, and write nothing: for whoever
        must act whatever else runs.

    Raises
    ------
    BusyError
        Another process, or another source of this one, holds the signer.
    IntegrityError
        The file does not hold a number.
    """

    def __init__(self, folder: Path, signer: str, now_ms: Callable[[], int], *, beside_others: bool = False) -> None:
        self._path, self._now, self._lock = folder / f"{signer}.nonce", now_ms, threading.Lock()
        self._bound = self._last = 0
        self._descriptor: int | None = None
        self._writes = not beside_others
        if beside_others:
            with suppress(OSError, ValueError):
                self._last = int(self._path.read_text())
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(folder / f"{signer}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._bound = int(self._path.read_text()) if self._path.exists() else 0
        except BlockingIOError:
            self.close()
            raise BusyError(
                "another process signs with this wallet",
                where=signer,
                remedy="stop it first, or approve another agent wallet for this one",
            ) from None
        except OSError as error:
            self._warn(error)
        except ValueError:
            self.close()
            raise IntegrityError(
                "not a number", where=str(self._path), remedy="remove the file if the clock is right"
            ) from None
        self._last = self._bound

    def draw(self) -> int:
        """Return a nonce greater than every one before it: the time in ms, or the next number where that is taken."""
        with self._lock:
            self._last = max(self._now(), self._last + 1)
            if self._writes and self._last >= self._bound:
                self._bound = self._last + _BLOCK
                try:
                    write_file(self._path, str(self._bound).encode())
                except StorageError as error:
                    self._warn(error)
            return self._last

    def close(self) -> None:
        """Let others sign with this wallet."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _warn(self, error: Exception) -> None:
        log.critical("%s: %s; nonces are drawn in memory", self._path, error)
