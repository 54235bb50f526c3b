"""One WebSocket: what waits to be sent on it, and what faults make of that."""

import asyncio
import contextlib
from collections import deque
from typing import Any, Final

import orjson
from starlette.websockets import WebSocket, WebSocketState

from quant_organism.exchange.simulator.faults.answers import UNKNOWN, spoil_message
from quant_organism.exchange.simulator.faults.injector import Circumstances, FaultInjector
from quant_organism.exchange.simulator.server.subscriptions import Subscription

NORMAL_CLOSURE: Final = 1000


class Socket:
    """A connected client.

    Parameters
    ----------
    websocket
        Accepted.
    transport
        Beneath it, for faults that break it.
    injector
        Which faults strike its messages.
    queue_messages
        Messages that may wait; beyond that the client is too slow and is sent away.
    """

    def __init__(
        self,
        websocket: WebSocket,
        transport: asyncio.Transport | None,
        injector: FaultInjector,
        queue_messages: int,
    ) -> None:
        self.websocket, self._transport, self._injector, self._limit = websocket, transport, injector, queue_messages
        self.subscriptions: dict[Subscription, None] = {}
        self.received: deque[float] = deque()
        self.last_sent = asyncio.get_running_loop().time()
        self.is_silent = False
        self._waiting: deque[str] = deque()
        self._held: list[str] = []
        self._ready = asyncio.Event()
        self._close_code: int | None = None

    @property
    def users(self) -> set[str]:
        """Users that it has subscribed to."""
        return {sub.user for sub in self.subscriptions if sub.user is not None}

    def send(self, message: dict[str, Any], sub: Subscription | None = None) -> None:
        """Queue a message, as the faults that strike it leave it."""
        channel = str(message["channel"])
        coins = frozenset() if sub is None or sub.coin is None else frozenset({sub.coin})
        where = Circumstances(
            "ws", None if sub is None else sub.kind, coins, None if sub is None else sub.user, channel
        )
        faults = self._injector.strike("frame", where)
        for fault in faults:
            message = spoil_message(fault, message)
        frames = [orjson.dumps(message).decode()]
        for fault in faults:
            if fault.kind == "drop_frame":
                frames = []
            elif fault.kind == "duplicate_frame":
                frames = frames * 2
            elif fault.kind == "malform_frame":
                frames = [frame[: len(frame) // 2] for frame in frames]
            elif fault.kind == "unknown_channel":
                frames = [orjson.dumps({"channel": UNKNOWN, "data": {}}).decode(), *frames]
            elif fault.kind == "reorder_frame":
                self._held, frames = [*self._held, *frames], []
            elif fault.kind == "delay_frame":
                delay = fault.number("ms", 1_000) / 1000
                asyncio.get_running_loop().call_later(delay, self.queue, list(frames))
                frames = []
        self.queue(frames)

    def queue(self, frames: list[str]) -> None:
        """Queue frames as they are, and behind them what was held back."""
        if self.is_silent or not frames:
            return
        self._waiting.extend([*frames, *self._held])
        self._held = []
        if len(self._waiting) > self._limit:
            self.close(NORMAL_CLOSURE)
        self._ready.set()

    def close(self, code: int) -> None:
        """Have the socket closed after what is being sent."""
        self._close_code = code
        self._ready.set()

    def abort(self) -> None:
        """Reset the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Send what waits until the socket is closed."""
        loop = asyncio.get_running_loop()
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._waiting and self._close_code is None:
                await self.websocket.send_text(self._waiting.popleft())
                self.last_sent = loop.time()
            if self._close_code is not None:
                if self.websocket.application_state != WebSocketState.DISCONNECTED:
                    with contextlib.suppress(RuntimeError):
                        await self.websocket.close(self._close_code)
                return
