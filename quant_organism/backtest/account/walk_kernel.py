"""The compiled walk of an account over a window: `plan`, `plan_resting`, `book` and the modelled fills in one.

Those are the definition; tests hold this to them bit by bit, order lines and sub-accounts included.
"""

from __future__ import annotations

import math

import numpy as np

from quant_organism.backtest.account.model import MOST_IMPACT
from quant_organism.backtest.account.rules import AccountRules
from quant_organism.backtest.account.walk_layout import (
    AIMED,
    ASSET,
    BASE,
    CASH,
    EXECUTION_CASH,
    EXECUTION_LOTS,
    FEE,
    FROZEN,
    GONE,
    IOC,
    KIND,
    LEVEL,
    LOTS,
    MARK,
    MOVED,
    NOTIONAL,
    NUMBER,
    ORDERED,
    POSITION,
    REFERENCE,
    RESTORED,
    ROW,
    SCALE,
    SET,
    SETTLED,
    STOP,
    STOP_LEVEL,
    STOP_LOTS,
    TARGET,
    TARGET_LEVEL,
    TARGET_LOTS,
    TRADED,
    Ints,
    WalkAssets,
    WalkBars,
    WalkLegs,
    WalkRecords,
    WalkRoom,
    WalkState,
)
from quant_organism.backtest.account.walk_plan import plan_bar
from quant_organism.backtest.account.walk_risk import count_exit, equity_of
from quant_organism.backtest.account.walk_sums import legal, maintenance_margin, split_by, split_to, towards_zero
from quant_organism.kernels.compiled import compiled

_MICRO = 1e6


@compiled
def walk_account(
    bars: WalkBars,
    legs: WalkLegs,
    assets: WalkAssets,
    rules: AccountRules,
    state: WalkState,
    room: WalkRoom,
    records: WalkRecords,
) -> None:
    """Take an account over a window, from the plan before its first bar to the close of its last.

    Parameters
    ----------
    bars, legs, assets, rules
        The window and what binds the account.
    state
        Moved.
    room
        To work in.
    records
        Written.
    """
    rows, count = bars.opens.shape
    lots = np.zeros(legs.units.shape[1], dtype=np.int64)
    for row in range(rows):
        records.at_cap[row] = plan_bar(row, bars, legs, assets, rules, state, room, lots)
        records.scale[row] = state.risk_floats[SCALE]
        _mark(row, bars, state, records)
        _send_plan(row, bars, legs, state, room, lots, records)
        for a in range(count):
            room.left[a] = bars.room[row, a]
        for reduces in (True, False):
            for a in range(count):
                held, traded = state.assets[a, POSITION], room.traded[a]
                if traded != 0 and (abs(held + traded) < abs(held)) == reduces and bars.opens[row, a] > 0:
                    # What has been sent is not looked at again, whatever the position is now.
                    room.traded[a] = 0
                    slippage = assets.open_slippage[a]
                    _fill(
                        row,
                        a,
                        traded,
                        bars.opens[row, a],
                        slippage,
                        assets.taker_fee,
                        IOC,
                        bars,
                        legs,
                        state,
                        room,
                        records,
                    )
        changed = False
        for a in range(count):
            if bars.opens[row, a] > 0:
                changed = _set_resting(row, a, legs, assets, rules, state, records) or changed
        state.money[NUMBER] += 1 if changed else 0
        for a in range(count):
            stands = bars.opens[row, a] > 0 and state.assets[a, STOP_LOTS] != 0
            if stands and _reach(row, a, bars, legs, assets, state, room, records):
                state.money[NUMBER] += 1 if _set_resting(row, a, legs, assets, rules, state, records) else 0
        for a in range(count):
            if bars.opens[row, a] > 0:
                _pay_funding(row, a, bars, legs, state, room, records)
        for a in range(count):
            if bars.ended[a] == row:
                held, close = state.assets[a, POSITION], bars.closes[row + 1, a]
                if held != 0:
                    room.left[a] = abs(held)
                    slippage = assets.open_slippage[a]
                    _fill(row, a, -held, close, slippage, assets.taker_fee, SETTLED, bars, legs, state, room, records)
                state.assets[a, GONE] = 1
                state.money[NUMBER] += 1 if _set_resting(row, a, legs, assets, rules, state, records) else 0
    _mark(rows, bars, state, records)


