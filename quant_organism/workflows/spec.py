"""What a workflow file may say: every key with its type, read strictly, and refused with its path and the nearest name.

What a phase means beside the others (inheritance, order, grids, days seen twice) belongs to `plan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from quant_organism.errors import InputError
from quant_organism.evolution.objectives import KNOWN_OBJECTIVES
from quant_organism.strategies.handwritten.load import MAX_BYTES, parse

SCHEMA_VERSION: Final = 1

PhaseSpan = Literal["in_sample", "out_of_sample", "walk_forward", "unseen", "all"]
"""Days of the panel that a phase looks at; `unseen` are the last two spans of the split together."""

_NAME: Final = r"^[a-z][a-z0-9_]{0,39}$"
_LABEL: Final = r"^[A-Za-z][A-Za-z0-9_-]{0,39}$"
_METRIC_ALIASES: Final = {"sharpe_ratio": "sharpe", "sortino_ratio": "sortino", "drawdown": "max_drawdown"}


class _Part(BaseModel):
    """A mapping of the file; keys that it does not have are refused with the nearest that it has."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and (unknown := [key for key in value if key not in cls.model_fields]):
            key, known = str(unknown[0]), sorted(cls.model_fields)
            raise PydanticCustomError(
                "unknown_key", "no such key", {"key": key, "remedy": nearest(key, known, "keys here")}
            )
        return value


class StrategyEntry(_Part):
    """One strategy of a phase: a family, a plain type, a document of conditions, or a stored strategy.

    Parameters
    ----------
    name
        What grids and results call it.
    type
        A family, one of the plain types (momentum, mean_reversion, ...), `conditions` or `stored`.
    parameters
        Genes of a family, or parameters of a plain type; what is left out stands at its default.
    document
        With `conditions`: path of a document, from the workflow's folder, or the document itself.
    id
        With `stored`: identity of the strategy.
    """

    name: str = Field(pattern=_LABEL)
    type: str
    parameters: dict[str, Any] = {}
    document: Any = None
    id: str | None = None


class SizerSpec(_Part):
    """How large positions are: `fixed` with `size` in USD, `percentage` with `percentage` of equity."""

    name: str = Field(pattern=_LABEL)
    type: Literal["fixed", "percentage"]
    size: float | None = Field(None, gt=0, allow_inf_nan=False)
    percentage: float | None = Field(None, gt=0, le=100, allow_inf_nan=False)

    @model_validator(mode="after")
    def _its_own_number(self) -> Self:
        own, other = ("size", "percentage") if self.type == "fixed" else ("percentage", "size")
        if getattr(self, own) is None or getattr(self, other) is not None:
            raise PydanticCustomError(
                "sizer",
                "a sizer of type {type} has {own} and no {other}",
                {"type": self.type, "own": own, "other": other},
            )
        return self


class RiskSpec(_Part):
    """Sizers of a phase; several multiply out."""

    position_sizers: list[SizerSpec] = Field(min_length=1)


class ObjectiveSpec(_Part):
    """By what strategies are ranked.

    Parameters
    ----------
    metric
        One of the objectives of the search.
    min_trades
        Closed trades below which a strategy cannot win.
    max_drawdown
        Maximum drawdown above which it cannot.
    neighbours
        Rank a point of a grid by the mean over itself and the points so many steps away along one parameter.
    """

    metric: str = "sharpe"
    min_trades: int = Field(5, ge=0)
    max_drawdown: float | None = Field(None, gt=0, le=1)
    neighbours: int = Field(0, ge=0, le=3)

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str) -> str:
        name = _METRIC_ALIASES.get(metric, metric)
        if name not in KNOWN_OBJECTIVES:
            raise PydanticCustomError(
                "metric", "no objective {metric}", {"metric": repr(metric), "remedy": nearest(metric, KNOWN_OBJECTIVES)}
            )
        return name


class OptimizationSpec(_Part):
    """What is tried, and what for.

    Parameters
    ----------
    objective
        A metric, or a mapping of `ObjectiveSpec`.
    parameters
        By `<strategy>.<parameter>`: a list of values, or for random points `{low, high}`.
    draws
        Points of a random search.
    """

    objective: ObjectiveSpec = ObjectiveSpec()
    parameters: dict[str, Any] = {}
    draws: int = Field(100, ge=1, le=100_000)

    @field_validator("objective", mode="before")
    @classmethod
    def _metric_alone(cls, value: Any) -> Any:
        return {"metric": value} if isinstance(value, str) else value


class AggregationSpec(_Part):
    """How the strategies of a phase are made one: equal weights, or weights by name."""

    method: Literal["mean", "weights", "vote"]
    weights: dict[str, float] = {}

    @model_validator(mode="after")
    def _weights_where_they_count(self) -> Self:
        if (self.method == "weights") != bool(self.weights):
            raise PydanticCustomError("weights", "weights belong to method weights, and to no other", {})
        if any(not weight > 0 for weight in self.weights.values()):
            raise PydanticCustomError("weights", "a weight is more than 0", {})
        return self


