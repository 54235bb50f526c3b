"""Signed actions as values: what the JSON of /exchange says, read strictly; unknown keys are passed over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

import orjson

from quant_organism.venue.protocol import texts
from quant_organism.venue.protocol.decimals import Malformed, parse_wire, scaled
from quant_organism.venue.protocol.reading import (
    OidOrCloid,
    parse_address,
    parse_bool,
    parse_cloid,
    parse_int,
    parse_list,
    parse_mapping,
    parse_oid_or_cloid,
)
from quant_organism.venue.protocol.texts import Tif, Tpsl
from quant_organism.venue.protocol.transfers import TRANSFER_READERS, Transfer

Grouping = Literal["na", "normalTpsl", "positionTpsl"]

_VALID_UNTIL: Final = " valid_until "
"""Between an agent's name and the time in ms until which it is approved."""

_MODES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("unifiedAccount", "u"), "unifiedAccount"),
    **dict.fromkeys(("portfolioMargin", "p"), "portfolioMargin"),
    **dict.fromkeys(("disabled", "i"), "default"),
}
_MAX_SIGNERS: Final = 10
_TIFS: Final[Mapping[str, Tif]] = {"Gtc": "Gtc", "Ioc": "Ioc", "Alo": "Alo", "FrontendMarket": "Ioc"}


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
    """A wallet that may act for the account, until a time in ms; without a name it is the only unnamed one."""

    agent: str
    name: str | None
    valid_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SetReferrer:
    """The code of whoever referred the account."""

    code: str


@dataclass(frozen=True, slots=True)
class ApproveBuilderFee:
    """What a builder may take at most of an order's value, in tenths of a basis point."""

    builder: str
    max_fee_tenths_bp: int


@dataclass(frozen=True, slots=True)
class SetAbstraction:
    """How money of an account counts: `default`, `dexAbstraction`, `unifiedAccount` or `portfolioMargin`."""

    user: str | None
    mode: str


@dataclass(frozen=True, slots=True)
class ConvertToMultiSig:
    """Who must sign for the account from now on, and how many of them; nobody: its own key again."""

    users: tuple[str, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class Unaffordable:
    """What nobody here can pay for or is entitled to: deploying, staking, validating; `text` says why."""

    text: str


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
    | SetReferrer
    | ApproveBuilderFee
    | SetAbstraction
    | ConvertToMultiSig
    | Unaffordable
    | Transfer
    | Noop
)


def parse_action(action: object) -> Action | None:
    """Return what an action asks for, or None where its type is not one that is served.

    Raises
    ------
    Malformed
        Not an object, no type, or a field that is missing or of a wrong kind.
    """
    body = parse_mapping(action, "action")
    kind = body.get("type")
    if not isinstance(kind, str):
        raise Malformed("an action needs a type", where="action")
    reader = _READERS.get(kind)
    return None if reader is None else reader(body)


def _order(value: object) -> OrderRequest:
    body = parse_mapping(value, "order")
    kind = parse_mapping(body.get("t"), "order.t")
    tif, trigger = None, None
    if "limit" in kind and "trigger" not in kind:
        tif = _TIFS.get(str(parse_mapping(kind["limit"], "order.t.limit").get("tif")))
        if tif is None:
            raise Malformed("tif is one of Gtc, Ioc, Alo", where="order.t.limit")
    elif "trigger" in kind and "limit" not in kind:
        trigger = _trigger(parse_mapping(kind["trigger"], "order.t.trigger"))
    else:
        raise Malformed("either limit or trigger is expected", where="order.t")
    cloid = body.get("c")
    return OrderRequest(
        asset=parse_int(body.get("a"), "order.a"),
        is_buy=parse_bool(body.get("b"), "order.b"),
        px=parse_wire(body.get("p")),
        sz=parse_wire(body.get("s")),
        reduce_only=parse_bool(body.get("r"), "order.r"),
        tif=tif,
        trigger=trigger,
        cloid=None if cloid is None else parse_cloid(cloid, "order.c"),
    )


