"""The market around the venue: candles of the tape, lateness of quotes, fills, funding, snapshots."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from quant_organism.market.schema import MS_PER_HOUR, Interval
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import Asset, Stretch, WorldSpec
from quant_organism.simulator.core import settlement
from quant_organism.simulator.engine import Engine
from quant_organism.simulator.market.candles import INTERVALS
from quant_organism.simulator.market.driver import MarketSpec
from quant_organism.simulator.market.prices import PriceTracker, bar_path, premium_e10, split_volume
from quant_organism.simulator.market.tape import Tape, read_tape
from quant_organism.venue.protocol import MICRO_USD, PlaceOrders, is_legal_price, nearest_price
from quant_organism_tests.simulator.venues import ALICE, order, place

HOUR = Interval.parse("1h")


@pytest.fixture(scope="module")
def tape() -> Tape:
    spec = WorldSpec(
        name="venue",
        days=4,
        assets=(Asset(symbol="AAA", price=2000.0), Asset(symbol="BBB", price=0.03)),
        gaps=(Stretch(symbol="BBB", start=datetime(2023, 1, 3, 5, tzinfo=UTC), bars=2),),
        seed=3,
    )
    return read_tape(WorldSource(spec), HOUR)


@pytest.fixture
def engine(tape: Tape) -> Engine:
    return Engine(tape, int(tape.times[48]), MarketSpec(ticks_per_bar=12), seed=9)


def test_paths_touch_the_corners_of_their_bar() -> None:
    for seed in range(50):
        path = bar_path(np.random.default_rng(seed), (200_000, 201_500, 199_000, 201_000), 12, 2)
        assert (path[0], path[-1], path.max(), path.min()) == (200_000, 201_000, 201_500, 199_000)
        assert path.argmin() < path.argmax()  # a rising bar falls first
        assert all(is_legal_price(int(px), 2) for px in path)


@pytest.mark.parametrize("volume", [0, 4, 11, 12, 1_000_003])
def test_volumes_add_up(volume: int) -> None:
    sizes = split_volume(np.random.default_rng(0), volume, 12)
    assert sizes.sum() == volume
    assert (sizes >= 0).all()


def test_prices_of_the_tape_are_legal(tape: Tape) -> None:
    for asset, instrument in enumerate(tape.instruments):
        for prices in (tape.open, tape.high, tape.low, tape.close):
            seen = prices[prices[:, asset] > 0, asset]
            assert all(is_legal_price(int(px), instrument.px_decimals) for px in seen)


def test_candles_of_the_venue_are_the_bars_of_the_tape(engine: Engine, tape: Tape) -> None:
    engine.advance(int(tape.times[71]) + MS_PER_HOUR - 1)
    for asset in (0, 1):
        candles = engine.candles[asset].within(MS_PER_HOUR, int(tape.times[48]), int(tape.times[71]))
        rows = [48 + i for i in range(24) if tape.open[48 + i, asset] > 0]
        assert len(candles) == len(rows) == (24 if asset == 0 else 22)  # no candle for an empty interval
        for candle, row in zip(candles, rows, strict=True):
            bar = [int(a[row, asset]) for a in (tape.open, tape.high, tape.low, tape.close, tape.volume)]
            assert [candle.open, candle.high, candle.low, candle.close, candle.volume] == bar
            assert candle.start_ms == tape.times[row]


def test_minutes_add_up_to_hours(engine: Engine, tape: Tape) -> None:
    start = int(tape.times[48])
    engine.advance(start + 2 * MS_PER_HOUR - 1)
    hours = engine.candles[0].within(MS_PER_HOUR, start, start + MS_PER_HOUR)
    quarters = engine.candles[0].within(INTERVALS["15m"], start, start + 2 * MS_PER_HOUR - 1)
    assert len(quarters) == 8
    assert [sum(c.volume for c in quarters[i : i + 4]) for i in (0, 4)] == [c.volume for c in hours]
    assert [quarters[0].open, quarters[7].close] == [hours[0].open, hours[1].close]


def test_history_before_the_opening_is_there(engine: Engine, tape: Tape) -> None:
    days = engine.candles[0].within(INTERVALS["1d"], int(tape.times[0]), int(tape.times[47]))
    assert [day.volume for day in days] == [int(tape.volume[a : a + 24, 0].sum()) for a in (0, 24)]


def test_a_resting_order_is_filled_by_a_share_of_the_trades_that_reach_it(engine: Engine, tape: Tape) -> None:
    alice = engine.deposit(ALICE, 10**6 * MICRO_USD)
    row = 49 + int(np.argmax(tape.open[49:60, 0] - tape.low[49:60, 0]))
    engine.advance(int(tape.times[row]) - 1)
    oracle = engine.venue.state.listings[0].oracle
    assert oracle > tape.low[row, 0]
    px = int(tape.low[row, 0])
    size = int(tape.volume[row, 0])
    engine.venue.act(alice, order_action(px, size))
    engine.advance(int(tape.times[row]) + MS_PER_HOUR - 1)
    filled = sum(fill.sz for fill in alice.fills)
    assert 0 < filled <= 0.5 * size
    assert all(fill.px == px and not fill.crossed for fill in alice.fills)
    assert settlement.total_money(engine.venue.core) == 0


def order_action(px: int, size: int) -> PlaceOrders:
    request = order(0, "buy", Decimal(size).scaleb(-4), Decimal(px).scaleb(-2))
    return PlaceOrders((request,), "na")


def test_a_market_order_pays_for_the_depth_it_takes(engine: Engine) -> None:
    alice = engine.deposit(ALICE, 10**9 * MICRO_USD)
    book = engine.venue.core.books[0]
    engine.market.freshen(0)
    best, depth = book.asks.best_px(), sum(o.sz for o in book.asks)
    worst = max(px for px, _ in book.asks.levels())
    (status,) = place(engine.venue, alice, order(0, "buy", Decimal(depth).scaleb(-4), Decimal(worst).scaleb(-2), "Ioc"))
    assert Decimal(status["filled"]["totalSz"]).scaleb(4) == depth
    assert best is not None
    assert Decimal(best) < Decimal(status["filled"]["avgPx"]).scaleb(2) < worst
    assert not book.asks


def test_quotes_made_late_are_the_same(tape: Tape) -> None:
    early, late = (Engine(tape, int(tape.times[48]), MarketSpec(ticks_per_bar=12), seed=9) for _ in range(2))
    for minute in range(0, 121, 5):  # somebody looks at every tick
        early.advance(int(tape.times[48]) + minute * 60_000)
        early.market.freshen(0)
    for engine in (early, late):
        engine.advance(int(tape.times[50]) + 7)
        engine.market.freshen(0)
    sides = [engine.venue.core.books[0].asks for engine in (early, late)]
    books = [[(px, [o.sz for o in orders]) for px, orders in side.levels()] for side in sides]
    assert books[0] == books[1]
    assert len(books[0]) == 20


def test_looking_changes_nothing(tape: Tape) -> None:
    """Whoever trades gets the same fills, whether or not somebody looks at the books all the time."""
    fills = []
    for looks in (False, True):
        engine = Engine(tape, int(tape.times[48]), MarketSpec(ticks_per_bar=12), seed=9)
        alice = engine.deposit(ALICE, 10**7 * MICRO_USD)
        for hour in range(20):
            start = int(tape.times[48 + hour])
            for minute in range(0, 60, 5):
                engine.advance(start + minute * 60_000)
                if looks:
                    engine.market.freshen(0)
            px = nearest_price(engine.venue.state.listings[0].mark / 100 * (0.998 + 0.0002 * hour), 2)
            engine.act(alice, order_action(px, 20_000))
        fills.append([(fill.time_ms, fill.px, fill.sz, fill.crossed) for fill in alice.fills])
    assert fills[0] == fills[1]
    assert {crossed for _, _, _, crossed in fills[0]} == {True, False}


def test_recorded_funding_is_paid_just_after_the_hour(engine: Engine, tape: Tape) -> None:
    alice = engine.deposit(ALICE, 10**6 * MICRO_USD)
    ask = engine.venue.state.listings[0].mark / 100 * 1.01
    place(engine.venue, alice, order(0, "buy", 1, round(ask), "Ioc"))
    assert alice.holdings[0].szi > 0
    engine.advance(int(tape.times[49]) + 100)
    (payment,) = [p for p in alice.fundings if p.asset == 0]
    assert payment.rate_e10 == tape.rate_e10[48, 0]
    assert 15 <= payment.time_ms - int(tape.times[49]) <= 50
    assert engine.fundings[0][-1].time_ms == payment.time_ms


def test_the_interest_rate_alone_without_premium() -> None:
    tracker = PriceTracker()
    for _ in range(10):
        tracker.sample(0)
    assert tracker.hourly_rate_e10() == 125_000  # 0.0000125
    tracker.next_hour()
    tracker.sample(-1_870_000)  # -0.000187, as captured
    assert tracker.hourly_rate_e10() == 125_000
    assert premium_e10(200_000, 200_100, 200_200) == 5_000_000


def test_a_snapshot_goes_on_to_the_same_bytes(engine: Engine, tape: Tape) -> None:
    alice = engine.deposit(ALICE, 10**6 * MICRO_USD)
    engine.act(alice, order_action(int(tape.open[48, 0]) // 100 * 99, 10_000))
    engine.advance(int(tape.times[52]) + 12_345)
    again = Engine(tape, int(tape.times[48]), MarketSpec(ticks_per_bar=12), seed=9)
    again.restore(engine.snapshot())
    for one in (engine, again):
        one.advance(int(tape.times[60]))
    assert engine.snapshot() == again.snapshot()


def test_after_the_last_bar_time_goes_on(engine: Engine, tape: Tape) -> None:
    end = int(tape.times[-1]) + 10 * MS_PER_HOUR
    engine.advance(end)
    assert engine.now_ms == end
    assert engine.candles[0].bars[-1].start_ms == tape.times[-1]
