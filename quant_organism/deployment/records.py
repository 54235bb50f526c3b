"""The parts of a strategy's document: origin, members or code, what validation measured, how it did afterwards."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from quant_organism.deployment.stages import Timestamp
from quant_organism.errors import IntegrityError, QuantOrganismError
from quant_organism.market import cycle_id
from quant_organism.strategies import Committee, Genome, Member

if TYPE_CHECKING:
    from quant_organism.validation import Verdict

SIGNIFICANT_DIGITS = 6
"""Measured numbers carry this many digits: more would say nothing and cost bytes."""

LONGEST_REASON = 800
"""Characters of a stage's verdict in words; the lake has all of it."""


def _rounded(value: object) -> object:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None


Measured = Annotated[float | None, BeforeValidator(_rounded)]
"""A number with six significant digits; none where it is undefined (nan or infinite)."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Provenance(_Record):
    """The cycle that a strategy was born in; enough to compute it again.

    Parameters
    ----------
    market
        Id of the market in the lake.
    date
        Partition date of the cycle, ``YYYY-MM-DD``: nothing later was seen.
    panel_hash, spec_hash
        Content hashes of the data and of the search.
    code_version
        Version of this program.
    seed
        Seed of the search.
    """

    market: str = Field(min_length=1)
    date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    panel_hash: str = Field(min_length=1)
    spec_hash: str = Field(min_length=1)
    code_version: str = Field(min_length=1)
    seed: int = Field(ge=0)

    @property
    def cycle_id(self) -> str:
        """``<market>/<date>/<cycle>``: equal for runs of the same search on the same data with the same seed."""
        return f"{self.market}/{self.date}/{self.cycle}"

    @property
    def cycle(self) -> str:
        """The cycle's identity in the lake, where its records are kept."""
        return cycle_id(self.panel_hash, self.spec_hash, self.seed)


StageStatus = Literal["passed", "failed", "not_run", "not_applicable"]
"""What the gates of a stage came to."""


class StageEvidence(_Record):
    """What one validation stage measured, and its verdict.

    Parameters
    ----------
    metrics
        Measured numbers by name; none where undefined.
    thresholds
        The bound of each gate, by the gate's name.
    status
        ``passed``, ``failed``, ``not_run``, which never counts as passed, or ``not_applicable``: nothing to look at.
    reason
        The verdict in words.
    """

    metrics: Mapping[str, Measured]
    thresholds: Mapping[str, Measured]
    status: StageStatus
    reason: str = Field(min_length=1, max_length=LONGEST_REASON)

    @classmethod
    def of(cls, verdicts: "Sequence[Verdict]", metrics: Mapping[str, float | None]) -> Self:
        """Sum up the gates of one stage.

        Parameters
        ----------
        verdicts
            At least one, all of the same stage. The stage passed if every gate did that had anything to look at; it
            failed if one did.
        metrics
            What else was measured over the stage's span; none where it is undefined.
        """
        statuses = {verdict.status for verdict in verdicts}
        ordered: tuple[StageStatus, ...] = ("failed", "not_run", "passed", "not_applicable")
        status = next(status for status in ordered if status in statuses)
        return cls(
            metrics={**metrics, **{verdict.gate: verdict.value for verdict in verdicts}},
            thresholds={verdict.gate: verdict.threshold for verdict in verdicts},
            status=status,
            reason=_in_words(verdicts, status),
        )


def _in_words(verdicts: "Sequence[Verdict]", status: str) -> str:
    """Return the reasons of a stage, or which gates it had where they are too many to tell."""
    said = [verdict.reason for verdict in verdicts]
    reasons = "; ".join(dict.fromkeys(said) if status == "not_applicable" else said)
    if len(reasons) <= LONGEST_REASON:
        return reasons
    names = ", ".join(verdict.gate.replace("_", " ") for verdict in verdicts if verdict.status == status)
    return f"{status.replace('_', ' ')}: {names}"[:LONGEST_REASON]


