"""nautilus_trader: the streams of its Hyperliquid WebSocket client; its HTTP client cannot be sent to a local venue.

In version 1.221.0 the socket client answers nothing any more once it has connected, with a server that does nothing but
accept as well. That is tried once, and what depends on it is not offered then.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from eth_account import Account
from hyperliquid.exchange import Exchange
from nautilus_trader.core import nautilus_pyo3 as nautilus

from .trial import KEYS, SECONDS, Trials, main

COIN: Final = "ETH"
INSTRUMENT: Final = "ETH-USD-PERP.HYPERLIQUID"
BAR: Final = f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL"
_FIXED_URL: Final = "its base URL is fixed to the public networks"
_HANGS: Final = "the client answers nothing after it has connected, whatever the server"
_PATIENCE: Final = 5.0


def instrument() -> Any:
    """Return ETH as nautilus knows it: the client reads numbers by an instrument's precision."""
    usd = nautilus.Currency.from_str("USDC")
    return nautilus.CryptoPerpetual(
        nautilus.InstrumentId.from_str(INSTRUMENT),
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
    """A connected client, and what it has told.

    Parameters
    ----------
    url
        Of the venue.
    """

    def __init__(self, url: str) -> None:
        self.client = nautilus.HyperliquidWebSocketClient(url.replace("http", "ws", 1) + "/ws")
        self.told: list[Any] = []
        self.alice = Exchange(Account.from_key(KEYS["alice"]), url, timeout=SECONDS)

    async def connect(self) -> None:
        """Connect; the handshake is done when this returns."""
        await self.client.connect([instrument()], self.told.append)

    async def is_alive(self) -> bool:
        """Say whether the client answers at all."""
        try:
            return bool(await asyncio.wait_for(self.client.is_active(), _PATIENCE))
        except TimeoutError:
            return False

    async def heard(self, subscribe: Callable[[], Awaitable[None]]) -> None:
        """Subscribe, trade, and wait until something is told."""
        self.told.clear()
        await subscribe()
        for _ in range(int(SECONDS)):
            for side in (self.alice.market_open(COIN, True, 0.1), self.alice.market_close(COIN)):
                assert side["status"] == "ok", side
            await asyncio.sleep(0.5)
            if self.told:
                return
        raise AssertionError("nothing was told")

    async def closed(self) -> None:
        """Close."""
        await self.client.close()
        assert await self.client.is_closed()


_ID: Final = nautilus.InstrumentId.from_str(INSTRUMENT)
_BAR: Final = nautilus.BarType.from_str(BAR)
_USER: Final = Account.from_key(KEYS["alice"]).address
METHODS: Final[Mapping[str, Callable[[Streams], Awaitable[object]]]] = {
    "subscribe_trades": lambda streams: streams.heard(lambda: streams.client.subscribe_trades(_ID)),
    "unsubscribe_trades": lambda streams: streams.client.unsubscribe_trades(_ID),
    "subscribe_quotes": lambda streams: streams.heard(lambda: streams.client.subscribe_quotes(_ID)),
    "unsubscribe_quotes": lambda streams: streams.client.unsubscribe_quotes(_ID),
    "subscribe_order_book_deltas": lambda streams: streams.heard(
        lambda: streams.client.subscribe_order_book_deltas(_ID, 2, 20)
    ),
    "unsubscribe_order_book_deltas": lambda streams: streams.client.unsubscribe_order_book_deltas(_ID),
    "subscribe_order_book_snapshots": lambda streams: streams.heard(
        lambda: streams.client.subscribe_order_book_snapshots(_ID, 2, 20)
    ),
    "subscribe_bars": lambda streams: streams.heard(lambda: streams.client.subscribe_bars(_BAR)),
    "unsubscribe_bars": lambda streams: streams.client.unsubscribe_bars(_BAR),
    "subscribe_order_updates": lambda streams: streams.client.subscribe_order_updates(_USER),
    "subscribe_user_events": lambda streams: streams.client.subscribe_user_events(_USER),
    "close": lambda streams: streams.closed(),
}
"""How each method is tried; in this order."""

_WITHOUT_ANSWER: Final = {"is_active", "is_closed", "url", "wait_until_active"}


def drive(url: str, trials: Trials) -> None:
    """Try everything."""
    asyncio.run(_stream(url, trials))
    for method in _methods(nautilus.HyperliquidHttpClient):
        trials.leave("HTTP", method, _FIXED_URL)
    tried = {trial.method for trial in trials.found} | _WITHOUT_ANSWER
    for method in _methods(nautilus.HyperliquidWebSocketClient):
        if method not in tried:
            trials.run("WebSocket", method, _untried)


def _methods(kind: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(kind) if not name.startswith("_")]


def _untried() -> None:
    raise NotImplementedError("the client has it, and nobody has tried it")


async def _stream(url: str, trials: Trials) -> None:
    streams = Streams(url)
    await trials.run_async("WebSocket", "connect", streams.connect)
    alive = await streams.is_alive()
    for method, call in METHODS.items():
        if not alive:
            trials.leave("WebSocket", method, _HANGS)
            continue
        await trials.run_async("WebSocket", method, lambda call=call: call(streams))  # type: ignore[misc]


if __name__ == "__main__":
    main(drive)
