"""The execution model one bar at a time: a compiled step that replay, paper trading and limited volume share.

The walk in `kernel.py` goes from trade to trade and is what populations are bred on. This is the same book of rules
(docs/execution.md) for one sleeve and one bar, with all that is known between bars in one vector, so that it can be
saved and taken up again anywhere. Where an order is filled at once, the arithmetic is that of the walk, operation by
operation.
"""

from __future__ import annotations

import numpy as np

from quant_organism.backtest import kernel, layout
from quant_organism.backtest.margin import liquidation_fill, liquidation_price, taken_over
from quant_organism.backtest.sleeve_state import (
    BAR,
    BEST,
    BLOCKED_SIDE,
    CASH,
    CLOSE,
    ENTERED,
    ENTRY_BAR,
    ENTRY_PRICE,
    ENTRY_ROW,
    EQUITY,
    EQUITY_BEFORE,
    EXIT_REASON,
    FEES,
    MARGIN,
    PEAK,
    QUANTITY,
    REALISED,
    RUINED,
    SETTLED,
    SIDE,
    STAYS,
    WANTED,
    Floats,
    Ledger,
    SleeveDecision,
    Terms,
    Tick,
    add_exit,
    book,
    clear,
    margin_balance,
    marked,
    record,
    settle,
)
from quant_organism.kernels.compiled import compiled


@compiled
def decide(target: float, known: Floats, risk: layout.Risk, g: int) -> SleeveDecision:
    """Weigh a target, given the context of the bar at whose close it is decided (rules 4, 13 and 14).

    Parameters
    ----------
    target
        In [-1, 1].
    known
        What is known of all assets, shape (layout.N_CONTEXT,).
    risk, g
        The genome: number `g` of those whose genes are given.
    """
    side = 1 if target > 0.0 else -1 if target < 0.0 else 0
    calm = known[layout.TURBULENCE] <= risk.volatility_threshold[g]
    return SleeveDecision(side, kernel.entry_weight(known, side, g, risk) * abs(target), calm)


@compiled
def trade_bar(state: Floats, tick: Tick, decision: SleeveDecision, terms: Terms, ledger: Ledger) -> None:
    """Fill what was decided at the close before, and what the bar's prices trigger.

    Parameters
    ----------
    state
        Of the sleeve; moved to this bar but for its close, which is the part of `mark_bar`.
    tick, decision
        The bar, and what was decided at the close before it.
    terms
        Genome and costs.
    ledger
        Written: the bar's fills and the trades that they ended.
    """
    ledger.counts[:] = 0
    state[BAR] += 1.0
    if state[RUINED] != 0.0:
        return
    if decision.side != state[BLOCKED_SIDE]:
        state[BLOCKED_SIDE] = 0.0
    friction = terms.friction
    room = friction.participation * tick.volume if friction.participation < np.inf else np.inf
    if not friction.stops_from_next_bar:
        room = fill_orders(state, tick, decision, terms, room, ledger)
        _reach_levels(state, tick, terms, room, ledger)
        return
    held = state[QUANTITY] != 0.0 and state[EXIT_REASON] < 0.0
    _reach_levels(state, tick, terms, room, ledger)
    if held and (state[SIDE] == 0.0 or state[EXIT_REASON] >= 0.0):
        # Rule 17: the bar ignores its order, and with it the run that would begin here.
        state[BLOCKED_SIDE] = decision.side
        return
    fill_orders(state, tick, decision, terms, room, ledger)


@compiled
def mark_bar(state: Floats, close: float, settled: float, ledger: Ledger) -> float:
    """Settle the bar's funding, mark the sleeve at the close and return its equity (rules 9, 10 and 12)."""
    state[CLOSE], state[SETTLED] = close, settled
    equity = marked(state, close)
    if equity <= 0.0:
        if state[QUANTITY] != 0.0:
            _ruin(state, close, ledger)
        state[RUINED] = 1.0
        equity = 0.0
    state[EQUITY] = equity
    state[PEAK] = max(state[PEAK], equity)
    return equity


