"""Documents of conditions: what may stand in one, checked field by field, and its canonical form.

A document is a mapping as YAML or JSON gives it. Its canonical form, the value of a gene, is nested tuples: the fields
as (name, value) pairs in a fixed order, a group as its logic followed by its members, a condition as name, operator,
value and, if there is one, scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quant_organism.errors import InputError
from quant_organism.strategies.conditions import fields
from quant_organism.strategies.conditions.series import find_series
from quant_organism.strategies.genes import Structure

SIDES: Final = ("LONG", "SHORT")
LOGICS: Final = ("ALL", "ANY")
CROSSINGS: Final = ("crosses_above", "crosses_below")
OPERATORS: Final = (">", "<", ">=", "<=", "==", "!=", *CROSSINGS)
REGIMES: Final = ("DEFENSIVE", "NORMAL", "AGGRESSIVE")

MAX_DEPTH: Final = 5
"""Groups within groups, the outermost counted."""

MAX_CONDITIONS: Final = 100
"""Conditions and groups of one document."""

_PERCENT_FIELDS = ("stop_loss_pct", "take_profit_pct")
_REQUIRED = ("strategy_id", "base_size_usd")
_OPTIONAL = (
    *("side", "entry", "entry_indicators", "entry_logic", "exit", "min_confidence", "confidence_scaling"),
    *("fitness_score", "allowed_regimes", "max_positions"),
)


@dataclass(frozen=True)
class Condition:
    """A comparison of an indicator with a number or with another indicator, by their canonical names."""

    name: str
    operator: str
    value: float | str
    scale: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all series that it compares."""
        return (self.name, self.value) if isinstance(self.value, str) else (self.name,)

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{self.value:.10g}"
        return f"{self.name} {self.operator.replace('_', ' ')} {value}"


