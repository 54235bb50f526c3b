"""One step in the life of a strategy, and the typed numbers that speak for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from quant_organism.deployment.stages import Stage, Timestamp

Actor = Literal["machine", "person"]
"""Who takes a move."""

Kind = Literal[
    "starting_wealth",
    "wealth",
    "fresh_wealth",
    "paired_wealth",
    "challenger_wealth",
    "discovery",
    "recent_sum",
    "recent_rank",
    "shortfall",
    "low_factor_days",
    "size_factor",
    "drawdown_share",
    "fresh_days",
    "stage_days",
    "closed_trades",
    "pretest_p",
    "search_p",
    "unseen_p",
    "gates",
    "trade_parity",
    "perturbations",
    "old_days",
    "near_living",
    "near_judged",
    "near_seated",
    "near_holder",
    "in_shadow",
    "seated",
    "holder_decaying",
    "slippage_ratio",
    "own_breakers",
    "reconciled_days",
    "capital_share",
    "hard_limit",
    "approved",
]

KINDS: Final[Mapping[Kind, str]] = {
    "starting_wealth": "W0: what its look back bought",
    "wealth": "W: W0 times what its days since have earned",
    "fresh_wealth": "E: W over W0, what was earned on days after its birth",
    "paired_wealth": "wealth of the bet that it does better than the holder of the seat",
    "challenger_wealth": "wealth of the bet that somebody does better than it, the holder",
    "discovery": "W over the bound of e-BH at q = 0.2 among all births of the market in 730 days",
    "recent_sum": "M: its standardised returns of late, half the weight after 180 days",
    "recent_rank": "place of M among its bootstrapped paths, in [0, 1]",
    "shortfall": "S: CUSUM of what its days fell short of half its promise",
    "low_factor_days": "days in a row with a size factor below 0.5",
    "size_factor": "what is left of its size",
    "drawdown_share": "its drawdown over the 99 % quantile of the largest in a year of its bootstrapped paths",
    "fresh_days": "days with a record since W0",
    "stage_days": "days in its stage by the repository's clock",
    "closed_trades": "trades closed in its stage",
    "pretest_p": "p-value of the test before the search",
    "search_p": "p-value of the whole search",
    "unseen_p": "p-value of the unseen days, not adjusted",
    "gates": "share of the gates in sample and of the filters against overfitting that it passed",
    "trade_parity": "share of its replays that made the backtest's trades",
    "perturbations": "share of the gates that shake it that it passed",
    "old_days": "1 if its look back counts in full, 0 after a retirement of its like",
    "near_living": "largest correlation with a living strategy of the market",
    "near_judged": "largest correlation with one judged in the last 90 days",
    "near_seated": "largest correlation with one on paper or beyond",
    "near_holder": "correlation with the holder of the seat",
    "in_shadow": "others in the shadow pool",
    "seated": "others on paper or beyond",
    "holder_decaying": "1 if the holder of the seat is decaying",
    "slippage_ratio": "its slippage over that of the model",
    "own_breakers": "breakers of its own that fired in its stage",
    "reconciled_days": "days on which orders and fills were reconciled",
    "capital_share": "share of the capital that it asks for",
    "hard_limit": "1 if it broke a hard limit",
    "approved": "1 if a person said yes",
}
"""What each number of the evidence is."""

BEFORE_RECORDS: Final = "before records"
"""Rule of a move that an earlier version wrote, whose evidence was a text."""

LONGEST_TEXT: Final = 200
"""Characters of a move's reason or note: a summary, not the records themselves."""

_FIELDS: Final = ("kind", "value", "bound", "n", "source")


class EvidenceRecord(BaseModel):
    """One number that speaks for a move. Stored as a list of its five fields, so that a document stays short.

    Parameters
    ----------
    kind
        What it is.
    value, bound
        The number, and the bound that it has to keep.
    n
        How many observations it rests on.
    source
        First 16 hex digits of the SHA-256 of the rows that it was computed from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    value: float = Field(allow_inf_nan=False)
    bound: float = Field(allow_inf_nan=False)
    n: int = Field(ge=0)
    source: str = Field(pattern=r"^[0-9a-f]{16}$")

    @model_validator(mode="before")
    @classmethod
    def _of_list(cls, value: Any) -> Any:
        return dict(zip(_FIELDS, value, strict=True)) if isinstance(value, list) and len(value) == 5 else value

    @model_serializer(mode="wrap")
    def _as_list(self, handler: SerializerFunctionWrapHandler) -> list[Any]:
        return list(handler(self).values())


class Move(BaseModel):
    """One step in the life of a strategy.

    Parameters
    ----------
    at
        When, UTC.
    from_stage, to_stage
        ``from`` and ``to`` in the document; ``from`` is none at birth.
    rule
        Way of the table by which it went; `birth`, or `before records` in a document of an earlier version.
    by
        Who took it.
    reason
        Why, in one sentence.
    records
        The numbers that speak for it.
    note
        What an earlier version called its evidence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    at: Timestamp
    from_stage: Stage | None = Field(alias="from")
    to_stage: Stage = Field(alias="to")
    rule: str = Field(min_length=1)
    by: Actor = "machine"
    reason: str = Field(min_length=1, max_length=LONGEST_TEXT)
    records: tuple[EvidenceRecord, ...] = ()
    note: str = Field("", max_length=LONGEST_TEXT)


def approval(reason: str) -> EvidenceRecord:
    """Return the record of a person's yes; its source is what the person said."""
    return EvidenceRecord(kind="approved", value=1.0, bound=1.0, n=1, source=source_of(reason.encode()))


def source_of(rows: bytes) -> str:
    """Return what a record calls the rows that it was computed from."""
    return hashlib.sha256(rows).hexdigest()[:16]
