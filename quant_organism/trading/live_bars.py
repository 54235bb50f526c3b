"""Bars of single coins, as a feed brings them, put together to bars of all symbols with their funding.

A bar is complete once every coin has shown a bar of that time or a later one; a coin that has not traded shows none, so
that after some patience the others go on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from quant_organism.backtest import MarketRow
from quant_organism.backtest.account import AccountMarket, FillModel
from quant_organism.errors import InputError
from quant_organism.market import MS_PER_HOUR, TIMESTAMP, FundingTable, Interval
from quant_organism.market.funding import align_funding, settlement_ms
from quant_organism.market.panel import Panel
from quant_organism.trading.records import LedgerBar
from quant_organism.trading.runtime import TradedBar
from quant_organism.venue import AskInfo, Bar, Feed, FeedFigures

_ROWS_KEPT: Final = 600
"""Bars that unknown funding is told from: some days of hours, and of minutes a few settlements."""

_FUNDING_DAYS: Final = 3
_PAST_PATIENCE: Final = 20.0
_STAMPED_WITHIN_MS: Final = 29_000
"""A venue stamps a settlement a little after the hour that it is of: what is stamped so late still belongs to it."""
_PRICES: Final = ("open", "high", "low", "close", "volume")


class BarCollector:
    """Puts bars of single coins together.

    Parameters
    ----------
    symbols, interval
        Of the session.
    next_ms
        Open of the first bar that is wanted.
    past_ms
        Bars that open before it are history, which a venue is asked for coin by coin: they are waited for longer.
    patience_s
        How long the others wait for a coin that shows nothing.
    """

    def __init__(
        self, symbols: Sequence[str], interval: Interval, next_ms: int, *, past_ms: int = 0, patience_s: float = 6.0
    ) -> None:
        self._symbols, self._length, self._next_ms = tuple(symbols), interval.milliseconds, next_ms
        self._past_ms, self._patience_s = past_ms, patience_s
        self._bars: dict[int, dict[str, Bar]] = {}
        self._since_s: dict[int, float] = {}
        self._shown_ms = dict.fromkeys(self._symbols, -1)
        self.late = 0
        """Bars and revisions that came after their time had been decided on."""

    def add(self, bar: Bar, now_s: float) -> None:
        """Take in a bar."""
        if bar.coin not in self._shown_ms:
            return
        self._shown_ms[bar.coin] = max(self._shown_ms[bar.coin], bar.open_ms)
        if bar.open_ms < self._next_ms:
            self.late += 1
            return
        self._bars.setdefault(bar.open_ms, {})[bar.coin] = bar
        self._since_s.setdefault(bar.open_ms, now_s)

    def complete(self, now_s: float) -> list[tuple[int, dict[str, Bar]]]:
        """Return the opens whose turn it is, oldest first, each with its bars by coin; none where nothing traded."""
        found: list[tuple[int, dict[str, Bar]]] = []
        for open_ms in sorted(self._bars):
            everybody = min(self._shown_ms.values()) >= open_ms
            patience_s = self._patience_s * (_PAST_PATIENCE if open_ms < self._past_ms else 1.0)
            if not everybody and now_s - self._since_s[open_ms] < patience_s:
                break
            found += [(gap_ms, {}) for gap_ms in range(self._next_ms, open_ms, self._length)]
            found.append((open_ms, self._bars.pop(open_ms)))
            del self._since_s[open_ms]
            self._next_ms = open_ms + self._length
        return found


class Settlements:
    """Funding as the venue settles it, asked for once an hour.

    Parameters
    ----------
    ask
        How /info is asked.
    symbols
        Of which coins.
    begin_ms
        Settlements from here on are known.
    """

    def __init__(self, ask: AskInfo, symbols: Sequence[str], begin_ms: int) -> None:
        self._ask, self._symbols = ask, tuple(symbols)
        self._next_ms = dict.fromkeys(self._symbols, begin_ms)
        self._counted_ms: dict[str, int] = {}
        self._asked_hour = -1
        self.frame = FundingTable.empty()

    def fetch(self, until_ms: int) -> None:
        """Ask for what was settled up to a time, if an hour has passed since the last question.

        Raises
        ------
        VenueError
            There was no answer, or none that can be read.
        InputError
            The answer is no list of settlements.
        """
        hour = until_ms // MS_PER_HOUR
        if hour == self._asked_hour:
            return
        rows: list[tuple[str, int, float]] = []
        for symbol in self._symbols:
            last_ms = until_ms + _STAMPED_WITHIN_MS
            body = {"type": "fundingHistory", "coin": symbol, "startTime": self._next_ms[symbol], "endTime": last_ms}
            answer = self._ask(body)
            if not isinstance(answer, list):
                raise InputError(f"fundingHistory is answered with {str(answer)[:80]}", where=symbol)
            for row in answer:
                rows.append((symbol, int(row["time"]), float(row["fundingRate"])))
                self._next_ms[symbol] = max(self._next_ms[symbol], int(row["time"]) + 1)
        stamped = pl.Schema({**FundingTable.schema, FundingTable.timestamp: pl.Int64()})
        new = pl.DataFrame(rows, schema=stamped, orient="row")
        self.frame = pl.concat([self.frame, new.with_columns(pl.col(FundingTable.timestamp).cast(TIMESTAMP))])
        oldest = until_ms - _FUNDING_DAYS * 24 * MS_PER_HOUR
        self.frame = self.frame.filter(pl.col(FundingTable.timestamp).dt.epoch("ms") >= oldest)
        self._asked_hour = hour

    def of_bar(self, open_ms: int, interval: Interval) -> tuple[dict[str, float], dict[str, float]]:
        """Return the rate in force at a bar's close, and what a holder through it pays, of each symbol.

        Bars are asked for in order: a settlement that came too late for its own is paid in that in which it is known.
        """
        rate, _ = align_funding(self.frame, self._symbols, np.array([open_ms]), interval)
        close_ms = open_ms + interval.milliseconds
        settled = self.frame.select(
            FundingTable.symbol, FundingTable.funding_rate, settled=settlement_ms(pl.col(FundingTable.timestamp))
        )
        paid = dict.fromkeys(self._symbols, 0.0)
        for symbol, fraction, moment in settled.sort("settled", maintain_order=True).iter_rows():
            if self._counted_ms.setdefault(symbol, open_ms) < moment <= close_ms:
                paid[symbol] += fraction
        for symbol, _, moment in settled.iter_rows():
            if moment <= close_ms:
                self._counted_ms[symbol] = max(self._counted_ms[symbol], moment)
        return dict(zip(self._symbols, rate[0].tolist(), strict=True)), paid


class FeedInstruments:
    """What a session reads of the feed that brings its bars: the venue's time, and whether it brings any.

    Parameters
    ----------
    wall_ms
        This machine's clock, UTC milliseconds.
    """

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._feed: Feed | None = None

    def follow(self, feed: Feed) -> None:
        """Read from this feed."""
        self._feed = feed

    def received_ms(self, close_ms: int) -> int:
        """Return when a bar that closes then and is here now has come, by the venue's clock."""
        shown = None if self._feed is None else self._feed.venue_ms()
        return close_ms if shown is None else max(shown, close_ms)

    def skew_s(self) -> float | None:
        """Return the venue's clock less this machine's, a frame's way included; none before there was a frame."""
        shown = None if self._feed is None else self._feed.venue_ms()
        return None if shown is None else (shown - self._wall_ms()) / 1e3

    def figures(self) -> FeedFigures | None:
        """Return what came of the feed so far, in numbers; none before it is followed."""
        return None if self._feed is None else self._feed.figures()

    def silent_lines(self) -> int:
        """Return 1 where the socket has been lost and is not open again, else 0."""
        status = None if self._feed is None else self._feed.status
        return int(status is not None and status.connections > 0 and not status.is_connected)