class BudgetSpec(_Part):
    """What a phase, or all of them, may take; hours and money are the whole workflow's where it states them."""

    hours: float | None = Field(None, gt=0, allow_inf_nan=False)
    cost_usd: float | None = Field(None, gt=0, allow_inf_nan=False)
    cost_per_worker_hour_usd: float | None = Field(None, gt=0, allow_inf_nan=False)
    evaluations: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _a_price_for_a_cost(self) -> Self:
        if self.cost_usd is not None and self.cost_per_worker_hour_usd is None:
            raise PydanticCustomError("price", "a cost is limited, but cost_per_worker_hour_usd is not said", {})
        return self


class UniverseSpec(_Part):
    """Who of the workflow's market takes part in a phase: these symbols, or all but some."""

    symbols: list[str] | None = Field(None, min_length=1)
    exclude: list[str] = []


class WorkflowMarket(_Part):
    """The market of a workflow; what is left out is said by the options of the command."""

    source: Literal["world", "files", "hyperliquid"] | None = None
    world: str | None = None
    path: str | None = None
    name: str | None = None
    symbols: list[str] | None = Field(None, min_length=1)
    interval: str | None = None
    lookback_days: int | None = Field(None, ge=1)
    min_quality: float | None = Field(None, ge=0, le=1)


class CostsSpec(_Part):
    """What trading costs; what is left out stands at the default, `times` multiplies fees and slippage."""

    taker_fee: float | None = None
    maker_fee: float | None = None
    slippage_bps: float | None = None
    charge_funding: bool | None = None
    leverage: float | None = None
    times: float = Field(1.0, ge=0, le=100, allow_inf_nan=False)


class SignificanceSpec(_Part):
    """What is spent on the tests of luck of an evolution."""

    strategies: int | None = Field(None, ge=1)
    copies: int | None = Field(None, ge=1)
    searches: int | None = Field(None, ge=1)


class CheckSpec(_Part):
    """One line of an analysis: a statistic of a metric over the results of a phase, against a bound.

    Parameters
    ----------
    name
        What the table calls it.
    phase
        Whose results.
    metric
        A metric of them, `strategies` (how many), or `passed` (share that passed).
    statistic
        Over the rows.
    at_least, at_most
        The bound; without, the number is only shown.
    """

    name: str
    phase: str
    metric: str = "sharpe"
    statistic: Literal["best", "median", "mean", "worst", "count"] = "best"
    at_least: float | None = Field(None, allow_inf_nan=False)
    at_most: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if self.at_least is not None and self.at_most is not None:
            raise PydanticCustomError("bound", "give at_least or at_most, not both", {})
        return self


