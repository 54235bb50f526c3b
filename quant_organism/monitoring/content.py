"""What the report of a cycle says, as plain data: filled by whoever ran the cycle, drawn and written by this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import orjson

if TYPE_CHECKING:
    from quant_organism.deployment import ExecutedStrategy

SCHEMA_VERSION = "4"


@dataclass(frozen=True, kw_only=True)
class DataRow:
    """One symbol of the market that was looked at.

    Parameters
    ----------
    symbol
        Its name.
    first, last
        First and last day with bars, ``YYYY-MM-DD``.
    bars
        Valid bars in the panel.
    score
        Data quality in [0, 1].
    note
        What a reader should know: listed late, gaps; empty when all is well.
    """

    symbol: str
    first: str
    last: str
    bars: int
    score: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class GenerationRow:
    """State of the search after a generation.

    Parameters
    ----------
    generation
        0 is the random first one.
    trials, feasible
        Unique genomes evaluated so far, and those that traded enough to be judged.
    hypervolume
        Volume that the population's objectives dominate.
    best_sharpe, median_sharpe, best_consistency, median_consistency, best_max_drawdown, median_max_drawdown, \
best_turnover_per_year, median_turnover_per_year
        Best and median of each objective in the population, in-sample; nan when nothing is feasible.
    """

    generation: int
    trials: int
    feasible: int
    hypervolume: float
    best_sharpe: float
    median_sharpe: float
    best_consistency: float
    median_consistency: float
    best_max_drawdown: float
    median_max_drawdown: float
    best_turnover_per_year: float
    median_turnover_per_year: float


@dataclass(frozen=True, kw_only=True)
class PopulationPoint:
    """One genome of the search with its in-sample objectives; `on_front` where no other dominates it."""

    family: str
    sharpe: float
    max_drawdown: float
    turnover_per_year: float
    consistency: float
    on_front: bool


@dataclass(frozen=True, kw_only=True)
class LineageRow:
    """One genome in the line of descent of what was put forward.

    Parameters
    ----------
    trial
        Its number in the search.
    id, family
        Who it is.
    generation
        In which it was measured.
    operator
        What made it: `founder`, `favoured`, `immigrant`, `archive` (handed in by the cycle before), `crossover` or
        `mutation`.
    mother, father
        Trial numbers of its parents; None where there is none. A child is always of its mother's family.
    sharpe
        Its annual net Sharpe ratio, in-sample.
    put_forward_in
        The candidates that it is a member of; none for those who are ancestors only.
    """

    trial: int
    id: str
    family: str
    generation: int
    operator: str
    mother: int | None
    father: int | None
    sharpe: float
    put_forward_in: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ReportedGate:
    """A gate's verdict on a candidate: measured value (nan when there is none), bound, and the reason in words.

    `needed_for` names the stages of life that the gate stands before; none where it only informs.
    """

    stage: str
    gate: str
    needed_for: Sequence[str]
    status: Literal["passed", "failed", "not_run", "not_applicable"]
    value: float
    threshold: float
    reason: str

    @property
    def closes(self) -> bool:
        """Whether it keeps the candidate from the stages of life that it stands before."""
        return self.status in ("failed", "not_run")


@dataclass(frozen=True, kw_only=True)
class CandidateRow:
    """A strategy that the search put forward.

    Parameters
    ----------
    id
        Its identity.
    origin
        Where it came from: the committee, by what it is made of, or a champion.
    members
        Number of genomes.
    score
        Annual net Sharpe ratio on unseen days, in sample where there are none; nan when undefined, or when they were
        not opened for it.
    standing, why
        What it has earned, and in a sentence why not more.
    gates
        Verdicts in the order in which they were given, the same gates for every candidate.
    """

    id: str
    origin: str
    members: int
    score: float
    standing: Literal["fallen", "shadow", "paper"]
    why: str
    gates: Sequence[ReportedGate]

    @property
    def passed(self) -> bool:
        """True if it has earned a place in the shadow pool or more."""
        return self.standing != "fallen"

    @property
    def stopped_by(self) -> ReportedGate | None:
        """The first gate that keeps it from the next stage of life."""
        goal = {"fallen": "shadow", "shadow": "paper"}.get(self.standing)
        return next((gate for gate in self.gates if goal in gate.needed_for and gate.closes), None)


@dataclass(frozen=True, kw_only=True)
class DecisionRow:
    """What the deployment step did with a strategy, why, and the stage that it is in now."""

    id: str
    action: Literal["deploy", "wait", "keep"]
    reason: str
    stage: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Equity of a strategy, 1 before the first day, one value per day of `CycleReport.curve_days`."""

    id: str
    values: Sequence[float]
    highlighted: bool = False


@dataclass(frozen=True, kw_only=True)
class ReportedSpan:
    """A named span of days, both ends included; `unseen` where the search did not see it."""

    label: str
    start: str
    end: str
    unseen: bool


@dataclass(frozen=True, kw_only=True)
class CycleReport:
    """Everything that the report of one cycle says.

    Parameters
    ----------
    title
        Headline.
    market, date, interval
        Which market, the cycle's date (nothing later was seen), the bars.
    provenance
        Names and values from which every number can be computed again.
    summary
        The result in plain words, a few sentences.
    data
        One row per symbol.
    search
        One row per generation.
    population
        Genomes of the search, or a sample of them.
    family_shares
        Share of each family among the seats of all islands, in [0, 1], after each generation of `search`.
    genealogy
        The genomes of all candidates and the mothers that they descend from, by trial number.
    trial_budget
        How good the best of so many trials would look without any skill, in words; empty when nothing was tried.
    candidates
        What was judged, in the order put forward.
    accounts
        What accounts of several sizes execute of the survivors, by identity.
    decisions
        What was deployed, and what was not.
    curve_days, curves, spans
        Days (``YYYY-MM-DD``) of the equity curves, the curves, and the spans to mark; empty for no picture.
    limits
        What this does not prove, one sentence each.
    tear_sheets
        Paths of the candidates' tear sheets, from the report's folder on, by identity.
    """

    title: str
    market: str
    date: str
    interval: str
    provenance: Mapping[str, str | int]
    summary: Sequence[str]
    data: Sequence[DataRow]
    search: Sequence[GenerationRow]
    population: Sequence[PopulationPoint]
    family_shares: Mapping[str, Sequence[float]]
    genealogy: Sequence[LineageRow]
    trial_budget: str
    candidates: Sequence[CandidateRow]
    decisions: Sequence[DecisionRow]
    curve_days: Sequence[str]
    curves: Sequence[Curve]
    spans: Sequence[ReportedSpan]
    limits: Sequence[str]
    tear_sheets: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, ExecutedStrategy] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return canonical JSON: sorted keys, no spaces, undefined numbers as null. Equal reports, equal bytes."""
        return orjson.dumps(
            {"schema_version": SCHEMA_VERSION, "report": self},
            option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY,
        )
