"""Decides which fault strikes when, and writes down that it did.

Each fault has its own generator, spawned from the plan's seed: which of them strike is a function of the plan and of
the order of what happens, not of each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from quant_organism.simulator.faults.plan import Fault, FaultPlan, Stage


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a fault is matched against; none: it has no such thing."""

    endpoint: str | None = None
    action: str | None = None
    coins: frozenset[str] = frozenset()
    user: str | None = None
    channel: str | None = None

    def fit(self, fault: Fault) -> bool:
        """Say whether a fault selects these."""
        return (
            fault.endpoint in (None, self.endpoint)
            and fault.action in (None, self.action)
            and (fault.coin is None or fault.coin in self.coins)
            and fault.user in (None, self.user)
            and fault.channel in (None, self.channel)
        )

    def form(self) -> dict[str, Any]:
        """Return what is known, for the log."""
        found = {
            "endpoint": self.endpoint,
            "action": self.action,
            "coins": sorted(self.coins) or None,
            "user": self.user,
            "channel": self.channel,
        }
        return {key: value for key, value in found.items() if value is not None}


@dataclass(slots=True)
class _Armed:
    number: int
    fault: Fault
    start_ms: int
    rng: np.random.Generator
    matches: int = 0
    strikes: int = 0
    lasts: bool = False

    def is_open(self, now_ms: int) -> bool:
        begun = now_ms >= self.start_ms
        ended = self.fault.duration_ms is not None and now_ms >= self.start_ms + self.fault.duration_ms
        spent = self.fault.count is not None and self.strikes >= self.fault.count
        return begun and not ended and not spent


class FaultInjector:
    """Faults that can strike, and those that have.

    Parameters
    ----------
    plan
        Which.
    now
        Time of the venue in ms.
    """

    def __init__(self, plan: FaultPlan, now: Callable[[], int]) -> None:
        self._now = now
        self._seeds = np.random.SeedSequence(plan.seed)
        self._armed: list[_Armed] = []
        self.log: list[dict[str, Any]] = []
        """One entry for each strike: number and kind of the fault, time, and what it struck."""
        for fault in plan.faults:
            self.add(fault)

    def add(self, fault: Fault) -> int:
        """Arm a fault; return its number."""
        (seed,) = self._seeds.spawn(1)
        start = self._now() + fault.after_ms
        self._armed.append(_Armed(len(self._armed), fault, start, np.random.default_rng(seed)))
        return len(self._armed) - 1

    def clear(self) -> None:
        """Disarm all faults; what lasts ends when it is next looked at."""
        for armed in self._armed:
            armed.strikes = armed.fault.count or 1
            armed.start_ms = 1 << 62

    def strike(self, stage: Stage, circumstances: Circumstances) -> list[Fault]:
        """Return the faults that strike at this moment, in the order of the plan."""
        found, now = [], self._now()
        for armed in self._armed:
            if armed.fault.stage != stage or not armed.is_open(now) or not circumstances.fit(armed.fault):
                continue
            armed.matches += 1
            if armed.matches < armed.fault.nth or armed.rng.random() >= armed.fault.probability:
                continue
            armed.strikes += 1
            self._write(armed, circumstances.form())
            found.append(armed.fault)
        return found

    def draw(self, fault: Fault) -> float:
        """Return a number from 0 to 1 of a fault's own generator."""
        armed = next(armed for armed in self._armed if armed.fault is fault)
        return float(armed.rng.random())

    def turn(self) -> tuple[list[Fault], list[Fault]]:
        """Return the faults of the venue that begin now, and those that end."""
        begun, ended, now = [], [], self._now()
        for armed in self._armed:
            if armed.fault.stage != "venue":
                continue
            until = None if armed.fault.duration_ms is None else armed.start_ms + armed.fault.duration_ms
            active = now >= armed.start_ms and (until is None or now < until)
            if active and armed.strikes == 0:
                armed.strikes = 1
                armed.lasts = True
                self._write(armed, {})
                begun.append(armed.fault)
            elif armed.lasts and not active:
                armed.lasts = False
                ended.append(armed.fault)
        return begun, ended

    def withdraw(self, fault: Fault, reason: str) -> None:
        """Note that a fault of the venue could not begin, and why."""
        for armed in self._armed:
            if armed.fault is fault:
                armed.lasts = False
                self._write(armed, {"error": reason})

    def next_turn_ms(self) -> int | None:
        """Return when the next fault of the venue begins or ends, or None where none does."""
        now, times = self._now(), []
        for armed in self._armed:
            if armed.fault.stage == "venue":
                times += [armed.start_ms]
                times += [] if armed.fault.duration_ms is None else [armed.start_ms + armed.fault.duration_ms]
        return min((time for time in times if now < time < 1 << 61), default=None)

    def has(self, kind: str) -> bool:
        """Say whether a kind of fault is armed at all."""
        return any(armed.fault.kind == kind for armed in self._armed)

    def lasting(self, kind: str) -> list[Fault]:
        """Return the faults of the venue of a kind that last."""
        return [armed.fault for armed in self._armed if armed.lasts and armed.fault.kind == kind]

    def _write(self, armed: _Armed, where: dict[str, Any]) -> None:
        self.log.append({"fault": armed.number, "kind": armed.fault.kind, "time": self._now(), **where})
