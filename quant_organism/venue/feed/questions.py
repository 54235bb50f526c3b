"""What the feed has seen, and what it must ask over REST to close its gaps: clock, candles, fills, open orders."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from quant_organism.venue.feed.messages import VenueCandle, candle_of

Kind = Literal["clock", "candles", "fills", "orders"]
RETRY_MS: Final = (1_000.0, 2_000.0, 5_000.0, 15_000.0, 60_000.0)
"""How long a question waits after it failed once, twice, ..."""

FILLS_IN_AN_ANSWER: Final = 2_000


class Seen:
    """Remembers at least the last `capacity` keys, and at most twice as many.

    Parameters
    ----------
    capacity
        How many.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._new: set[Hashable] = set()
        self._old: set[Hashable] = set()

    def is_new(self, key: Hashable) -> bool:
        """Say whether a key comes for the first time, and remember it."""
        if key in self._new or key in self._old:
            return False
        self._new.add(key)
        if len(self._new) >= self._capacity:
            self._old, self._new = self._new, set()
        return True


@dataclass(frozen=True, slots=True)
class Question:
    """A question to /info.

    Parameters
    ----------
    kind
        What it is about.
    subject
        Coin and interval, or the account, with its dex where open orders are asked for; empty for the clock.
    first_ms, last_ms
        Opens or times that it asks for.
    """

    kind: Kind
    subject: tuple[str, ...] = ()
    first_ms: int = 0
    last_ms: int = 0

    def body(self) -> dict[str, Any]:
        """Return the JSON of the request."""
        match self.kind:
            case "clock":
                return {"type": "exchangeStatus"}
            case "candles":
                coin, interval = self.subject
                span = {"startTime": self.first_ms, "endTime": self.last_ms}
                return {"type": "candleSnapshot", "req": {"coin": coin, "interval": interval, **span}}
            case "fills":
                times = {"startTime": self.first_ms, "endTime": None}
                return {"type": "userFillsByTime", "user": self.subject[0], **times, "aggregateByTime": False}
            case "orders":
                user, dex = self.subject
                return {"type": "frontendOpenOrders", "user": user, "dex": dex}

    @property
    def key(self) -> tuple[str, ...]:
        """Questions with the same key are asked one at a time."""
        return (self.kind, *self.subject)


class AnswerError(ValueError):
    """An answer that cannot be read."""


def clock_of(answer: Any) -> int:
    """Return the venue's time, UTC ms.

    Raises
    ------
    AnswerError
        There is none.
    """
    time_ms = answer.get("time") if isinstance(answer, Mapping) else None
    if type(time_ms) is not int:
        raise AnswerError("no time")
    return time_ms


def candles_of(answer: Any, coin: str, interval: str) -> list[VenueCandle]:
    """Return the candles of an answer.

    Raises
    ------
    AnswerError
        Not a list of candles of this coin and interval.
    """
    try:
        candles = [candle_of(row) for row in rows_of(answer)]
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerError(f"a candle that cannot be read: {error}") from error
    if any((candle.coin, candle.interval) != (coin, interval) for candle in candles):
        raise AnswerError("candles of something else")
    return candles


def rows_of(answer: Any) -> list[Mapping[str, Any]]:
    """Return the rows of an answer that must be a list of objects.

    Raises
    ------
    AnswerError
        It is not.
    """
    if not isinstance(answer, list) or not all(isinstance(row, Mapping) for row in answer):
        raise AnswerError("not a list of objects")
    return answer


class Agenda:
    """Which questions are on their way, and which must wait because they failed."""

    def __init__(self) -> None:
        self._asked: set[tuple[str, ...]] = set()
        self._failures: dict[tuple[str, ...], int] = {}
        self._not_before: dict[tuple[str, ...], float] = {}

    def may_ask(self, question: Question, now_ms: float) -> bool:
        """Say whether a question may go out now, and take it as asked if so."""
        key = question.key
        if key in self._asked or self._not_before.get(key, now_ms) > now_ms:
            return False
        self._asked.add(key)
        return True

    def answered(self, question: Question) -> None:
        """Note that a question has its answer."""
        self._asked.discard(question.key)
        self._failures.pop(question.key, None)
        self._not_before.pop(question.key, None)

    def failed(self, question: Question, now_ms: float) -> None:
        """Note that a question got none; it waits longer each time."""
        key = question.key
        self._asked.discard(key)
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._not_before[key] = now_ms + RETRY_MS[min(failures, len(RETRY_MS) - 1)]
