"""Feed and source against the local exchange: the same bars over the socket, over REST, and in the venue itself."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from quant_organism.market.schema import MS_PER_DAY, Interval, day_of, day_start_ms
from quant_organism.market.world import load_world
from quant_organism.market.world.source import WorldSource
from quant_organism.simulator import Engine, RunningVenue, ServerSpec, VenueClock, VenueServer, read_tape
from quant_organism.venue import DOUBLINGS, FeedFigures
from quant_organism.venue.client.transport import info_of
from quant_organism.venue.feed.bars import Bar
from quant_organism.venue.feed.connection import Feed, LineSpec
from quant_organism.venue.feed.plan import FeedPlan
from quant_organism.venue.feed.watchdog import WatchSpec
from quant_organism.venue.source import HyperliquidSource
from quant_organism_tests.tiny import FIRST, LAST, write_world

HOUR, MINUTE = Interval.parse("1h"), Interval.parse("1m")
SPEED = 120
AHEAD_MS = 4_000
"""How far this machine's clock is ahead of the venue's."""

COINS = ("SIM-ONE", "SIM-TWO")


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningVenue]:
    """Serve the tiny world, its last ten days still to come, two minutes a second."""
    source = WorldSource(load_world(str(write_world(tmp_path_factory.mktemp("world")))))
    engine = Engine(read_tape(source, HOUR), day_start_ms(LAST) - 10 * MS_PER_DAY + 3_600_000)
    server = VenueServer(
        engine, VenueClock(engine.now_ms, SPEED, time.monotonic), ServerSpec(ip_weight_per_minute=None)
    )
    with RunningVenue(server) as running:
        yield running


def test_bars_of_the_stream_are_the_venues_candles_with_disconnects_in_between(venue: RunningVenue) -> None:
    ask = info_of(venue.url, weight_per_minute=10**6)
    begin = ask({"type": "exchangeStatus"})["time"]
    plan = FeedPlan(dict.fromkeys(COINS, 5), [MINUTE], begin, quotes=("l2Book",))
    line = LineSpec(
        watch=WatchSpec(freshness_seconds={}),
        first_backoff_seconds=0.02,
        max_backoff_seconds=0.1,
        messages_per_second=1_000,
        check_seconds=0.05,
    )
    bars: list[Bar] = []
    feed = Feed(
        venue.url,
        plan,
        ask,
        rng=np.random.default_rng(0),
        line=line,
        wall_ms=lambda: venue.server.clock.now_ms() + AHEAD_MS,
    )

    async def listen() -> None:
        running = asyncio.create_task(feed.run())
        cutting = asyncio.create_task(cut())
        try:
            async with asyncio.timeout(60):
                async for event in feed.events():
                    if isinstance(event, Bar):
                        bars.append(event)
                        if {bar.coin for bar in bars if bar.open_ms >= begin + 12 * 60_000} == set(COINS):
                            break
        finally:
            for task in (cutting, running):
                task.cancel()
            await asyncio.gather(cutting, running, return_exceptions=True)

    async def cut() -> None:
        for pause in (1.5, 1.0, 0.7):
            await asyncio.sleep(pause)
            for transport in list(venue.server.transports.values()):
                transport.abort()

    asyncio.run(listen())
    check_figures(feed.figures())
    for coin in COINS:
        mine = [bar for bar in bars if bar.coin == coin]
        span = {"startTime": mine[0].open_ms, "endTime": mine[-1].open_ms}
        rows = ask({"type": "candleSnapshot", "req": {"coin": coin, "interval": "1m", **span}})
        theirs = [(r["t"], *(float(r[name]) for name in "ohlcv"), r["n"]) for r in rows]
        last = {b.open_ms: (b.open_ms, b.open, b.high, b.low, b.close, b.volume, b.trades) for b in mine}
        assert list(last.values()) == theirs
    assert {bar.origin for bar in bars} == {"trades", "venue"}


def check_figures(figures: FeedFigures) -> None:
    """Three sockets were cut: each counts as a reconnect, and what they would have brought was asked for."""
    assert (figures.connections, figures.reconnects, figures.is_connected) == (4, 3, False)
    assert {"trades", "l2Book", "candle", "subscriptionResponse"} <= figures.frames.keys()
    assert figures.gaps_closed["bars"] >= 3
    assert figures.gaps_closed["account"] == figures.dropped == 0
    assert figures.silent_s is not None
    assert figures.silent_s < 60.0
    latency = figures.latency
    assert latency is not None
    firsts = 2 * len(COINS) * figures.connections
    assert 0 < latency.count <= figures.frames["trades"] + figures.frames["l2Book"]
    assert latency.count >= figures.frames["trades"] + figures.frames["l2Book"] - firsts
    assert list(latency.within) == sorted(latency.within)
    assert dict(zip(DOUBLINGS, latency.within, strict=True))[21] == 0  # none is younger than the clock is ahead
    assert latency.total_s >= latency.count * AHEAD_MS / 1e3


def test_the_source_gives_the_history_of_the_venue(venue: RunningVenue, tmp_path: Path) -> None:
    source = HyperliquidSource(info_of(venue.url, weight_per_minute=10**6), base_url=venue.url, kept=tmp_path)
    first, last = source.span(HOUR)
    engine = venue.server.engine
    assert (first, last) == (FIRST, day_of(engine.now_ms - 60_000 - MS_PER_DAY))
    bars = source.candles(COINS, HOUR, first, last)
    for place, coin in enumerate(source.symbols()):
        if coin in COINS:
            upto = day_start_ms(last) + MS_PER_DAY - 1
            held = [candle.start_ms for candle in engine.candles[place].within(3_600_000, 0, upto)]
            assert bars.filter(symbol=coin)["timestamp"].dt.epoch("ms").to_list() == held
    hours = source.funding(COINS, last, last).group_by("symbol").len()["len"].to_list()
    assert hours == [24, 24]
