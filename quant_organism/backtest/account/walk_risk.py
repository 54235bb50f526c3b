"""The risk of `limits.py` for the compiled walk: the same expressions in the same order."""

from __future__ import annotations

import math

import numpy as np

from quant_organism.backtest.account.limits import (
    DECAY,
    LEAST_DEVIATION,
    MS_PER_MINUTE,
    RAPID_MS,
    TAIL_SHARE,
)
from quant_organism.backtest.account.risk import CLOSED, DAYS_PER_YEAR, FLAT, HALF, HALF_OPEN, NO_ENTRIES
from quant_organism.backtest.account.rules import AccountRules
from quant_organism.backtest.account.walk_layout import (
    BASE,
    CALM_SINCE,
    CASH,
    CLOSE_EQUITY,
    CLOSE_TIME,
    DAY,
    DAYS,
    EASED_UNTIL,
    EQUITY,
    FLAT_SINCE,
    GAINS,
    GROWTH,
    HALVED,
    HALVED_UNTIL,
    LOSING_EXITS,
    MARGIN_IS_SHORT,
    MARK,
    ON_PROBATION,
    PAUSED_UNTIL,
    PEAK,
    POSITION,
    REARMED,
    RECENT,
    SCALE,
    SPENT,
    STOPPED,
    TAIL,
    TIME,
    Floats,
    Ints,
    WalkAssets,
    WalkState,
)
from quant_organism.backtest.account.walk_sums import maintenance_margin
from quant_organism.kernels.compiled import compiled
from quant_organism.market.schema import MS_PER_DAY, MS_PER_HOUR


@compiled
def equity_of(state: WalkState) -> int:
    """Return cash and positions at the last known prices."""
    total = int(state.money[CASH])
    for a in range(state.assets.shape[0]):
        total += int(state.assets[a, POSITION] * state.assets[a, MARK])
    return total


@compiled
def risk_at_close(time: int, virtual_return: float, assets: WalkAssets, rules: AccountRules, state: WalkState) -> None:
    """Do what `limits.at_close` does."""
    risk, floats, known = state.risk, state.risk_floats, state.assets
    if risk[TIME] == time:
        return
    equity, maintenance, flat = equity_of(state), 0.0, True
    for a in range(known.shape[0]):
        if known[a, POSITION] != 0:
            flat = False
            maintenance += maintenance_margin(assets, a, float(abs(known[a, POSITION]) * known[a, MARK]))
    begins = time // MS_PER_DAY > risk[TIME] // MS_PER_DAY
    if risk[TIME] < 0:
        risk[BASE] = equity
    else:
        floats[GROWTH] *= 1.0 + virtual_return
        if begins:
            base = equity if time % MS_PER_DAY == 0 else risk[EQUITY]
            if risk[BASE] > 0:
                _end_own_day(rules, base / risk[BASE] - 1.0, state)
            risk[BASE] = base
            _end_day(rules, risk, floats, state.daily)
    risk[TIME], risk[EQUITY], risk[PEAK] = time, equity, max(risk[PEAK], equity)
    _day_lost(rules, risk, begins)
    _lost_fast(rules, state)
    _drawn_down(rules, risk, flat)
    risk[MARGIN_IS_SHORT] = 1 if equity < rules.margin_multiple * maintenance else 0


@compiled
def _end_day(rules: AccountRules, risk: Ints, floats: Floats, daily: Floats) -> None:
    risk[DAYS] = _append(daily, risk[DAYS], floats[GROWTH] - 1.0)
    floats[GROWTH] = 1.0
    days = risk[DAYS]
    if days < rules.least_volatility_days:
        return
    total = 0.0
    for day in range(days):
        total += daily[day]
    mean, squares = total / days, 0.0
    for day in range(days):
        squares += (daily[day] - mean) * (daily[day] - mean)
    volatility = math.sqrt(squares / (days - 1)) * math.sqrt(DAYS_PER_YEAR)
    wanted = rules.target_volatility / volatility if volatility > 0.0 else floats[SCALE]
    if abs(wanted - floats[SCALE]) > rules.scale_band * floats[SCALE]:
        floats[SCALE] = wanted


@compiled
def _drawdown(risk: Ints) -> float:
    return 1.0 - risk[EQUITY] / risk[PEAK] if risk[PEAK] > 0 else 0.0


@compiled
def _drawn_down(rules: AccountRules, risk: Ints, flat: bool) -> None:
    rearm_ms = rules.rearm_days * MS_PER_DAY
    if risk[STOPPED] == 0 and _drawdown(risk) >= rules.flat_at:
        risk[STOPPED], risk[FLAT_SINCE], risk[REARMED] = 1, -1, 0
    if risk[STOPPED] != 0:
        if not flat:
            risk[FLAT_SINCE] = -1
        elif risk[FLAT_SINCE] < 0:
            risk[FLAT_SINCE] = risk[TIME]
        may_rearm = risk[REARMED] != 0 or not rules.person_rearms
        if risk[FLAT_SINCE] >= 0 and risk[TIME] - risk[FLAT_SINCE] >= rearm_ms and may_rearm:
            risk[STOPPED], risk[FLAT_SINCE], risk[PEAK] = 0, -1, risk[EQUITY]
            risk[ON_PROBATION], risk[CALM_SINCE] = 1, -1
    drawdown = _drawdown(risk)
    halved = drawdown >= rules.halve_at or (risk[HALVED] != 0 and drawdown >= rules.restore_below)
    risk[HALVED] = 1 if halved else 0
    if risk[ON_PROBATION] != 0:
        if drawdown >= rules.restore_below:
            risk[CALM_SINCE] = -1
        elif risk[CALM_SINCE] < 0:
            risk[CALM_SINCE] = risk[TIME]
        if risk[CALM_SINCE] >= 0 and risk[TIME] - risk[CALM_SINCE] >= rearm_ms:
            risk[ON_PROBATION], risk[CALM_SINCE] = 0, -1


