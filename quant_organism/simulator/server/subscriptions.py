"""What can be subscribed to, and what a subscription shows (reference: section 8)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from quant_organism.simulator.engine import Engine
from quant_organism.simulator.market.candles import INTERVALS
from quant_organism.simulator.server import market_views as market
from quant_organism.simulator.server.account_views import AccountView
from quant_organism.simulator.server.info import find_asset, find_dex
from quant_organism.venue.protocol import OWN_DEX, Malformed, parse_address

SNAPSHOT_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class SocketSubscription:
    """One subscription, with what its type needs."""

    kind: str
    coin: str | None = None
    user: str | None = None
    interval: str | None = None
    figures: int | None = None
    mantissa: int | None = None
    dex: str = ""

    def echo(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Return the subscription as it is acknowledged: with the fields that were left out."""
        found = dict(said)
        if self.kind == "l2Book":
            found |= {"nSigFigs": self.figures, "mantissa": self.mantissa}
        return found

    @property
    def channel(self) -> str:
        """Name of the channel that its messages have."""
        return "user" if self.kind == "userEvents" else self.kind


MARKET_STATES: Final = frozenset({"allMids", "l2Book", "bbo", "activeAssetCtx", "allDexsAssetCtxs"})
"""Types whose state is published again and again while prices move."""

USER_STATES: Final = frozenset(
    {
        "webData2",
        "webData3",
        "activeAssetData",
        "clearinghouseState",
        "openOrders",
        "spotState",
        "allDexsClearinghouseState",
        "twapStates",
    }
)
"""The same, of an account."""

USER_STREAMS: Final = frozenset(
    {
        "orderUpdates",
        "userEvents",
        "userFills",
        "userFundings",
        "userNonFundingLedgerUpdates",
        "userTwapSliceFills",
        "userTwapHistory",
        "notification",
    }
)
_BY_COIN: Final = frozenset({"l2Book", "bbo", "trades", "candle", "activeAssetCtx", "activeAssetData"})
_BY_DEX: Final = frozenset({"allMids", "clearinghouseState", "openOrders", "twapStates"})
KINDS: Final = MARKET_STATES | USER_STATES | USER_STREAMS | {"trades", "candle"}


def parse_subscription(engine: Engine, said: object) -> SocketSubscription:
    """Return what is asked for.

    Raises
    ------
    Malformed
        An unknown type, coin, user or interval.
    """
    kind = said.get("type") if isinstance(said, Mapping) else None
    if not isinstance(said, Mapping) or not isinstance(kind, str) or kind not in KINDS:
        raise Malformed("unknown type", where="subscription")
    coin, user, interval = None, None, None
    if kind in _BY_COIN:
        if find_asset(engine, said.get("coin")) is None:
            raise Malformed("unknown coin", where="subscription")
        coin = str(said["coin"])
    if kind in USER_STATES | USER_STREAMS:
        user = parse_address(said.get("user"), "subscription")
    if kind == "candle":
        interval = said.get("interval")
        if not isinstance(interval, str) or interval not in INTERVALS:
            raise Malformed("unknown interval", where="subscription")
    figures, mantissa = said.get("nSigFigs"), said.get("mantissa")
    if figures not in (None, 2, 3, 4, 5) or mantissa not in (None, 1, 2, 5):
        raise Malformed("unknown precision", where="subscription")
    dex = said.get("dex") if kind in _BY_DEX else None
    if find_dex(engine, dex) is None:
        raise Malformed("unknown dex", where="subscription")
    return SocketSubscription(kind, coin, user, interval, figures, mantissa, dex or "")


def first_message(engine: Engine, sub: SocketSubscription) -> Any:
    """Return the data of a subscription's first message, or None where there is none."""
    if sub.kind in MARKET_STATES | USER_STATES:
        return state(engine, sub)
    if sub.kind == "trades":
        return market.recent_trades(engine, _asset(engine, sub)) or None
    if sub.kind == "candle":
        return candle(engine, sub)
    if sub.kind in _SNAPSHOTS:
        name, rows = _SNAPSHOTS[sub.kind]
        return {"isSnapshot": True, "user": sub.user, name: rows(AccountView(engine, str(sub.user)))}
    return None


def state(engine: Engine, sub: SocketSubscription) -> Any:
    """Return the present state that a subscription shows."""
    return _STATES[sub.kind](engine, sub)


def candle(engine: Engine, sub: SocketSubscription) -> dict[str, Any] | None:
    """Return the newest candle."""
    assert sub.interval is not None
    length = INTERVALS[sub.interval]
    start = engine.now_ms // length * length
    found = market.candle_list(engine, _asset(engine, sub), sub.interval, start, engine.now_ms)
    return found[-1] if found else None


