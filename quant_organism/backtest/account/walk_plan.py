"""The plan of `plan.py` for the compiled walk: the same expressions in the same order."""

from __future__ import annotations

import numpy as np

from quant_organism.backtest.account.rules import AccountRules
from quant_organism.backtest.account.walk_layout import (
    BASE,
    ENTRY,
    EQUITY,
    FROZEN,
    GONE,
    LOCKED,
    LONG,
    MARK,
    POSITION,
    RESTORED,
    SCALE,
    SHORT,
    Floats,
    Ints,
    WalkAssets,
    WalkBars,
    WalkLegs,
    WalkRoom,
    WalkState,
)
from quant_organism.backtest.account.walk_risk import risk_at_close, risk_entry, risk_factor
from quant_organism.backtest.account.walk_sums import legal, split_to, towards_zero
from quant_organism.kernels.compiled import compiled

_MICRO = 1e6


@compiled
def plan_bar(
    row: int,
    bars: WalkBars,
    legs: WalkLegs,
    assets: WalkAssets,
    rules: AccountRules,
    state: WalkState,
    room: WalkRoom,
    lots: Ints,
) -> bool:
    """Plan at the close before bar `row`: marks, risk, benched legs and locks move on, `room` and `lots` are written.

    Parameters
    ----------
    row
        The bar that follows.
    bars, legs, assets, rules
        What is known.
    state
        The account.
    room
        Written: targets, lots to trade and their limits; `open_now` and `active`.
    lots
        Written: of each leg what it answers for, shape (P,).

    Returns
    -------
    Whether a cap made anything smaller.
    """
    known = state.assets
    for a in range(known.shape[0]):
        if bars.closes[row, a] > 0:
            known[a, MARK] = bars.closes[row, a]
        room.open_now[a] = bars.closes[row, a] > 0 and known[a, FROZEN] == 0 and known[a, GONE] == 0
    risk_at_close(bars.times[row], legs.virtual_returns[row], assets, rules, state)
    units = legs.units[row]
    for a in range(known.shape[0]):
        for leg in range(legs.first[a], legs.first[a + 1]):
            if state.benched[leg] != 0.0 and state.benched[leg] != units[leg]:
                state.benched[leg] = 0.0
            room.active[leg] = units[leg] != 0.0 and state.benched[leg] == 0.0 and known[a, MARK] > 0
    factor, at_cap = _wanted(row, legs, assets, rules, state, room)
    entry = min(risk_entry(rules, state), legs.restraints[row, ENTRY])
    for a in range(known.shape[0]):
        _unlock(a, legs, legs.shares[row], units, state, room)
        room.targets[a] = room.traded[a] = 0
        if not room.open_now[a]:
            continue
        held, whole = known[a, POSITION], towards_zero(room.net[a] * factor)
        target = _grown(whole, held, entry if known[a, LOCKED] == 0 else 0.0)
        kept = target / whole if whole != 0 else 1.0
        room.targets[a] = target
        _split_target(a, target, kept, factor, legs, units, assets, room, lots)
        room.traded[a] = _traded_lots(a, held, target, assets, rules, state, room)
    return at_cap


