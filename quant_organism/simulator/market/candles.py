"""Candles made of the trades that the venue printed, and of the bars before its first moment."""

from dataclasses import dataclass, field
from typing import Any, Final

from quant_organism.market import MS_PER_DAY, MS_PER_HOUR
from quant_organism.venue.protocol import Instrument, answer_number

MS_PER_MINUTE: Final = 60_000
MAX_ANSWER: Final = 5_000
INTERVALS: Final = {
    "1m": MS_PER_MINUTE,
    "3m": 3 * MS_PER_MINUTE,
    "5m": 5 * MS_PER_MINUTE,
    "15m": 15 * MS_PER_MINUTE,
    "30m": 30 * MS_PER_MINUTE,
    "1h": MS_PER_HOUR,
    "2h": 2 * MS_PER_HOUR,
    "4h": 4 * MS_PER_HOUR,
    "8h": 8 * MS_PER_HOUR,
    "12h": 12 * MS_PER_HOUR,
    "1d": MS_PER_DAY,
    "3d": 3 * MS_PER_DAY,
    "1w": 7 * MS_PER_DAY,
}


@dataclass(slots=True)
class Candle:
    """One candle; scaled integers, `start_ms` is its open time, `count` its number of trades."""

    start_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    count: int

    def add(self, px: int, size: int) -> None:
        """Take in a trade."""
        self.high, self.low = max(self.high, px), min(self.low, px)
        self.close, self.volume, self.count = px, self.volume + size, self.count + 1


@dataclass(slots=True)
class CandleSeries:
    """Candles of one asset: minutes, of which the newest are kept, and bars of the tape's length, all of them.

    Parameters
    ----------
    bar_ms
        Length of the tape's bars.
    hidden
        Spans of time in ms whose candles a fault keeps back.
    """

    bar_ms: int
    minutes: list[Candle] = field(default_factory=list)
    bars: list[Candle] = field(default_factory=list)
    hidden: list[tuple[int, int]] = field(default_factory=list)

    def add(self, px: int, size: int, time_ms: int) -> None:
        """Take in a trade; times never go back."""
        _extend(self.minutes, MS_PER_MINUTE, px, size, time_ms)
        _extend(self.bars, self.bar_ms, px, size, time_ms)
        if len(self.minutes) > MAX_ANSWER + 500:
            del self.minutes[:500]

    def within(self, length_ms: int, start_ms: int, end_ms: int) -> list[Candle]:
        """Return the candles of a length that open from `start_ms` to `end_ms`, at most the newest 5,000.

        Lengths below that of the tape's bars exist from the venue's first moment on.
        """
        base = self.bars if length_ms % self.bar_ms == 0 else self.minutes
        first = start_ms // length_ms * length_ms
        grouped: list[Candle] = []
        for candle in base[_first_from(base, first) :]:
            begins = candle.start_ms // length_ms * length_ms
            if begins > end_ms:
                break
            if grouped and grouped[-1].start_ms == begins:
                last = grouped[-1]
                last.high, last.low = max(last.high, candle.high), min(last.low, candle.low)
                last.close = candle.close
                last.volume, last.count = last.volume + candle.volume, last.count + candle.count
            else:
                grouped.append(
                    Candle(begins, candle.open, candle.high, candle.low, candle.close, candle.volume, candle.count)
                )
        shown = [candle for candle in grouped if candle.start_ms >= start_ms and not self._is_hidden(candle.start_ms)]
        return shown[-MAX_ANSWER:]

    def _is_hidden(self, start_ms: int) -> bool:
        return any(start <= start_ms < end for start, end in self.hidden)


def wire(candle: Candle, instrument: Instrument, name: str) -> dict[str, Any]:
    """Return a candle as the wire has it."""
    places = instrument.px_decimals
    return {
        "t": candle.start_ms,
        "T": candle.start_ms + INTERVALS[name] - 1,
        "s": instrument.name,
        "i": name,
        "o": answer_number(candle.open, places),
        "c": answer_number(candle.close, places),
        "h": answer_number(candle.high, places),
        "l": answer_number(candle.low, places),
        "v": answer_number(candle.volume, instrument.sz_decimals),
        "n": candle.count,
    }


def _extend(candles: list[Candle], length_ms: int, px: int, size: int, time_ms: int) -> None:
    start = time_ms // length_ms * length_ms
    if candles and candles[-1].start_ms == start:
        candles[-1].add(px, size)
    else:
        candles.append(Candle(start, px, px, px, px, size, 1))


def _first_from(candles: list[Candle], start_ms: int) -> int:
    low, high = 0, len(candles)
    while low < high:
        middle = (low + high) // 2
        if candles[middle].start_ms < start_ms:
            low = middle + 1
        else:
            high = middle
    return low
