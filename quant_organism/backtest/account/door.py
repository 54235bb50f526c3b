"""The one door by which an account changes: `book(account, event)`.

Attribution is booked here. Members move to what the plan answers for against *execution* at the reference price;
fills are *execution's*, their cost the members' who moved; funding goes by lots. The sum of the sub-accounts is the
account, after every event.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Final

from quant_organism.backtest.account.book import (
    IOC,
    STOP,
    AccountBook,
    SubAccount,
    digest_on,
    lines_record,
    units_record,
)
from quant_organism.backtest.account.limits import exit_noted
from quant_organism.backtest.account.plan import Plan, virtual_nets
from quant_organism.backtest.account.resting import RestingPlan
from quant_organism.backtest.account.splits import split_by, split_to
from quant_organism.errors import InputError
from quant_organism.market.schema import MS_PER_DAY

BY_HAND, LIQUIDATED, DELEVERAGED, SETTLED = "by hand", "liquidation", "adl", "settlement"
"""Kinds of fills beside those of orders: a trade by hand, the venue's liquidation and auto-deleveraging, delisting."""

_LOCKING: Final = (LIQUIDATED, DELEVERAGED)


@dataclass(frozen=True)
class PlanSent:
    """A plan whose orders are about to be sent.

    Parameters
    ----------
    plan
        The plan.
    references
        Lot prices that fills are measured against, of the symbols that have one: the bar's open, or the mid.
    """

    plan: Plan
    references: Mapping[str, int]


@dataclass(frozen=True)
class RestingSent:
    """Resting orders that now stand as planned."""

    plan: RestingPlan


@dataclass(frozen=True)
class AccountFill:
    """A fill, as the venue reports it.

    Parameters
    ----------
    time
        UTC milliseconds.
    symbol, lots
        What was bought, negative when sold.
    notional, fee
        Whole micro-USD; a rebate is negative.
    kind
        Of the order (`ioc`, `stop`, `target`), or what else brought it about.
    aimed
        Lot price that its slippage is measured against.
    """

    time: int
    symbol: str
    lots: int
    notional: int
    fee: int
    kind: str
    aimed: int


@dataclass(frozen=True)
class AccountFunding:
    """A settlement of funding.

    Parameters
    ----------
    symbol
        The asset.
    paid
        By the account in whole micro-USD; received where negative.
    per_lot
        What one long lot pays, micro-USD.
    """

    symbol: str
    paid: int
    per_lot: float


@dataclass(frozen=True)
class AccountReject:
    """An order that the venue did not accept."""

    symbol: str


@dataclass(frozen=True)
class HandRelease:
    """A person's word on a symbol that was traded by hand.

    Parameters
    ----------
    symbol
        The asset.
    restore
        Trade back to the target at once, whatever the band; otherwise the position is taken over as it is.
    """

    symbol: str
    restore: bool


@dataclass(frozen=True)
class Rearmed:
    """A person's word that an account which a drawdown has stopped may trade again."""


@dataclass(frozen=True)
class TradingHalted:
    """A symbol that cannot be traded, or can be again.

    Parameters
    ----------
    symbol
        The asset.
    resumed
        Whether it trades again; a delisted one never does.
    """

    symbol: str
    resumed: bool = False


@dataclass(frozen=True)
class CapitalPaid:
    """Capital paid in, in whole micro-USD; taken out where negative. Peak and base move along."""

    amount: int


@dataclass(frozen=True)
class CashTaken:
    """What the venue took for no trade and no funding, in whole micro-USD; gave where negative.

    What its vault keeps of a liquidated account, or a difference that a person has accepted: a loss, and no capital.
    """

    amount: int


def book(account: AccountBook, event: object) -> None:
    """Book an event of this module into an account.

    Raises
    ------
    InputError
        An event of no known kind, a plan that was made from another state of the account, or a symbol that the account
        does not know.
    """
    _book(event, account)


@singledispatch
def _book(event: object, account: AccountBook) -> None:
    raise InputError(f"{type(event).__name__} is no event of an account", where=account.account)


