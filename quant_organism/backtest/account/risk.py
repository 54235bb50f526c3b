"""What is known of an account's risk between two closes, and what keeps its positions small from outside.

`limits.at_close` moves a `RiskState` over a close. Times are closes, UTC milliseconds; money is in micro-USD.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from quant_organism.backtest.account.rules import AccountRules

DAYS_PER_YEAR: Final = 365

CLOSED, NO_ENTRIES, FLAT, HALF_OPEN = range(4)
"""What the loss of a day allows: everything, nothing that grows, nothing at all, and the day after that half."""

_SERIES: Final = ("daily", "losing_exits", "recent", "gains")

HALF: Final = 0.5
"""Share of its target that a position may grow to while a breaker is half-open."""


class Restraint(NamedTuple):
    """What is held against an account's targets from outside at a close; nothing, as a default.

    It only shrinks. What follows from bars (a storm in the market) and what is recorded while trading (a slow venue,
    the mood, a person) come the same way, so that a replay of the record plans the same orders.

    Parameters
    ----------
    long, short
        Factors of long and of short targets, in [0, 1].
    entry
        Share of its target that a position may grow to, in [0, 1]; what is held already may stay.
    """

    long: float = 1.0
    short: float = 1.0
    entry: float = 1.0

    def also(self, other: Restraint) -> Restraint:
        """Return both at once: sizes multiply, entry is that of the tighter one."""
        return Restraint(self.long * other.long, self.short * other.short, min(self.entry, other.entry))


def tightest(restraints: Sequence[Restraint]) -> Restraint:
    """Return what is held back where each of several markets holds something back: of each figure the least."""
    return Restraint(*(min(each) for each in zip(*restraints, strict=True))) if restraints else Restraint()


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
    day
        What the loss since 00:00 UTC allows: CLOSED, NO_ENTRIES, FLAT, or HALF_OPEN on the day after FLAT.
    paused_until, eased_until
        Close until which rapid losses let nothing grow, and until which it then grows to half.
    losing_exits
        Times of the latest fills that ended a position at a loss, since rapid losses last tripped.
    recent
        (close, equity) of the last quarter of an hour, this close included.
    gains
        Daily returns of the account, the latest last, no more than count.
    tail
        Loss of a day that one in a hundred exceeds, over equity, as foreseen at 00:00 UTC; 0 while it is unknown.
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
    day: int = CLOSED
    paused_until: int = -1
    eased_until: int = -1
    losing_exits: tuple[int, ...] = ()
    recent: tuple[tuple[int, int], ...] = ()
    gains: tuple[float, ...] = ()
    tail: float = 0.0

    @property
    def drawdown(self) -> float:
        """Loss from the peak, as a fraction of it."""
        return 1.0 - self.equity / self.peak if self.peak > 0 else 0.0

    def factor(self, rules: AccountRules) -> float:
        """What every target is multiplied with (A8, A9, and the breakers that close everything or scale it)."""
        factor = 0.5 if self.halved or self.on_probation else 1.0
        if self.time < self.halved_until:
            factor *= 0.5
        if self.margin_is_short:
            factor *= 0.5
        if self.tail > rules.tail_loss_at:
            factor *= rules.tail_loss_at / self.tail
        return 0.0 if self.stopped or self.day == FLAT else factor

    def entry(self, rules: AccountRules) -> float:
        """Return the share of its target that a position may grow to: 1, half while a breaker is half-open, or 0."""
        drawn_down = self.stopped or self.drawdown >= rules.no_entries_at
        if drawn_down or self.day in (NO_ENTRIES, FLAT) or self.time < self.paused_until:
            return 0.0
        if self.tail > rules.tail_loss_at:
            return 0.0
        return HALF if self.day == HALF_OPEN or self.time < self.eased_until else 1.0

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
        return {**vars(self), **{name: list(getattr(self, name)) for name in _SERIES}}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> RiskState:
        """Read what `to_dict` returned, also after it was JSON."""
        series = {name: tuple(fields[name]) for name in _SERIES}
        return cls(**{**fields, **series, "recent": tuple((time, equity) for time, equity in series["recent"])})


def realised_volatility(daily: Sequence[float]) -> float:
    """Return the volatility a year of daily returns, summed in their order."""
    total = 0.0
    for gain in daily:
        total += gain
    mean, squares = total / len(daily), 0.0
    for gain in daily:
        squares += (gain - mean) * (gain - mean)
    return math.sqrt(squares / (len(daily) - 1)) * math.sqrt(DAYS_PER_YEAR)
