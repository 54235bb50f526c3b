"""What happens to open orders when nobody minds them any more.

The venue's own switch (`scheduleCancel`) where it is granted; it is refused until the account has traded $1,000,000.
Then a watchdog of our own: a separate process that holds the other end of a pipe. When the trader dies the pipe closes;
when it hangs the pipe stays silent, and the watchdog kills it first. Either way it then cancels what could open or grow
a position. Orders that only reduce, such as stops, stay: they protect what is held.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

import orjson

from quant_organism.errors import BusyError, InputError
from quant_organism.trading.orders.venue import Venue, cancel_in_batches
from quant_organism.venue import (
    Accepted,
    HyperliquidVenue,
    Limits,
    Rejected,
    VenueError,
    VenueSpec,
    Wallet,
    Why,
    connect,
    wallet_of,
)

MIN_AHEAD_MS: Final = 5_000
_ATTEMPTS: Final = 3_600
"""Tries before a venue that does not answer is given up: an hour at the least."""
_BUSY_ATTEMPTS: Final = 20
"""Tries before it is believed that another process signs, and minds the orders."""
_PAUSE_SECONDS: Final = 1.0
_LOOKS: Final = 2
_RELEASE_SECONDS: Final = 30.0
_CHUNK: Final = 4096

Switch = Literal["granted", "refused", "unknown"]


class DeadMan:
    """Keeps the venue's switch ahead of the present.

    Parameters
    ----------
    venue
        The account.
    seconds
        After so long without a beat the venue cancels everything.
    now_ms
        Time of the venue (`HyperliquidVenue.venue_ms`), by which it looks for a beat.

    Raises
    ------
    InputError
        Less than the venue allows.
    """

    def __init__(self, venue: Venue, seconds: float, now_ms: Callable[[], int]) -> None:
        if seconds * 1000 < 2 * MIN_AHEAD_MS:
            raise InputError(
                f"{seconds} s are too few", where="dead man's switch", remedy=f"use {2 * MIN_AHEAD_MS // 1000} or more"
            )
        self._venue, self._ahead_ms, self._now = venue, int(seconds * 1000), now_ms

    def beat(self) -> Switch:
        """Put the moment of cancelling off; say whether the venue grants it. Do it twice in each span."""
        return self._set(self._now() + self._ahead_ms)

    def release(self) -> Switch:
        """Take the switch back: orders may stay while nobody minds them."""
        return self._set(None)

    def _set(self, time_ms: int | None) -> Switch:
        outcome = self._venue.schedule_cancel(time_ms, self._venue.draw_nonce())
        if isinstance(outcome, Accepted):
            return "granted"
        if isinstance(outcome, Rejected) and outcome.why is Why.VOLUME_GATE:
            return "refused"
        return "unknown"


@dataclass(frozen=True, slots=True)
class WatchdogOrders:
    """What the watchdog is told, over its pipe only.

    Parameters
    ----------
    spec
        Venue and account.
    state_folder
        Nonces and locks of signers.
    parent
        Process that is minded.
    silent_seconds
        After so long without a beat it is taken for hung.
    """

    spec: VenueSpec
    state_folder: Path
    parent: int
    silent_seconds: float


class Watchdog:
    """A process that cancels our orders when this one dies or hangs.

    Parameters
    ----------
    spec, state_folder, silent_seconds
        See `WatchdogOrders`.
    wallet
        Signs for the account; its key goes over the pipe and nowhere else.
    """

    def __init__(self, spec: VenueSpec, state_folder: Path, silent_seconds: float, wallet: Wallet) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "quant_organism.trading.orders.dead_man"], stdin=subprocess.PIPE
        )
        told = {
            "spec": asdict(spec),
            "state_folder": str(state_folder),
            "parent": os.getpid(),
            "silent_seconds": silent_seconds,
            "key": wallet.secret(),
        }
        self._pipe.write(orjson.dumps(told) + b"\n")
        self._pipe.flush()

    @property
    def _pipe(self) -> IO[bytes]:
        if self._process.stdin is None:
            raise RuntimeError("a watchdog without a pipe")
        return self._process.stdin

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def beat(self) -> None:
        """Say that all is well.

        Raises
        ------
        InputError
            The watchdog is gone, and nobody minds the orders.
        """
        try:
            self._pipe.write(b"beat\n")
            self._pipe.flush()
        except BrokenPipeError:
            raise InputError("it is gone", where="watchdog", remedy="start another before trading on") from None

    def release(self) -> None:
        """Send it home: orders may stay while nobody minds them."""
        try:
            self._pipe.write(b"release\n")
            self._pipe.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(_RELEASE_SECONDS)
        except subprocess.TimeoutExpired:  # it was sent home: what does not go has nothing left to do
            self._process.kill()
            self._process.wait(_RELEASE_SECONDS)


class Minder:
    """Keeps a watchdog at hand: one that has gone is followed by another.

    Parameters
    ----------
    opens
        Starts a watchdog.
    """

    def __init__(self, opens: Callable[[], Watchdog]) -> None:
        self._opens, self._watchdog = opens, opens()

    def beat(self) -> None:
        """Say that all is well, to another watchdog if the last one is gone."""
        try:
            self._watchdog.beat()
        except InputError:
            self._watchdog.release()
            self._watchdog = self._opens()

    def release(self) -> None:
        """Send it home."""
        self._watchdog.release()


def watch(pipe: int, silent_seconds: float) -> Literal["released", "died", "silent"]:
    """Wait until the other end of a pipe says that it goes, closes, or has been silent for too long."""
    heard = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], silent_seconds)
        if not ready:
            return "silent"
        chunk = os.read(pipe, _CHUNK)
        if not chunk:
            return "died"
        heard = (heard + chunk)[-_CHUNK:]
        if b"release\n" in heard:
            return "released"


def cancel_all(venue: Venue, *, attempts: int = _ATTEMPTS, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Cancel every order, TWAP orders included, that does not only reduce; say whether the venue shows none.

    It must show that twice in a row: one answer may be an old one.
    """
    looks = 0
    for _ in range(attempts):
        seen = venue.resting()
        orders = [order for order in seen.orders if not order.reduce_only]
        twaps = [twap for twap in seen.twaps if not twap.reduce_only]
        outcomes = cancel_in_batches(venue, orders)
        outcomes += [venue.cancel_twap(twap.coin, twap.number, venue.draw_nonce()) for twap in twaps]
        looks = 0 if outcomes or seen.doubts else looks + 1
        if looks == _LOOKS:
            return True
        if not all(isinstance(outcome, Accepted) for outcome in outcomes) or not outcomes:
            sleep(_PAUSE_SECONDS)
    return False


