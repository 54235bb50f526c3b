"""What faults of the venue do to its market and accounts, and faults of answers and messages to sound ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from quant_organism.errors import InputError
from quant_organism.simulator.core.state import Listing
from quant_organism.simulator.engine import Engine
from quant_organism.simulator.faults.injector import FaultInjector
from quant_organism.simulator.faults.plan import Fault
from quant_organism.venue.protocol import (
    EXTRA_CANCELS,
    OWN_DEX,
    Instrument,
    dex_asset_id,
    dex_name,
    request_cap,
    single_tier,
)

RATE_SCALE: Final = 10**10
UNKNOWN: Final = "unheardOf"
BROKEN_PAIR: Final = {"name": "@367", "tokens": [9_999, 0], "index": 367, "isCanonical": False}
_NULLABLE: Final = ("premium", "midPx", "impactPxs")


def begin(engine: Engine, fault: Fault) -> None:
    """Let a fault of the venue begin.

    Raises
    ------
    InputError
        It names no coin or user that exists, or lacks an option.
    """
    state, market = engine.venue.state, engine.market.state
    match fault.kind:
        case "expire_agents":
            for agent in _account(engine, fault).agents:
                agent.valid_until_ms = min(agent.valid_until_ms, engine.venue.core.clock_ms)
        case "revoke_agents":
            _account(engine, fault).agents.clear()
        case "unify_account":
            _account(engine, fault).unify()
        case "exhaust_address":
            account = _account(engine, fault)
            account.requests_used = request_cap(account.volume // 10**6) + EXTRA_CANCELS
        case "empty_book":
            market.thinned[asset_of(engine, fault)] = 0.0
        case "thin_book":
            market.thinned[asset_of(engine, fault)] = fault.number("factor", 0.01)
        case "one_sided_book":
            market.one_sided[asset_of(engine, fault)] = str(fault.options.get("side", "bid"))
        case "price_gap":
            market.lowered[asset_of(engine, fault)] = fault.number("factor", 0.9)
        case "mark_gap":
            market.mark_factor[asset_of(engine, fault)] = fault.number("factor", 0.9)
        case "funding_rate":
            market.rate_e10[asset_of(engine, fault)] = round(fault.number("rate", 0.04) * RATE_SCALE)
        case "late_funding":
            market.funding_due_ms += int(fault.number("ms", 60_000))
        case "halt":
            for listing in _listings(engine, fault):
                listing.halted = True
        case "post_only":
            state.post_only_until_ms = state.now_ms + (fault.duration_ms or 60_000)
        case "open_interest_cap":
            for listing in _listings(engine, fault):
                listing.open_interest_capped = True
        case "missing_candles":
            until = state.now_ms + (fault.duration_ms or 1 << 50)
            engine.candles[asset_of(engine, fault)].hidden.append((state.now_ms, until))
        case "revised_candle":
            series = engine.candles[asset_of(engine, fault)]
            for candle in (*series.minutes[-1:], *series.bars[-1:]):
                candle.close = candle.low if candle.close != candle.low else candle.high
        case "delist" | "append_asset" | "change_asset":
            _relist(engine, fault)
    _requote(engine, fault)


def end(engine: Engine, fault: Fault) -> None:
    """Let a fault of the venue end; what was for good stays."""
    state, market = engine.venue.state, engine.market.state
    match fault.kind:
        case "unify_account":
            _account(engine, fault).is_unified = False
        case "exhaust_address":
            _account(engine, fault).requests_used = 0
        case "empty_book" | "thin_book":
            market.thinned.pop(asset_of(engine, fault), None)
        case "one_sided_book":
            market.one_sided.pop(asset_of(engine, fault), None)
        case "price_gap":
            market.lowered.pop(asset_of(engine, fault), None)
        case "mark_gap":
            market.mark_factor.pop(asset_of(engine, fault), None)
        case "funding_rate":
            market.rate_e10.pop(asset_of(engine, fault), None)
        case "halt":
            for listing in _listings(engine, fault):
                listing.halted = False
        case "post_only":
            state.post_only_until_ms = state.now_ms
        case "open_interest_cap":
            for listing in _listings(engine, fault):
                listing.open_interest_capped = False
    _requote(engine, fault)


def _relist(engine: Engine, fault: Fault) -> None:
    """Change what is listed; ids stay what they were."""
    listings = engine.venue.state.listings
    if fault.kind == "append_asset":
        name = fault.coin or f"NEW{len(listings)}"
        listings[_next_asset(engine, name)] = Listing(
            Instrument(name, int(fault.number("sz_decimals", 2)), single_tier(3))
        )
    elif fault.kind == "delist":
        asset = asset_of(engine, fault)
        listings[asset].instrument = replace(listings[asset].instrument, is_delisted=True)
        engine.venue.delist(asset)
    else:
        instrument = listings[asset_of(engine, fault)].instrument
        changes: dict[str, Any] = {}
        if "max_leverage" in fault.options:
            changes |= {"tiers": single_tier(int(fault.number("max_leverage", 3))), "margin_table_id": None}
        listings[asset_of(engine, fault)].instrument = replace(instrument, **changes)
    engine.changed()


def _requote(engine: Engine, fault: Fault) -> None:
    if fault.coin is not None and fault.kind in ("empty_book", "thin_book", "one_sided_book"):
        engine.market.requote(asset_of(engine, fault))
        engine.changed()


def asset_of(engine: Engine, fault: Fault) -> int:
    """Return the asset id of the coin that a fault names.

    Raises
    ------
    InputError
        It names none that is listed.
    """
    for asset, listing in engine.venue.state.listings.items():
        if listing.instrument.name == fault.coin:
            return asset
    raise InputError(f"no coin is called {fault.coin!r}", where=f"fault {fault.kind}", remedy="name one that is listed")


def _next_asset(engine: Engine, coin: str) -> int:
    """Return the id of an asset that is listed next to those of its dex."""
    state, dex = engine.venue.state, dex_name(coin)
    for index, known in enumerate(state.dexs):
        if known.name == dex:
            listed = len(state.assets(index))
            return listed if index == OWN_DEX else dex_asset_id(index, listed)
    raise InputError(f"no dex is called {dex!r}", where="fault append_asset", remedy="name one that has coins")


def _listings(engine: Engine, fault: Fault) -> list[Listing]:
    listings = engine.venue.state.listings
    return list(listings.values()) if fault.coin is None else [listings[asset_of(engine, fault)]]


def _account(engine: Engine, fault: Fault) -> Any:
    account = engine.venue.state.accounts.get(fault.user or "")
    if account is None:
        raise InputError(f"no account of {fault.user!r}", where=f"fault {fault.kind}", remedy="name one with a deposit")
    return account


def distort(injector: FaultInjector, kind: str, data: Any) -> Any:
    """Return what is published in the place of a sound answer or message of a kind, while faults of the venue last."""
    if kind == "spotMeta" and injector.lasting("malformed_spot"):
        return {**data, "universe": [*data["universe"], BROKEN_PAIR]}
    if kind == "allMids" and data and (bad := injector.lasting("bad_mid")):
        texts = {fault.coin: str(fault.options.get("text", "NaN")) for fault in bad}
        mids = data.get("mids", data)  # a message of the stream has them one level deeper
        spoilt = {coin: texts.get(coin, px) for coin, px in mids.items()}
        return {**data, "mids": spoilt} if "mids" in data else spoilt
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
