"""Signed actions as values: what the JSON of /exchange says, read strictly; unknown keys are passed over."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from quant_organism.venue.protocol.decimals import Malformed, parse_wire
from quant_organism.venue.protocol.texts import Tif, Tpsl

Grouping = Literal["na", "normalTpsl", "positionTpsl"]
OidOrCloid = int | str

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_CLOID: Final = re.compile(r"0x[0-9a-fA-F]{32}")
_TIFS: Final[Mapping[str, Tif]] = {"Gtc": "Gtc", "Ioc": "Ioc", "Alo": "Alo", "FrontendMarket": "Ioc"}
_MAX_INT: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """When a take-profit or stop order becomes active; `px` in USD."""

    px: Decimal
    is_market: bool
    tpsl: Tpsl


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order; price in USD, size in coins; `tif` is None where there is a trigger."""

    asset: int
    is_buy: bool
    px: Decimal
    sz: Decimal
    reduce_only: bool
    tif: Tif | None
    trigger: TriggerRequest | None
    cloid: str | None


@dataclass(frozen=True, slots=True)
class PlaceOrders:
    """Orders of one action; with `normalTpsl` the first is the parent of the others."""

    orders: tuple[OrderRequest, ...]
    grouping: Grouping


@dataclass(frozen=True, slots=True)
class ModifyOrders:
    """Orders to replace; `single` is the form whose refusal is the whole action's."""

    items: tuple[tuple[OidOrCloid, OrderRequest], ...]
    single: bool


@dataclass(frozen=True, slots=True)
class CancelOrders:
    """Asset and oid or cloid of orders to cancel."""

    items: tuple[tuple[int, OidOrCloid], ...]


@dataclass(frozen=True, slots=True)
class PlaceTwap:
    """An order to be traded in parts over some minutes; size in coins."""

    asset: int
    is_buy: bool
    sz: Decimal
    reduce_only: bool
    minutes: int
    randomize: bool


@dataclass(frozen=True, slots=True)
class CancelTwap:
    """Asset and number of a TWAP order to end."""

    asset: int
    number: int


@dataclass(frozen=True, slots=True)
class ScheduleCancel:
    """When all open orders shall be cancelled, in ms; None clears it."""

    time_ms: int | None


@dataclass(frozen=True, slots=True)
class UpdateLeverage:
    """Leverage and margin mode of an asset."""

    asset: int
    is_cross: bool
    leverage: int


@dataclass(frozen=True, slots=True)
class UpdateIsolatedMargin:
    """Micro-USD to add to an isolated position, or to take from it."""

    asset: int
    micro_usd: int


@dataclass(frozen=True, slots=True)
class ApproveAgent:
    """A wallet that may act for the account; without a name it is the only unnamed one."""

    agent: str
    name: str | None


@dataclass(frozen=True, slots=True)
class SendAsset:
    """Collateral to send from one dex to another, of the same address or not; dexs by name, the venue's own empty."""

    destination: str
    source_dex: str
    destination_dex: str
    token: str
    amount: Decimal
    nonce: int


@dataclass(frozen=True, slots=True)
class Noop:
    """Nothing but the use of a nonce."""


Action = (
    PlaceOrders
    | ModifyOrders
    | CancelOrders
    | PlaceTwap
    | CancelTwap
    | ScheduleCancel
    | UpdateLeverage
    | UpdateIsolatedMargin
    | ApproveAgent
    | SendAsset
    | Noop
)


def parse_action(action: object) -> Action | None:
    """Return what an action asks for, or None where its type is not one that is served.

    Raises
    ------
    Malformed
        Not an object, no type, or a field that is missing or of a wrong kind.
    """
    body = _mapping(action, "action")
    kind = body.get("type")
    if not isinstance(kind, str):
        raise Malformed("an action needs a type", where="action")
    reader = _READERS.get(kind)
    return None if reader is None else reader(body)


def parse_address(value: object, where: str) -> str:
    """Return an address in lower case.

    Raises
    ------
    Malformed
        Not `0x` and 40 hexadecimal digits.
    """
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise Malformed(f"{value!r} is not an address", where=where)
    return value.lower()


