"""Orders, fills and positions of an account as values, read from answers old and new.

Unknown keys are passed over, unknown words kept, null where the venue may say null. What must be there and is not makes
the answer unreadable.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, TypeVar

from quant_organism.venue.client.requests import Trigger
from quant_organism.venue.client.transport import VenueUnreadable
from quant_organism.venue.protocol import texts
from quant_organism.venue.protocol.texts import Tif

_TIFS: Final[Mapping[str, Tif]] = {"Gtc": "Gtc", "Ioc": "Ioc", "Alo": "Alo", "FrontendMarket": "Ioc"}
_FINEST: Final = Decimal("1e-8")
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
    reduce_only, tif, trigger
        None where this answer does not say, or there is none.
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
    tif: Tif | None
    trigger: Trigger | None
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
        Whether this account's position was closed by the venue; against another's, it was somebody's counterpart.
    liquidation_method
        `market` or `backstop` where a liquidation, of whomever, was part of the trade.
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
    liquidation_method: str | None = None


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
    """Money and positions; USD.

    Parameters
    ----------
    account_value_usd, withdrawable_usd, margin_used_usd
        Equity, what may be taken out, and what positions bind.
    time_ms
        Of the venue; 0 in answers that do not say it.
    """

    account_value_usd: Decimal
    withdrawable_usd: Decimal
    margin_used_usd: Decimal
    positions: tuple[Position, ...]
    time_ms: int

    @property
    def cash_usd(self) -> Decimal | None:
        """Equity without the value of positions, which is signed; None: a position has no mark."""
        values = [None if item.mark_px is None else item.szi * item.mark_px for item in self.positions if item.szi]
        if None in values:
            return None
        cash = self.account_value_usd - sum((value for value in values if value is not None), Decimal(0))
        return cash.quantize(_FINEST)  # a mark is a quotient here


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
            account_value_usd=number(summary["accountValue"]),
            withdrawable_usd=number(body["withdrawable"]),
            margin_used_usd=number(summary["totalMarginUsed"]),
            positions=tuple(position_of(item["position"]) for item in body["assetPositions"]),
            time_ms=int(body.get("time", 0)),
        )

    return reading(read, answer, "clearinghouseState")


def with_spot_money(state: AccountState, answer: Any) -> AccountState:
    """Return a unified account's state with the money that `spotClearinghouseState` shows, in USDC.

    Its total is equity, the profit of positions included; what is held is the margin of positions and orders.

    Raises
    ------
    VenueUnreadable
        It shows none.
    """

    def read(body: Mapping[str, Any]) -> AccountState:
        usdc = [row for row in body["balances"] if row["coin"] == "USDC"]
        total = sum((amount(row["total"]) for row in usdc), Decimal(0))
        held = sum((amount(row["hold"]) for row in usdc), Decimal(0))
        free = max(total - held, Decimal(0))
        return replace(state, account_value_usd=total, withdrawable_usd=free, margin_used_usd=held)

    return reading(read, answer, "spotClearinghouseState")


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
    orders = reading(lambda rows: [_order(row, texts.OPEN, None) for row in rows], answer, "openOrders")
    children = [child for row in answer for child in row.get("children") or []]
    return orders + reading(lambda rows: [_order(row, texts.OPEN, None) for row in rows], children, "openOrders")


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

    return reading(read, answer, "orderStatus")


def read_order_update(item: Any) -> VenueOrder:
    """Return one item of an `orderUpdates` message or of `historicalOrders`.

    Raises
    ------
    VenueUnreadable
        It is neither.
    """
    return reading(
        lambda body: _order(body["order"], body["status"], body.get("statusTimestamp")), item, "orderUpdates"
    )


def read_fills(answer: Any, user: str) -> list[Fill]:
    """Return the fills of an account, in the order of the answer.

    Raises
    ------
    VenueUnreadable
        One of them lacks what names or sizes it.
    """
    return reading(lambda rows: [_fill(row, user) for row in rows], answer, "userFills")


def in_order(fills: Iterable[Fill]) -> list[Fill]:
    """Return fills by time, each once."""
    once = {(fill.tid, fill.oid): fill for fill in fills}
    return sorted(once.values(), key=lambda fill: (fill.time_ms, fill.tid, fill.oid))


def number(value: Any) -> Decimal:
    """Return a number of an answer.

    Raises
    ------
    ValueError, TypeError, InvalidOperation
        Not a number, or infinite.
    """
    read = Decimal(value)
    if not read.is_finite():
        raise ValueError(f"{value!r} is not a number")
    return read


def amount(value: Any) -> Decimal:
    """Return a price or size of an answer.

    Raises
    ------
    ValueError, TypeError, InvalidOperation
        Not a number, infinite or negative.
    """
    read = number(value)
    if read < 0:
        raise ValueError(f"{value!r} is negative")
    return read


def _is_buy(side: Any) -> bool:
    if side not in ("A", "B"):
        raise ValueError(f"{side!r} is no side")
    return bool(side == "B")


def _order(body: Mapping[str, Any], word: str, at_ms: Any) -> VenueOrder:
    cloid, left = body.get("cloid"), amount(body["sz"])
    return VenueOrder(
        coin=body["coin"],
        is_buy=_is_buy(body["side"]),
        oid=int(body["oid"]),
        cloid=None if cloid is None else str(cloid).lower(),
        px=amount(body["limitPx"]),
        left_sz=left,
        original_sz=amount(body.get("origSz", left)),
        reduce_only=body.get("reduceOnly"),
        tif=_TIFS.get(str(body.get("tif"))),
        trigger=_trigger(body),
        word=str(word),
        at_ms=int(body["timestamp"] if at_ms is None else at_ms),
    )


def _trigger(body: Mapping[str, Any]) -> Trigger | None:
    if body.get("isTrigger") is not True:
        return None
    kind = str(body.get("orderType"))
    return Trigger(amount(body["triggerPx"]), "tp" if kind.startswith("Take Profit") else "sl", "Market" in kind)


def _fill(body: Mapping[str, Any], user: str) -> Fill:
    cloid, liquidation = body.get("cloid"), body.get("liquidation")
    said = liquidation if isinstance(liquidation, Mapping) else {}
    liquidated, method = said.get("liquidatedUser"), said.get("method")
    if isinstance(liquidated, str):
        is_ours = liquidated.lower() == user.lower()
    else:  # an older answer that does not say whose
        is_ours = str(body.get("dir", "")).startswith("Liquidated")
    return Fill(
        coin=body["coin"],
        is_buy=_is_buy(body["side"]),
        px=amount(body["px"]),
        sz=amount(body["sz"]),
        time_ms=int(body["time"]),
        oid=int(body["oid"]),
        tid=int(body.get("tid", 0)),  # absent in answers of 2023
        cloid=None if cloid is None else str(cloid).lower(),
        fee=number(body.get("fee") or 0),
        fee_token=body.get("feeToken", "USDC"),
        closed_pnl=number(body.get("closedPnl") or 0),
        crossed=body.get("crossed") is True,
        is_liquidation=is_ours,
        liquidation_method=method if isinstance(method, str) else None,
    )


def position_of(body: Mapping[str, Any]) -> Position:
    """Return a position of an answer.

    Raises
    ------
    KeyError, TypeError, ValueError, InvalidOperation
        It is none.
    """
    entry, liquidation = body.get("entryPx"), body.get("liquidationPx")
    szi, value = number(body["szi"]), body.get("positionValue")
    return Position(
        coin=body["coin"],
        szi=szi,
        entry_px=None if entry is None else amount(entry),
        mark_px=None if value is None or not szi else amount(value) / abs(szi),
        liquidation_px=None if liquidation is None else amount(liquidation),
        margin_used_usd=number(body.get("marginUsed") or 0),
        leverage=int(body["leverage"]["value"]),
        is_cross=body["leverage"]["type"] == "cross",
    )


def reading(read: Callable[[Any], T], answer: Any, kind: str) -> T:
    """Return what is read of an answer of a kind.

    Raises
    ------
    VenueUnreadable
        It cannot be read as that.
    """
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise VenueUnreadable(f"{type(error).__name__} {error} in {repr(answer)[:200]}", where=f"info {kind}") from None
