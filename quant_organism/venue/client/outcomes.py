"""What became of an action: accepted, rejected (why), or unknown.

`Rejected` means that the venue certainly did nothing. Whatever is not certain is `Unknown`, and is settled by asking
the venue, never by sending again. Texts are matched by their beginning: items end in ` asset=N`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, Literal

from quant_organism.venue.protocol import texts

Placed = Literal["resting", "filled", "waiting", "done"]


class Why(StrEnum):
    """Why an action was refused."""

    PRICE = "price"
    SIZE = "size"
    NOTIONAL = "notional"
    MARGIN = "margin"
    REDUCE_ONLY = "reduce_only"
    NO_LIQUIDITY = "no_liquidity"
    WOULD_CROSS = "would_cross"
    POST_ONLY_PERIOD = "post_only_period"
    TRIGGER = "trigger"
    TOO_FAR = "too_far"
    OPEN_INTEREST = "open_interest"
    OPEN_ORDERS = "open_orders"
    HALTED = "halted"
    ASSET = "asset"
    NOT_OPEN = "not_open"
    TWAP = "twap"
    LEVERAGE = "leverage"
    VOLUME_GATE = "volume_gate"
    BATCH_SIZE = "batch_size"
    ADDRESS_LIMIT = "address_limit"
    IP_LIMIT = "ip_limit"
    WALLET = "wallet"
    NONCE = "nonce"
    EXPIRED = "expired"
    UNIFIED = "unified"
    UNREADABLE = "unreadable"
    NOT_SENT = "not_sent"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue did it.

    Parameters
    ----------
    placed
        An order that rests, was filled at once (in part or whole), or waits for its parent or trigger; `done`: any
        other action.
    oid
        Number of the order; none where the venue gives none.
    filled_sz, average_px
        What was filled at once, in coins and USD.
    """

    placed: Placed
    oid: int | None = None
    filled_sz: Decimal = Decimal(0)
    average_px: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The venue certainly did nothing; `text` is what it said."""

    why: Why
    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whether the venue did it is not known; `text` says what happened instead of an answer."""

    text: str


Outcome = Accepted | Rejected | Unknown

_BEGINNINGS: Final[Sequence[tuple[str, Why]]] = (
    (texts.PRICE_OFF_TICK, Why.PRICE),
    (texts.INVALID_PRICE, Why.PRICE),
    (texts.INVALID_SIZE, Why.SIZE),
    (texts.ZERO_SIZE, Why.SIZE),
    (texts.MIN_NOTIONAL, Why.NOTIONAL),
    (texts.ORDER_VALUE, Why.NOTIONAL),
    ("Too many open orders", Why.OPEN_ORDERS),
    ("Insufficient margin", Why.MARGIN),
    (texts.WOULD_INCREASE, Why.REDUCE_ONLY),
    (texts.NO_MATCH, Why.NO_LIQUIDITY),
    ("Post only order", Why.WOULD_CROSS),
    ("Only post-only", Why.POST_ONLY_PERIOD),
    (texts.INVALID_TPSL, Why.TRIGGER),
    ("Price too far", Why.TOO_FAR),
    ("Order price too far", Why.TOO_FAR),
    ("Order price cannot be more than", Why.TOO_FAR),
    ("Order would increase open interest", Why.OPEN_INTEREST),
    (texts.HALTED.removesuffix("."), Why.HALTED),
    (texts.UNKNOWN_ASSET, Why.ASSET),
    (texts.NOT_OPEN, Why.NOT_OPEN),
    (texts.CANNOT_MODIFY, Why.NOT_OPEN),
    (texts.NO_TWAP, Why.NOT_OPEN),
    (texts.TWAP_MINUTES, Why.TWAP),
    (texts.NOT_ISOLATED, Why.LEVERAGE),
    (texts.INVALID_LEVERAGE, Why.LEVERAGE),
    (texts.CROSS_FORBIDDEN, Why.LEVERAGE),
    (texts.NO_SWITCH, Why.LEVERAGE),
    (texts.LEVERAGE_MARGIN, Why.LEVERAGE),
    (texts.ISOLATED_MARGIN, Why.LEVERAGE),
    ("Cannot set scheduled cancel time until", Why.VOLUME_GATE),
    ("Signed action over weight limit", Why.BATCH_SIZE),
    ("Too many cumulative requests", Why.ADDRESS_LIMIT),
    ("User or API Wallet", Why.WALLET),
    ("Must deposit", Why.WALLET),
    (texts.UNRECOVERABLE, Why.WALLET),
    ("Invalid nonce", Why.NONCE),
    ("nonce too", Why.NONCE),
    ("Action expired", Why.EXPIRED),
    ("Action disabled when unified", Why.UNIFIED),
)


def refusal(text: str) -> Rejected:
    """Return the refusal that a text of the venue means; an unheard-of one is kept under `other`."""
    why = next((why for beginning, why in _BEGINNINGS if text.startswith(beginning)), Why.OTHER)
    return Rejected(why, text)


def is_used_nonce(outcome: Outcome) -> bool:
    """Say whether an action was refused because its nonce had been used already."""
    return isinstance(outcome, Rejected) and "duplicate nonce" in outcome.text


def read_outcomes(answer: Any, count: int) -> list[Outcome]:
    """Return what became of each item of an action.

    Parameters
    ----------
    answer
        JSON of /exchange.
    count
        Items of the action; 1 for one that has none.

    Returns
    -------
    list of Outcome
        Exactly `count`. Where the answer cannot be matched item by item, all are unknown.
    """
    if not isinstance(answer, Mapping):
        return [Unknown(f"answer {_short(answer)}")] * count
    response = answer.get("response")
    if answer.get("status") == "err":
        refused = refusal(response if isinstance(response, str) else _short(response))
        # the same signed request, delivered twice: the first may have been carried out
        whole: Outcome = Unknown(refused.text) if is_used_nonce(refused) else refused
        return [whole] * count
    if answer.get("status") != "ok" or not isinstance(response, Mapping):
        return [Unknown(f"answer {_short(answer)}")] * count
    if response.get("type") == "default":
        return [Accepted("done")] * count
    data = response.get("data")
    statuses = data.get("statuses") if isinstance(data, Mapping) else None
    if isinstance(data, Mapping) and count == 1 and statuses is None and "status" in data:
        statuses = [data["status"]]  # a TWAP order has one
    if not isinstance(statuses, list) or len(statuses) != count:
        return [Unknown(f"{count} statuses are expected: {_short(answer)}")] * count
    return [_item(status) for status in statuses]


def _item(status: Any) -> Outcome:
    if status == "success":
        return Accepted("done")
    if status in ("waitingForFill", "waitingForTrigger"):
        return Accepted("waiting")
    if not isinstance(status, Mapping):
        return Unknown(f"status {_short(status)}")
    if isinstance(status.get("error"), str):
        return refusal(status["error"])
    try:
        if isinstance(status.get("resting"), Mapping):
            return Accepted("resting", int(status["resting"]["oid"]))
        if isinstance(status.get("filled"), Mapping):
            filled = status["filled"]
            return Accepted("filled", int(filled["oid"]), Decimal(filled["totalSz"]), Decimal(filled["avgPx"]))
    except (KeyError, TypeError, ValueError, InvalidOperation):
        pass
    return Unknown(f"status {_short(status)}")


def _short(value: Any) -> str:
    return repr(value)[:200]
