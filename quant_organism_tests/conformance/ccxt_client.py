"""ccxt: every unified method that its Hyperliquid class says it has, over REST and over the socket."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import ccxt
import ccxt.pro
from eth_account import Account

from .trial import KEYS, Trials, admin, main

COIN: Final = "ETH/USDC:USDC"
SIZE: Final = 0.1
DAY_MS: Final = 86_400_000
_KINDS: Final = {"spot", "swap", "margin", "future", "option", "CORS", "sandbox", "ws", "publicAPI", "privateAPI"}
"""Of markets, and of the class itself: no methods."""


def opened(kind: Any, url: str) -> Any:
    """Return an exchange of ccxt that talks to the venue and signs for the test network."""
    exchange = kind(
        {
            "walletAddress": Account.from_key(KEYS["alice"]).address,
            "privateKey": KEYS["alice"],
            "enableRateLimit": False,
            "options": {"builderFee": False},
        }
    )
    exchange.set_sandbox_mode(True)
    exchange.urls["api"] = {"public": url, "private": url, "ws": {"public": url.replace("http", "ws", 1) + "/ws"}}
    return exchange


class Rest:
    """The REST half.

    Parameters
    ----------
    url
        Of the venue.
    """

    def __init__(self, url: str) -> None:
        self.exchange = opened(ccxt.hyperliquid, url)
        self.exchange.load_markets()
        self.bob = Account.from_key(KEYS["bob"]).address

    def px(self, factor: float) -> str:
        """Return a legal price at so much of the market's."""
        return str(self.exchange.price_to_precision(COIN, self.exchange.fetch_ticker(COIN)["last"] * factor))

    def resting(self, **params: Any) -> str:
        """Place an order that rests; return its number."""
        order = self.exchange.create_order(COIN, "limit", "buy", SIZE, self.px(0.8), params)
        assert order["status"] in ("open", None), order
        return str(order["id"])

    def market(self, side: str, **params: Any) -> Any:
        """Take at once."""
        return self.exchange.create_order(COIN, "market", side, SIZE, self.exchange.fetch_ticker(COIN)["last"], params)

    def held(self) -> Any:
        """Hold a position; return what the exchange says of it."""
        if not any(position["contracts"] for position in self.exchange.fetch_positions([COIN])):
            self.market("buy")
        (position,) = (p for p in self.exchange.fetch_positions([COIN]) if p["contracts"])
        return position

    def triggered(self, **params: Any) -> Any:
        """Place a stop below a position."""
        self.held()
        order = self.exchange.create_order(
            COIN, "market", "sell", SIZE, self.px(0.9), {"reduceOnly": True, "triggerPrice": self.px(0.9), **params}
        )
        assert order["id"], order
        return order

    def isolated(self) -> None:
        """Hold an isolated position."""
        for position in self.exchange.fetch_positions([COIN]):
            if position["contracts"]:
                last = self.exchange.fetch_ticker(COIN)["last"]
                self.exchange.create_order(COIN, "market", "sell", position["contracts"], last, {"reduceOnly": True})
        self.exchange.set_margin_mode("isolated", COIN, {"leverage": 5})
        self.market("buy")
        assert self.held()["marginMode"] == "isolated"

    def past(self, name: str, *arguments: Any) -> Any:
        """Ask for a history; something of it is there."""
        found = getattr(self.exchange, name)(*arguments)
        assert isinstance(found, list), found
        assert found, f"{name} is empty"
        return found


def _approximately(value: float, wanted: float) -> None:
    assert math.isclose(value, wanted, rel_tol=0.05), (value, wanted)


def _edit(rest: Rest, *, bulk: bool) -> None:
    oid, px = rest.resting(), rest.px(0.81)
    if bulk:
        order = {"id": oid, "symbol": COIN, "type": "limit", "side": "buy", "amount": SIZE, "price": px}
        (edited,) = rest.exchange.edit_orders([order])
    else:
        edited = rest.exchange.edit_order(oid, COIN, "limit", "buy", SIZE, px)
    assert edited["id"] != oid, edited


def _orders(rest: Rest) -> None:
    one = {"symbol": COIN, "type": "limit", "side": "buy", "amount": SIZE, "price": rest.px(0.8)}
    assert len(rest.exchange.create_orders([one, one])) == 2


