"""The feed: how fast frames become bars, and how long after its last frame a bar has become a signal.

`messages_per_s` is the core alone, on the CPU time of one core. `p99_ms_at_2000` is the whole way: a venue in another
process sends 2,000 frames a second over a loopback socket, its clock sixty times as fast as ours; the time runs from
the moment before it sends the frame that lets a bar close until a strategy has decided on that bar.
"""

import asyncio
import gc
import multiprocessing
import random
import statistics
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import orjson

from quant_organism.backtest import Costs, GenomeStream, MarketRow
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import default_genome
from quant_organism.venue import Bar, Feed, FeedCore, FeedPlan, LineSpec

COINS = tuple(f"C{n:02d}" for n in range(20))
START = 1_700_000_040_000
MINUTE = Interval.parse("1m")
FRAMES, ROUNDS = 100_000, 3
RATE, SECONDS, SPEED = 2_000, 20, 60
GRACE_MS = 500


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    frames = [frame for frame, _ in _frames(FRAMES, 20)]
    each = min(_seconds_of_core(frames) for _ in range(ROUNDS)) / FRAMES
    latencies, handling = asyncio.run(_over_a_socket())
    bars = f"{len(latencies)} bars of {len(COINS)} coins, each traded by ema_crossover"
    return [
        _row("messages_per_s", 1 / each, "1/s", f"half trades, half quotes, {len(COINS)} coins; bar 50,000"),
        _row("p99_ms_at_2000", float(np.quantile(latencies, 0.99)) * 1e3, "ms", f"{bars}; bar 5"),
        _row("p50_ms_at_2000", statistics.median(latencies) * 1e3, "ms", bars),
        _row("frame_p99_ms", handling * 1e3, "ms", "from a frame's arrival to its events in the queue"),
    ]


def _frames(count: int, per_ms_inverse: int) -> list[tuple[bytes, tuple[str, int]]]:
    """Return frames of a busy venue, a frame every `per_ms_inverse` ms of its time, with coin and time of each."""
    rng, frames = random.Random(0), []
    for n in range(count):
        coin, now = rng.choice(COINS), START + n * per_ms_inverse
        px = f"{100 * rng.uniform(0.99, 1.01):.2f}"
        if n % 2:
            level = {"px": px, "sz": "1.5", "n": 3}
            said: dict[str, Any] = {"channel": "bbo", "data": {"coin": coin, "time": now, "bbo": [level, level]}}
        else:
            trade = {
                "coin": coin,
                "side": "B",
                "px": px,
                "sz": f"{rng.uniform(0.01, 9):.5f}",
                "time": now,
                "hash": "0x" + "ab" * 32,
                "tid": n,
                "users": ["0x" + "12" * 20, "0x" + "34" * 20],
            }
            said = {"channel": "trades", "data": [trade]}
        frames.append((orjson.dumps(said), (coin, now)))
    return frames


def _plan() -> FeedPlan:
    return FeedPlan(dict.fromkeys(COINS, 5), [MINUTE], START, grace_ms=GRACE_MS)


