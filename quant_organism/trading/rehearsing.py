"""A rehearsal: an account's last decisions carried out at a venue, one a minute, and compared with what it shows.

The same plan, execution, journal and books as in a session. At the end everything is closed, and the venue is asked
anew for every order and every fill: what the journal has heard on the way is not believed.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from quant_organism.backtest import Costs
from quant_organism.backtest.account import (
    IOC,
    AccountBar,
    AccountBook,
    AccountClose,
    AccountFill,
    AccountOrder,
    AccountRules,
    FillModel,
    LegKey,
    LegLevels,
    Plan,
    RiskState,
    plan,
)
from quant_organism.trading.live import LiveExecution
from quant_organism.trading.live_orders import fill_event, taking_order, traded_asset
from quant_organism.trading.orders import Journal, OrderManager, Venue, flatten, reconcile
from quant_organism.validation import NotRun, VenueRehearsal
from quant_organism.venue import Fill, NewOrder, VenueOrder
from quant_organism.venue.protocol import MICRO_USD

SECONDS_A_PLAN: Final = 60.0
"""Time between two plans."""

_WATCHES: Final = 4
"""So often in between it is looked at what came."""

_FAR: Final = 0.1
"""Stops rest so far from the price of the decision, targets twice as far."""
_LOOKS: Final = 10
"""So often books and venue are compared until they agree: an answer may be older than the other."""
_STRATEGY: Final = "rehearsal"
_ACCOUNT: Final = "rehearsal"
_DAYS: Final = 90
_NO_BAR: Final = AccountBar(0, {}, {}, {}, {}, {}, {}, {}, {})
"""A live execution looks at none of it."""


class _TimedVenue:
    """A venue that notes how long it takes to answer each order that takes."""

    def __init__(self, venue: Venue, clock: Callable[[], float]) -> None:
        self._venue, self._clock = venue, clock
        self.latencies_ms: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    def place(self, orders: Sequence[NewOrder], nonce: int, **how: Any) -> Any:
        begun = self._clock()
        outcomes = self._venue.place(orders, nonce, **how)
        if any(order.tif == "Ioc" for order in orders):
            self.latencies_ms.append((self._clock() - begun) * 1e3)
        return outcomes


@dataclass
class _Comparison:
    """What was found to differ, as the rehearsal goes on."""

    differences: dict[str, str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    gap_usd: float = 0.0


def rehearse(
    venue: Venue,
    journal_file: Path,
    wanted: Sequence[Mapping[str, float]],
    costs: Costs,
    *,
    network: str,
    visibility_seconds: float = 5.0,
    now_ms: Callable[[], int] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> VenueRehearsal | NotRun:
    """Carry decisions out, one a minute, close everything, and compare orders, fills and books with the venue.

    Parameters
    ----------
    venue
        Connected with the wallet that signs; its account is flat and nobody else trades it meanwhile.
    journal_file
        Of the orders of rehearsals; not that of a trader.
    wanted
        Net positions over equity by symbol, one mapping per decision; symbols that the venue does not list are left
        out.
    costs
        State the slippage that is expected.
    network
        What the venue is called in the verdict.
    visibility_seconds
        After so long the venue shows everything that it has processed.
    now_ms
        The venue's time; none: as its answers show it.
    clock, sleep
        Seconds of a clock that never goes back, and how to wait.

    Raises
    ------
    NotFlat
        The positions could not be closed.
    VenueError, IntegrityError, StorageError
        The venue does not answer, or the journal is damaged; positions keep their stops.
    """
    timed = _TimedVenue(venue, clock)
    journal = Journal(journal_file, f"{network} {venue.address}")
    try:
        manager = OrderManager(cast(Venue, timed), journal, visibility_seconds=visibility_seconds, sleep=sleep)
        compared = reconcile(manager)
        if not compared.is_clean:
            return NotRun("books and venue differ before the first order: look at what was done by hand")
        if venue.account().positions or venue.open_orders():
            return NotRun("the account is not flat, and a rehearsal closes everything: name one of its own")
        listed, dropped = _listed(venue, wanted)
        if not listed:
            return NotRun(f"the venue lists none of {', '.join(dropped)}")
        return _Rehearsal(manager, timed, costs, network, now_ms or venue.venue_ms, clock, sleep).run(wanted, listed)
    finally:
        journal.close()


def _listed(venue: Venue, wanted: Sequence[Mapping[str, float]]) -> tuple[list[str], list[str]]:
    symbols = sorted({symbol for each in wanted for symbol in each})
    priced = venue.mids()
    return [name for name in symbols if name in priced], [name for name in symbols if name not in priced]


class _Rehearsal:
    def __init__(
        self,
        manager: OrderManager,
        timed: _TimedVenue,
        costs: Costs,
        network: str,
        now_ms: Callable[[], int],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.manager, self.timed, self.network = manager, timed, network
        self.model = FillModel.of(costs)
        self.now_ms, self.sleep = now_ms, sleep
        self.live = LiveExecution(manager, now_ms=now_ms, clock=clock, sleep=sleep)
        self.found = _Comparison()
        self.events: list[object] = []
        self.plans: list[Plan] = []
        self.decided: dict[LegKey, tuple[float, float]] = {}

    def run(self, wanted: Sequence[Mapping[str, float]], symbols: Sequence[str]) -> VenueRehearsal:
        begun_ms, rules = self.now_ms(), AccountRules()
        account = self.live.open(_ACCOUNT, rules, 0)
        account.assets |= {name: traded_asset(self.manager.venue.listed(name)) for name in symbols}
        day = rules.target_volatility / math.sqrt(365.0)
        account.risk = RiskState.seeded([day, -day] * (_DAYS // 2), rules)  # a scale of one from the first plan
        try:
            for each in (*wanted, {}):
                self._carry_out(account, {name: each[name] for name in symbols if name in each})
        finally:  # whatever happened: nothing stays open
            flatten(self.manager, f"{_ACCOUNT}|{begun_ms}", sleep=self.sleep)
        if account.positions:
            self.events += self.live.watch(account, self.plans[-1], self._levels)
        self._compare_books(account)
        self._compare_orders(account)
        self._compare_fills(account, begun_ms)
        return self._result(account, begun_ms)

    def _carry_out(self, account: AccountBook, shares: Mapping[str, float]) -> None:
        """Plan, send, keep what rests for a minute, and see that the books are the venue's."""
        mids = {name: float(px) for name, px in self.manager.venue.mids().items() if name in account.assets}
        units = {(_STRATEGY, _STRATEGY, name): share / mids[name] for name, share in shares.items() if name in mids}
        self.decided = {key: (mids[key[2]], held) for key, held in units.items()}
        made = plan(account, AccountClose(self.now_ms(), mids, units, {_STRATEGY: 1.0}))
        self.plans.append(made)
        self.events += self.live.begin(account, made, self._levels)
        for _ in range(_WATCHES):
            self.sleep(SECONDS_A_PLAN / _WATCHES)
            self.events += self.live.watch(account, made, self._levels)
        self.events += self.live.finish(account, made, _NO_BAR, self._levels)
        self._compare_books(account)

    def _levels(self, opens: Mapping[str, float], /) -> dict[LegKey, LegLevels]:
        return {
            key: LegLevels(price * (1.0 - math.copysign(_FAR, held)), price * (1.0 + math.copysign(2.0 * _FAR, held)))
            for key, (price, held) in self.decided.items()
        }

    def _compare_books(self, account: AccountBook) -> None:
        gaps: dict[str, tuple[int, int]] = {}
        for _ in range(_LOOKS):
            if not (gaps := self.live.differences(account)):
                return
            self.sleep(1.0)
            self.events += self.live.watch(account, self.plans[-1], self._levels)
        for name, (ours, theirs) in gaps.items():
            if name == "cash":
                said, usd = f"{ours / MICRO_USD:.6f} and {theirs / MICRO_USD:.6f} USD", (ours - theirs) / MICRO_USD
            else:
                said = f"{ours} and {theirs} lots"
                usd = (ours - theirs) * account.marks.get(name, self.plans[-1].marks.get(name, 0)) / MICRO_USD
            self.found.gaps.append(f"{name}: books and venue say {said} after plan {len(self.plans)}")
            self.found.gap_usd = max(self.found.gap_usd, abs(usd))

    def _orders(self) -> Iterator[AccountOrder]:
        for made in self.plans:
            yield from made.orders

    def _compare_orders(self, account: AccountBook) -> None:
        """Ask the venue for every order of every plan."""
        for order in self._orders():
            sent, shown = (
                taking_order(account.assets[order.symbol], order),
                self.manager.venue.order_status(order.cloid),
            )
            if said := _order_difference(sent, shown):
                self.found.differences[order.cloid] = f"order {order.cloid} of {order.symbol}: {said}"

    def _compare_fills(self, account: AccountBook, begun_ms: int) -> None:
        """Ask the venue for all fills anew; the journal and the account have to hold the same."""
        theirs = {(fill.tid, fill.oid): fill for fill in self.manager.venue.fills(begun_ms)}
        ours = {(fill.tid, fill.oid): fill for fill in self.manager.journal.fills() if fill.time_ms >= begun_ms}
        for key in sorted({*theirs, *ours}):
            booked, made = ours.get(key), theirs.get(key)
            if booked != made:
                known = booked or made
                assert known is not None
                about = known.cloid or f"number {known.oid}"
                said = f"booked {_spelled(booked)}, the venue filled {_spelled(made)}"
                self.found.differences[about] = f"order {about} of {known.coin}: {said}"
        events = Counter(_booked(event) for event in self.events if isinstance(event, AccountFill))
        told = Counter(_booked(fill_event(account, fill, None)) for fill in ours.values())
        for symbol, lots, notional, _ in (events - told) + (told - events):
            said = f"{lots} lots for {notional / MICRO_USD:.6f} USD are not in journal and account alike"
            self.found.differences[f"{symbol} {lots} {notional}"] = f"fill of {symbol}: {said}"

    def _result(self, account: AccountBook, begun_ms: int) -> VenueRehearsal:
        orders = list(self._orders())
        fills = [event for event in self.events if isinstance(event, AccountFill) and event.kind == IOC]
        paid = stated = 0.0
        for fill in fills:
            expected = abs(fill.lots) * fill.aimed
            paid += math.copysign(1.0, fill.lots) * (fill.notional - expected) / MICRO_USD
            stated += self.model.slippages(fill.symbol)[0] * expected / MICRO_USD
        filled = [order for order in orders if self.manager.journal.order(order.cloid).filled_sz]
        return VenueRehearsal(
            network=self.network,
            minutes=(self.now_ms() - begun_ms) / 60_000.0,
            plans=len(self.plans),
            orders=len(orders),
            filled=len(filled),
            differences=tuple(self.found.differences.values()),
            differing=min(len(self.found.differences), len(orders)),
            paid_usd=paid,
            stated_usd=stated,
            latencies_ms=tuple(self.timed.latencies_ms),
            gaps=tuple(self.found.gaps),
            gap_usd=self.found.gap_usd,
        )


def _order_difference(sent: NewOrder, shown: VenueOrder | None) -> str:
    """Say in what an order at the venue is not the one that was planned; empty: it is."""
    if shown is None:
        return "planned, and the venue does not know it"
    planned = (sent.coin, sent.is_buy, sent.px, sent.sz)
    there = (shown.coin, shown.is_buy, shown.px, shown.original_sz)
    return "" if planned == there else f"planned as {_placed(*planned)}, at the venue {_placed(*there)}"


def _placed(coin: str, is_buy: bool, px: Decimal, sz: Decimal) -> str:
    return f"{'buy' if is_buy else 'sell'} {sz.normalize():f} {coin} up to {px.normalize():f}"


def _spelled(fill: Fill | None) -> str:
    return "nothing" if fill is None else f"{fill.sz.normalize():f} at {fill.px.normalize():f}, fee {fill.fee}"


def _booked(fill: AccountFill) -> tuple[str, int, int, int]:
    return fill.symbol, fill.lots, fill.notional, fill.fee
