"""Breakers: closed while all is well, open once tripped, half-open on trial; what is held back in each.

A breaker moves by numbers that are handed in, at times that are handed in, so that a record of both replays it. What
closes and fills alone decide is part of the account's plan (`backtest.account`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from quant_organism.backtest.account import Restraint

Phase = Literal["closed", "open", "half-open"]

_MINUTE: Final = 60_000
_HALF_ENTRY: Final = Restraint(entry=0.5)
_NO_ENTRY: Final = Restraint(entry=0.0)


@dataclass(frozen=True, kw_only=True)
class BreakerRule:
    """When a breaker trips, what it does, and how it recovers.

    Parameters
    ----------
    name
        As people call it.
    unit
        Of its number.
    bound
        Trips where the number is so large or larger.
    release
        A trial begins where it is smaller than this, and ends where it is not.
    trial_ms
        How long the number must stay there until all is well again.
    checks
        So many in a row must be beyond the bound.
    restraint, trial
        What is held back while it is open, and while it is half-open.
    """

    name: str
    unit: str
    bound: float
    release: float
    trial_ms: int
    checks: int = 1
    restraint: Restraint = _NO_ENTRY
    trial: Restraint = _HALF_ENTRY

    def tightened(self, *, bound: float) -> BreakerRule:
        """Return the rule with another bound, as evolution may want one: never a looser one than this."""
        tighter = min(bound, self.bound)
        return replace(self, bound=tighter, release=min(self.release, tighter))


@dataclass(frozen=True)
class BreakerState:
    """Where a breaker stands.

    Parameters
    ----------
    phase
        Closed, open or half-open.
    since_ms
        Since when, UTC milliseconds; -1 from the beginning.
    beyond
        Checks in a row that were beyond the bound.
    value
        Its last number; none where it was unknown.
    """

    phase: Phase = "closed"
    since_ms: int = -1
    beyond: int = 0
    value: float | None = None

    def after(self, rule: BreakerRule, value: float | None, time_ms: int) -> BreakerState:
        """Return where it stands after a check; an unknown number trips nothing and ends no trial.

        Parameters
        ----------
        rule
            Of the breaker.
        value
            Its number, none where it is unknown.
        time_ms
            When, UTC milliseconds.
        """
        beyond = self.beyond + 1 if value is not None and value >= rule.bound else 0
        phase: Phase = self.phase
        if self.phase == "closed":
            phase = "open" if beyond >= rule.checks else "closed"
        elif self.phase == "open":
            phase = "half-open" if value is not None and value < rule.release else "open"
        elif value is not None and value >= rule.release:
            phase = "open"
        elif value is not None and time_ms - self.since_ms >= rule.trial_ms:
            phase = "closed"
        if phase == self.phase:
            return replace(self, beyond=beyond, value=value)
        return BreakerState(phase, time_ms, beyond, value)

    def restraint(self, rule: BreakerRule) -> Restraint:
        """Return what it holds back."""
        return {"closed": Restraint(), "open": rule.restraint, "half-open": rule.trial}[self.phase]

    def to_dict(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> BreakerState:
        """Return what `to_dict` wrote."""
        return cls(**fields)


STALE_DATA: Final = BreakerRule(name="stale data", unit="bars", bound=2.0, release=1.0, trial_ms=_MINUTE)
CLOCK_SKEW: Final = BreakerRule(name="clock skew", unit="s", bound=1.0, release=0.5, trial_ms=10 * _MINUTE)
REJECTIONS: Final = BreakerRule(
    name="order rejections", unit="of the last 50 orders", bound=0.2, release=0.1, trial_ms=60 * _MINUTE
)
LIQUIDATION: Final = BreakerRule(
    name="liquidation distance",
    unit="of the entry's distance that is lost",
    bound=0.75,
    release=0.5,
    trial_ms=60 * _MINUTE,
    restraint=Restraint(0.5, 0.5, 0.0),
)
LINES: Final = BreakerRule(
    name="feed or venue", unit="lines that do not answer", bound=1.0, release=1.0, trial_ms=_MINUTE
)
GREED: Final = BreakerRule(
    name="greed",
    unit="Fear & Greed index",
    bound=90.0,
    release=85.0,
    trial_ms=24 * 60 * _MINUTE,
    restraint=Restraint(long=0.5),
    trial=Restraint(long=0.5),
)
FEAR: Final = BreakerRule(
    name="fear",
    unit="100 less the Fear & Greed index",
    bound=90.0,
    release=85.0,
    trial_ms=24 * 60 * _MINUTE,
    restraint=Restraint(short=0.5),
    trial=Restraint(short=0.5),
)

GUARD_RULES: Final = (STALE_DATA, CLOCK_SKEW, REJECTIONS, LIQUIDATION, LINES, GREED, FEAR)
"""Ceilings: what evolves may only be tighter."""