@dataclass(frozen=True)
class ConditionGroup:
    """Conditions and groups of which ALL or ANY must hold."""

    logic: str
    members: tuple[Condition | ConditionGroup, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions at any depth, in the order of reading."""
        found: list[Condition] = []
        for member in self.members:
            found += [member] if isinstance(member, Condition) else member.conditions
        return tuple(found)

    def __str__(self) -> str:
        joint = " and " if self.logic == "ALL" else " or "
        return joint.join(
            f"({member})" if isinstance(member, ConditionGroup) and len(member.members) > 1 else str(member)
            for member in self.members
        )


@dataclass(frozen=True, kw_only=True)
class Document:
    """A hand-written strategy, without the stops that its genome carries as risk genes.

    Parameters
    ----------
    strategy_id
        Its name.
    side
        ``LONG`` or ``SHORT``.
    entry, exit
        Conditions of entering and, if there are any, of leaving.
    base_size_usd
        Notional before scaling.
    min_confidence
        Least confidence of an entry, in [0, 1].
    confidence_scaling
        Scale the size with the confidence.
    fitness_score
        Fitness in [0, 1]; None where there is none, which is not 0.
    allowed_regimes
        Risk regimes in which it may enter.
    max_positions
        Most positions at a time.
    """

    strategy_id: str
    side: str
    entry: ConditionGroup
    exit: ConditionGroup | None = None
    base_size_usd: float
    min_confidence: float = 0.5
    confidence_scaling: bool = True
    fitness_score: float | None = None
    allowed_regimes: tuple[str, ...] = REGIMES
    max_positions: int = 1

    @property
    def structure(self) -> Structure:
        """Canonical form."""
        pairs: list[tuple[str, Any]] = [
            ("strategy_id", self.strategy_id),
            ("side", self.side),
            ("entry", _group_structure(self.entry)),
        ]
        if self.exit is not None:
            pairs.append(("exit", _group_structure(self.exit)))
        pairs += [
            ("base_size_usd", self.base_size_usd),
            ("min_confidence", self.min_confidence),
            ("confidence_scaling", self.confidence_scaling),
        ]
        if self.fitness_score is not None:
            pairs.append(("fitness_score", self.fitness_score))
        pairs += [("allowed_regimes", self.allowed_regimes), ("max_positions", self.max_positions)]
        return tuple(pairs)


def read_document(document: Mapping[str, Any]) -> Document:
    """Check a document without its stops and return it.

    Parameters
    ----------
    document
        Fields of docs/conditions.md but `stop_loss_pct` and `take_profit_pct`.

    Raises
    ------
    InputError
        Naming the path to the field, as in ``entry.conditions[2].operator``.
    """
    found = fields.mapping(document, "document", required=_REQUIRED, optional=_OPTIONAL)
    counter = _Counter()
    entry = _entry(found, counter)
    exits = _group(found["exit"], "exit", 1, counter) if "exit" in found else None
    return Document(
        strategy_id=fields.text(found["strategy_id"], "strategy_id"),
        side=fields.choice(found["side"], "side", SIDES) if "side" in found else _implied_side(entry),
        entry=entry,
        exit=exits,
        base_size_usd=fields.positive(found["base_size_usd"], "base_size_usd"),
        min_confidence=fields.number(found.get("min_confidence", 0.5), "min_confidence", low=0.0, high=1.0),
        confidence_scaling=fields.flag(found.get("confidence_scaling", True), "confidence_scaling"),
        fitness_score=(
            fields.number(found["fitness_score"], "fitness_score", low=0.0, high=1.0)
            if "fitness_score" in found
            else None
        ),
        allowed_regimes=_regimes(found.get("allowed_regimes", REGIMES), "allowed_regimes"),
        max_positions=fields.integer(found.get("max_positions", 1), "max_positions", low=1),
    )


def split_stops(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a document without its stops, and the stops as fractions under the names of the risk genes.

    Raises
    ------
    InputError
        A stop is missing or no number; bounds are those of the genes, checked by the caller.
    """
    missing = [name for name in _PERCENT_FIELDS if name not in document]
    if missing:
        raise InputError(
            f"missing field {', '.join(missing)}", where="document", remedy="state the stops in percent of the entry"
        )
    stops = {name: fields.number(document[name], name) / 100.0 for name in _PERCENT_FIELDS}
    rest = {name: value for name, value in document.items() if name not in stops}
    return rest, {"stop_loss": stops["stop_loss_pct"], "take_profit": stops["take_profit_pct"]}


def document_of(value: object) -> Mapping[str, Any]:
    """Return the canonical form, tuples or lists, as a mapping; what has another shape is left to `read_document`.

    Raises
    ------
    InputError
        Not (field, value) pairs, or a field twice.
    """
    pairs = value if isinstance(value, list | tuple) else ()
    names = [pair[0] for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2]
    if not pairs or len(names) != len(pairs) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"expected (field, value) pairs, found {fields.shown(value)}",
            where="document",
            remedy="read a document with load_conditions",
        )
    if len(set(names)) != len(names):
        raise InputError(f"a field stands twice among {', '.join(names)}", where="document")
    read = dict(pairs)
    return read | {name: _group_document(read[name], 1) for name in ("entry", "exit") if name in read}


def _group_structure(group: ConditionGroup) -> Structure:
    return (
        group.logic,
        *(
            _group_structure(member)
            if isinstance(member, ConditionGroup)
            else (member.name, member.operator, member.value, *([] if member.scale is None else [member.scale]))
            for member in group.members
        ),
    )


def _group_document(value: Any, depth: int) -> Any:
    if not isinstance(value, list | tuple) or not value:
        return value
    if value[0] not in LOGICS:
        return _condition_document(value)
    if depth > MAX_DEPTH + 1:
        return value
    return {"logic": value[0], "conditions": [_group_document(member, depth + 1) for member in value[1:]]}


def _condition_document(value: Sequence[Any]) -> Any:
    if len(value) not in (3, 4):
        return value
    right = {"name": value[2]} if isinstance(value[2], str) else value[2]
    return dict(zip(("name", "operator", "value", "scale"), (*value[:2], right, *value[3:]), strict=False))


