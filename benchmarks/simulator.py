"""The simulated venue: orders through the SDK's own wire, and a 90-day hourly replay of ten assets."""

import itertools
import statistics
import time
from typing import Any

import hyperliquid.exchange
from eth_account import Account
from hyperliquid.exchange import Exchange

from quant_organism.market.schema import Interval
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import Asset, WorldSpec
from quant_organism.simulator import (
    Engine,
    MarketSpec,
    RunningVenue,
    ServerSpec,
    Tape,
    VenueClock,
    VenueServer,
    read_tape,
)
from quant_organism.venue.protocol import MICRO_USD

KEY = "0x" + "a1" * 32
BATCH = 40
BATCHES = 50
SINGLE = 100
ROUNDS = 7
"""Of orders, each on a venue of its own: one takes a fraction of a second."""

VOLUME_FOR_THE_ORDERS = 20_000_000_000 * MICRO_USD
"""So much traded lets an account have 5,000 orders open."""


def run() -> list[dict[str, Any]]:
    """Measure on one machine, client and venue together; each order is signed, verified, checked and rests."""
    assets = tuple(Asset(symbol=f"C{i}", price=10.0 ** (i % 5)) for i in range(10))
    tape = read_tape(WorldSource(WorldSpec(name="bench", days=120, assets=assets, seed=1)), Interval.parse("1h"))
    engine = Engine(tape, int(tape.times[30 * 24]), MarketSpec(ticks_per_bar=12), seed=1)
    start = time.perf_counter()
    engine.advance(int(tape.times[-1]))
    replay = time.perf_counter() - start
    batched, single = (statistics.median(rates) for rates in zip(*(_orders(tape) for _ in range(ROUNDS)), strict=True))
    return [
        _row("orders_per_s", batched, "1/s", f"batches of {BATCH}, client and venue in one process; bar 1000"),
        _row("single_orders_per_s", single, "1/s", "one order a request: signing and recovering are most of it"),
        _row("replay_90d_10_assets_s", replay, "s", "12 prices a bar, marks, funding, candles"),
    ]


def _orders(tape: Tape) -> tuple[float, float]:
    engine = Engine(tape, int(tape.times[30 * 24]), seed=1)
    wallet = Account.from_key(KEY)
    account = engine.deposit(wallet.address.lower(), 10**6 * MICRO_USD)
    account.volume = VOLUME_FOR_THE_ORDERS
    nonces = itertools.count(int(time.time() * 1000))
    hyperliquid.exchange.get_timestamp_ms = lambda: next(nonces)  # the SDK's own repeat within a millisecond
    spec = ServerSpec(ip_weight_per_minute=None, limit_addresses=False)
    with RunningVenue(VenueServer(engine, VenueClock(engine.now_ms, 0, time.monotonic), spec)) as served:
        exchange = Exchange(wallet, served.url, timeout=60)
        bid = float(f"{float(exchange.info.all_mids()['C2']) * 0.9:.3g}")
        rates = []
        for size, requests in ((BATCH, BATCHES), (1, SINGLE)):
            order = {
                "coin": "C2",
                "is_buy": True,
                "sz": 1.0,
                "limit_px": bid,
                "order_type": {"limit": {"tif": "Gtc"}},
                "reduce_only": False,
            }
            start = time.perf_counter()
            for _ in range(requests):
                answer = exchange.bulk_orders([order] * size)
                if "resting" not in answer["response"]["data"]["statuses"][-1]:
                    raise AssertionError(f"refused: {answer}")
            rates.append(size * requests / (time.perf_counter() - start))
    return rates[0], rates[1]


def _row(metric: str, value: float, unit: str, note: str) -> dict[str, Any]:
    return {"metric": metric, "value": value, "unit": unit, "note": note}