@compiled
def _mark(row: int, bars: WalkBars, state: WalkState, records: WalkRecords) -> None:
    equity, profit, gross = state.money[CASH], state.money[EXECUTION_CASH], 0.0
    for a in range(state.assets.shape[0]):
        mark = bars.closes[row, a] if bars.closes[row, a] > 0 else state.assets[a, MARK]
        equity += state.assets[a, POSITION] * mark
        profit += state.assets[a, EXECUTION_LOTS] * mark
        gross += float(abs(state.assets[a, POSITION]) * mark)
    records.equity[row], records.execution[row], records.gross[row] = equity, profit, gross


@compiled
def _write_line(row: int, a: int, number: int, kind: int, lots: int, level: int, records: WalkRecords) -> None:
    line = records.lines[records.counts[0]]
    line[ROW], line[ASSET], line[KIND], line[TRADED], line[LEVEL], line[SET] = row, a, kind, lots, level, number
    records.counts[0] += 1


@compiled
def _send_plan(
    row: int, bars: WalkBars, legs: WalkLegs, state: WalkState, room: WalkRoom, lots: Ints, records: WalkRecords
) -> None:
    # What `book` does with `PlanSent`.
    known = state.assets
    for reduces in (True, False):
        for a in range(known.shape[0]):
            held, traded = known[a, POSITION], room.traded[a]
            if traded != 0 and (abs(held + traded) < abs(held)) == reduces:
                _write_line(row, a, state.money[NUMBER], IOC, traded, room.limits[a], records)
    state.money[NUMBER] += 1
    for a in range(known.shape[0]):
        if not room.open_now[a]:
            continue
        known[a, RESTORED] = 0
        for leg in range(legs.first[a], legs.first[a + 1]):
            if room.active[leg]:
                state.member_known[legs.member[leg]] = True
        reference = bars.opens[row, a]
        if reference == 0:
            continue
        known[a, REFERENCE] = reference
        counts_anew = known[a, ORDERED] != 0
        known[a, ORDERED] = 0
        for leg in range(legs.first[a], legs.first[a + 1]):
            own = state.legs[leg]
            if counts_anew:
                own[MOVED] = 0
            moved = lots[leg] - own[LOTS]
            if moved != 0:
                own[LOTS] += moved
                state.member_cash[legs.member[leg]] -= moved * reference
                known[a, EXECUTION_LOTS] -= moved
                state.money[EXECUTION_CASH] += moved * reference
                own[MOVED] += abs(moved) * reference
    for a in range(known.shape[0]):
        if room.traded[a] != 0 and bars.opens[row, a] > 0:
            known[a, ORDERED] = 1


@compiled
def _fill(
    row: int,
    a: int,
    lots: int,
    base: int,
    slippage: float,
    fee_rate: float,
    kind: int,
    bars: WalkBars,
    legs: WalkLegs,
    state: WalkState,
    room: WalkRoom,
    records: WalkRecords,
) -> None:
    # What `trade_account_bar` fills, and `book` does with it.
    size = min(abs(lots), room.left[a])
    if size == 0:
        return
    impact = 0.0 if kind == TARGET else min(bars.impact_rate[row, a] * math.sqrt(float(size * base)), MOST_IMPACT)
    worse = slippage + impact
    price = float(base) * (1.0 + worse) if lots > 0 else float(base) * (1.0 - worse)
    notional = int(np.floor(size * price + 0.5))
    charged = notional * fee_rate
    fee = int(np.floor(charged)) if charged >= 0.0 else -int(np.floor(-charged))
    room.left[a] -= size
    signed, paid = (size, notional) if lots > 0 else (-size, -notional)
    known = state.assets
    state.money[CASH] -= paid + fee
    state.money[EXECUTION_CASH] -= paid + fee
    count_exit(a, bars.times[row], signed, paid + fee, state)
    known[a, POSITION] += signed
    known[a, EXECUTION_LOTS] += signed
    fill = records.fills[records.counts[1]]
    fill[ROW], fill[ASSET], fill[KIND], fill[TRADED], fill[NOTIONAL], fill[FEE] = row, a, kind, signed, notional, fee
    fill[AIMED] = base
    records.counts[1] += 1
    if kind == IOC:
        _charge(a, paid - signed * known[a, REFERENCE] + fee, legs, state, room)
    elif kind == STOP:
        for leg in range(legs.first[a], legs.first[a + 1]):
            units = legs.units[row, leg]
            if legs.stopless[leg] and units != 0.0 and (units > 0.0) == (signed < 0):
                state.benched[leg] = units


