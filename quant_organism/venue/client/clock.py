"""How far the venue's clock is from ours, learnt from the date of every answer and watched as long as there are any."""

import logging
import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

DATE_SPAN_MS: Final = 2_000
"""A date says seconds, and may be a second old when it is sent."""
LOUD_MS: Final = 1_000
"""So much more, or less, than was last said is said again."""

log = logging.getLogger(__name__)


class ClockOffset:
    """What must be added to our time to get the venue's; 0 until something shows another.

    Each date bounds it from both sides, and it is moved no further than into these bounds: clocks that agree are left
    as they are.

    Parameters
    ----------
    now_ms
        Our clock.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now, self._lock = now_ms, threading.Lock()
        self._offset_ms = self._said_ms = 0

    @property
    def offset_ms(self) -> int:
        """The venue's time less ours."""
        return self._offset_ms

    def venue_ms(self) -> int:
        """Return the venue's time, to about a second."""
        return self._now() + self._offset_ms

    def now_ms(self) -> int:
        """Return ours."""
        return self._now()

    def observe(self, date: str | None, sent_ms: int, received_ms: int) -> None:
        """Take note of an answer's date.

        Parameters
        ----------
        date
            As HTTP writes it; what cannot be read says nothing.
        sent_ms, received_ms
            When its request went out and when it was there, by our clock.
        """
        try:
            stamp = int(parsedate_to_datetime(date or "").timestamp() * 1000)
        except (ValueError, TypeError, OverflowError):
            return
        with self._lock:
            low, high = stamp - received_ms, stamp + DATE_SPAN_MS - sent_ms
            self._offset_ms = min(max(self._offset_ms, low), max(low, high))
            if abs(self._offset_ms - self._said_ms) > LOUD_MS:
                self._said_ms = self._offset_ms
                log.warning(
                    "the venue's clock is %.1f s ahead of this machine's: set the clock", self._offset_ms / 1000
                )
