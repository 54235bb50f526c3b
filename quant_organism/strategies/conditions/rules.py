"""Rules: the groups of conditions behind each of the four decisions of a position step, and where they hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.conditions.document import CROSSINGS, Condition, ConditionGroup, Document
from quant_organism.strategies.conditions.series import known_series
from quant_organism.strategies.indicators.indicator import Indicator
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, hold_positions

Action = Literal["enter_long", "enter_short", "exit_long", "exit_short"]

Mask = NDArray[np.bool_]

EQUAL_WITHIN: Final = 1e-6
"""Two numbers no further apart than this are equal."""

_BITS: Final[dict[Action, int]] = {
    "enter_long": ENTER_LONG,
    "enter_short": ENTER_SHORT,
    "exit_long": EXIT_LONG,
    "exit_short": EXIT_SHORT,
}


@dataclass(frozen=True)
class Rule:
    """One decision and what it takes.

    Parameters
    ----------
    path
        Where the group stands in its document.
    action
        What is decided where the group holds.
    group
        The conditions.
    """

    path: str
    action: Action
    group: ConditionGroup


@dataclass(frozen=True)
class Rules:
    """All decisions of a strategy.

    Parameters
    ----------
    rules
        At most one per action.
    history
        Bars needed before the first decision, that of the last of them included.
    """

    rules: tuple[Rule, ...]
    history: int

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions of all rules."""
        return tuple(condition for rule in self.rules for condition in rule.group.conditions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all series that are compared, sorted."""
        return tuple(sorted({name for condition in self.conditions for name in condition.names}))

    @property
    def rows(self) -> tuple[tuple[Indicator, int], ...]:
        """Indicators that the series are made of, and their keys."""
        return tuple(row for name in self.names for row in known_series(name).rows)


def document_rules(document: Document) -> Rules:
    """Return the rules of a document: its longest series sets the history, and a crossing asks for one bar more."""
    long = document.side == "LONG"
    rules = [Rule("entry", "enter_long" if long else "enter_short", document.entry)]
    if document.exit is not None:
        rules.append(Rule("exit", "exit_long" if long else "exit_short", document.exit))
    found = Rules(tuple(rules), 0)
    longest = max(known_series(name).history for name in found.names)
    crosses = any(condition.operator in CROSSINGS for condition in found.conditions)
    return Rules(found.rules, longest + crosses)


def write_targets(rules: Rules, bank: IndicatorBank, out: Targets, genome: int) -> None:
    """Write the targets of one genome by the position step that all families share."""
    n = bank.bars.close.size
    marks = np.zeros(n, dtype=np.int8)
    for rule in rules.rules:
        marks |= group_holds(rule.group, bank).view(np.int8) * np.int8(_BITS[rule.action])
    first = min(rules.history - 1, n)
    out.counts[genome] = hold_positions(marks[first:], first, out.held[genome], out.bars[genome], out.sides[genome])


def group_holds(group: ConditionGroup, bank: IndicatorBank) -> Mask:
    """Return where all, or any, of the members of a group hold, shape (n,)."""
    join = np.logical_and if group.logic == "ALL" else np.logical_or
    members = (
        group_holds(member, bank) if isinstance(member, ConditionGroup) else condition_holds(member, bank)
        for member in group.members
    )
    return reduce(lambda held, member: join(held, member, out=held), members)


def condition_holds(condition: Condition, bank: IndicatorBank) -> Mask:
    """Return where a condition holds, shape (n,); never where one of its values is not there yet."""
    left, right = condition_sides(condition, bank)
    match condition.operator:
        case ">":
            return left > right
        case "<":
            return left < right
        case ">=":
            return left >= right
        case "<=":
            return left <= right
        case "==":
            return np.abs(left - right) <= EQUAL_WITHIN
        case "!=":
            return np.abs(left - right) > EQUAL_WITHIN
        case "crosses_above":
            return _crosses(left, right)
        case _:
            return _crosses(right, left)


def condition_sides(condition: Condition, bank: IndicatorBank) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two series that a condition compares, each of shape (n,); NaN where one is not there yet."""
    left = known_series(condition.name).values(bank)
    if isinstance(condition.value, str):
        return left, known_series(condition.value).values(bank)
    return left, np.broadcast_to(np.float64(condition.value), left.shape)


def _crosses(a: NDArray[np.float64], b: NDArray[np.float64]) -> Mask:
    crossed = np.zeros(a.size, dtype=np.bool_)
    crossed[1:] = (a[:-1] <= b[:-1]) & (a[1:] > b[1:])
    return crossed
