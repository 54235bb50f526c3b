"""A fault plan: a YAML document, or what the admin endpoint is sent."""

from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from quant_organism.errors import InputError
from quant_organism.exchange.simulator.faults.kinds import KINDS, Stage

MAX_BYTES: Final = 256_000
NUMERIC: Final = frozenset(
    {"ms", "jitter_ms", "ppm", "status", "code", "factor", "rate", "sz_decimals", "max_leverage"}
)
"""Options that are numbers."""


class Fault(BaseModel):
    """One fault.

    Parameters
    ----------
    kind
        One of `KINDS`.
    endpoint
        `info`, `exchange` or `ws`; none: any.
    action
        Type of the action, the question or the subscription; none: any.
    coin, user, channel
        Further selectors; none: any.
    after_ms
        Milliseconds of the venue's time from its opening, or from when the fault was added.
    duration_ms
        How long it can strike, or lasts; none: without end.
    nth
        It strikes from the n-th match on.
    probability
        With which it strikes at a match.
    count
        How often it strikes; none: without limit.
    options
        What its kind asks for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    endpoint: str | None = None
    action: str | None = None
    coin: str | None = None
    user: str | None = None
    channel: str | None = None
    after_ms: int = Field(0, ge=0)
    duration_ms: int | None = Field(None, ge=1)
    nth: int = Field(1, ge=1)
    probability: float = Field(1.0, gt=0, le=1)
    count: int | None = Field(1, ge=1)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(KINDS)}")
        return kind

    @field_validator("user")
    @classmethod
    def _lower(cls, user: str | None) -> str | None:
        return None if user is None else user.lower()

    @field_validator("options")
    @classmethod
    def _numeric(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name, value in options.items():
            if name in NUMERIC and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ValueError(f"{name} is {value!r}, a number is expected")
        return options

    @property
    def stage(self) -> Stage:
        """When it strikes."""
        return KINDS[self.kind][0]

    def number(self, name: str, default: float) -> float:
        """Return one of the numeric options."""
        return float(self.options.get(name, default))


class FaultPlan(BaseModel):
    """Faults, and the seed of their probabilities."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seed: int = Field(0, ge=0)
    faults: list[Fault] = Field(default_factory=list)


def load_plan(path: Path) -> FaultPlan:
    """Return the plan of a YAML file.

    Raises
    ------
    InputError
        It cannot be read, or a key or value cannot be used; the message names file and key.
    """
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            raise InputError(f"{len(content)} bytes are too many for a plan", where=str(path), remedy="shorten it")
        return parse_plan(yaml.safe_load(content), str(path))
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), remedy="correct the file") from error


def parse_plan(content: object, where: str) -> FaultPlan:
    """Return the plan that a document says.

    Raises
    ------
    InputError
        A key or value cannot be used.
    """
    try:
        return FaultPlan.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        what = str(first["msg"]).removeprefix("Value error, ")
        raise InputError(what, where=f"{where}: {key}" if key else where, remedy="correct it") from error