@compiled
def end_sleeve(state: Floats, close: float, settled: float, delisted: bool, terms: Terms, ledger: Ledger) -> None:
    """Close the books at the last close (rule 11): a position is sold where the asset is gone, else counted as open.

    Parameters
    ----------
    state
        Of the sleeve, after `trade_bar`, `mark_bar` or both of the last bar.
    close, settled
        Of that bar.
    delisted
        Whether the asset's bars ended before the window did.
    terms
        Genome and costs.
    ledger
        Written: a fill and a trade after those that are there.
    """
    state[CLOSE], state[SETTLED] = close, settled
    quantity = abs(state[QUANTITY])
    if quantity == 0.0:
        return
    if delisted:
        if state[EXIT_REASON] < 0.0:
            state[EXIT_REASON] = layout.DELISTED
        price = close * (1.0 - state[SIDE] * terms.friction.slippage)
        _leave(state, quantity, price, terms.friction.taker_fee, np.inf, ledger)
    else:
        settle(state)
        add_exit(state, quantity, close)
        book(state, state[CASH] + state[QUANTITY] * close, layout.OPEN, ledger)


@compiled
def stop_level(state: Floats, terms: Terms) -> tuple[float, int]:
    """Return the nearest of stop, trailing stop and liquidation, as a price times the side, and what it is."""
    side, entry = int(state[SIDE]), state[ENTRY_PRICE]
    level, cause = side * (entry * (1.0 - side * terms.stop_loss)), layout.STOP_LOSS
    trailing = max(side * entry, state[BEST]) * (1.0 - side * terms.trailing_stop)
    if terms.trailing_stop > 0.0 and trailing > level:
        level, cause = trailing, layout.TRAILING_STOP
    quantity, balance = abs(state[QUANTITY]), margin_balance(state)
    liquidation = side * liquidation_price(side, quantity, entry, balance, terms.friction)
    if liquidation >= level:
        level, cause = liquidation, layout.LIQUIDATION
    return level, cause


@compiled
def target_level(state: Floats, terms: Terms) -> float:
    """Return the price of the target, times the side."""
    side = state[SIDE]
    return float(side * (state[ENTRY_PRICE] * (1.0 + side * terms.take_profit)))


@compiled
def fill_orders(
    state: Floats, tick: Tick, decision: SleeveDecision, terms: Terms, room: float, ledger: Ledger
) -> float:
    """Fill at a bar's open, out and then in; return what is left of the volume that market orders may take."""
    side = state[SIDE]
    if side != 0.0 and state[EXIT_REASON] < 0.0:
        if state[QUANTITY] == 0.0:
            if decision.side != side:
                clear(state)
        elif decision.side != side:
            state[EXIT_REASON] = layout.SIGNAL
        elif tick.row - state[ENTRY_ROW] >= terms.max_holding_bars:
            state[EXIT_REASON] = layout.MAX_HOLDING
            state[BLOCKED_SIDE] = side
    if state[EXIT_REASON] >= 0.0:
        room = _leave_by_market(state, tick.open, tick.volume, terms, room, ledger)
    if state[SIDE] == 0.0 and may_enter(state, decision, terms):
        # Rules 4 and 16: the quantity is fixed at the first open.
        price = tick.open * (1.0 + decision.side * terms.friction.slippage)
        state[SIDE], state[BEST] = decision.side, -np.inf
        state[EQUITY_BEFORE] = state[CASH]
        state[WANTED] = decision.size * state[CASH] / price
    if state[WANTED] > 0.0 and state[EXIT_REASON] < 0.0:
        room = _enter(state, tick, decision, terms, room, ledger)
    return room


@compiled
def may_enter(state: Floats, decision: SleeveDecision, terms: Terms) -> bool:
    """Say whether a flat sleeve enters what was decided at the last close (rules 8, 12 and 14)."""
    drawdown = 1.0 - state[EQUITY] * (1.0 / state[PEAK])
    wanted = decision.side != 0 and decision.side != state[BLOCKED_SIDE] and decision.size > 0.0
    calm = decision.permitted and drawdown < terms.max_drawdown
    return wanted and calm and state[RUINED] == 0.0


@compiled
def _enter(state: Floats, tick: Tick, decision: SleeveDecision, terms: Terms, room: float, ledger: Ledger) -> float:
    friction, side, quantity = terms.friction, state[SIDE], min(state[WANTED], room)
    if quantity <= 0.0:
        return room
    price = tick.open * (1.0 + side * (friction.slippage + _impact(quantity, tick.volume, friction)))
    if friction.participation < np.inf:
        equity, notional = marked(state, price), quantity * price
        fee, margin = friction.taker_fee * notional, friction.margin * notional
    else:
        equity, notional = state[CASH], decision.size * state[CASH]
        fee = friction.taker_fee * decision.size * state[CASH]
        margin = friction.margin * decision.size * state[CASH]
    settle(state)
    if state[ENTERED] == 0.0:
        state[ENTRY_PRICE], state[ENTRY_BAR], state[ENTRY_ROW] = price, state[BAR], tick.row
    else:
        paid = state[ENTERED] * state[ENTRY_PRICE] + quantity * price
        state[ENTRY_PRICE] = paid / (state[ENTERED] + quantity)
    state[CASH] = state[CASH] - side * quantity * price - fee
    state[QUANTITY] += side * quantity
    state[ENTERED] += quantity
    state[WANTED] -= quantity
    state[FEES] += fee
    state[MARGIN] += margin
    record(ledger, side * quantity, price, fee, notional / equity if equity > 0.0 else 0.0, STAYS)
    if marked(state, price) <= 0.0:
        _ruin(state, price, ledger)
    return float(room - quantity)


