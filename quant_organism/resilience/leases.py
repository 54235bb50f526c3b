"""One writer at a time in a folder of an object store, which has no locks: leases that their holder renews.

A lease is an object that says who holds it. It is made, taken and renewed under the condition that nobody else has
touched it since it was read. A holder that was killed renews no more: whoever has seen the very same lease for
`LEASE_S` takes it. No clock is compared with that of another machine. A holder that was stopped for so long, and then
goes on, finds its own time run out and writes nothing more.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import orjson

from quant_organism.errors import BusyError, StorageError
from quant_organism.resilience.objects import ObjectPath

LEASE_S: Final = 15.0
"""How long a lease that nobody renews keeps others out, in seconds."""

_RENEWALS: Final = 5
_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0


class Lease:
    """The lease of one folder while it is held.

    Attributes
    ----------
    folder
        What is locked.
    """

    def __init__(self, folder: ObjectPath, path: ObjectPath, doing: str) -> None:
        self.folder = folder
        self._path, self._doing, self._holder = path, doing, secrets.token_hex(16)
        self._version: str | None = None
        self._beats, self._until = 0, 0.0
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name=f"lease of {path}", daemon=True)

    def acquire(self, patience_s: float) -> bool:
        """Take the lease as soon as it is free; return whether it was within some seconds."""
        end, seen, since, pause = time.monotonic() + patience_s, "", time.monotonic(), _PAUSE_S
        while True:
            now = time.monotonic()
            try:
                content, version = self._path.read_version()
            except FileNotFoundError:
                free, instead_of = True, None
            else:
                if version != seen:
                    seen, since = version, now
                free, instead_of = _holder_in(content) is None or now - since > LEASE_S, version
            if free and self._put(instead_of):
                self._renewing.start()
                _held.append(self)
                return True
            if now >= end:
                return False
            time.sleep(min(pause, max(end - now, 0)))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def release(self) -> None:
        """Let others in; what is left to say of a lease that was lost, whoever writes is told."""
        _held.remove(self)
        self._ended.set()
        self._renewing.join()
        self._path.write(orjson.dumps({"holder": None}), self._version)

    def check(self) -> None:
        """See that it is still held.

        Raises
        ------
        StorageError
            This process was stopped, or the server away, for so long that others may hold it now.
        """
        if time.monotonic() >= self._until:
            raise StorageError(
                f"the lock was lost while {self._doing}: it could not be renewed for {LEASE_S:g} seconds",
                where=str(self._path),
                remedy="see to the server and the load of this machine, then run the same again",
            )

    def _put(self, instead_of: str | None) -> bool:
        begun = time.monotonic()
        self._beats += 1
        content = orjson.dumps({"holder": self._holder, "doing": self._doing, "beat": self._beats})
        version = self._path.write(content, instead_of)
        if version is None:  # somebody was first, unless it was this very write, sent again after a lost answer
            try:
                held, version = self._path.read_version()
            except FileNotFoundError:
                return False
            if held != content:
                return False
        self._version, self._until = version, begun + LEASE_S
        return True

    def _renew(self) -> None:
        while not self._ended.wait(LEASE_S / _RENEWALS):
            try:
                if not self._put(self._version):
                    self._until = 0.0  # another one has taken it
                    return
            except StorageError:  # tried again until it runs out
                continue


_held: list[Lease] = []


def check_held(path: ObjectPath) -> None:
    """See that the leases that this process took of folders above a file are still its own; errors as `Lease.check`."""
    for lease in list(_held):
        if path.store == lease.folder.store and path.keys[: len(lease.folder.keys)] == lease.folder.keys:
            lease.check()


@contextmanager
def leased(folder: ObjectPath, doing: str, *, name: str, patience_s: float) -> Iterator[None]:
    """Keep others out of a folder for as long as this lasts; parameters and errors as `alone_in`."""
    lease = Lease(folder, folder / f"{name}.lock", doing)
    if not lease.acquire(patience_s):
        raise BusyError(
            f"another process has been {doing} for {patience_s:g} seconds",
            where=str(folder),
            remedy="wait until it has ended, then run the same again",
        )
    try:
        yield
    finally:
        lease.release()


def _holder_in(content: bytes) -> str | None:
    try:
        holder = orjson.loads(content)["holder"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "unknown"
    return None if holder is None else str(holder)