def _trigger(body: Mapping[str, Any]) -> TriggerRequest:
    tpsl = body.get("tpsl")
    if tpsl not in ("tp", "sl"):
        raise Malformed("tpsl is tp or sl", where="order.t.trigger")
    return TriggerRequest(parse_wire(body.get("triggerPx")), parse_bool(body.get("isMarket"), "isMarket"), tpsl)


def _place(body: Mapping[str, Any]) -> PlaceOrders:
    grouping = body.get("grouping")
    if isinstance(grouping, Mapping) and set(grouping) == {"p"}:
        parse_int(grouping["p"], "grouping.p")
        grouping = "na"  # a priority fee changes the order of a block, of which this venue has one per action
    if grouping not in ("na", "normalTpsl", "positionTpsl"):
        raise Malformed("grouping is na, normalTpsl or positionTpsl", where="grouping")
    return PlaceOrders(tuple(_order(item) for item in parse_list(body, "orders")), grouping)


def _modify(body: Mapping[str, Any]) -> ModifyOrders:
    single = body.get("type") == "modify"
    items = [body] if single else [parse_mapping(item, "modifies") for item in parse_list(body, "modifies")]
    pairs = tuple((parse_oid_or_cloid(item.get("oid"), "oid"), _order(item.get("order"))) for item in items)
    return ModifyOrders(pairs, single)


def _cancel(body: Mapping[str, Any]) -> CancelOrders:
    items = [parse_mapping(item, "cancels") for item in parse_list(body, "cancels")]
    return CancelOrders(tuple((parse_int(i.get("a"), "cancels.a"), parse_int(i.get("o"), "cancels.o")) for i in items))


def _cancel_by_cloid(body: Mapping[str, Any]) -> CancelOrders:
    items = [parse_mapping(item, "cancels") for item in parse_list(body, "cancels")]
    return CancelOrders(
        tuple((parse_int(i.get("asset"), "cancels.asset"), parse_cloid(i.get("cloid"), "cancels.cloid")) for i in items)
    )


def _twap(body: Mapping[str, Any]) -> PlaceTwap:
    twap = parse_mapping(body.get("twap"), "twap")
    return PlaceTwap(
        asset=parse_int(twap.get("a"), "twap.a"),
        is_buy=parse_bool(twap.get("b"), "twap.b"),
        sz=parse_wire(twap.get("s")),
        reduce_only=parse_bool(twap.get("r"), "twap.r"),
        minutes=parse_int(twap.get("m"), "twap.m"),
        randomize=parse_bool(twap.get("t"), "twap.t"),
    )


def _schedule(body: Mapping[str, Any]) -> ScheduleCancel:
    time = body.get("time")
    return ScheduleCancel(None if time is None else parse_int(time, "time"))


def _leverage(body: Mapping[str, Any]) -> UpdateLeverage:
    return UpdateLeverage(
        parse_int(body.get("asset"), "asset"),
        parse_bool(body.get("isCross"), "isCross"),
        parse_int(body.get("leverage"), "leverage"),
    )


def _isolated_margin(body: Mapping[str, Any]) -> UpdateIsolatedMargin:
    parse_bool(body.get("isBuy"), "isBuy")
    return UpdateIsolatedMargin(parse_int(body.get("asset"), "asset"), parse_int(body.get("ntli"), "ntli"))


def _agent(body: Mapping[str, Any]) -> ApproveAgent:
    said = body.get("agentName")
    if said is not None and (not isinstance(said, str) or len(said) > 64):
        raise Malformed("a name is at most 64 characters", where="agentName")
    name, until, time = (said or "").partition(_VALID_UNTIL)
    if until and not (time.isascii() and time.isdigit()):
        raise Malformed(f"{time!r} is not a time in ms", where="agentName")
    agent = parse_address(body.get("agentAddress"), "agentAddress")
    return ApproveAgent(agent, name or None, int(time) if until else None)


