"""The venue that all of this happens on: days of a few coins, with traders' money on it."""

import hashlib
import time
from collections.abc import Mapping
from datetime import date

from quant_organism.market.schema import Interval
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import Asset, WorldSpec
from quant_organism.simulator import (
    Engine,
    FaultPlan,
    MarketSpec,
    RunningVenue,
    ServerSpec,
    Tape,
    VenueClock,
    VenueServer,
    read_tape,
)
from quant_organism.venue import Wallet, wallet_of
from quant_organism.venue.protocol import MICRO_USD

COINS = ("BTC", "ETH", "SOL")
DOOMED = "OLD"
"""A coin that may be delisted."""
BARS_BEFORE = 24


def chaos_tape(seed: int, days: int) -> Tape:
    """Return hourly bars of four coins; the first day is history."""
    prices = dict(zip((*COINS, DOOMED), (80_000.0, 2_000.0, 150.0, 5.0), strict=True))
    assets = tuple(Asset(symbol=symbol, price=price) for symbol, price in prices.items())
    spec = WorldSpec(name="chaos", start=date(2026, 1, 1), days=days, assets=assets, seed=seed)
    return read_tape(WorldSource(spec), Interval.parse("1h"))


def chaos_wallet(seed: int, name: str) -> Wallet:
    """Return the wallet of a name: another one for each seed."""
    return wallet_of("0x" + hashlib.sha256(f"chaos/{seed}/{name}".encode()).hexdigest())


def chaos_venue(
    seed: int, usd: Mapping[str, int], *, speed: float, days: int, ticks_per_bar: int, plan: FaultPlan | None = None
) -> RunningVenue:
    """Return a venue that is not served yet.

    Parameters
    ----------
    seed
        Of its market.
    usd
        Deposits by address.
    speed
        Of its clock; 0: stepped.
    days
        Bars, the day of history included.
    ticks_per_bar
        Prices in an hour.
    plan
        Faults from the beginning.
    """
    tape = chaos_tape(seed, days)
    engine = Engine(
        tape, int(tape.times[BARS_BEFORE]), MarketSpec(ticks_per_bar=ticks_per_bar, depth_share=0.1), seed=seed
    )
    for address, amount in usd.items():
        engine.deposit(address, amount * MICRO_USD)
    clock = VenueClock(engine.now_ms, speed, time.monotonic)
    return RunningVenue(VenueServer(engine, clock, ServerSpec(ip_weight_per_minute=None), plan))
