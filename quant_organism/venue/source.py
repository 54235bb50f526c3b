"""The venue as a source of candles, funding and sentiment, for the lake.

The venue keeps the newest 5,000 candles of each interval and all of its funding. Nothing but closed candles is handed
out. Time is the venue's own. What it has answered of the past does not change, is kept, and not asked for twice.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson
import polars as pl
import zstandard

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market import (
    MS_PER_DAY,
    MS_PER_HOUR,
    TIMESTAMP,
    CandleTable,
    FundingTable,
    Interval,
    SentimentTable,
    SetAsideTable,
    check_market_id,
    choose_symbols,
    day_of,
    day_start_ms,
)
from quant_organism.resilience import write_file
from quant_organism.venue.client.transport import AskInfo
from quant_organism.venue.feed.messages import VenueCandle, candle_of

Row = Mapping[str, Any]
MAX_CANDLES: Final = 5_000
MAX_FUNDINGS: Final = 500
SETTLED_WITHIN_MS: Final = MS_PER_HOUR + 5 * 60_000
"""A newer funding than this cannot be missing: it is paid every hour, and stamped a little later."""

LATE_STAMP_MS: Final = 60_000
"""Funding younger than this may not be there yet."""

PROBED: Final = 10
_NAMES: Final = {"api.hyperliquid.xyz": "hyperliquid", "api.hyperliquid-testnet.xyz": "hyperliquid-testnet"}
_NOT_IN_AN_ID: Final = re.compile(r"[^a-z0-9_.]+")


@dataclass(slots=True)
class Kept:
    """Rows of one question, by time in UTC ms; all that the venue had from `first_ms` to `last_ms`, if anything."""

    rows: dict[int, Row] = field(default_factory=dict)
    first_ms: int = 0
    last_ms: int = -1

    def missing(self, first_ms: int, last_ms: int) -> list[tuple[int, int]]:
        """Return what must be asked for so that a span is held, as spans; what is held stays in one piece."""
        if last_ms < first_ms:
            return []
        if self.last_ms < self.first_ms:
            return [(first_ms, last_ms)]
        spans = [(first_ms, self.first_ms - 1), (self.last_ms + 1, last_ms)]
        return [span for span in spans if span[0] <= span[1]]

    def add(self, rows: Mapping[int, Row], first_ms: int, last_ms: int) -> None:
        """Take in the rows of a missing span."""
        is_first = self.last_ms < self.first_ms
        self.rows = dict(sorted({**self.rows, **rows}.items()))
        self.first_ms = first_ms if is_first else min(first_ms, self.first_ms)
        self.last_ms = max(last_ms, self.last_ms)


class KeptRows:
    """Rows by question, in memory and, with a folder, beyond this process.

    Parameters
    ----------
    folder
        One for each venue; none: nothing outlives the process.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: dict[str, Kept] = {}

    def of(self, name: str) -> Kept:
        """Return what is kept under a name.

        Raises
        ------
        IntegrityError
            The file is damaged.
        """
        if name not in self._kept:
            self._kept[name] = self._read(name)
        return self._kept[name]

    def save(self, name: str) -> None:
        """Write down what is kept under a name."""
        if self._folder is not None:
            kept = self._kept[name]
            document = {"first_ms": kept.first_ms, "last_ms": kept.last_ms, "rows": [*kept.rows.items()]}
            write_file(self._path(self._folder, name), zstandard.compress(orjson.dumps(document)))

    def _read(self, name: str) -> Kept:
        path = None if self._folder is None else self._path(self._folder, name)
        if path is None or not path.is_file():
            return Kept()
        try:
            document = orjson.loads(zstandard.decompress(path.read_bytes()))
            return Kept(dict(document["rows"]), document["first_ms"], document["last_ms"])
        except (zstandard.ZstdError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"damaged: {error}", where=str(path), remedy="delete it; it is asked for again"
            ) from error

    def _path(self, folder: Path, name: str) -> Path:
        return folder / f"{quote(name, safe='')}.json.zst"


