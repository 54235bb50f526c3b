"""Who may move to which stage of life, on what evidence: one table, and the function that reads it.

The table is read by the machine every night, by the repository before it writes a move, and by the simulated year of
`make bench NAME=year`. A number that is not known meets no requirement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from quant_organism.deployment.moves import LONGEST_TEXT, Actor, EvidenceRecord, Kind
from quant_organism.deployment.stages import Stage
from quant_organism.errors import InputError

Relation = Literal["at least", "at most", "above", "below"]

WEALTH_FOR_THE_NIGHT: Final = 1.748163
"""Starting wealth that opens paper in the night of birth: Fisher's .10."""

WEALTH_FOR_THE_NIGHT_STRICT: Final = 2.679521
"""The same in the profile `strict`: Fisher's .05."""

WEALTH_FOR_PAPER: Final = 12.0
WEALTH_FOR_MONEY: Final = 20.0
WEALTH_TO_CHALLENGE: Final = 10.0
"""Wealth of the bet on a pair from which on the newcomer takes the seat."""

HARD_DRAWDOWN: Final = 0.2
"""Loss from its highest equity that ends a strategy: twice the one at which an account closes everything."""

LEAST_CANARY: Final = 0.01
"""Share of the capital that a canary gets at least; more where the strategy needs more to be carried out."""

FALSE_DISCOVERIES: Final = 0.2
"""q: share of false discoveries among those that reach full money."""

BIRTHS_COUNTED_DAYS: Final = 730
"""Days over which the births of a market are counted for full money."""

MOST_IN_SHADOW: Final = 10
MOST_SEATED: Final = 10
LIKE_LIVING: Final = 0.9
LIKE_SEATED: Final = 0.7
JUDGED_DAYS: Final = 90
"""Days for which one that failed its look, or a near copy of it, may not be offered again."""

SEATED: Final[tuple[Stage, ...]] = ("paper", "testnet", "canary", "live")
"""Stages that take a seat: paper and beyond."""


def meets(value: float | None, relation: Relation, bound: float) -> bool:
    """Tell whether a number keeps a bound; never where it is not known (none, nan)."""
    if value is None:
        return False
    if relation == "at least":
        return value >= bound
    if relation == "at most":
        return value <= bound
    return value > bound if relation == "above" else value < bound


@dataclass(frozen=True, slots=True)
class Requirement:
    """One number and its bound."""

    kind: Kind
    relation: Relation
    bound: float

    def met_by(self, value: float | None) -> bool:
        """Tell whether a number meets it; never where it is not known (none, nan)."""
        return meets(value, self.relation, self.bound)

    def refusal(self, value: float | None) -> str:
        """Say by name why it is not met."""
        known = "is not known" if value is None or value != value else f"is {value:.6g}"
        return f"{self.kind} {known}, {self.relation} {self.bound:.6g} needed"


@dataclass(frozen=True, slots=True)
class MoveRule:
    """A way from one stage to another.

    Parameters
    ----------
    name
        What moves say of it; unique.
    starts
        Stages that it leads from.
    end
        Where it leads.
    requirements
        All of them have to be met.
    by
        Who may take it: the machine by itself, or a person.
    """

    name: str
    starts: tuple[Stage, ...]
    end: Stage
    requirements: tuple[Requirement, ...]
    by: Actor = "machine"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the table says of one way.

    Attributes
    ----------
    rule
        The way.
    refusals
        Every requirement that is not met, by name; empty: it may be taken.
    """

    rule: MoveRule
    refusals: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Whether it may be taken."""
        return not self.refusals


def _needs(*parts: tuple[Kind, Relation, float]) -> tuple[Requirement, ...]:
    return tuple(Requirement(*part) for part in parts)


_BIRTH = _needs(
    ("pretest_p", "at most", 0.1),
    ("gates", "at least", 1.0),
    ("near_living", "at most", LIKE_LIVING),
    ("near_judged", "at most", LIKE_LIVING),
    ("in_shadow", "below", MOST_IN_SHADOW),
)
_SEAT = _needs(
    ("seated", "below", MOST_SEATED),
    ("near_seated", "at most", LIKE_SEATED),
    ("trade_parity", "at least", 1.0),
    ("perturbations", "at least", 1.0),
)
_LIVING: Final[tuple[Stage, ...]] = ("born", "shadow", "paper", "testnet", "canary", "live", "decaying")

_ENOUGH_ON_PAPER: Final[tuple[tuple[str, tuple[Kind, Relation, float]], ...]] = (
    ("paper by trades", ("closed_trades", "at least", 20)),
    ("paper by days", ("stage_days", "at least", 28)),
)

