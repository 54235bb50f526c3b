"""Evaluation: where conditions hold over the bars of one asset."""

from __future__ import annotations

from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.conditions.document import Condition, ConditionGroup
from quant_organism.strategies.conditions.rules import Action, Rules
from quant_organism.strategies.conditions.series import known_series
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT, Targets, hold_positions

Mask = NDArray[np.bool_]

EQUAL_WITHIN: Final = 1e-6
"""Two numbers no further apart than this are equal."""

_BITS: Final[dict[Action, int]] = {
    "enter_long": ENTER_LONG,
    "enter_short": ENTER_SHORT,
    "exit_long": EXIT_LONG,
    "exit_short": EXIT_SHORT,
}


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
