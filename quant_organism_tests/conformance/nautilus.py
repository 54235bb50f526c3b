"""nautilus_trader: the streams of its Hyperliquid WebSocket client; its HTTP client cannot be sent to a local venue.

In version 1.221.0 the client answers nothing while it waits for a frame. So it subscribes to quotes before it connects,
which it may, and an account trades all the while. It asks for coins by the symbols of its own instruments, so that the
instrument here is called ETH and nothing else.
"""

import asyncio
import inspect
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from eth_account import Account
from hyperliquid.exchange import Exchange
from nautilus_trader.core import nautilus_pyo3 as nautilus
from nautilus_trader.model.data import capsule_to_data

from .trial import KEYS, SECONDS, Trials, main

COIN: Final = "ETH"
INSTRUMENT: Final = f"{COIN}.HYPERLIQUID"
BAR: Final = f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL"
SIZE: Final = 0.01
"""So little that taking it several times a second leaves offers in the book."""

_FIXED_URL: Final = "its base URL is fixed to the public networks"
_PAUSE: Final = 0.25
_QUIET: Final = 2.0
"""So long a stream that was ended tells nothing more."""


def instrument() -> Any:
    """Return ETH as nautilus knows it: the client reads numbers by an instrument's precision."""
    usd = nautilus.Currency.from_str("USDC")
    return nautilus.CryptoPerpetual(
        _ID,
        nautilus.Symbol(COIN),
        nautilus.Currency.from_str(COIN),
        usd,
        usd,
        False,
        2,
        4,
        nautilus.Price.from_str("0.01"),
        nautilus.Quantity.from_str("0.0001"),
        0,
        0,
    )


class Streams:
    """A client, and how often it has told what.

    Parameters
    ----------
    url
        Of the venue.
    """

    def __init__(self, url: str) -> None:
        self.client = nautilus.HyperliquidWebSocketClient(url.replace("http", "ws", 1) + "/ws")
        self.told: Counter[str] = Counter()
        self.ended = threading.Event()
        self._alice = Exchange(Account.from_key(KEYS["alice"]), url, timeout=SECONDS)

    def hear(self, capsule: object) -> None:
        """Count what the client tells by its type."""
        self.told[type(capsule_to_data(capsule)).__name__] += 1

    def trade(self) -> None:
        """Buy and sell until the end: there is something to tell."""
        while not self.ended.wait(_PAUSE):
            for answer in (self._alice.market_open(COIN, True, SIZE), self._alice.market_close(COIN)):
                assert answer["status"] == "ok", answer

    async def heard(self, kind: str, subscribe: Callable[[], Awaitable[object]]) -> None:
        """Subscribe, and wait until something of a kind is told."""
        await subscribe()
        self.told.clear()
        for _ in range(int(SECONDS / _PAUSE)):
            await asyncio.sleep(_PAUSE)
            if self.told[kind]:
                return
        raise AssertionError(f"no {kind} was told, but {dict(self.told)}")

    async def silent(self, kind: str, unsubscribe: Callable[[], Awaitable[object]]) -> None:
        """Unsubscribe: nothing more of a kind is told."""
        await unsubscribe()
        await asyncio.sleep(_PAUSE)
        self.told.clear()
        await asyncio.sleep(_QUIET)
        assert not self.told[kind], f"{self.told[kind]} more of {kind}"

    async def asked(self, call: Callable[[], Awaitable[object]], answer: object) -> None:
        """Ask the client of itself."""
        found = await call()
        assert found == answer, found


_ID: Final = nautilus.InstrumentId.from_str(INSTRUMENT)
_BAR: Final = nautilus.BarType.from_str(BAR)
_USER: Final = Account.from_key(KEYS["alice"]).address
METHODS: Final[Mapping[str, Callable[[Streams], Awaitable[object]]]] = {
    "wait_until_active": lambda streams: streams.client.wait_until_active(SECONDS),
    "is_active": lambda streams: streams.asked(streams.client.is_active, True),
    "subscribe_quotes": lambda streams: streams.heard("QuoteTick", lambda: streams.client.subscribe_quotes(_ID)),
    "subscribe_trades": lambda streams: streams.heard("TradeTick", lambda: streams.client.subscribe_trades(_ID)),
    "subscribe_order_book_deltas": lambda streams: streams.heard(
        "OrderBookDeltas", lambda: streams.client.subscribe_order_book_deltas(_ID, 2, 20)
    ),
    "subscribe_order_book_snapshots": lambda streams: streams.heard(
        "OrderBookDeltas", lambda: streams.client.subscribe_order_book_snapshots(_ID, 2, 20)
    ),
    "subscribe_order_updates": lambda streams: streams.client.subscribe_order_updates(_USER),
    "subscribe_user_events": lambda streams: streams.client.subscribe_user_events(_USER),
    "subscribe_bars": lambda streams: streams.client.subscribe_bars(_BAR),
    "unsubscribe_bars": lambda streams: streams.client.unsubscribe_bars(_BAR),
    "unsubscribe_trades": lambda streams: streams.silent("TradeTick", lambda: streams.client.unsubscribe_trades(_ID)),
    "unsubscribe_order_book_deltas": lambda streams: streams.silent(
        "OrderBookDeltas", lambda: streams.client.unsubscribe_order_book_deltas(_ID)
    ),
    "unsubscribe_quotes": lambda streams: streams.silent("QuoteTick", lambda: streams.client.unsubscribe_quotes(_ID)),
    "close": lambda streams: streams.client.close(),
    "is_closed": lambda streams: streams.asked(streams.client.is_closed, True),
}
"""How each method is tried; in this order."""

UNHEARD: Final = {
    "subscribe_order_updates": "subscribed; the client reads them and hands nothing on",
    "subscribe_user_events": "subscribed; the client waits for a channel `userEvents`, the venue's is `user`",
    "subscribe_bars": "subscribed; the client gives a bar a type that it cannot read itself (`1m`)",
    "unsubscribe_bars": "unsubscribed; no bar was heard",
}
"""Methods that are tried, and of which this client tells nothing, whatever the venue says."""


def drive(url: str, trials: Trials) -> None:
    """Try everything."""
    asyncio.run(_stream(url, trials))
    for method in _methods(nautilus.HyperliquidHttpClient):
        trials.leave("HTTP", method, _FIXED_URL)
    tried = {trial.method for trial in trials.found} | {"url"}
    for method in _methods(nautilus.HyperliquidWebSocketClient):
        if method not in tried:
            trials.run("WebSocket", method, _untried)


def _methods(kind: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(kind) if not name.startswith("_")]


def _untried() -> None:
    raise NotImplementedError("the client has it, and nobody has tried it")


async def _stream(url: str, trials: Trials) -> None:
    streams = Streams(url)
    await streams.client.subscribe_quotes(_ID)
    await trials.run_async("WebSocket", "connect", lambda: streams.client.connect([instrument()], streams.hear))
    trading = asyncio.create_task(asyncio.to_thread(streams.trade))
    for method, call in METHODS.items():
        await trials.run_async("WebSocket", method, lambda call=call: call(streams))  # type: ignore[misc]
        if method in UNHEARD and trials.found[-1].result == "passed":
            trials.found.pop()
            trials.leave("WebSocket", method, UNHEARD[method])
    streams.ended.set()
    await trading


if __name__ == "__main__":
    main(drive)
