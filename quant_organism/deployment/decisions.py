"""Six kinds of decisions, by rules in one versioned file: what is to be done, how sure, how urgent, and who is asked.

Who moves to which stage is decided by the table of moves alone (`lifecycle`): approvals and retirements are its ways,
taken by the machine or waiting for a person. The others read figures of the account. Same figures, same decision.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from statistics import NormalDist
from typing import Any, Final, Literal, Self

import orjson
import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quant_organism.deployment.booking import append_rows, read_rows
from quant_organism.deployment.effects import ACCOUNT, DecisionType, state_of
from quant_organism.deployment.lifecycle import MONEY, RULES, MoveRule, Relation, meets, rulings
from quant_organism.deployment.marks import Known, known_of
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.stages import Stage, timestamp
from quant_organism.deployment.tables import (
    DecisionAnswerTable,
    DeploymentDecisionTable,
    EvidenceDayTable,
    MoveTable,
)
from quant_organism.deployment.trader_days import TraderDays
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval

Urgency = Literal["routine", "today", "now"]

ACCOUNT_KINDS: Final[tuple[DecisionType, ...]] = ("pool_size", "emergency_stop", "risk_adjustment", "session")
"""Kinds that read figures of the account, in the order in which they are taken."""

_P_VALUES: Final = frozenset({"pretest_p", "search_p", "recent_rank"})
"""Shares of so many draws; every other number of a move is what it is, without an error."""


@dataclass(frozen=True)
class Figure:
    """A number that a decision rests on.

    Parameters
    ----------
    value
        None: not known.
    error
        Its standard error; 0 for what was counted or observed, None where it is not known.
    source
        Table or part of the program that it comes from.
    """

    value: float | None
    error: float | None = 0.0
    source: str = ""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FigureCondition(_Document):
    """One figure and its bound."""

    input: str = Field(min_length=1)
    relation: Relation
    bound: float = Field(allow_inf_nan=False)

    def holds(self, figures: Mapping[str, Figure]) -> bool:
        """Tell whether the figure keeps its bound; never where it is not known."""
        return meets(figures.get(self.input, Figure(None)).value, self.relation, self.bound)

    def confidence(self, figures: Mapping[str, Figure]) -> float | None:
        """Return the probability that the true number lies on the side of the bound on which it was measured.

        1 without an error; None where the number or its error is not known.
        """
        figure = figures.get(self.input, Figure(None))
        if figure.value is None or math.isnan(figure.value) or figure.error is None:
            return None
        return _beyond(figure.value, self.bound, figure.error)


class DecisionRule(_Document):
    """A value, and all conditions under which it is chosen."""

    name: str = Field(min_length=1)
    value: str = Field(min_length=1)
    when: tuple[FigureCondition, ...] = Field(min_length=1)


class RulesOfType(_Document):
    """How one kind of decision is taken.

    Parameters
    ----------
    asks
        The question, in a sentence.
    least_of
        Figures whose least is the answer.
    ways, person_ways
        Ways of the table of moves that it stands for: those of the machine, and those that a person takes.
    values
        Answers from the strictest to the loosest.
    otherwise
        The answer where no rule holds; of an approval what holds where nobody answers.
    person_values
        Answers that need a person's yes; so does any that is looser than what is in force.
    urgency
        How soon it is to be carried out.
    valid_days
        Days that a person has.
    rules
        Tried in order.
    """

    asks: str
    least_of: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    person_ways: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    otherwise: str = ""
    person_values: tuple[str, ...] = ()
    urgency: Urgency
    valid_days: int = Field(1, ge=1, le=365)
    rules: tuple[DecisionRule, ...] = ()

    @model_validator(mode="after")
    def _knows_its_values(self) -> Self:
        named = {self.otherwise, *self.person_values, *(rule.value for rule in self.rules)} if self.values else set()
        if unknown := named - set(self.values):
            raise ValueError(f"{', '.join(sorted(unknown))} not among the values {', '.join(self.values)}")
        known = {rule.name: rule.by for rule in RULES}
        if strange := [name for name in self.person_ways if known.get(name) != "person"]:
            raise ValueError(f"no way of a person is called {', '.join(strange)}")
        if strange := [name for name in self.ways if name not in known]:
            raise ValueError(f"no way of the table of moves is called {', '.join(strange)}")
        return self


class DecisionRules(_Document):
    """The rules of all kinds, and their version."""

    version: int = Field(ge=1)
    pool_size: RulesOfType
    approval: RulesOfType
    retirement: RulesOfType
    emergency_stop: RulesOfType
    risk_adjustment: RulesOfType
    session: RulesOfType

    @model_validator(mode="after")
    def _takes_every_way(self) -> Self:
        named = [*self.approval.ways, *self.approval.person_ways, *self.retirement.ways]
        if sorted(named) != sorted(rule.name for rule in RULES):
            raise ValueError("approval and retirement do not name every way of the table of moves once")
        return self

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Return the rules of a YAML document; pydantic's `ValidationError` says what is wrong in it."""
        return cls.model_validate(yaml.safe_load(text))

    def of(self, kind: DecisionType) -> RulesOfType:
        """Return the rules of a kind."""
        rules: RulesOfType = getattr(self, kind)
        return rules


