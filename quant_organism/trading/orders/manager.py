"""Places, amends and cancels: written down first, sent once, and asked about where no answer came.

One rule governs all: an action is never sent again because its answer is missing. The venue is asked for the order by
its cloid; if it does not know it, the action's nonce is burnt, after which it can no longer arrive, and it is asked
once more when what trails must have become visible.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from quant_organism.errors import InputError
from quant_organism.trading.orders.journal import Journal
from quant_organism.trading.orders.states import ActionRecord, Event, OrderRecord
from quant_organism.trading.orders.venue import Venue
from quant_organism.venue import (
    Accepted,
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

FILL_OVERLAP_MS: Final = 60_000
"""Fills are fetched again from so long before the newest one that is known: they may become visible out of order."""
_POLL_SECONDS: Final = 0.25
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
        self._visibility, self._now, self._sleep = visibility_seconds, now_ms, sleep

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
            No orders, or off tick or lot; nothing was written down.
        """
        if not orders or len(orders) > MAX_ITEMS_PER_ACTION:
            raise InputError(
                f"{len(orders)} orders", where=decision_id, remedy=f"place 1 to {MAX_ITEMS_PER_ACTION} at once"
            )
        known = [self.journal.find(order.cloid) for order in orders]
        if any(found is not None for found in known):
            return [found for found in known if found is not None]
        for order in orders:
            order_wire(order, self.venue.listed(order.coin))
        nonce = self.venue.draw_nonce()
        self.journal.begin_placing(orders, decision_id, nonce, self.venue.signer, self._now())
        outcomes = self.venue.place(orders, nonce, grouping=grouping)
        for order, outcome in zip(orders, outcomes, strict=True):
            self._hear_outcome(order, outcome)
        self._close(nonce, outcomes)
        return [self.journal.order(order.cloid) for order in orders]

    def amend(self, cloid: str, px: Decimal, sz: Decimal) -> OrderRecord:
        """Replace a live order's price and size; it keeps its cloid and gets a new number.

        Raises
        ------
        InputError
            It is not live, or another amendment of it is not settled, or off tick or lot.
        """
        record = self.journal.order(cloid)
        if not record.is_live or self._amending(cloid):
            raise InputError(
                f"an order that is {record.state}, or being amended, cannot be amended",
                where=cloid,
                remedy="settle it first",
            )
        changed = replace(record.order, px=px, sz=sz)
        order_wire(changed, self.venue.listed(changed.coin))
        nonce = self.venue.draw_nonce()
        self.journal.begin_amending(changed, nonce, self.venue.signer)
        outcome = self.venue.amend([changed], nonce)[0]
        if isinstance(outcome, Accepted):
            self._hear_amended(changed, outcome)
        self._close(nonce, [outcome])
        if isinstance(outcome, Rejected):
            self._ask(cloid)
        return self.journal.order(cloid)

    def cancel(self, cloids: Sequence[str]) -> list[OrderRecord]:
        """Cancel orders; those that have ended already are left alone."""
        live = [record for record in map(self.journal.order, cloids) if record.is_live]
        for start in range(0, len(live), MAX_ITEMS_PER_ACTION):
            self._cancel(live[start : start + MAX_ITEMS_PER_ACTION])
        return [self.journal.order(cloid) for cloid in cloids]

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
        self.journal.move(cloid, event, self._now(), oid=shown.oid, text=shown.word)
        return self._count_fills(cloid)

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

    # what is not known

    def settle(self) -> list[ActionRecord]:
        """Find out what became of every action that has no answer; return those of which it stays unknown."""
        ways = {"place": self._settle_placing, "amend": self._settle_amending, "cancel": self._settle_cancel}
        left = []
        for action in self.journal.unsettled():
            try:
                settled = ways[action.kind](action)
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
        waited = 0.0
        while True:
            shown = self.venue.order_status(cloid)
            if (shown is not None and is_enough(shown)) or waited >= self._visibility:
                if shown is not None:
                    self.hear_order(shown)
                return shown
            self._sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS

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
        record, (px, sz) = self.journal.order(cloid), action.changes[cloid]
        changed = replace(record.order, px=px, sz=sz)

        def is_new(shown: VenueOrder) -> bool:
            return record.oid is None or shown.oid > record.oid

        shown = self.venue.order_status(cloid)
        if shown is None or not is_new(shown):
            fence = self.venue.fence(action.nonce, action.signer)
            if fence is Fence.UNSURE:
                return False
            if fence is Fence.CLOSED:
                shown = self.ask_until(cloid, is_new)
        self.journal.settle(action.nonce, "settled by asking")
        if shown is not None and is_new(shown):
            self.journal.amended(cloid, changed.px, changed.sz)
        self.ask(cloid)
        self.sync_fills()
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

    # parts

    def _cancel(self, records: Sequence[OrderRecord]) -> bool:
        nonce = self.venue.draw_nonce()
        self.journal.begin_canceling([record.order.cloid for record in records], nonce, self.venue.signer)
        outcomes = self.venue.cancel([(record.order.coin, record.order.cloid) for record in records], nonce)
        for record, outcome in zip(records, outcomes, strict=True):
            cloid = record.order.cloid
            if isinstance(outcome, Accepted):
                self.journal.move(cloid, "cancels", self._now(), text="canceled by us")
            elif isinstance(outcome, Rejected) and outcome.why is Why.NOT_OPEN:
                self._ask(cloid)
        self._close(nonce, outcomes)
        return not any(isinstance(outcome, Unknown) for outcome in outcomes)

    def _hear_outcome(self, order: NewOrder, outcome: Outcome) -> None:
        at = self._now()
        if isinstance(outcome, Rejected):
            self.journal.move(order.cloid, "rejects", at, text=outcome.text)
        elif isinstance(outcome, Unknown):
            self.journal.move(order.cloid, "no_answer", at, text=outcome.text)
        else:
            self.journal.move(order.cloid, _event(order, outcome), at, oid=outcome.oid)

    def _hear_amended(self, changed: NewOrder, accepted: Accepted) -> None:
        cloid = changed.cloid
        self.journal.amended(cloid, changed.px, changed.sz)
        event: Event = "fills" if accepted.placed == "filled" and accepted.filled_sz >= changed.sz else "replaced"
        self.journal.move(cloid, event, self._now(), oid=accepted.oid)

    def _close(self, nonce: int, outcomes: Sequence[Outcome]) -> None:
        if not any(isinstance(outcome, Unknown) for outcome in outcomes):
            refused = [outcome.text for outcome in outcomes if isinstance(outcome, Rejected)]
            self.journal.settle(nonce, "; ".join(sorted(set(refused))) or "accepted")

    def _count_fills(self, cloid: str) -> OrderRecord | None:
        record = self.journal.find(cloid)
        if record is not None and record.filled_sz >= record.order.sz and record.state != "filled":
            return self.journal.move(cloid, "fills", self._now())
        return record

    def _amending(self, cloid: str) -> bool:
        return any(action.kind == "amend" for action in self.journal.unsettled(cloid))

    def _ask(self, cloid: str) -> None:
        """Ask for an order that the venue says is not open; what it has become is shown by its status."""
        try:
            self.ask_until(cloid, lambda shown: shown.standing in ("filled", "canceled", "rejected"))
        except VenueError:
            return  # it stays live here, and is asked about at the next reconciliation


def _event(order: NewOrder, accepted: Accepted) -> Event:
    if accepted.placed == "waiting":
        return "waits"
    if accepted.placed != "filled":
        return "opens"
    if accepted.filled_sz >= order.sz:
        return "fills"
    return "cancels" if order.tif == "Ioc" and order.trigger is None else "opens"
