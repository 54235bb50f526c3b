"""Is the line alive, and each stream on it? Only times in, only verdicts out; the socket is somebody else's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from quant_organism.venue.feed.plan import Subscription

FRESHNESS_SECONDS: Final[Mapping[str, float]] = {"l2Book": 20.0, "allMids": 20.0}
"""Streams that a living venue keeps sending to, whatever the market does, and for how long they may be silent."""


@dataclass(frozen=True, slots=True)
class WatchSpec:
    """How patient the watchdog is.

    Parameters
    ----------
    ping_seconds
        Time between pings.
    pong_seconds
        How long a pong may take.
    ack_seconds
        How long an acknowledgement may take before the subscription is sent again.
    attempts
        How often a stream is subscribed to again before the whole socket is given up.
    freshness_seconds
        By type of stream: silent for so long, it is subscribed to again. Types that are not here may be silent.
    """

    ping_seconds: float = 30.0
    pong_seconds: float = 10.0
    ack_seconds: float = 10.0
    attempts: int = 3
    freshness_seconds: Mapping[str, float] = field(default_factory=lambda: FRESHNESS_SECONDS)


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping is due."""


@dataclass(frozen=True, slots=True)
class Resubscribe:
    """A stream must be subscribed to again; `was_silent` says that it had been acknowledged and fell silent."""

    subscription: Subscription
    was_silent: bool


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The socket must be given up; `reason` is a word to count by."""

    reason: str


Verdict = Ping | Resubscribe | Reconnect


@dataclass(slots=True)
class _Stream:
    asked_s: float
    heard_s: float
    is_on: bool = False
    attempts: int = 1


class LineWatchdog:
    """Watches one socket from its opening to its end.

    Parameters
    ----------
    spec
        Patience.
    now_s
        Seconds of a clock that never goes back, as in every method.
    """

    def __init__(self, spec: WatchSpec, now_s: float) -> None:
        self._spec = spec
        self._pinged_s = now_s
        self._awaited: list[float] = []
        self._streams: dict[Subscription, _Stream] = {}

    def subscribed(self, subscription: Subscription, now_s: float) -> None:
        """Note that a subscription was sent, for the first time or again."""
        stream = self._streams.get(subscription)
        if stream is None:
            self._streams[subscription] = _Stream(now_s, now_s)
        else:
            stream.asked_s = stream.heard_s = now_s
            stream.attempts += 1
            stream.is_on = False

    def acknowledged(self, subscription: Subscription, now_s: float) -> None:
        """Note an acknowledgement; one that was not asked for changes nothing."""
        stream = self._streams.get(subscription)
        if stream is not None:
            stream.is_on, stream.heard_s = True, now_s

    def refused(self, subscription: Subscription) -> None:
        """Note that the venue will not serve a stream: it is watched no more."""
        self._streams.pop(subscription, None)

    def heard(self, subscription: Subscription, now_s: float) -> None:
        """Note a message of a stream."""
        stream = self._streams.get(subscription)
        if stream is not None:
            stream.heard_s = now_s
            if stream.is_on:
                stream.attempts = 1

    def pinged(self, now_s: float) -> None:
        """Note that a ping was sent."""
        self._pinged_s = now_s
        self._awaited.append(now_s)

    def ponged(self) -> None:
        """Note a pong; it answers every ping before it."""
        self._awaited.clear()

    def excuse(self, seconds: float) -> None:
        """Do not count a time in which nothing was read because this side was busy."""
        self._pinged_s += seconds
        self._awaited = [at + seconds for at in self._awaited]
        for stream in self._streams.values():
            stream.asked_s += seconds
            stream.heard_s += seconds

    def verdicts(self, now_s: float) -> list[Verdict]:
        """Return what must be done now."""
        spec = self._spec
        if self._awaited and now_s - self._awaited[0] >= spec.pong_seconds:
            return [Reconnect("pong_missing")]
        verdicts: list[Verdict] = [Ping()] if now_s - self._pinged_s >= spec.ping_seconds else []
        for subscription, stream in self._streams.items():
            fresh = spec.freshness_seconds.get(subscription.type)
            is_silent = stream.is_on and fresh is not None and now_s - stream.heard_s >= fresh
            if is_silent or (not stream.is_on and now_s - stream.asked_s >= spec.ack_seconds):
                if stream.attempts >= spec.attempts:
                    return [Reconnect("stream_silent" if is_silent else "ack_missing")]
                verdicts.append(Resubscribe(subscription, is_silent))
        return verdicts