@compiled
def _charge(a: int, cost: int, legs: WalkLegs, state: WalkState, room: WalkRoom) -> None:
    count = 0
    for leg in range(legs.first[a], legs.first[a + 1]):
        if state.legs[leg, MOVED] > 0:
            room.parts[count] = state.legs[leg, MOVED]
            count += 1
    if count == 0:
        return
    split_by(cost, count, room)
    count = 0
    for leg in range(legs.first[a], legs.first[a + 1]):
        if state.legs[leg, MOVED] > 0:
            state.member_cash[legs.member[leg]] -= room.parts[count]
            state.money[EXECUTION_CASH] += room.parts[count]
            count += 1


@compiled
def _set_resting(
    row: int, a: int, legs: WalkLegs, assets: WalkAssets, rules: AccountRules, state: WalkState, records: WalkRecords
) -> bool:
    # What `plan_resting` says of an asset, and `book` does with it; whether anything changed.
    known = state.assets[a]
    held = known[POSITION]
    if held == 0:
        stood = bool(known[STOP_LOTS] != 0 or known[TARGET_LOTS] != 0)
        known[STOP_LOTS] = known[STOP_LEVEL] = known[TARGET_LOTS] = known[TARGET_LEVEL] = 0
        return stood
    side = 1 if held > 0 else -1
    stops = stop_weights = targets = target_weights = 0.0
    for leg in range(legs.first[a], legs.first[a + 1]):
        units = legs.units[row, leg]
        if units * side <= 0.0 or state.benched[leg] != 0.0:
            continue
        weight = legs.shares[row, legs.strategy[leg]] * abs(units)
        stop, target = legs.stops[row, leg], legs.targets[row, leg]
        if stop == stop:
            stops += weight * stop
            stop_weights += weight
        if target == target:
            targets += weight * target
            target_weights += weight
    mark = float(known[MARK])
    level = mark * (1.0 - side * rules.default_stop)
    if stop_weights > 0.0:
        level = stops / stop_weights * assets.lot_price_per_usd[a]
    liquidation = _cross_liquidation(a, side, assets, state)
    if 0.0 < liquidation < np.inf:
        inside = liquidation + rules.liquidation_share * (mark - liquidation)
        level = side * max(side * level, side * inside)
    stop_level = legal(assets, a, max(level, 0.0), side > 0)
    changed = False
    if known[STOP_LOTS] != -held or _moved(known[STOP_LEVEL], stop_level, rules):
        known[STOP_LOTS], known[STOP_LEVEL] = -held, stop_level
        _write_line(row, a, state.money[NUMBER], STOP, -held, stop_level, records)
        changed = True
    size, target_level = 0, 0
    if target_weights > 0.0 and known[FROZEN] == 0:
        wanted = target_weights * state.risk_floats[SCALE] * (state.risk[BASE] / _MICRO) * assets.lots_per_unit[a]
        size = min(towards_zero(wanted), abs(held))
        target_level = legal(assets, a, max(targets / target_weights, 0.0) * assets.lot_price_per_usd[a], side < 0)
        if size != abs(held) and size * target_level < rules.least_order_usd * _MICRO:
            size = 0
    if size == 0:
        changed = changed or known[TARGET_LOTS] != 0
        known[TARGET_LOTS] = known[TARGET_LEVEL] = 0
    elif known[TARGET_LOTS] != -side * size or _moved(known[TARGET_LEVEL], target_level, rules):
        known[TARGET_LOTS], known[TARGET_LEVEL] = -side * size, target_level
        _write_line(row, a, state.money[NUMBER], TARGET, -side * size, target_level, records)
        changed = True
    return changed


