"""All WebSockets: what waits to be sent on each, who has subscribed to what, and who is told of what (section 8)."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson
from starlette.websockets import WebSocket, WebSocketState

from quant_organism.simulator.core import lifecycle
from quant_organism.simulator.core.account import (
    CanceledByVenue,
    Event,
    Filled,
    FundingPaid,
    Liquidated,
    MoneyMoved,
    OrderUpdated,
    Traded,
    TwapChanged,
)
from quant_organism.simulator.core.state import LIQUIDATOR
from quant_organism.simulator.engine import Engine
from quant_organism.simulator.faults.effects import UNKNOWN, distort, spoil_message
from quant_organism.simulator.faults.injector import Circumstances, FaultInjector
from quant_organism.simulator.server import market_views as market
from quant_organism.simulator.server import subscriptions as subs
from quant_organism.simulator.server.account_views import AccountView
from quant_organism.simulator.server.subscriptions import SocketSubscription
from quant_organism.venue.protocol import usd

NORMAL_CLOSURE: Final = 1000


def on_loop(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Act at once in the loop's own thread, soon where another thread asks for it: sockets belong to their loop."""
    try:
        is_own = asyncio.get_running_loop() is loop
    except RuntimeError:  # a thread without a loop
        is_own = False
    if is_own:
        act()
    else:
        loop.call_soon_threadsafe(act)


class Socket:
    """A connected client. What is queued may come from any thread; it is sent by the loop that serves the client.

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
        self.subscriptions: dict[SocketSubscription, None] = {}
        self.received: deque[float] = deque()
        self._loop = asyncio.get_running_loop()
        self.last_sent = self._loop.time()
        self.is_silent = False
        self._waiting: deque[str] = deque()
        self._held: list[str] = []
        self._ready = asyncio.Event()
        self._is_woken = False
        self._close_code: int | None = None

    @property
    def users(self) -> set[str]:
        """Users that it has subscribed to."""
        return {sub.user for sub in self.subscriptions if sub.user is not None}

    def send(self, message: dict[str, Any], sub: SocketSubscription | None = None) -> None:
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
                on_loop(self._loop, partial(self._loop.call_later, delay, self.queue, list(frames)))
                frames = []
        self.queue(frames)

    def queue(self, frames: list[str]) -> None:
        """Queue frames as they are, and behind them what was held back."""
        if self.is_silent or not frames:
            return
        self._waiting.extend([*frames, *self._held])
        self._held = []
        if len(self._waiting) > self._limit:
            self._close_code = NORMAL_CLOSURE
        self._wake()

    def close(self, code: int) -> None:
        """Have the socket closed after what is being sent."""
        self._close_code = code
        self._wake()

    def abort(self) -> None:
        """Reset the connection without a word."""
        if self._transport is not None:
            on_loop(self._loop, self._transport.abort)

    async def write(self) -> None:
        """Send what waits until the socket is closed."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            self._is_woken = False  # before what waits is looked at: whoever queues later wakes it again
            while self._waiting and self._close_code is None:
                await self.websocket.send_text(self._waiting.popleft())
                self.last_sent = self._loop.time()
            if self._close_code is not None:
                if self.websocket.application_state != WebSocketState.DISCONNECTED:
                    with contextlib.suppress(RuntimeError):
                        await self.websocket.close(self._close_code)
                return

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            on_loop(self._loop, self._ready.set)