def parse_int(value: object, where: str) -> int:
    """Return a whole number that fits 64 bits.

    Raises
    ------
    Malformed
        Anything else, a boolean included.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not -_MAX_INT <= value < _MAX_INT:
        raise Malformed(f"{value!r} is not a whole number", where=where)
    return value


def parse_oid_or_cloid(value: object, where: str) -> OidOrCloid:
    """Return an order's number, or its cloid in lower case.

    Raises
    ------
    Malformed
        Neither.
    """
    return _cloid(value, where) if isinstance(value, str) else parse_int(value, where)


def _order(value: object) -> OrderRequest:
    body = _mapping(value, "order")
    kind = _mapping(body.get("t"), "order.t")
    tif, trigger = None, None
    if "limit" in kind and "trigger" not in kind:
        tif = _TIFS.get(str(_mapping(kind["limit"], "order.t.limit").get("tif")))
        if tif is None:
            raise Malformed("tif is one of Gtc, Ioc, Alo", where="order.t.limit")
    elif "trigger" in kind and "limit" not in kind:
        trigger = _trigger(_mapping(kind["trigger"], "order.t.trigger"))
    else:
        raise Malformed("either limit or trigger is expected", where="order.t")
    cloid = body.get("c")
    return OrderRequest(
        asset=parse_int(body.get("a"), "order.a"),
        is_buy=_boolean(body.get("b"), "order.b"),
        px=parse_wire(body.get("p")),
        sz=parse_wire(body.get("s")),
        reduce_only=_boolean(body.get("r"), "order.r"),
        tif=tif,
        trigger=trigger,
        cloid=None if cloid is None else _cloid(cloid, "order.c"),
    )


def _trigger(body: Mapping[str, Any]) -> TriggerRequest:
    tpsl = body.get("tpsl")
    if tpsl not in ("tp", "sl"):
        raise Malformed("tpsl is tp or sl", where="order.t.trigger")
    return TriggerRequest(parse_wire(body.get("triggerPx")), _boolean(body.get("isMarket"), "isMarket"), tpsl)


def _place(body: Mapping[str, Any]) -> PlaceOrders:
    grouping = body.get("grouping")
    if isinstance(grouping, Mapping) and set(grouping) == {"p"}:
        parse_int(grouping["p"], "grouping.p")
        grouping = "na"  # a priority fee changes the order of a block, of which this venue has one per action
    if grouping not in ("na", "normalTpsl", "positionTpsl"):
        raise Malformed("grouping is na, normalTpsl or positionTpsl", where="grouping")
    return PlaceOrders(tuple(_order(item) for item in _items(body, "orders")), grouping)


def _modify(body: Mapping[str, Any]) -> ModifyOrders:
    single = body.get("type") == "modify"
    items = [body] if single else [_mapping(item, "modifies") for item in _items(body, "modifies")]
    pairs = tuple((parse_oid_or_cloid(item.get("oid"), "oid"), _order(item.get("order"))) for item in items)
    return ModifyOrders(pairs, single)


def _cancel(body: Mapping[str, Any]) -> CancelOrders:
    items = [_mapping(item, "cancels") for item in _items(body, "cancels")]
    return CancelOrders(tuple((parse_int(i.get("a"), "cancels.a"), parse_int(i.get("o"), "cancels.o")) for i in items))


def _cancel_by_cloid(body: Mapping[str, Any]) -> CancelOrders:
    items = [_mapping(item, "cancels") for item in _items(body, "cancels")]
    return CancelOrders(
        tuple((parse_int(i.get("asset"), "cancels.asset"), _cloid(i.get("cloid"), "cancels.cloid")) for i in items)
    )


def _twap(body: Mapping[str, Any]) -> PlaceTwap:
    twap = _mapping(body.get("twap"), "twap")
    return PlaceTwap(
        asset=parse_int(twap.get("a"), "twap.a"),
        is_buy=_boolean(twap.get("b"), "twap.b"),
        sz=parse_wire(twap.get("s")),
        reduce_only=_boolean(twap.get("r"), "twap.r"),
        minutes=parse_int(twap.get("m"), "twap.m"),
        randomize=_boolean(twap.get("t"), "twap.t"),
    )


def _schedule(body: Mapping[str, Any]) -> ScheduleCancel:
    time = body.get("time")
    return ScheduleCancel(None if time is None else parse_int(time, "time"))


def _leverage(body: Mapping[str, Any]) -> UpdateLeverage:
    return UpdateLeverage(
        parse_int(body.get("asset"), "asset"),
        _boolean(body.get("isCross"), "isCross"),
        parse_int(body.get("leverage"), "leverage"),
    )


def _isolated_margin(body: Mapping[str, Any]) -> UpdateIsolatedMargin:
    _boolean(body.get("isBuy"), "isBuy")
    return UpdateIsolatedMargin(parse_int(body.get("asset"), "asset"), parse_int(body.get("ntli"), "ntli"))


def _agent(body: Mapping[str, Any]) -> ApproveAgent:
    name = body.get("agentName")
    if name is not None and (not isinstance(name, str) or len(name) > 64):
        raise Malformed("a name is at most 64 characters", where="agentName")
    return ApproveAgent(parse_address(body.get("agentAddress"), "agentAddress"), name or None)


def _send(body: Mapping[str, Any]) -> SendAsset:
    source, target, token = (body.get(key) for key in ("sourceDex", "destinationDex", "token"))
    if not isinstance(source, str) or not isinstance(target, str) or not isinstance(token, str):
        raise Malformed("sourceDex, destinationDex and token are expected", where="sendAsset")
    return SendAsset(
        destination=parse_address(body.get("destination"), "destination"),
        source_dex=source,
        destination_dex=target,
        token=token.partition(":")[0],  # `USDC` or `USDC:` and the token's id
        amount=parse_wire(body.get("amount")),
        nonce=parse_int(body.get("nonce"), "nonce"),
    )


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Malformed("an object is expected", where=where)
    return value


def _items(body: Mapping[str, Any], key: str) -> list[Any]:
    items = body.get(key)
    if not isinstance(items, list) or not items:
        raise Malformed("a list with at least one item is expected", where=key)
    return items


def _boolean(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise Malformed(f"{value!r} is not true or false", where=where)
    return value


def _cloid(value: object, where: str) -> str:
    if not isinstance(value, str) or not _CLOID.fullmatch(value):
        raise Malformed(f"{value!r} is not 0x and 32 hexadecimal digits", where=where)
    return value.lower()


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Action]]] = {
    "order": _place,
    "modify": _modify,
    "batchModify": _modify,
    "cancel": _cancel,
    "cancelByCloid": _cancel_by_cloid,
    "twapOrder": _twap,
    "twapCancel": lambda body: CancelTwap(parse_int(body.get("a"), "a"), parse_int(body.get("t"), "t")),
    "scheduleCancel": _schedule,
    "updateLeverage": _leverage,
    "updateIsolatedMargin": _isolated_margin,
    "approveAgent": _agent,
    "sendAsset": _send,
    "noop": lambda _: Noop(),
}
