"""Plain strategies that are a type and a few parameters: momentum, mean reversion, crossing averages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from quant_organism.errors import InputError
from quant_organism.strategies.conditions import fields
from quant_organism.strategies.conditions.document import Condition, ConditionGroup
from quant_organism.strategies.conditions.rules import Action, Rule, Rules
from quant_organism.strategies.conditions.series import PERIODS
from quant_organism.strategies.genes import Structure

PLAIN_TYPES: Final = ("momentum", "mean_reversion", "moving_average_crossover", "momentum_crossover")

_ALIASES: Final = {
    "momentum": ("lookback", "lookback_period"),
    "mean_reversion": ("lookback", "lookback_period", "period"),
}
_THRESHOLDS: Final = {"momentum": 0.02, "mean_reversion": 2.0}
_SPARE_BARS = 5
_MIDDLE = 50.0


@dataclass(frozen=True, kw_only=True)
class Configured:
    """A plain strategy with its parameters.

    Parameters
    ----------
    type
        One of `PLAIN_TYPES`.
    parameters
        Each of its parameters, by its first name; the period of the RSI only where there is one.
    """

    type: str
    parameters: tuple[tuple[str, int | float], ...]

    @property
    def structure(self) -> Structure:
        """Canonical form, as a gene holds it."""
        return (("type", self.type), ("parameters", self.parameters))

    @property
    def indicators(self) -> tuple[str, ...]:
        """Names of the indicators that it needs, sorted."""
        given = dict(self.parameters)
        found = {f"RSI_{given['rsi_period']}"} if "rsi_period" in given else set()
        if self.type in _ALIASES:
            found.add(f"{'SMA' if self.type == 'momentum' else 'BB'}_{given['lookback']}")
        else:
            found |= {f"SMA_{given['fast_period']}", f"SMA_{given['slow_period']}"}
        return tuple(sorted(found))

    @property
    def rules(self) -> Rules:
        """Its decisions on both sides, and the bars it needs before the first."""
        given = dict(self.parameters)
        if self.type == "momentum":
            sma, gap, least = f"SMA_{given['lookback']}", f"SMA_GAP_{given['lookback']}", given["threshold"]
            long, short = Condition(gap, ">", least), Condition(gap, "<", -least)
            ends = Condition("close", "<", sma), Condition("close", ">", sma)
        elif self.type == "mean_reversion":
            score, least = f"ZSCORE_{given['lookback']}", given["threshold"]
            long, short = Condition(score, "<=", -least), Condition(score, ">=", least)
            ends = Condition(score, ">=", 0.0), Condition(score, "<=", 0.0)
        else:
            fast, slow = f"SMA_{given['fast_period']}", f"SMA_{given['slow_period']}"
            long, short = Condition(fast, ">", slow), Condition(fast, "<", slow)
            ends = Condition(fast, "<=", slow), Condition(fast, ">=", slow)
        entries: list[list[Condition | ConditionGroup]] = [[long], [short]]
        if "rsi_period" in given:
            operators = ("<", ">") if self.type == "mean_reversion" else (">", "<")
            for entry, operator in zip(entries, operators, strict=True):
                entry.append(Condition(f"RSI_{given['rsi_period']}", operator, _MIDDLE))
        actions: tuple[tuple[str, Action, ConditionGroup], ...] = (
            ("long.entry", "enter_long", ConditionGroup("ALL", tuple(entries[0]))),
            ("short.entry", "enter_short", ConditionGroup("ALL", tuple(entries[1]))),
            ("long.exit", "exit_long", ConditionGroup("ALL", (ends[0],))),
            ("short.exit", "exit_short", ConditionGroup("ALL", (ends[1],))),
        )
        periods = [int(value) for name, value in self.parameters if name != "threshold"]
        return Rules(tuple(Rule(*action) for action in actions), max(periods) + _SPARE_BARS)


def read_configured(type: str, parameters: Mapping[str, Any], where: str = "parameters") -> Configured:
    """Check the parameters of a plain strategy; those that are left out stand at their defaults.

    Raises
    ------
    InputError
        An unknown type or parameter, a period that is no integer from 2 to 1000, a negative threshold, two names of
        one parameter with different values, or a fast period that is not below the slow one.
    """
    fields.choice(type, "type", PLAIN_TYPES)
    aliases = _ALIASES.get(type)
    optional = (*aliases, "threshold", "rsi_period") if aliases else ("fast_period", "slow_period", "rsi_period")
    found = fields.mapping(parameters, where, optional=optional)

    def period(name: str, default: int) -> int:
        return fields.integer(found.get(name, default), f"{where}.{name}", low=PERIODS[0], high=PERIODS[1])

    read: dict[str, int | float] = {}
    if aliases:
        given = {name: period(name, 20) for name in aliases if name in found}
        if len(set(given.values())) > 1:
            stated = ", ".join(f"{name} {value}" for name, value in given.items())
            raise InputError(f"{stated} are one parameter", where=where, remedy="keep one of them")
        read["lookback"] = next(iter(given.values()), 20)
        threshold = fields.number(found.get("threshold", _THRESHOLDS[type]), f"{where}.threshold")
        if threshold < 0.0:
            raise InputError(f"found {threshold:g}, expected at least 0", where=f"{where}.threshold")
        read["threshold"] = threshold
        read["rsi_period"] = period("rsi_period", 14)
    else:
        read |= {"fast_period": period("fast_period", 10), "slow_period": period("slow_period", 30)}
        if read["fast_period"] >= read["slow_period"]:
            raise InputError(
                f"fast_period {read['fast_period']} is not below slow_period {read['slow_period']}", where=where
            )
        if found.get("rsi_period") is not None:
            read["rsi_period"] = period("rsi_period", 14)
    return Configured(type=type, parameters=tuple(read.items()))
