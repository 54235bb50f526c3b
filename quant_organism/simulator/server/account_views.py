"""Answers about an account (reference: section 6.2)."""

from fractions import Fraction
from typing import Any, Final

from quant_organism.market import MS_PER_DAY, day_of
from quant_organism.simulator.core import lifecycle, settlement, twap
from quant_organism.simulator.core.account import USDC, Account, FundingPayment
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.simulator.core.margin import MarginView, return_on_equity
from quant_organism.simulator.engine import Engine
from quant_organism.venue.protocol import MICRO_USD, admission, answer_number, dex_of, usd

MAX_FILLS: Final = 2_000
MAX_ROWS: Final = 500
FINE_DECIMALS: Final = 10
_SPOT_TIERS: Final = ((700, 400), (600, 300), (500, 200), (400, 100), (350, 0), (300, 0), (250, 0))
"""Taker and maker rate of spot in millionths, tier by tier (Hyperliquid's fee page); spot is not traded here."""

_MAKER_TIERS: Final = (("0.005", "-0.00001"), ("0.015", "-0.00002"), ("0.03", "-0.00003"))
_STAKING_TIERS: Final = (
    *(("0.0", "0.0"), ("0.0001", "0.05"), ("0.001", "0.1"), ("0.01", "0.15")),
    *(("0.1", "0.2"), ("1.0", "0.3"), ("5.0", "0.4")),
)
ZERO_HASH: Final = "0x" + "0" * 64
PERIODS: Final = ("day", "week", "month", "allTime", "perpDay", "perpWeek", "perpMonth", "perpAllTime")


