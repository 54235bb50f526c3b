"""What market orders pay in recorded books: half the spread and the walk into the depth, per coin and size of order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import polars as pl

from quant_organism.errors import InputError
from quant_organism.market import MS_PER_DAY, SlippageTable, day_of
from quant_organism.venue.feed.messages import Book, Level, Message, Trades, Unreadable, read_message
from quant_organism.venue.feed.recording import PART, SUFFIX, read_lines, recorded_files

ORDERS_USD: Final = (150.0, 1_500.0, 15_000.0)
"""Sizes that are measured: the most that accounts of 1,000, 10,000 and 100,000 USD hold of an asset."""

HIGH_QUANTILE: Final = 0.95
TRADE_WITHIN_MS: Final = 10_000
"""How old the book may be that a trade is held against."""

_LATEST_MS: Final = 40_000 * MS_PER_DAY
_LONGEST_LINE: Final = 8 << 20


@dataclass(frozen=True)
class BookCosts:
    """What was measured, and what of the recordings could not be used.

    Parameters
    ----------
    frame
        Rows of `SlippageTable`.
    day
        Day of the last book, UTC.
    unused
        Books, trades and lines that were left out, counted by the reason.
    """

    frame: pl.DataFrame
    day: date
    unused: Mapping[str, int]


def measure_books(paths: Iterable[Path], orders_usd: Sequence[float] = ORDERS_USD) -> BookCosts:
    """Measure what orders pay in the books of recordings.

    Parameters
    ----------
    paths
        Files of `exchange record`, of frames as a venue sends them, one a line, or of answers to `l2Book`; files or
        folders of `follow --record`.
    orders_usd
        Sizes of orders, USD at the mid price.

    Raises
    ------
    InputError
        A file cannot be read, or none holds a book that can be used.
    IntegrityError
        A finished file of `follow --record` is damaged.
    """
    unused: Counter[str] = Counter()
    costs: dict[str, dict[int, tuple[float, list[tuple[float, bool]]]]] = {}
    trades: dict[str, dict[int, tuple[int, float]]] = {}
    read = list(paths)
    for message in (message for path in read for message in _messages(path)):
        if isinstance(message, Book):
            if flaw := _flaw(message):
                unused[flaw] += 1
                continue
            mid = (message.bids[0].px + message.asks[0].px) / 2.0
            sides = [walk_book(side, mid, usd) for usd in orders_usd for side in (message.bids, message.asks)]
            costs.setdefault(message.coin, {})[message.time_ms] = mid, sides
        elif isinstance(message, Trades):
            timely = {each.tid: (each.time_ms, each.px) for each in message.trades if 0 < each.time_ms < _LATEST_MS}
            unused["unreadable trade"] += message.unreadable + len(message.trades) - len(timely)
            trades.setdefault(message.coin, {}).update(timely)
        elif isinstance(message, Unreadable) and message.reason in ("not_json", "bad_l2Book"):
            unused["unreadable line" if message.reason == "not_json" else "unreadable book"] += 1
    if not costs:
        raise InputError(
            "no book that can be used" + "".join(f"; {what}: {count}" for what, count in sorted(unused.items())),
            where=", ".join(map(str, read)),
            remedy="record some: quant-organism follow --record, or exchange record between a client and its venue",
        )
    rows = [
        row
        for coin in sorted(costs)
        for row in _rows(coin, costs[coin], list(trades.get(coin, {}).values()), orders_usd)
    ]
    last = max(time_ms for books in costs.values() for time_ms in books)
    return BookCosts(SlippageTable.frame(rows), day_of(last), {what: n for what, n in sorted(unused.items()) if n})


def walk_book(side: Sequence[Level], mid: float, order_usd: float) -> tuple[float, bool]:
    """Return what a market order pays on a side of a book, in bps of the mid price, and whether the depth was enough.

    Parameters
    ----------
    side
        Levels that the order is filled at, best first; what they do not hold is priced at the last of them.
    mid
        Mid price, USD.
    order_usd
        Size of the order at the mid price.
    """
    wanted = rest = order_usd / mid
    paid = 0.0
    for level in side:
        filled = min(rest, level.sz)
        paid, rest = paid + filled * level.px, rest - filled
        if rest <= 0.0:
            break
    else:
        paid += rest * side[-1].px
    return abs(paid / wanted / mid - 1.0) * 10_000.0, rest <= 0.0


def _rows(
    coin: str,
    books: Mapping[int, tuple[float, list[tuple[float, bool]]]],
    trades: Sequence[tuple[int, float]],
    orders_usd: Sequence[float],
) -> Iterator[dict[str, Any]]:
    times = np.array(sorted(books), dtype=np.int64)
    mids = np.array([books[time_ms][0] for time_ms in times.tolist()])
    at = np.array([time_ms for time_ms, _ in trades], dtype=np.int64)
    before = np.searchsorted(times, at, side="right") - 1
    near = (before >= 0) & (at - times[before] <= TRADE_WITHIN_MS)
    distances = np.abs(np.array([px for _, px in trades])[near] / mids[before[near]] - 1.0) * 10_000.0
    for place, usd in enumerate(orders_usd):
        sides = [side for _, walked in books.values() for side in walked[2 * place : 2 * place + 2]]
        bps = np.array([cost for cost, _ in sides])
        yield {
            SlippageTable.symbol: coin,
            SlippageTable.order_usd: float(usd),
            SlippageTable.median_bps: float(np.median(bps)),
            SlippageTable.high_bps: float(np.quantile(bps, HIGH_QUANTILE)),
            SlippageTable.books: times.size,
            SlippageTable.shallow: sum(not (a[1] and b[1]) for a, b in zip(sides[::2], sides[1::2], strict=True)),
            SlippageTable.first: int(times[0]),
            SlippageTable.last: int(times[-1]),
            SlippageTable.trades: int(near.sum()),
            SlippageTable.paid_bps: float(np.median(distances)) if distances.size else None,
        }


def _flaw(book: Book) -> str:
    """Return what keeps a book from being used; empty: nothing."""
    if not book.coin or not 0 < book.time_ms < _LATEST_MS:
        return "book without a coin or a time"
    if not book.bids or not book.asks:
        return "book with an empty side"
    falling = all(one.px > other.px for one, other in pairwise(book.bids))
    rising = all(one.px < other.px for one, other in pairwise(book.asks))
    if not (falling and rising and all(level.sz > 0.0 for level in (*book.bids, *book.asks))):
        return "book out of order"
    return "crossed book" if book.bids[0].px >= book.asks[0].px else ""


def _messages(path: Path) -> Iterator[Message]:
    if path.is_dir():
        for recorded in recorded_files(path):
            yield from _messages(recorded)
    elif path.name.removesuffix(PART).endswith(SUFFIX):
        for _, kind, *values in read_lines(path):
            if kind == "frame":
                yield read_message(values[0])
    else:
        try:
            with path.open("rb") as file:
                while line := file.readline(_LONGEST_LINE):
                    yield from _said(line)
        except OSError as error:
            raise InputError(f"it cannot be read: {error.strerror}", where=str(path)) from error


def _said(line: bytes) -> Iterator[Message]:
    if not line.strip():
        return
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        yield Unreadable("not_json")
        return
    for entry in said if isinstance(said, list) else [said]:
        if not isinstance(entry, dict):
            continue
        request = entry.get("request")
        if "channel" in entry:
            yield read_message(orjson.dumps(entry))
        elif "received" in entry:
            yield read_message(orjson.dumps(entry["received"]))
        elif isinstance(request, dict) and request.get("type") == "l2Book":
            yield read_message(orjson.dumps({"channel": "l2Book", "data": entry.get("response")}))
