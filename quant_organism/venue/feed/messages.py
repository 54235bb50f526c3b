"""Frames of the venue as events: one function, which nothing that a venue sends can break.

Whatever cannot be read becomes `Unreadable` and is counted by its reason; unknown keys are passed over, unknown
channels named. Reference: section 8.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, NamedTuple

import orjson

from quant_organism.venue.feed.plan import Subscription


class Trade(NamedTuple):
    """A trade: its time in UTC ms, number, price in USD and size in coins."""

    time_ms: int
    tid: int
    px: float
    sz: float


class Level(NamedTuple):
    """A level of a book: price in USD, size in coins, number of orders."""

    px: float
    sz: float
    orders: int


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of one coin, in the order of the frame; `unreadable` says how many of it could not be read."""

    coin: str
    trades: list[Trade]
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Book:
    """The best levels of a book, best first; a side may be empty."""

    coin: str
    time_ms: int
    bids: list[Level]
    asks: list[Level]


@dataclass(frozen=True, slots=True)
class BestQuote:
    """Best bid and ask; None where there is none."""

    coin: str
    time_ms: int
    bid: Level | None
    ask: Level | None


@dataclass(frozen=True, slots=True)
class VenueCandle:
    """A candle as the venue has it, often still forming; `trades` is their number, volume in coins."""

    coin: str
    interval: str
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int


@dataclass(frozen=True, slots=True)
class Mids:
    """Mid prices in USD by coin."""

    dex: str
    mids: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AssetContext:
    """Mark, oracle, funding and volumes of a coin as the venue sends them; several may be null."""

    coin: str
    context: Mapping[str, Any]


class FillReport(NamedTuple):
    """A fill of an account: what tells it from every other, and all that the venue says of it."""

    time_ms: int
    coin: str
    tid: int
    oid: int
    wire: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fills:
    """Fills of an account; `user` is empty where the stream does not say whose, `is_snapshot`: they are history."""

    user: str
    fills: list[FillReport]
    is_snapshot: bool = False
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class OrderUpdates:
    """Orders with their status words, as the venue sends them."""

    updates: list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AccountNews:
    """Anything else about an account: funding, liquidation, ledger, state, notification."""

    channel: str
    user: str
    data: Mapping[str, Any]
    is_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A subscription was taken up, or given up."""

    subscription: Subscription
    is_on: bool


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A stream that the venue will not serve, and what it said."""

    subscription: Subscription
    text: str