class HyperliquidSource:
    """Candles and funding of a venue that speaks Hyperliquid's protocol.

    Parameters
    ----------
    ask
        How its /info is asked.
    base_url
        Its address; tells it apart from others.
    market
        Name in the lake; none: made from the address.
    index
        Fear & Greed index by `SentimentTable`; none: there is none.
    kept
        Folder in which answers are kept, so that an interrupted download goes on and the next one asks for what is new;
        none: nothing is kept.
    """

    def __init__(
        self,
        ask: AskInfo,
        *,
        base_url: str,
        market: str | None = None,
        index: pl.DataFrame | None = None,
        kept: Path | None = None,
    ) -> None:
        self._ask, self._base_url = ask, base_url
        self._market = check_market_id(market or market_name(base_url))
        self._index = SentimentTable.empty() if index is None else index
        self._universe: tuple[Row, ...] = ()
        self._kept = KeptRows(None if kept is None else kept / self._market)
        self._begins: dict[Interval, dict[str, date]] = {}
        self._aside: dict[tuple[str, int | None, str], str] = {}

    @property
    def market(self) -> str:
        """Name of this market in the lake."""
        return self._market

    def describe(self) -> dict[str, Any]:
        """Return kind and address."""
        return {"kind": "hyperliquid", "path": self._base_url}

    def symbols(self) -> tuple[str, ...]:
        """Return all coins that the venue lists, the delisted ones included, sorted."""
        return tuple(sorted(str(entry["name"]) for entry in self._listed()))

    def span(self, interval: Interval) -> tuple[date, date]:
        """Return the first day with a candle, among the coins listed first, and the last day whose funding is there.

        Raises
        ------
        InputError
            The venue has no candle of this interval.
        """
        now_ms = self._now_ms()
        living = [str(entry["name"]) for entry in self._listed() if not entry.get("isDelisted")]
        found = [self._closed(name, interval, 0, now_ms, now_ms) for name in living[:PROBED]]
        opens = [min(candles) for candles in found if candles]
        if not opens:
            raise InputError(
                f"no closed {interval} candles of {', '.join(living[:PROBED]) or 'any coin'}",
                where=self._base_url,
                remedy="choose another interval, or wait until the venue has traded",
            )
        first, last = day_of(min(opens)), day_of(now_ms - LATE_STAMP_MS) - timedelta(days=1)
        return first, max(first, last)

    def candles(self, symbols: Sequence[str], interval: Interval, start: date, end: date) -> pl.DataFrame:
        """Return the closed candles that open on the UTC days `start` to `end` (inclusive), by time and symbol."""
        names = choose_symbols(symbols, self.symbols(), where=self._base_url)
        first_ms, last_ms, now_ms = day_start_ms(start), day_start_ms(end) + MS_PER_DAY - 1, self._now_ms()
        bars: list[VenueCandle] = []
        for name in names:
            found = self._closed(name, interval, first_ms, last_ms, now_ms)
            bars += [candle for start_ms, candle in found.items() if first_ms <= start_ms <= last_ms]
            if found and first_ms < day_start_ms(begins := day_of(min(found))):
                self._begins.setdefault(interval, {})[name] = begins
        return _candle_frame(bars)

    def funding(self, symbols: Sequence[str], start: date, end: date) -> pl.DataFrame:
        """Return the funding stamped on the UTC days `start` to `end` (inclusive), by time and symbol."""
        names = choose_symbols(symbols, self.symbols(), where=self._base_url)
        now_ms, frames = self._now_ms(), [FundingTable.empty()]
        first_ms, last_ms = day_start_ms(start), day_start_ms(end) + MS_PER_DAY - 1
        for name in names:
            rows = self._settled(name, first_ms, last_ms, now_ms)
            stamps = {stamp: float(row["fundingRate"]) for stamp, row in rows.items() if first_ms <= stamp <= last_ms}
            columns = {
                "symbol": [name] * len(stamps),
                "timestamp": list(stamps),
                "funding_rate": list(stamps.values()),
            }
            frames.append(_stamped(columns, FundingTable.schema))
        return pl.concat(frames).sort("timestamp", "symbol")

    def sentiment(self, start: date, end: date) -> pl.DataFrame:
        """Return the index published on the UTC days `start` to `end` (inclusive); empty where there is none."""
        return self._index.filter(pl.col("timestamp").dt.date().is_between(start, end))

    def notes(self) -> tuple[str, ...]:
        """Return from when on the venue has candles, where more was asked for."""
        notes = []
        for interval, begins in sorted(self._begins.items()):
            by_day: dict[date, list[str]] = {}
            for name, day in begins.items():
                by_day.setdefault(day, []).append(name)
            for day, names in sorted(by_day.items()):
                who = ", ".join(sorted(names)[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
                notes.append(
                    f"{who}: the venue has no {interval} candles before {day}, as it keeps the newest {MAX_CANDLES:,}"
                    " and a coin has none before its listing; what lies before must come from files."
                )
        return tuple(notes)

    def set_aside(self) -> pl.DataFrame:
        """Return the rows that could not be read and why, by `SetAsideTable`."""
        rows = sorted(self._aside.items(), key=str)
        columns = {
            "symbol": [name for (name, _, _), _ in rows],
            "timestamp": [stamp for (_, stamp, _), _ in rows],
            "file": [self._base_url] * len(rows),
            "line": [None] * len(rows),
            "reason": [reason for (_, _, reason), _ in rows],
            "detail": [detail for _, detail in rows],
        }
        return _stamped(columns, SetAsideTable.schema)

    def _listed(self) -> tuple[Row, ...]:
        if not self._universe:
            meta = self._ask({"type": "meta", "dex": ""})
            rows = meta.get("universe") if isinstance(meta, Mapping) else None
            if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "name" in row for row in rows):
                raise InputError("meta names no universe", where=self._base_url, remedy="see that it is such a venue")
            self._universe = tuple(rows)
        return self._universe

    def _now_ms(self) -> int:
        status = self._ask({"type": "exchangeStatus"})
        time_ms = status.get("time") if isinstance(status, Mapping) else None
        if not isinstance(time_ms, int):
            raise InputError(f"its status {status} has no time", where=self._base_url, remedy="ask again later")
        return time_ms

    def _closed(
        self, name: str, interval: Interval, first_ms: int, last_ms: int, now_ms: int
    ) -> dict[int, VenueCandle]:
        """Return at least the closed candles that open from `first_ms` to `last_ms`."""
        closed_ms = now_ms // interval.milliseconds * interval.milliseconds - 1
        key = f"candles-{interval}-{name}"
        kept = self._kept.of(key)
        for first, last in kept.missing(first_ms, min(last_ms, closed_ms)):
            rows, is_whole = self._candle_pages(name, interval, first, last)
            kept.add({start: row for start, row in rows.items() if start <= last}, first, last)
            if is_whole:
                self._kept.save(key)
        return {start: candle_of(row) for start, row in kept.rows.items()}

    def _candle_pages(self, name: str, interval: Interval, first_ms: int, last_ms: int) -> tuple[dict[int, Row], bool]:
        """Ask for the candles that open from `first_ms` to `last_ms`, newest answer first; say if all are sound."""
        found: dict[int, Row] = {}
        end_ms, is_whole = last_ms, True
        while True:
            request = {"coin": name, "interval": interval.name, "startTime": first_ms, "endTime": end_ms}
            rows = self._rows({"type": "candleSnapshot", "req": request})
            page = {row["t"]: row for row in rows if self._is_candle(row, name, interval)}
            is_whole = is_whole and len(page) == len(rows)
            found |= page
            oldest = min(page, default=end_ms)
            if len(rows) < MAX_CANDLES or oldest <= first_ms or oldest >= end_ms:
                return found, is_whole
            end_ms = oldest - 1

    def _settled(self, name: str, first_ms: int, last_ms: int, now_ms: int) -> dict[int, Row]:
        """Return at least the funding stamped from `first_ms` to `last_ms`."""
        key = f"funding-{name}"
        kept = self._kept.of(key)
        # stamps lie a little after the hour: what is younger than a few minutes may still be coming
        for first, last in kept.missing(first_ms, min(last_ms, now_ms - LATE_STAMP_MS)):
            rows, is_whole = self._funding_pages(name, first, last)
            kept.add({stamp: row for stamp, row in rows.items() if stamp <= last}, first, last)
            if is_whole:
                self._kept.save(key)
        return kept.rows

    def _funding_pages(self, name: str, first_ms: int, last_ms: int) -> tuple[dict[int, Row], bool]:
        """Ask for the funding stamped from `first_ms` to `last_ms`, each answer from the last stamp on."""
        found: dict[int, Row] = {}
        start_ms, is_whole = first_ms, True
        while start_ms <= last_ms:
            body = {"type": "fundingHistory", "coin": name, "startTime": start_ms, "endTime": last_ms}
            rows = self._rows(body)
            page = {row["time"]: row for row in rows if self._is_funding(row, name)}
            is_whole = is_whole and len(page) == len(rows)
            found |= page
            newest = max(page, default=0)
            if newest < start_ms:
                break
            start_ms = newest + 1
            if len(rows) < MAX_FUNDINGS and newest > last_ms - SETTLED_WITHIN_MS:
                break
        return found, is_whole

    def _rows(self, body: Mapping[str, Any]) -> list[Row]:
        answer = self._ask(body)
        if not isinstance(answer, list) or not all(isinstance(row, Mapping) for row in answer):
            raise InputError(
                f"{body['type']} is answered with {str(answer)[:80]}", where=self._base_url, remedy="ask again later"
            )
        return answer

    def _is_candle(self, row: Row, name: str, interval: Interval) -> bool:
        try:
            candle = candle_of(row)
        except (KeyError, TypeError, ValueError) as error:
            self._set_aside(name, row.get("t"), "unreadable", f"{error}: {dict(row)}")
            return False
        if (candle.coin, candle.interval) != (name, interval.name) or candle.open_ms % interval.milliseconds:
            self._set_aside(name, candle.open_ms, "not_asked_for", f"{interval} of {name} was asked for: {dict(row)}")
            return False
        return True

    def _is_funding(self, row: Row, name: str) -> bool:
        try:
            if type(row["time"]) is int and math.isfinite(float(row["fundingRate"])):
                return True
        except (KeyError, TypeError, ValueError):
            pass
        self._set_aside(name, row.get("time"), "unreadable", f"funding {dict(row)}")
        return False

    def _set_aside(self, name: str, stamp: object, reason: str, detail: str) -> None:
        self._aside[name, stamp if isinstance(stamp, int) else None, reason] = detail[:300]


def market_name(base_url: str) -> str:
    """Return how a venue is called in the lake: `hyperliquid`, `hyperliquid-testnet`, or with its host and port."""
    host = urlsplit(base_url).netloc.lower()
    return _NAMES.get(host) or f"hyperliquid-{_NOT_IN_AN_ID.sub('-', host).strip('-')}"[:80]


def _candle_frame(bars: Sequence[VenueCandle]) -> pl.DataFrame:
    columns = {
        "symbol": [bar.coin for bar in bars],
        "timestamp": [bar.open_ms for bar in bars],
        "open": [bar.open for bar in bars],
        "high": [bar.high for bar in bars],
        "low": [bar.low for bar in bars],
        "close": [bar.close for bar in bars],
        "volume": [bar.volume for bar in bars],
    }
    return _stamped(columns, CandleTable.schema).sort("timestamp", "symbol")


def _stamped(columns: Mapping[str, Any], schema: pl.Schema) -> pl.DataFrame:
    """Return a frame by a schema, of columns with times in UTC ms."""
    numbers = pl.Schema({**schema, "timestamp": pl.Int64()})
    return pl.DataFrame(columns, schema=numbers).with_columns(pl.col("timestamp").cast(TIMESTAMP))