def _balance(rest: Rest) -> None:
    assert rest.exchange.fetch_balance()["USDC"]["total"] > 0


def _ticker(rest: Rest) -> None:
    ticker = rest.exchange.fetch_ticker(COIN)
    _approximately(ticker["last"], ticker["bid"])


def _candles(rest: Rest) -> None:
    rows = rest.past("fetch_ohlcv", COIN, "1h")
    assert all(low <= close <= high for _, _, high, low, close, _ in rows)


def _moved(rest: Rest) -> None:
    rest.exchange.transfer("USDC", 20, "swap", "spot")
    assert rest.exchange.fetch_balance({"type": "spot"})["USDC"]["total"] >= 20


def _bracket(rest: Rest) -> None:
    last = rest.exchange.fetch_ticker(COIN)["last"]
    orders = {
        "takeProfit": {"triggerPrice": rest.px(1.2), "type": "market", "price": rest.px(1.2)},
        "stopLoss": {"triggerPrice": rest.px(0.8), "type": "market", "price": rest.px(0.8)},
    }
    assert rest.exchange.create_order(COIN, "market", "buy", SIZE, last, orders)["id"]


METHODS: Final[Mapping[str, Callable[[Rest], object]]] = {
    "createOrder": lambda rest: rest.resting(),
    "createLimitOrder": lambda rest: rest.exchange.create_limit_order(COIN, "buy", SIZE, rest.px(0.8)),
    "createMarketOrder": lambda rest: rest.exchange.create_market_order(
        COIN, "buy", SIZE, rest.exchange.fetch_ticker(COIN)["last"]
    ),
    "createOrders": _orders,
    "createOrderWithTakeProfitAndStopLoss": _bracket,
    "createReduceOnlyOrder": lambda rest: (rest.held(), rest.market("sell", reduceOnly=True)),
    "createStopOrder": lambda rest: rest.triggered(),
    "createTriggerOrder": lambda rest: rest.triggered(),
    "editOrder": lambda rest: _edit(rest, bulk=False),
    "editOrders": lambda rest: _edit(rest, bulk=True),
    "cancelOrder": lambda rest: rest.exchange.cancel_order(rest.resting(), COIN),
    "cancelOrders": lambda rest: rest.exchange.cancel_orders([rest.resting(), rest.resting()], COIN),
    "cancelOrdersForSymbols": lambda rest: rest.exchange.cancel_orders_for_symbols(
        [{"id": rest.resting(), "symbol": COIN}]
    ),
    "cancelAllOrdersAfter": lambda rest: rest.exchange.cancel_all_orders_after(3_600_000),
    "fetchBalance": _balance,
    "fetchCurrencies": lambda rest: rest.exchange.fetch_currencies(),
    "fetchMarkets": lambda rest: rest.past("fetch_markets"),
    "fetchStatus": lambda rest: rest.exchange.fetch_status(),
    "fetchTime": lambda rest: _approximately(rest.exchange.fetch_time(), time.time() * 1000),
    "fetchTicker": _ticker,
    "fetchTickers": lambda rest: rest.exchange.fetch_tickers()[COIN],
    "fetchOrderBook": lambda rest: rest.exchange.fetch_order_book(COIN)["bids"][0],
    "fetchL2OrderBook": lambda rest: rest.exchange.fetch_l2_order_book(COIN)["asks"][0],
    "fetchOHLCV": _candles,
    "fetchTrades": lambda rest: rest.past("fetch_trades", COIN),
    "fetchFundingRate": lambda rest: rest.exchange.fetch_funding_rate(COIN)["fundingRate"] + 0,
    "fetchFundingRates": lambda rest: rest.exchange.fetch_funding_rates()[COIN],
    "fetchFundingRateHistory": lambda rest: rest.past(
        "fetch_funding_rate_history", COIN, int(time.time() * 1000) - DAY_MS
    ),
    "fetchFundingHistory": lambda rest: rest.exchange.fetch_funding_history(COIN, int(time.time() * 1000) - DAY_MS),
    "fetchOpenInterest": lambda rest: rest.exchange.fetch_open_interest(COIN),
    "fetchOpenInterests": lambda rest: rest.exchange.fetch_open_interests(),
    "fetchTradingFee": lambda rest: _approximately(rest.exchange.fetch_trading_fee(COIN)["taker"], 0.00045),
    "fetchOrder": lambda rest: rest.exchange.fetch_order(rest.resting(), COIN)["status"] == "open",
    "fetchOpenOrders": lambda rest: (rest.resting(), rest.past("fetch_open_orders", COIN)),
    "fetchOrders": lambda rest: rest.past("fetch_orders", COIN),
    "fetchClosedOrders": lambda rest: (rest.market("buy"), rest.past("fetch_closed_orders", COIN)),
    "fetchCanceledOrders": lambda rest: (
        rest.exchange.cancel_order(rest.resting(), COIN),
        rest.past("fetch_canceled_orders", COIN),
    ),
    "fetchCanceledAndClosedOrders": lambda rest: rest.past("fetch_canceled_and_closed_orders", COIN),
    "fetchMyTrades": lambda rest: (rest.held(), rest.past("fetch_my_trades", COIN)),
    "fetchMyLiquidations": lambda rest: rest.exchange.fetch_my_liquidations(COIN),
    "fetchPosition": lambda rest: _approximately(
        rest.held()["contracts"], rest.exchange.fetch_position(COIN)["contracts"]
    ),
    "fetchPositions": lambda rest: rest.held(),
    "setLeverage": lambda rest: rest.exchange.set_leverage(10, COIN),
    "setMarginMode": lambda rest: rest.isolated(),
    "addMargin": lambda rest: (rest.isolated(), rest.exchange.add_margin(COIN, 5)),
    "reduceMargin": lambda rest: (rest.exchange.add_margin(COIN, 10), rest.exchange.reduce_margin(COIN, 5)),
    "transfer": _moved,
    "withdraw": lambda rest: rest.exchange.withdraw("USDC", 10, rest.exchange.walletAddress),
    "fetchLedger": lambda rest: rest.past("fetch_ledger"),
    "fetchDeposits": lambda rest: rest.past("fetch_deposits", "USDC"),
    "fetchWithdrawals": lambda rest: rest.past("fetch_withdrawals", "USDC"),
}
"""How each unified method is tried over REST; in this order."""


