"""Bars of trades equal the venue's candles, or the venue is asked: whatever is lost, doubled or shuffled on the way."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.market.schema import Interval
from quant_organism.venue.feed.bars import Bar, BarBuilder
from quant_organism.venue.feed.messages import Trade, VenueCandle

MINUTE = Interval.parse("1m")
START = 1_700_000_040_000
END = START + 20 * 60_000


def tape(seed: int, count: int = 300) -> list[Trade]:
    """Return trades over twenty minutes, some of which have none."""
    rng = random.Random(seed)
    busy = [START + 60_000 * n for n in rng.sample(range(20), 15)]
    times = sorted(rng.choice(busy) + rng.randrange(60_000) for _ in range(count))
    return [
        Trade(time, tid, round(100 * rng.uniform(0.9, 1.1), 2), rng.randrange(1, 10**6) / 10**5)
        for tid, time in enumerate(times)
    ]


def venue_candles(trades: list[Trade]) -> dict[int, VenueCandle]:
    """Return the candles of a venue that saw all trades, from the definition of a candle."""
    grouped: dict[int, list[Trade]] = {}
    for trade in trades:
        grouped.setdefault(trade.time_ms // 60_000 * 60_000, []).append(trade)
    return {
        start: VenueCandle(
            "BTC",
            "1m",
            start,
            rows[0].px,
            max(row.px for row in rows),
            min(row.px for row in rows),
            rows[-1].px,
            float(f"{sum(round(row.sz * 10**5) for row in rows)}e-5"),
            len(rows),
        )
        for start, rows in grouped.items()
    }


def values(bar: Bar | VenueCandle) -> tuple[object, ...]:
    """Return what must be equal in a bar and in the venue's candle."""
    return (bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades)


def ask(builder: BarBuilder, candles: dict[int, VenueCandle]) -> list[Bar]:
    """Answer what the builder wants to know, and return what then leaves."""
    bars = builder.leaving()
    while (span := builder.wanted()) is not None:
        builder.answer([c for c in candles.values() if span[0] <= c.open_ms <= span[1]], *span)
        bars += builder.leaving()
    return bars


def covered() -> BarBuilder:
    """Return a builder whose stream is whole from the beginning."""
    builder = BarBuilder("BTC", MINUTE, START, 5)
    builder.cover(START)
    return builder


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9))
def test_a_whole_stream_makes_exactly_the_venues_candles_and_asks_nothing(seed: int) -> None:
    trades = tape(seed)
    builder, bars = covered(), []
    for trade in trades:
        builder.close_until(trade.time_ms)
        builder.add(trade.time_ms, trade.px, trade.sz)
        bars += builder.leaving()
    builder.close_until(END)
    assert builder.wanted() is None
    bars += builder.leaving()
    assert [values(bar) for bar in bars] == [values(candle) for candle in venue_candles(trades).values()]
    assert {bar.origin for bar in bars} == {"trades"}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**9), st.data())
def test_with_gaps_at_any_moments_no_bar_is_lost_or_altered(seed: int, data: st.DataObject) -> None:
    trades = tape(seed)
    edges = sorted(data.draw(st.lists(st.integers(START, END), min_size=2, max_size=8)))
    gaps = list(zip(edges[::2], edges[1::2], strict=False))
    builder, bars = covered(), []
    is_whole = True
    for trade in trades:
        lost = any(first <= trade.time_ms < last for first, last in gaps)
        if lost and is_whole:
            builder.uncover()
        ended = [last for _, last in gaps if last <= trade.time_ms]
        if not lost and (not is_whole or ended):
            builder.cover(max(ended, default=START)) if not is_whole else None
        is_whole = not lost
        builder.close_until(trade.time_ms if not lost else START)
        if not lost:
            builder.add(trade.time_ms, trade.px, trade.sz)
        bars += builder.leaving()
    builder.close_until(END)
    bars += ask(builder, venue_candles(trades))
    assert [values(bar) for bar in bars] == [values(candle) for candle in venue_candles(trades).values()]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**9), st.randoms(use_true_random=False))