class LiveMarket:
    """Turns complete bars into what a trader takes, with the newest of its history at hand.

    Parameters
    ----------
    known
        Bars so far, of all symbols of the session, sorted.
    model
        Says what unknown funding costs.
    """

    def __init__(self, known: Panel, model: FillModel) -> None:
        self._model = model
        self._recent = known.window(max(known.n_bars - _ROWS_KEPT, 0), known.n_bars)

    def take(self, open_ms: int, bars: Sequence[LedgerBar]) -> TradedBar:
        """Return the bar of one time, and remember it; none of the symbols may have traded."""
        close_ms = open_ms + self._recent.interval.milliseconds
        grown = extended(self._recent, bars, close_ms)
        self._recent = grown.window(max(grown.n_bars - _ROWS_KEPT, 0), grown.n_bars)
        last = self._recent.n_bars - 1
        account = AccountMarket.of(self._recent, self._model, start=last).bar(0)
        return TradedBar(MarketRow.of(self._recent, last), account, bars[0].received_ms if bars else close_ms)


def ledger_bars(
    session: int,
    open_ms: int,
    bars: Mapping[str, Bar],
    rate: Mapping[str, float],
    paid: Mapping[str, float],
    *,
    fear_greed: float | None,
    received_ms: int,
) -> list[LedgerBar]:
    """Return the bars of one time as they are written down, by symbol."""
    return [
        LedgerBar(
            session=session,
            open_ms=open_ms,
            symbol=symbol,
            open=bars[symbol].open,
            high=bars[symbol].high,
            low=bars[symbol].low,
            close=bars[symbol].close,
            volume=bars[symbol].volume,
            funding_rate=rate[symbol] if np.isfinite(rate[symbol]) else None,
            funding_paid=paid[symbol],
            fear_greed=fear_greed,
            received_ms=received_ms,
        )
        for symbol in sorted(bars)
    ]


def extended(history: Panel, bars: Sequence[LedgerBar], close_ms: int) -> Panel:
    """Return a panel that goes on with bars of the ledger up to a close; a time without any bar is a gap."""
    step = history.interval.milliseconds
    begin = int(history.times[-1]) + step
    count = (close_ms - begin) // step
    if count <= 0:
        return history
    shape = count, history.n_assets
    columns = {name: np.full(shape, np.nan) for name in (*_PRICES, "funding_rate")}
    columns["funding_paid"] = np.zeros(shape)
    valid, index = np.zeros(shape, dtype=bool), np.full(count, np.nan)
    places = {symbol: place for place, symbol in enumerate(history.symbols)}
    for bar in bars:
        row, column = (bar.open_ms - begin) // step, places[bar.symbol]
        for name in _PRICES:
            columns[name][row, column] = getattr(bar, name)
        columns["funding_rate"][row, column] = np.nan if bar.funding_rate is None else bar.funding_rate
        columns["funding_paid"][row, column] = bar.funding_paid
        valid[row, column] = True
        if bar.fear_greed is not None:
            index[row] = bar.fear_greed
    return Panel.from_arrays(
        symbols=history.symbols,
        interval=history.interval,
        times=np.concatenate([history.times, begin + step * np.arange(count)]),
        valid=np.concatenate([history.valid, valid]),
        fear_greed=np.concatenate([history.fear_greed, index]),
        market=history.market,
        **{name: np.concatenate([getattr(history, name), values]) for name, values in columns.items()},
    )