class Socket:
    """The other half: the same exchange over one socket."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange

    async def resting(self) -> str:
        """Place an order that rests, over the socket; return its number."""
        px = self.exchange.price_to_precision(COIN, (await self.exchange.fetch_ticker(COIN))["last"] * 0.8)
        return str((await self.exchange.create_order_ws(COIN, "limit", "buy", SIZE, px))["id"])

    async def heard(self, watch: Callable[[], Awaitable[Any]]) -> None:
        """Listen while an order is placed and taken."""
        listening = asyncio.ensure_future(watch())
        try:
            for _ in range(8):
                await asyncio.sleep(0.5)
                if listening.done():
                    break
                last = (await self.exchange.fetch_ticker(COIN))["last"]
                await self.exchange.create_order(COIN, "market", "buy", SIZE, last)
                await self.exchange.create_order(COIN, "market", "sell", SIZE, last, {"reduceOnly": True})
            assert await listening, "what came is empty"
        finally:
            listening.cancel()

    async def orders(self) -> None:
        """Place two in one action."""
        px = self.exchange.price_to_precision(COIN, (await self.exchange.fetch_ticker(COIN))["last"] * 0.8)
        one = {"symbol": COIN, "type": "limit", "side": "buy", "amount": SIZE, "price": px}
        assert len(await self.exchange.create_orders_ws([one, one])) == 2

    async def edited(self) -> None:
        """Replace an order."""
        oid = await self.resting()
        px = self.exchange.price_to_precision(COIN, (await self.exchange.fetch_ticker(COIN))["last"] * 0.81)
        assert (await self.exchange.edit_order_ws(oid, COIN, "limit", "buy", SIZE, px))["id"] != oid

    async def canceled(self, count: int) -> None:
        """Cancel orders."""
        oids = [await self.resting() for _ in range(count)]
        if count == 1:
            await self.exchange.cancel_order_ws(oids[0], COIN)
        else:
            await self.exchange.cancel_orders_ws(oids, COIN)

    async def unwatched(self, watch: str, *arguments: Any) -> None:
        """Listen, then no more."""
        await self.heard(lambda: getattr(self.exchange, watch)(*arguments))
        await getattr(self.exchange, f"un_{watch}")(*arguments)

    async def placed(self, kind: str) -> None:
        """Place an order by the short form of its kind."""
        last = (await self.exchange.fetch_ticker(COIN))["last"]
        px = self.exchange.price_to_precision(COIN, last * (0.8 if kind == "limit" else 1))
        assert (await getattr(self.exchange, f"create_{kind}_order_ws")(COIN, "buy", SIZE, px))["id"]


STREAMS: Final[Mapping[str, Callable[[Socket], Awaitable[object]]]] = {
    "createOrderWs": lambda socket: socket.resting(),
    "createLimitOrderWs": lambda socket: socket.placed("limit"),
    "createMarketOrderWs": lambda socket: socket.placed("market"),
    "createOrdersWs": lambda socket: socket.orders(),
    "editOrderWs": lambda socket: socket.edited(),
    "cancelOrderWs": lambda socket: socket.canceled(1),
    "cancelOrdersWs": lambda socket: socket.canceled(2),
    "watchBalance": lambda socket: socket.heard(lambda: socket.exchange.watch_balance()),
    "watchPositions": lambda socket: socket.heard(lambda: socket.exchange.watch_positions()),
    "watchOrders": lambda socket: socket.heard(lambda: socket.exchange.watch_orders(COIN)),
    "watchMyTrades": lambda socket: socket.heard(lambda: socket.exchange.watch_my_trades(COIN)),
    "watchOrderBook": lambda socket: socket.heard(lambda: socket.exchange.watch_order_book(COIN)),
    "watchTicker": lambda socket: socket.heard(lambda: socket.exchange.watch_ticker(COIN)),
    "watchTickers": lambda socket: socket.heard(lambda: socket.exchange.watch_tickers([COIN])),
    "watchTrades": lambda socket: socket.heard(lambda: socket.exchange.watch_trades(COIN)),
    "watchOHLCV": lambda socket: socket.heard(lambda: socket.exchange.watch_ohlcv(COIN, "1m")),
    "unWatchBalance": lambda socket: socket.unwatched("watch_balance"),
    "unWatchPositions": lambda socket: socket.unwatched("watch_positions"),
    "unWatchOrders": lambda socket: socket.unwatched("watch_orders"),
    "unWatchMyTrades": lambda socket: socket.unwatched("watch_my_trades"),
    "unWatchOrderBook": lambda socket: socket.unwatched("watch_order_book", COIN),
    "unWatchTicker": lambda socket: socket.unwatched("watch_ticker", COIN),
    "unWatchTickers": lambda socket: socket.unwatched("watch_tickers", [COIN]),
    "unWatchTrades": lambda socket: socket.unwatched("watch_trades", COIN),
    "unWatchOHLCV": lambda socket: socket.unwatched("watch_ohlcv", COIN, "1m"),
}
"""How each unified method is tried over the socket."""

LEFT: Final = {
    "watchMyLiquidations": "nobody is liquidated meanwhile",
    "watchMyLiquidationsForSymbols": "nobody is liquidated meanwhile",
    "fetchDepositWithdrawFee": "ccxt emulates it of fees that the venue does not tell",
    "fetchCurrenciesWs": "ccxt has no such method for this venue",
}


def drive(url: str, trials: Trials) -> None:
    """Try everything."""
    rest = Rest(url)
    admin(url, "volume", user=rest.exchange.walletAddress, usd=2_000_000)
    for method, call in METHODS.items():
        trials.run("REST", method, lambda call=call: call(rest))  # type: ignore[misc]
    asyncio.run(_stream(url, trials))
    tried = {trial.method for trial in trials.found}
    for has, part in ((rest.exchange.has, "REST"), (ccxt.pro.hyperliquid().has, "WebSocket")):
        for method, offered in has.items():
            if offered and method not in tried and method not in _KINDS:
                if method in LEFT:
                    trials.leave(part, method, LEFT[method])
                else:
                    trials.run(part, method, _untried)
                tried.add(method)


def _untried() -> None:
    raise NotImplementedError("ccxt has it, and nobody has tried it")


async def _stream(url: str, trials: Trials) -> None:
    exchange = opened(ccxt.pro.hyperliquid, url)
    try:
        await exchange.load_markets()
        socket = Socket(exchange)
        for method, call in STREAMS.items():
            await trials.run_async("WebSocket", method, lambda call=call: call(socket))  # type: ignore[misc]
    finally:
        await exchange.close()


if __name__ == "__main__":
    main(drive)
