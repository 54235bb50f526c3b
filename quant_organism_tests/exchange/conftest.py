"""A served venue in stepped time, and the unmodified SDK against it."""

from collections.abc import Iterator
from datetime import date

import pytest
from eth_account import Account as Wallet

from quant_organism.exchange.protocol.decimals import MICRO_USD
from quant_organism.exchange.simulator.clock import VenueClock
from quant_organism.exchange.simulator.engine import Engine
from quant_organism.exchange.simulator.market.driver import MarketSpec
from quant_organism.exchange.simulator.market.tape import Tape, read_tape
from quant_organism.exchange.simulator.server.serving import RunningVenue
from quant_organism.exchange.simulator.server.venue_server import VenueServer
from quant_organism.exchange.simulator.spec import ServerSpec
from quant_organism.market.schema import Interval
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import Asset, WorldSpec

KEYS = {name: "0x" + byte * 32 for name, byte in (("alice", "a1"), ("bob", "b0"))}
SPEC = ServerSpec(ip_weight_per_minute=None)
BARS_BEFORE = 48


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
def served(small_tape: Tape) -> Iterator[RunningVenue]:
    """Serve a new venue on loopback."""
    with RunningVenue(make_server(small_tape)) as running:
        yield running
