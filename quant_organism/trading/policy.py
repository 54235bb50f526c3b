"""The policy: what a person, or a controller above the strategies, allows a trader; never more than the rules do.

Exits pass every policy. A changed policy is a new version; what stood before stays (`policy_store`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Protocol, Self

import orjson
import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from quant_organism.backtest.account import AccountRules
from quant_organism.errors import InputError
from quant_organism.trading.records import Mode
from quant_organism.trading.risk_limits import RiskLimits

RiskMode = Literal["defensive", "normal", "aggressive"]
EntryOrder = Literal["ioc"]
"""Kinds of orders that enter: the account's plan knows one."""

RISK_FACTORS: Final[Mapping[RiskMode, float]] = {"defensive": 0.5, "normal": 1.0, "aggressive": 1.5}
"""What entries are multiplied with, within all caps."""

_CEILINGS: Final = AccountRules()
_LONGEST_FILE: Final = 64 * 2**10

Names = tuple[Annotated[str, Field(min_length=1, max_length=200)], ...]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class Policy(BaseModel):
    """What is allowed; everything left out is as free as the account's own rules leave it.

    Parameters
    ----------
    risk_mode
        ``defensive`` halves everything. ``aggressive`` adds half to the entries of condition documents, which name a
        size of their own, within all caps; a committee is sized at its limit already and stays there.
    minimum_confidence
        Least confidence of an entry; a strategy's own minimum counts where it is higher.
    allowed_strategies, blocked_strategies, allowed_symbols, blocked_symbols
        Who may enter and where; without a list of allowed ones all may that are not blocked.
    most_symbols, ranked_market
        How many symbols may be entered, and of which market the ranks say which (`ranker`); both or neither.
    ranked_interval
        Bars whose ranks say so, where nights of the market rank by more than one; None: those of each night.
    ranked_symbols
        Those, the best first, as the ranker has put them in force. None where there is a limit: no day was ranked yet,
        and nothing is entered.
    blocked_sessions
        Profiles whose sessions may not enter.
    valid_from, valid_until
        Moments with their time zone; outside of them nothing is entered.
    max_orders_per_minute
        Entries and changes that may pass within a minute, which is at one close.
    max_gross, max_net
        Most of all positions, and of longs less shorts, over equity.
    strategy_caps
        Of each strategy the most of its share of the equity.
    limits
        Bounds that are tighter than their ceilings.
    allowed_venues
        Where it may trade; the main network must be named.
    order_types
        Orders that may enter.

    Raises
    ------
    InputError
        A key that is unknown, with the nearest that is known; a value that is not usable, or looser than its ceiling.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    risk_mode: RiskMode = "normal"
    minimum_confidence: Share = 0.0
    allowed_strategies: Names | None = None
    blocked_strategies: Names = ()
    allowed_symbols: Names | None = None
    blocked_symbols: Names = ()
    most_symbols: int | None = Field(None, ge=1, le=1_000)
    ranked_market: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    ranked_interval: Annotated[str, Field(min_length=1, max_length=10)] | None = None
    ranked_symbols: Names | None = None
    blocked_sessions: tuple[Literal["scalping", "intraday", "swing"], ...] = ()
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    max_orders_per_minute: int = Field(60, ge=0, le=6_000)
    max_gross: float = Field(_CEILINGS.gross_cap, ge=0.0, le=_CEILINGS.gross_cap, allow_inf_nan=False)
    max_net: float = Field(_CEILINGS.gross_cap, ge=0.0, le=_CEILINGS.gross_cap, allow_inf_nan=False)
    strategy_caps: Mapping[str, Share] = Field(default_factory=dict)
    limits: RiskLimits = RiskLimits()
    allowed_venues: tuple[Mode, ...] = ("replay", "paper", "testnet")
    order_types: tuple[EntryOrder, ...] = ("ioc",)

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.valid_from is not None and self.valid_until is not None and self.valid_from >= self.valid_until:
            raise ValueError("valid_from is not before valid_until")
        return self

    @model_validator(mode="after")
    def _limits_symbols_soundly(self) -> Self:
        if (self.most_symbols is None) != (self.ranked_market is None):
            raise ValueError("most_symbols and ranked_market are said together or not at all")
        if self.ranked_interval is not None and self.ranked_market is None:
            raise ValueError("ranked_interval needs most_symbols and ranked_market")
        if self.ranked_symbols is not None and len(self.ranked_symbols) > (self.most_symbols or 0):
            raise ValueError("ranked_symbols names more symbols than most_symbols allows")
        return self

    @property
    def factor(self) -> float:
        """What the size of a committee is multiplied with: never more than 1."""
        return min(RISK_FACTORS[self.risk_mode], 1.0)

    def is_valid_at(self, time_ms: int) -> bool:
        """Say whether it lets anything enter at a moment, UTC milliseconds."""
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        begun = self.valid_from is None or self.valid_from <= moment
        return begun and (self.valid_until is None or moment < self.valid_until)

    def allows_strategy(self, strategy: str) -> bool:
        """Say whether a strategy may enter."""
        return _allows(strategy, self.allowed_strategies, self.blocked_strategies)

    def allows_symbol(self, symbol: str, most: int | None = None) -> bool:
        """Say whether a symbol may be entered, where a session enters no more than `most` of those that are ranked."""
        ranked = () if self.most_symbols is not None and self.ranked_symbols is None else self.ranked_symbols
        ranked = None if ranked is None else ranked[:most]
        return _allows(symbol, self.allowed_symbols, self.blocked_symbols) and (ranked is None or symbol in ranked)

    def unranked(self) -> Self:
        """Return it without a limit on symbols: what it says of days that lie before its ranks."""
        limits = ("most_symbols", "ranked_market", "ranked_interval", "ranked_symbols")
        return self.model_copy(update=dict.fromkeys(limits))

    def to_json(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        fields: dict[str, Any] = self.model_dump(mode="json")
        return fields

    @classmethod
    def of(cls, fields: object, *, where: str = "policy") -> Self:
        """Return the policy of values as JSON or YAML have them.

        Raises
        ------
        InputError
            As the class; the message names the key.
        """
        if not isinstance(fields, Mapping):
            raise InputError(
                "not a mapping of keys", where=where, remedy=f"keys are {', '.join(sorted(cls.model_fields))}"
            )
        try:
            return cls.model_validate_json(orjson.dumps(_plain(fields)))
        except (TypeError, orjson.JSONEncodeError) as error:
            raise InputError(f"not a policy: {error}", where=where, remedy="write texts, numbers and lists") from None
        except ValidationError as error:
            raise _explained(error, where) from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a policy from a file: JSON where it ends so, else YAML.

        Raises
        ------
        InputError
            It cannot be read, or is no policy.
        """
        try:
            if path.stat().st_size > _LONGEST_FILE:
                raise InputError(f"more than {_LONGEST_FILE} bytes", where=str(path), remedy="shorten it")
            raw = path.read_bytes()
            fields = orjson.loads(raw) if path.suffix == ".json" else yaml.safe_load(raw)
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise InputError(f"cannot be read: {error}", where=str(path), remedy="correct the file") from None
        return cls.of(fields, where=str(path))


