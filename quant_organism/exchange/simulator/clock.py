"""What time it is on the venue."""

from collections.abc import Callable


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
