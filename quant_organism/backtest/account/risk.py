"""How much the account risks: the scale of its virtual book (A2, A3) and what a drawdown takes away (A8, A9).

`RiskState` is what is known between two closes, `at_close` moves it over one. Times are closes, UTC milliseconds; money
is in micro-USD.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from quant_organism.backtest.account.rules import AccountRules
from quant_organism.market.schema import MS_PER_DAY

DAYS_PER_YEAR: Final = 365


@dataclass(frozen=True)
class RiskState:
    """The risk of an account at a close.

    Parameters
    ----------
    time
        The close, -1 before the first.
    equity
        At this close; caps are measured against it.
    base
        Equity that positions are sized on, fixed for the UTC day (B).
    scale
        Risk scale of the virtual book (k).
    growth
        What the virtual book has grown by since 00:00 UTC.
    daily
        Daily returns of the virtual book, the latest last, no more than count.
    peak
        Highest equity at a close.
    halved
        Whether the drawdown keeps the size at half.
    stopped
        Whether the drawdown has closed everything.
    flat_since
        First close without a position since then, -1 before.
    on_probation, calm_since
        Whether the account trades at half size after it was stopped, and since when the drawdown has been small, -1
        where it is not.
    rearmed
        Whether a person has said that it may trade again.
    halved_until
        Close until which a liquidation keeps everything at half.
    margin_is_short
        Whether equity was too near to the maintenance margin at this close.
    """

    time: int = -1
    equity: int = 0
    base: int = 0
    scale: float = 0.0
    growth: float = 1.0
    daily: tuple[float, ...] = ()
    peak: int = 0
    halved: bool = False
    stopped: bool = False
    flat_since: int = -1
    on_probation: bool = False
    calm_since: int = -1
    rearmed: bool = False
    halved_until: int = -1
    margin_is_short: bool = False

    @property
    def drawdown(self) -> float:
        """Loss from the peak, as a fraction of it."""
        return 1.0 - self.equity / self.peak if self.peak > 0 else 0.0

    @property
    def factor(self) -> float:
        """What every target is multiplied with (A8, A9)."""
        factor = 0.5 if self.halved or self.on_probation else 1.0
        if self.time < self.halved_until:
            factor *= 0.5
        if self.margin_is_short:
            factor *= 0.5
        return 0.0 if self.stopped else factor

    def may_enter(self, rules: AccountRules) -> bool:
        """Say whether positions may grow."""
        return not self.stopped and self.drawdown < rules.no_entries_at

    @classmethod
    def seeded(cls, daily: Sequence[float], rules: AccountRules) -> RiskState:
        """Return the risk of an account whose virtual book has traded before it opens.

        Parameters
        ----------
        daily
            Daily returns of the virtual book up to the first close, the latest last: those of the documents' backtest.
        rules
            Say how many count, and how few do not yet give a scale.
        """
        kept = tuple(float(gain) for gain in daily)[-rules.volatility_days :]
        volatility = realised_volatility(kept) if len(kept) >= rules.least_volatility_days else 0.0
        return cls(daily=kept, scale=rules.target_volatility / volatility if volatility > 0.0 else 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values."""
        return {**vars(self), "daily": list(self.daily)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> RiskState:
        """Read what `to_dict` returned, also after it was JSON."""
        return cls(**{**fields, "daily": tuple(fields["daily"])})


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
    return _drawn_down(_sized(before, rules, time, equity, virtual_return), rules, maintenance, flat)


def realised_volatility(daily: Sequence[float]) -> float:
    """Return the volatility a year of daily returns, summed in their order."""
    total = 0.0
    for gain in daily:
        total += gain
    mean, squares = total / len(daily), 0.0
    for gain in daily:
        squares += (gain - mean) * (gain - mean)
    return math.sqrt(squares / (len(daily) - 1)) * math.sqrt(DAYS_PER_YEAR)


def _sized(before: RiskState, rules: AccountRules, time: int, equity: int, virtual_return: float) -> RiskState:
    # A2 and A3. The equity of a bar that ends at 00:00 is the last of its day.
    if before.time < 0:
        return replace(before, time=time, equity=equity, base=equity, peak=max(before.peak, equity))
    growth, daily, base, scale = before.growth * (1.0 + virtual_return), before.daily, before.base, before.scale
    if time // MS_PER_DAY > before.time // MS_PER_DAY:
        daily = (*daily, growth - 1.0)[-rules.volatility_days :]
        growth = 1.0
        base = equity if time % MS_PER_DAY == 0 else before.equity
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
    return replace(
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
