"""A breaker: closed while all is well, open once tripped, half-open on trial; what is held back in each.

It moves by numbers that are handed in, at times that are handed in, so that a record of both replays it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from quant_organism.backtest.account.risk import Restraint
from quant_organism.errors import InputError

Phase = Literal["closed", "open", "half-open"]

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
        """Return the rule with another bound, as evolution may want one: never a looser one than this.

        Raises
        ------
        InputError
            The bound is no number, and nothing would ever reach it.
        """
        if bound != bound:
            raise InputError("a bound that is no number", where=f"breaker {self.name}", remedy="give a number")
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
