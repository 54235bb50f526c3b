"""Orders, fills and positions of an account as values, read from answers old and new.

Unknown keys are passed over, unknown words kept, null where the venue may say null. What must be there and is not makes
the answer unreadable.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeVar

from quant_organism.venue.client.transport import VenueUnreadable
from quant_organism.venue.protocol import texts

Standing = Literal["open", "filled", "canceled", "rejected", "other"]
T = TypeVar("T")


def standing(word: str) -> Standing:
    """Return what a status word amounts to; `other`: ask again, the word is not one that is known.

    A trigger that has fired is open until its order has an end of its own.
    """
    if word in (texts.OPEN, texts.TRIGGERED):
        return "open"
    if word == texts.FILLED:
        return "filled"
    if word == texts.REJECTED or word.endswith("Rejected"):
        return "rejected"
    if word == texts.CANCELED or word.endswith(("Canceled", "Cancel")):
        return "canceled"
    return "other"


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue shows it.

    Parameters
    ----------
    coin, is_buy
        What and which way.
    oid, cloid
        The venue's number, and ours where there is one.
    px
        Limit price, USD.
    left_sz, original_sz
        Coins not yet filled, and at the beginning.
    reduce_only, is_trigger
        None where this answer does not say.
    word
        Status as the venue writes it.
    at_ms
        Time of the status.
    """

    coin: str
    is_buy: bool
    oid: int
    cloid: str | None
    px: Decimal
    left_sz: Decimal
    original_sz: Decimal
    reduce_only: bool | None
    is_trigger: bool | None
    word: str
    at_ms: int

    @property
    def standing(self) -> Standing:
        """What the word amounts to."""
        return standing(self.word)


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade of the account; `tid` is shared by both sides, so that (`tid`, `oid`) names it.

    Parameters
    ----------
    px, sz
        USD and coins.
    fee
        In `fee_token`; negative: a rebate.
    closed_pnl
        USD, before fees.
    is_liquidation
        Whether the venue closed the position.
    """

    coin: str
    is_buy: bool
    px: Decimal
    sz: Decimal
    time_ms: int
    oid: int
    tid: int
    cloid: str | None
    fee: Decimal
    fee_token: str
    closed_pnl: Decimal
    crossed: bool
    is_liquidation: bool


@dataclass(frozen=True, slots=True)
class Position:
    """What is held of a coin; `szi` is signed, in coins; prices in USD, None where there is none or it is not said."""

    coin: str
    szi: Decimal
    entry_px: Decimal | None
    mark_px: Decimal | None
    liquidation_px: Decimal | None
    margin_used_usd: Decimal
    leverage: int
    is_cross: bool


@dataclass(frozen=True, slots=True)
class AccountState:
    """Money and positions; USD."""

    account_value_usd: Decimal
    withdrawable_usd: Decimal
    margin_used_usd: Decimal
    positions: tuple[Position, ...]
    time_ms: int


def read_account(answer: Any) -> AccountState:
    """Return a `clearinghouseState`.

    Raises
    ------
    VenueUnreadable
        It is none.
    """

    def read(body: Mapping[str, Any]) -> AccountState:
        summary = body["marginSummary"]
        return AccountState(
            account_value_usd=Decimal(summary["accountValue"]),
            withdrawable_usd=Decimal(body["withdrawable"]),
            margin_used_usd=Decimal(summary["totalMarginUsed"]),
            positions=tuple(_position(item["position"]) for item in body["assetPositions"]),
            time_ms=int(body.get("time", 0)),
        )

    return _reading(read, answer, "clearinghouseState")


def together(states: Sequence[AccountState]) -> AccountState:
    """Return one state of several margin accounts: sums of money, all positions, the earliest time."""
    return AccountState(
        account_value_usd=sum((state.account_value_usd for state in states), Decimal(0)),
        withdrawable_usd=sum((state.withdrawable_usd for state in states), Decimal(0)),
        margin_used_usd=sum((state.margin_used_usd for state in states), Decimal(0)),
        positions=tuple(position for state in states for position in state.positions),
        time_ms=min(state.time_ms for state in states),
    )


def read_open_orders(answer: Any) -> list[VenueOrder]:
    """Return the orders of `openOrders` or `frontendOpenOrders`, with the children that wait for them.

    Raises
    ------
    VenueUnreadable
        It is neither.
    """
    orders = _reading(lambda rows: [_order(row, texts.OPEN, None) for row in rows], answer, "openOrders")
    children = [child for row in answer for child in row.get("children") or []]
    return orders + _reading(lambda rows: [_order(row, texts.OPEN, None) for row in rows], children, "openOrders")


def read_order_status(answer: Any) -> VenueOrder | None:
    """Return the order of `orderStatus`, or None where the venue knows no such order.

    Raises
    ------
    VenueUnreadable
        It says neither.
    """

    def read(body: Mapping[str, Any]) -> VenueOrder | None:
        if body["status"] == "unknownOid":
            return None
        found = body["order"]
        return _order(found["order"], found["status"], found.get("statusTimestamp"))

    return _reading(read, answer, "orderStatus")


def read_order_update(item: Any) -> VenueOrder:
    """Return one item of an `orderUpdates` message or of `historicalOrders`.

    Raises
    ------
    VenueUnreadable
        It is neither.
    """
    return _reading(
        lambda body: _order(body["order"], body["status"], body.get("statusTimestamp")), item, "orderUpdates"
    )


def read_fills(answer: Any) -> list[Fill]:
    """Return the fills of a list, in its order.

    Raises
    ------
    VenueUnreadable
        One of them lacks what names or sizes it.
    """
    return _reading(lambda rows: [_fill(row) for row in rows], answer, "userFills")


def in_order(fills: Iterable[Fill]) -> list[Fill]:
    """Return fills by time, each once."""
    once = {(fill.tid, fill.oid): fill for fill in fills}
    return sorted(once.values(), key=lambda fill: (fill.time_ms, fill.tid, fill.oid))


def _order(body: Mapping[str, Any], word: str, at_ms: Any) -> VenueOrder:
    cloid, left = body.get("cloid"), Decimal(body["sz"])
    return VenueOrder(
        coin=body["coin"],
        is_buy=body["side"] == "B",
        oid=int(body["oid"]),
        cloid=None if cloid is None else str(cloid).lower(),
        px=Decimal(body["limitPx"]),
        left_sz=left,
        original_sz=Decimal(body.get("origSz", left)),
        reduce_only=body.get("reduceOnly"),
        is_trigger=body.get("isTrigger"),
        word=str(word),
        at_ms=int(body["timestamp"] if at_ms is None else at_ms),
    )


def _fill(body: Mapping[str, Any]) -> Fill:
    cloid = body.get("cloid")
    return Fill(
        coin=body["coin"],
        is_buy=body["side"] == "B",
        px=Decimal(body["px"]),
        sz=Decimal(body["sz"]),
        time_ms=int(body["time"]),
        oid=int(body["oid"]),
        tid=int(body.get("tid", 0)),  # absent in answers of 2023
        cloid=None if cloid is None else str(cloid).lower(),
        fee=Decimal(body.get("fee") or 0),
        fee_token=body.get("feeToken", "USDC"),
        closed_pnl=Decimal(body.get("closedPnl") or 0),
        crossed=body.get("crossed") is True,
        is_liquidation=body.get("liquidation") is not None,
    )


def _position(body: Mapping[str, Any]) -> Position:
    entry, liquidation = body.get("entryPx"), body.get("liquidationPx")
    szi, value = Decimal(body["szi"]), body.get("positionValue")
    return Position(
        coin=body["coin"],
        szi=szi,
        entry_px=None if entry is None else Decimal(entry),
        mark_px=None if value is None or not szi else Decimal(value) / abs(szi),
        liquidation_px=None if liquidation is None else Decimal(liquidation),
        margin_used_usd=Decimal(body.get("marginUsed") or 0),
        leverage=int(body["leverage"]["value"]),
        is_cross=body["leverage"]["type"] == "cross",
    )


def _reading(read: Callable[[Any], T], answer: Any, kind: str) -> T:
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise VenueUnreadable(f"{type(error).__name__} {error} in {repr(answer)[:200]}", where=f"info {kind}") from None
