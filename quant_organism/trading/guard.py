"""The risk guard and the governor: steps that hold back what neither bars nor fills tell the account's plan.

Each close the guard takes readings (how old the data are, how far the clock is off, what the venue refused) and moves
its breakers by them; a replay is handed the readings that were recorded. The governor speaks last: under a kill flag
nothing is entered, whatever all others say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from quant_organism.backtest.account import (
    MARKET_CORRELATION,
    MARKET_VOLATILITY,
    BreakerRule,
    BreakerState,
    Restraint,
    cross_liquidation,
)
from quant_organism.errors import InputError
from quant_organism.trading.breakers import (
    CLOCK_SKEW,
    FEAR,
    GREED,
    GUARD_RULES,
    LINES,
    LIQUIDATION,
    REJECTIONS,
    STALE_DATA,
)
from quant_organism.trading.kill import KillFlag
from quant_organism.trading.pipeline import Allowance, CloseStanding
from quant_organism.trading.records import LedgerBreaker, LedgerReading, StepVerdict

WATCHED_ORDERS = 50
"""So many of the last orders count for the share of refusals."""

_PHASES = ("closed", "half-open", "open")


@dataclass(frozen=True)
class Readings:
    """What is read at a close beside bars and fills; none where it is unknown.

    Parameters
    ----------
    data_age_bars
        How old the newest bar is, in bars.
    clock_skew_s
        By how many seconds this machine's clock and the venue's differ.
    rejected
        Share of the last `WATCHED_ORDERS` orders that the venue refused; unknown before there were so many.
    silent_lines
        Feeds and venues that do not answer.
    fear_greed
        Index of the mood, 0 to 100.
    """

    data_age_bars: float | None = None
    clock_skew_s: float | None = None
    rejected: float | None = None
    silent_lines: int = 0
    fear_greed: float | None = None


class ReadingSource(Protocol):
    """Where readings come from: instruments while trading, the record in a replay."""

    def __call__(self, standing: CloseStanding, /) -> Readings:
        """Return the readings of a close."""
        ...


def no_readings(standing: CloseStanding, /) -> Readings:
    """Return that nothing is known."""
    return Readings()


def bar_readings(fear_greed: Callable[[int], float | None]) -> ReadingSource:
    """Return the readings of bars that are handed in, where there is no venue: their age, and the index of the mood.

    Parameters
    ----------
    fear_greed
        Returns the index known at a close, none where there is none.
    """

    def read(standing: CloseStanding, /) -> Readings:
        return Readings(
            data_age_bars=max(standing.received_ms - standing.close.time, 0) / standing.interval_ms,
            fear_greed=fear_greed(standing.close.time),
        )

    return read


def liquidation_used(standing: CloseStanding) -> float | None:
    """Return the largest part of a position's distance to liquidation that is used up; none without a position.

    The distance is that from what the position has cost, per lot, to where a move of this asset alone would liquidate
    the account: 0 where the price stands at the cost or better, 1 at liquidation.
    """
    account, used = standing.account, None
    for symbol, lots in sorted(account.positions.items()):
        level, mark = cross_liquidation(account, symbol), float(account.marks[symbol])
        cost = account.spent.get(symbol, 0) / lots
        if not 0.0 < level < float("inf") or cost <= 0.0 or (cost - level) * lots <= 0.0:
            continue
        part = min(max((cost - mark) / (cost - level), 0.0), 1.0)
        used = part if used is None else max(used, part)
    return used


@dataclass
class RiskGuard:
    """Moves the breakers by the readings of each close.

    Parameters
    ----------
    readings
        Where they come from.
    rules
        Of the breakers; each at most as loose as its ceiling.
    states
        Where each stands, by name; of the weather, which came with the bars, where the worst of the markets stands.

    Raises
    ------
    InputError
        A rule is looser than its ceiling, or not one of the guard's.
    """

    readings: ReadingSource
    rules: Sequence[BreakerRule] = GUARD_RULES
    states: dict[str, BreakerState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ceilings = {rule.name: rule for rule in GUARD_RULES}
        for rule in self.rules:
            ceiling = ceilings.get(rule.name)
            if ceiling is None or rule != ceiling.tightened(bound=rule.bound):
                raise InputError(
                    f"the breaker {rule.name!r} is looser than its ceiling, or has none",
                    where="risk guard",
                    remedy="make it with BreakerRule.tightened",
                )
        if {rule.name for rule in self.rules} != ceilings.keys():
            raise InputError("a breaker is left out", where="risk guard", remedy="hand in all of GUARD_RULES")

    @property
    def name(self) -> str:
        """The step's place."""
        return "risk guard"

    def judge(self, standing: CloseStanding, left: Allowance) -> Allowance:
        """Hold back what open and half-open breakers do, and say so."""
        read, time = self.readings(standing), standing.close.time
        numbers = self._numbers(read, standing)
        restraint, verdicts, events = left.restraint, self._of_weather(standing), self._weather_moves(standing)
        for rule in self.rules:
            before = self.states.get(rule.name, BreakerState())
            after = before.after(rule, numbers[rule.name], time)
            self.states[rule.name] = after
            restraint = restraint.also(after.restraint(rule))
            if after.phase != "closed":
                verdicts.append(
                    StepVerdict(
                        session=standing.session,
                        close_ms=time,
                        decision_id="",
                        step=self.name,
                        subject=standing.account.account,
                        passes=False,
                        number=after.value,
                        bound=rule.bound,
                        reason=f"{rule.name} is {after.phase}",
                    )
                )
            if after.phase != before.phase:
                events.append(_move(rule, after, standing))
        return replace(
            left,
            restraint=restraint,
            verdicts=(*left.verdicts, *verdicts),
            breakers=(*left.breakers, *events),
            readings=(*left.readings, _noted(read, standing)),
        )

    def state(self) -> Mapping[str, Any]:
        """Return where each breaker stands."""
        return {name: state.to_dict() for name, state in sorted(self.states.items())}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        self.states = {name: BreakerState.from_dict(fields) for name, fields in state.items()}

    def _of_weather(self, standing: CloseStanding) -> list[StepVerdict]:
        # What the bars alone hold back came with the close; it is said here, where people look for it.
        return [
            StepVerdict(
                session=standing.session,
                close_ms=standing.close.time,
                decision_id="",
                step=self.name,
                subject=name,
                passes=False,
                number=state.value,
                bound=rule.bound,
                reason=f"{rule.name} is {state.phase}",
            )
            for name, weather in sorted(standing.weather.items())
            for rule, state in (
                (MARKET_VOLATILITY, weather.volatility),
                (MARKET_CORRELATION, weather.correlation),
            )
            if state.phase != "closed"
        ]

    def _weather_moves(self, standing: CloseStanding) -> list[LedgerBreaker]:
        moves: list[LedgerBreaker] = []
        looks = [weather for _, weather in sorted(standing.weather.items())]
        for rule, states in (
            (MARKET_VOLATILITY, [weather.volatility for weather in looks]),
            (MARKET_CORRELATION, [weather.correlation for weather in looks]),
        ):
            before = self.states.get(rule.name, BreakerState())
            worst = max(states, key=lambda state: _PHASES.index(state.phase), default=BreakerState())
            if worst.phase != before.phase:
                moves.append(_move(rule, worst, standing))
                self.states[rule.name] = worst
        return moves

    def _numbers(self, read: Readings, standing: CloseStanding) -> dict[str, float | None]:
        mood = read.fear_greed
        return {
            STALE_DATA.name: read.data_age_bars,
            CLOCK_SKEW.name: None if read.clock_skew_s is None else abs(read.clock_skew_s),
            REJECTIONS.name: read.rejected,
            LIQUIDATION.name: liquidation_used(standing) or 0.0,
            LINES.name: float(read.silent_lines),
            # Without an index there is no extreme of it.
            GREED.name: 0.0 if mood is None else mood,
            FEAR.name: 0.0 if mood is None else 100.0 - mood,
        }


