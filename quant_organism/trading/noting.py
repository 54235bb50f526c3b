"""Plans of an account and what came of them, as facts of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quant_organism.backtest.account import (
    AccountBook,
    AccountFill,
    AccountFunding,
    AccountRules,
    Plan,
    RestingSent,
    RiskState,
    TradingHalted,
    account_breakers,
)
from quant_organism.trading.records import (
    LedgerBreaker,
    LedgerEquity,
    LedgerEvent,
    LedgerFill,
    LedgerFlow,
    LedgerOrder,
    LedgerPlan,
    LedgerProfit,
    LedgerRecord,
)

BreakerStandings = Mapping[str, tuple[str, float]]
"""Of each of the account's breakers that is not closed, by name: its phase, and the bound that acts."""


def planned(session: int, made: Plan, account: AccountBook, strategies: Sequence[str]) -> list[LedgerRecord]:
    """Return a plan with its orders, and the account as it stands at that close.

    Parameters
    ----------
    session, made, account
        Whose plan it is; the account before the plan is booked.
    strategies
        Who trades it, sorted; who has left is shown as long as it holds or has earned anything.
    """
    common: dict[str, Any] = {"session": session, "close_ms": made.close.time, "account": account.account}
    marks, risk = made.marks, made.risk
    orders = [
        LedgerOrder(
            **common,
            symbol=order.symbol,
            kind="ioc",
            lots=order.lots,
            level=order.limit,
            size=order.lots / account.assets[order.symbol].lots_per_unit,
            price=account.assets[order.symbol].price(order.limit),
            reduces=order.reduces,
            cloid=order.cloid,
        )
        for order in made.orders
    ]
    profits, gross = dict.fromkeys(strategies, 0), dict.fromkeys(strategies, 0)
    for (strategy, _), sub in account.members.items():
        held = sum(abs(lots) * marks[symbol] for symbol, lots in sub.lots.items())
        profits[strategy] = profits.get(strategy, 0) + sub.profit(marks)
        gross[strategy] = gross.get(strategy, 0) + held
    return [
        LedgerPlan(
            **common,
            number=made.number,
            h1=account.h1,
            h2=account.h2,
            base=risk.base,
            scale=risk.scale,
            factor=risk.factor(account.rules),
            drawdown=risk.drawdown,
            is_stopped=risk.stopped,
            at_cap=made.at_cap,
        ),
        *orders,
        LedgerEquity(
            **common,
            equity=risk.equity,
            cash=account.cash,
            capital=account.capital,
            gross=sum(abs(lots) * marks[symbol] for symbol, lots in account.positions.items()),
            drawdown=risk.drawdown,
            execution=account.execution.profit(marks),
        ),
        *(
            LedgerProfit(
                **common,
                strategy=name,
                profit=profits[name],
                gross=gross[name],
                share=made.close.shares.get(name, 0.0),
            )
            for name in sorted(profits)
        ),
    ]


def moved_breakers(
    session: int, risk: RiskState, rules: AccountRules, before: BreakerStandings
) -> tuple[list[LedgerBreaker], BreakerStandings]:
    """Return what has changed of an account's own breakers since the close before, and where they stand now.

    Parameters
    ----------
    session, risk, rules
        Whose account it is, at this close.
    before
        As it was returned at the close before; empty at the first.
    """
    moves: list[LedgerBreaker] = []
    standings: dict[str, tuple[str, float]] = {}
    for each in account_breakers(risk, rules):
        if each.phase != "closed":
            standings[each.name] = each.phase, each.bound
        if standings.get(each.name) != before.get(each.name):
            moves.append(
                LedgerBreaker(
                    session=session,
                    close_ms=risk.time,
                    name=each.name,
                    state=each.phase,
                    value=each.value,
                    bound=each.bound,
                    reason="nothing is held back" if each.phase == "closed" else each.action,
                )
            )
    return moves, standings


def noted(events: Sequence[object], session: int, made: Plan, account: AccountBook) -> list[LedgerRecord]:
    """Return what was booked after a plan: fills, funding, orders that rest from now on.

    Parameters
    ----------
    events
        As an `Execution` returns them.
    session, made, account
        Whose they are.
    """
    common: dict[str, Any] = {"session": session, "close_ms": made.close.time, "account": account.account}
    records: list[LedgerRecord] = []
    for event in events:
        if isinstance(event, AccountFill):
            asset, aimed = account.assets[event.symbol], abs(event.lots) * event.aimed
            records.append(
                LedgerFill(
                    **common,
                    time_ms=event.time,
                    symbol=event.symbol,
                    kind=event.kind,
                    lots=event.lots,
                    size=event.lots / asset.lots_per_unit,
                    price=asset.price(1) * event.notional / abs(event.lots),
                    notional=event.notional,
                    fee=event.fee,
                    aimed=event.aimed,
                    slippage=event.notional - aimed if event.lots > 0 else aimed - event.notional,
                )
            )
        elif isinstance(event, AccountFunding):
            records.append(LedgerFlow(**common, kind="funding", symbol=event.symbol, amount=-event.paid))
        elif isinstance(event, TradingHalted):
            records.append(
                LedgerEvent(
                    session=session,
                    at_ms=made.close.time,
                    close_ms=made.close.time,
                    level="warning",
                    kind="listing",
                    text=f"{event.symbol} trades {'again' if event.resumed else 'no more; what is held counts'}",
                )
            )
        elif isinstance(event, RestingSent):
            for change in event.plan.changes:
                asset, order = account.assets[change.symbol], change.order
                records.append(
                    LedgerOrder(
                        **common,
                        symbol=change.symbol,
                        kind=change.kind,
                        lots=0 if order is None else order.lots,
                        level=0 if order is None else order.level,
                        size=0.0 if order is None else order.lots / asset.lots_per_unit,
                        price=0.0 if order is None else asset.price(order.level),
                        reduces=True,
                        cloid=change.cloid,
                    )
                )
    return records
