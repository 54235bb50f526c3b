"""The document of one strategy, from birth to death: what it is, where it stands, and the evidence for every move."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, InstanceOf, ValidationError, model_validator

from quant_organism.deployment.lifecycle import MONEY, RULES, check_move, ruling_on
from quant_organism.deployment.moves import BEFORE_RECORDS, Actor, EvidenceRecord, Move
from quant_organism.deployment.records import (
    EXTERNAL_FAMILY,
    AccountAtBirth,
    ExternalStrategy,
    Performance,
    PerformanceSummary,
    Provenance,
    StageEvidence,
    decode_members,
    encode_members,
)
from quant_organism.deployment.stages import Stage, timestamp
from quant_organism.errors import InputError, IntegrityError
from quant_organism.strategies import Committee

SCHEMA_VERSION: Final = "4"
"""Version that documents of genomes are written in."""

EXTERNAL_VERSION: Final = "5"
"""Version that documents of strategies made elsewhere are written in: it is newer than who knows genomes only."""

READ_VERSIONS: Final = ("1", "2", "3", SCHEMA_VERSION, EXTERNAL_VERSION)
"""Versions that are read. 1 and 2 (2 where members were restricted to assets) called the stage `shadow` `testing`; the
evidence of a move was a text before 4, and nothing was said of an account."""

MAX_BYTES: Final = {"genome": 5_000, "committee": 22_000, "external": 9_000}
"""Largest document of each kind."""

LISTED_PERFORMANCE: Final = 10
"""Performance records that a document lists at most; older ones live on in its summary."""

LISTED_MOVES: Final = 12
"""Moves that a document lists at most; beyond that the oldest after the birth are only counted."""

Document = TypeVar("Document", bound="StrategyConfig")

_IDENTITY: Final = ("schema_version", "id", "kind", "stage")
_RESTORE: Final = "restore the file from a copy, or move it out of the folder; nothing was changed"


def _unique_symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    if list(symbols) != sorted(set(symbols)):
        raise ValueError("symbols must be sorted and unique")
    return symbols


class StrategyConfig(BaseModel):
    """One strategy with its whole history: a genome, a committee of genomes, or code. Changes return a new document.

    Parameters
    ----------
    strategy
        Genomes and weights, a single genome being a committee of one; or code that was made elsewhere.
    universe
        Symbols that it was bred and judged on, sorted.
    interval
        Bars that it trades on, such as ``1h``.
    fitness
        Annual net Sharpe ratio of its account over the spans that its search did not see, or over all days where it
        saw all: what documents are ranked by. It is the evidence at birth and never changes; how the strategy did
        afterwards stands in `performance`.
    provenance
        The cycle that it was born in.
    evidence
        What each validation stage measured, in the order in which they ran.
    account
        What an account executed of it on the days that its fitness is of; none in documents of earlier versions.
    history
        Its moves, the birth first.
    performance
        How it did since, oldest first.
    earlier_moves
        How many moves after the birth are no longer listed.
    earlier_performance
        Summary of the records that are no longer listed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: InstanceOf[Committee] | ExternalStrategy
    universe: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_unique_symbols)]
    interval: str = Field(min_length=1)
    fitness: float = Field(allow_inf_nan=False)
    provenance: Provenance
    evidence: Mapping[str, StageEvidence]
    account: AccountAtBirth | None = None
    history: tuple[Move, ...] = Field(min_length=1)
    performance: tuple[Performance, ...] = ()
    earlier_moves: int = Field(0, ge=0)
    earlier_performance: PerformanceSummary | None = None

    @model_validator(mode="after")
    def _in_time_order(self) -> Self:
        if self.history[0].from_stage is not None:
            raise ValueError("history does not start with a birth")
        moments = [move.at for move in self.history]
        observed = [record.observed_at for record in self.performance]
        for before, move in pairwise(self.history):
            # Of the moves after the birth the oldest may be left out.
            follows = before.to_stage == move.from_stage or (before is self.history[0] and self.earlier_moves > 0)
            if not follows:
                raise ValueError(f"the move to {move.to_stage} at {move.at} does not follow the one before it")
            _check_proven(move, None if self.earlier_moves and before is self.history[0] else before.at)
        if not self.may_send and any(move.to_stage in MONEY for move in self.history):
            raise ValueError("code that was judged without walls is never moved to where orders are sent")
        if moments != sorted(moments) or observed != sorted(observed):
            raise ValueError("history and performance must be in time order")
        return self

    @classmethod
    def born(
        cls,
        strategy: Committee | ExternalStrategy,
        *,
        universe: tuple[str, ...],
        interval: str,
        fitness: float,
        provenance: Provenance,
        evidence: Mapping[str, StageEvidence],
        at: str,
        reason: str,
        account: AccountAtBirth | None = None,
    ) -> Self:
        """Write the first document of a strategy.

        Parameters
        ----------
        strategy, universe, interval, fitness, provenance, evidence, account
            As the document's; the universe in any order.
        at
            Moment of birth.
        reason
            Why it is kept, in one sentence.

        Raises
        ------
        InputError
            A value is not usable, or the document would be too large.
        """
        fields = {
            "strategy": strategy,
            "universe": tuple(sorted(universe)),
            "interval": interval,
            "fitness": fitness,
            "provenance": provenance,
            "evidence": evidence,
            "account": account,
            "history": ({"at": at, "from": None, "to": "born", "rule": "birth", "reason": reason},),
        }
        return _validated(cls, fields, strategy.id)._fitted()

    @model_validator(mode="after")
    def _members_within_universe(self) -> Self:
        members = () if isinstance(self.strategy, ExternalStrategy) else self.strategy.members
        unknown = sorted({symbol for member in members for symbol in member.assets} - set(self.universe))
        if unknown:
            raise ValueError(f"members trade {', '.join(unknown)}, which the universe does not have")
        return self

    @property
    def committee(self) -> Committee:
        """Its genomes and their weights.

        Raises
        ------
        InputError
            It was made elsewhere, and has none.
        """
        if isinstance(self.strategy, ExternalStrategy):
            raise InputError(
                "it was made elsewhere: it is code, and has no genomes",
                where=self.id,
                remedy="it is watched, traded and replayed as it is; take a strategy that was bred here",
            )
        return self.strategy

    @property
    def external(self) -> ExternalStrategy | None:
        """Its code, where it was made elsewhere."""
        return self.strategy if isinstance(self.strategy, ExternalStrategy) else None

    @property
    def may_send(self) -> bool:
        """Whether its orders may ever be sent: not those of code that runs without walls."""
        return self.external is None or not self.external.trusted

    @property
    def schema_version(self) -> str:
        """Version of the stored form."""
        return SCHEMA_VERSION if self.external is None else EXTERNAL_VERSION

    @property
    def id(self) -> str:
        """Identity of what trades: ``{family}_{generation}_{hash8}``, with `committee` or `external` as family."""
        return self.strategy.id

    @property
    def kind(self) -> Literal["genome", "committee", "external"]:
        """Whether one genome on all assets, code, or anything else."""
        if isinstance(self.strategy, ExternalStrategy):
            return "external"
        return "genome" if self.strategy.is_genome else "committee"

    @property
    def n_genomes(self) -> int:
        """Number of its genomes, 0 where it was made elsewhere."""
        return 0 if isinstance(self.strategy, ExternalStrategy) else len(self.strategy.members)

    @property
    def stage(self) -> Stage:
        """Where it stands: the end of its last move."""
        return self.history[-1].to_stage

    @property
    def families(self) -> tuple[str, ...]:
        """Families of its genomes, sorted, each once."""
        if isinstance(self.strategy, ExternalStrategy):
            return (EXTERNAL_FAMILY,)
        return tuple(sorted({genome.family for genome in self.strategy.genomes}))

    @property
    def promises_in_sample(self) -> bool:
        """Whether its fitness and its account at birth are of days that its search saw, as on the short line."""
        return self.account is not None and self.account.in_sample

    @property
    def judged_days(self) -> str:
        """Days that its fitness and its account at birth are of, in words."""
        return "in-sample days" if self.promises_in_sample else "unseen days"

    @property
    def last_active(self) -> str:
        """Moment of the newest move or performance record."""
        return max(self.history[-1].at, self.performance[-1].observed_at if self.performance else "")

    def stage_at(self, at: str) -> Stage | None:
        """Return the stage at a moment, none before the birth."""
        stages = [move.to_stage for move in self.history if move.at <= timestamp(at)]
        return stages[-1] if stages else None

    @property
    def entered_stage(self) -> str:
        """Moment at which it entered the stage where it stands."""
        return self.history[-1].at

    def days_in_stage(self, at: str) -> int:
        """Return the whole days between its last move and a moment."""
        return _days_between(self.entered_stage, timestamp(at))

    def moved(
        self, to: Stage, *, at: str, reason: str, records: Sequence[EvidenceRecord], by: Actor = "machine"
    ) -> Self:
        """Return the document after a move.

        Raises
        ------
        InputError
            The table of moves does not have it, the records do not open it, the reason is missing, it lies before
            the last move, or leads code that runs without walls to where orders are sent.
        """
        moment = timestamp(at)
        if not self.may_send and to in MONEY:
            raise InputError(
                f"its code was judged without walls (--trusted), and so it would run: no move leads to {to}",
                where=self.id,
                remedy="judge it behind walls; that is another strategy, which begins its life anew",
            )
        if moment < self.history[-1].at:
            raise InputError(
                f"the move to {to} at {moment} lies before the last move, at {self.history[-1].at}",
                where=self.id,
                remedy="give a later moment",
            )
        rule = check_move(
            self.stage, to, reason=reason, records=records, by=by, days=self.days_in_stage(moment), where=self.id
        )
        asked = {requirement.kind for requirement in rule.requirements}
        move = Move(
            at=moment,
            from_stage=self.stage,
            to_stage=to,
            rule=rule.name,
            by=by,
            reason=reason,
            records=tuple(record for record in records if record.kind in asked),
        )
        return self.model_copy(update={"history": (*self.history, move)})._fitted()

    def observed(self, record: Performance) -> Self:
        """Return the document with one more performance record; the same moment again replaces its record.

        Raises
        ------
        InputError
            The record is older than the newest one.
        """
        kept = tuple(known for known in self.performance if known.observed_at != record.observed_at)
        newest = max((known.observed_at for known in kept), default="")
        if record.observed_at < newest:
            raise InputError(
                f"performance observed at {record.observed_at} is older than the newest record, at {newest}",
                where=self.id,
                remedy="hand in observations in the order of time",
            )
        return self.model_copy(update={"performance": (*kept, record)})._fitted()

    def to_json(self) -> bytes:
        """Return the stored form, one line per field or list item, the checksum last. Equal documents, equal bytes."""
        document = self._document()
        return _laid_out({**document, "checksum": _checksum(document)})

    def lasting_form(self) -> bytes:
        """Return what somebody can stand for: all but its performance, which grows by itself."""
        document = self._document()
        del document["performance"], document["earlier_performance"]
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, data: bytes, *, where: str) -> Self:
        """Read the stored form back and check everything about it; an earlier version is told in the words of this one.

        Parameters
        ----------
        data
            Content of a document.
        where
            Named in messages: the file.

        Raises
        ------
        IntegrityError
            Not JSON, a newer schema version, a checksum or hash that does not fit, fields missing or unknown.
        InputError
            A family or gene that this version does not know or whose bounds it breaks.
        """
        document = _migrated(_parsed(data, where))
        identity = {name: document.pop(name, None) for name in _IDENTITY}
        del document["checksum"]
        if identity["schema_version"] == EXTERNAL_VERSION:
            strategy: Any = document.pop("external", None)
        else:
            strategy = decode_members(document.pop("genes", None), document.pop("members", None), where)
        config = _validated(cls, {**document, "strategy": strategy}, where, IntegrityError)
        for name, stored in identity.items():
            actual = getattr(config, name)
            if stored != actual:
                raise IntegrityError(
                    f"{name} is {stored!r}, but its content says {actual!r}", where=where, remedy=_RESTORE
                )
        return config

    def _document(self) -> dict[str, Any]:
        if isinstance(self.strategy, ExternalStrategy):
            content: dict[str, Any] = {"external": self.strategy.model_dump()}
        else:
            genes, members = encode_members(self.strategy)
            content = {"genes": genes, "members": members}
        return {
            "schema_version": self.schema_version,
            "id": self.id,
            "kind": self.kind,
            "stage": self.stage,
            "fitness": self.fitness,
            "interval": self.interval,
            "universe": list(self.universe),
            "provenance": self.provenance.model_dump(),
            **content,
            "evidence": {stage: record.model_dump() for stage, record in self.evidence.items()},
            "account": self.account.model_dump() if self.account else None,
            "history": [_stored(move) for move in self.history],
            "earlier_moves": self.earlier_moves,
            "performance": [record.model_dump() for record in self.performance],
            "earlier_performance": self.earlier_performance.model_dump() if self.earlier_performance else None,
        }

    def _fitted(self) -> Self:
        """Fold the oldest records, then the oldest moves, until the document is as short as it must be.

        Trees and documents of conditions come on top of the limit: they are as long as their author made them.
        """
        document = self
        while len(document.performance) > LISTED_PERFORMANCE:
            document = document._without_oldest_record()
        while len(document.history) > LISTED_MOVES:
            document = document._without_oldest_move()
        genomes = () if isinstance(self.strategy, ExternalStrategy) else self.strategy.genomes
        structures = (gene for genome in genomes for gene in genome.genes.values() if isinstance(gene, tuple))
        limit = MAX_BYTES[self.kind] + sum(len(orjson.dumps(gene)) for gene in structures)
        while (size := len(document.to_json())) > limit:
            if len(document.performance) > 1:
                document = document._without_oldest_record()
            elif len(document.history) > 2:
                document = document._without_oldest_move()
            else:
                raise InputError(
                    f"the document of this {self.kind} needs {size} bytes, at most {limit} are allowed",
                    where=self.id,
                    remedy=f"use fewer symbols ({len(self.universe)} now) or fewer metrics per stage of evidence",
                )
        return document

    def _without_oldest_record(self) -> Self:
        summary = PerformanceSummary.of(self.earlier_performance, self.performance[0])
        return self.model_copy(update={"performance": self.performance[1:], "earlier_performance": summary})

    def _without_oldest_move(self) -> Self:
        kept = (self.history[0], *self.history[2:])
        return self.model_copy(update={"history": kept, "earlier_moves": self.earlier_moves + 1})