def main() -> int:
    """Mind the process that wrote the first line on standard input."""
    line = bytearray()
    pipe = sys.stdin.fileno()
    while not line.endswith(b"\n"):
        byte = os.read(pipe, 1)
        if not byte:
            return 0
        line += byte
    told: dict[str, Any] = orjson.loads(line)
    wallet = wallet_of(told.pop("key"))
    spec = told["spec"]
    orders = WatchdogOrders(
        spec=VenueSpec(**{**spec, "limits": Limits(**spec["limits"])}),
        state_folder=Path(told["state_folder"]),
        parent=told["parent"],
        silent_seconds=told["silent_seconds"],
    )
    ended = watch(pipe, orders.silent_seconds)
    if ended == "released":
        return 0
    if ended == "silent" and os.getppid() == orders.parent:
        os.kill(orders.parent, signal.SIGKILL)  # it hangs; its journal is made to be left at any instruction
    venue = _connect(orders, wallet)
    return 0 if venue is not None and cancel_all(venue) else 1


def _connect(orders: WatchdogOrders, wallet: Wallet) -> HyperliquidVenue | None:
    busy = 0
    for _ in range(_ATTEMPTS):
        try:
            return connect(orders.spec, wallet, orders.state_folder)
        except BusyError:  # the dead one's lock is not free yet
            busy += 1
            if busy == _BUSY_ATTEMPTS:
                return None
        except VenueError:  # the venue does not answer
            busy = 0
        time.sleep(_PAUSE_SECONDS)
    return None


if __name__ == "__main__":
    sys.exit(main())