@cache
def shipped_rules() -> DecisionRules:
    """Return the rules that come with the program."""
    return DecisionRules.parse(files(__package__).joinpath("decision_rules.yaml").read_bytes())


@dataclass(frozen=True, kw_only=True)
class DeploymentDecision:
    """What was decided on a day; fields as in `DeploymentDecisionTable`."""

    type: DecisionType
    subject: str
    day: date
    value: str
    alternatives: tuple[str, ...]
    rule: str
    rules_version: int
    inputs: tuple[Mapping[str, Any], ...]
    confidence: float | None
    urgency: Urgency
    needs_person: bool
    valid_until: date | None
    otherwise: str

    @property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of kind, subject, day, rule and value."""
        said = f"{self.type}|{self.subject}|{self.day}|{self.rule}|{self.value}"
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    def row(self) -> dict[str, Any]:
        """Return its row."""
        return {
            DeploymentDecisionTable.id: self.id,
            DeploymentDecisionTable.type: self.type,
            DeploymentDecisionTable.subject: self.subject,
            DeploymentDecisionTable.value: self.value,
            DeploymentDecisionTable.alternatives: ", ".join(self.alternatives),
            DeploymentDecisionTable.rule: self.rule,
            DeploymentDecisionTable.rules_version: self.rules_version,
            DeploymentDecisionTable.inputs: orjson.dumps(self.inputs).decode(),
            DeploymentDecisionTable.confidence: self.confidence,
            DeploymentDecisionTable.urgency: self.urgency,
            DeploymentDecisionTable.needs_person: self.needs_person,
            DeploymentDecisionTable.valid_until: self.valid_until,
            DeploymentDecisionTable.otherwise: self.otherwise,
        }


def decide(
    kind: DecisionType,
    subject: str,
    figures: Mapping[str, Figure],
    day: date,
    *,
    rules: DecisionRules | None = None,
    in_force: str | None = None,
) -> DeploymentDecision:
    """Return the decision of a kind that reads figures: by its least figure, or by the first rule that holds.

    Parameters
    ----------
    kind, subject
        What is asked, and of whom: an account or a market.
    figures
        By name; those that are not known, or have no value, meet no condition.
    day
        The day after whose close it is asked.
    rules
        None: those that come with the program.
    in_force
        The answer that holds now; a looser one is for a person. None: nothing holds.
    """
    all_rules = rules or shipped_rules()
    own = all_rules.of(kind)
    if own.least_of:
        value, chosen, inputs, confidence = _least(own, figures)
    else:
        held = next((rule for rule in own.rules if all(each.holds(figures) for each in rule.when)), None)
        value, chosen = (own.otherwise, "otherwise") if held is None else (held.value, held.name)
        tried = own.rules if held is None else own.rules[: own.rules.index(held) + 1]
        inputs = [_input(each, figures) for rule in tried for each in rule.when]
        confidence = _sure(held, tried, figures)
    is_looser = in_force in own.values and own.values.index(value) > own.values.index(in_force)
    asks = is_looser or (value in own.person_values and value != in_force)
    return DeploymentDecision(
        type=kind,
        subject=subject,
        day=day,
        value=value,
        alternatives=tuple(other for other in own.values if other != value),
        rule=chosen,
        rules_version=all_rules.version,
        inputs=tuple(inputs),
        confidence=confidence,
        urgency=own.urgency,
        needs_person=asks,
        valid_until=day + timedelta(days=own.valid_days) if asks else None,
        otherwise=(in_force or own.otherwise) if asks else "",
    )


def decisions_of_moves(
    moves: pl.DataFrame, day: date, *, rules: DecisionRules | None = None
) -> list[DeploymentDecision]:
    """Return the moves of a day as decisions that were taken: approvals and retirements.

    Parameters
    ----------
    moves
        By `MoveTable`, of that day.
    day, rules
        As in `decide`.
    """
    found = []
    for rows in moves.partition_by(MoveTable.id, MoveTable.at, MoveTable.end, maintain_order=True):
        way = next((rule for rule in RULES if rule.name == rows[0, MoveTable.rule]), None)
        if way is not None:
            numbers = {row[MoveTable.kind]: row for row in rows.iter_rows(named=True) if row[MoveTable.kind]}
            values = {name: row[MoveTable.value] for name, row in numbers.items()}
            counts = {name: row[MoveTable.n] for name, row in numbers.items()}
            found.append(
                _of_way(way, rows[0, MoveTable.id], values, counts, day, rules or shipped_rules(), is_taken=True)
            )
    return found


def asked_of_a_person(
    id: str, stage: Stage, known: Known, day: date, *, rules: DecisionRules | None = None
) -> list[DeploymentDecision]:
    """Return the questions whether a strategy may take a way that lacks nothing but a person's yes.

    Parameters
    ----------
    id, stage
        Whose, and where it stands.
    known
        What is known of it.
    day, rules
        As in `decide`.
    """
    own, numbers = rules or shipped_rules(), {**known.numbers, "approved": 1.0}
    return [
        _of_way(ruling.rule, id, known.numbers, known.n, day, own, is_taken=False)
        for ruling in rulings(stage, numbers)
        if ruling.allowed and ruling.rule.name in own.approval.person_ways
    ]


def book_decisions(
    lake: Lake, decisions: Sequence[DeploymentDecision], day: date, *, market: str, interval: Interval
) -> list[DeploymentDecision]:
    """Enter the decisions of a day in the lake, those that are not there yet, and return those that now are.

    A question that a person was asked, and that is neither answered nor lapsed, is not asked again.
    """
    where = {"market": market, "interval": interval.name}
    before = read_rows(lake, DeploymentDecisionTable, **where).filter(pl.col("date") < day)
    pending = {
        (row["type"], row["subject"], row["value"])
        for row in before.filter(DeploymentDecisionTable.needs_person).iter_rows(named=True)
        if row[DeploymentDecisionTable.valid_until] >= day
    }
    new = [each for each in decisions if not (each.needs_person and (each.type, each.subject, each.value) in pending)]
    append_rows(lake, DeploymentDecisionTable, [each.row() for each in new], day, **where)
    return new


def _of_way(
    way: MoveRule,
    id: str,
    numbers: Mapping[Any, float | None],
    counts: Mapping[Any, int],
    day: date,
    rules: DecisionRules,
    *,
    is_taken: bool,
) -> DeploymentDecision:
    kind: DecisionType = "retirement" if way.name in rules.retirement.ways else "approval"
    own = rules.of(kind)
    figures = {
        name: Figure(value, _error(name, value, counts.get(name, 0)), "moves") for name, value in numbers.items()
    }
    conditions = [
        FigureCondition(input=each.kind, relation=each.relation, bound=each.bound)
        for each in way.requirements
        if is_taken or each.kind != "approved"
    ]
    sure = [each.confidence(figures) for each in conditions]
    return DeploymentDecision(
        type=kind,
        subject=id,
        day=day,
        value=way.end,
        alternatives=("stay",),
        rule=way.name,
        rules_version=rules.version,
        inputs=tuple(_input(each, figures) for each in conditions),
        confidence=_least_known(sure),
        urgency=own.urgency,
        needs_person=not is_taken,
        valid_until=None if is_taken else day + timedelta(days=own.valid_days),
        otherwise="" if is_taken else own.otherwise,
    )


def decide_days(
    lake: Lake,
    repository: StrategyRepository,
    figures_of: Callable[[date], Mapping[str, Figure]],
    *,
    market: str,
    interval: Interval,
    through: date,
    equity_usd: float,
    trader: Mapping[str, TraderDays] | None = None,
    in_force: Mapping[DecisionType, str] | None = None,
) -> list[DeploymentDecision]:
    """Decide after every day with marks that has no decisions yet, and return those that were booked.

    Parameters
    ----------
    lake, repository
        Marks, moves and decisions; the documents.
    figures_of
        Returns the figures of the account after a day.
    market, interval
        Whose.
    through
        Last day; a person is asked after this one alone.
    equity_usd, trader
        As for `mark_days`.
    in_force
        Answers that hold now, by kind.
    """
    where = {"market": market, "interval": interval.name}
    booked: list[DeploymentDecision] = []
    moves = read_rows(lake, MoveTable, **where)
    for day in sorted(set(moves["date"])):
        taken = decisions_of_moves(moves.filter(pl.col("date") == day), day)
        booked += book_decisions(lake, taken, day, market=market, interval=interval)
    held = read_rows(lake, DeploymentDecisionTable, **where).filter(pl.col(DeploymentDecisionTable.subject) == ACCOUNT)
    last = max(held["date"], default=date.min)
    for day in lake.table(EvidenceDayTable).days(**where):
        if last < day <= through:
            figures = figures_of(day)
            holds = in_force or {}
            own = [decide(kind, ACCOUNT, figures, day, in_force=holds.get(kind)) for kind in ACCOUNT_KINDS]
            booked += book_decisions(lake, own, day, market=market, interval=interval)
    for document in repository.load_all().documents:
        if (document.provenance.market, document.interval) == (market, interval.name) and document.stage in MONEY:
            now = timestamp(through + timedelta(days=1))
            known = known_of(lake, repository, document.id, now=now, equity_usd=equity_usd, trader=trader)
            asked = asked_of_a_person(document.id, document.stage, known, through)
            booked += book_decisions(lake, asked, through, market=market, interval=interval)
    return booked


def stored_decisions(lake: Lake, today: date) -> list[dict[str, Any]]:
    """Return all decisions with `market`, `interval`, `date` and `state`; open ones first, then the newest.

    Parameters
    ----------
    lake
        The lake.
    today
        The day on which it is asked how they stand.
    """
    found = []
    for folder in sorted((lake.root / DeploymentDecisionTable.dataset).glob("market=*/interval=*")):
        market, interval = (level.partition("=")[2] for level in folder.parts[-2:])
        answers = read_rows(lake, DecisionAnswerTable, market=market, interval=interval)
        for row in read_rows(lake, DeploymentDecisionTable, market=market, interval=interval).iter_rows(named=True):
            inputs = orjson.loads(row[DeploymentDecisionTable.inputs])
            where = {"market": market, "interval": interval, "state": state_of(row, answers, today)}
            found.append({**row, **where, DeploymentDecisionTable.inputs: inputs})
    return sorted(found, key=lambda row: (row["state"] != "open", -row["date"].toordinal(), row["type"], row["id"]))


def waiting_decisions(lake: Lake, today: date) -> list[dict[str, Any]]:
    """Return the decisions that wait for a person's word on a day, as `stored_decisions` returns them."""
    return [row for row in stored_decisions(lake, today) if row["state"] == "open"]


