"""The feed without its socket: frames, answers and the passing of time in, events and questions out.

The same inputs give the same events, which is what a recording replays. `now_ms` is always a clock that never goes back
and says nothing about the venue's time; that one is learnt from what the venue sends, and never believed to be later
than it is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from quant_organism.venue.feed.bars import Bar, BarBuilder
from quant_organism.venue.feed.messages import (
    AccountNews,
    Acknowledged,
    AssetContext,
    BestQuote,
    Book,
    FillReport,
    Fills,
    Message,
    Mids,
    OrderUpdates,
    Pong,
    Refused,
    Trades,
    Unreadable,
    VenueCandle,
    VenueSays,
    fill_of,
    read_message,
)
from quant_organism.venue.feed.plan import FeedPlan, Subscription
from quant_organism.venue.feed.questions import (
    FILLS_IN_AN_ANSWER,
    Agenda,
    AnswerError,
    Question,
    Seen,
    candles_of,
    clock_of,
    rows_of,
)

TRADES_REMEMBERED: Final = 20_000
FILLS_REMEMBERED: Final = 50_000
_NEVER_MS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Reconciled:
    """After a gap: all fills are delivered, and these are the open orders on all dexs, as the venue sends them."""

    user: str
    open_orders: list[Mapping[str, Any]]


FeedEvent = Bar | Fills | OrderUpdates | AccountNews | Book | BestQuote | Mids | AssetContext | Reconciled


@dataclass(slots=True)
class _Coin:
    builders: dict[str, BarBuilder]
    seen: Seen = field(default_factory=lambda: Seen(TRADES_REMEMBERED))
    shown_ms: int = 0
    due_ms: int = 0
    """Venue time at which the next of its bars ends."""


@dataclass(slots=True)
class _User:
    last_fill_ms: int
    waiting: set[Subscription] = field(default_factory=set)
    known_ms: int | None = None
    """Up to here its fills are all known; None: up to the newest."""
    must_ask_fills: bool = False
    must_ask_orders: set[str] = field(default_factory=set)
    """Dexs whose open orders are to be asked for."""
    open_orders: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    """Answers so far, by dex."""

    def lose_track(self, known_ms: int | None = None) -> None:
        """Note that fills may be missing after a time; none: after the newest."""
        since = self.last_fill_ms if known_ms is None else known_ms
        self.known_ms = since if self.known_ms is None else min(self.known_ms, since)


class FeedCore:
    """State of a feed.

    Parameters
    ----------
    plan
        What is listened to.
    """

    def __init__(self, plan: FeedPlan) -> None:
        self.plan = plan
        self.counts: Counter[str] = Counter()
        self._agenda = Agenda()
        self._coins = {
            coin: _Coin({length.name: BarBuilder(coin, length, plan.begin_ms, decimals) for length in plan.intervals})
            for coin, decimals in plan.coins.items()
        }
        for coin in self._coins.values():
            self._schedule(coin)
        self._users = {user: _User(plan.begin_ms) for user in plan.users}
        self._fills = Seen(FILLS_REMEMBERED)
        self._uncovered: set[str] = set()
        """Coins whose trades are acknowledged, but since when is not known yet."""
        self._clocked: set[str] = set()
        """Those that the question on its way is for: what was acknowledged later is not covered by its answer."""
        self._offset_ms: float | None = None
        self._shown_ms = 0
        self._pings: list[float] = []
        self._due_ms = self._next_due()

    def opened(self) -> None:
        """Note a new socket."""
        self.lost()
        self._offset_ms = None
        self._pings.clear()
        for user, state in self._users.items():
            state.lose_track()
            state.waiting = {Subscription(kind, user=user) for kind in ("orderUpdates", "userEvents", "userFills")}

    def lost(self) -> None:
        """Note that the socket is gone, with whatever was on its way."""
        self._uncovered.clear()
        self._clocked.clear()
        for coin in self._coins.values():
            for builder in coin.builders.values():
                builder.uncover()

    def silenced(self, subscription: Subscription) -> None:
        """Note that a stream stopped while others went on; it is being subscribed to again."""
        if subscription.type == "trades" and subscription.coin in self._coins:
            self._uncovered.discard(subscription.coin)
            self._clocked.discard(subscription.coin)
            for builder in self._coins[subscription.coin].builders.values():
                builder.uncover()

    def pinged(self, now_ms: float) -> None:
        """Note that a ping went out: its pong shows that nothing sent before is missing."""
        self._pings.append(now_ms)

    def receive(self, frame: bytes | str, now_ms: float) -> tuple[Message, list[FeedEvent]]:
        """Take in a frame; return what it said and the events that it brings."""
        message = read_message(frame)
        kind = type(message)
        if kind is Trades:
            return message, self._take_trades(message, now_ms)  # type: ignore[arg-type]
        return message, self._take(message, now_ms)

    def venue_ms(self, now_ms: float) -> float | None:
        """Return the venue's time as far as it is known; the true one is not earlier."""
        return None if self._offset_ms is None else now_ms + self._offset_ms

    def wants_ping(self, now_ms: float) -> bool:
        """Say whether a pong would let a bar close that nothing else closes."""
        venue = self.venue_ms(now_ms)
        if venue is None or venue < self._due_ms + self.plan.quiet_grace_ms:
            return False
        return all(now_ms - at > self.plan.quiet_grace_ms for at in self._pings[-1:])

    def questions(self, now_ms: float) -> list[Question]:
        """Return what must be asked over REST now; each is answered or failed before it is asked again."""
        wanted = [Question("clock")] if self._uncovered else []
        latest = (self.venue_ms(now_ms) or 0.0) - self.plan.rest_lag_ms
        for name, coin in self._coins.items():
            for interval, builder in coin.builders.items():
                span = builder.wanted()
                if span is not None and span[1] + builder.interval.milliseconds <= latest:
                    wanted.append(Question("candles", (name, interval), *span))
        for user, state in self._users.items():
            if state.must_ask_fills:
                since = state.last_fill_ms if state.known_ms is None else state.known_ms
                start = max(self.plan.begin_ms, since - self.plan.fill_overlap_ms)
                wanted.append(Question("fills", (user,), start))
            else:
                wanted += [Question("orders", (user, dex)) for dex in sorted(state.must_ask_orders)]
        asked = [question for question in wanted if self._agenda.may_ask(question, now_ms)]
        for question in asked:
            self._is_asked(question)
        return asked

    def failed(self, question: Question, now_ms: float) -> None:
        """Note that a question got no answer."""
        self.counts["questions_failed"] += 1
        self._agenda.failed(question, now_ms)
        if question.kind in ("fills", "orders"):
            user = self._users[question.subject[0]]
            if question.kind == "fills":
                user.must_ask_fills = True
                user.lose_track(question.first_ms + self.plan.fill_overlap_ms)
            else:
                user.must_ask_orders.add(question.subject[1])

    def answered(self, question: Question, answer: Any, now_ms: float) -> list[FeedEvent]:
        """Take in the answer to a question; one that cannot be read counts as none."""
        try:
            events = self._take_answer(question, answer)
        except AnswerError:
            self.counts["answers_unreadable"] += 1
            self.failed(question, now_ms)
            return []
        self._agenda.answered(question)
        return events

    def _is_asked(self, question: Question) -> None:
        # noted at asking: what comes up while the answer is on its way makes the question be asked again
        if question.kind == "clock":
            self._clocked = set(self._uncovered)
        elif question.kind != "candles":
            user = self._users[question.subject[0]]
            if question.kind == "fills":
                user.must_ask_fills, user.known_ms = False, None
            else:
                user.must_ask_orders.discard(question.subject[1])
                user.open_orders.pop(question.subject[1], None)

    def _take_trades(self, message: Trades, now_ms: float) -> list[FeedEvent]:
        coin = self._coins.get(message.coin)
        if coin is None:
            self.counts["not_asked_for"] += 1
            return []
        builders = coin.builders.values()
        if message.unreadable:
            self.counts["bad_trades"] += message.unreadable
            for builder in builders:
                builder.doubt()
        newest = 0
        events: list[FeedEvent] = []
        for trade in message.trades:
            time_ms, _, px, sz = trade
            if not coin.seen.is_new(trade[:2]):
                self.counts["duplicate_trades"] += 1
                continue
            if time_ms > newest:
                newest = time_ms
                if newest >= coin.due_ms + self.plan.grace_ms:
                    self._show(coin, newest, now_ms, events)
            for builder in builders:
                builder.add(time_ms, px, sz)
        if newest:
            self._show(coin, newest, now_ms, events)
        return events

    def _take(self, message: Message, now_ms: float) -> list[FeedEvent]:
        events: list[FeedEvent] = []
        match message:
            case Book() | BestQuote():
                coin = self._coins.get(message.coin)
                if coin is None:
                    self._show_all(message.time_ms, now_ms, events)
                else:
                    self._show(coin, message.time_ms, now_ms, events)
                events.append(message)
            case VenueCandle():
                self._take_candle(message)
            case Fills():
                events += self._take_fills(message)
            case Acknowledged():
                self._take_acknowledgement(message)
            case Pong():
                if self._pings and (shown := self.venue_ms(self._pings.pop(0))) is not None:
                    self._show_all(int(shown), now_ms, events)
            case Unreadable():
                self.counts[message.reason] += 1
                if message.reason == "bad_userFills" or message.reason == "bad_user":
                    self._ask_fills()
                elif message.reason in ("bad_trades", "not_json", "not_an_object", "bad_None"):
                    self._doubt_all()
            case VenueSays() | Refused():
                self.counts["venue_errors"] += 1
            case OrderUpdates() | AccountNews() | Mids() | AssetContext():
                events.append(message)
        return events

    def _show(self, coin: _Coin, time_ms: int, now_ms: float, events: list[FeedEvent]) -> None:
        """Take note of a time that the coin itself has shown."""
        if time_ms > coin.shown_ms:
            coin.shown_ms = time_ms
            if time_ms >= coin.due_ms + self.plan.grace_ms:
                self._close(coin, time_ms - self.plan.grace_ms, events)
                self._due_ms = self._next_due()
        self._show_all(time_ms, now_ms, events)

    def _show_all(self, time_ms: int, now_ms: float, events: list[FeedEvent]) -> None:
        """Take note of a time that the venue has shown anywhere."""
        if self._offset_ms is None or time_ms - now_ms > self._offset_ms:
            self._offset_ms = time_ms - now_ms
        if time_ms > self._shown_ms:
            self._shown_ms = time_ms
            if time_ms >= self._due_ms + self.plan.quiet_grace_ms:
                for coin in self._coins.values():
                    if time_ms >= coin.due_ms + self.plan.quiet_grace_ms:
                        self._close(coin, time_ms - self.plan.quiet_grace_ms, events)
                self._due_ms = self._next_due()

    def _close(self, coin: _Coin, time_ms: int, events: list[FeedEvent]) -> None:
        for builder in coin.builders.values():
            builder.close_until(time_ms)
            events += builder.leaving()
        self._schedule(coin)

    def _schedule(self, coin: _Coin) -> None:
        coin.due_ms = min(builder.next_close_ms for builder in coin.builders.values())

    def _next_due(self) -> int:
        return min((coin.due_ms for coin in self._coins.values()), default=_NEVER_MS)

    def _take_candle(self, candle: VenueCandle) -> None:
        coin = self._coins.get(candle.coin)
        builder = None if coin is None else coin.builders.get(candle.interval)
        if builder is None:
            self.counts["not_asked_for"] += 1
        else:
            builder.compare(candle)

    def _take_acknowledgement(self, message: Acknowledged) -> None:
        subscription = message.subscription
        if not message.is_on:
            return
        if subscription.type == "trades" and subscription.coin in self._coins:
            self._uncovered.add(subscription.coin)
        state = self._users.get(subscription.user)
        if state is not None and subscription in state.waiting:
            state.waiting.discard(subscription)
            if not state.waiting:
                state.must_ask_fills = True
                state.must_ask_orders = set(self.plan.order_dexs())

    def _take_fills(self, message: Fills) -> list[FeedEvent]:
        if message.unreadable:
            self.counts["bad_fills"] += message.unreadable
            self._ask_fills()
        if not message.user and len(self.plan.users) != 1:
            return []  # the stream of user events does not say whose fill it is; the stream of fills does
        user = message.user or self.plan.users[0]
        new = self._new_fills(user, message.fills)
        return [Fills(user, new, message.is_snapshot)] if new else []

    def _new_fills(self, user: str, fills: Iterable[FillReport]) -> list[FillReport]:
        new = [fill for fill in fills if fill.time_ms >= self.plan.begin_ms and self._fills.is_new(fill[:4])]
        state = self._users.get(user)
        if state is not None and new:
            state.last_fill_ms = max(state.last_fill_ms, *(fill.time_ms for fill in new))
        return new

    def _ask_fills(self) -> None:
        for state in self._users.values():
            state.must_ask_fills = True
            state.lose_track()

    def _doubt_all(self) -> None:
        """A frame was lost that may have held anything."""
        for coin in self._coins.values():
            for builder in coin.builders.values():
                builder.doubt()
        self._ask_fills()

    def _take_answer(self, question: Question, answer: Any) -> list[FeedEvent]:
        match question.kind:
            case "clock":
                since = clock_of(answer) + self.plan.rest_lag_ms
                for name in self._clocked:
                    for builder in self._coins[name].builders.values():
                        builder.cover(since)
                self._uncovered -= self._clocked
                return []
            case "candles":
                coin, interval = question.subject
                builder = self._coins[coin].builders[interval]
                candles = candles_of(answer, coin, interval)
                builder.answer(candles, question.first_ms, question.last_ms)
                self.counts["candles_asked"] += len(candles)
                self.counts["gaps_of_bars"] += 1
                return [*builder.leaving()]
            case "fills":
                return self._take_asked_fills(question, answer)
            case "orders":
                return self._take_open_orders(question, rows_of(answer))

    def _take_open_orders(self, question: Question, rows: list[Mapping[str, Any]]) -> list[FeedEvent]:
        name, dex = question.subject
        state = self._users[name]
        if dex in state.must_ask_orders:  # it is to be asked for again: this is of before the last gap
            return []
        state.open_orders[dex] = rows
        if len(state.open_orders) < len(self.plan.order_dexs()):
            return []
        told = [row for each in self.plan.order_dexs() for row in state.open_orders[each]]
        state.open_orders = {}
        self.counts["gaps_of_accounts"] += 1
        return [Reconciled(name, told)]

    def _take_asked_fills(self, question: Question, answer: Any) -> list[FeedEvent]:
        name = question.subject[0]
        try:
            fills = sorted((fill_of(row) for row in rows_of(answer)), key=lambda fill: fill.time_ms)
        except (KeyError, TypeError, ValueError) as error:
            raise AnswerError(f"a fill that cannot be read: {error}") from error
        new, state = self._new_fills(name, fills), self._users[name]
        if len(fills) >= FILLS_IN_AN_ANSWER:  # cut off: go on with its newest time, which may have more
            newest = fills[-1].time_ms
            state.must_ask_fills = True
            state.lose_track(max(newest, question.first_ms + 1) + self.plan.fill_overlap_ms)
        return [Fills(name, new)] if new else []
