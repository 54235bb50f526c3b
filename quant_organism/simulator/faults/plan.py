"""Every kind of fault by the moment at which it strikes (reference: section 21), and plans of them.

A plan is a YAML document, or what the admin endpoint is sent.
"""

from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from quant_organism.errors import InputError

Stage = Literal["connection", "request", "action", "info", "answer", "handshake", "socket", "frame", "venue"]

KINDS: Final[dict[str, tuple[Stage, str]]] = {
    # connection: a client connects
    "refuse_connection": ("connection", "The connection is reset before anything is read."),
    # request: a request was read, nothing was done
    "latency": ("request", "The request waits for `ms`, or up to `ms` + `jitter_ms`, before it is looked at."),
    "reset_before": ("request", "The connection is reset; nothing was done."),
    "http_status": ("request", "`status` with `body` is answered; nothing was done. `headers` may be given."),
    # action: a signed action was admitted, nothing was done
    "refuse_action": ("action", "The whole action is refused with `text`: a limit, a nonce, an unknown wallet."),
    # info: a question is answered
    "visibility_lag": ("info", "Orders and fills trail by `ms`."),
    "stale_answer": ("info", "The answer to the same question before is given again."),
    # answer: everything was done, the answer is on its way
    "answer_latency": ("answer", "The answer waits for `ms`."),
    "reset_after": ("answer", "The connection is reset; everything was done."),
    "drop_idle": ("answer", "The connection is reset `ms` after the answer."),
    "replace_answer": ("answer", "`body` is answered with `status` instead: empty, HTML, `null`, cut short."),
    "truncate_answer": ("answer", "The second half of the answer is missing."),
    "trickle_answer": ("answer", "The answer comes a byte every `ms`."),
    "endless_answer": ("answer", "Blanks follow the answer, `mb` millions of them."),
    "fewer_statuses": ("answer", "The last item of the statuses is missing."),
    # handshake: a WebSocket is asked for
    "refuse_socket": ("handshake", "The handshake is answered with `status`."),
    # socket: a message of the client was read, or time passes over a socket
    "close_socket": ("socket", "The socket is closed with `code`."),
    "abort_socket": ("socket", "The connection is reset without a word."),
    "silence_socket": ("socket", "The socket stays open and nothing is sent any more."),
    "withhold_pong": ("socket", "A ping is not answered."),
    "withhold_ack": ("socket", "A subscription is made but not acknowledged."),
    "delay_ack": ("socket", "A subscription is acknowledged `ms` late, after its data."),
    "refuse_subscription": ("socket", "A subscription is answered with an error."),
    # frame: a message goes out
    "drop_frame": ("frame", "The message is lost."),
    "delay_frame": ("frame", "The message comes `ms` late, behind others."),
    "duplicate_frame": ("frame", "The message comes twice."),
    "reorder_frame": ("frame", "The message comes behind the next one."),
    "malform_frame": ("frame", "The message is cut in the middle."),
    "unknown_channel": ("frame", "A message of an unheard-of channel comes before it."),
    "unknown_keys": ("frame", "The message holds keys that nobody knows."),
    "unknown_status": ("frame", "An order's status is a word that nobody knows."),
    "null_fields": ("frame", "Optional fields of the message are null."),
    # venue: at a time, for a while
    "clock_offset": (
        "venue",
        "Nonces, expiry, agents and scheduled cancels are judged, and answers dated, by a clock that is `ms` ahead, "
        "drifting by `ppm`.",
    ),
    "exhaust_ip": ("venue", "No REST weight is left."),
    "exhaust_address": ("venue", "The address `user` has used up its requests."),
    "expire_agents": ("venue", "The agents of `user` have expired."),
    "revoke_agents": ("venue", "The agents of `user` are gone."),
    "unify_account": ("venue", "`user` is a unified account."),
    "empty_book": ("venue", "Nobody quotes `coin`."),
    "one_sided_book": ("venue", "Nobody quotes the `side` (bid or ask) of `coin`."),
    "crossed_book": ("venue", "The published book of `coin` is crossed."),
    "thin_book": ("venue", "Depth of `coin` is multiplied by `factor`."),
    "price_gap": ("venue", "Prices of `coin` are multiplied by `factor`."),
    "mark_gap": ("venue", "The mark of `coin` is multiplied by `factor`, its oracle and book are not."),
    "funding_rate": ("venue", "The hourly funding rate of `coin` is `rate`."),
    "late_funding": ("venue", "The next funding is paid `ms` late."),
    "missing_candles": ("venue", "Candles of `coin` that open while it lasts are not to be had."),
    "revised_candle": ("venue", "The newest candle of `coin` is published with another close."),
    "halt": ("venue", "`coin`, or all, does not trade: books are frozen, orders refused."),
    "post_only": ("venue", "Only post-only orders are taken."),
    "open_interest_cap": ("venue", "Positions in `coin` may not grow."),
    "delist": ("venue", "`coin` is delisted in its place, for good."),
    "append_asset": ("venue", "An asset called `coin` is listed, for good."),
    "change_asset": ("venue", "`coin` has another `max_leverage`, for good."),
    "malformed_spot": ("venue", "spotMeta holds a pair whose token does not exist."),
    "bad_mid": ("venue", "The mid of `coin` is published as `text`, which is no price."),
    "null_contexts": ("venue", "Asset contexts of `coin` lack what may be null."),
    "restart": ("venue", "All connections are reset; the state is kept."),
}
"""By name: when it strikes, and what it does."""


MAX_BYTES: Final = 256_000
NUMERIC: Final = frozenset(
    {"ms", "jitter_ms", "ppm", "status", "code", "factor", "rate", "sz_decimals", "max_leverage", "mb"}
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
