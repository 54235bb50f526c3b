"""Between the feed and whoever listens: bounded, clear about what may be lost on the way and what never, and measured.

Quotes, mids and contexts are soon replaced by newer ones: where the queue is full, the oldest of them is dropped and
counted. Bars, fills and news of orders are never dropped: where they fill the queue, the feed waits and stops reading.
"""

import asyncio
import math
from collections import Counter, deque
from typing import Final

from quant_organism.venue.feed.core import FeedEvent
from quant_organism.venue.feed.messages import AssetContext, BestQuote, Book, Mids

ALL: Final = 40
"""Doublings of a microsecond that are told apart, some twelve days: what is longer counts as that."""

_PER_DOUBLING: Final = 8
_BUCKETS: Final = ALL * _PER_DOUBLING
_REPLACEABLE = (Book, BestQuote, Mids, AssetContext)


class LatencyHistogram:
    """Counts of durations from a microsecond to days, each within a tenth of its true value."""

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self._buckets = [0] * _BUCKETS

    def add(self, seconds: float) -> None:
        """Count a duration; one below nothing, by clocks that differ, counts as none."""
        place = int(math.log2(max(seconds, 1e-6) * 1e6) * _PER_DOUBLING)
        self._buckets[min(place, _BUCKETS - 1)] += 1
        self.count += 1
        self.total_s += max(seconds, 0.0)

    def quantile(self, share: float) -> float:
        """Return the duration in seconds that this share of all does not exceed; NaN where there is none."""
        rank, before = math.ceil(share * self.count), 0
        for place, count in enumerate(self._buckets):
            before += count
            if count and before >= rank:
                return float(2 ** ((place + 1) / _PER_DOUBLING) * 1e-6)
        return math.nan

    def within(self, doublings: int) -> int:
        """Return how many durations are shorter than `2**doublings` microseconds, which is where a bucket ends."""
        return sum(self._buckets[: doublings * _PER_DOUBLING])

    def summary(self) -> dict[str, float]:
        """Return count, median, p99 and highest, in seconds."""
        return {
            "count": self.count,
            "p50_s": self.quantile(0.5),
            "p99_s": self.quantile(0.99),
            "max_s": self.quantile(1.0),
        }


class EventQueue:
    """Events on their way to one listener.

    Parameters
    ----------
    capacity
        Events that may wait, of both kinds together.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: deque[tuple[int, FeedEvent]] = deque()
        self._replaceable: deque[tuple[int, FeedEvent]] = deque()
        self._count = 0
        self._filled, self._emptied = asyncio.Event(), asyncio.Event()
        self._is_closed = False
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._kept) + len(self._replaceable)

    def offer(self, event: FeedEvent) -> bool:
        """Put an event in, at the cost of an older quote where there is no room; say whether it found its place."""
        if len(self) >= self._capacity:
            if self._replaceable:
                _, dropped = self._replaceable.popleft()
                self.dropped[type(dropped).__name__] += 1
            elif isinstance(event, _REPLACEABLE):
                self.dropped[type(event).__name__] += 1
                return True
            else:
                return False
        self._count += 1
        (self._replaceable if isinstance(event, _REPLACEABLE) else self._kept).append((self._count, event))
        self._filled.set()
        return True

    async def put(self, event: FeedEvent) -> None:
        """Put an event in, waiting for room where it must not be lost."""
        while not self.offer(event):
            self._emptied.clear()
            await self._emptied.wait()

    async def get(self) -> FeedEvent | None:
        """Return the oldest event, or None where no more will come."""
        while not len(self):
            if self._is_closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        kept, replaceable = self._kept, self._replaceable
        source = kept if kept and (not replaceable or kept[0][0] < replaceable[0][0]) else replaceable
        _, event = source.popleft()
        self._emptied.set()
        return event

    def close(self) -> None:
        """Let the listener come to an end once everything is taken out."""
        self._is_closed = True
        self._filled.set()
