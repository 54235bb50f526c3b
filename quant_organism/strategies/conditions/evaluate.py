"""Evaluation: where conditions hold over the bars of one asset, and which did or did not on a single bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.conditions.document import CROSSINGS, Condition, Group
from quant_organism.strategies.conditions.grammar import structure_rules
from quant_organism.strategies.conditions.rules import Action, Rules
from quant_organism.strategies.conditions.series import known_series
from quant_organism.strategies.family import get_family
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.kernels.steps import (
    ENTER_LONG,
    ENTER_SHORT,
    EXIT_LONG,
    EXIT_SHORT,
    hold_positions,
)
from quant_organism.strategies.signals import gene_arrays, signal, valid_bars
from quant_organism.strategies.targets import Targets

Mask = NDArray[np.bool_]
Status = Literal["holds", "fails", "unavailable"]

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


def group_holds(group: Group, bank: IndicatorBank) -> Mask:
    """Return where all, or any, of the members of a group hold, shape (n,)."""
    join = np.logical_and if group.logic == "ALL" else np.logical_or
    members = (
        group_holds(member, bank) if isinstance(member, Group) else condition_holds(member, bank)
        for member in group.members
    )
    return reduce(lambda held, member: join(held, member, out=held), members)


def condition_holds(condition: Condition, bank: IndicatorBank) -> Mask:
    """Return where a condition holds, shape (n,); never where one of its values is not there yet."""
    left, right = _sides(condition, bank)
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


@dataclass(frozen=True)
class ConditionFinding:
    """One condition on one bar.

    Parameters
    ----------
    path
        Where it stands in its document.
    condition
        What is compared.
    left, right
        The two values, NaN where one is not there yet.
    status
        ``unavailable`` where a value that it needs is not there yet: then it counts as not holding.
    """

    path: str
    condition: Condition
    left: float
    right: float
    status: Status


@dataclass(frozen=True)
class RuleFinding:
    """One decision on one bar, with its conditions at any depth in the order of reading."""

    path: str
    action: Action
    holds: bool
    conditions: tuple[ConditionFinding, ...]


@dataclass(frozen=True)
class Explanation:
    """Why a strategy decided as it did on one bar.

    Parameters
    ----------
    bar
        Number of the bar among those given.
    bars_seen, bars_needed
        Valid bars up to it, and how many the strategy needs before its first decision.
    target
        Position decided at the bar's close: -1, 0, +1.
    rules
        Each decision.
    """

    bar: int
    bars_seen: int
    bars_needed: int
    target: float
    rules: tuple[RuleFinding, ...]

    def __str__(self) -> str:
        lines = [f"bar {self.bar}: target {self.target:g}, {self.bars_seen} bars seen, {self.bars_needed} needed"]
        for rule in self.rules:
            lines.append(f"{rule.path} ({rule.action.replace('_', ' ')}): {'holds' if rule.holds else 'does not hold'}")
            for found in rule.conditions:
                values = f"{found.left:.10g} against {found.right:.10g}"
                lines.append(f"  {found.path}: {found.condition}: {found.status}, {values}")
        return "\n".join(lines)


def explain(genome: Genome, columns: Mapping[str, ArrayLike], bar: int) -> Explanation:
    """Say which conditions of a `conditions` genome held on one bar, and which were not available.

    Parameters
    ----------
    genome
        A genome of the family `conditions`.
    columns
        As `signals.signal` takes them, each of shape (n,).
    bar
        Number of the bar, 0 to n - 1.

    Raises
    ------
    InputError
        A genome of another family, or a bar that is not there or void.
    """
    if genome.family != "conditions":
        raise InputError(f"a genome of {genome.family} has no conditions", where=genome.id)
    bars, valid = valid_bars(genome, columns)
    if not 0 <= bar < valid.size or not valid[bar]:
        found = "void: a column is not finite there" if 0 <= bar < valid.size else f"not one of {valid.size}"
        raise InputError(f"bar {bar} is {found}", where=genome.id)
    bank = IndicatorBank(bars, get_family("conditions").indicators(gene_arrays([genome])))
    place = int(valid[:bar].sum())
    structure = genome.genes["document"]
    assert isinstance(structure, tuple)
    rules = structure_rules(structure)
    return Explanation(
        bar=bar,
        bars_seen=place + 1,
        bars_needed=rules.history,
        target=float(signal(genome, columns)[bar]),
        rules=tuple(
            RuleFinding(
                rule.path,
                rule.action,
                bool(group_holds(rule.group, bank)[place]),
                tuple(_findings(rule.group, rule.path, bank, place)),
            )
            for rule in rules.rules
        ),
    )


def _findings(group: Group, path: str, bank: IndicatorBank, place: int) -> list[ConditionFinding]:
    found: list[ConditionFinding] = []
    for number, member in enumerate(group.members):
        where = f"{path}.conditions[{number}]"
        if isinstance(member, Group):
            found += _findings(member, where, bank, place)
            continue
        left, right = _sides(member, bank)
        before = max(place - 1, 0) if member.operator in CROSSINGS else place
        read = np.concatenate([left[before : place + 1], right[before : place + 1]])
        seen = np.isfinite(read).all() and not (member.operator in CROSSINGS and place == 0)
        status: Status = "unavailable"
        if seen:
            status = "holds" if condition_holds(member, bank)[place] else "fails"
        found.append(ConditionFinding(where, member, float(left[place]), float(right[place]), status))
    return found


def _sides(condition: Condition, bank: IndicatorBank) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left = known_series(condition.name).values(bank)
    if isinstance(condition.value, str):
        return left, known_series(condition.value).values(bank)
    return left, np.broadcast_to(np.float64(condition.value), left.shape)


def _crosses(a: NDArray[np.float64], b: NDArray[np.float64]) -> Mask:
    crossed = np.zeros(a.size, dtype=np.bool_)
    crossed[1:] = (a[:-1] <= b[:-1]) & (a[1:] > b[1:])
    return crossed
