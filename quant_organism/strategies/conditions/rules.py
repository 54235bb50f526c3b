"""Rules: the groups of conditions behind each of the four decisions of a position step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quant_organism.strategies.conditions.document import CROSSINGS, Condition, ConditionGroup, Document
from quant_organism.strategies.conditions.series import known_series
from quant_organism.strategies.indicators.indicator import Indicator

Action = Literal["enter_long", "enter_short", "exit_long", "exit_short"]


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
