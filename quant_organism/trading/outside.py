"""Signals of other sources: who may send them, within which limits, and how a line becomes one or is refused.

A source is a person or a program outside of this house. It has an identity, a list of symbols and limits of its own;
what it sends is a line of JSON in its inbox, by file or over the signal door. Nothing that it says is trusted before it
is checked.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_organism.errors import InputError, IntegrityError
from quant_organism.resilience import alone_in, write_file
from quant_organism.trading.records import Role

OUTSIDE: Final = "outside:"
"""What the identities of other sources begin with; no document's does."""

LONGEST_LINE: Final = 4_096
"""Bytes of a signal."""

MOST_BYTES: Final = 64 * 1_024
"""Of an inbox that are read at one close; what is beyond is passed over."""

_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,39}$"
_HOUR_MS: Final = 3_600_000
_SLACK_MS: Final = 60_000

Name = Annotated[str, Field(pattern=_NAME)]
Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Price = Annotated[float, Field(gt=0.0, lt=1e12, allow_inf_nan=False)]


class SignalSource(BaseModel):
    """Who may send signals, and how much may follow from them.

    Parameters
    ----------
    name
        Lower-case letters, digits, - and _; it trades as `outside:NAME`, which a policy may block or cap.
    role
        `shadow`: decided and booked in an account of its own, nothing is sent; `trades`: in the session's account.
    symbols
        That it may speak of.
    largest_share
        Of the session's equity that it disposes of.
    largest_target
        Of that share that one symbol may take.
    widest_stop
        Fraction of the price that its stop may be away.
    longest_hours
        That a signal may stay in force.
    signals_per_hour
        That are taken.
    token_digest
        SHA-256 (hex) of the token that the signal door asks for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name
    role: Role = "shadow"
    symbols: tuple[Text, ...] = Field(min_length=1, max_length=200)
    largest_share: float = Field(0.05, gt=0.0, le=0.25, allow_inf_nan=False)
    largest_target: float = Field(1.0, gt=0.0, le=1.0, allow_inf_nan=False)
    widest_stop: float = Field(0.1, gt=0.0, le=0.3, allow_inf_nan=False)
    longest_hours: float = Field(24.0, gt=0.0, le=720.0, allow_inf_nan=False)
    signals_per_hour: int = Field(60, ge=1, le=3_600)
    token_digest: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def id(self) -> str:
        """Its identity among strategies."""
        return OUTSIDE + self.name

    def accepts_token(self, token: str) -> bool:
        """Say whether a token is the source's, in a time that tells nothing of it."""
        return hmac.compare_digest(hashlib.sha256(token.encode()).hexdigest(), self.token_digest)


