"""The feed over real sockets: whatever befalls the line, every bar and fill arrives once and as the venue has it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from quant_organism.venue.feed.bars import Bar
from quant_organism.venue.feed.connection import Feed, LineSpec
from quant_organism.venue.feed.core import FeedCore, FeedEvent, Reconciled
from quant_organism.venue.feed.messages import FillReport, Fills
from quant_organism.venue.feed.plan import FeedPlan
from quant_organism.venue.feed.recording import Recorder, read_lines, recorded_files, replay
from quant_organism.venue.feed.watchdog import WatchSpec
from quant_organism_tests.simulator.small_venue import MINUTE, START, USER, Faults, SmallVenue, truth, values

PATIENCE = WatchSpec(ping_seconds=0.1, pong_seconds=0.1, ack_seconds=0.1, freshness_seconds={})
LINE = LineSpec(
    watch=PATIENCE,
    first_backoff_seconds=0.01,
    max_backoff_seconds=0.05,
    check_seconds=0.005,
    messages_per_second=10_000,
)

SECONDS = 180.0
"""More than any of these lines needs on a busy machine."""


@dataclass
class Heard:
    """What a listener was told."""

    feed: Feed
    events: list[FeedEvent] = field(default_factory=list)

    @property
    def bars(self) -> list[Bar]:
        """Bars in the order in which they came."""
        return [event for event in self.events if isinstance(event, Bar)]

    @property
    def fills(self) -> list[FillReport]:
        """Fills in the order in which they came."""
        return [fill for event in self.events if isinstance(event, Fills) for fill in event.fills]


async def listen(
    venue: SmallVenue,
    minutes: int,
    *,
    line: LineSpec = LINE,
    recorder: Recorder | None = None,
    while_running: Callable[[SmallVenue], None] = lambda venue: None,
) -> Heard:
    """Let a feed listen for some minutes of the venue, then heal the line until every bar has come."""
    url, until = await venue.start(), START + minutes * 60_000
    plan = FeedPlan(dict.fromkeys(venue.coins, 5), [MINUTE], START, users=(USER,))
    heard = Heard(Feed(url, plan, venue.ask, rng=np.random.default_rng(1), line=line, recorder=recorder))

    async def collect() -> None:
        async for event in heard.feed.events():
            heard.events.append(event)

    run, collecting = asyncio.create_task(heard.feed.run()), asyncio.create_task(collect())
    try:
        async with asyncio.timeout(SECONDS):
            half = START + minutes * 30_000
            await venue.run(half)
            while_running(venue)
            await venue.run(until)
            venue.faults = Faults()
            due = truth(venue, until)
            for _ in range(4_000):
                await venue.step(trading=False)
                await asyncio.sleep(0.005)
                last = {(bar.coin, bar.open_ms): values(bar) for bar in heard.bars}
                if last == due and {fill.tid for fill in heard.fills} == {fill["tid"] for fill in venue.fills}:
                    break
    finally:
        run.cancel()
        await asyncio.wait_for(asyncio.gather(run, collecting, return_exceptions=True), SECONDS)
        await asyncio.wait_for(venue.stop(), SECONDS)
    return heard


def assert_all_is_as_the_venue_has_it(venue: SmallVenue, heard: Heard, minutes: int) -> None:
    """Every bar and fill of the venue came; in the end each bar is the venue's; fills came once, bars in order."""
    due = truth(venue, START + minutes * 60_000)
    assert {(bar.coin, bar.open_ms): values(bar) for bar in heard.bars} == due
    assert sorted(fill.tid for fill in heard.fills) == sorted(fill["tid"] for fill in venue.fills)
    for coin in venue.coins:
        opens = [bar.open_ms for bar in heard.bars if bar.coin == coin and not bar.is_revision]
        assert opens == sorted(set(opens))


def test_a_calm_line_makes_bars_of_trades() -> None:
    venue = SmallVenue(seed=1)
    heard = asyncio.run(listen(venue, 6))
    assert_all_is_as_the_venue_has_it(venue, heard, 6)
    origins = [bar.origin for bar in heard.bars]
    assert origins.count("trades") > origins.count("venue")
    assert not any(bar.is_revision for bar in heard.bars)


def test_in_fifty_disconnects_no_bar_or_fill_is_lost_doubled_or_altered() -> None:
    venue = SmallVenue(seed=2, faults=Faults(drop_socket=0.04))
    minutes = 10
    heard = asyncio.run(listen(venue, minutes))
    assert venue.dropped >= 50
    assert_all_is_as_the_venue_has_it(venue, heard, minutes)
    assert not any(bar.is_revision for bar in heard.bars), "none left before it was right"
    assert sum(isinstance(event, Reconciled) for event in heard.events) > 10


@pytest.mark.parametrize(
    "faults",
    [
        Faults(double=0.3),
        Faults(swap=0.5),
        Faults(lose_trades=0.05),
        Faults(garbage=0.05),
        Faults(ignore_subscription=0.5),
        Faults(fail_questions=0.3, drop_socket=0.01),
        Faults(drop_socket=0.01, double=0.1, swap=0.1, lose_trades=0.02, garbage=0.02, ignore_subscription=0.1),
    ],
    ids=["doubled", "out of order", "lost frames", "garbage", "no acknowledgement", "no answers", "all at once"],
)
def test_whatever_befalls_the_line_the_bars_are_the_venues(faults: Faults) -> None:
    venue = SmallVenue(seed=3, faults=faults)
    heard = asyncio.run(listen(venue, 4))
    assert_all_is_as_the_venue_has_it(venue, heard, 4)


def test_a_half_open_socket_is_given_up_when_the_pong_does_not_come() -> None:
    venue = SmallVenue(seed=4)

    def fall_silent(venue: SmallVenue) -> None:
        venue.faults = Faults(is_deaf=True)

    heard = asyncio.run(listen(venue, 4, while_running=fall_silent))
    assert heard.feed.status.lost["pong_missing"] >= 1
    assert_all_is_as_the_venue_has_it(venue, heard, 4)


def test_a_replay_of_the_recording_gives_the_same_events(tmp_path: Path) -> None:
    venue = SmallVenue(seed=5, faults=Faults(drop_socket=0.01, lose_trades=0.02, garbage=0.02))
    heard = asyncio.run(listen(venue, 5, recorder=Recorder(tmp_path, max_bytes=100_000)))
    files = recorded_files(tmp_path)
    assert len(files) > 1
    core = FeedCore(heard.feed.core.plan)
    again = list(replay(core, (line for path in files for line in read_lines(path))))
    assert again[: len(heard.events)] == heard.events
    assert core.counts == heard.feed.core.counts