@compiled
def _reach_levels(state: Floats, tick: Tick, terms: Terms, room: float, ledger: Ledger) -> None:
    # Rules 5, 6 and 15. Prices are taken times the side, so that one comparison serves longs and shorts.
    if state[QUANTITY] == 0.0 or state[EXIT_REASON] >= 0.0:
        return
    side = state[SIDE]
    adverse, favourable = (tick.low, tick.high) if side > 0.0 else (-tick.high, -tick.low)
    level, cause = stop_level(state, terms)
    target = target_level(state, terms)
    if adverse <= level:
        state[EXIT_REASON], state[BLOCKED_SIDE] = cause, side
        _leave_by_market(state, side * min(level, side * tick.open), tick.volume, terms, room, ledger)
    elif favourable >= target:
        state[EXIT_REASON], state[BLOCKED_SIDE] = layout.TAKE_PROFIT, side
        quantity = min(abs(state[QUANTITY]), room)
        _leave(state, quantity, side * max(target, side * tick.open), terms.friction.maker_fee, np.inf, ledger)
    else:
        state[BEST] = max(state[BEST], favourable)


@compiled
def _leave_by_market(state: Floats, price: float, volume: float, terms: Terms, room: float, ledger: Ledger) -> float:
    # Sell as much as the volume allows, worse than `price` by slippage and impact.
    friction, side, held = terms.friction, state[SIDE], state[QUANTITY]
    quantity = min(abs(held), room)
    impact = _impact(quantity, volume, friction)
    fill, most = price * (1.0 - side * (friction.slippage + impact)), np.inf
    if state[EXIT_REASON] == layout.LIQUIDATION:
        # Rule 15: the margin is all that can be lost. The backstop takes the whole position, whatever the volume.
        entry, balance = state[ENTRY_PRICE], margin_balance(state)
        taken, most = liquidation_fill(price, held, entry, balance, friction)
        worst = entry - balance / held
        if taken_over(price, held, entry, balance, friction):
            quantity, fill = abs(held), taken
        elif impact == 0.0:
            fill, most = taken, most * (quantity / abs(held))
        else:
            fill = fill if side * (fill - worst) > 0.0 else worst
            most = side * (fill - worst) * quantity
    _leave(state, quantity, fill, friction.taker_fee, most, ledger)
    return float(room - quantity)


@compiled
def _leave(state: Floats, quantity: float, price: float, fee_rate: float, most_fee: float, ledger: Ledger) -> None:
    # Sell; book the trade when nothing is left.
    if quantity <= 0.0:
        return
    side, held = state[SIDE], state[QUANTITY]
    traded = quantity * price
    equity = marked(state, price)
    settle(state)
    fee = min(fee_rate * traded, most_fee)
    state[FEES] += fee
    add_exit(state, quantity, price)
    turnover = traded / equity if equity > 0.0 else 0.0
    record(ledger, -side * quantity, price, fee, turnover, state[EXIT_REASON])
    if quantity == abs(held):
        book(state, state[CASH] + held * price - fee, int(state[EXIT_REASON]), ledger)
        return
    state[CASH] = state[CASH] + side * quantity * price - fee
    state[REALISED] += side * quantity * (price - state[ENTRY_PRICE]) - fee
    state[QUANTITY] = held - side * quantity
    if marked(state, price) <= 0.0:
        _ruin(state, price, ledger)


@compiled
def _ruin(state: Floats, price: float, ledger: Ledger) -> None:
    # Rule 12: what is left of the position counts at the price at which the equity was gone.
    settle(state)
    add_exit(state, abs(state[QUANTITY]), price)
    book(state, 0.0, layout.RUINED, ledger)


@compiled
def _impact(quantity: float, volume: float, friction: layout.Friction) -> float:
    if friction.impact == 0.0 or quantity <= 0.0:
        return 0.0
    return float(friction.impact * np.sqrt(quantity / volume))
