"""/info: which question gets which answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from quant_organism.simulator.engine import Engine
from quant_organism.simulator.market.candles import INTERVALS
from quant_organism.simulator.server import holding_views as holdings_of
from quant_organism.simulator.server import market_views as market
from quant_organism.simulator.server.account_views import AccountView
from quant_organism.venue.protocol import Malformed, parse_address, parse_int, parse_oid_or_cloid


class Broken(Exception):
    """A question at which the venue breaks with 500 `null`."""


@dataclass(slots=True)
class InfoRequest:
    """What is asked, of whom, and how far the answer may trail.

    Parameters
    ----------
    engine
        The venue.
    body
        The request.
    lag_ms
        Lag of orders and fills.
    spot_meta
        What is said of spot pairs.
    """

    engine: Engine
    body: Mapping[str, Any]
    lag_ms: int
    spot_meta: Mapping[str, Any]

    def user(self) -> AccountView:
        """Return the account that is asked about."""
        return self.user_of("user")

    def user_of(self, key: str) -> AccountView:
        """Return the account of an address that stands under a key."""
        return AccountView(self.engine, parse_address(self.body.get(key), key), self.lag_ms)

    def time(self, key: str) -> int | None:
        """Return a time in ms; None where it is not given."""
        value = self.body.get(key)
        return None if value is None else parse_int(value, key)

    def asset(self, key: str = "coin") -> int | None:
        """Return the asset id of a coin, or None for one that is not listed."""
        return find_asset(self.engine, self.body.get(key))

    def known_asset(self) -> int:
        """Return the asset id of a coin that must be listed."""
        asset = self.asset()
        if asset is None:
            raise Broken
        return asset


def find_asset(engine: Engine, coin: object) -> int | None:
    """Return the asset id of a coin, or None where it is not listed.

    Raises
    ------
    Malformed
        Not a text.
    """
    if not isinstance(coin, str):
        raise Malformed(f"{coin!r} is not a coin", where="coin")
    listings = engine.venue.state.listings.items()
    return next((asset for asset, listing in listings if listing.instrument.name == coin), None)


def find_dex(engine: Engine, name: object) -> int | None:
    """Return the index of a dex by name; none or an empty one: the venue's own. None where there is none of that name.

    Raises
    ------
    Malformed
        Not a text.
    """
    if name is not None and not isinstance(name, str):
        raise Malformed(f"{name!r} is not a dex", where="dex")
    names = [dex.name for dex in engine.venue.state.dexs]
    return names.index(name or "") if (name or "") in names else None


def answer(question: InfoRequest) -> Any:
    """Return what /info answers.

    Raises
    ------
    Malformed
        An unknown type, or a field that is missing or of a wrong kind.
    Broken
        What the real venue breaks at.
    """
    kind = question.body.get("type")
    handler = _ANSWERS.get(kind) if isinstance(kind, str) else None
    if handler is None:
        raise Malformed(f"unknown type {kind!r}", where="type")
    return handler(question)


def kinds() -> frozenset[str]:
    """Return the types of questions that have an answer."""
    return frozenset(_ANSWERS)


def _contexts(q: InfoRequest, dex: int) -> list[Any]:
    return [market.perp_meta(q.engine, dex), market.asset_contexts(q.engine, dex)]


def _on_dex(give: Callable[[InfoRequest, int], Any], empty: Any) -> Callable[[InfoRequest], Any]:
    """Answer for the dex that is named; of one that does not exist there is nothing."""

    def answered(q: InfoRequest) -> Any:
        dex = find_dex(q.engine, q.body.get("dex"))
        return empty if dex is None else give(q, dex)

    return answered


def _capped(q: InfoRequest, dex: int) -> list[str]:
    listings = q.engine.venue.state.listings
    return [listings[a].instrument.name for a in q.engine.venue.state.assets(dex) if listings[a].open_interest_capped]


def _l2_book(q: InfoRequest) -> Any:
    asset, figures, mantissa = q.asset(), q.body.get("nSigFigs"), q.body.get("mantissa")
    if asset is None:
        return None
    if figures is not None and (figures not in (2, 3, 4, 5) or (mantissa is not None and figures != 5)):
        raise Broken
    if mantissa not in (None, 1, 2, 5):
        raise Broken
    return market.l2_book(q.engine, asset, figures, mantissa or 1)


def _candles(q: InfoRequest) -> Any:
    request = q.body.get("req")
    interval = request.get("interval") if isinstance(request, Mapping) else None
    if not isinstance(request, Mapping) or not isinstance(interval, str) or interval not in INTERVALS:
        raise Malformed("coin, interval, startTime and endTime are expected", where="req")
    asset = find_asset(q.engine, request.get("coin"))
    start = parse_int(request.get("startTime"), "startTime")
    end = request.get("endTime")
    end_ms = q.engine.now_ms if end is None else parse_int(end, "endTime")
    if asset is None:
        raise Broken
    return market.candle_list(q.engine, asset, interval, start, end_ms)


def _funding_history(q: InfoRequest) -> Any:
    end = q.time("endTime")
    start = q.time("startTime") or 0
    return market.funding_history(q.engine, q.known_asset(), start, q.engine.now_ms if end is None else end)


def _fills_by_time(q: InfoRequest) -> Any:
    start = q.time("startTime") or 0
    return q.user().fills(max(start, 1), q.time("endTime"), aggregate=bool(q.body.get("aggregateByTime")))


def _span(give: Callable[[AccountView, int, int | None], Any]) -> Callable[[InfoRequest], Any]:
    return lambda q: give(q.user(), q.time("startTime") or 0, q.time("endTime"))


def _builder_fee(q: InfoRequest) -> int:
    return q.user().account.builder_fees.get(parse_address(q.body.get("builder"), "builder"), 0)


def _of_user(shown: Any) -> Callable[[InfoRequest], Any]:
    """Answer the same for every user; the address must be one all the same."""

    def give(q: InfoRequest) -> Any:
        q.user()
        return shown

    return give


_AUCTION: Final = {
    "startTimeSeconds": 0,
    "durationSeconds": 111_600,
    "startGas": "500.0",
    "currentGas": "500.0",
    "endGas": None,
}
_REFERRAL: Final[Mapping[str, Any]] = {
    "referredBy": None,
    "cumVlm": "0.0",
    "unclaimedRewards": "0.0",
    "claimedRewards": "0.0",
    "builderRewards": "0.0",
    "referrerState": {"stage": "needToTrade", "data": {"required": "10000.0"}},
    "rewardHistory": [],
}
_STAKE: Final = {"delegated": "0.0", "undelegated": "0.0", "totalPendingWithdrawal": "0.0", "nPendingWithdrawals": 0}

_ANSWERS: Final[Mapping[str, Callable[[InfoRequest], Any]]] = {
    "meta": _on_dex(lambda q, dex: market.perp_meta(q.engine, dex), None),
    "metaAndAssetCtxs": _on_dex(_contexts, None),
    "allPerpMetas": lambda q: [market.perp_meta(q.engine, dex) for dex in range(len(q.engine.venue.state.dexs))],
    "perpDexs": lambda q: market.perp_dexs(q.engine),
    "spotMeta": lambda q: q.spot_meta,
    "spotMetaAndAssetCtxs": lambda q: [q.spot_meta, []],
    "allMids": _on_dex(lambda q, dex: market.all_mids(q.engine, dex), {}),
    "l2Book": _l2_book,
    "candleSnapshot": _candles,
    "fundingHistory": _funding_history,
    "predictedFundings": lambda q: market.predicted_fundings(q.engine),
    "recentTrades": lambda q: market.recent_trades(q.engine, q.known_asset()),
    "exchangeStatus": lambda q: {"specialStatuses": None, "time": q.engine.now_ms},
    "perpsAtOpenInterestCap": _on_dex(_capped, []),
    "perpDeployAuctionStatus": lambda q: _AUCTION,
    "spotDeployState": _of_user({"states": [], "gasAuction": _AUCTION}),
    "clearinghouseState": _on_dex(lambda q, dex: q.user().state(dex), None),
    "spotClearinghouseState": lambda q: q.user().spot_state(),
    "openOrders": _on_dex(lambda q, dex: q.user().open_orders(dex), []),
    "frontendOpenOrders": _on_dex(lambda q, dex: q.user().frontend_orders(dex), []),
    "orderStatus": lambda q: q.user().order_status(parse_oid_or_cloid(q.body.get("oid"), "oid")),
    "historicalOrders": lambda q: q.user().historical_orders(),
    "userFills": lambda q: q.user().fills(),
    "userFillsByTime": _fills_by_time,
    "userFunding": _span(lambda user, start, end: user.fundings(start, end)),
    "userNonFundingLedgerUpdates": _span(lambda user, start, end: user.ledger(start, end)),
    "userRateLimit": lambda q: q.user().rate_limit(),
    "userFees": lambda q: q.user().fees(),
    "userRole": lambda q: q.user().role(),
    "extraAgents": lambda q: q.user().agents(),
    "portfolio": lambda q: q.user().portfolio(),
    "activeAssetData": lambda q: q.user().active_asset(q.known_asset()),
    "userAbstraction": lambda q: q.user().abstraction(),
    "userDexAbstraction": lambda q: q.user().account.uses_dex_abstraction,
    "userToMultiSigSigners": lambda q: holdings_of.signers(q.user()),
    "subAccounts": lambda q: holdings_of.sub_accounts(q.user()),
    "referral": lambda q: {**_REFERRAL, "referredBy": holdings_of.referrer(q.user())},
    "userVaultEquities": lambda q: holdings_of.vault_equities(q.user()),
    "vaultDetails": lambda q: holdings_of.vault_details(q.user_of("vaultAddress")),
    "twapHistory": lambda q: q.user().twap_history(),
    "userTwapSliceFills": lambda q: q.user().twap_fills(),
    "delegatorSummary": _of_user(_STAKE),
    "delegations": _of_user([]),
    "delegatorRewards": _of_user([]),
    "delegatorHistory": _of_user([]),
    "maxBuilderFee": _builder_fee,
}