@_book.register
def _(event: PlanSent, account: AccountBook) -> None:
    made = event.plan
    if made.number != account.number:
        raise InputError(
            f"the plan has number {made.number}, the account is at {account.number}",
            where=f"account {account.account}",
            remedy="plan again from the account as it is",
        )
    close = made.close
    account.h1 = digest_on(account.h1, units_record(account.units, close.units, close.time))
    account.h2 = digest_on(account.h2, lines_record(made.lines()))
    account.number += 1
    account.risk, account.marks = made.risk, dict(made.marks)
    account.units = {key: units for key, units in close.units.items() if units != 0.0}
    account.shares, account.stopless = dict(close.shares), set(close.stopless)
    account.benched, account.locked = dict(made.benched), dict(made.locked)
    account.restored -= set(made.targets)
    account.open_members({key[:2] for key in made.lots})
    concerned = _concerned(account, made)
    for symbol in sorted(made.targets):
        if symbol in event.references:
            _move(account, symbol, event.references[symbol], concerned.get(symbol, ()))
    account.ordered |= {order.symbol for order in made.orders if order.symbol in event.references}


@_book.register
def _(event: RestingSent, account: AccountBook) -> None:
    account.h2 = digest_on(account.h2, lines_record(event.plan.lines()))
    account.number += 1
    for change in event.plan.changes:
        orders = account.resting.setdefault(change.symbol, {})
        if change.order is None:
            orders.pop(change.kind, None)
        else:
            orders[change.kind] = change.order
        if not orders:
            del account.resting[change.symbol]