class Hub:
    """Publishes what the venue does.

    Parameters
    ----------
    engine
        The venue; its events come to `publish`.
    injector
        Faults of what is published.
    push_interval_ms
        Least time of the venue between two states of a subscription.
    """

    def __init__(self, engine: Engine, injector: FaultInjector, push_interval_ms: int) -> None:
        self._engine, self._injector, self._interval = engine, injector, push_interval_ms
        self.sockets: set[Socket] = set()
        self._members: dict[SocketSubscription, dict[Socket, None]] = {}
        self._pushed: dict[SocketSubscription, tuple[int, Any]] = {}
        engine.listener = self.publish

    def join(self, socket: Socket, sub: SocketSubscription) -> None:
        """Enter a subscription."""
        socket.subscriptions[sub] = None
        self._members.setdefault(sub, {})[socket] = None

    def leave(self, socket: Socket, sub: SocketSubscription) -> None:
        """End a subscription."""
        socket.subscriptions.pop(sub, None)
        members = self._members.get(sub, {})
        members.pop(socket, None)
        if not members:
            self._members.pop(sub, None)
            self._pushed.pop(sub, None)

    def forget(self, socket: Socket) -> None:
        """End everything of a socket that is gone."""
        self.sockets.discard(socket)
        for sub in list(socket.subscriptions):
            self.leave(socket, sub)

    def greet(self, socket: Socket, sub: SocketSubscription) -> None:
        """Send the first message of a subscription, where its type has one."""
        data = subs.first_message(self._engine, sub)
        if data is not None:
            socket.send({"channel": sub.channel, "data": distort(self._injector, sub.kind, data)}, sub)

    def publish(self, events: list[Event]) -> None:
        """Tell everyone concerned of what has happened, in its order."""
        if not self._members:
            return
        trades: dict[int, list[Traded]] = defaultdict(list)
        by_user: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            if isinstance(event, Traded):
                trades[event.asset].append(event)
            else:
                by_user[event.account].append(event)
        for user, own in by_user.items():
            self._publish_user(user, own)
        for asset, printed in trades.items():
            listing = self._engine.venue.state.listings[asset]
            rows = [market.public_trade(trade, listing) for trade in printed]
            self._tell(SocketSubscription("trades", listing.instrument.name), rows)
            self.publish_candles(asset)

    def publish_candles(self, asset: int) -> None:
        """Send the forming candle of every interval that somebody follows."""
        coin = self._engine.venue.state.listings[asset].instrument.name
        for sub in [sub for sub in self._members if sub.kind == "candle" and sub.coin == coin]:
            data = subs.candle(self._engine, sub)
            if data is not None:
                self._tell(sub, data)

    def publish_states(self) -> None:
        """Send every state whose interval has passed; best bid and ask only when they have changed."""
        now = self._engine.now_ms
        for sub in list(self._members):
            if sub.kind not in subs.MARKET_STATES | subs.USER_STATES:
                continue
            before, last = self._pushed.get(sub, (-(1 << 60), None))
            if now - before < self._interval:
                continue
            data = subs.state(self._engine, sub)
            same = last is not None and sub.kind == "bbo" and data["bbo"] == last["bbo"]
            self._pushed[sub] = (now, data)
            if not same:
                self._tell(sub, distort(self._injector, sub.kind, data))

    def _publish_user(self, user: str, events: list[Event]) -> None:
        view, listings = AccountView(self._engine, user), self._engine.venue.state.listings
        updates = [
            {"order": e.order, "status": e.status, "statusTimestamp": e.time_ms}
            for e in events
            if isinstance(e, OrderUpdated)
        ]
        fills = [lifecycle.fill_form(e.fill, listings[e.fill.asset]) for e in events if isinstance(e, Filled)]
        paid = [subs.flat_funding(view, e.payment) for e in events if isinstance(e, FundingPaid)]
        gone = [
            {"coin": listings[e.asset].instrument.name, "oid": e.oid} for e in events if isinstance(e, CanceledByVenue)
        ]
        moved = [e.entry for e in events if isinstance(e, MoneyMoved)]
        entries = [{"time": entry.time_ms, "hash": entry.hash, "delta": entry.delta} for entry in moved]
        own = SocketSubscription("userEvents", user=user)
        if updates:
            self._tell(SocketSubscription("orderUpdates", user=user), updates)
        if fills:
            self._tell(own, {"fills": fills})
            self._tell(SocketSubscription("userFills", user=user), {"user": user, "fills": fills})
        for payment in paid:
            self._tell(own, {"funding": payment})
        if paid:
            self._tell(SocketSubscription("userFundings", user=user), {"user": user, "fundings": paid})
        for event in events:
            if isinstance(event, Liquidated):
                self._tell(own, {"liquidation": _liquidation(event)})
        if gone:
            self._tell(own, {"nonUserCancel": gone})
        history = [e.row for e in events if isinstance(e, TwapChanged)]
        if history:
            self._tell(SocketSubscription("userTwapHistory", user=user), {"user": user, "history": history})
        slices = [{"fill": form, "twapId": form["twapId"]} for form in fills if form["twapId"] is not None]
        if slices:
            self._tell(SocketSubscription("userTwapSliceFills", user=user), {"user": user, "twapSliceFills": slices})
        if entries:
            data = {"user": user, "nonFundingLedgerUpdates": entries}
            self._tell(SocketSubscription("userNonFundingLedgerUpdates", user=user), data)

    def _tell(self, sub: SocketSubscription, data: Any) -> None:
        for socket in tuple(self._members.get(sub, ())):  # members come and go in other threads
            socket.send({"channel": sub.channel, "data": data}, sub)


def _liquidation(event: Liquidated) -> dict[str, Any]:
    return {
        "lid": event.lid,
        "liquidator": LIQUIDATOR,
        "liquidated_user": event.account,
        "liquidated_ntl_pos": usd(event.notional),
        "liquidated_account_value": usd(event.equity),
    }
