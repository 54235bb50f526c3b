"""Why a hand-written strategy decided as it did on one bar: which conditions held, and which were not available."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from quant_organism.errors import InputError
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.conditions.document import CROSSINGS, Condition, ConditionGroup
from quant_organism.strategies.conditions.grammar import structure_rules
from quant_organism.strategies.conditions.rules import Action, condition_holds, condition_sides, group_holds
from quant_organism.strategies.families import get_family
from quant_organism.strategies.genome import Genome, gene_arrays
from quant_organism.strategies.signals import signal, valid_bars

Status = Literal["holds", "fails", "unavailable"]


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
    family = get_family(genome.family)
    bank = IndicatorBank(bars, family.indicators(gene_arrays([genome])))
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


def _findings(group: ConditionGroup, path: str, bank: IndicatorBank, place: int) -> list[ConditionFinding]:
    found: list[ConditionFinding] = []
    for number, member in enumerate(group.members):
        where = f"{path}.conditions[{number}]"
        if isinstance(member, ConditionGroup):
            found += _findings(member, where, bank, place)
            continue
        left, right = condition_sides(member, bank)
        before = max(place - 1, 0) if member.operator in CROSSINGS else place
        read = np.concatenate([left[before : place + 1], right[before : place + 1]])
        seen = np.isfinite(read).all() and not (member.operator in CROSSINGS and place == 0)
        status: Status = "unavailable"
        if seen:
            status = "holds" if condition_holds(member, bank)[place] else "fails"
        found.append(ConditionFinding(where, member, float(left[place]), float(right[place]), status))
    return found
