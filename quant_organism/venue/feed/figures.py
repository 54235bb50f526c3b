"""What came of a feed so far, in numbers that can be written down and read by somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from quant_organism.venue.feed.messages import (
    AccountNews,
    Acknowledged,
    AssetContext,
    BestQuote,
    Book,
    Fills,
    Message,
    Mids,
    OrderUpdates,
    Pong,
    Refused,
    Trades,
    Unreadable,
    VenueCandle,
    VenueSays,
)
from quant_organism.venue.feed.queue import ALL, LatencyHistogram

DOUBLINGS: Final = tuple(range(10, 27))
"""A millisecond to a minute: bounds of latencies are these powers of two, in microseconds."""

_CHANNELS: Final[Mapping[type, str]] = {
    Trades: "trades",
    Book: "l2Book",
    BestQuote: "bbo",
    VenueCandle: "candle",
    Mids: "allMids",
    AssetContext: "activeAssetCtx",
    Fills: "userFills",
    OrderUpdates: "orderUpdates",
    Acknowledged: "subscriptionResponse",
    Pong: "pong",
    Refused: "error",
    VenueSays: "error",
    Unreadable: "unreadable",
}


@dataclass(frozen=True)
class LatencyFigures:
    """How long something took, so often.

    Attributes
    ----------
    within
        Of all, those that took less than `2**n` microseconds for each `n` of `DOUBLINGS`, in their order.
    count
        All.
    total_s
        Of all together, seconds.

    Raises
    ------
    ValueError
        There are more or fewer bounds than `DOUBLINGS`: another version wrote them down.
    """

    within: tuple[int, ...]
    count: int
    total_s: float

    def __post_init__(self) -> None:
        if len(self.within) != len(DOUBLINGS):
            raise ValueError(f"{len(self.within)} bounds of a latency, and not {len(DOUBLINGS)}")

    @classmethod
    def of(cls, histogram: LatencyHistogram) -> LatencyFigures:
        """Return the figures of a histogram."""
        # the buckets once more for the count: it is never less than what they hold, whichever thread asks
        return cls(tuple(map(histogram.within, DOUBLINGS)), histogram.within(ALL), histogram.total_s)


@dataclass(frozen=True)
class FeedFigures:
    """A feed in numbers; all counts are from its beginning on.

    Attributes
    ----------
    connections
        Sockets that were opened.
    is_connected
        Whether one is open.
    silent_s
        Seconds since the last frame; None: there was none yet.
    frames
        Frames by channel, as the wire names it; `unreadable` are those that say nothing.
    latency
        From an event's stamp to the arrival of its frame; None: the venue's time is not this machine's.
    gaps_closed
        `bars`: answers of the venue in the place of trades that did not come whole; `account`: how often all fills and
        open orders were fetched after a socket was opened.
    dropped
        Quotes, mids and contexts that nobody took in time.
    """

    connections: int
    is_connected: bool
    silent_s: float | None
    frames: Mapping[str, int]
    latency: LatencyFigures | None
    gaps_closed: Mapping[str, int]
    dropped: int

    @property
    def reconnects(self) -> int:
        """Sockets that were opened after the first."""
        return max(self.connections - 1, 0)


def channel_of(message: Message) -> str:
    """Return the channel that a message came by; there are few, whatever a venue sends."""
    if isinstance(message, AccountNews):
        return message.channel
    if isinstance(message, Fills) and not message.user:
        return "user"
    return _CHANNELS[type(message)]


def event_of(message: Message) -> tuple[str, int] | None:
    """Return coin, or account, and UTC ms of the newest event that a message tells of, where it is stamped by it."""
    match message:
        case Book() | BestQuote():
            return message.coin, message.time_ms
        case Trades() if message.trades:
            return message.coin, message.trades[-1].time_ms
        case Fills() if message.fills and not message.is_snapshot:
            return message.user, max(fill.time_ms for fill in message.fills)
    return None