class PhaseSpec(_Part):
    """One phase. Which keys a type reads, `workflow patterns` lists.

    Parameters
    ----------
    name, type
        Unique name; the pattern.
    description
        For people.
    inherit_best_from, top
        Earlier phase whose best strategies are taken over, and how many; ties go by identity.
    strategies, risk, aggregate
        What is traded, how large, and whether as one.
    market, costs
        What differs from the workflow's.
    optimization, method, evolution, significance
        What is tried and what for; how; fields of an evolution's spec; what is spent on tests of luck.
    founders_in_regions
        Share of an evolution's founders that is drawn in regions which past runs have confirmed.
    span, in_sample
        Days that are looked at; `mark` to look at days that an optimisation saw, and have the results marked.
    folds, train_share, draws, mode
        Test windows of a walk forward; share of the days to choose on; draws of a Monte Carlo; periods of a replay.
    gates, every_gate
        Profile of the gauntlet.
    phases, checks
        What an analysis reads, and asks.
    file, function, options
        A pattern of your own.
    budget
        What it may take.
    """

    name: str = Field(pattern=_NAME)
    type: str
    description: str = ""
    inherit_best_from: str | None = None
    top: int = Field(1, ge=1, le=1_000)
    strategies: list[StrategyEntry] = []
    risk: RiskSpec | None = None
    aggregate: AggregationSpec | None = None
    market: UniverseSpec = UniverseSpec()
    costs: CostsSpec = CostsSpec()
    optimization: OptimizationSpec = OptimizationSpec()
    method: Literal["grid", "random", "evolution"] = "grid"
    evolution: dict[str, Any] = {}
    significance: SignificanceSpec = SignificanceSpec()
    founders_in_regions: float = Field(0.0, ge=0.0, le=0.2)
    span: PhaseSpan | None = None
    in_sample: Literal["refuse", "mark"] = "refuse"
    folds: int = Field(4, ge=2, le=100)
    train_share: float = Field(0.7, ge=0.1, le=0.9)
    draws: int = Field(1_000, ge=10, le=100_000)
    mode: Literal["minimal", "fast", "full"] = "minimal"
    gates: str = "light"
    every_gate: bool = False
    phases: list[str] = []
    checks: list[CheckSpec] = []
    file: str | None = None
    function: str | None = None
    options: dict[str, Any] = {}
    budget: BudgetSpec = BudgetSpec()

    @model_validator(mode="after")
    def _each_strategy_once(self) -> Self:
        for what, names in (
            ("strategies", [strategy.name for strategy in self.strategies]),
            ("position sizers", [sizer.name for sizer in self.risk.position_sizers] if self.risk else []),
            ("checks", [check.name for check in self.checks]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise PydanticCustomError("twice", "two {what} are called {name}", {"what": what, "name": twice[0]})
        return self


class WorkflowSpec(_Part):
    """A whole workflow.

    Parameters
    ----------
    schema_version
        Version of this form.
    name, type, description
        What it is called; `multi_phase`, or the pattern of a workflow of one phase.
    market, costs, seed, equity_usd
        What all phases share.
    budget
        Hours and money: half for optimisation, 37.5 % for judging, 12.5 % for deployment.
    schedule
        Cron line of the Dagster component.
    phases
        In their order.
    """

    schema_version: int = Field(SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    name: str = Field(pattern=_NAME)
    type: str = "multi_phase"
    description: str = ""
    market: WorkflowMarket = WorkflowMarket()
    costs: CostsSpec = CostsSpec()
    seed: int = Field(0, ge=0, lt=2**63)
    equity_usd: float = Field(10_000.0, ge=100, allow_inf_nan=False)
    budget: BudgetSpec = BudgetSpec()
    schedule: str | None = None
    phases: list[PhaseSpec] = Field(min_length=1, max_length=100)


def read_workflow(path: Path) -> WorkflowSpec:
    """Read a workflow's file.

    Raises
    ------
    InputError
        It cannot be read, is not YAML, or says something that a workflow does not have; the message names file, path
        of the key, and the nearest name.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="give the path of a workflow's YAML file"
        ) from None
    return parse_workflow(data, where=str(path))


def parse_workflow(data: bytes, *, where: str = "workflow") -> WorkflowSpec:
    """Return the workflow that a YAML text declares; errors as `read_workflow`."""
    try:
        document = parse(data, as_json=False)
        if not isinstance(document, Mapping) or set(document) != {"workflow"}:
            raise InputError("expected one key, workflow, at the top", remedy="write it as workflow: {name: ..., ...}")
        return _validated(document["workflow"])
    except InputError as error:
        place = f"{where}: {error.where}" if error.where else where
        raise InputError(error.what, where=place, remedy=error.remedy) from None


def nearest(name: str, known: Sequence[str] | Mapping[str, object], what: str = "there are") -> str:
    """Return the remedy for a name that does not exist: the nearest that does, or all."""
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    every = f"{what}: {', '.join(known) or 'none'}"
    return f"did you mean {near[0]}? {every}" if near else every


def _validated(body: Any) -> WorkflowSpec:
    if not isinstance(body, Mapping):
        raise InputError("expected a mapping of keys", where="workflow", remedy="begin with name: and phases:")
    try:
        return WorkflowSpec.model_validate(_with_phases(body))
    except ValidationError as error:
        raise _explained(error) from None


def _with_phases(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a workflow of one phase, which says at its top what the phase does, in the form of all others."""
    if "phases" in body:
        return dict(body)
    shared = set(WorkflowSpec.model_fields)
    kind = body.get("type", "backtest")
    own = {key: value for key, value in body.items() if key not in shared or key == "description"}
    rest = {key: value for key, value in body.items() if key in shared and key != "type"}
    if unknown := [key for key in own if key not in PhaseSpec.model_fields]:
        known = sorted({*shared, *PhaseSpec.model_fields})
        raise InputError("no such key", where=str(unknown[0]), remedy=nearest(str(unknown[0]), known, "keys here"))
    return {**rest, "type": kind, "phases": [{"name": kind, "type": kind, **own}]}


def _explained(error: ValidationError) -> InputError:
    first: Any = error.errors(include_url=False)[0]
    context = first.get("ctx", {})
    parts = [*first["loc"], *([context["key"]] if first["type"] == "unknown_key" else [])]
    where = ""
    for part in parts:
        where += f"[{part}]" if isinstance(part, int) else f"{'.' if where else ''}{part}"
    if first["type"] == "missing":
        return InputError("missing key", where=where, remedy="write it, see docs/workflows.md")
    remedy = str(context["remedy"]) if "remedy" in context else "correct the value, see docs/workflows.md"
    value = first.get("input")
    shown = f", not {value!r}" if isinstance(value, str | int | float | bool) or value is None else ""
    return InputError(
        f"{first['msg']}{shown}" if first["type"] != "unknown_key" else "no such key", where=where, remedy=remedy
    )


def gallery() -> dict[str, Path]:
    """Return the workflows that are shipped, by name."""
    folder = Path(__file__).parent / "gallery"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def workflow_path(source: str) -> Path:
    """Return a workflow's file, by its path or by the name of a shipped one.

    Raises
    ------
    InputError
        There is neither.
    """
    path, shipped = Path(source), gallery()
    if path.exists():
        return path
    if source not in shipped:
        raise InputError(
            "no such file, and no shipped workflow of that name",
            where=source,
            remedy=nearest(path.stem, shipped, "shipped workflows"),
        )
    return shipped[source]
