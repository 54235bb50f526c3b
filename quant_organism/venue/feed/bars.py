"""Trades of one coin and interval as bars that equal the venue's candles, or as a question to the venue.

A bar is made of trades only where the stream was whole from before its open until after its close, and nothing about it
was odd. Everything else (a gap, trades out of order, a candle of the venue that knows more) makes the bar doubtful: it
is then asked for over REST, and leaves in its turn. Bars leave in the order of their opens; an interval without trades
has none; a trade that comes after its bar has left makes the venue be asked again and may bring a revision.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from quant_organism.market import Interval
from quant_organism.venue.feed.messages import VenueCandle

REMEMBERED: Final = 200
"""Bars that have left and can still be revised."""

MAX_ASKED: Final = 5_000
"""Candles that the venue gives in one answer."""

SIZE_DECIMALS: Final = 8
"""Decimals of a size where the coin's own are not known."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A closed bar.

    Parameters
    ----------
    coin, interval
        Of what.
    open_ms
        When it opened, UTC.
    open, high, low, close
        USD.
    volume
        Coins.
    trades
        Their number.
    origin
        `trades`: made here; `venue`: the venue's own candle, where the stream had a gap.
    is_revision
        It takes the place of one that left before.
    """

    coin: str
    interval: str
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int
    origin: Literal["trades", "venue"]
    is_revision: bool = False


@dataclass(slots=True)
class _Forming:
    open: float
    high: float
    low: float
    close: float
    units: int
    trades: int


class BarBuilder:
    """Bars of one coin and interval.

    Parameters
    ----------
    coin, interval
        Of what.
    begin_ms
        The first bar to leave opens here or later; everything from here on is either seen or asked for.
    sz_decimals
        Decimals of the coin's sizes, for volumes that are exact.
    """

    def __init__(self, coin: str, interval: Interval, begin_ms: int, sz_decimals: int = SIZE_DECIMALS) -> None:
        self.coin, self.interval = coin, interval
        self.late_trades = 0
        self._length, self._scale = interval.milliseconds, 10**sz_decimals
        self._next_ms = self._judged_ms = -(-begin_ms // self._length) * self._length
        self._forming: dict[int, _Forming] = {}
        self._newest_ms = -1  # time of the newest trade
        self._covered_ms: int | None = None
        self._odd: set[int] = set()
        self._asked: dict[int, None] = {}  # opens that wait for the venue, in order
        self._judged: dict[int, Bar | None] = {}
        self._left: dict[int, Bar | None] = {}
        self._candles: dict[int, VenueCandle] = {}

    @property
    def next_close_ms(self) -> int:
        """When the next bar ends, UTC."""
        return self._judged_ms + self._length

    def cover(self, from_ms: int) -> None:
        """Say that every trade from a time on will come in."""
        self._covered_ms = from_ms

    def uncover(self) -> None:
        """Say that trades may be missing from now on."""
        self._covered_ms = None

    def doubt(self) -> None:
        """Say that a trade was missed just now: the bar that forms and the next are the venue's to tell."""
        start = max(self._newest_ms, self._judged_ms) // self._length * self._length
        self._odd |= {start, start + self._length}

    def add(self, time_ms: int, px: float, sz: float) -> None:
        """Take in a trade that was not seen before."""
        start = time_ms - time_ms % self._length
        if start < self._judged_ms:
            self._too_late(start)
            return
        bar = self._forming.get(start)
        units = round(sz * self._scale)
        if bar is None:
            self._forming[start] = _Forming(px, px, px, px, units, 1)
        else:
            if px > bar.high:
                bar.high = px
            elif px < bar.low:
                bar.low = px
            bar.close = px
            bar.units += units
            bar.trades += 1
        if time_ms < self._newest_ms:
            self._odd |= {start, self._newest_ms // self._length * self._length}
        else:
            self._newest_ms = time_ms

    def compare(self, candle: VenueCandle) -> None:
        """Take note of what the venue says of a bar, forming or closed."""
        start = candle.open_ms
        if start >= self._judged_ms:
            known = self._candles.get(start)
            if known is None or candle.trades >= known.trades:
                self._candles[start] = candle
        elif start in self._left and self._contradicts(candle, self._left[start]):
            self._asked[start] = None

    def close_until(self, time_ms: int) -> None:
        """Let every bar close that ended by a time."""
        while self._judged_ms + self._length <= time_ms:
            start = self._judged_ms
            self._judged_ms += self._length
            forming, candle = self._forming.pop(start, None), self._candles.pop(start, None)
            bar = None if forming is None else self._bar(start, forming)
            whole = self._covered_ms is not None and self._covered_ms <= start and start not in self._odd
            self._odd.discard(start)
            if whole and not (candle is not None and self._contradicts(candle, bar)):
                self._judged[start] = bar
            else:
                self._asked[start] = None

    def wanted(self) -> tuple[int, int] | None:
        """Return the first and last open that the venue must be asked about, or None."""
        if not self._asked:
            return None
        first = min(self._asked)
        return first, min(max(self._asked), first + (MAX_ASKED - 1) * self._length)

    def answer(self, candles: Iterable[VenueCandle], first_ms: int, last_ms: int) -> None:
        """Take the venue's candles of the opens from `first_ms` to `last_ms`; where one is missing, nothing traded."""
        found = {candle.open_ms: candle for candle in candles}
        for start in [start for start in self._asked if first_ms <= start <= last_ms]:
            del self._asked[start]
            candle = found.get(start)
            self._judged[start] = None if candle is None else self._from_venue(candle)

    def leaving(self) -> list[Bar]:
        """Return the bars whose turn it is, oldest first, and forget that they were here."""
        bars: list[Bar] = []
        for start in sorted(start for start in self._judged if start < self._next_ms):
            revised, before = self._judged.pop(start), self._left.get(start)
            if revised is not None and (before is None or not _equal(revised, before)):
                bars.append(_as_revision(revised))
                self._left[start] = revised
        while self._next_ms in self._judged:
            bar = self._judged.pop(self._next_ms)
            if bar is not None:
                bars.append(bar)
            self._left[self._next_ms] = bar
            self._next_ms += self._length
        while len(self._left) > REMEMBERED:
            del self._left[next(iter(self._left))]
        return bars

    def _too_late(self, start: int) -> None:
        if start in self._asked or (start < self._next_ms and start not in self._left):
            return  # the venue is asked anyway, or it is history
        known = self._left.get(start) or self._judged.get(start)
        if known is not None and known.origin == "venue":
            return
        self.late_trades += 1
        self._judged.pop(start, None)
        self._asked[start] = None

    def _contradicts(self, candle: VenueCandle, bar: Bar | None) -> bool:
        """Say whether the venue knows of more trades, or of other values of the same trades."""
        if bar is None or candle.trades != bar.trades:
            return candle.trades > (0 if bar is None else bar.trades)
        return not _equal(self._from_venue(candle), bar)

    def _bar(self, start: int, forming: _Forming) -> Bar:
        f = forming
        volume = f.units / self._scale
        return Bar(self.coin, self.interval.name, start, f.open, f.high, f.low, f.close, volume, f.trades, "trades")

    def _from_venue(self, candle: VenueCandle) -> Bar:
        c = candle
        return Bar(
            self.coin, self.interval.name, c.open_ms, c.open, c.high, c.low, c.close, c.volume, c.trades, "venue"
        )


def _equal(one: Bar, other: Bar) -> bool:
    return (one.open, one.high, one.low, one.close, one.volume, one.trades) == (
        other.open,
        other.high,
        other.low,
        other.close,
        other.volume,
        other.trades,
    )


def _as_revision(bar: Bar) -> Bar:
    return Bar(
        bar.coin,
        bar.interval,
        bar.open_ms,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.trades,
        bar.origin,
        is_revision=True,
    )
