"""Longer bars of shorter ones: right labels, no bar before it has closed, and none that lacks a part."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.resample import make_longer_bars
from quant_organism.market.schema import Interval
from quant_organism.market.world import WorldSource, load_world
from quant_organism_tests.market.file_examples import START, market, write_tidy

HOUR, FOUR, DAY = (Interval.parse(name) for name in ("1h", "4h", "1d"))


def test_a_bar_is_stamped_by_its_open_and_made_of_its_four_hours() -> None:
    hours = market(bars=8)
    first, second = make_longer_bars(hours, HOUR, FOUR).bars.iter_rows(named=True)
    assert (first["timestamp"], second["timestamp"]) == (START, START + timedelta(hours=4))
    part = hours[4:]
    assert second["open"] == part["open"][0]
    assert second["high"] == part["high"].max()
    assert second["low"] == part["low"].min()
    assert second["close"] == part["close"][-1]
    assert second["volume"] == pytest.approx(part["volume"].sum())


@settings(max_examples=40, deadline=None)
@given(
    bars=st.integers(1, 60),
    gaps=st.sets(st.integers(0, 59), max_size=4),
    later=st.integers(0, 60),
    interval=st.sampled_from([Interval.parse("2h"), FOUR, Interval.parse("8h"), DAY]),
)
def test_no_bar_knows_what_came_after_its_close(bars: int, gaps: set[int], later: int, interval: Interval) -> None:
    row = pl.int_range(pl.len())
    hours = pl.concat([market(symbol, bars=bars, seed=seed) for symbol, seed in (("BTC", 1), ("ETH", 2))])
    hours = hours.filter(~(row.is_in(sorted(gaps)) & (pl.col("symbol") == "BTC")))
    until = START + timedelta(hours=later)
    past = hours.filter(pl.col("timestamp") + timedelta(hours=1) <= until)
    known = make_longer_bars(past, HOUR, interval)
    everything = make_longer_bars(hours, HOUR, interval)
    closed = pl.col("timestamp") + timedelta(milliseconds=interval.milliseconds) <= until
    assert_frame_equal(known.bars, everything.bars.filter(closed))
    parts = interval.milliseconds // HOUR.milliseconds
    assert everything.bars.height * parts <= hours.height
    of = {(symbol, at) for symbol, at in everything.incomplete.iter_rows()}
    assert of.isdisjoint({(symbol, at) for symbol, at in everything.bars.select("symbol", "timestamp").iter_rows()})


def test_lengths_that_do_not_divide_are_refused() -> None:
    with pytest.raises(InputError, match="bars of 12h cannot be made of bars of 8h"):
        make_longer_bars(market(interval="8h"), Interval.parse("8h"), Interval.parse("12h"))


def test_files_of_hours_have_longer_bars_and_every_hour_is_accounted_for(tmp_path: Path) -> None:
    hours = market(bars=54).filter(pl.int_range(pl.len()) != 9)  # 08:00 lacks an hour; 54 hours end within a day
    write_tidy(tmp_path, hours)
    write_tidy(tmp_path, market("ETH", interval="2h", bars=24), "ETH-2h.parquet")
    source = FileSource(tmp_path, as_of=START + timedelta(hours=53, minutes=30))
    first, last = source.span(FOUR)
    assert (first, last) == (START.date(), date(2024, 3, 2))
    bars = source.candles(["BTC", "ETH"], FOUR, first, last)
    assert bars.filter(symbol="ETH").height == 12
    opens = bars.filter(symbol="BTC")["timestamp"].dt.hour().to_list()
    assert opens == [0, 4, 12, 16, 20, 0, 4, 8, 12, 16, 20]
    tallies = {entry.symbol: entry for entry in source.tally(None, FOUR, first, last)}
    assert tallies["BTC"].kept == 4 * len(opens)
    assert tallies["BTC"].aside == {"forming": 1, "incomplete_bar": 4, "incomplete_day": 4}
    assert tallies["BTC"].read == 53
    assert "BTC: 4h bars are made of 1h bars; 2 lack some of them and were left aside." in source.notes()
    assert "ETH: 4h bars are made of 2h bars." in source.notes()


def test_where_a_folder_has_bars_of_that_length_none_are_made(tmp_path: Path) -> None:
    write_tidy(tmp_path, market(), "BTC.parquet")
    write_tidy(tmp_path, market("ETH", interval="4h"), "ETH-4h.parquet")
    source = FileSource(tmp_path)
    first, last = source.span(FOUR)
    assert source.candles(source.symbols(), FOUR, first, last)["symbol"].unique().to_list() == ["ETH"]
    assert source.tally(None, FOUR, first, last)[0].aside == {"other_interval": 48}


def test_a_world_has_longer_bars(tmp_path: Path) -> None:
    world = WorldSource(load_world("demo"))
    names, start = world.symbols()[:2], world.span(DAY)[0]
    hours = world.candles(names, HOUR, start, start + timedelta(days=2))
    days = world.candles(names, DAY, start, start + timedelta(days=2))
    assert_frame_equal(days, make_longer_bars(hours, HOUR, DAY).bars)
    assert days.height == 6
    with pytest.raises(InputError, match="have bars of 1h, not 30m"):
        world.span(Interval.parse("30m"))
