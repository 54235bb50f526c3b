"""Live execution: an account's plans sent to a venue, and what came of them booked (rules A6 and A7).

What was sent stands in the journal before it is sent, under ids that follow from the plan; what came is booked from the
journal, in the order of its writing, from where the account was saved last. So a process may be killed at any
instruction: the next one sends nothing twice and books everything once. Every position has a stop at the venue, or is
closed.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from quant_organism.backtest.account import (
    BY_HAND,
    IOC,
    STOP,
    TARGET,
    AccountBar,
    AccountBook,
    AccountFill,
    AccountOrder,
    AccountReject,
    AccountRules,
    Plan,
    PlanSent,
    RestingSent,
    StandingOrder,
    TradingHalted,
    book,
    plan_resting,
)
from quant_organism.errors import InputError, IntegrityError
from quant_organism.trading.execution import LevelsAtOpen
from quant_organism.trading.live_orders import (
    UNPROTECTED,
    fill_event,
    flow_event,
    kind_of,
    lots_of,
    micro,
    order_name,
    resting_order,
    stands_as,
    taking_order,
    traded_asset,
)
from quant_organism.trading.orders import NotFlat, OrderManager, cloid_of, flatten, set_leverage
from quant_organism.trading.orders.states import OrderRecord
from quant_organism.venue import Accepted, CashFlow, Fill, VenueError
from quant_organism.venue.protocol import REDUCE_ONLY_CANCELED, is_perpetual_name

LATE_MS: Final = 60_000
"""So long after its close a plan's orders are still sent; later the next close plans anew."""
PROTECT_SECONDS: Final = 5.0
"""So long a position may be without its stop at the venue, at the most."""
CLOSE_AFTER_SECONDS: Final = 3.0
"""So long after it was seen without one it is closed: watching looks each second, and closing takes its time too."""

_RESTING: Final = (STOP, TARGET)

log = logging.getLogger(__name__)