def _least(own: RulesOfType, figures: Mapping[str, Figure]) -> tuple[str, str, list[Mapping[str, Any]], float | None]:
    known = {name: figures[name] for name in own.least_of if name in figures and figures[name].value is not None}
    inputs: list[Mapping[str, Any]] = [
        {"input": name, "value": figures[name].value if name in figures else None, "source": _source(name, figures)}
        for name in own.least_of
    ]
    if not known:
        return "0", "nothing is known", inputs, None
    name, least = min(known.items(), key=lambda item: (item[1].value, own.least_of.index(item[0])))
    assert least.value is not None
    others = [figure.value for other, figure in known.items() if other != name and figure.value is not None]
    error = least.error
    sure = None if error is None else _beyond(min(others), least.value, error) if others else 1.0
    return str(math.floor(least.value)), name, inputs, sure


def _sure(held: DecisionRule | None, tried: Sequence[DecisionRule], figures: Mapping[str, Figure]) -> float | None:
    """Return the least probability that each rule which was tried holds, or fails, as measured."""
    parts: list[float | None] = []
    for rule in tried:
        if rule is held:
            parts += [each.confidence(figures) for each in rule.when]
        else:  # one condition that surely fails is enough
            failing = [each.confidence(figures) for each in rule.when if not each.holds(figures)]
            parts.append(max((sure for sure in failing if sure is not None), default=None))
    return _least_known(parts)


def _least_known(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return min(known) if known and len(known) == len(parts) else None


def _beyond(value: float, bound: float, error: float) -> float:
    return 1.0 if error == 0.0 else NormalDist().cdf(abs(value - bound) / error)


def _error(kind: str, value: float | None, n: int) -> float | None:
    if kind not in _P_VALUES:
        return 0.0
    return None if value is None or n <= 1 else math.sqrt(value * (1.0 - value) / n)


def _input(condition: FigureCondition, figures: Mapping[str, Figure]) -> Mapping[str, Any]:
    figure = figures.get(condition.input, Figure(None))
    return {
        "input": condition.input,
        "value": figure.value,
        "error": figure.error,
        "relation": condition.relation,
        "bound": condition.bound,
        "source": figure.source,
    }


def _source(name: str, figures: Mapping[str, Figure]) -> str:
    return figures[name].source if name in figures else ""
