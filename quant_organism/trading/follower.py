"""An account as a trader holds it: the line to the venue, the journal and reconciliation joined in one object.

Two threads work: one reads the line and writes down what it hears, the other asks: what the account is worth, and, at
the start, after every gap of the line, from time to time and when something is odd, whether books and venue agree. What
was heard is told from the journal, so that it is told once, whoever wrote it down first. What is not known is not
healthy.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from quant_organism.errors import QuantOrganismError
from quant_organism.trading.orders import Balance, OrderManager, Reconciliation, reconcile
from quant_organism.trading.orders.states import OrderRecord
from quant_organism.venue import (
    AccountNews,
    AccountState,
    CashFlow,
    Feed,
    FeedFigures,
    Fill,
    Fills,
    OrderUpdates,
    Reconciled,
    read_news,
)

_TICK_SECONDS: Final = 0.05
_CLOSE_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FillHeard:
    """A fill was written down; `order` is its order as it is believed to be, None: not one of the journal."""

    fill: Fill
    order: OrderRecord | None


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """An order can fill no more."""

    order: OrderRecord


@dataclass(frozen=True, slots=True)
class CashMoved:
    """Money came or went without a trade: funding, a transfer, what a liquidation took."""

    flow: CashFlow


@dataclass(frozen=True, slots=True)
class BooksDiffer:
    """Books and venue do not agree.

    Parameters
    ----------
    positions
        Signed coins by our books and at the venue, where they differ.
    balance
        Where equity differs; None: it does not.
    """

    positions: dict[str, tuple[Decimal, Decimal]]
    balance: Balance | None


@dataclass(frozen=True, slots=True)
class LineLost:
    """The line to the venue is gone; nothing is known to be missing until it is back."""


@dataclass(frozen=True, slots=True)
class LineRestored:
    """The line is back, what was missing is fetched, and books and venue have been compared."""

    result: Reconciliation


FollowerEvent = FillHeard | OrderEnded | CashMoved | BooksDiffer | LineLost | LineRestored


@dataclass(frozen=True, slots=True)
class FollowerSpec:
    """How often a follower asks, and how long it believes an answer.

    Parameters
    ----------
    account_seconds
        Time between two looks at money and positions.
    reconcile_seconds
        Time between two comparisons where nothing is odd.
    stale_seconds
        A look older than this is none.
    retry_seconds
        Wait after a question without an answer.
    """

    account_seconds: float = 5.0
    reconcile_seconds: float = 60.0
    stale_seconds: float = 20.0
    retry_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """An account at a moment.

    Parameters
    ----------
    state
        Money and positions as the venue showed them last; None: never.
    state_age_s
        Seconds since then.
    positions
        Signed coins by the books.
    orders
        Live orders of the journal.
    unprotected
        Coins whose position no resting stop covers whole.
    result
        The last comparison of books and venue; None: none yet.
    result_age_s
        Seconds since then.
    round_trip_s
        Of the line's last ping; None: not measured on this socket.
    skew_ms
        The venue's clock less ours.
    doubts
        What is not known, in words; none: all of it is.
    """

    state: AccountState | None
    state_age_s: float
    positions: dict[str, Decimal]
    orders: tuple[OrderRecord, ...]
    unprotected: tuple[str, ...]
    result: Reconciliation | None
    result_age_s: float
    round_trip_s: float | None
    skew_ms: int
    doubts: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether nothing is in doubt; what is unknown is not healthy."""
        return not self.doubts


