"""The rates of an audit: false discoveries, power, worth, what each gate does, and the alarms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import numpy as np
from scipy.special import bdtrc, ndtr, ndtri

from quant_organism.audit.edges import Strength
from quant_organism.audit.outcome import GateOutcome, Outcome
from quant_organism.errors import InputError
from quant_organism.validation import wilson_interval

MOST_FALSE: Final = 0.05
"""Largest share of worlds without an edge on which anything may go beyond the shadow pool."""

LEAST_POWER: Final = 0.60
"""Least share of worlds with a strong edge on which a strategy of the right family does."""

LEAST_WORTH: Final = 0.70
"""Least median of what the accepted earn later, as a share of the oracle's Sharpe ratio."""

FEWEST_NULLS: Final = 200
"""Worlds without an edge below which nothing is said of the first goal."""

FEWEST_STRONG: Final = 30
"""Worlds with a strong edge below which nothing is said of the other two."""

ALARM_LEVEL: Final = 0.001
"""Probability at which a sound organism raises an alarm by chance."""

_STRENGTHS: Final[tuple[Strength, ...]] = ("none", "weak", "strong")
_RIGHT: Final = 0.5
_ROUNDING: Final = 1e-6
_LOOK_AHEAD: Final = "look_ahead"
"""The gate that makes every decision again from the bars before it."""
_SMALLEST_P: Final = 1e-4

Verdict = Literal["reached", "missed", "unknown"]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Share:
    """A count among worlds, with the 95 % Wilson interval of its share; nan bounds among none."""

    count: int
    worlds: int
    low: float
    high: float

    @classmethod
    def of(cls, found: Sequence[Item], holds: Callable[[Item], bool]) -> Share:
        """Count those for which something holds, one for each world."""
        count, worlds = sum(holds(item) for item in found), len(found)
        low, high = wilson_interval(count, worlds) if worlds else (math.nan, math.nan)
        return cls(count, worlds, low, high)

    @property
    def share(self) -> float:
        """The share itself; nan among none."""
        return self.count / self.worlds if self.worlds else math.nan

    def __str__(self) -> str:
        """Return it with its interval."""
        if not self.worlds:
            return "no world"
        return f"{self.count} of {self.worlds} = {self.share:.1%} ({self.low:.1%} to {self.high:.1%})"


@dataclass(frozen=True)
class FoundRow:
    """How often an edge was found.

    Attributes
    ----------
    family, strength
        The edge; `all` for all families.
    accepted, right
        Worlds in which a strategy went beyond the shadow pool, and those in which it was of the right family.
    shadow
        Worlds in which one entered at least the shadow pool.
    oracle_sharpe
        Mean over the worlds.
    later_sharpe
        Median of the accepted.
    """

    family: str
    strength: str
    accepted: Share
    right: Share
    shadow: Share
    oracle_sharpe: float
    later_sharpe: float


@dataclass(frozen=True)
class Worth:
    """What the accepted earn on later days, as shares of the oracle's Sharpe ratio: quartiles, and who never traded."""

    accepted: int
    lower: float
    median: float
    upper: float
    without_trades: int


@dataclass(frozen=True)
class GateRow:
    """What one gate does, over all worlds.

    Attributes
    ----------
    gate, goals
        Its name, and the stages of life that it stands before; none: information.
    passed
        Worlds that passed it of those in which it was asked, by how much there was to find: none, weak, strong.
    first
        Worlds in which it was the first to stop the candidate, in the same order.
    only_nulls, only_planted
        Worlds in which nothing else would have stopped it: what the gate adds, and what it costs.
    cpu_seconds
        Mean where it was asked.
    """

    gate: str
    goals: tuple[str, ...]
    passed: tuple[Share, ...]
    first: tuple[int, ...]
    only_nulls: int
    only_planted: int
    cpu_seconds: float


@dataclass(frozen=True)
class Alarm:
    """A sign that the organism, its books or the worlds are not what they should be."""

    name: str
    raised: bool
    sentence: str


@dataclass(frozen=True)
class Goal:
    """What the audit asks for, and whether the worlds show it; `unknown` where they are too few."""

    name: str
    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class Rates:
    """All that an audit says.

    Attributes
    ----------
    false_discoveries, shadow
        Worlds without an edge on which anything went beyond the shadow pool, and into it at least.
    flipped, flipped_shadow
        The same on a real market turned over at random.
    found, found_in_real
        Rows by family and strength, then over all families; in simulated worlds, and in real markets turned over with
        an edge written into them.
    worth, gates, alarms, goals
        As their classes say.
    cpu_seconds
        Mean per world by part.
    """

    false_discoveries: Share
    shadow: Share
    flipped: Share
    flipped_shadow: Share
    found: tuple[FoundRow, ...]
    found_in_real: tuple[FoundRow, ...]
    worth: Worth
    gates: tuple[GateRow, ...]
    alarms: tuple[Alarm, ...]
    goals: tuple[Goal, ...]
    cpu_seconds: dict[str, float]


