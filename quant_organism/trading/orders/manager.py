"""Places, amends and cancels: written down first, sent once, and asked about where no answer came.

One rule governs all: an action is never sent again because its answer is missing. The venue is asked for the order by
its cloid; if it does not know it, the action's nonce is burnt, after which it can no longer arrive, and it is asked
once more when what trails must have become visible.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, TypeVar

from quant_organism.errors import InputError
from quant_organism.trading.orders.journal import Journal
from quant_organism.trading.orders.states import ActionRecord, Change, Event, Kind, OrderRecord
from quant_organism.trading.orders.venue import Venue
from quant_organism.venue import (
    Accepted,
    CashFlow,
    Fence,
    Fill,
    NewOrder,
    Outcome,
    Rejected,
    Standing,
    Unknown,
    VenueError,
    VenueOrder,
    Why,
    order_wire,
)
from quant_organism.venue.protocol import MAX_ITEMS_PER_ACTION, Grouping

T = TypeVar("T")
FILL_OVERLAP_MS: Final = 60_000
"""Fills, and money that came or went, are fetched again from so long before the newest that is known: they may become
visible out of order."""
_POLL_SECONDS: Final = 0.25
_NOTHING: Final = Decimal(0)
_ENDS: Final = frozenset({"filled", "canceled", "rejected"})
_EVENTS: Final[Mapping[Standing, Event]] = {
    "open": "opens",
    "filled": "fills",
    "canceled": "cancels",
    "rejected": "rejects",
}


class OrderManager:
    """Orders of one account.

    Parameters
    ----------
    venue
        Where they go.
    journal
        Where they are written down.
    visibility_seconds
        After so long everything that was processed is visible; what is not, was not.
    now_ms, sleep
        Wall clock, and how to wait.
    """

    def __init__(
        self,
        venue: Venue,
        journal: Journal,
        *,
        visibility_seconds: float = 5.0,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.venue, self.journal = venue, journal
        self.is_reconciled = False
        """Whether books and venue have been compared since this start; nothing is opened before."""
        self._visibility, self._now, self._sleep = visibility_seconds, now_ms, sleep
        self._sending: set[int] = set()

    # to the venue

    def place(self, decision_id: str, orders: Sequence[NewOrder], *, grouping: Grouping = "na") -> list[OrderRecord]:
        """Place the orders of a decision; a decision that was placed before is not placed again.

        Parameters
        ----------
        decision_id
            Names the decision for good; the orders' cloids follow from it (`cloid_of`).
        orders
            With `normalTpsl` the first is the parent of the others, its take-profit and stop.
        grouping
            `na`, `normalTpsl` or `positionTpsl`.

        Returns
        -------
        list of OrderRecord
            As they are believed to be now; one that is `unknown` will be settled by `settle`.

        Raises
        ------
        InputError
            No orders, off tick or lot, or the books have not been compared since this start and not all of them only
            reduce; nothing was written down.
        StorageError
            The journal cannot be written, and not all of them only reduce.
        VenueError
            The journal may lack orders, and the venue does not say whether it knows these.
        """
        if not orders or len(orders) > MAX_ITEMS_PER_ACTION:
            raise InputError(
                f"{len(orders)} orders", where=decision_id, remedy=f"place 1 to {MAX_ITEMS_PER_ACTION} at once"
            )
        if known := self._known(orders):
            return known
        is_exit = all(order.reduce_only for order in orders)
        if not self.is_reconciled and not is_exit:
            raise InputError(
                "books and venue have not been compared since this start", where=decision_id, remedy="call reconcile"
            )
        if not is_exit and not self.journal.is_complete:
            self._adopt_lost(decision_id, orders)
            if known := self._known(orders):
                return known
        for order in orders:
            order_wire(order, self.venue.listed(order.coin))
        with self._drawn_nonce() as nonce:
            self.journal.begin_placing(orders, decision_id, nonce, self.venue.signer, self._now())
            outcomes = self.venue.place(orders, nonce, grouping=grouping)

            def note() -> None:
                for order, outcome in zip(orders, outcomes, strict=True):
                    self._hear_outcome(order, outcome)
                self._close(nonce, outcomes)

            self.journal.batch(note)
        return [self.journal.order(order.cloid) for order in orders]

    def amend(self, cloid: str, px: Decimal, sz: Decimal) -> OrderRecord:
        """Replace a live order's price and size; it keeps its cloid and gets a new number.

        The venue is asked first how much is filled: what is placed anew is the rest. What fills between that answer and
        the amendment is found out by the end of the number that was replaced, and taken off what was placed anew; only
        what of that has filled by then comes on top.

        Parameters
        ----------
        cloid
            Which.
        px
            USD.
        sz
            Coins that it shall have in all, what has been filled included.

        Returns
        -------
        OrderRecord
            As it is believed to be now; nothing was sent if it turned out to have ended.

        Raises
        ------
        InputError
            It is not live, another amendment of it is not settled, that much is filled already, or off tick or lot.
        StorageError
            The journal cannot be written, and the order does not only reduce.
        VenueError
            The venue does not say how much is filled.
        """
        record = self.journal.order(cloid)
        if not record.is_live or self._amending(cloid):
            raise InputError(
                f"an order that is {record.state}, or being amended, cannot be amended",
                where=cloid,
                remedy="settle it first",
            )
        record = self._asked_filled(cloid)
        if not record.is_live:
            return record
        change = Change(px, sz, sz - record.filled_sz)
        if change.left_sz <= 0:
            raise InputError(
                f"{record.filled_sz} of it are filled already, and {sz} are wanted in all",
                where=cloid,
                remedy="cancel what is left of it, or name a larger size",
            )
        changed = replace(record.order, px=px, sz=change.left_sz)
        order_wire(changed, self.venue.listed(changed.coin))
        with self._drawn_nonce() as nonce:
            self.journal.begin_amending(cloid, change, nonce, self.venue.signer)
            outcome = self.venue.amend([changed], nonce)[0]

            def note() -> None:
                if isinstance(outcome, Accepted):
                    self._hear_amended(cloid, change, outcome)
                self._close(nonce, [outcome])

            self.journal.batch(note)
        if isinstance(outcome, Rejected):
            self._ask([cloid])
        elif isinstance(outcome, Accepted) and record.oid is not None:
            self._take_off(cloid, record.oid, change)
        return self.journal.order(cloid)

    def cancel(self, cloids: Sequence[str]) -> list[OrderRecord]:
        """Cancel orders; those that have ended already are left alone."""
        live = [record for record in map(self.journal.order, cloids) if record.is_live]
        for start in range(0, len(live), MAX_ITEMS_PER_ACTION):
            self._cancel(live[start : start + MAX_ITEMS_PER_ACTION])
        return [self.journal.order(cloid) for cloid in cloids]

    def set_aside(self, kind: Kind, what: str, send: Callable[[int], Outcome]) -> Outcome:
        """Write down what is to be set beside orders, and send it once; `margin` says what there is to set."""
        with self._drawn_nonce() as nonce:
            self.journal.begin_setting(kind, what, nonce, self.venue.signer)
            outcome = send(nonce)
            if not isinstance(outcome, Unknown):
                said = outcome.text if isinstance(outcome, Rejected) else "accepted"
                self.journal.settle(nonce, f"{what}: {said}")
        return outcome

    # from the venue

    def hear_fills(self, fills: Sequence[Fill]) -> list[Fill]:
        """Take fills over, from the stream or from REST, in any order and as often as they come; return new ones."""
        new = self.journal.add_fills(fills)
        for cloid in sorted({fill.cloid for fill in new if fill.cloid is not None}):
            self._count_fills(cloid)
        return new

    def hear_order(self, shown: VenueOrder) -> OrderRecord | None:
        """Take over how the venue shows an order; None: it is not one of ours."""
        cloid = shown.cloid or self.journal.owner(shown.oid)
        record = None if cloid is None else self.journal.find(cloid)
        if cloid is None or record is None:
            return None
        outdated = record.oid is not None and shown.oid < record.oid
        replaced = shown.standing in ("canceled", "rejected") and self._amending(cloid)
        if outdated or replaced:  # the end of a number that was, or is being, amended away
            return record
        is_newer = record.oid is not None and shown.oid > record.oid
        event = "replaced" if is_newer and shown.standing == "open" else _EVENTS.get(shown.standing)
        if event is None:  # a word that is not known says nothing
            return record
        said = _said_filled(shown)
        size = self.journal.size_of(shown.oid) or self._amended_size(cloid, shown)
        self.journal.move(cloid, event, self._now(), oid=shown.oid, sz=size, said_filled=said, text=shown.word)
        return self._count_fills(cloid)

    def adopt(self, shown: VenueOrder, decision_id: str) -> OrderRecord:
        """Write down an order of ours that the venue shows and the journal has lost."""
        if shown.cloid is None:
            raise InputError("it has no cloid", where=f"oid {shown.oid}", remedy="leave it to whoever placed it")
        order = NewOrder(
            cloid=shown.cloid,
            coin=shown.coin,
            is_buy=shown.is_buy,
            px=shown.px,
            sz=shown.original_sz,
            tif=shown.tif or "Gtc",
            reduce_only=shown.reduce_only is True,
            trigger=shown.trigger,
        )
        self.journal.adopt(order, decision_id, self._now())
        self.hear_order(shown)
        return self.journal.order(shown.cloid)

    def sync_fills(self) -> list[Fill]:
        """Fetch fills that are missing here; return them.

        Raises
        ------
        VenueError
            There was no answer.
        """
        newest, baseline = self.journal.last_fill_ms(), self.journal.baseline_ms()
        since = max(baseline or 0, (newest or 0) - FILL_OVERLAP_MS)
        return self.hear_fills(self.venue.fills(since))

    def sync_flows(self) -> list[CashFlow]:
        """Fetch funding and transfers that are missing here; return them. Before the books have begun there are none.

        Raises
        ------
        VenueError
            There was no answer.
        """
        money = self.journal.money
        funded, moved = money.last_funding_ms(), money.last_transfer_ms()
        if funded is None or moved is None:
            return []
        flows = self.venue.fundings(funded - FILL_OVERLAP_MS) + self.venue.transfers(moved - FILL_OVERLAP_MS)
        return money.add(flows)

    # what is not known

    def settle(self) -> list[ActionRecord]:
        """Find out what became of every action that has no answer; return those of which it stays unknown.

        One that another thread is sending now still waits for its answer, and is left to it.
        """
        ways = {"place": self._settle_placing, "amend": self._settle_amending, "cancel": self._settle_cancel}
        left = []
        for action in self.journal.unsettled():
            if action.nonce in self._sending:
                continue
            try:
                settled = ways.get(action.kind, self._settle_setting)(action)
            except VenueError:
                settled = False
            if not settled:
                left.append(action)
        return left

    def ask(self, cloid: str) -> VenueOrder | None:
        """Ask the venue for an order and take over what it shows.

        Raises
        ------
        VenueError
            There was no answer.
        """
        shown = self.venue.order_status(cloid)
        if shown is not None:
            self.hear_order(shown)
        return shown

    def ask_until(self, cloid: str, is_enough: Callable[[VenueOrder], bool]) -> VenueOrder | None:
        """Ask for an order until it is shown as expected, or everything must have become visible; return the last.

        Raises
        ------
        VenueError
            There was no answer.
        """

        def is_seen(shown: VenueOrder | None) -> bool:
            return shown is not None and is_enough(shown)

        shown = self.look_until(lambda: self.venue.order_status(cloid), is_seen)
        if shown is not None:
            self.hear_order(shown)
        return shown

    def look_until(self, look: Callable[[], T], is_enough: Callable[[T], bool], *, looks: int | None = None) -> T:
        """Look until it is enough, or everything that was processed must have become visible; return the last.

        Parameters
        ----------
        look, is_enough
            What to ask, and when to stop.
        looks
            About so many at most, for questions that weigh much; none: as often as it may help.
        """
        pause = _POLL_SECONDS if looks is None else max(_POLL_SECONDS, self._visibility / looks)
        waited = 0.0
        while True:
            seen = look()
            if is_enough(seen) or waited >= self._visibility:
                return seen
            self._sleep(pause)
            waited += pause

    def _settle_placing(self, action: ActionRecord) -> bool:
        missing = [
            cloid
            for cloid in action.cloids
            if self.journal.order(cloid).state in ("sending", "unknown") and self.ask(cloid) is None
        ]
        if missing:
            fence = self.venue.fence(action.nonce, action.signer)
            if fence is Fence.UNSURE:
                for cloid in missing:
                    self.journal.move(cloid, "no_answer", self._now())
                return False
            for cloid in missing:
                self._settle_missing(cloid, fence)
        self.journal.settle(action.nonce, "settled by asking")
        self.sync_fills()
        return True

    def _settle_missing(self, cloid: str, fence: Fence) -> None:
        if fence is Fence.NEVER:
            self.journal.move(cloid, "rejects", self._now(), text="it never reached the venue")
        elif self.ask_until(cloid, lambda shown: True) is None:
            self.journal.move(cloid, "rejects", self._now(), text="it cannot arrive any more, and the venue knows none")

    def _settle_amending(self, action: ActionRecord) -> bool:
        (cloid,) = action.cloids
        record, change = self.journal.order(cloid), action.changes[cloid]

        def is_new(shown: VenueOrder) -> bool:
            return record.oid is None or shown.oid > record.oid

        shown = self.venue.order_status(cloid)
        if shown is None or not is_new(shown):
            fence = self.venue.fence(action.nonce, action.signer)
            if fence is Fence.UNSURE:
                return False
            if fence is Fence.CLOSED:
                shown = self.ask_until(cloid, is_new)
        if shown is not None and is_new(shown):
            self.hear_order(shown)  # while it is known what size goes with its new number
            self.journal.amended(cloid, change.px, change.sz)
        self.journal.settle(action.nonce, "settled by asking")
        self.ask(cloid)
        self.sync_fills()
        return True

    def _settle_setting(self, action: ActionRecord) -> bool:
        fence = self.venue.fence(action.nonce, action.signer)
        if fence is Fence.UNSURE:
            return False
        came = "it never reached the venue" if fence is Fence.NEVER else "it cannot arrive any more; the venue shows it"
        self.journal.settle(action.nonce, f"{action.text}: {came}")
        return True

    def _settle_cancel(self, action: ActionRecord) -> bool:
        for cloid in action.cloids:
            if self.journal.order(cloid).is_live:
                self.ask(cloid)
        self.journal.settle(action.nonce, "asked for, and sent again where it still was open")
        # a cancel that arrives twice, or late, does no harm: it names one order for good
        live = [record for record in map(self.journal.order, action.cloids) if record.is_live]
        return self._cancel(live) if live else True

    def end(self, cloid: str, reason: str) -> OrderRecord:
        """Take a live order for ended: the venue does not know it any more. Fills say what it did."""
        return self.journal.move(cloid, "cancels", self._now(), text=reason)

    def skew_ms(self) -> int:
        """Return the venue's clock less ours, as far as it is known."""
        return self.venue.venue_ms() - self._now()

    def is_sending(self, cloid: str) -> bool:
        """Say whether another thread is sending an action of an order now."""
        return any(action.nonce in self._sending for action in self.journal.unsettled(cloid))

    # parts

    @contextlib.contextmanager
    def _drawn_nonce(self) -> Iterator[int]:
        """Draw the nonce of an action that is sent while this lasts."""
        nonce = self.venue.draw_nonce()
        self._sending.add(nonce)
        try:
            yield nonce
        finally:
            self._sending.discard(nonce)

    def _cancel(self, records: Sequence[OrderRecord]) -> bool:
        with self._drawn_nonce() as nonce:
            self.journal.begin_canceling([record.order.cloid for record in records], nonce, self.venue.signer)
            outcomes = self.venue.cancel([(record.order.coin, record.order.cloid) for record in records], nonce)
            done = list(zip((record.order.cloid for record in records), outcomes, strict=True))

            def note() -> None:
                for cloid, outcome in done:
                    if isinstance(outcome, Accepted):
                        self.journal.move(cloid, "cancels", self._now(), text="canceled by us")
                self._close(nonce, outcomes)

            self.journal.batch(note)
        ended = [cloid for cloid, outcome in done if isinstance(outcome, Rejected) and outcome.why is Why.NOT_OPEN]
        self._ask(ended)
        return not any(isinstance(outcome, Unknown) for outcome in outcomes)

    def _hear_outcome(self, order: NewOrder, outcome: Outcome) -> None:
        at = self._now()
        if isinstance(outcome, Rejected):
            self.journal.move(order.cloid, "rejects", at, text=outcome.text)
        elif isinstance(outcome, Unknown):
            self.journal.move(order.cloid, "no_answer", at, text=outcome.text)
        else:
            event, filled = _event(order, outcome), outcome.filled_sz
            self.journal.move(order.cloid, event, at, oid=outcome.oid, sz=order.sz, said_filled=filled)

    def _hear_amended(self, cloid: str, change: Change, accepted: Accepted) -> None:
        filled = accepted.filled_sz
        event: Event = "fills" if accepted.placed == "filled" and filled >= change.left_sz else "replaced"
        self.journal.amended(cloid, change.px, change.sz)
        self.journal.move(cloid, event, self._now(), oid=accepted.oid, sz=change.left_sz, said_filled=filled)

    def _take_off(self, cloid: str, replaced: int, change: Change) -> None:
        """Lessen an amended order by what its old number has filled after it was asked about, if it did.

        What only reduces cannot grow a position, and ends for other reasons too: it is left as it is.
        """
        if self.journal.order(cloid).order.reduce_only:
            return
        try:
            shown = self.look_until(
                lambda: self.venue.order_status(replaced), lambda order: order is not None and order.standing in _ENDS
            )
        except VenueError:
            return  # the next comparison hears of the fills
        if shown is None or shown.standing not in _ENDS:
            return
        before = change.sz - change.left_sz
        others = sum((self.journal.filled_of(oid) for oid in self.journal.numbers(cloid) if oid < replaced), _NOTHING)
        surplus = others + shown.original_sz - shown.left_sz - before
        record = self.journal.order(cloid)
        if surplus <= 0 or not record.is_live:
            return
        self.sync_fills()
        if surplus >= change.left_sz:
            self.cancel([cloid])
        else:
            self.amend(cloid, change.px, change.sz)

    def _asked_filled(self, cloid: str) -> OrderRecord:
        """Return an order with all that is filled of it, as far as the venue shows it."""
        shown = self.ask(cloid)
        if shown is None or shown.left_sz != shown.original_sz or len(self.journal.numbers(cloid)) > 1:
            self.sync_fills()
        return self.journal.order(cloid)

    def _amended_size(self, cloid: str, shown: VenueOrder) -> Decimal:
        """Return the size under a number that is new here: that of an amendment on its way, or what is shown."""
        changes = [action.changes[cloid] for action in self.journal.unsettled(cloid) if action.kind == "amend"]
        return changes[-1].left_sz if changes else shown.original_sz

    def _known(self, orders: Sequence[NewOrder]) -> list[OrderRecord]:
        return [record for order in orders if (record := self.journal.find(order.cloid)) is not None]

    def _adopt_lost(self, decision_id: str, orders: Sequence[NewOrder]) -> None:
        """Ask for orders of which the journal may have lost what it knew, and write down those that are there."""
        for order in orders:
            if self.journal.find(order.cloid) is None and (shown := self.venue.order_status(order.cloid)) is not None:
                self.adopt(shown, decision_id)
                self.sync_fills()

    def _close(self, nonce: int, outcomes: Sequence[Outcome]) -> None:
        if not any(isinstance(outcome, Unknown) for outcome in outcomes):
            refused = [outcome.text for outcome in outcomes if isinstance(outcome, Rejected)]
            self.journal.settle(nonce, "; ".join(sorted(set(refused))) or "accepted")

    def _count_fills(self, cloid: str) -> OrderRecord | None:
        record, newest = self.journal.find(cloid), self.journal.newest_number(cloid)
        if record is not None and record.state != "filled" and newest is not None and newest[1]:
            return self.journal.move(cloid, "fills", self._now(), oid=newest[0])
        return record

    def _amending(self, cloid: str) -> bool:
        return any(action.kind == "amend" for action in self.journal.unsettled(cloid))

    def _ask(self, cloids: Sequence[str]) -> None:
        """Ask for orders that the venue says are not open; what they have become is shown by their status."""
        left, waited = list(cloids), 0.0
        while left:
            try:
                shown = [(cloid, self.venue.order_status(cloid)) for cloid in left]
            except VenueError:
                return  # they stay live here, and are asked about at the next reconciliation
            is_last = waited >= self._visibility
            ended = {cloid for cloid, order in shown if order is not None and order.standing in _ENDS}
            for cloid, order in shown:
                if order is not None and (cloid in ended or is_last):
                    self.hear_order(order)
            left = [] if is_last else [cloid for cloid in left if cloid not in ended]
            if left:
                self._sleep(_POLL_SECONDS)
                waited += _POLL_SECONDS


def _said_filled(shown: VenueOrder) -> Decimal:
    """Return how much the venue says is filled of a number; one that only reduces shrinks for other reasons too."""
    if shown.standing == "filled":
        return shown.original_sz if shown.reduce_only is not True else Decimal(0)
    return shown.original_sz - shown.left_sz if shown.standing == "open" and not shown.reduce_only else Decimal(0)


def _event(order: NewOrder, accepted: Accepted) -> Event:
    if accepted.placed == "waiting":
        return "waits"
    if accepted.placed != "filled":
        return "opens"
    if accepted.filled_sz >= order.sz:
        return "fills"
    return "cancels" if order.tif == "Ioc" and order.trigger is None else "opens"