@dataclass(frozen=True, slots=True)
class VenueSays:
    """An error text of the venue."""

    text: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A frame that says nothing: `reason` is a word to count by, `detail` the beginning of the frame."""

    reason: str
    detail: str = ""


MarketEvent = Trades | Book | BestQuote | VenueCandle | Mids | AssetContext
AccountEvent = Fills | OrderUpdates | AccountNews
Message = MarketEvent | AccountEvent | Acknowledged | Refused | Pong | VenueSays | Unreadable

GREETING: Final = b"Websocket connection established."


def read_message(frame: bytes | str) -> Message:
    """Return what a frame says; never raises."""
    try:
        said = orjson.loads(frame)
    except orjson.JSONDecodeError:
        raw = frame if isinstance(frame, bytes) else frame.encode(errors="replace")
        return Unreadable("greeting" if raw.strip() == GREETING else "not_json", _beginning(frame))
    if not isinstance(said, dict):
        return Unreadable("not_an_object", _beginning(frame))
    channel = said.get("channel")
    reader = _READERS.get(channel) if isinstance(channel, str) else None
    if reader is None:
        return Unreadable("unknown_channel", str(channel)[:80])
    try:
        return reader(said.get("data"))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
        return Unreadable(f"bad_{channel}", _beginning(frame))


def candle_of(row: Mapping[str, Any]) -> VenueCandle:
    """Return a candle of the wire, of /info as of the stream.

    Raises
    ------
    ValueError, KeyError, TypeError
        A field is missing, null or no number.
    """
    candle = VenueCandle(
        coin=_text(row["s"]),
        interval=_text(row["i"]),
        open_ms=_whole(row["t"]),
        open=_price(row["o"]),
        high=_price(row["h"]),
        low=_price(row["l"]),
        close=_price(row["c"]),
        volume=_size(row["v"]),
        trades=_whole(row["n"]),
    )
    if not candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high:
        raise ValueError("open and close lie outside low and high")
    return candle


def fill_of(row: Mapping[str, Any]) -> FillReport:
    """Return a fill of the wire, of /info as of the stream.

    Raises
    ------
    ValueError, KeyError, TypeError
        What tells it apart, its price or its size is missing or null.
    """
    _price(row["px"]), _size(row["sz"])
    return FillReport(_whole(row["time"]), _text(row["coin"]), _whole(row["tid"]), _whole(row["oid"]), row)


def _trades(rows: Any) -> Message:
    trades: list[Trade] = []
    coin, unreadable = "", 0
    for row in rows:
        try:
            time_ms, tid, px, sz = row["time"], row["tid"], float(row["px"]), float(row["sz"])
            if type(time_ms) is not int or type(tid) is not int or not 0 < px < 1e300 or not 0 <= sz < 1e300:
                raise ValueError("not a trade")
            if row["coin"] != coin:
                if coin:
                    raise ValueError("two coins in a frame")
                coin = _text(row["coin"])
            trades.append(Trade(time_ms, tid, px, sz))
        except (KeyError, TypeError, ValueError):
            unreadable += 1
            if not coin and isinstance(row, dict) and isinstance(row.get("coin"), str):
                coin = row["coin"]
    if unreadable and not coin:
        return Unreadable("bad_trades")
    return Trades(coin, trades, unreadable)


def _book(data: Any) -> Message:
    bids, asks = data["levels"]
    return Book(_text(data["coin"]), _whole(data["time"]), [_level(row) for row in bids], [_level(row) for row in asks])


def _best(data: Any) -> Message:
    bid, ask = (None if row is None else _level(row) for row in data["bbo"])
    return BestQuote(_text(data["coin"]), _whole(data["time"]), bid, ask)


def _candle(data: Any) -> Message:
    # the documentation promises a list, the venue sends one object
    return candle_of(data[-1] if isinstance(data, list) else data)


def _mids(data: Any) -> Message:
    mids = {_text(coin): _price(px) for coin, px in data["mids"].items() if px is not None}
    return Mids(str(data.get("dex") or ""), mids)


def _context(data: Any) -> Message:
    if not isinstance(data["ctx"], dict):
        raise ValueError("no context")
    return AssetContext(_text(data["coin"]), data["ctx"])


def _fills(data: Any, user: str, *, is_snapshot: bool) -> Fills:
    fills, unreadable = [], 0
    for row in data:
        try:
            fills.append(fill_of(row))
        except (KeyError, TypeError, ValueError):
            unreadable += 1
    return Fills(user, fills, is_snapshot, unreadable)


def _user_fills(data: Any) -> Message:
    return _fills(data["fills"], _text(data["user"]).lower(), is_snapshot=bool(data.get("isSnapshot")))


def _user(data: Any) -> Message:
    if "fills" in data:
        return _fills(data["fills"], "", is_snapshot=False)
    return AccountNews("user", "", dict(data))


def _order_updates(data: Any) -> Message:
    if not all(isinstance(row["order"]["oid"], int) and isinstance(row["status"], str) for row in data):
        raise ValueError("not orders")
    return OrderUpdates(list(data))


def _news(channel: str) -> Callable[[Any], Message]:
    def read(data: Any) -> Message:
        user = data.get("user")
        return AccountNews(channel, user.lower() if isinstance(user, str) else "", data, bool(data.get("isSnapshot")))

    return read


def _acknowledged(data: Any) -> Message:
    subscription = Subscription.of(data["subscription"])
    if subscription is None or data["method"] not in ("subscribe", "unsubscribe"):
        raise ValueError("no acknowledgement")
    return Acknowledged(subscription, data["method"] == "subscribe")


def _error(data: Any) -> Message:
    text = _text(data)
    beginning, brace, rest = text.partition("{")
    try:
        said = orjson.loads(brace + rest[: rest.rfind("}") + 1])
    except orjson.JSONDecodeError:
        return VenueSays(text)
    subscription = Subscription.of(said) if isinstance(said, dict) else None
    if subscription is None:
        return VenueSays(text)
    if beginning.startswith("Already subscribed"):
        return Acknowledged(subscription, is_on=True)
    return Refused(subscription, text) if beginning.startswith("Invalid subscription") else VenueSays(text)


_READERS: Final[Mapping[str, Callable[[Any], Message]]] = {
    "trades": _trades,
    "l2Book": _book,
    "bbo": _best,
    "candle": _candle,
    "allMids": _mids,
    "activeAssetCtx": _context,
    "activeSpotAssetCtx": _context,
    "userFills": _user_fills,
    "user": _user,
    "orderUpdates": _order_updates,
    "subscriptionResponse": _acknowledged,
    "pong": lambda _: Pong(),
    "error": _error,
    **{
        name: _news(name)
        for name in ("userFundings", "userNonFundingLedgerUpdates", "clearinghouseState", "openOrders", "notification")
    },
}


def _level(row: Any) -> Level:
    return Level(_price(row["px"]), _size(row["sz"]), int(row.get("n") or 0))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value


def _price(value: Any) -> float:
    number = float(value)
    if not isfinite(number) or number <= 0:
        raise ValueError("not a price")
    return number


def _size(value: Any) -> float:
    number = float(value)
    if not isfinite(number) or number < 0:
        raise ValueError("not a size")
    return number


def _beginning(frame: bytes | str) -> str:
    return (frame if isinstance(frame, str) else frame.decode(errors="replace"))[:120]