def _referrer(body: Mapping[str, Any]) -> SetReferrer:
    code = body.get("code")
    if not isinstance(code, str) or not 0 < len(code) <= 20:
        raise Malformed("a code has 1 to 20 characters", where="code")
    return SetReferrer(code)


def _builder_fee(body: Mapping[str, Any]) -> ApproveBuilderFee:
    rate = body.get("maxFeeRate")
    tenths = scaled(parse_wire(rate.removesuffix("%")), 3) if isinstance(rate, str) and rate.endswith("%") else None
    if tenths is None or tenths < 0:
        raise Malformed(f"{rate!r} is not a rate like 0.001%", where="maxFeeRate")
    return ApproveBuilderFee(parse_address(body.get("builder"), "builder"), tenths)


def _abstraction(body: Mapping[str, Any]) -> SetAbstraction:
    """Read any of the four actions that say how an account's money counts; `user` is named where a user signs it."""
    kind, user = body["type"], None
    if kind.startswith("user"):
        user = parse_address(body.get("user"), "user")
    if kind == "userDexAbstraction":
        return SetAbstraction(user, "dexAbstraction" if parse_bool(body.get("enabled"), "enabled") else "default")
    if kind == "agentEnableDexAbstraction":
        return SetAbstraction(user, "dexAbstraction")
    mode = _MODES.get(str(body.get("abstraction")))
    if mode is None:
        raise Malformed("unifiedAccount, portfolioMargin or disabled is expected", where="abstraction")
    return SetAbstraction(user, mode)


def _multi_sig(body: Mapping[str, Any]) -> ConvertToMultiSig:
    said = body.get("signers")
    try:
        signers = orjson.loads(said) if isinstance(said, str) else None
    except orjson.JSONDecodeError as error:
        raise Malformed("signers are JSON in a text", where="signers") from error
    if signers is None and said == "null":
        return ConvertToMultiSig((), 0)
    told = parse_mapping(signers, "signers")
    listed, threshold = told.get("authorizedUsers"), parse_int(told.get("threshold"), "threshold")
    if not isinstance(listed, list) or len(listed) > _MAX_SIGNERS:
        raise Malformed(f"at most {_MAX_SIGNERS} authorizedUsers are expected", where="signers")
    users = tuple(sorted({parse_address(user, "authorizedUsers") for user in listed}))
    if (users or threshold) and not 1 <= threshold <= len(users):
        raise Malformed("the threshold is one of the users at least, and all at most", where="signers")
    return ConvertToMultiSig(users, threshold)


def _big_blocks(body: Mapping[str, Any]) -> Noop:
    parse_bool(body.get("usingBigBlocks"), "usingBigBlocks")
    return Noop()  # there are no blocks of contracts here, to be big or small


def _oracle(body: Mapping[str, Any]) -> Unaffordable:
    return Unaffordable(texts.NOT_THE_DEPLOYER if "setOracle" in body else texts.NO_DEPLOY_GAS)


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
    "setReferrer": _referrer,
    "approveBuilderFee": _builder_fee,
    "userDexAbstraction": _abstraction,
    "userSetAbstraction": _abstraction,
    "agentEnableDexAbstraction": _abstraction,
    "agentSetAbstraction": _abstraction,
    "convertToMultiSigUser": _multi_sig,
    "evmUserModify": _big_blocks,
    "tokenDelegate": lambda _: Unaffordable(texts.NO_STAKE),
    "gossipPriorityBid": lambda _: Unaffordable(texts.NO_DEPLOY_GAS),
    "spotDeploy": lambda _: Unaffordable(texts.NO_DEPLOY_GAS),
    "perpDeploy": _oracle,
    "CSignerAction": lambda _: Unaffordable(texts.NO_VALIDATOR),
    "CValidatorAction": lambda _: Unaffordable(texts.NO_VALIDATOR),
    **TRANSFER_READERS,
    "noop": lambda _: Noop(),
}