class PolicyStore(Protocol):
    """Keeps policies: the one in force, and every one before."""

    def current(self) -> PolicyVersion | None:
        """Return the one in force, or none where none was ever put."""
        ...

    def history(self) -> Sequence[PolicyVersion]:
        """Return all of them, the first one first."""
        ...

    def put(self, policy: Policy, *, author: str, reason: str, at_ms: int, after: int | None = None) -> PolicyVersion:
        """Put another in force.

        Parameters
        ----------
        policy
            The policy.
        author, reason
            Who wants it, and why.
        at_ms
            When, UTC milliseconds.
        after
            Number of the version that the author has seen; none: whatever stands.

        Raises
        ------
        InputError
            Another version has come since the one that the author has seen.
        """
        ...


class PolicyVersion(BaseModel):
    """A policy as it was put in force.

    Parameters
    ----------
    number
        1 for the first.
    at_ms, author, reason
        When, who and why.
    changes
        Each key whose value differs from the version before, as (before, after); of the first, from what is free.
    before
        SHA-256 of the file of the version before; empty for the first.
    policy
        What is in force from then on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: int = Field(ge=1)
    at_ms: int
    author: Annotated[str, Field(min_length=1, max_length=100)]
    reason: Annotated[str, Field(max_length=500)]
    changes: Mapping[str, tuple[Any, Any]]
    before: str
    policy: Policy


def changes_between(before: Policy, after: Policy) -> dict[str, tuple[Any, Any]]:
    """Return each key whose value differs, with both values as in JSON; of the limits each by its own name."""
    one, other = (_by_key(policy.to_json()) for policy in (before, after))
    return {key: (one[key], other[key]) for key in one if one[key] != other[key]}


def _by_key(fields: Mapping[str, Any]) -> dict[str, Any]:
    limits = {f"limits.{name}": value for name, value in fields["limits"].items()}
    return {**{key: value for key, value in fields.items() if key != "limits"}, **limits}


def _allows(name: str, allowed: Sequence[str] | None, blocked: Sequence[str]) -> bool:
    return name not in blocked and (allowed is None or name in allowed)


def _plain(value: Any) -> Any:
    # YAML reads moments as such, and keys may be anything.
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _explained(error: ValidationError, where: str) -> InputError:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    place = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = sorted((RiskLimits if path[:-1] == ["limits"] else Policy).model_fields)
        near = get_close_matches(path[-1], known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return InputError("no such key", where=f"{where}: {place}", remedy=f"{hint}keys are {', '.join(known)}")
    found = first["input"] if isinstance(first["input"], str | int | float | bool | None) else "that"
    at = f"{where}: {place}" if place else where
    return InputError(f"{first['msg']}, found {found!r}", where=at, remedy="correct the value")