@compiled
def _wanted(
    row: int, legs: WalkLegs, assets: WalkAssets, rules: AccountRules, state: WalkState, room: WalkRoom
) -> tuple[float, bool]:
    # A4, steps 1 to 7: writes scales, cuts, net and clips; returns what all is scaled with, and whether a cap bound.
    known, units, shares, risk = state.assets, legs.units[row], legs.shares[row], state.risk
    equity, at_cap = float(max(risk[EQUITY], 0)), False
    room.sums[:] = 0.0
    for s in range(shares.size):
        room.scales[s] = shares[s] * state.risk_floats[SCALE] * (risk[BASE] / _MICRO)
    for a in range(known.shape[0]):
        for leg in range(legs.first[a], legs.first[a + 1]):
            if room.active[leg]:
                room.sums[a, legs.strategy[leg]] += units[leg]
    for s in range(shares.size):
        gross = 0.0
        for a in range(known.shape[0]):
            lots = room.scales[s] * room.sums[a, s] * assets.lots_per_unit[a]
            gross += abs(lots * known[a, MARK])
        most = rules.strategy_cap * equity
        room.cuts[s] = most / gross if gross > most else 1.0
        at_cap = at_cap or room.cuts[s] < 1.0
    gross = margin = stuck = stuck_margin = 0.0
    for a in range(known.shape[0]):
        total = 0.0
        for s in range(shares.size):
            lots = room.scales[s] * room.sums[a, s] * assets.lots_per_unit[a]
            total += lots * room.cuts[s]
        value, most = abs(total) * known[a, MARK], rules.asset_cap * equity
        room.clips[a] = most / value if value > most else 1.0
        at_cap = at_cap or room.clips[a] < 1.0
        room.net[a] = total * room.clips[a]
        if room.open_now[a]:
            value = abs(room.net[a]) * known[a, MARK]
            gross += value
            margin += value * assets.initial_rate[a]
        else:
            value = float(abs(known[a, POSITION]) * known[a, MARK])
            stuck += value
            stuck_margin += value * assets.initial_rate[a]
    left = max(rules.gross_cap * equity - stuck, 0.0)
    factor = left / gross if gross > left else 1.0
    left = max(rules.margin_cap * equity - stuck_margin, 0.0)
    if margin * factor > left:
        factor = factor * (left / (margin * factor))
    for a in range(known.shape[0]):
        side = legs.restraints[row, LONG if room.net[a] > 0.0 else SHORT]
        room.net[a] *= side
        room.clips[a] *= side
    return factor * risk_factor(rules, state), at_cap or factor < 1.0


@compiled
def _unlock(a: int, legs: WalkLegs, shares: Floats, units: Floats, state: WalkState, room: WalkRoom) -> None:
    if state.assets[a, LOCKED] == 0:
        return
    net = 0.0
    for leg in range(legs.first[a], legs.first[a + 1]):
        if room.active[leg]:
            net += shares[legs.strategy[leg]] * units[leg]
    if not net * state.assets[a, LOCKED] > 0.0:
        state.assets[a, LOCKED] = 0


@compiled
def _split_target(
    a: int,
    target: int,
    kept: float,
    factor: float,
    legs: WalkLegs,
    units: Floats,
    assets: WalkAssets,
    room: WalkRoom,
    lots: Ints,
) -> None:
    count = 0
    for leg in range(legs.first[a], legs.first[a + 1]):
        lots[leg] = 0
        if room.active[leg]:
            s = legs.strategy[leg]
            shrunk = room.cuts[s] * room.clips[a] * factor
            room.quotas[count] = room.scales[s] * units[leg] * assets.lots_per_unit[a] * shrunk * kept
            count += 1
    if count == 0:
        return
    split_to(target, count, room)
    count = 0
    for leg in range(legs.first[a], legs.first[a + 1]):
        if room.active[leg]:
            lots[leg] = room.parts[count]
            count += 1


@compiled
def _grown(target: int, held: int, entry: float) -> int:
    kept = min(abs(target), abs(held)) if target * held > 0 else 0
    size = max(kept, int(np.floor(abs(target) * entry)))
    return size if target > 0 else -size


@compiled
def _traded_lots(
    a: int, held: int, target: int, assets: WalkAssets, rules: AccountRules, state: WalkState, room: WalkRoom
) -> int:
    # Writes the limit of the order too.
    delta, mark, equity = target - held, state.assets[a, MARK], state.risk[EQUITY]
    if delta == 0:
        return 0
    limit = _limit(a, mark, delta, assets, rules)
    room.limits[a] = limit
    if target == 0:
        return delta
    least = rules.least_order_usd * _MICRO
    if held * target < 0:
        return delta if abs(target) * limit >= least else -held
    if abs(delta) * limit < least:
        return 0
    exceeds = abs(held) * mark > (1.0 + rules.cap_excess) * (rules.asset_cap * max(equity, 0))
    waits = abs(delta) * mark < rules.order_band * equity and not (exceeds and abs(target) < abs(held))
    return 0 if waits and state.assets[a, RESTORED] == 0 else delta


@compiled
def _limit(a: int, mark: int, lots: int, assets: WalkAssets, rules: AccountRules) -> int:
    if lots > 0:
        return legal(assets, a, mark * (1.0 + rules.slippage_bound), False)
    return legal(assets, a, mark * (1.0 - rules.slippage_bound), True)
