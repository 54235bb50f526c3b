"""Faults of answers and messages: what they make of sound ones."""

from collections.abc import Mapping
from typing import Any, Final

from quant_organism.exchange.simulator.faults.injector import FaultInjector
from quant_organism.exchange.simulator.faults.plan import Fault

UNKNOWN: Final = "unheardOf"
BROKEN_PAIR: Final = {"name": "@367", "tokens": [9_999, 0], "index": 367, "isCanonical": False}
_NULLABLE: Final = ("premium", "midPx", "impactPxs")


def distort(injector: FaultInjector, kind: str, data: Any) -> Any:
    """Return what is published in the place of a sound answer or message of a kind, while faults of the venue last."""
    if kind == "spotMeta" and injector.lasting("malformed_spot"):
        return {**data, "universe": [*data["universe"], BROKEN_PAIR]}
    if kind in ("l2Book", "bbo") and data is not None and _lasts(injector, "crossed_book", data["coin"]):
        return _crossed(kind, data)
    if kind == "metaAndAssetCtxs" and injector.lasting("null_contexts"):
        coins = [entry["name"] for entry in data[0]["universe"]]
        return [data[0], [_bare(injector, coin, context) for coin, context in zip(coins, data[1], strict=True)]]
    if kind == "activeAssetCtx":
        return {**data, "ctx": _bare(injector, data["coin"], data["ctx"])}
    return data


def spoil_message(fault: Fault, message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with what a fault of a frame puts into it."""
    data = message.get("data")
    if fault.kind == "unknown_keys":
        inner = {**data, UNKNOWN: {"value": 1}} if isinstance(data, Mapping) else data
        return {**message, "data": inner, UNKNOWN: 1}
    if fault.kind == "unknown_status" and message["channel"] == "orderUpdates" and isinstance(data, list):
        return {**message, "data": [{**item, "status": f"{UNKNOWN}Canceled"} for item in data]}
    if fault.kind == "null_fields" and isinstance(data, Mapping):
        if message["channel"] == "bbo":
            return {**message, "data": {**data, "bbo": [None, None]}}
        if message["channel"] == "activeAssetCtx":
            return {**message, "data": {**data, "ctx": {**data["ctx"], **dict.fromkeys(_NULLABLE)}}}
    return message


def without_last_status(answer: Any) -> Any:
    """Return an answer of /exchange that lacks the last of its statuses."""
    try:
        statuses = answer["response"]["data"]["statuses"]
    except (KeyError, TypeError):
        return answer
    inner = {**answer["response"], "data": {"statuses": statuses[:-1]}}
    return {**answer, "response": inner}


def _lasts(injector: FaultInjector, kind: str, coin: str) -> bool:
    return any(fault.coin in (None, coin) for fault in injector.lasting(kind))


def _bare(injector: FaultInjector, coin: str, context: dict[str, Any]) -> dict[str, Any]:
    return {**context, **dict.fromkeys(_NULLABLE)} if _lasts(injector, "null_contexts", coin) else context


def _crossed(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return a book whose best bid and best ask have changed their prices."""
    if kind == "bbo":
        bid, ask = data["bbo"]
        return (
            data
            if bid is None or ask is None
            else {**data, "bbo": [{**bid, "px": ask["px"]}, {**ask, "px": bid["px"]}]}
        )
    bids, asks = data["levels"]
    if not bids or not asks:
        return data
    crossed = [[{**bids[0], "px": asks[0]["px"]}, *bids[1:]], [{**asks[0], "px": bids[0]["px"]}, *asks[1:]]]
    return {**data, "levels": crossed}
