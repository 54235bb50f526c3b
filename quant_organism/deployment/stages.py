"""The life of a strategy: its stages, and which moves between them are allowed."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from quant_organism.errors import InputError

Stage = Literal["born", "shadow", "paper", "testnet", "canary", "live", "decaying", "retired"]

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""In the order of a life: shadow is watched without orders, canary trades the first small sum of real money."""

MOVES: Final[Mapping[Stage, tuple[Stage, ...]]] = MappingProxyType(
    {
        "born": ("shadow", "retired"),
        "shadow": ("paper", "decaying", "retired"),
        "paper": ("testnet", "shadow", "decaying", "retired"),
        "testnet": ("canary", "paper", "decaying", "retired"),
        "canary": ("live", "paper", "decaying", "retired"),
        "live": ("paper", "decaying", "retired"),
        "decaying": ("shadow", "retired"),
        "retired": (),
    }
)
"""From each stage, the stages that may follow. Promotion goes one step at a time; what decays proves itself anew."""

DEPLOYED: Final[frozenset[Stage]] = frozenset({"shadow", "paper", "testnet", "canary", "live", "decaying"})
"""Stages in which a strategy is watched or trades, and so takes a place in the pool."""

LONGEST_TEXT: Final = 200
"""Characters of a move's reason or evidence: a summary, not the records themselves."""

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def timestamp(value: object) -> str:
    """Return a moment as ``YYYY-MM-DDTHH:MM:SSZ``, a text that sorts by time.

    Parameters
    ----------
    value
        That text itself, an ISO 8601 text, a date (its first second) or a datetime. A moment carries its time zone.

    Raises
    ------
    InputError
        The value is not a moment in time, or names no time zone.
    """
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
        moment = _parsed(value)
    elif isinstance(value, str):
        moment = _parsed(f"{value}T00:00:00Z" if len(value) == len("YYYY-MM-DD") else value)
    elif isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    else:
        raise InputError(f"{value!r} is not a moment in time", remedy="give a text like 2025-05-31T00:00:00Z")
    if moment.tzinfo is None:
        raise InputError(f"{value!r} names no time zone", remedy="give UTC, like 2025-05-31T00:00:00Z")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is not a moment in time", remedy="give a text like 2025-05-31T00:00:00Z") from None


Timestamp = Annotated[str, BeforeValidator(timestamp)]


class Move(BaseModel):
    """One step in the life of a strategy.

    Parameters
    ----------
    at
        When, UTC.
    from_stage, to_stage
        ``from`` and ``to`` in the document; ``from`` is none at birth.
    reason
        Why, in one sentence.
    evidence
        The numbers that speak for it, summarised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    at: Timestamp
    from_stage: Stage | None = Field(alias="from")
    to_stage: Stage = Field(alias="to")
    reason: str = Field(min_length=1, max_length=LONGEST_TEXT)
    evidence: str = Field(min_length=1, max_length=LONGEST_TEXT)


def check_move(current: Stage, to: str, *, reason: str, evidence: str, where: str) -> None:
    """Refuse a move that the table does not have, or that comes without reason or evidence.

    Raises
    ------
    InputError
        The message names the allowed moves, or what is missing.
    """
    if to not in MOVES[current]:
        allowed = ", ".join(MOVES[current]) or "none: it is the last stage"
        raise InputError(
            f"no move leads from {current} to {to}", where=where, remedy=f"moves from {current}: {allowed}"
        )
    for name, text in (("reason", reason), ("evidence", evidence)):
        if not text.strip():
            raise InputError(f"the move from {current} to {to} has no {name}", where=where, remedy=f"give the {name}")
        if len(text) > LONGEST_TEXT:
            raise InputError(
                f"the {name} of the move to {to} has {len(text)} characters",
                where=where,
                remedy=f"summarise it in at most {LONGEST_TEXT}; the full record belongs into the lake",
            )
