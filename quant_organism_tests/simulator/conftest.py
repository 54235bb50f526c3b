"""A served venue in stepped time, and signed requests to it."""

import itertools
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import hyperliquid.exchange as sdk_exchange
import pytest
import requests
from eth_account import Account as Wallet
from hyperliquid.utils.signing import sign_l1_action

from quant_organism.market.schema import Interval
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import Asset, WorldSpec
from quant_organism.simulator.engine import Engine
from quant_organism.simulator.market.driver import MarketSpec
from quant_organism.simulator.market.tape import Tape, read_tape
from quant_organism.simulator.server.serving import RunningVenue
from quant_organism.simulator.server.venue_server import VenueServer
from quant_organism.simulator.spec import ServerSpec, VenueClock
from quant_organism.venue.protocol import MICRO_USD, ApproveAgent

KEYS = {name: "0x" + byte * 32 for name, byte in (("alice", "a1"), ("bob", "b0"))}
SPEC = ServerSpec(ip_weight_per_minute=None)
BARS_BEFORE = 48
ALICE = Wallet.from_key(KEYS["alice"])
TIMEOUT = 10
NONCES = itertools.count(int(time.time() * 1000))


@pytest.fixture(scope="session")
def small_tape() -> Tape:
    """Return four days of three coins."""
    spec = WorldSpec(
        name="venue",
        start=date(2026, 1, 1),
        days=4,
        assets=(
            Asset(symbol="BTC", price=80_000.0),
            Asset(symbol="ETH", price=2_000.0),
            Asset(symbol="DOGE", price=0.2),
        ),
        seed=3,
    )
    return read_tape(WorldSource(spec), Interval.parse("1h"))


def make_server(tape: Tape, spec: ServerSpec = SPEC, ticks: int = 12) -> VenueServer:
    """Return a venue in stepped time, with half of the tape before it, where Alice and Bob have 100,000 USD."""
    engine = Engine(tape, int(tape.times[BARS_BEFORE]), MarketSpec(ticks_per_bar=ticks), seed=9)
    for key in KEYS.values():
        engine.deposit(Wallet.from_key(key).address.lower(), 100_000 * MICRO_USD)
    return VenueServer(engine, VenueClock(engine.now_ms, 0, lambda: 0.0), spec)


@pytest.fixture
def sdk_nonces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the SDK's nonces go up: they are milliseconds, of which two requests can have the same."""
    monkeypatch.setattr(sdk_exchange, "get_timestamp_ms", lambda: next(NONCES))


@pytest.fixture
def served(small_tape: Tape) -> Iterator[RunningVenue]:
    """Serve a new venue on loopback."""
    with RunningVenue(make_server(small_tape)) as running:
        yield running


@pytest.fixture(scope="module")
def busy(small_tape: Tape) -> Iterator[RunningVenue]:
    """Serve a venue on which Alice has a position of each margin mode, orders, triggers, fills and fundings."""
    with RunningVenue(make_server(small_tape)) as served:
        act(served, {"type": "updateLeverage", "asset": 1, "isCross": False, "leverage": 10})
        ask = {"b": True, "r": False, "t": {"limit": {"tif": "Ioc"}}}
        sell = {"a": 2, "b": False, "p": "2500", "s": "0.2", "r": True}
        trigger = {"trigger": {"isMarket": True, "triggerPx": "2500", "tpsl": "tp"}}
        place(served, {"a": 2, "p": "2500", "s": "0.2", **ask}, {"a": 1, "p": "0.25", "s": "1000", **ask})
        place(served, {**sell, "t": trigger}, {**sell, "t": {"limit": {"tif": "Gtc"}}})
        place(served, {"a": 2, "b": True, "p": "1500", "s": "0.2", "r": False, "t": {"limit": {"tif": "Gtc"}}})
        served.server.engine.act(
            served.server.engine.venue.state.accounts[ALICE.address.lower()], ApproveAgent("0x" + "ab" * 20, "bot")
        )
        requests.post(f"{served.url}/admin/step", json={"ms": 3_700_000}, timeout=TIMEOUT)
        yield served


def act(served: RunningVenue, action: dict[str, Any], **extra: Any) -> Any:
    nonce = next(NONCES)
    body = {"action": action, "nonce": nonce, "signature": sign_l1_action(ALICE, action, None, nonce, None, False)}
    return requests.post(f"{served.url}/exchange", json=body | extra, timeout=TIMEOUT).json()


def place(served: RunningVenue, *orders: dict[str, Any]) -> Any:
    ordered = [{key: order[key] for key in ("a", "b", "p", "s", "r", "t")} for order in orders]
    answer = act(served, {"type": "order", "orders": ordered, "grouping": "na"})
    assert not any("error" in status for status in answer["response"]["data"]["statuses"]), answer
    return answer