class AccountAtBirth(_Record):
    """What an account executed of a strategy on the days that its search did not see, as it was judged.

    On the short line, whose search sees all days, it is what it executed of it on these.

    Parameters
    ----------
    equity_usd
        Of the account, at the start.
    total_return, max_drawdown, sharpe, sharpe_sleeves, tracking_error, orders_per_day
        As in `AccountFigures`; none where undefined.
    costs
        Fees, slippage and funding together, as a share of the first equity.
    min_equity_usd, capacity_usd, capacity_above_usd
        As in `ExecutedStrategy`.
    h1, h2
        First 16 hex digits of the digests of what its members held, and of every order.
    in_sample
        Whether the days are those that its search saw, for want of others; stored where it is so.
    """

    equity_usd: float = Field(gt=0, allow_inf_nan=False)
    total_return: Measured
    max_drawdown: Measured
    sharpe: Measured
    sharpe_sleeves: Measured
    tracking_error: Measured
    orders_per_day: Measured
    costs: Measured
    min_equity_usd: Measured
    capacity_usd: Measured
    capacity_above_usd: Measured
    h1: str = Field(pattern=r"^[0-9a-f]{16}$")
    h2: str = Field(pattern=r"^[0-9a-f]{16}$")
    in_sample: bool = False

    @model_serializer(mode="wrap")
    def _without_the_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name != "in_sample" or value}


class Performance(_Record):
    """How a deployed strategy did over the days before an observation.

    Parameters
    ----------
    observed_at
        When, UTC.
    days
        Days that the numbers cover, up to `observed_at`.
    trades
        Trades closed in them.
    sharpe
        Annual net Sharpe ratio of daily returns; none when undefined.
    total_return, max_drawdown
        Fractions of equity.
    """

    observed_at: Timestamp
    days: int = Field(ge=1)
    trades: int = Field(ge=0)
    sharpe: Measured
    total_return: Measured
    max_drawdown: Measured


class PerformanceSummary(_Record):
    """What remains of the observations that a document no longer lists one by one.

    Parameters
    ----------
    records
        How many there were.
    first_observed_at, last_observed_at
        When they began and ended.
    worst_sharpe, best_sharpe, max_drawdown
        Extremes over all of them; none when never defined.
    """

    records: int = Field(ge=1)
    first_observed_at: Timestamp
    last_observed_at: Timestamp
    worst_sharpe: Measured
    best_sharpe: Measured
    max_drawdown: Measured

    @classmethod
    def of(cls, earlier: "PerformanceSummary | None", record: Performance) -> Self:
        """Fold one more record, the oldest still listed, into the summary."""
        worst, best, drawdown = (
            (earlier.worst_sharpe, earlier.best_sharpe, earlier.max_drawdown) if earlier else (None,) * 3
        )
        return cls(
            records=earlier.records + 1 if earlier else 1,
            first_observed_at=earlier.first_observed_at if earlier else record.observed_at,
            last_observed_at=record.observed_at,
            worst_sharpe=min(_defined(worst, record.sharpe), default=None),
            best_sharpe=max(_defined(best, record.sharpe), default=None),
            max_drawdown=max(_defined(drawdown, record.max_drawdown), default=None),
        )


def _defined(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]


EXTERNAL_FAMILY: Final = "external"
"""What stands where others name the families of their genomes, here as in the ledger of trials."""

_Parameter = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str