def _parsed(data: bytes, where: str) -> dict[str, Any]:
    """Return the document's fields after checking version and checksum, in that order."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        reason = f"not valid JSON: {error}" if data.strip() else "the file is empty"
        raise IntegrityError(reason, where=where, remedy=_RESTORE) from None
    if not isinstance(document, dict) or not isinstance(document.get("schema_version"), str):
        raise IntegrityError("not a strategy document: it has no schema_version", where=where, remedy=_RESTORE)
    version = document["schema_version"]
    if version not in READ_VERSIONS:
        newer = version.isdecimal() and int(version) > int(EXTERNAL_VERSION)
        raise IntegrityError(
            f"written by a {'newer' if newer else 'different'} version of quant-organism (schema version {version!r}, "
            f"this one reads {', '.join(READ_VERSIONS)}); nothing was changed",
            where=where,
            remedy="update quant-organism" if newer else "move the file out of the folder",
        )
    stored = document.get("checksum")
    actual = _checksum({name: value for name, value in document.items() if name != "checksum"})
    if stored != actual:
        raise IntegrityError(
            f"checksum is {stored!r}, but the content's is {actual!r}: the file was altered after it was written",
            where=where,
            remedy=_RESTORE,
        )
    return document


def _migrated(document: dict[str, Any]) -> dict[str, Any]:
    """Return a checked document of any version that is read in the words of the present one."""
    if document["schema_version"] in (SCHEMA_VERSION, EXTERNAL_VERSION):
        return document
    moves = document.get("history")
    renamed = document if document["schema_version"] == "3" else _with_stages_renamed(document, "stage")
    if isinstance(moves, list):
        moves = [
            _with_rule(move if renamed is document else _with_stages_renamed(move, "from", "to")) for move in moves
        ]
    return {**renamed, "schema_version": SCHEMA_VERSION, "history": moves}


def _with_rule(move: Any) -> Any:
    """Return a move of a version that knew no records: what it called evidence is kept as a note."""
    if not isinstance(move, dict):
        return move
    rule = "birth" if move.get("from") is None else BEFORE_RECORDS
    return {name: value for name, value in move.items() if name != "evidence"} | {
        "rule": rule,
        "note": move.get("evidence"),
    }


def _stored(move: Move) -> dict[str, Any]:
    """Return a move as it is stored; what it does not have is left out."""
    return {name: value for name, value in move.model_dump(by_alias=True).items() if value not in ("", ())}


def _check_proven(move: Move, since: str | None) -> None:
    """Refuse a move that the records it carries do not open: nobody writes itself a way to money."""
    if move.rule == BEFORE_RECORDS:
        if move.to_stage in MONEY:
            raise ValueError(f"the move to {move.to_stage} at {move.at} has no records")
        return
    if move.from_stage is None or move.rule not in {rule.name for rule in RULES}:
        raise ValueError(f"the move to {move.to_stage} at {move.at} goes by no rule: {move.rule!r}")
    ruling = ruling_on(move.from_stage, move.to_stage, move.records, by=move.by)
    if ruling is not None and ruling.rule.by == "person" and move.by != "person":
        raise ValueError(f"the move to {move.to_stage} at {move.at} was not taken by a person")
    stays = [record.value for record in move.records if record.kind == "stage_days"]
    if since is not None and stays and max(stays) > _days_between(since, move.at):
        raise ValueError(f"the move to {move.to_stage} at {move.at} came too early")
    if ruling is None or not ruling.allowed:
        lacks = "; ".join(ruling.refusals) if ruling else "no rule leads there"
        raise ValueError(f"the move to {move.to_stage} at {move.at} is not proven: {lacks}")


def _days_between(first: str, last: str) -> int:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).days


def _with_stages_renamed(record: Any, *fields: str) -> Any:
    if not isinstance(record, dict):
        return record
    return {name: "shadow" if name in fields and value == "testing" else value for name, value in record.items()}


def _validated(
    model: type[Document], fields: dict[str, Any], where: str, problem: type[InputError | IntegrityError] = InputError
) -> Document:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors()[:5])
        remedy = _RESTORE if problem is IntegrityError else "correct the value"
        raise problem(reasons, where=where, remedy=remedy) from None


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _laid_out(document: Mapping[str, Any]) -> bytes:
    """Write one line per field, and one per item where the items are records: short, and easy to compare."""
    fields = []
    for name, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = b"[\n  " + b",\n  ".join(map(orjson.dumps, value)) + b"]"
        elif isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
            items = (orjson.dumps(key) + b":" + orjson.dumps(item) for key, item in value.items())
            text = b"{\n  " + b",\n  ".join(items) + b"}"
        else:
            text = orjson.dumps(value)
        fields.append(orjson.dumps(name) + b":" + text)
    return b"{\n " + b",\n ".join(fields) + b"\n}\n"
