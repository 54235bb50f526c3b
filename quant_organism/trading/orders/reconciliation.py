"""What to do where our books and the venue disagree, as a table; done at every start, and whenever there is doubt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from quant_organism.trading.orders.manager import OrderManager
from quant_organism.trading.orders.money import Balance
from quant_organism.trading.orders.rebuilding import rebuild, take_baseline
from quant_organism.trading.orders.states import STATES, State
from quant_organism.trading.orders.venue import cancel_in_batches
from quant_organism.venue import Accepted, AccountState, CashFlow, Fill, Standing, VenueOrder

Ours = State | Literal["absent"]
Theirs = Standing | Literal["absent"]
Action = Literal["nothing", "adopt", "look_again", "cancel_again", "end", "foreign"]

OURS: Final[tuple[Ours, ...]] = ("absent", *STATES)
THEIRS: Final[tuple[Theirs, ...]] = ("absent", "open", "filled", "canceled", "rejected", "other")

_ADOPT: Final = ("adopt", "the venue is right")
_AGREED: Final = ("nothing", "agreed")
_STALE: Final = ("look_again", "what has ended cannot live again: one of the two is stale")
_LAG: Final = ("look_again", "it may not be visible yet")
_WORD: Final = ("look_again", "the status is a word that is not known")
_FOREIGN: Final = ("foreign", "not placed from this journal")
_LOOKS_AT_A_DIFFERENCE: Final = 4
"""Of balance and positions until everything must be visible: each weighs some sixty of the twelve hundred a minute."""

_PAST: Final = ("nothing", "it has ended here, and the venue has forgotten it")

_TABLE: Final[Mapping[Ours, Mapping[Theirs, tuple[Action, str]]]] = {
    "absent": {
        "open": _FOREIGN,
        "filled": _FOREIGN,
        "canceled": _FOREIGN,
        "rejected": _FOREIGN,
        "other": _FOREIGN,
    },
    "sending": {
        "absent": ("look_again", "settling it failed: it stays unknown until the venue answers"),
        "open": _ADOPT,
        "filled": _ADOPT,
        "canceled": _ADOPT,
        "rejected": _ADOPT,
        "other": _WORD,
    },
    "unknown": {
        "absent": ("look_again", "settling it failed: it stays unknown until the venue answers"),
        "open": _ADOPT,
        "filled": _ADOPT,
        "canceled": _ADOPT,
        "rejected": _ADOPT,
        "other": _WORD,
    },
    "waiting": {
        "absent": _LAG,
        "open": _ADOPT,
        "filled": _ADOPT,
        "canceled": _ADOPT,
        "rejected": _ADOPT,
        "other": _WORD,
    },
    "open": {
        "absent": _LAG,
        "open": _AGREED,
        "filled": _ADOPT,
        "canceled": _ADOPT,
        "rejected": _ADOPT,
        "other": _WORD,
    },
    "filled": {
        "absent": _PAST,
        "open": _STALE,
        "filled": _AGREED,
        "canceled": ("nothing", "fills are the truth"),
        "rejected": ("nothing", "fills are the truth"),
        "other": ("nothing", "fills are the truth"),
    },
    "canceled": {
        "absent": _PAST,
        "open": _STALE,
        "filled": _ADOPT,
        "canceled": _AGREED,
        "rejected": _AGREED,
        "other": _WORD,
    },
    "rejected": {
        "absent": _AGREED,
        "open": ("adopt", "it was taken for lost, and lives"),
        "filled": _ADOPT,
        "canceled": _ADOPT,
        "rejected": _AGREED,
        "other": _WORD,
    },
}

_AFTER_LOOKING: Final[Mapping[tuple[Ours, Theirs], tuple[Action, str]]] = {
    ("waiting", "absent"): ("end", "the venue does not know it, though it must be visible by now"),
    ("open", "absent"): ("end", "the venue does not know it, though it must be visible by now"),
    ("filled", "open"): ("cancel_again", "it is filled as far as we want, and still open there"),
    ("canceled", "open"): ("cancel_again", "our cancel did not take effect"),
}


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was done about one order, and why.

    Parameters
    ----------
    cloid
        Ours; none for an order that is not ours and has none.
    oid
        The venue's.
    ours, theirs
        What was believed, and what was shown.
    action, reason
        Of the table.
    """

    cloid: str | None
    oid: int | None
    ours: Ours
    theirs: Theirs
    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result.

    Parameters
    ----------
    resolutions
        For every order that lives here or there.
    position_gaps
        Signed coins by our books and at the venue, where the two differ.
    unsettled
        Nonces of actions of which nothing is known still.
    recovered
        Cloids of our orders that the journal had lost, and has again.
    foreign_fills
        Fills of no order in the journal, each told once: another's, a liquidation's, or of an order that is lost.
    storage_failure
        Why what is known is in memory only; None: it is on disk.
    balance
        Equity of the venue against that of the books; None where the venue does not show what it takes.
    transfers
        Deposits, withdrawals and the like, each told once.
    """

    resolutions: tuple[Resolution, ...]
    position_gaps: dict[str, tuple[Decimal, Decimal]]
    unsettled: tuple[int, ...]
    recovered: tuple[str, ...] = ()
    foreign_fills: tuple[Fill, ...] = ()
    storage_failure: str | None = None
    balance: Balance | None = None
    transfers: tuple[CashFlow, ...] = ()

    @property
    def balance_gap(self) -> Balance | None:
        """The balance where equity is not what the books explain, to the cent; it is told until a person accepts it."""
        return None if self.balance is None or self.balance.is_even else self.balance

    @property
    def liquidations(self) -> tuple[Fill, ...]:
        """Those of the foreign fills with which the venue closed what we held."""
        return tuple(fill for fill in self.foreign_fills if fill.is_liquidation)

    @property
    def is_clean(self) -> bool:
        """Whether our books were the venue's, nothing is left in doubt, and nobody but us has traded since the last.

        Money that came or went, and is known, is no doubt.
        """
        doubts = any(resolution.action in ("look_again", "foreign") for resolution in self.resolutions)
        happened = self.recovered or self.foreign_fills
        gaps = self.position_gaps or self.balance_gap
        return not (doubts or gaps or self.unsettled or happened or self.storage_failure)


def resolve(ours: Ours, theirs: Theirs, *, looked: bool = False) -> tuple[Action, str]:
    """Return what to do, and why.

    Parameters
    ----------
    ours, theirs
        What is believed, and what is shown.
    looked
        Whether the venue was asked again, for as long as it takes until everything is visible.
    """
    if looked and (ours, theirs) in _AFTER_LOOKING:
        return _AFTER_LOOKING[ours, theirs]
    return _TABLE[ours][theirs]


def reconcile(manager: OrderManager, *, cancel_foreign: bool = False) -> Reconciliation:
    """Make the journal agree with the venue; return what was done.

    Parameters
    ----------
    manager
        Its journal and venue.
    cancel_foreign
        Whether open orders that are not in the journal are canceled, or only reported.

    Raises
    ------
    VenueError
        The venue does not answer; what was done until then is right, and it can be called again.
    """
    venue, journal = manager.venue, manager.journal
    journal.recover()
    venue.find_dexs()
    recovered = [] if manager.is_reconciled else rebuild(manager)
    unsettled = manager.settle()
    if journal.baseline_ms() is None:
        take_baseline(manager)
    manager.sync_fills()
    shown = venue.open_orders()
    resolutions: list[Resolution] = []
    seen: set[str] = set()
    foreign: list[VenueOrder] = []
    for order in shown:
        cloid = order.cloid or journal.owner(order.oid)
        if cloid is None or journal.find(cloid) is None:
            foreign.append(order)
            continue
        seen.add(cloid)
        if manager.is_sending(cloid):
            continue
        resolutions.append(_treat(manager, cloid, order))
    resolutions += _foreign(manager, foreign, cancel=cancel_foreign)
    resolutions += [
        _treat(manager, record.order.cloid, venue.order_status(record.order.cloid))
        for record in journal.orders(live_only=True)
        if record.order.cloid not in seen and not manager.is_sending(record.order.cloid)
    ]
    gaps, balance = _compared(manager)
    manager.is_reconciled = True
    return Reconciliation(
        resolutions=tuple(resolutions),
        position_gaps=gaps,
        unsettled=tuple(action.nonce for action in unsettled),
        recovered=tuple(recovered),
        foreign_fills=tuple(journal.take_foreign_fills()),
        storage_failure=journal.failure,
        balance=balance,
        transfers=tuple(journal.money.take_transfers()),
    )


def accept_balance(manager: OrderManager, why: str) -> Balance | None:
    """Take over what the venue has more, or less, than the books explain, on a person's word; return what it was.

    Parameters
    ----------
    manager
        Whose books.
    why
        What the person says; it is kept with the amount.

    Raises
    ------
    VenueError
        There was no answer.
    """
    state = manager.venue.account()
    manager.sync_fills()
    manager.sync_flows()
    balance = manager.journal.money.balance(state)
    if balance is not None and not balance.is_even:
        manager.journal.money.accept(balance, state.time_ms, why)
    return balance


def position_gaps(manager: OrderManager, state: AccountState) -> dict[str, tuple[Decimal, Decimal]]:
    """Return positions by our books and at the venue, where they differ."""
    ours = manager.journal.positions()
    theirs = {item.coin: item.szi for item in state.positions if item.szi}
    zero = Decimal(0)
    return {
        coin: (ours.get(coin, zero), theirs.get(coin, zero))
        for coin in sorted(ours.keys() | theirs.keys())
        if ours.get(coin, zero) != theirs.get(coin, zero)
    }


def _compared(manager: OrderManager) -> tuple[dict[str, tuple[Decimal, Decimal]], Balance | None]:
    """Return gaps of positions, and the balance; what differs is looked at until everything must be visible."""
    money, differs = manager.journal.money, True

    def look() -> tuple[dict[str, tuple[Decimal, Decimal]], Balance | None]:
        nonlocal differs
        state = manager.venue.account()
        manager.sync_fills()
        manager.sync_flows()
        gaps = position_gaps(manager, state)
        if not gaps:
            money.open(state)
        balance = money.balance(state)
        differs = bool(gaps) or (balance is not None and not balance.is_even)
        return gaps, balance

    return manager.look_until(look, lambda _: not differs, looks=_LOOKS_AT_A_DIFFERENCE)


def _treat(manager: OrderManager, cloid: str, order: VenueOrder | None) -> Resolution:
    ours = manager.journal.order(cloid).state
    theirs: Theirs = "absent" if order is None else order.standing
    action, reason = resolve(ours, theirs)
    if action == "look_again" and ours not in ("sending", "unknown"):
        order = manager.ask_until(cloid, lambda again: resolve(ours, again.standing)[0] != "look_again")
        theirs = "absent" if order is None else order.standing
        ours = manager.journal.order(cloid).state
        action, reason = resolve(ours, theirs, looked=True)
    if action == "adopt" and order is not None:
        manager.hear_order(order)
    elif action == "cancel_again" and order is not None:
        _cancel(manager, [order])
    elif action == "end":
        manager.end(cloid, reason)
    return Resolution(cloid, None if order is None else order.oid, ours, theirs, action, reason)


def _foreign(manager: OrderManager, orders: Sequence[VenueOrder], *, cancel: bool) -> list[Resolution]:
    done = _cancel(manager, orders) if cancel else [False] * len(orders)
    resolutions = []
    for order, is_canceled in zip(orders, done, strict=True):
        action, reason = resolve("absent", order.standing)
        if is_canceled:
            action, reason = "cancel_again", f"{reason}: canceled"
        resolutions.append(Resolution(order.cloid, order.oid, "absent", order.standing, action, reason))
    return resolutions


def _cancel(manager: OrderManager, orders: Sequence[VenueOrder]) -> list[bool]:
    return [isinstance(outcome, Accepted) for outcome in cancel_in_batches(manager.venue, orders)]
