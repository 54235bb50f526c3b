"""How the risk of an account moves over a close: its scale (A2, A3), drawdown and margin (A8, A9), and its breakers.

The loss of a day, losses that come fast, and the loss to be feared of the next day are decided here, from closes and
fills alone, so that backtest, replay, paper and live trading decide the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from quant_organism.backtest.account.risk import (
    CLOSED,
    FLAT,
    HALF_OPEN,
    NO_ENTRIES,
    RiskState,
    realised_volatility,
)
from quant_organism.backtest.account.rules import AccountRules
from quant_organism.market.schema import MS_PER_DAY, MS_PER_HOUR

MS_PER_MINUTE: Final = 60_000

RAPID_MS: Final = 15 * MS_PER_MINUTE
"""Span of closes over which the equity may not fall too far."""

MOST_RECENT: Final = 16
"""Closes of a quarter of an hour, both ends included, where bars are minutes."""

TAIL_SHARE: Final = 0.01
DECAY: Final = 0.94
"""Share of days that lose more than the tail, and what a day's square keeps of its weight at the next."""

LEAST_DEVIATION: Final = 0.5
"""Least that the filter takes a day's deviation for, over that of all days: a quiet week promises nothing."""


def at_close(
    before: RiskState,
    rules: AccountRules,
    *,
    time: int,
    equity: int,
    maintenance: float,
    flat: bool,
    virtual_return: float,
) -> RiskState:
    """Move the risk to a close; at one that it knows already, it stays as it was.

    Parameters
    ----------
    before
        At the close before.
    rules
        Limits.
    time, equity
        The close, and the equity at it.
    maintenance
        Maintenance margin of the positions held.
    flat
        Whether there are none.
    virtual_return
        Of the virtual book in the bar that closes here.
    """
    if time == before.time:
        return before
    sized = _sized(before, rules, time, equity, virtual_return)
    lost = _day_lost(sized, rules, begins=time // MS_PER_DAY > before.time // MS_PER_DAY)
    return _drawn_down(_lost_fast(lost, rules), rules, maintenance, flat)


def _sized(before: RiskState, rules: AccountRules, time: int, equity: int, virtual_return: float) -> RiskState:
    # A2 and A3. The equity of a bar that ends at 00:00 is the last of its day.
    if before.time < 0:
        return replace(before, time=time, equity=equity, base=equity, peak=max(before.peak, equity))
    growth, daily, base, scale = before.growth * (1.0 + virtual_return), before.daily, before.base, before.scale
    gains, tail = before.gains, before.tail
    if time // MS_PER_DAY > before.time // MS_PER_DAY:
        daily = (*daily, growth - 1.0)[-rules.volatility_days :]
        growth = 1.0
        base = equity if time % MS_PER_DAY == 0 else before.equity
        if before.base > 0:
            gains = (*gains, base / before.base - 1.0)[-rules.volatility_days :]
            tail = tail_loss(gains) if len(gains) >= rules.least_volatility_days else 0.0
        if len(daily) >= rules.least_volatility_days:
            volatility = realised_volatility(daily)
            wanted = rules.target_volatility / volatility if volatility > 0.0 else scale
            if abs(wanted - scale) > rules.scale_band * scale:
                scale = wanted
    return replace(
        before,
        time=time,
        equity=equity,
        base=base,
        scale=scale,
        growth=growth,
        daily=daily,
        gains=gains,
        tail=tail,
        peak=max(before.peak, equity),
    )


def _drawn_down(risk: RiskState, rules: AccountRules, maintenance: float, flat: bool) -> RiskState:
    # A8 and A9.
    stopped, flat_since, peak, rearmed = risk.stopped, risk.flat_since, risk.peak, risk.rearmed
    on_probation, calm_since, rearm_ms = risk.on_probation, risk.calm_since, rules.rearm_days * MS_PER_DAY
    if not stopped and risk.drawdown >= rules.flat_at:
        stopped, flat_since, rearmed = True, -1, False
    if stopped:
        flat_since = -1 if not flat else flat_since if flat_since >= 0 else risk.time
        if flat_since >= 0 and risk.time - flat_since >= rearm_ms and (rearmed or not rules.person_rearms):
            stopped, flat_since, peak, on_probation, calm_since = False, -1, risk.equity, True, -1
    drawdown = 1.0 - risk.equity / peak if peak > 0 else 0.0
    halved = drawdown >= rules.halve_at or (risk.halved and drawdown >= rules.restore_below)
    if on_probation:
        calm_since = -1 if drawdown >= rules.restore_below else calm_since if calm_since >= 0 else risk.time
        if calm_since >= 0 and risk.time - calm_since >= rearm_ms:
            on_probation, calm_since = False, -1
    return _changed(
        risk,
        peak=peak,
        halved=halved,
        stopped=stopped,
        flat_since=flat_since,
        on_probation=on_probation,
        calm_since=calm_since,
        rearmed=rearmed,
        margin_is_short=risk.equity < rules.margin_multiple * maintenance,
    )


def _changed(risk: RiskState, **fields: Any) -> RiskState:
    # The same where nothing is: at most closes little is, and to make another takes longer than to look.
    own = vars(risk)
    return replace(risk, **fields) if any(own[name] != value for name, value in fields.items()) else risk


def exit_noted(risk: RiskState, rules: AccountRules, time: int) -> RiskState:
    """Return the risk after a fill that ended a position at a loss."""
    return replace(risk, losing_exits=(*risk.losing_exits, time)[-rules.rapid_exits :])


def tail_loss(gains: Sequence[float]) -> float:
    """Return the loss of a day that one in a hundred exceeds, by filtered historical simulation; 0 where none is.

    Each return is measured in the deviation foreseen for its day, an exponentially weighted one that begins with that
    of all days; the worst hundredth of these, at least one, times the deviation foreseen for the next day.

    Parameters
    ----------
    gains
        Daily returns, the latest last; at least one.
    """
    squares = 0.0
    for gain in gains:
        squares += gain * gain
    usual = squares / len(gains)
    if usual <= 0.0:
        return 0.0
    least, variance = LEAST_DEVIATION * LEAST_DEVIATION * usual, usual
    measured = []
    for gain in gains:
        measured.append(gain / math.sqrt(max(variance, least)))
        variance = DECAY * variance + (1.0 - DECAY) * gain * gain
    worst = sorted(measured)[math.floor(TAIL_SHARE * len(gains))]
    return max(-worst * math.sqrt(max(variance, least)), 0.0)


def _day_lost(risk: RiskState, rules: AccountRules, *, begins: bool) -> RiskState:
    # Closed until midnight; after everything was closed, the next day begins half-open.
    day = (HALF_OPEN if risk.day == FLAT else CLOSED) if begins else risk.day
    loss = 1.0 - risk.equity / risk.base if risk.base > 0 else 0.0
    if loss >= rules.day_flat_at:
        day = FLAT
    elif loss >= rules.day_no_entries_at and day != FLAT:
        day = NO_ENTRIES
    return _changed(risk, day=day)


def _lost_fast(risk: RiskState, rules: AccountRules) -> RiskState:
    recent = tuple((time, equity) for time, equity in risk.recent if time >= risk.time - RAPID_MS)
    recent = (*recent, (risk.time, risk.equity))[-MOST_RECENT:]
    highest = max(equity for _, equity in recent)
    fell = highest > 0 and 1.0 - risk.equity / highest >= rules.rapid_loss
    exits = risk.losing_exits
    failed = len(exits) == rules.rapid_exits and exits[0] >= risk.time - MS_PER_HOUR
    if not fell and not failed:
        return replace(risk, recent=recent)
    paused_until = risk.time + rules.pause_minutes * MS_PER_MINUTE
    eased_until = paused_until + rules.pause_minutes * MS_PER_MINUTE
    return replace(
        risk,
        recent=((risk.time, risk.equity),),
        losing_exits=(),
        paused_until=paused_until,
        eased_until=eased_until,
    )