@compiled
def _moved(before: int, after: int, rules: AccountRules) -> bool:
    return abs(after - before) > rules.replace_band * before


@compiled
def _cross_liquidation(a: int, side: int, assets: WalkAssets, state: WalkState) -> float:
    known = state.assets
    balance = float(equity_of(state))
    for other in range(known.shape[0]):
        if other != a and known[other, POSITION] != 0:
            notional = float(abs(known[other, POSITION]) * known[other, MARK])
            balance -= maintenance_margin(assets, other, notional)
    quantity, mark = float(abs(known[a, POSITION])), float(known[a, MARK])
    for tier in range(assets.tiers[a]):
        rate, deduction = assets.rates[a, tier], assets.deductions[a, tier]
        level = (mark - side * (balance + deduction) / quantity) / (1.0 - side * rate)
        notional = quantity * level
        last = tier + 1 == assets.tiers[a]
        if notional >= assets.bounds[a, tier] and (last or notional < assets.bounds[a, tier + 1]):
            return float(level)
    return 0.0 if side > 0 else np.inf


@compiled
def _reach(
    row: int,
    a: int,
    bars: WalkBars,
    legs: WalkLegs,
    assets: WalkAssets,
    state: WalkState,
    room: WalkRoom,
    records: WalkRecords,
) -> bool:
    # The stop, else the target; whether anything filled.
    known, opened, low, high = state.assets[a], bars.opens[row, a], bars.low[row, a], bars.high[row, a]
    before = records.counts[1]
    lots, level = known[STOP_LOTS], known[STOP_LEVEL]
    if (lots < 0 and low <= level) or (lots > 0 and high >= level):
        base = min(level, opened) if lots < 0 else max(level, opened)
        _fill(row, a, lots, base, assets.stop_slippage[a], assets.taker_fee, STOP, bars, legs, state, room, records)
        return bool(records.counts[1] > before)
    lots, level = known[TARGET_LOTS], known[TARGET_LEVEL]
    if (lots < 0 and high > level) or (lots > 0 and low < level):
        base = max(level, opened) if lots < 0 else min(level, opened)
        _fill(row, a, lots, base, 0.0, assets.maker_fee, TARGET, bars, legs, state, room, records)
    return bool(records.counts[1] > before)


@compiled
def _pay_funding(
    row: int, a: int, bars: WalkBars, legs: WalkLegs, state: WalkState, room: WalkRoom, records: WalkRecords
) -> None:
    held = state.assets[a, POSITION]
    fraction = bars.funding_long[row, a] if held >= 0 else bars.funding_short[row, a]
    if fraction == 0.0:
        return
    per_lot, count = bars.closes[row + 1, a] * fraction, 0
    for leg in range(legs.first[a], legs.first[a + 1]):
        if state.legs[leg, LOTS] != 0:
            room.quotas[count] = state.legs[leg, LOTS] * per_lot
            count += 1
    if state.assets[a, EXECUTION_LOTS] != 0:
        room.quotas[count] = state.assets[a, EXECUTION_LOTS] * per_lot
        count += 1
    if count == 0:
        return
    paid = int(np.floor(held * per_lot + 0.5))
    records.funding[row, a] = paid
    state.money[CASH] -= paid
    split_to(paid, count, room)
    count = 0
    for leg in range(legs.first[a], legs.first[a + 1]):
        if state.legs[leg, LOTS] != 0:
            state.member_cash[legs.member[leg]] -= room.parts[count]
            count += 1
    if state.assets[a, EXECUTION_LOTS] != 0:
        state.money[EXECUTION_CASH] -= room.parts[count]