class AccountView:
    """An account as it is shown at a time, which may lie a little behind the venue's.

    Parameters
    ----------
    engine
        The venue.
    address
        Whose account; one that does not exist is shown empty.
    lag_ms
        How far orders and fills trail.
    """

    def __init__(self, engine: Engine, address: str, lag_ms: int = 0) -> None:
        self.engine, self.address = engine, address
        self.account = engine.venue.state.accounts.get(address, Account(address))
        self._seen_ms = engine.now_ms - lag_ms

    def margin(self, dex: int) -> MarginView:
        """Return its margin on a dex at the present marks."""
        return self.engine.venue.core.margin(self.account, dex)

    def state(self, dex: int) -> dict[str, Any]:
        """Return `clearinghouseState` of a dex."""
        margin, holdings = self.margin(dex), self.account.holdings
        isolated = sum(margin.isolated_equity(asset) for asset in margin.isolated_assets())
        raw = margin.cross_raw() + sum(holdings[asset].raw for asset in margin.isolated_assets())
        cross, notional, used = margin.cross_equity(), margin.cross_notional(), margin.cross_initial()
        apart = sum(margin.notional(asset) for asset in margin.isolated_assets())
        return {
            "marginSummary": _summary(cross + isolated, notional + apart, raw, used + isolated),
            "crossMarginSummary": _summary(cross, notional, margin.cross_raw(), used),
            "crossMaintenanceMarginUsed": usd(margin.cross_maintenance()),
            "withdrawable": usd(margin.withdrawable()),
            "assetPositions": [self._position(asset, margin) for asset in margin.assets()],
            "time": self.engine.now_ms,
        }

    def spot_state(self) -> dict[str, Any]:
        """Return `spotClearinghouseState`; a unified account has the money of its perpetuals there too."""
        totals, held = dict(self.account.spot), 0
        if self.account.is_unified:
            for number, dex in enumerate(self.engine.venue.state.dexs):
                if dex.collateral == USDC:
                    margin = self.margin(number)
                    apart = sum(margin.isolated_equity(asset) for asset in margin.isolated_assets())
                    totals[USDC] = totals.get(USDC, 0) + margin.cross_equity() + apart
                    held += margin.cross_initial() + apart + margin.resting_margin()
        return {
            "balances": [
                {
                    "coin": token,
                    "token": number,
                    "total": usd(totals[token]),
                    "hold": usd(held if token == USDC else 0),
                    "entryNtl": "0.0",
                }
                for number, token in enumerate(self.engine.venue.state.tokens)
                if token in totals
            ]
        }

    def abstraction(self) -> str:
        """Return how its money counts."""
        if self.account.is_unified:
            return "unifiedAccount"
        return "dexAbstraction" if self.account.uses_dex_abstraction else "default"

    def open_orders(self, dex: int) -> list[dict[str, Any]]:
        """Return open orders on a dex, newest first, without what triggers them."""
        return [lifecycle.basic_order(order, self._listing(order.asset)) for order in self._open(dex)]

    def frontend_orders(self, dex: int) -> list[dict[str, Any]]:
        """Return open orders on a dex with everything."""
        return [self._frontend(order) for order in self._open(dex)]

    def order_status(self, key: int | str) -> dict[str, Any]:
        """Return one order by number or client id."""
        oid = self.account.cloids.get(key) if isinstance(key, str) else key
        order = self.engine.venue.state.orders.get(oid) if oid is not None else None
        if order is None or order.account != self.address or order.timestamp_ms > self._seen_ms:
            return {"status": "unknownOid"}
        return {"status": "order", "order": self._record(order)}

    def historical_orders(self) -> list[dict[str, Any]]:
        """Return the last orders that have ended, newest first."""
        orders = self.engine.venue.state.orders
        return [self._record(orders[oid]) for oid in reversed(self.account.history[-2_000:]) if oid in orders]

    def fills(self, start_ms: int = 0, end_ms: int | None = None, *, aggregate: bool = False) -> list[dict[str, Any]]:
        """Return fills, newest first; within a span: the oldest of it, still newest first."""
        end = self._seen_ms if end_ms is None else min(end_ms, self._seen_ms)
        chosen = [fill for fill in self.account.fills if start_ms <= fill.time_ms <= end]
        chosen = chosen[:MAX_FILLS] if start_ms else chosen[-MAX_FILLS:]
        shown = [lifecycle.fill_form(fill, self._listing(fill.asset)) for fill in reversed(chosen)]
        return _aggregated(shown) if aggregate else shown

    def twap_fills(self) -> list[dict[str, Any]]:
        """Return what parts of TWAP orders have traded, newest first."""
        return [{"fill": fill, "twapId": fill["twapId"]} for fill in self.fills() if fill["twapId"] is not None]

    def twap_history(self) -> list[dict[str, Any]]:
        """Return beginnings and ends of TWAP orders, newest first."""
        return self.account.twap_history[::-1]

    def twap_states(self, dex: int) -> list[list[Any]]:
        """Return number and state of the TWAP orders that run on a dex."""
        running = self.engine.venue.state.twaps.values()
        own = [each for each in running if each.account == self.account.address and dex_of(each.asset) == dex]
        return [[found.number, twap.form(found, self._listing(found.asset))] for found in own]

    def fundings(self, start_ms: int, end_ms: int | None) -> list[dict[str, Any]]:
        """Return funding payments, oldest first."""
        end = self.engine.now_ms if end_ms is None else end_ms
        rows = [row for row in self.account.fundings if start_ms <= row.time_ms <= end][:MAX_ROWS]
        return [
            {"time": row.time_ms, "hash": ZERO_HASH, "delta": {"type": "funding", **self.funding(row)}} for row in rows
        ]

    def funding(self, row: FundingPayment) -> dict[str, Any]:
        """Return one funding payment, without its time."""
        listing = self._listing(row.asset)
        return {
            "coin": listing.instrument.name,
            "usdc": usd(row.micro_usd),
            "szi": listing.sz(row.szi),
            "fundingRate": answer_number(row.rate_e10, FINE_DECIMALS),
            "nSamples": None,
        }

    def ledger(self, start_ms: int, end_ms: int | None) -> list[dict[str, Any]]:
        """Return deposits and the like, oldest first."""
        end = self.engine.now_ms if end_ms is None else end_ms
        rows = [row for row in self.account.ledger if start_ms <= row.time_ms <= end][:MAX_ROWS]
        return [{"time": row.time_ms, "hash": row.hash, "delta": row.delta} for row in rows]

    def rate_limit(self) -> dict[str, Any]:
        """Return how many requests the address has sent, and how many it may."""
        cap = admission.request_cap(self.account.volume // MICRO_USD)
        return {
            "cumVlm": usd(self.account.volume),
            "nRequestsUsed": self.account.requests_used,
            "nRequestsCap": cap,
            "nRequestsSurplus": max(0, cap - self.account.requests_used),
        }

    def fees(self) -> dict[str, Any]:
        """Return `userFees`: the account's rates and the schedule behind them."""
        cross, add = settlement.fee_rates(self.account, self.engine.now_ms)
        today = self.engine.now_ms // MS_PER_DAY
        tiers = [
            {"ntlCutoff": f"{tier[0]}.0", **_rates(*tier[1:], *spot)}
            for tier, spot in zip(settlement.TIERS, _SPOT_TIERS, strict=True)
        ]
        spot = next(spot for tier, spot in zip(settlement.TIERS, _SPOT_TIERS, strict=True) if tier[1] == cross)
        return {
            "dailyUserVlm": [self._day_volume(day) for day in range(today - settlement.VOLUME_DAYS, today + 1)],
            "feeSchedule": {
                **{key: rate for key, rate in tiers[0].items() if key != "ntlCutoff"},
                "tiers": {
                    "vip": tiers[1:],
                    "mm": [{"makerFractionCutoff": share, "add": add} for share, add in _MAKER_TIERS],
                },
                "referralDiscount": "0.04",
                "stakingDiscountTiers": [
                    {"bpsOfMaxSupply": share, "discount": discount} for share, discount in _STAKING_TIERS
                ],
            },
            "userCrossRate": _rate(cross),
            "userAddRate": _rate(add),
            "userSpotCrossRate": _rate(spot[0]),
            "userSpotAddRate": _rate(spot[1]),
            "activeReferralDiscount": "0.0",
            "trial": None,
            "feeTrialReward": "0.0",
            "feeTrialEscrow": "0.0",
            "nextTrialAvailableTimestamp": None,
            "stakingLink": None,
            "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
        }

    def portfolio(self) -> list[Any]:
        """Return value, PnL and volume of each period; the venue keeps no history of values, only the present one."""
        now, spot = self.engine.now_ms, sum(self.account.spot.values())
        value = spot + sum(self._value(dex) for dex in self.account.dexs())
        brought = sum(_brought(self.address, row.delta) for row in self.account.ledger)
        shown = {
            "accountValueHistory": [[now, usd(value)]],
            "pnlHistory": [[now, usd(value - brought)]],
            "vlm": usd(self.account.volume),
        }
        return [[period, shown] for period in PERIODS]

    def active_asset(self, asset: int) -> dict[str, Any]:
        """Return leverage and what could be traded of an asset."""
        listing = self._listing(asset)
        holding = self.engine.venue.core.holding(self.account, asset)
        available = max(0, self.margin(dex_of(asset)).available())
        most = available * holding.leverage // listing.mark if listing.mark else 0
        return {
            "user": self.address,
            "coin": listing.instrument.name,
            "leverage": self._leverage(asset),
            "maxTradeSzs": [listing.sz(most)] * 2,
            "availableToTrade": [usd(available)] * 2,
            "markPx": listing.px(listing.mark),
        }

    def agents(self) -> list[dict[str, Any]]:
        """Return named agents."""
        return [
            {"name": agent.name, "address": agent.address, "validUntil": agent.valid_until_ms}
            for agent in self.account.agents
            if agent.name is not None
        ]

    def role(self) -> dict[str, Any]:
        """Return what the address is: a user, somebody's agent, a sub-account, a vault, or nothing."""
        own = self.engine.venue.state.accounts.get(self.address)
        if own is not None:
            if own.shares is not None:
                return {"role": "vault"}
            return {"role": "user"} if own.master is None else {"role": "subAccount", "data": {"master": own.master}}
        for account in self.engine.venue.state.accounts.values():
            if any(agent.address == self.address for agent in account.agents):
                return {"role": "agent", "data": {"user": account.address}}
        return {"role": "missing"}

    def _value(self, dex: int) -> int:
        margin = self.margin(dex)
        return margin.cross_equity() + sum(margin.isolated_equity(asset) for asset in margin.isolated_assets())

    def _open(self, dex: int) -> list[SimulatedOrder]:
        orders, account = self.engine.venue.state.orders, self.account
        ended = [orders[oid] for oid in account.history if oid in orders and orders[oid].status_ms > self._seen_ms]
        seen = [orders[oid] for oid in account.open_oids] + [o for o in ended if "Rejected" not in o.status]
        shown = [order for order in seen if order.timestamp_ms <= self._seen_ms and dex_of(order.asset) == dex]
        return sorted(shown, key=lambda order: -order.oid)

    def _frontend(self, order: SimulatedOrder) -> dict[str, Any]:
        return lifecycle.frontend_order(order, self._listing(order.asset), self.engine.venue.state.orders)

    def _record(self, order: SimulatedOrder) -> dict[str, Any]:
        later = order.oid not in self.account.open_oids and order.status_ms > self._seen_ms
        status = "open" if later and "Rejected" not in order.status else order.status
        return {"order": self._frontend(order), "status": status, "statusTimestamp": order.status_ms}

    def _position(self, asset: int, margin: MarginView) -> dict[str, Any]:
        holding, listing = self.account.holdings[asset], self._listing(asset)
        side = 1 if holding.szi > 0 else -1
        unrealized = holding.szi * listing.mark - side * holding.cost
        liquidation = margin.liquidation_price(asset)
        return {
            "type": "oneWay",
            "position": {
                "coin": listing.instrument.name,
                "szi": listing.sz(holding.szi),
                "leverage": self._leverage(asset),
                "entryPx": listing.px(holding.cost // abs(holding.szi)),
                "positionValue": usd(margin.notional(asset)),
                "unrealizedPnl": usd(unrealized),
                "returnOnEquity": answer_number(
                    return_on_equity(unrealized, holding.leverage, holding.cost), FINE_DECIMALS
                ),
                "liquidationPx": None if liquidation is None else _fine(liquidation, listing.instrument.px_decimals),
                "marginUsed": usd(margin.initial(asset) if holding.is_cross else margin.isolated_equity(asset)),
                "maxLeverage": listing.instrument.max_leverage,
                "cumFunding": {
                    "allTime": usd(holding.funding_all_time),
                    "sinceOpen": usd(holding.funding_since_open),
                    "sinceChange": usd(holding.funding_since_change),
                },
            },
        }

    def _leverage(self, asset: int) -> dict[str, Any]:
        holding = self.engine.venue.core.holding(self.account, asset)
        if holding.is_cross:
            return {"type": "cross", "value": holding.leverage}
        return {"type": "isolated", "value": holding.leverage, "rawUsd": usd(holding.raw)}

    def _day_volume(self, day: int) -> dict[str, str]:
        cross, add = self.account.volumes.get(day, (0, 0))
        return {
            "date": day_of(day * MS_PER_DAY).isoformat(),
            "userCross": usd(cross),
            "userAdd": usd(add),
            "exchange": "0.0",
        }

    def _listing(self, asset: int) -> Any:
        return self.engine.venue.state.listings[asset]


def _summary(value: int, notional: int, raw: int, used: int) -> dict[str, str]:
    return {
        "accountValue": usd(value),
        "totalNtlPos": usd(notional),
        "totalRawUsd": usd(raw),
        "totalMarginUsed": usd(used),
    }


def _fine(price: Fraction, decimals: int) -> str:
    return answer_number(round(price * 10 ** (FINE_DECIMALS - decimals)), FINE_DECIMALS)


def _rates(cross: int, add: int, spot_cross: int, spot_add: int) -> dict[str, str]:
    named = {"cross": cross, "add": add, "spotCross": spot_cross, "spotAdd": spot_add}
    return {name: _rate(rate) for name, rate in named.items()}


def _rate(rate_e6: int) -> str:
    return answer_number(rate_e6, 6)


def _brought(address: str, delta: dict[str, Any]) -> int:
    """Return what an entry of the ledger brought in, as money of the address, wherever it lies.

    What a liquidation takes is lost, and not taken out.
    """
    kind, fee = delta["type"], 0
    if kind in ("accountClassTransfer", "liquidation"):
        return 0
    amount = round(Fraction(delta.get("usdcValue") or delta.get("usdc") or delta["netWithdrawnUsd"]) * MICRO_USD)
    if "destination" in delta:
        return amount * (int(delta["destination"] == address) - int(delta["user"] == address))
    if kind == "withdraw":
        fee = round(Fraction(delta["fee"]) * MICRO_USD)
    came = (kind == "vaultDeposit") == (delta["vault"] == address) if "vault" in delta else kind == "deposit"
    return amount if came else -amount - fee


def _aggregated(fills: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put partial fills of one order in one block at one price together."""
    together: dict[tuple[Any, ...], dict[str, Any]] = {}
    for fill in fills:
        first = together.setdefault((fill["oid"], fill["hash"], fill["px"]), fill)
        if first is not fill:
            for key in ("sz", "closedPnl", "fee"):
                places = max(len(text.partition(".")[2]) for text in (first[key], fill[key]))
                total = (Fraction(first[key]) + Fraction(fill[key])) * 10**places
                first[key] = answer_number(int(total), places)
            first["startPosition"] = fill["startPosition"]
    return list(together.values())