def rates(outcomes: Sequence[Outcome]) -> Rates:
    """Return the rates over these worlds.

    Raises
    ------
    InputError
        There is no world.
    """
    if not outcomes:
        raise InputError("no world is done", where="audit", remedy="ask for at least one, or let it go on")
    null, flipped = ([o for o in outcomes if o.origin == origin] for origin in ("null", "flipped"))
    planted = [o for o in outcomes if o.origin == "planted"]
    false = Share.of(null, _accepted)
    found, worth = _found(planted), _worth([o for o in planted if _accepted(o)])
    return Rates(
        false_discoveries=false,
        shadow=Share.of(null, _entered),
        flipped=Share.of(flipped, _accepted),
        flipped_shadow=Share.of(flipped, _entered),
        found=found,
        found_in_real=_found([o for o in outcomes if o.origin == "implanted"]),
        worth=worth,
        gates=_gates(outcomes),
        alarms=_alarms(outcomes, [*null, *flipped]),
        goals=_goals(false, found, worth),
        cpu_seconds=_mean_by_part(outcomes),
    )


def _accepted(outcome: Outcome) -> bool:
    return outcome.standing == "paper"


def _entered(outcome: Outcome) -> bool:
    return outcome.standing != "fallen"


def _rightly(outcome: Outcome) -> bool:
    return _accepted(outcome) and (outcome.right_share or 0.0) >= _RIGHT


def _found(planted: Sequence[Outcome]) -> tuple[FoundRow, ...]:
    rows = []
    for strength in ("strong", "weak"):
        of_strength = [o for o in planted if o.strength == strength]
        families = sorted({o.family for o in of_strength if o.family is not None})
        for family, own in [(f, [o for o in of_strength if o.family == f]) for f in families] + [("all", of_strength)]:
            if own:
                oracle = [o.oracle_sharpe for o in own if o.oracle_sharpe is not None]
                later = [o.later_sharpe for o in own if _accepted(o) and o.later_sharpe is not None]
                rows.append(
                    FoundRow(
                        family=family,
                        strength=strength,
                        accepted=Share.of(own, _accepted),
                        right=Share.of(own, _rightly),
                        shadow=Share.of(own, _entered),
                        oracle_sharpe=float(np.mean(oracle)),
                        later_sharpe=float(np.median(later)) if later else math.nan,
                    )
                )
    return tuple(rows)


def _worth(accepted: Sequence[Outcome]) -> Worth:
    shares = [o.later_sharpe / o.oracle_sharpe for o in accepted if o.later_sharpe is not None and o.oracle_sharpe]
    lower, median, upper = np.quantile(shares, (0.25, 0.5, 0.75)).tolist() if shares else (math.nan,) * 3
    return Worth(len(accepted), lower, median, upper, sum(not o.later_trades for o in accepted))


def _gates(outcomes: Sequence[Outcome]) -> tuple[GateRow, ...]:
    goal = "paper" if any("paper" in gate.goals for o in outcomes for gate in o.gates) else "shadow"
    first = {o.world: o.stopped_by(goal) for o in outcomes}
    keys = dict.fromkeys(gate.key for o in outcomes for gate in o.gates)
    rows = []
    for key in keys:
        own = [(o.strength, g) for o in outcomes for g in o.gates if g.key == key and _asked(g)]
        passed = [[g.status == "passed" for strength, g in own if strength == one] for one in _STRENGTHS]
        stopped = [o.strength for o in outcomes if (gate := first[o.world]) and gate.key == key]
        alone = [o.strength for o in outcomes if [g.key for g in o.gates if _stops(g, goal)] == [key]]
        rows.append(
            GateRow(
                gate=key[0],
                goals=key[1],
                passed=tuple(Share.of(found, bool) for found in passed),
                first=tuple(stopped.count(strength) for strength in _STRENGTHS),
                only_nulls=alone.count("none"),
                only_planted=len(alone) - alone.count("none"),
                cpu_seconds=float(np.mean([g.cpu_seconds for _, g in own])) if own else math.nan,
            )
        )
    return tuple(rows)


def _asked(gate: GateOutcome) -> bool:
    return gate.status != "not_run" or gate.cpu_seconds > 0.0


def _stops(gate: GateOutcome, goal: str) -> bool:
    return goal in gate.goals and gate.status != "passed"


