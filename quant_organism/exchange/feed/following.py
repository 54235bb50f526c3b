"""A feed that runs for its bars: each is told of, and goes into the lake with those that closed at about its time."""

import asyncio
from collections.abc import Callable
from typing import Final

from quant_organism.exchange.feed.bars import Bar
from quant_organism.exchange.feed.connection import Feed
from quant_organism.exchange.feed.lake_writer import write_bars
from quant_organism.market.lake import Lake

WRITE_SECONDS: Final = 1.0
"""Time between two writes to the lake, which rewrite the day."""


async def follow(feed: Feed, lake: Lake, market: str, *, told: Callable[[Bar], None], enough: int | None = None) -> int:
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