RULES: Final[tuple[MoveRule, ...]] = (
    # Ends come first: who has to go is not promoted in the same night.
    MoveRule("hard limit", _LIVING, "retired", _needs(("hard_limit", "at least", 1.0))),
    MoveRule("by a person", _LIVING, "retired", _needs(("approved", "at least", 1.0)), by="person"),
    MoveRule("look failed", ("born",), "retired", _needs(("unseen_p", "above", 0.5))),
    MoveRule("wealth lost", ("shadow",), "retired", _needs(("wealth", "below", 0.2))),
    MoveRule("shadow expired", ("shadow",), "retired", _needs(("stage_days", "at least", 365))),
    MoveRule("decay expired", ("decaying",), "retired", _needs(("stage_days", "at least", 90))),
    MoveRule("shortfall", SEATED, "decaying", _needs(("shortfall", "above", 25.0))),
    MoveRule("size factor", SEATED, "decaying", _needs(("low_factor_days", "at least", 30))),
    MoveRule("drawdown", SEATED, "decaying", _needs(("drawdown_share", "above", 1.0))),
    MoveRule("beaten by a twin", SEATED, "decaying", _needs(("challenger_wealth", "at least", WEALTH_TO_CHALLENGE))),
    MoveRule(
        "recovered",
        ("decaying",),
        "shadow",
        _needs(
            ("stage_days", "at least", 30),
            ("recent_sum", "above", 0.0),
            ("size_factor", "at least", 0.5),
            ("shortfall", "at most", 25.0),
        ),
    ),
    MoveRule("one look", ("born",), "shadow", (*_BIRTH, *_needs(("unseen_p", "at most", 0.5)))),
    MoveRule("no look", ("born",), "shadow", (*_BIRTH, *_needs(("search_p", "at most", 1.0)))),
    MoveRule(
        "night door",
        ("shadow",),
        "paper",
        (
            *_needs(
                ("starting_wealth", "at least", WEALTH_FOR_THE_NIGHT),
                ("unseen_p", "at most", 0.25),
                ("stage_days", "at most", 0),
                ("old_days", "at least", 1.0),
            ),
            *_SEAT,
        ),
    ),
    MoveRule(
        "day door",
        ("shadow",),
        "paper",
        (*_needs(("wealth", "at least", WEALTH_FOR_PAPER), ("recent_sum", "above", 0.0)), *_SEAT),
    ),
    MoveRule(
        "standby",
        ("shadow",),
        "paper",
        (
            *_needs(
                ("holder_decaying", "at least", 1.0),
                ("near_holder", "above", LIKE_SEATED),
                ("near_holder", "at most", LIKE_LIVING),
                ("wealth", "at least", 5.0),
                ("recent_sum", "above", 0.0),
            ),
            *_SEAT,
        ),
    ),
    MoveRule(
        "challenge",
        ("shadow",),
        "paper",
        (
            *_needs(
                ("paired_wealth", "at least", WEALTH_TO_CHALLENGE),
                ("near_holder", "above", LIKE_SEATED),
                ("near_holder", "at most", LIKE_LIVING),
            ),
            *_SEAT,
        ),
    ),
    *(
        MoveRule(
            name,
            ("paper",),
            "testnet",
            _needs(
                ("stage_days", "at least", 7),
                enough,
                ("trade_parity", "at least", 1.0),
                ("slippage_ratio", "at most", 2.0),
                ("own_breakers", "at most", 0),
                ("recent_rank", "at least", 0.05),
            ),
        )
        for name, enough in _ENOUGH_ON_PAPER
    ),
    MoveRule(
        "canary",
        ("testnet",),
        "canary",
        _needs(
            ("stage_days", "at least", 7),
            ("reconciled_days", "at least", 7),
            ("recent_sum", "above", 0.0),
            ("capital_share", "at most", 0.1),
            ("approved", "at least", 1.0),
        ),
        by="person",
    ),
    MoveRule(
        "full money",
        ("canary",),
        "live",
        _needs(
            ("wealth", "at least", WEALTH_FOR_MONEY),
            ("discovery", "at least", 1.0),
            ("fresh_days", "at least", 60),
            ("fresh_wealth", "at least", 2.0),
            ("recent_sum", "above", 0.0),
            ("approved", "at least", 1.0),
        ),
        by="person",
    ),
)
"""Every way there is, in the order in which they are tried."""

MONEY: Final[frozenset[Stage]] = frozenset({"testnet", "canary", "live"})
"""Stages that are entered at the repository's own time and no other."""

_FROM: Final[Mapping[Stage, tuple[MoveRule, ...]]] = {
    stage: tuple(rule for rule in RULES if stage in rule.starts) for stage in get_args(Stage)
}

MOVES: Final[Mapping[Stage, tuple[Stage, ...]]] = {
    stage: tuple(end for end in get_args(Stage) if any(rule.end == end for rule in rules))
    for stage, rules in _FROM.items()
}
"""From each stage, the stages that a rule leads to."""


def next_move(stage: Stage, numbers: Mapping[Kind, float], *, strict: bool = False) -> MoveRule | None:
    """Return the way that the machine takes from a stage on the evidence at hand; None: it stays.

    Parameters
    ----------
    stage
        Where it stands.
    numbers
        What is known of it.
    strict
        Ask for the starting wealth of the profile `strict` before paper.
    """
    for rule in _FROM[stage]:
        if rule.by == "machine" and all(
            requirement.met_by(numbers.get(requirement.kind)) for requirement in _requirements(rule, strict)
        ):
            return rule
    return None