def _alarms(outcomes: Sequence[Outcome], without_edge: Sequence[Outcome]) -> tuple[Alarm, ...]:
    false = Share.of(without_edge, _accepted)
    chance = float(bdtrc(false.count - 1, false.worlds, MOST_FALSE)) if false.count else 1.0
    alarms = [
        Alarm(
            "false discoveries",
            chance < ALARM_LEVEL,
            f"{false} of the worlds without an edge deployed something beyond the shadow pool; so many or more by "
            f"chance at {MOST_FALSE:.0%} with probability {chance:.2g}",
        )
    ]
    for name, what in (("pretest_p", "the test before the search"), ("unseen_p", "the days after the search")):
        known = [p for o in without_edge if (p := getattr(o, name)) is not None]
        chance = _too_small(known)
        alarms.append(
            Alarm(
                f"p-values of {what}",
                chance < ALARM_LEVEL,
                f"over {len(known)} worlds without an edge they average {np.mean(known) if known else math.nan:.2f}; "
                f"so small or smaller by chance with probability {chance:.2g}",
            )
        )
    knowing = [o.world for o in outcomes if any(g.gate == _LOOK_AHEAD and g.status == "failed" for g in o.gates)]
    alarms.append(
        Alarm(
            _LOOK_AHEAD.replace("_", " "),
            bool(knowing),
            f"in {len(knowing)} worlds the candidate had decided by bars that were not there yet{_named(knowing)}",
        )
    )
    wrong = [o.world for o in outcomes if _differ(o.claimed_sharpe, o.in_sample_sharpe)]
    alarms.append(
        Alarm(
            "books",
            bool(wrong),
            f"in {len(wrong)} worlds the organism's own figure of its in-sample Sharpe ratio is not what its candidate "
            f"earned at the stated costs{_named(wrong)}",
        )
    )
    drifting = [o.world for o in without_edge if (o.drift or 0.0) > 0.0]
    alarms.append(
        Alarm(
            "worlds",
            bool(drifting),
            f"in {len(drifting)} worlds without an edge the mean of returns is not the funding paid for them"
            f"{_named(drifting)}",
        )
    )
    return tuple(alarms)


def _too_small(p_values: Sequence[float]) -> float:
    """Return how probable a sum of normal scores so high is where p-values are uniform (Stouffer's test)."""
    if not p_values:
        return math.nan
    scores = -ndtri(np.clip(p_values, _SMALLEST_P, 1.0 - _SMALLEST_P))
    return float(ndtr(-scores.sum() / math.sqrt(len(scores))))


def _differ(claimed: float | None, measured: float | None) -> bool:
    if claimed is None or measured is None:
        return False
    return abs(claimed - measured) > _ROUNDING


def _named(worlds: Sequence[str]) -> str:
    return f": {', '.join(worlds[:3])}{', ...' if len(worlds) > 3 else ''}" if worlds else ""


def _goals(false: Share, found: Sequence[FoundRow], worth: Worth) -> tuple[Goal, ...]:
    every = (row.right for row in found if (row.family, row.strength) == ("all", "strong"))
    strong = next(every, Share.of([], bool))
    enough = strong.worlds >= FEWEST_STRONG
    return (
        Goal(
            "false discoveries",
            _verdict(false.worlds >= FEWEST_NULLS, false.share <= MOST_FALSE),
            f"{false} of the worlds without an edge deployed something beyond the shadow pool; wanted: at most "
            f"{MOST_FALSE:.0%} of {FEWEST_NULLS} worlds or more",
        ),
        Goal(
            "power",
            _verdict(enough, strong.share >= LEAST_POWER),
            f"{strong} of the worlds with a strong edge led to a strategy of the right family beyond the shadow pool; "
            f"wanted: at least {LEAST_POWER:.0%} of {FEWEST_STRONG} worlds or more",
        ),
        Goal(
            "worth",
            _verdict(enough and worth.accepted > 0, worth.median >= LEAST_WORTH),
            "nothing was accepted where there is an edge"
            if math.isnan(worth.median)
            else f"the {worth.accepted} accepted earned {worth.median:.0%} of their oracle's Sharpe ratio later "
            f"(median; quartiles {worth.lower:.0%} and {worth.upper:.0%}), {worth.without_trades} never traded; "
            f"wanted: at least {LEAST_WORTH:.0%}",
        ),
    )


def _verdict(enough: bool, good: bool) -> Verdict:
    if not enough:
        return "unknown"
    return "reached" if good else "missed"


def _mean_by_part(outcomes: Sequence[Outcome]) -> dict[str, float]:
    parts = list(dict.fromkeys(part for o in outcomes for part in o.cpu_seconds))
    return {part: sum(o.cpu_seconds.get(part, 0.0) for o in outcomes) / len(outcomes) for part in parts}