class AccountFollower:
    """Follows one account from `start` to `close`; all of it may be used from any thread.

    Parameters
    ----------
    manager
        Of the account's orders; the trader goes on to place and cancel with it.
    feed
        Of the account, not running: `venue.account_feed`.
    spec
        How often it asks.
    clock
        Seconds of a clock that never goes back.

    Attributes
    ----------
    events
        What happened, oldest first; a fill is in it once, also over a gap of the line.
    """

    def __init__(
        self,
        manager: OrderManager,
        feed: Feed,
        spec: FollowerSpec | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.manager, self._feed, self._spec, self._clock = manager, feed, spec or FollowerSpec(), clock
        self.events: queue.SimpleQueue[FollowerEvent] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._state: AccountState | None = None
        self._result: Reconciliation | None = None
        self._state_s = self._result_s = -1e9
        self._failure: str | None = "nothing has been asked yet"
        self._caught_up = 0
        """Number of the socket after whose beginning everything was fetched that it had missed."""
        self._good, self._is_lost = 1, False
        self._odd, self._ending = threading.Event(), threading.Event()
        self._fill_place, self._move_place = manager.journal.places()
        self._flow_place = manager.journal.money.newest_place()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._threads = [
            threading.Thread(target=work, name=f"account {name}", daemon=True)
            for name, work in (("line", self._listen), ("desk", self._mind))
        ]

    def start(self) -> Reconciliation:
        """Compare books and venue, then follow; return what the comparison found.

        Raises
        ------
        VenueError
            There was no answer.
        """
        result = self._reconcile()
        self._look()
        for thread in self._threads:
            thread.start()
        return result

    def close(self) -> None:
        """Follow no more; the journal stays open."""
        self._ending.set()
        self._odd.set()
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._task.cancel)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_CLOSE_SECONDS)

    def compare_soon(self) -> None:
        """Have books and venue compared at once, and not only when it is time."""
        self._odd.set()

    def figures(self) -> FeedFigures:
        """Return what came of its feed so far, in numbers."""
        return self._feed.figures()

    def standing(self) -> AccountSnapshot:
        """Return what is known now."""
        journal, now, status = self.manager.journal, self._clock(), self._feed.status
        with self._lock:
            state, result = self._state, self._result
            state_age, result_age = now - self._state_s, now - self._result_s
            failure = self._failure
        orders, positions = tuple(journal.orders(live_only=True)), journal.positions()
        doubts = []
        if not status.is_connected:
            doubts.append("the line is lost")
        elif not self._has_caught_up():
            doubts.append("what was missed is being fetched")
        elif self._is_lost or status.connections > self._good:
            doubts.append("books and venue have not been compared since the line was lost")
        if failure is not None:
            doubts.append(failure)
        if state_age > self._spec.stale_seconds:
            doubts.append("money and positions have not been seen for too long")
        if result_age > self._spec.reconcile_seconds + self._spec.stale_seconds:
            doubts.append("books and venue have not been compared for too long")
        if result is not None and (result.position_gaps or result.balance_gap or result.unsettled):
            doubts.append("books and venue do not agree")
        if journal.failure is not None:
            doubts.append(f"the journal is in memory only: {journal.failure}")
        unprotected = unprotected_coins(positions, orders)
        skew_ms = self.manager.skew_ms()
        return AccountSnapshot(
            state=state,
            state_age_s=state_age,
            positions=positions,
            orders=orders,
            unprotected=unprotected,
            result=result,
            result_age_s=result_age,
            round_trip_s=status.round_trip_s,
            skew_ms=skew_ms,
            doubts=tuple(doubts),
        )

    # the line

    def _listen(self) -> None:
        asyncio.run(self._follow())

    async def _follow(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._feed.run())
        if self._ending.is_set():
            self._task.cancel()
        async for event in self._feed.events():
            try:
                await asyncio.to_thread(self._hear, event)
            except QuantOrganismError as error:  # what the line cannot say is asked for
                log.warning("account %s: %s", self.manager.venue.address, error)
                self._odd.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def _hear(self, event: object) -> None:
        manager = self.manager
        match event:
            case Fills() | OrderUpdates() | AccountNews() | Reconciled():
                heard = read_news(event, manager.venue.address)
                manager.hear_fills(heard.fills)
                manager.journal.money.add(heard.flows)
                for order in heard.orders:
                    manager.hear_order(order)
                if isinstance(event, Reconciled):
                    self._caught_up = self._feed.status.connections
                if isinstance(event, Reconciled) or heard.is_odd:
                    self._odd.set()

    # the desk

    def _mind(self) -> None:
        look_s = compare_s = self._clock()
        while not self._ending.is_set():
            self._mind_line()
            now = self._clock()
            try:
                if self._odd.is_set() or now >= compare_s + self._spec.reconcile_seconds:
                    self._odd.clear()
                    self._compare()
                    compare_s = self._clock()
                if now >= look_s + self._spec.account_seconds:
                    self._look()
                    look_s = self._clock()
            except QuantOrganismError as error:
                with self._lock:
                    self._failure = f"the venue does not answer: {error.what}"
                self._odd.set()
                self._ending.wait(self._spec.retry_seconds)
            self._tell()
            self._ending.wait(_TICK_SECONDS)
        self._tell()

    def _mind_line(self) -> None:
        """Tell that the line is lost, once, also where it is back already by another socket."""
        status = self._feed.status
        is_gone = not status.is_connected and status.connections > 0
        if not self._is_lost and (is_gone or status.connections > self._good):
            self._is_lost = True
            self.events.put(LineLost())

    def _has_caught_up(self) -> bool:
        status = self._feed.status
        return status.is_connected and self._caught_up == status.connections

    def _compare(self) -> None:
        number, has_caught_up = self._feed.status.connections, self._has_caught_up()
        result = self._reconcile()
        if self._is_lost and has_caught_up:
            self._good, self._is_lost = number, False
            self._tell()  # what was missed comes before the word that nothing is missing
            self.events.put(LineRestored(result))

    def _reconcile(self) -> Reconciliation:
        result = reconcile(self.manager)
        with self._lock:
            self._result, self._result_s, self._failure = result, self._clock(), None
        if result.position_gaps or result.balance_gap:
            self.events.put(BooksDiffer(result.position_gaps, result.balance_gap))
        return result

    def _look(self) -> None:
        state = self.manager.venue.account()
        with self._lock:
            self._state, self._state_s, self._failure = state, self._clock(), None

    def _tell(self) -> None:
        journal = self.manager.journal
        for place, fill in journal.fills_after(self._fill_place):
            order = None if fill.cloid is None else journal.find(fill.cloid)
            self.events.put(FillHeard(fill, order))
            self._fill_place = place
        for place, cloid in journal.ends_after(self._move_place):
            self.events.put(OrderEnded(journal.order(cloid)))
            self._move_place = place
        for place, flow in journal.money.flows_after(self._flow_place):
            self.events.put(CashMoved(flow))
            self._flow_place = place


def unprotected_coins(positions: dict[str, Decimal], orders: tuple[OrderRecord, ...]) -> tuple[str, ...]:
    """Return the coins whose position no stops that rest cover whole."""
    left = dict(positions)
    for record in orders:
        order = record.order
        if record.state == "open" and order.reduce_only and order.trigger is not None and order.trigger.tpsl == "sl":
            held = left.get(order.coin)
            if held and (held > 0) != order.is_buy:
                covered = min(abs(held), order.sz - record.filled_sz)
                left[order.coin] = held - covered if held > 0 else held + covered
    return tuple(sorted(coin for coin, held in left.items() if held))