@compiled
def _append(series: Floats, known: int, value: float) -> int:
    # A full series forgets its oldest value; returns how many are known.
    if known == series.size:
        series[:-1] = series[1:].copy()
        known -= 1
    series[known] = value
    return known + 1


@compiled
def _end_own_day(rules: AccountRules, gain: float, state: WalkState) -> None:
    state.risk[GAINS] = _append(state.gains, state.risk[GAINS], gain)
    days = state.risk[GAINS]
    state.risk_floats[TAIL] = _tail_loss(state.gains[:days]) if days >= rules.least_volatility_days else 0.0


@compiled
def _tail_loss(gains: Floats) -> float:
    squares = 0.0
    for gain in gains:
        squares += gain * gain
    usual = squares / gains.size
    if usual <= 0.0:
        return 0.0
    least, variance = LEAST_DEVIATION * LEAST_DEVIATION * usual, usual
    measured = np.empty(gains.size)
    for day, gain in enumerate(gains):
        measured[day] = gain / math.sqrt(max(variance, least))
        variance = DECAY * variance + (1.0 - DECAY) * gain * gain
    worst = np.sort(measured)[int(np.floor(TAIL_SHARE * gains.size))]
    return float(max(-worst * math.sqrt(max(variance, least)), 0.0))


@compiled
def _day_lost(rules: AccountRules, risk: Ints, begins: bool) -> None:
    if begins:
        risk[DAY] = HALF_OPEN if risk[DAY] == FLAT else CLOSED
    loss = 1.0 - risk[EQUITY] / risk[BASE] if risk[BASE] > 0 else 0.0
    if loss >= rules.day_flat_at:
        risk[DAY] = FLAT
    elif loss >= rules.day_no_entries_at and risk[DAY] != FLAT:
        risk[DAY] = NO_ENTRIES


@compiled
def _lost_fast(rules: AccountRules, state: WalkState) -> None:
    risk, recent = state.risk, state.recent
    time, equity, kept, highest = risk[TIME], risk[EQUITY], 0, risk[EQUITY]
    first = 1 if risk[RECENT] == recent.shape[0] and recent[0, CLOSE_TIME] >= time - RAPID_MS else 0
    for place in range(first, risk[RECENT]):
        if recent[place, CLOSE_TIME] >= time - RAPID_MS:
            recent[kept] = recent[place]
            highest = max(highest, recent[kept, CLOSE_EQUITY])
            kept += 1
    recent[kept, CLOSE_TIME], recent[kept, CLOSE_EQUITY] = time, equity
    risk[RECENT] = kept + 1
    fell = highest > 0 and 1.0 - equity / highest >= rules.rapid_loss
    exits = state.losing_exits
    failed = risk[LOSING_EXITS] == exits.size and exits[0] >= time - MS_PER_HOUR
    if not fell and not failed:
        return
    recent[0, CLOSE_TIME], recent[0, CLOSE_EQUITY] = time, equity
    risk[RECENT], risk[LOSING_EXITS] = 1, 0
    risk[PAUSED_UNTIL] = time + rules.pause_minutes * MS_PER_MINUTE
    risk[EASED_UNTIL] = risk[PAUSED_UNTIL] + rules.pause_minutes * MS_PER_MINUTE


@compiled
def risk_factor(rules: AccountRules, state: WalkState) -> float:
    """Return what `RiskState.factor` does."""
    risk, tail = state.risk, state.risk_floats[TAIL]
    factor = 0.5 if risk[HALVED] != 0 or risk[ON_PROBATION] != 0 else 1.0
    if risk[TIME] < risk[HALVED_UNTIL]:
        factor *= 0.5
    if risk[MARGIN_IS_SHORT] != 0:
        factor *= 0.5
    if tail > rules.tail_loss_at:
        factor *= rules.tail_loss_at / tail
    return 0.0 if risk[STOPPED] != 0 or risk[DAY] == FLAT else factor


@compiled
def risk_entry(rules: AccountRules, state: WalkState) -> float:
    """Return what `RiskState.entry` does."""
    risk = state.risk
    if risk[STOPPED] != 0 or _drawdown(risk) >= rules.no_entries_at or risk[DAY] == NO_ENTRIES or risk[DAY] == FLAT:
        return 0.0
    if risk[TIME] < risk[PAUSED_UNTIL] or state.risk_floats[TAIL] > rules.tail_loss_at:
        return 0.0
    return HALF if risk[DAY] == HALF_OPEN or risk[TIME] < risk[EASED_UNTIL] else 1.0


@compiled
def count_exit(a: int, time: int, lots: int, cost: int, state: WalkState) -> None:
    """Do what the door does with a fill's cost, before the position changes."""
    known, held = state.assets[a], state.assets[a, POSITION]
    if held * lots >= 0 or abs(lots) < abs(held):
        known[SPENT] += cost
        return
    closing = int(np.floor(cost * (abs(held) / abs(lots))))
    if known[SPENT] + closing > 0:
        exits, count = state.losing_exits, state.risk[LOSING_EXITS]
        if count == exits.size:
            exits[:-1] = exits[1:].copy()
            count -= 1
        exits[count] = time
        state.risk[LOSING_EXITS] = count + 1
    known[SPENT] = cost - closing