@_book.register
def _(event: AccountFill, account: AccountBook) -> None:
    symbol, paid = event.symbol, event.notional if event.lots > 0 else -event.notional
    if symbol not in account.assets:
        raise InputError(f"the account knows no {symbol}", where=f"account {account.account}")
    if event.kind == IOC and symbol not in account.references:
        raise InputError(
            "the account has sent no order there",
            where=f"account {account.account}, {symbol}",
            remedy=f"book it as a trade {BY_HAND}",
        )
    account.cash -= paid + event.fee
    before = account.positions.get(symbol, 0)
    held = before + event.lots
    _count_exit(account, event, before, paid + event.fee)
    execution = account.execution
    execution.cash -= paid + event.fee
    execution.hold(symbol, execution.lots.get(symbol, 0) + event.lots)
    if held:
        account.positions[symbol] = held
    else:
        account.positions.pop(symbol, None)
    account.marks.setdefault(symbol, max(event.notional // abs(event.lots), 1))
    if event.kind == IOC:
        account.rejects.pop(symbol, None)
        _charge(account, symbol, paid - event.lots * account.references[symbol] + event.fee)
    elif event.kind == BY_HAND:
        account.frozen.add(symbol)
    elif event.kind in _LOCKING:
        net = virtual_nets(account.units, account.shares).get(symbol, 0.0)
        if net != 0.0:
            account.locked[symbol] = 1 if net > 0.0 else -1
        account.risk = replace(account.risk, halved_until=event.time + MS_PER_DAY)
    elif event.kind == SETTLED:
        account.gone.add(symbol)
    else:
        _bench(account, event)


@_book.register
def _(event: AccountFunding, account: AccountBook) -> None:
    account.cash -= event.paid
    symbol = event.symbol
    subs = [sub for sub in account.sub_accounts if symbol in sub.lots]
    if not subs:
        account.execution.cash -= event.paid
        return
    per_lot = event.per_lot
    parts = split_to(event.paid, [sub.lots[symbol] * per_lot for sub in subs])
    for sub, part in zip(subs, parts, strict=True):
        sub.cash -= part


@_book.register
def _(event: AccountReject, account: AccountBook) -> None:
    account.rejects[event.symbol] = account.rejects.get(event.symbol, 0) + 1


@_book.register
def _(event: HandRelease, account: AccountBook) -> None:
    account.frozen.discard(event.symbol)
    if event.restore:
        account.restored.add(event.symbol)


@_book.register
def _(event: Rearmed, account: AccountBook) -> None:
    account.risk = replace(account.risk, rearmed=True)


@_book.register
def _(event: TradingHalted, account: AccountBook) -> None:
    if event.resumed:
        account.gone.discard(event.symbol)
    else:
        account.gone.add(event.symbol)


@_book.register
def _(event: CashTaken, account: AccountBook) -> None:
    account.cash -= event.amount
    account.execution.cash -= event.amount


@_book.register
def _(event: CapitalPaid, account: AccountBook) -> None:
    risk = account.risk
    account.cash += event.amount
    account.capital += event.amount
    account.risk = replace(
        risk,
        equity=risk.equity + event.amount,
        base=max(risk.base + event.amount, 0),
        peak=max(risk.peak + event.amount, 0),
        recent=tuple((time, equity + event.amount) for time, equity in risk.recent),
    )


def _concerned(account: AccountBook, made: Plan) -> dict[str, list[tuple[SubAccount, int]]]:
    # Of each symbol the members that hold it, have moved in it, or answer for a part of it, in the order of their keys,
    # each with the lots that it answers for.
    parts: dict[tuple[str, str], dict[str, int]] = {}
    for (strategy, key, symbol), lots in made.lots.items():
        parts.setdefault((strategy, key), {})[symbol] = lots
    found: dict[str, list[tuple[SubAccount, int]]] = {}
    for name, member in account.members.items():
        own = parts.get(name, {})
        for symbol in own | member.lots | member.moved:
            found.setdefault(symbol, []).append((member, own.get(symbol, 0)))
    return found


def _move(account: AccountBook, symbol: str, reference: int, concerned: Sequence[tuple[SubAccount, int]]) -> None:
    # Members trade with *execution* at the reference price; what they moved is counted from the last order on.
    account.references[symbol] = reference
    counts_anew = symbol in account.ordered
    account.ordered.discard(symbol)
    for member, wanted in concerned:
        if counts_anew:
            member.moved.pop(symbol, None)
        lots = wanted - member.lots.get(symbol, 0)
        if lots:
            member.add(symbol, lots, reference)
            account.execution.add(symbol, -lots, reference)
            member.moved[symbol] = member.moved.get(symbol, 0) + abs(lots) * reference


def _count_exit(account: AccountBook, event: AccountFill, held: int, cost: int) -> None:
    # What a position has cost so far; one that ends, or changes its side, having cost more than it brought was a loss.
    spent, left = account.spent.pop(event.symbol, 0), 0
    if held * event.lots >= 0 or abs(event.lots) < abs(held):
        left = spent + cost
    else:
        closing = math.floor(cost * (abs(held) / abs(event.lots)))
        left = cost - closing
        if spent + closing > 0:
            account.risk = exit_noted(account.risk, account.rules, event.time)
    if left:
        account.spent[event.symbol] = left


def _charge(account: AccountBook, symbol: str, cost: int) -> None:
    # All who moved pay one rate; where nobody did, *execution* keeps the cost.
    moved = [member for member in account.members.values() if symbol in member.moved]
    if not moved:
        return
    for member, part in zip(moved, split_by(cost, [member.moved[symbol] for member in moved]), strict=True):
        member.cash -= part
        account.execution.cash += part


def _bench(account: AccountBook, event: AccountFill) -> None:
    # A disaster level that filled keeps its members out until their next decision.
    side = 1.0 if event.lots < 0 else -1.0
    for key, units in account.units.items():
        if event.kind == STOP and key[2] == event.symbol and units * side > 0.0 and key[:2] in account.stopless:
            account.benched[key] = units


def fill_amounts(lots: int, base: float, worse: float, fee_rate: float) -> tuple[int, int]:
    """Return notional and fee of a modelled fill, whole micro-USD: the notional to the nearest, the fee cut off.

    Parameters
    ----------
    lots
        Bought, negative when sold.
    base
        Lot price that it aims at.
    worse
        By what fraction it fills worse.
    fee_rate
        Fraction of the notional; a rebate is negative.
    """
    price = base * (1.0 + worse) if lots > 0 else base * (1.0 - worse)
    notional = math.floor(abs(lots) * price + 0.5)
    fee = notional * fee_rate
    return notional, math.floor(fee) if fee >= 0.0 else -math.floor(-fee)