@dataclass
class Governor:
    """The last step: nothing is entered under a kill flag.

    Parameters
    ----------
    killed
        Returns the flag, or none.
    stops
        Leaves a flag where the account's drawdown has closed everything, once for each time, and returns why it could
        not: whoever trades money waits for a person's word beside the days that the account stays flat (A8). None: the
        days are enough.
    has_stopped
        Whether it has left one since then.
    """

    killed: Callable[[], KillFlag | None]
    stops: Callable[[KillFlag], str] | None = None
    has_stopped: bool = False

    @property
    def name(self) -> str:
        """The step's place."""
        return "governor"

    def judge(self, standing: CloseStanding, left: Allowance) -> Allowance:
        """Hold back everything that would grow, and bring targets to nothing, while the flag is there."""
        if self.stops is not None:
            self._ask_a_person(standing, self.stops)
        flag = self.killed()
        if flag is None:
            return left
        verdict = StepVerdict(
            session=standing.session,
            close_ms=standing.close.time,
            decision_id="",
            step=self.name,
            subject=standing.account.account,
            passes=False,
            number=None,
            bound=None,
            reason=f"killed: {flag.reason}",
        )
        return replace(left, restraint=Restraint(0.0, 0.0, 0.0), verdicts=(*left.verdicts, verdict))

    def _ask_a_person(self, standing: CloseStanding, stops: Callable[[KillFlag], str]) -> None:
        risk = standing.account.risk
        if not risk.stopped:
            self.has_stopped = False
        elif not self.has_stopped:
            reason = f"{risk.drawdown:.1%} below its highest equity, everything is closed"
            self.has_stopped = not stops(KillFlag(standing.close.time, standing.account.account, reason))

    def state(self) -> Mapping[str, Any]:
        """Return whether it has left a flag; the flag itself is looked at anew."""
        return {"has_stopped": True} if self.has_stopped else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        self.has_stopped = state.get("has_stopped", False)


def _move(rule: BreakerRule, state: BreakerState, standing: CloseStanding) -> LedgerBreaker:
    return LedgerBreaker(
        session=standing.session,
        close_ms=standing.close.time,
        name=rule.name,
        state=state.phase,
        value=state.value,
        bound=rule.release if state.phase == "half-open" else rule.bound,
        reason=f"{_shown(state.value)} {rule.unit}",
    )


def _noted(read: Readings, standing: CloseStanding) -> LedgerReading:
    looks = [weather.reading for _, weather in sorted(standing.weather.items())]
    closest = max(looks, key=lambda look: -1.0 if look.correlation is None else look.correlation, default=None)
    return LedgerReading(
        session=standing.session,
        close_ms=standing.close.time,
        account=standing.account.account,
        data_age_bars=read.data_age_bars,
        clock_skew_s=read.clock_skew_s,
        rejected=read.rejected,
        silent_lines=read.silent_lines,
        fear_greed=read.fear_greed,
        liquidation_used=liquidation_used(standing),
        volatility=max((look.volatility for look in looks if look.volatility is not None), default=None),
        correlation=None if closest is None else closest.correlation,
        usual_correlation=None if closest is None else closest.usual_correlation,
    )


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"
