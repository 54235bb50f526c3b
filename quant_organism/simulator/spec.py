"""How the simulated venue behaves where the real one is a matter of choice: limits, habits, and how its time passes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from quant_organism.venue.protocol import IP_WEIGHT_PER_MINUTE

MAX_BODY_BYTES: Final = 1 << 20
MAX_SNAPSHOT_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """Limits and habits of the server; the strictest that are known, unless said otherwise.

    Parameters
    ----------
    mainnet
        Verify signatures as the main network does; the SDK signs for anything but the real main network as testnet.
    clock
        What nonces, expiry, agents and scheduled cancels are judged by. `wall`: the wall clock, which is what the SDK
        stamps with, whatever time the venue has; `venue`: the venue's time.
    ip_weight_per_minute
        REST weight of an address of the network in a minute of the venue; None: no limit.
    limit_addresses
        Whether accounts have the request limit that grows with their volume.
    connections, subscriptions, users, messages_per_minute
        WebSocket limits of one address of the network.
    greeting
        Whether a socket is greeted with a line that is not JSON.
    idle_seconds
        A socket to which nothing was sent for so long is closed.
    queue_messages
        Messages that may wait for a slow reader before its socket is closed.
    push_interval_ms
        Least time of the venue between two books of a coin.
    """

    mainnet: bool = False
    clock: Literal["wall", "venue"] = "wall"
    ip_weight_per_minute: int | None = IP_WEIGHT_PER_MINUTE
    limit_addresses: bool = True
    connections: int = 10
    subscriptions: int = 1_000
    users: int = 10
    messages_per_minute: int = 2_000
    greeting: bool = True
    idle_seconds: float = 60.0
    queue_messages: int = 10_000
    push_interval_ms: int = 500


class VenueClock:
    """Real, accelerated or stepped time.

    Parameters
    ----------
    start_ms
        Time of the venue at the beginning.
    speed
        Milliseconds of the venue for each of the wall; 0: it moves only when it is told to.
    wall
        Seconds of a clock that never goes back.
    """

    def __init__(self, start_ms: int, speed: float, wall: Callable[[], float]) -> None:
        self._start_ms, self._speed, self._wall = start_ms, speed, wall
        self._origin = wall()

    @property
    def is_stepped(self) -> bool:
        """Whether it waits to be told."""
        return self._speed == 0

    def now_ms(self) -> int:
        """Return the time."""
        return self._start_ms + int((self._wall() - self._origin) * 1000 * self._speed)

    def set(self, now_ms: int) -> None:
        """Go on from a time."""
        self._start_ms, self._origin = now_ms, self._wall()