def _seconds_of_core(frames: list[bytes]) -> float:
    core = FeedCore(_plan())
    for coin in COINS:
        core.receive(orjson.dumps(_acknowledged({"type": "trades", "coin": coin})), 0.0)
    for question in core.questions(0.0):
        core.answered(question, {"time": START - 10_000}, 0.0)
    begun, bars = time.process_time(), 0
    for n, frame in enumerate(frames):
        _, events = core.receive(frame, n * 0.02)
        bars += sum(type(event) is Bar for event in events)
    took = time.process_time() - begun
    if bars < (len(frames) // 3_000 - 2) * len(COINS):
        raise AssertionError(f"only {bars} bars were made")
    return took


async def _over_a_socket() -> tuple[list[float], float]:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    venue = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    venue.start()
    port = ours.recv()
    streams = {coin: _stream(coin) for coin in COINS}
    warm = _stream("warm")
    for bar in range(2):  # loads what a stream's first bar runs, and what all bars after it do
        warm.step(_market_row(Bar("warm", "1m", START + 60_000 * bar, 100.0, 101.0, 99.0, 100.0, 1.0, 1, "trades")))
    feed = Feed(
        f"http://127.0.0.1:{port}",
        _plan(),
        lambda body: {"time": START - 10_000} if body["type"] == "exchangeStatus" else [],
        rng=np.random.default_rng(0),
        line=LineSpec(messages_per_second=10_000),
    )
    gc.collect()
    gc.freeze()  # as the program that follows a feed does: what starting has left behind is not searched again
    running, decided = asyncio.create_task(feed.run()), {}

    async def trade() -> None:
        async for event in feed.events():
            if isinstance(event, Bar) and event.origin == "trades":
                streams[event.coin].step(_market_row(event))
                decided[event.coin, event.open_ms] = time.monotonic()

    trading = asyncio.create_task(trade())
    sent: Mapping[tuple[str, int], float] = await asyncio.to_thread(ours.recv)
    await asyncio.sleep(0.5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await trading
    venue.terminate()
    latencies = [decided[key] - sent[key] for key in decided if key in sent]
    if len(latencies) < len(COINS) * (SECONDS - 4):
        raise AssertionError(f"only {len(latencies)} bars were measured")
    return latencies, feed.status.handling.quantile(0.99)


def _stream(coin: str) -> GenomeStream:
    shape, rng = (720, 1), np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, shape), axis=0))
    zeros = np.zeros(shape)
    history = Panel.from_arrays(
        symbols=[coin],
        interval=MINUTE,
        times=START + 60_000 * np.arange(-720, 0),
        open=close,
        high=close * 1.001,
        low=close * 0.999,
        close=close,
        volume=zeros + 1.0,
        funding_rate=zeros,
        funding_paid=zeros,
    )
    return GenomeStream(default_genome("ema_crossover"), (coin,), MINUTE, Costs(), history=history)


def _market_row(bar: Bar) -> MarketRow:
    def one(value: float) -> np.ndarray[Any, Any]:
        return np.array([value])

    return MarketRow(
        time=bar.open_ms,
        open=one(bar.open),
        high=one(bar.high),
        low=one(bar.low),
        close=one(bar.close),
        volume=one(bar.volume),
        funding_rate=one(0.0),
        funding_paid=one(0.0),
        valid=np.array([True]),
    )


def _serve(pipe: Connection) -> None:
    """Be the venue: send what was prepared, at its pace, and say when each bar was let close."""
    from websockets.asyncio.server import ServerConnection, serve

    frames = _frames(RATE * SECONDS, 1_000 * SPEED // RATE)
    done = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        for _ in range(len(_plan().subscriptions())):
            said = orjson.loads(await socket.recv())
            await socket.send(orjson.dumps(_acknowledged(said["subscription"])).decode())
        await asyncio.sleep(1.0)  # the venue's clock is asked for meanwhile
        sent: dict[tuple[str, int], float] = {}
        closed, begun = dict.fromkeys(COINS, START), time.monotonic()
        for n, (frame, (coin, now)) in enumerate(frames):
            if n % 4 == 0 and (early := begun + n / RATE - time.monotonic()) > 0:
                await asyncio.sleep(early)
            end = (now - GRACE_MS) // 60_000 * 60_000
            if end > closed[coin]:
                closed[coin] = end
                sent[coin, end - 60_000] = time.monotonic()
            await socket.send(frame.decode())
        pipe.send(sent)
        await asyncio.sleep(60)
        done.set()

    async def listen() -> None:
        async with serve(talk, "127.0.0.1", 0, ping_interval=None, compression=None) as server:
            pipe.send(server.sockets[0].getsockname()[1])
            await done.wait()

    asyncio.run(listen())


def _acknowledged(subscription: Mapping[str, str]) -> dict[str, Any]:
    return {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": subscription}}


def _row(metric: str, value: float, unit: str, note: str) -> dict[str, Any]:
    return {"metric": metric, "value": value, "unit": unit, "note": note}