def test_shuffled_within_a_second_the_bars_still_equal_the_venues(seed: int, rng: random.Random) -> None:
    trades = tape(seed)
    shuffled = sorted(trades, key=lambda trade: trade.time_ms + rng.uniform(0, 1_000))
    builder, bars, newest = covered(), [], 0
    for trade in shuffled:
        newest = max(newest, trade.time_ms)
        builder.close_until(newest - 1_000)
        builder.add(trade.time_ms, trade.px, trade.sz)
        bars += builder.leaving()
    builder.close_until(END)
    bars += ask(builder, venue_candles(trades))
    assert [values(bar) for bar in bars] == [values(candle) for candle in venue_candles(trades).values()]
    assert builder.late_trades == 0


def test_a_trade_after_its_bar_left_brings_a_revision_that_equals_the_venue() -> None:
    trades = [Trade(START + 1_000, 1, 100.0, 1.0), Trade(START + 2_000, 2, 101.0, 1.0)]
    builder = covered()
    builder.add(*trades[0][:1], *trades[0][2:])
    builder.close_until(START + 60_000)
    (first,) = builder.leaving()
    builder.add(trades[1].time_ms, trades[1].px, trades[1].sz)
    (revision,) = ask(builder, venue_candles(trades))
    assert (first.trades, first.is_revision) == (1, False)
    assert (revision.trades, revision.close, revision.is_revision) == (2, 101.0, True)
    assert builder.late_trades == 1


def test_a_trade_in_an_interval_that_was_empty_makes_the_venue_be_asked() -> None:
    builder = covered()
    builder.close_until(START + 120_000)
    assert builder.leaving() == []
    builder.add(START + 5_000, 100.0, 1.0)
    assert builder.wanted() == (START, START)


@pytest.mark.parametrize("seen", [[], [Trade(START + 1_000, 1, 100.0, 1.0)]])
def test_where_the_venues_candle_knows_of_more_trades_the_bar_does_not_leave(seen: list[Trade]) -> None:
    trades = [Trade(START + 1_000, 1, 100.0, 1.0), Trade(START + 2_000, 2, 101.0, 1.0)]
    candle = venue_candles(trades)[START]
    builder = covered()
    for trade in seen:
        builder.add(trade.time_ms, trade.px, trade.sz)
    builder.compare(candle)
    builder.close_until(START + 60_000)
    assert builder.leaving() == []
    (bar,) = ask(builder, {START: candle})
    assert (bar.origin, values(bar)) == ("venue", values(candle))


def test_a_candle_that_lags_behind_the_trades_does_not_delay_the_bar() -> None:
    trades = [Trade(START + 1_000, 1, 100.0, 1.0), Trade(START + 2_000, 2, 101.0, 1.0)]
    builder = covered()
    builder.compare(venue_candles(trades[:1])[START])
    for trade in trades:
        builder.add(trade.time_ms, trade.px, trade.sz)
    builder.close_until(START + 60_000)
    assert [bar.trades for bar in builder.leaving()] == [2]


def test_bars_leave_in_order_also_when_the_venue_must_be_asked_about_an_earlier_one() -> None:
    trades = [Trade(START + 1_000, 1, 100.0, 1.0), Trade(START + 61_000, 2, 101.0, 1.0)]
    builder = BarBuilder("BTC", MINUTE, START, 5)
    builder.cover(START + 30_000)
    for trade in trades:
        builder.add(trade.time_ms, trade.px, trade.sz)
    builder.close_until(START + 120_000)
    assert builder.leaving() == []
    assert builder.wanted() == (START, START)
    assert [bar.origin for bar in ask(builder, venue_candles(trades))] == ["venue", "trades"]


def test_a_forming_bar_never_leaves_and_sizes_add_up_exactly() -> None:
    builder = covered()
    for n in range(1_000):
        builder.add(START + n, 100.0, 0.1)
    builder.close_until(START + 59_999)
    assert builder.leaving() == []
    builder.close_until(START + 60_000)
    assert [bar.volume for bar in builder.leaving()] == [100.0]


def test_after_a_long_absence_the_venue_is_asked_in_answers_of_five_thousand() -> None:
    builder = BarBuilder("BTC", MINUTE, START, 5)
    builder.close_until(START + 12_000 * 60_000)
    sizes = []
    while (span := builder.wanted()) is not None:
        sizes.append((span[1] - span[0]) // 60_000 + 1)
        builder.answer([], *span)
    assert sizes == [5_000, 5_000, 2_000]
