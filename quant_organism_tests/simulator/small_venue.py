"""A venue of a few coins on a real socket, with a clock of its own and every fault that a line can have."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from quant_organism.market.schema import Interval
from quant_organism.venue import Bar

START = 1_700_000_040_000
STEP_MS = 250
USER = "0x" + "ab" * 20


@dataclass
class Faults:
    """How likely each fault is, per message or per step."""

    drop_socket: float = 0.0
    lose_trades: float = 0.0
    double: float = 0.0
    swap: float = 0.0
    garbage: float = 0.0
    ignore_subscription: float = 0.0
    fail_questions: float = 0.0
    is_deaf: bool = False
    """Half-open: the socket stays, nothing comes."""
    silent: set[str] = field(default_factory=set)
    """Channels that send nothing."""


GARBAGE = (
    b"{",
    b"null",
    b"[1]",
    b'{"channel":"somethingNew","data":{}}',
    b'{"channel":"l2Book","data":null}',
    b'{"channel":"bbo","data":{"coin":"BTC","time":null,"bbo":[null,null]}}',
    b'{"channel":"error","data":"Something else"}',
    b'{"channel":"allMids","data":{"mids":{"BTC":null}}}',
    b'{"channel":"candle","data":{"t":1,"T":2,"s":"BTC","i":"1m","o":null}}',
)


class SmallVenue:
    """The venue; `run` moves its clock.

    Parameters
    ----------
    coins
        Coins; of the last one there are few trades.
    seed
        Of all that is drawn.
    faults
        What goes wrong.
    """

    def __init__(self, coins: tuple[str, ...] = ("BTC", "ETH", "RARE"), seed: int = 0, faults: Faults | None = None):
        self.coins, self.rng, self.faults = coins, random.Random(seed), faults or Faults()
        self.now_ms = START
        self.trades: dict[str, list[dict[str, Any]]] = {coin: [] for coin in coins}
        self.fills: list[dict[str, Any]] = []
        self.sockets: dict[ServerConnection, set[bytes]] = {}
        self.opened = self.dropped = 0
        self._tid = 0

    async def start(self) -> str:
        """Listen on loopback; return the base URL."""
        self._server: Server = await serve(self._serve, "127.0.0.1", 0, ping_interval=None, compression=None)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close everything."""
        for socket in list(self.sockets):
            socket.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    async def run(self, until_ms: int, pause_s: float = 0.0005) -> None:
        """Let time pass with trades, all of them before that moment."""
        while self.now_ms + STEP_MS < until_ms:
            await self.step()
            await asyncio.sleep(pause_s)

    async def step(self, *, trading: bool = True) -> None:
        """Make one block and publish it."""
        self.now_ms += STEP_MS
        for place, coin in enumerate(self.coins):
            often = 0.02 if place == len(self.coins) - 1 and place else 0.4
            if trading and self.rng.random() < often:
                rows = [self._trade(coin) for _ in range(self.rng.randrange(1, 4))]
                self.trades[coin] += rows
                await self.publish({"type": "trades", "coin": coin}, "trades", rows)
                await self.publish({"type": "candle", "coin": coin, "interval": "1m"}, "candle", self.candle(coin))
                if self.rng.random() < 0.1:
                    await self.fill(rows[-1])
            await self.publish({"type": "bbo", "coin": coin}, "bbo", self._bbo(coin))
        if self.rng.random() < self.faults.drop_socket:
            self.drop()

    def drop(self) -> None:
        """Cut every socket off, with whatever is on its way."""
        for socket in list(self.sockets):
            self.dropped += 1
            socket.transport.abort()

    async def fill(self, trade: Mapping[str, Any]) -> None:
        """Let the user have taken part in a trade."""
        fill = dict(trade) | {"oid": trade["tid"] + 10**6, "fee": "0.1", "dir": "Open Long"}
        self.fills.append(fill)
        await self.publish({"type": "userFills", "user": USER}, "userFills", {"user": USER, "fills": [fill]})
        await self.publish({"type": "userEvents", "user": USER}, "user", {"fills": [fill]})

    async def publish(self, subscription: Mapping[str, str], channel: str, data: Any) -> None:
        """Send to all who want it, with the faults that befall it."""
        frame = orjson.dumps({"channel": channel, "data": data})
        faults, draw = self.faults, self.rng.random
        if faults.is_deaf or channel in faults.silent or (channel == "trades" and draw() < faults.lose_trades):
            return
        frames = [frame] * (2 if draw() < faults.double else 1)
        if draw() < faults.garbage:
            frames.insert(0, self.rng.choice(GARBAGE))
        if channel == "trades" and len(data) > 1 and draw() < faults.swap:
            frames = [orjson.dumps({"channel": channel, "data": [row]}) for row in reversed(data)]
        key = _key(subscription)
        for socket in [socket for socket, wanted in self.sockets.items() if key in wanted]:
            for one in frames:
                await self._send(socket, one)

    def ask(self, body: Mapping[str, Any]) -> Any:
        """Answer /info."""
        if self.rng.random() < self.faults.fail_questions:
            return {"error": "no"}
        match body["type"]:
            case "exchangeStatus":
                return {"specialStatuses": None, "time": self.now_ms}
            case "candleSnapshot":
                request = body["req"]
                candles = self.candles(request["coin"])
                return [row for row in candles if request["startTime"] <= row["t"] <= request["endTime"]][-5_000:]
            case "userFillsByTime":
                return [row for row in self.fills if row["time"] >= body["startTime"]][:2_000]
        return []

    def candles(self, coin: str) -> list[dict[str, Any]]:
        """Return all candles of a coin, the forming one included."""
        grouped: dict[int, list[dict[str, Any]]] = {}
        for trade in self.trades[coin]:
            grouped.setdefault(trade["time"] // 60_000 * 60_000, []).append(trade)
        return [_candle(coin, start, rows) for start, rows in grouped.items()]

    def candle(self, coin: str) -> dict[str, Any]:
        """Return the candle that forms."""
        start = self.trades[coin][-1]["time"] // 60_000 * 60_000
        rows = []
        for trade in reversed(self.trades[coin]):
            if trade["time"] < start:
                break
            rows.append(trade)
        return _candle(coin, start, rows[::-1])

    async def _serve(self, socket: ServerConnection) -> None:
        self.opened += 1
        self.sockets[socket] = set()
        try:
            await socket.send("Websocket connection established.")
            async for frame in socket:
                await self._hear(socket, orjson.loads(frame))
        except ConnectionClosed:
            pass
        finally:
            self.sockets.pop(socket, None)

    async def _hear(self, socket: ServerConnection, said: Mapping[str, Any]) -> None:
        if self.faults.is_deaf:
            return
        if said["method"] == "ping":
            await self._send(socket, b'{"channel":"pong"}')
            return
        subscription = said["subscription"]
        if said["method"] == "unsubscribe":
            self.sockets[socket].discard(_key(subscription))
            return
        if self.rng.random() < self.faults.ignore_subscription:
            return
        echo = dict(subscription) | ({"nSigFigs": None} if subscription["type"] == "l2Book" else {})
        self.sockets[socket].add(_key(subscription))
        await self._send(
            socket, orjson.dumps({"channel": "subscriptionResponse", "data": {**said, "subscription": echo}})
        )
        if subscription["type"] == "trades" and (recent := self.trades[subscription["coin"]][-10:]):
            await self._send(socket, orjson.dumps({"channel": "trades", "data": recent[::-1]}))

    async def _send(self, socket: ServerConnection, frame: bytes) -> None:
        try:
            await socket.send(frame.decode())
        except ConnectionClosed:
            self.sockets.pop(socket, None)

    def _trade(self, coin: str) -> dict[str, Any]:
        self._tid += 1
        px, sz = f"{100 * self.rng.uniform(0.9, 1.1):.2f}", f"{self.rng.randrange(1, 10**6) / 10**5:.5f}"
        return {
            "coin": coin,
            "side": "B",
            "px": px,
            "sz": sz,
            "time": self.now_ms,
            "hash": "0x0",
            "tid": self._tid,
            "users": ["0x1", "0x2"],
        }

    def _bbo(self, coin: str) -> dict[str, Any]:
        return {"coin": coin, "time": self.now_ms, "bbo": [{"px": "99.5", "sz": "1", "n": 1}, None]}


def _candle(coin: str, start: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    prices = [row["px"] for row in rows]
    units = sum(round(float(row["sz"]) * 10**5) for row in rows)
    return {
        "t": start,
        "T": start + 59_999,
        "s": coin,
        "i": "1m",
        "o": prices[0],
        "c": prices[-1],
        "h": max(prices, key=float),
        "l": min(prices, key=float),
        "v": f"{units / 10**5:.5f}",
        "n": len(rows),
    }


def _key(subscription: Mapping[str, str]) -> bytes:
    return orjson.dumps(dict(subscription), option=orjson.OPT_SORT_KEYS)


def truth(venue: SmallVenue, until_ms: int) -> dict[tuple[str, int], tuple[float, ...]]:
    """Return the venue's own closed candles as values to compare with."""
    return {
        (coin, row["t"]): (*(float(row[name]) for name in "ohlcv"), row["n"])
        for coin in venue.coins
        for row in venue.candles(coin)
        if row["t"] + 60_000 <= until_ms
    }


def values(bar: Bar) -> tuple[float, ...]:
    """Return what must be equal in a bar and in the venue's candle."""
    return (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades)


MINUTE = Interval.parse("1m")