class LiveExecution:
    """Carries out the plans of one account at a venue; an `Execution`.

    Parameters
    ----------
    manager
        Of the venue account's orders; books and venue have been compared.
    now_ms
        The venue's time; None: as its answers show it.
    late_ms
        See `LATE_MS`.
    clock, sleep
        Seconds of a clock that never goes back, and how to wait.
    """

    def __init__(
        self,
        manager: OrderManager,
        *,
        now_ms: Callable[[], int] | None = None,
        late_ms: int = LATE_MS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.manager = manager
        self._now = now_ms or manager.venue.venue_ms
        self._late_ms = late_ms
        self._clock, self._sleep = clock, sleep
        self._fill_place = self._flow_place = 0
        self._sent_close = -1
        self._opens: dict[str, float] = {}
        """First prices of the bar that forms, by symbol: levels follow from them until the next plan."""
        self._events: list[object] = []
        self._prepared: set[str] = set()
        self._bare: dict[str, float] = {}
        """Since when a position is without its stop, by symbol."""

    # from here on

    def open(self, name: str, rules: AccountRules, capital: int) -> AccountBook:
        """Return an account that has what the venue's has: its cash, and what is held, which is somebody else's.

        Parameters
        ----------
        name, rules
            As in `Execution`.
        capital
            Not looked at: the capital is the venue account's equity.

        Raises
        ------
        VenueError
            There was no answer.
        InputError
            Books and venue have not been compared.
        """
        journal, venue = self.manager.journal, self.manager.venue
        if journal.money.opened_ms() is None:
            raise InputError(
                "there is no balance of the venue's account: it was not compared",
                where=name,
                remedy="call reconcile",
            )
        marks = {item.coin: item.mark_px for item in venue.account().positions}
        assets = {coin: traded_asset(venue.listed(coin)) for coin in journal.positions()}
        mids = venue.mids()

        def work() -> AccountBook:
            self._fill_place, self._flow_place = journal.places()[0], journal.money.newest_place()
            fills: list[AccountFill] = []
            for coin, szi in journal.positions().items():
                lots, notional = lots_of(assets[coin], szi, coin), micro(abs(szi) * (marks.get(coin) or mids[coin]))
                fills.append(AccountFill(self._now(), coin, lots, notional, 0, BY_HAND, max(notional // abs(lots), 1)))
            value = sum(fill.notional if fill.lots > 0 else -fill.notional for fill in fills)
            account = AccountBook.opened(name, rules, assets, micro(journal.money.cash()) + value)
            for fill in fills:
                book(account, fill)
            return account

        return journal.batch(work)

    def state(self) -> dict[str, Any]:
        """Return what must be saved with the account, in one piece with it."""
        return {
            "fill": self._fill_place,
            "flow": self._flow_place,
            "close": self._sent_close,
            "opens": dict(sorted(self._opens.items())),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned, with the account that was saved with it.

        Raises
        ------
        IntegrityError
            The journal knows less than was booked from it: it is another one.
        """
        newest = (self.manager.journal.places()[0], self.manager.journal.money.newest_place())
        if state["fill"] > newest[0] or state["flow"] > newest[1]:
            raise IntegrityError(
                "the journal holds less than the account has booked from it",
                where=self.manager.venue.address,
                remedy="open the account anew: cash and positions are taken from the venue",
            )
        self._fill_place, self._flow_place, self._sent_close = state["fill"], state["flow"], state["close"]
        self._opens = dict(state["opens"])

    # plans

    def begin(self, account: AccountBook, made: Plan, levels: LevelsAtOpen) -> list[object]:
        """Send the orders of a plan, book what came of them, and have stops and targets rest.

        Raises
        ------
        VenueError, StorageError
            Nothing more can be sent now; `watch` goes on from there.
        NotFlat
            A position can be neither protected nor closed.
        """
        self._ask()
        return self._carried_out(account, made, levels)

    def watch(self, account: AccountBook, made: Plan, levels: LevelsAtOpen) -> list[object]:
        """Book what the journal has heard, move resting orders after it, protect or close.

        A plan that could not be sent is sent, as long as it is not late. The venue is not asked for what an
        `AccountFollower` has the journal hear of.

        Raises
        ------
        VenueError, StorageError, NotFlat
            As `begin`.
        """
        self.manager.settle()
        return self._carried_out(account, made, levels)

    def finish(self, account: AccountBook, made: Plan, bar: AccountBar, levels: LevelsAtOpen) -> list[object]:
        """Book what came until the bar's close; what an IOC left is not chased.

        A position that nobody closes now keeps no bar from ending: `watch` tries again, and says so.

        Raises
        ------
        VenueError, StorageError
            As `begin`.
        """
        self._ask()
        self._hear_listings(account)
        with contextlib.suppress(NotFlat):
            return self._carried_out(account, made, levels)
        return self._told()

    def differences(self, account: AccountBook) -> dict[str, tuple[int, int]]:
        """Return where account and venue differ: lots by symbol, and `cash` in micro-USD; empty: nowhere.

        Raises
        ------
        VenueError
            There was no answer.
        """
        state = self.manager.venue.account()
        theirs = {
            item.coin: lots_of(traded_asset(self.manager.venue.listed(item.coin)), item.szi, item.coin)
            for item in state.positions
        }
        pairs = {coin: (account.positions.get(coin, 0), theirs.get(coin, 0)) for coin in {*account.positions, *theirs}}
        if state.cash_usd is not None:
            pairs["cash"] = (account.cash, micro(state.cash_usd))
        return {name: pair for name, pair in sorted(pairs.items()) if pair[0] != pair[1]}

    def _carried_out(self, account: AccountBook, made: Plan, levels: LevelsAtOpen) -> list[object]:
        manager = self.manager
        if not any(manager.journal.find(order.cloid) for order in made.orders):
            self._take(account)
        if self._sent_close != made.close.time:
            for order in made.orders:  # before anything is booked: it may fail
                if not order.reduces and not self._is_late(made):
                    self._set_leverage(account, order.symbol)
            mids = manager.venue.mids()
            self._opens = {symbol: float(px) for symbol, px in mids.items() if symbol in account.assets}
            references = {
                symbol: account.assets[symbol].lot_price(self._opens[symbol])
                if symbol in self._opens
                else made.marks[symbol]
                for symbol in sorted(made.targets)
            }
            self._book(account, PlanSent(made, references))
            self._sent_close = made.close.time
            self._send(account, made)
        self._take(account)
        self._rest(account, levels)
        return self._told()

    def _ask(self) -> None:
        self.manager.settle()
        self.manager.sync_fills()
        self.manager.sync_flows()

    def _hear_listings(self, account: AccountBook) -> None:
        """Read anew what is listed, and book which symbols trade no more, or again."""
        venue = self.manager.venue
        venue.refresh_listings()
        for symbol in sorted(account.assets):
            is_gone = venue.listed(symbol).is_delisted
            if is_gone != (symbol in account.gone):
                log.warning("account %s: %s is %s", account.account, symbol, "delisted" if is_gone else "listed again")
                self._book(account, TradingHalted(symbol, resumed=not is_gone))

    def _send(self, account: AccountBook, made: Plan) -> None:
        is_late = self._is_late(made)
        for reduces in (True, False):  # what reduces does not wait for a disk
            orders = [order for order in made.orders if order.reduces is reduces]
            known = [order for order in orders if self.manager.journal.find(order.cloid) is not None]
            if is_late and orders and not known:
                log.warning("account %s: %d orders of a plan are too late to be sent", account.account, len(orders))
            for order in known if is_late else orders:
                self._send_one(account, order)

    def _is_late(self, made: Plan) -> bool:
        return self._now() > made.close.time + self._late_ms

    def _set_leverage(self, account: AccountBook, symbol: str) -> None:
        """Have the venue hold cross margin at the account's leverage for an asset, once in a process (A9)."""
        if symbol in self._prepared:
            return
        asset, listed = account.assets[symbol], self.manager.venue.listed(symbol)
        if listed.sz_decimals != asset.sz_decimals:
            raise InputError(
                f"the venue trades it with {listed.sz_decimals} decimals, the account with {asset.sz_decimals}",
                where=symbol,
                remedy="read the listings anew",
            )
        room, wanted = self.manager.venue.room(symbol), int(min(account.rules.leverage, listed.max_leverage))
        if (not room.is_cross and not listed.only_isolated) or room.leverage != wanted:
            outcome = set_leverage(self.manager, symbol, wanted, is_cross=not listed.only_isolated)
            if not isinstance(outcome, Accepted):
                raise VenueError(f"leverage {wanted} not set: {outcome.text}", where=symbol, remedy="set it by hand")
        self._prepared.add(symbol)

    def _send_one(self, account: AccountBook, order: AccountOrder) -> None:
        name = order_name(IOC, account.account, order.symbol, order.cloid)
        taking = taking_order(account.assets[order.symbol], order)
        (record,) = self.manager.place(name, [taking])
        if record.state == "rejected":
            self._book(account, AccountReject(order.symbol))
        elif record.missing_sz:
            self._await_fills(order.cloid)

    def _await_fills(self, cloid: str) -> None:
        """Fetch fills until those are here of which the venue has told."""

        def look() -> bool:
            self.manager.sync_fills()
            return not self.manager.journal.order(cloid).missing_sz

        self.manager.look_until(look, bool)

    # what came

    def _take(self, account: AccountBook) -> bool:
        """Book the fills and the money that the journal has and the account has not, by time; say if there were any."""
        journal = self.manager.journal
        fills = journal.fills_after(self._fill_place)
        flows = journal.money.flows_after(self._flow_place)
        heard: list[tuple[int, int, int, Fill | CashFlow]] = [(fill.time_ms, 0, place, fill) for place, fill in fills]
        heard += [(flow.time_ms, 1, place, flow) for place, flow in flows]
        for *_, what in sorted(heard, key=lambda row: row[:3]):
            if isinstance(what, CashFlow):
                self._book(account, flow_event(account, what))
            elif is_perpetual_name(what.coin):
                if what.coin not in account.assets:
                    account.assets[what.coin] = traded_asset(self.manager.venue.listed(what.coin))
                self._book(account, fill_event(account, what, None if what.cloid is None else journal.find(what.cloid)))
        self._fill_place = max([self._fill_place, *(place for place, _ in fills)])
        self._flow_place = max([self._flow_place, *(place for place, _ in flows)])
        return bool(heard)

    # what rests

    def _rest(self, account: AccountBook, levels: LevelsAtOpen) -> None:
        """Have the resting orders at the venue be those that the positions ask for, or close the positions."""
        # One look for all, and every fill booked that it knows of: a follower hears of fills at any moment.
        live = self._look(account)
        while self._take(account):
            live = self._look(account)
        due = plan_resting(account, levels(self._opens))
        if due.changes:
            self._book(account, RestingSent(due))
        cloids = {(change.symbol, change.kind): change.cloid for change in due.changes}
        failures: list[NotFlat] = []
        for symbol in sorted({*account.resting, *account.positions, *self._resting_symbols(account)}):
            if symbol in account.gone:  # nothing can rest there, and nothing be closed: what is held counts in caps
                self._bare.pop(symbol, None)
                continue
            is_hopeless = self._stand(account, symbol, cloids, live)
            if symbol not in account.positions or self._is_protected(account, symbol):
                self._bare.pop(symbol, None)
                continue
            since = self._bare.setdefault(symbol, self._clock())
            if is_hopeless or self._clock() - since >= CLOSE_AFTER_SECONDS:
                try:
                    self._close(account, symbol)
                except NotFlat as error:  # the others are protected all the same
                    failures.append(error)
        if failures:
            raise failures[0]

    def _stand(
        self, account: AccountBook, symbol: str, cloids: Mapping[tuple[str, str], str], live: Sequence[OrderRecord]
    ) -> bool:
        """Place what shall stand of a symbol before what stands is cancelled; say whether its stop is refused."""
        asset, wanted = account.assets[symbol], account.resting.get(symbol, {})
        is_hopeless, old = False, []
        for kind in _RESTING:
            standing = self._standing(account, symbol, kind, live)
            order = wanted.get(kind)
            kept = [record for record in standing if order is not None and stands_as(asset, record, order)][-1:]
            if order is not None and not kept:
                record = self._place(account, symbol, kind, order, cloids.get((symbol, kind)))
                if record.state in ("rejected", "sending", "unknown"):
                    is_hopeless |= kind == STOP and record.state == "rejected"
                    continue  # what stands is better than nothing
                kept = [record]
            names = {record.order.cloid for record in kept}
            old += [record.order.cloid for record in standing if record.order.cloid not in names]
        if old:
            self.manager.cancel(old)
        return is_hopeless

    def _place(
        self, account: AccountBook, symbol: str, kind: str, order: StandingOrder, cloid: str | None
    ) -> OrderRecord:
        journal = self.manager.journal
        base = cloid or f"{account.account}|{account.risk.time}|{symbol}|{kind}|{account.number}"
        number = 0
        unused = cloid if cloid is not None and journal.find(cloid) is None else None
        while unused is None:  # it was refused before, or placed by a process that did not live to book it
            candidate = cloid_of(base, str(number))
            unused, number = (candidate if journal.find(candidate) is None else None), number + 1
        new = resting_order(account.assets[symbol], symbol, kind, order, unused)
        (record,) = self.manager.place(order_name(kind, account.account, symbol, unused), [new])
        return record

    def _standing(self, account: AccountBook, symbol: str, kind: str, live: Sequence[OrderRecord]) -> list[OrderRecord]:
        return [record for record in live if record.order.coin == symbol and kind_of(record, account.account) == kind]

    def _resting_symbols(self, account: AccountBook) -> set[str]:
        live = self.manager.journal.orders(live_only=True)
        return {record.order.coin for record in live if kind_of(record, account.account) in _RESTING}

    def _is_protected(self, account: AccountBook, symbol: str) -> bool:
        order = account.resting.get(symbol, {}).get(STOP)
        asset = account.assets[symbol]
        return order is not None and any(
            record.state == "open" and stands_as(asset, record, order)
            for record in self._standing(account, symbol, STOP, self.manager.journal.orders(live_only=True))
        )

    def _look(self, account: AccountBook) -> list[OrderRecord]:
        """Return what is live, once the fills of what is known to have filled are in the journal."""
        live = self.manager.journal.orders(live_only=True)
        if self._has_filled_unheard(account, live):
            self.manager.sync_fills()
        return live

    def _has_filled_unheard(self, account: AccountBook, live: Sequence[OrderRecord]) -> bool:
        """Tell whether a wanted order is known to have filled, or another in its place, before the fills are known.

        The venue tells of orders and of fills in messages of their own, and cancels what has nothing left to reduce.
        """
        journal = self.manager.journal
        stand = {(each.order.coin, kind_of(each, account.account)) for each in live}
        missing = [
            (symbol, kind, order)
            for symbol, wanted in account.resting.items()
            for kind, order in wanted.items()
            if symbol in account.positions and (symbol, kind) not in stand
        ]
        if not missing:
            return False
        over = [each for each in journal.orders() if each.state == "filled" or each.text == REDUCE_ONLY_CANCELED]
        return any(
            record.order.coin == symbol
            and kind_of(record, account.account) == kind
            and stands_as(account.assets[symbol], record, order)
            for symbol, kind, order in missing
            for record in over
        )

    def _close(self, account: AccountBook, symbol: str) -> None:
        """Close a position that cannot be protected, and book it.

        Raises
        ------
        NotFlat
            It cannot be closed either.
        """
        log.critical("account %s: %s has no stop and is closed", account.account, symbol)
        name = order_name(UNPROTECTED, account.account, symbol, str(account.number))
        flatten(self.manager, name, coins=[symbol], sleep=self._sleep)
        self._take(account)
        if symbol not in account.positions:
            self._bare.pop(symbol, None)
            due = plan_resting(account, {}, [symbol])
            if due.changes:
                self._book(account, RestingSent(due))

    # parts

    def _book(self, account: AccountBook, event: object) -> None:
        book(account, event)
        self._events.append(event)

    def _told(self) -> list[object]:
        """Return what was booked and not told yet, also of a call that did not end well."""
        events, self._events = self._events, []
        return events