class _Counter:
    """Counts the parts of a document, so that one that never ends is noticed."""

    def __init__(self) -> None:
        self.count = 0

    def another(self, where: str) -> None:
        self.count += 1
        if self.count > MAX_CONDITIONS:
            raise InputError(f"more than {MAX_CONDITIONS} conditions and groups", where=where, remedy="shorten it")


def _entry(found: Mapping[str, Any], counter: _Counter) -> ConditionGroup:
    flat = [name for name in ("entry_indicators", "entry_logic") if name in found]
    if "entry" in found and flat:
        raise InputError(f"entry and {flat[0]} exclude each other", where="document", remedy="leave one of them out")
    if "entry" in found:
        return _group(found["entry"], "entry", 1, counter)
    missing = [name for name in ("entry_indicators", "entry_logic") if name not in found]
    if missing:
        what = "missing field entry" if len(missing) == 2 else f"missing field {missing[0]}"
        raise InputError(what, where="document", remedy="state when to enter: a group with logic and conditions")
    logic = fields.choice(found["entry_logic"], "entry_logic", LOGICS)
    return ConditionGroup(logic, _members(found["entry_indicators"], "entry_indicators", 1, counter))


def _group(value: Any, where: str, depth: int, counter: _Counter) -> ConditionGroup:
    if depth > MAX_DEPTH:
        raise InputError(
            f"groups are nested deeper than {MAX_DEPTH}, or contain themselves", where=where, remedy="flatten them"
        )
    found = fields.mapping(value, where, required=("logic", "conditions"))
    logic = fields.choice(found["logic"], f"{where}.logic", LOGICS)
    return ConditionGroup(logic, _members(found["conditions"], f"{where}.conditions", depth, counter))


def _members(value: Any, where: str, depth: int, counter: _Counter) -> tuple[Condition | ConditionGroup, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(f"expected a list of conditions, found {fields.shown(value)}", where=where)
    if not value:
        raise InputError("the group is empty", where=where, remedy="give at least one condition")
    members: list[Condition | ConditionGroup] = []
    for place, member in enumerate(value):
        path = f"{where}[{place}]"
        counter.another(path)
        is_group = isinstance(member, Mapping) and ("logic" in member or "conditions" in member)
        members.append(_group(member, path, depth + 1, counter) if is_group else _condition(member, path))
    return tuple(members)


def _condition(value: Any, where: str) -> Condition:
    found = fields.mapping(value, where, required=("name", "operator", "value"), optional=("scale",))
    left = find_series(found["name"], f"{where}.name")
    operator = fields.choice(found["operator"], f"{where}.operator", OPERATORS)
    right: float | str
    if isinstance(found["value"], Mapping):
        reference = fields.mapping(found["value"], f"{where}.value", required=("name",))
        right = find_series(reference["name"], f"{where}.value.name").name
    else:
        low, high = left.bounds or (None, None)
        right = fields.number(found["value"], f"{where}.value", low=low, high=high)
    scale = fields.positive(found["scale"], f"{where}.scale") if "scale" in found else None
    return Condition(left.name, operator, right, scale)


def _implied_side(entry: ConditionGroup) -> str:
    of_rsi = all(condition.name.startswith("RSI_") for condition in entry.conditions)
    operators = {condition.operator for condition in entry.conditions}
    if of_rsi and operators <= {"<", "<="}:
        return "LONG"
    if of_rsi and operators <= {">", ">="}:
        return "SHORT"
    raise InputError(
        "missing field side, and the entry does not imply one (only RSI below, or only RSI above, would)",
        where="document",
        remedy="state side: LONG or side: SHORT",
    )


def _regimes(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise InputError(
            f"expected a list of regimes, found {fields.shown(value)}",
            where=where,
            remedy=f"name at least one of {', '.join(REGIMES)}, or leave the field out to allow all",
        )
    named = {fields.choice(regime, f"{where}[{place}]", REGIMES) for place, regime in enumerate(value)}
    return tuple(regime for regime in REGIMES if regime in named)
