"""The stages of a strategy's life, and how a moment is written."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal, get_args

from pydantic import BeforeValidator

from quant_organism.errors import InputError

Stage = Literal["born", "shadow", "paper", "testnet", "canary", "live", "decaying", "retired"]

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""In the order of a life: shadow is watched without orders, canary trades the first small sum of real money."""

DEPLOYED: Final[frozenset[Stage]] = frozenset({"shadow", "paper", "testnet", "canary", "live", "decaying"})
"""Stages in which a strategy is watched or trades, and so takes a place in the pool."""

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