class ExternalStrategy(_Record):
    """Code that was judged and held: by its hash, with all that decides what it answers.

    Parameters
    ----------
    name
        What the judge's page called it.
    form
        A function of a panel, or a class as freqtrade has it.
    function
        Name of either in the file; empty: the only class of it.
    source
        SHA-256 (hex) of the file.
    parameters
        That the function is called with, or that the class has been set to.
    rules
        What the class of a freqtrade file declares of its exits; empty of a callable.
    seconds, memory_mb
        Limits of one call.
    trusted
        Whether it was judged, and therefore runs, without walls.
    """

    model_config = ConfigDict(strict=True)

    name: str = Field(min_length=1, max_length=100)
    form: Literal["callable", "freqtrade"]
    function: str = Field(pattern="^([A-Za-z_][A-Za-z0-9_]*)?$")
    source: str = Field(pattern=r"^[0-9a-f]{64}$")
    parameters: Mapping[str, _Parameter] = {}
    rules: Mapping[str, JsonValue] = {}
    seconds: float = Field(gt=0, le=3_600)
    memory_mb: int = Field(ge=512, le=65_536)
    trusted: bool = False

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of file, function and parameters: the identity of the trial in the ledger."""
        return external_hash(self.source, self.function, self.parameters)

    @property
    def id(self) -> str:
        """Identity of the strategy, as those of genomes are made."""
        return external_id(self.hash)

    @property
    def in_words(self) -> list[tuple[str, str]]:
        """What people are shown of it, by name."""
        called = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        return [
            ("name", self.name),
            ("form", self.form),
            ("function", self.function or "the only class"),
            ("source, SHA-256", self.source),
            ("parameters", called or "none"),
            *((name, str(value)) for name, value in self.rules.items()),
            ("limits of a call", f"{self.seconds:g} s, {self.memory_mb:,} MB"),
            ("runs", "without walls, as it was judged" if self.trusted else "behind walls"),
        ]


def external_hash(source: str, function: str, parameters: Mapping[str, Any]) -> str:
    """Return the identity of code with its parameters, whatever search it is of: SHA-256, in hex."""
    told = json.dumps(dict(parameters), sort_keys=True)
    return hashlib.sha256("\n".join((source, function, told)).encode()).hexdigest()


def external_id(hash: str) -> str:
    """Return the strategy's identity from that of its code with its parameters."""
    return f"{EXTERNAL_FAMILY}_0_{hash[:8]}"


_MEMBER_FIELDS = {"weight", "family", "generation", "hash", "values"}
_OPTIONAL_MEMBER_FIELD = "assets"
"""There where a member is restricted to assets."""


def encode_members(committee: Committee) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """Return gene names by family and one record per member, its values in the order of the names."""
    genes = {genome.family: list(genome.genes) for genome in committee.genomes}
    members = [
        {
            "weight": member.weight,
            "family": member.genome.family,
            "generation": member.genome.generation,
            "hash": member.genome.hash,
            "values": list(member.genome.genes.values()),
            **({_OPTIONAL_MEMBER_FIELD: list(member.assets)} if member.assets else {}),
        }
        for member in committee.members
    ]
    return dict(sorted(genes.items())), members


def decode_members(genes: Any, members: Any, where: str) -> Committee:
    """Return the committee of what `encode_members` wrote.

    Raises
    ------
    IntegrityError
        The records are not of that form, or a genome's hash is not that of its genes.
    InputError
        A family or gene is unknown or out of bounds, or the weights do not sum to 1.
    """
    if not isinstance(genes, dict) or not isinstance(members, list):
        raise IntegrityError("fields genes and members are missing or of the wrong kind", where=where)
    try:
        return Committee(tuple(_member(genes, record) for record in members))
    except QuantOrganismError as error:
        place = f"{where}, {error.where}" if error.where else where
        raise type(error)(error.what, where=place, remedy=error.remedy) from None


def _member(genes: dict[str, Any], record: Any) -> Member:
    if not isinstance(record, dict) or set(record) - {_OPTIONAL_MEMBER_FIELD} != _MEMBER_FIELDS:
        fields = ", ".join(sorted(_MEMBER_FIELDS))
        raise IntegrityError(
            f"a member has exactly the fields {fields}, and {_OPTIONAL_MEMBER_FIELD} or not", where="members"
        )
    names, values, weight = genes.get(record["family"]), record["values"], record["weight"]
    assets = record.get(_OPTIONAL_MEMBER_FIELD, [])
    if not isinstance(names, list) or not isinstance(values, list) or len(names) != len(values):
        raise IntegrityError(f"values do not fit the gene names of {record['family']!r}", where="members")
    if not isinstance(weight, float):
        raise IntegrityError(f"weight is {weight!r}, expected a number", where="members")
    if not isinstance(assets, list) or not all(isinstance(symbol, str) for symbol in assets):
        raise IntegrityError(f"assets are {assets!r}, expected a list of symbols", where="members")
    genome = {name: record[name] for name in ("family", "generation", "hash")}
    genes_of_it = dict(zip(names, values, strict=True))
    return Member(weight, Genome.from_dict({**genome, "genes": genes_of_it}), tuple(assets))