class OutsideSignal(BaseModel):
    """What a source wants of a symbol from the next close on.

    Parameters
    ----------
    source, signal_id
        Who says it, and under which identity; one that was seen before is refused.
    symbol, side
        `flat` ends what was wanted.
    target
        Share of what the source disposes of, 0 to 1; not with `flat`.
    stop_price, take_profit_price
        USD; without a stop nothing is entered.
    confidence
        0 to 1.
    sent_ms
        When, UTC milliseconds by the venue's clock; older than a bar is too late.
    valid_hours
        For how long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    source: Name
    signal_id: Text
    symbol: Text
    side: Literal["long", "short", "flat"]
    target: float = Field(0.0, ge=0.0, le=1.0, allow_inf_nan=False)
    stop_price: Price | None = None
    take_profit_price: Price | None = None
    confidence: float = Field(1.0, ge=0.0, le=1.0, allow_inf_nan=False)
    sent_ms: int = Field(ge=0, lt=2**53)
    valid_hours: float = Field(1.0, gt=0.0, le=720.0, allow_inf_nan=False)

    @property
    def sign(self) -> int:
        """1 long, -1 short, 0 flat."""
        return {"long": 1, "short": -1, "flat": 0}[self.side]

    @property
    def expires_ms(self) -> int:
        """When it ends by itself."""
        return self.sent_ms + round(self.valid_hours * _HOUR_MS)

    @classmethod
    def of(cls, line: bytes, *, where: str) -> Self:
        """Return the signal of a line.

        Raises
        ------
        InputError
            It is too long, no JSON, or one of its fields is missing, unknown or not usable; the message names it.
        """
        if len(line) > LONGEST_LINE:
            raise InputError(
                f"a line of {len(line)} bytes", where=where, remedy=f"send at most {LONGEST_LINE} bytes a signal"
            )
        try:
            return cls.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            key = ".".join(str(part) for part in first["loc"]) or "the line"
            raise InputError(
                f"{key}: {first['msg']}"[:300], where=where, remedy=f"fields are {', '.join(sorted(cls.model_fields))}"
            ) from None

    def check(self, source: SignalSource) -> None:
        """Refuse what is beyond a source's limits, as far as that is known without a price.

        Raises
        ------
        InputError
            It is another's, of a symbol that is not the source's, or beyond a limit; the message names the number.
        """
        problem = ""
        if self.source != source.name:
            problem = f"it says that it is of {self.source}"
        elif self.symbol not in source.symbols:
            problem = f"{self.symbol} is none of its symbols"
        elif self.target > source.largest_target:
            problem = f"a target of {self.target:g} is above {source.largest_target:g}"
        elif self.valid_hours > source.longest_hours:
            problem = f"{self.valid_hours:g} hours are longer than {source.longest_hours:g}"
        elif (self.side == "flat") != (self.target == 0.0):
            problem = f"side {self.side} does not go with a target of {self.target:g}"
        elif self.side != "flat" and self.stop_price is None:
            problem = "it names no stop"
        if problem:
            raise InputError(problem, where=f"signal {self.signal_id} of {source.name}", remedy="see its limits")

    def check_price(self, source: SignalSource, price: float, close_ms: int, interval_ms: int) -> None:
        """Refuse what does not fit the close at which it is taken.

        Raises
        ------
        InputError
            It comes too late or is stamped too early, or its levels are on the wrong side or too far away.
        """
        where = f"signal {self.signal_id} of {source.name}"
        if abs(close_ms - self.sent_ms) > interval_ms + _SLACK_MS:
            raise InputError(
                f"it was sent {(close_ms - self.sent_ms) / 1e3:g} s before the close",
                where=where,
                remedy="send it within the bar, by the venue's clock",
            )
        if self.expires_ms <= close_ms:
            raise InputError("it has expired", where=where, remedy="let it be valid beyond the close")
        if self.side == "flat":
            return
        assert self.stop_price is not None
        away = self.sign * (price - self.stop_price) / price
        if not 0.0 < away <= source.widest_stop:
            raise InputError(
                f"its stop at {self.stop_price:g} is {away:.4f} of {price:g} away on the losing side, allowed is more "
                f"than 0 and up to {source.widest_stop:g}",
                where=where,
                remedy="place it on the losing side, within the limit",
            )
        goal = self.take_profit_price
        if goal is not None and self.sign * (goal - price) <= 0.0:
            raise InputError(f"its target at {goal:g} is no gain at {price:g}", where=where, remedy="place it beyond")


@dataclass(frozen=True)
class SourceStore:
    """The sources of a data folder, a file each, and their inboxes.

    Parameters
    ----------
    folder
        `data/trader/sources`; inboxes lie in it as `NAME.jsonl`.
    """

    folder: Path

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """Return that of a data folder."""
        return cls(data_dir / "trader" / "sources")

    def add(self, name: str, symbols: tuple[str, ...], **limits: Any) -> tuple[SignalSource, str]:
        """Add a source, and return it with its token, which is kept nowhere.

        Raises
        ------
        InputError
            There is one of that name, or a limit is not usable.
        """
        token = secrets.token_urlsafe(32)
        fields = {
            **limits,
            "name": name,
            "symbols": symbols,
            "token_digest": hashlib.sha256(token.encode()).hexdigest(),
        }
        try:
            source = SignalSource(**fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{where}: {first['msg']}", where="signal source", remedy="see docs/trading.md") from None
        with alone_in(self.folder, "changing the signal sources"):
            if self._file(name).exists():
                raise InputError(f"there is a source {name}", where=str(self.folder), remedy="choose another name")
            write_file(self._file(name), source.model_dump_json(indent=2).encode() + b"\n")
        return source, token

    def remove(self, name: str) -> None:
        """Take a source away; its inbox stays.

        Raises
        ------
        InputError
            There is none of that name.
        """
        if name not in self.sources():
            raise InputError(f"there is no source {name!r}", where=str(self.folder), remedy="see: trade source list")
        self._file(name).unlink()

    def sources(self) -> Mapping[str, SignalSource]:
        """Return all sources by name.

        Raises
        ------
        IntegrityError
            A file is damaged.
        """
        found: dict[str, SignalSource] = {}
        for file in sorted(self.folder.glob("[!.]*.json")):
            try:
                source = SignalSource.model_validate_json(file.read_bytes())
            except (OSError, ValidationError) as error:
                raise IntegrityError(f"not a signal source: {error}", where=str(file), remedy="restore it") from None
            if self._file(source.name) != file:
                raise IntegrityError(f"it says that it is {source.name}", where=str(file), remedy="restore it")
            found[source.name] = source
        return found

    def inbox(self, name: str) -> Path:
        """Return the file that a source's signals lie in, a line each."""
        return self.folder / f"{name}.jsonl"

    def deliver(self, signal: OutsideSignal) -> None:
        """Lay a signal that was checked in its source's inbox, as one write.

        Raises
        ------
        OSError
            The disk refuses.
        """
        line = orjson.dumps(signal.model_dump(mode="json")) + b"\n"
        descriptor = os.open(self.inbox(signal.source), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def unread(self, name: str, offset: int) -> tuple[list[bytes], int, int]:
        """Return whole lines of an inbox from an offset on, the offset after them, and the bytes that were passed over.

        A file that has become shorter was begun anew. A line without its end is not whole yet.
        """
        try:
            descriptor = os.open(self.inbox(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:  # none yet, or no file
            return [], offset, 0
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            start = 0 if size < offset else offset
            file.seek(start)
            content = file.read(MOST_BYTES)
        if size - start > MOST_BYTES:
            whole = content[: content.rfind(b"\n") + 1]
            return whole.splitlines(), size, size - start - len(whole)
        whole = content[: content.rfind(b"\n") + 1]
        return whole.splitlines(), start + len(whole), 0

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"
