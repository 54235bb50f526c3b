"""The feed on its socket: connects, subscribes, watches, asks for what is missing, and connects again."""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from quant_organism.errors import QuantOrganismError
from quant_organism.venue.client.transport import AskInfo
from quant_organism.venue.feed.core import FeedCore, FeedEvent
from quant_organism.venue.feed.figures import FeedFigures, LatencyFigures, channel_of, event_of
from quant_organism.venue.feed.messages import Acknowledged, Book, Message, Mids, Pong, Refused
from quant_organism.venue.feed.plan import FeedPlan, Subscription
from quant_organism.venue.feed.questions import Question
from quant_organism.venue.feed.queue import EventQueue, LatencyHistogram
from quant_organism.venue.feed.recording import Recorder, as_line
from quant_organism.venue.feed.watchdog import LineWatchdog, Ping, Reconnect, Resubscribe, WatchSpec


@dataclass(frozen=True, slots=True)
class LineSpec:
    """How the socket is kept.

    Parameters
    ----------
    watch
        Patience of the watchdog.
    first_backoff_seconds, max_backoff_seconds
        Longest wait before the first try to connect again, and before any; the wait is drawn between nothing and this.
    open_seconds
        How long a connection may take.
    queue_events
        Events that may wait for the listener.
    questions_at_once
        Questions to /info that may be on their way together.
    check_seconds
        Time between two looks at the clock.
    messages_per_second
        Pace of what is sent; the venue takes 2,000 messages a minute.
    proxy
        URL of an HTTP or SOCKS proxy.
    """

    watch: WatchSpec = field(default_factory=WatchSpec)
    first_backoff_seconds: float = 0.25
    max_backoff_seconds: float = 15.0
    open_seconds: float = 10.0
    queue_events: int = 10_000
    questions_at_once: int = 4
    check_seconds: float = 0.2
    messages_per_second: float = 30.0
    proxy: str | None = None


@dataclass(slots=True)
class FeedStatus:
    """What became of a feed so far.

    Attributes
    ----------
    connections
        Sockets that were opened.
    lost
        Sockets that ended, by reason.
    resubscribed
        Streams that were subscribed to again on a living socket, by reason.
    refused
        Streams that the venue will not serve, and what it said.
    handling
        From the arrival of a frame to its events lying in the queue.
    is_connected
        Whether a socket is open now.
    round_trip_s
        Seconds from the last ping to its pong; None: there was none yet on this socket.
    frames
        Frames that came, by channel.
    heard_s
        When the last of them came, by the feed's own clock; None: there was none yet.
    latency
        From what happened at the venue, by its stamp, to the arrival of the frame that says so, by this machine's
        clock: of trades, quotes, books and fills. The first frame of a stream tells of what was before, and is not
        counted.
    """

    connections: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    resubscribed: Counter[str] = field(default_factory=Counter)
    refused: dict[Subscription, str] = field(default_factory=dict)
    handling: LatencyHistogram = field(default_factory=LatencyHistogram)
    is_connected: bool = False
    round_trip_s: float | None = None
    frames: Counter[str] = field(default_factory=Counter)
    heard_s: float | None = None
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)


def socket_url(base_url: str) -> str:
    """Return the WebSocket's URL of a base URL."""
    return "ws" + base_url.removeprefix("http") + "/ws"


