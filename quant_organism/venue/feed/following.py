"""A feed that runs for its bars: each is told of, and goes into the lake with those that closed at about its time.

They go into a dataset of their own, `live_candles`: a day of `candles` is one that an import has completed.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from quant_organism.market import TIMESTAMP, Interval, Lake, LiveCandleTable, day_of
from quant_organism.venue.client.listings import load_listings
from quant_organism.venue.client.transport import AskInfo
from quant_organism.venue.feed.bars import Bar
from quant_organism.venue.feed.connection import Feed, LineSpec
from quant_organism.venue.feed.plan import FeedPlan
from quant_organism.venue.feed.questions import clock_of
from quant_organism.venue.feed.recording import Recorder
from quant_organism.venue.protocol.instruments import dex_name

WRITE_SECONDS: Final = 1.0
"""Time between two writes to the lake, which rewrite the day."""


def write_bars(lake: Lake, market: str, bars: Sequence[Bar]) -> int:
    """Add closed bars to the days that they belong to; a revision takes the place of what was there.

    Parameters
    ----------
    lake, market
        Where to.
    bars
        In the order in which they left the feed, of any coins and intervals.

    Returns
    -------
    int
        Files that changed.

    Raises
    ------
    StorageError
        The lake cannot be written; days before the one that failed are written.
    """
    changed, stored = 0, lake.table(LiveCandleTable)
    for interval in sorted({bar.interval for bar in bars}):
        held = set(stored.days(market=market, interval=interval))
        by_day: dict[date, list[Bar]] = {}
        for bar in bars:
            if bar.interval == interval:
                by_day.setdefault(day_of(bar.open_ms), []).append(bar)
        frames = {}
        for day, rows in by_day.items():
            before = [stored.read_day(day, market=market, interval=interval)] if day in held else []
            merged = pl.concat([*before, _frame(rows)])
            frames[day] = merged.unique(LiveCandleTable.key, keep="last").sort(
                LiveCandleTable.timestamp, LiveCandleTable.symbol
            )
        changed += stored.write_days(frames, market=market, interval=interval)
    return changed


def _frame(bars: Sequence[Bar]) -> pl.DataFrame:
    rows = [(bar.coin, bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
    numbers = pl.Schema({**LiveCandleTable.schema, LiveCandleTable.timestamp: pl.Int64()})
    return pl.DataFrame(rows, schema=numbers, orient="row").with_columns(
        pl.col(LiveCandleTable.timestamp).cast(TIMESTAMP)
    )


def open_feed(
    base_url: str,
    ask: AskInfo,
    interval: Interval,
    *,
    coins: Sequence[str] | None = None,
    proxy: str | None = None,
    record: Path | None = None,
    books: bool = False,
    begin_ms: int | None = None,
) -> Feed:
    """Return a feed of a venue's bars from now on, by the venue's clock; it does not run yet.

    Parameters
    ----------
    base_url, ask
        Which venue, and how its /info is asked.
    interval
        Length of the bars.
    coins
        Of what; none: all that the venue itself lists. Delisted ones are left out.
    proxy
        URL of a proxy for the socket.
    record
        Folder to write every frame into; none: nothing is kept.
    books
        Ask for the books of the coins too.
    begin_ms
        Bars open from here on; those that have closed already are asked for. None: from now on.

    Raises
    ------
    InputError
        A coin is not listed.
    VenueError
        There was no answer, or none that can be read.
    """
    wanted = coins or ()
    listings = load_listings(base_url, ask, sorted({dex_name(coin) for coin in wanted} - {""}))
    listed = [listings.find(coin) for coin in wanted or listings.coins]
    plan = FeedPlan(
        coins={each.coin: each.sz_decimals for each in listed if not each.is_delisted},
        intervals=[interval],
        begin_ms=clock_of(ask({"type": "exchangeStatus"})) if begin_ms is None else begin_ms,
        quotes=("bbo", "l2Book") if books else ("bbo",),
    )
    recorder = None if record is None else Recorder(record)
    return Feed(base_url, plan, ask, rng=np.random.default_rng(), line=LineSpec(proxy=proxy), recorder=recorder)


async def follow_bars(
    feed: Feed, lake: Lake, market: str, *, told: Callable[[Bar], None], enough: int | None = None
) -> int:
    """Run a feed until it is cancelled, or has given enough bars; return how many there were.

    Parameters
    ----------
    feed
        Not running yet.
    lake, market
        Where bars go, as `write_bars` puts them there; all that were told of are written when this ends.
    told
        Is told of each bar.
    enough
        Bars after which it ends; None: never.

    Raises
    ------
    StorageError
        The lake cannot be written.
    """
    count = 0
    pending: list[Bar] = []

    async def collect() -> None:
        nonlocal count
        async for event in feed.events():
            if isinstance(event, Bar):
                count += 1
                pending.append(event)
                told(event)
                if count == enough:
                    return

    tasks = [asyncio.create_task(feed.run()), asyncio.create_task(collect())]
    try:
        done: set[asyncio.Task[None]] = set()
        while not done:
            done, _ = await asyncio.wait(tasks, timeout=WRITE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            bars, pending[:] = list(pending), []
            await asyncio.to_thread(write_bars, lake, market, bars)  # the socket is read meanwhile
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        write_bars(lake, market, pending)
    return count