def rulings(
    stage: Stage, numbers: Mapping[Kind, float], *, to: Stage | None = None, strict: bool = False
) -> list[Ruling]:
    """Return what every way from a stage, or every way to another, says of the evidence, in the table's order."""
    return [
        Ruling(
            rule,
            tuple(
                requirement.refusal(numbers.get(requirement.kind))
                for requirement in _requirements(rule, strict)
                if not requirement.met_by(numbers.get(requirement.kind))
            ),
        )
        for rule in _FROM[stage]
        if to is None or rule.end == to
    ]


def records_of(
    rule: MoveRule,
    numbers: Mapping[Kind, float],
    *,
    source: str,
    n: Mapping[Kind, int] | None = None,
    sources: Mapping[Kind, str] | None = None,
) -> tuple[EvidenceRecord, ...]:
    """Return the records that a move by a rule carries: each number with its bound.

    Parameters
    ----------
    rule
        By which it moves.
    numbers
        What is known; a number that the rule does not ask for is left out.
    source
        Hash of the rows that the numbers come from.
    n
        How many observations a number rests on, 1 where nothing is said.
    sources
        Of the numbers that come from other rows.
    """
    counts, others = n or {}, sources or {}
    return tuple(
        EvidenceRecord(
            kind=requirement.kind,
            value=numbers[requirement.kind],
            bound=requirement.bound,
            n=counts.get(requirement.kind, 1),
            source=others.get(requirement.kind, source),
        )
        for requirement in rule.requirements
        if requirement.kind in numbers
    )


def ruling_on(stage: Stage, to: Stage, records: Sequence[EvidenceRecord], *, by: Actor) -> Ruling | None:
    """Return the way to a stage that records open, else the one that they fail by least; None: none leads there.

    Parameters
    ----------
    stage, to
        From where to where.
    records
        What is shown for it.
    by
        Who wants it: a person may take every way, the machine only its own.
    """
    numbers = {record.kind: record.value for record in records if record.value is not None}
    found = rulings(stage, numbers, to=to)
    own = [ruling for ruling in found if ruling.rule.by == "machine" or by == "person"]
    return min(own or found, key=lambda ruling: (len(ruling.refusals), ruling.rule.by != by), default=None)


def check_move(
    stage: Stage,
    to: Stage,
    *,
    reason: str,
    records: Sequence[EvidenceRecord],
    by: Actor,
    days: int,
    where: str,
) -> MoveRule:
    """Return the way by which a move goes, or refuse it.

    Parameters
    ----------
    stage, to, reason, records, by
        The move.
    days
        Whole days in its stage, as the clock says; a record that says more is refused.
    where
        Whose move it is, for messages.

    Raises
    ------
    InputError
        No way leads there, the reason is missing or too long, or the records do not open the way: every requirement
        that is not met is named.
    """
    if to not in MOVES[stage]:
        ways = ", ".join(MOVES[stage]) or "none: it is the last stage"
        raise InputError(f"no move leads from {stage} to {to}", where=where, remedy=f"moves from {stage}: {ways}")
    if not reason.strip():
        raise InputError(f"the move from {stage} to {to} has no reason", where=where, remedy="give the reason")
    if len(reason) > LONGEST_TEXT:
        raise InputError(
            f"the reason of the move to {to} has {len(reason)} characters",
            where=where,
            remedy=f"summarise it in at most {LONGEST_TEXT}; the numbers belong into the records",
        )
    claimed = [record.value for record in records if record.kind == "stage_days"]
    if claimed and max(claimed) > days:
        raise InputError(
            f"the records of the move to {to} say {max(claimed):g} days in {stage}, the clock says {days}",
            where=where,
            remedy="wait until they are over",
        )
    ruling = ruling_on(stage, to, records, by=by)
    if ruling is None or not ruling.allowed:
        refusals = "; ".join(ruling.refusals) if ruling else f"no way to {to}"
        raise InputError(f"the move from {stage} to {to} is refused: {refusals}", where=where, remedy=_PROVE)
    if ruling.rule.by == "person" and by == "machine":
        raise InputError(f"the move from {stage} to {to} is for a person", where=where, remedy=_ASK)
    return ruling.rule


_PROVE: Final = "see what it lacks with: quant-organism strategies performance ID"
_ASK: Final = "a person takes it with: quant-organism strategies move ID STAGE --reason ..."


def _requirements(rule: MoveRule, strict: bool) -> tuple[Requirement, ...]:
    return _STRICT if strict and rule.name == "night door" else rule.requirements


_STRICT: Final = tuple(
    Requirement(r.kind, r.relation, WEALTH_FOR_THE_NIGHT_STRICT) if r.kind == "starting_wealth" else r
    for r in next(rule for rule in RULES if rule.name == "night door").requirements
)