class Feed:
    """Streams of a venue, whole as far as the venue can say.

    Parameters
    ----------
    base_url
        As for REST, without a slash at its end.
    plan
        What is listened to.
    ask
        How /info is asked.
    line
        How the socket is kept.
    recorder
        Writes down what comes in; none: nothing is kept.
    rng
        Draws the waits between tries to connect.
    wall_ms
        This machine's clock, UTC milliseconds, which the venue's stamps are held against.
    """

    def __init__(
        self,
        base_url: str,
        plan: FeedPlan,
        ask: AskInfo,
        *,
        rng: np.random.Generator,
        line: LineSpec | None = None,
        recorder: Recorder | None = None,
        wall_ms: Callable[[], float] = lambda: time.time() * 1000,
    ) -> None:
        self._url, self._plan, self._ask, self._rng = socket_url(base_url), plan, ask, rng
        self._line, self._recorder, self._wall_ms = line or LineSpec(), recorder, wall_ms
        self.core = FeedCore(plan)
        self.status = FeedStatus()
        self.queue = EventQueue(self._line.queue_events)
        self._begun_s, self._begun_ms = time.monotonic(), time.time() * 1000
        self._questions: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(self._line.questions_at_once)
        self._delivering = asyncio.Lock()

    async def events(self) -> AsyncIterator[FeedEvent]:
        """Yield events in the order in which they came about, until the feed has ended."""
        while (event := await self.queue.get()) is not None:
            yield event

    def venue_ms(self) -> int | None:
        """Return the venue's time as its frames have shown it, the true one is not earlier; none before the first."""
        shown = self.core.venue_ms(self.now_ms())
        return None if shown is None else round(shown)

    def figures(self) -> FeedFigures:
        """Return what came of it so far, in numbers; from any thread."""
        status, counts = self.status, self.core.counts
        return FeedFigures(
            connections=status.connections,
            is_connected=status.is_connected,
            silent_s=None if status.heard_s is None else self.now_s() - status.heard_s,
            frames=dict(status.frames),
            latency=LatencyFigures.of(status.latency),
            gaps_closed={"bars": counts["gaps_of_bars"], "account": counts["gaps_of_accounts"]},
            dropped=self.queue.dropped.total(),
        )

    async def run(self) -> None:
        """Keep listening until cancelled."""
        failures = 0
        try:
            while True:
                before = self.status.connections
                reason = await self._session()
                self.status.lost[reason] += 1
                failures = 0 if self.status.connections > before else failures + 1
                longest = min(self._line.max_backoff_seconds, self._line.first_backoff_seconds * 2 ** min(failures, 10))
                await asyncio.sleep(self._rng.uniform(0, longest))
        finally:
            for task in self._questions:
                task.cancel()
            if self._recorder is not None:
                self._recorder.close()
            self.queue.close()

    async def _session(self) -> str:
        """Hold one socket as long as it lives; return why it ended."""
        try:
            socket = await connect(
                self._url,
                open_timeout=self._line.open_seconds,
                close_timeout=1.0,
                ping_interval=None,
                compression=None,
                max_size=1 << 24,
                proxy=self._line.proxy,
            )
        except (OSError, WebSocketException, TimeoutError):
            return "no_connection"
        session = _Session(self, socket)
        try:
            return await session.live()
        finally:
            self.status.is_connected = False
            self.core.lost()
            self.note("lost")
            socket.transport.abort()  # a peer that is gone would keep a polite close waiting

    def now_s(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()

    def now_ms(self) -> float:
        """Return the same clock in ms, set to UTC when the feed was made."""
        return self._begun_ms + (time.monotonic() - self._begun_s) * 1000

    def note(self, kind: str, *values: Any) -> None:
        """Write a line into the recording."""
        if self._recorder is not None:
            self._recorder.write(self.now_ms(), kind, *values)

    async def deliver(self, events: list[FeedEvent]) -> float:
        """Put events into the queue, in order; return how many seconds this side waited for room."""
        if not events:
            return 0.0
        begun = 0.0
        async with self._delivering:
            for event in events:
                if not self.queue.offer(event):
                    begun = begun or self.now_s()
                    await self.queue.put(event)
        return self.now_s() - begun if begun else 0.0

    def ask_what_is_missing(self) -> None:
        """Put the questions of the core on their way."""
        now_ms = self.now_ms()
        questions = self.core.questions(now_ms)
        if questions and self._recorder is not None:
            self._recorder.write(now_ms, "asked")
        for question in questions:
            task = asyncio.create_task(self._put(question))
            self._questions.add(task)
            task.add_done_callback(self._questions.discard)

    async def _put(self, question: Question) -> None:
        try:
            async with self._slots:
                answer = await asyncio.to_thread(self._ask, question.body())
        except QuantOrganismError:
            now_ms = self.now_ms()
            self.core.failed(question, now_ms)
            if self._recorder is not None:
                self._recorder.write(now_ms, "failed", as_line(question))
            return
        now_ms = self.now_ms()
        if self._recorder is not None:
            self._recorder.write(now_ms, "answer", as_line(question), answer)
        await self.deliver(self.core.answered(question, answer, now_ms))


class _Session:
    """One socket, from its opening to its end."""

    def __init__(self, feed: Feed, socket: ClientConnection) -> None:
        self._feed, self._socket = feed, socket
        self._dog = LineWatchdog(feed._line.watch, feed.now_s())
        self._pinged_s: deque[float] = deque()
        self._streams = {
            (subscription.type, subscription.coin): subscription
            for subscription in feed._plan.subscriptions()
            if subscription.type in feed._line.watch.freshness_seconds
        }
        self._begun: set[tuple[str, str]] = set()
        """Streams that have sent something since they were subscribed to."""

    async def live(self) -> str:
        feed = self._feed
        feed.status.connections += 1
        feed.status.is_connected, feed.status.round_trip_s = True, None
        feed.core.opened()
        feed.note("opened")
        tasks = [asyncio.create_task(work) for work in (self._read(), self._watch(), self._subscribe())]
        try:
            while True:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (reason := task.result()) is not None:
                        return reason
                    tasks.remove(task)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _subscribe(self) -> str | None:
        """Send every subscription, no faster than the venue takes them."""
        for subscription in self._feed._plan.subscriptions():
            if subscription not in self._feed.status.refused:
                if not await self._send_subscription(subscription):
                    return "closed"
                await asyncio.sleep(1 / self._feed._line.messages_per_second)
        return None

    async def _read(self) -> str | None:
        feed, dog = self._feed, self._dog
        receive, take, now_ms = self._socket.recv, feed.core.receive, feed.now_ms
        while True:
            try:
                frame = await receive(decode=False)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else 1006
                return f"closed_{code}"
            arrived_ms = now_ms()
            if feed._recorder is not None:
                feed._recorder.write(arrived_ms, "frame", frame.decode(errors="replace"))
            message, events = take(frame, arrived_ms)
            self._count(message)
            self._tell_watchdog(message)
            if events:
                waited = await feed.deliver(events)
                if waited:
                    dog.excuse(waited)
            feed.status.handling.add((now_ms() - arrived_ms) / 1000)

    def _count(self, message: Message) -> None:
        status, channel = self._feed.status, channel_of(message)
        status.frames[channel] += 1
        status.heard_s = self._feed.now_s()
        if (event := event_of(message)) is not None:
            coin, time_ms = event
            if (channel, coin) in self._begun:
                status.latency.add((self._feed._wall_ms() - time_ms) / 1000)
            else:
                self._begun.add((channel, coin))

    def _tell_watchdog(self, message: Message) -> None:
        match message:
            case Book():
                self._heard("l2Book", message.coin)
            case Mids():
                self._heard("allMids", "")
            case Pong():
                self._dog.ponged()
                if self._pinged_s:
                    self._feed.status.round_trip_s = self._feed.now_s() - self._pinged_s.popleft()
            case Acknowledged(subscription, True):
                self._dog.acknowledged(subscription, self._feed.now_s())
            case Refused(subscription, text):
                self._dog.refused(subscription)
                self._feed.status.refused[subscription] = text

    def _heard(self, kind: str, coin: str) -> None:
        subscription = self._streams.get((kind, coin))
        if subscription is not None:
            self._dog.heard(subscription, self._feed.now_s())

    async def _watch(self) -> str | None:
        feed = self._feed
        while True:
            now_s = feed.now_s()
            for verdict in self._dog.verdicts(now_s):
                match verdict:
                    case Reconnect(reason):
                        return reason
                    case Resubscribe():
                        if not await self._again(verdict):
                            return "closed"
                    case Ping():
                        if not await self._ping():
                            return "closed"
            if feed.core.wants_ping(feed.now_ms()) and not await self._ping():
                return "closed"
            feed.ask_what_is_missing()
            await asyncio.sleep(feed._line.check_seconds)

    async def _again(self, verdict: Resubscribe) -> bool:
        feed, subscription = self._feed, verdict.subscription
        feed.status.resubscribed["silent" if verdict.was_silent else "no_ack"] += 1
        self._begun.discard((subscription.type, subscription.coin))
        feed.core.silenced(subscription)
        feed.note("silenced", subscription.wire())
        if verdict.was_silent and not await self._send({"method": "unsubscribe", "subscription": subscription.wire()}):
            return False
        return await self._send_subscription(subscription)

    async def _send_subscription(self, subscription: Subscription) -> bool:
        self._dog.subscribed(subscription, self._feed.now_s())
        return await self._send({"method": "subscribe", "subscription": subscription.wire()})

    async def _ping(self) -> bool:
        self._dog.pinged(self._feed.now_s())
        self._pinged_s.append(self._feed.now_s())
        now_ms = self._feed.now_ms()
        self._feed.core.pinged(now_ms)
        if self._feed._recorder is not None:
            self._feed._recorder.write(now_ms, "pinged")
        return await self._send({"method": "ping"})

    async def _send(self, message: Mapping[str, Any]) -> bool:
        """Send a message; say whether the socket took it."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(orjson.dumps(message).decode())
            return True
        return False