def flat_funding(view: AccountView, row: Any) -> dict[str, Any]:
    """Return a funding payment as sockets have it."""
    return {"time": row.time_ms, **view.funding(row)}


def _asset(engine: Engine, sub: SocketSubscription) -> int:
    asset = find_asset(engine, sub.coin)
    assert asset is not None
    return asset


def _view(engine: Engine, sub: SocketSubscription) -> AccountView:
    return AccountView(engine, str(sub.user))


def _dex(engine: Engine, sub: SocketSubscription) -> int:
    dex = find_dex(engine, sub.dex)
    assert dex is not None
    return dex


def _all_mids(engine: Engine, sub: SocketSubscription) -> dict[str, Any]:
    mids = {"mids": market.all_mids(engine, _dex(engine, sub))}
    return mids | {"dex": sub.dex} if sub.dex else mids


def _web_data(engine: Engine, sub: SocketSubscription) -> dict[str, Any]:
    view = _view(engine, sub)
    return {
        "clearinghouseState": view.state(OWN_DEX),
        "leadingVaults": [],
        "totalVaultEquity": "0.0",
        "openOrders": view.frontend_orders(OWN_DEX),
        "agentAddress": None,
        "agentValidUntil": None,
        "cumLedger": "0.0",
        "meta": market.perp_meta(engine, OWN_DEX),
        "assetCtxs": market.asset_contexts(engine, OWN_DEX),
        "serverTime": engine.now_ms,
        "isVault": False,
        "user": sub.user,
        "twapStates": view.twap_states(OWN_DEX),
        "spotState": view.spot_state(),
        "spotAssetCtxs": [],
    }


def _web_data_3(engine: Engine, sub: SocketSubscription) -> dict[str, Any]:
    user = {"cumLedger": "0.0", "serverTime": engine.now_ms, "isVault": False, "user": sub.user}
    return {"userState": user, "perpDexStates": [{"totalVaultEquity": "0.0"} for _ in engine.venue.state.dexs]}


_STATES: Final[Mapping[str, Callable[[Engine, SocketSubscription], Any]]] = {
    "allMids": _all_mids,
    "l2Book": lambda engine, sub: market.l2_book(engine, _asset(engine, sub), sub.figures, sub.mantissa or 1),
    "bbo": lambda engine, sub: market.best_levels(engine, _asset(engine, sub)),
    "activeAssetCtx": lambda engine, sub: {
        "coin": sub.coin,
        "ctx": market.asset_context(engine, _asset(engine, sub)),
    },
    "allDexsAssetCtxs": lambda engine, sub: {
        "ctxs": [[dex.name, market.asset_contexts(engine, i)] for i, dex in enumerate(engine.venue.state.dexs)]
    },
    "webData2": _web_data,
    "webData3": _web_data_3,
    "activeAssetData": lambda engine, sub: _view(engine, sub).active_asset(_asset(engine, sub)),
    "clearinghouseState": lambda engine, sub: {
        "dex": sub.dex,
        "user": sub.user,
        "clearinghouseState": _view(engine, sub).state(_dex(engine, sub)),
    },
    "openOrders": lambda engine, sub: {
        "dex": sub.dex,
        "user": sub.user,
        "orders": _view(engine, sub).frontend_orders(_dex(engine, sub)),
    },
    "spotState": lambda engine, sub: {"user": sub.user, "spotState": _view(engine, sub).spot_state()},
    "allDexsClearinghouseState": lambda engine, sub: {
        "user": sub.user,
        "clearinghouseStates": [
            [dex.name, _view(engine, sub).state(i)] for i, dex in enumerate(engine.venue.state.dexs)
        ],
    },
    "twapStates": lambda engine, sub: {
        "dex": sub.dex,
        "user": sub.user,
        "states": _view(engine, sub).twap_states(_dex(engine, sub)),
    },
}

_SNAPSHOTS: Final[Mapping[str, tuple[str, Callable[[AccountView], list[Any]]]]] = {
    "userFills": ("fills", lambda view: view.fills()[:SNAPSHOT_ROWS]),
    "userFundings": (
        "fundings",
        lambda view: [flat_funding(view, row) for row in reversed(view.account.fundings[-SNAPSHOT_ROWS:])],
    ),
    "userNonFundingLedgerUpdates": (
        "nonFundingLedgerUpdates",
        lambda view: list(reversed(view.ledger(0, None)))[:SNAPSHOT_ROWS],
    ),
    "userTwapSliceFills": ("twapSliceFills", lambda view: view.twap_fills()[:SNAPSHOT_ROWS]),
    "userTwapHistory": ("history", lambda view: view.account.twap_history[: -SNAPSHOT_ROWS - 1 : -1]),
}
