"""What holds for every file: sound rows come through unchanged, and rows out of place never come through unnoticed."""

import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.schema import Interval
from quant_organism_tests.market.file_examples import (
    START,
    download_lines,
    market,
    rates,
    vision_lines,
    write_download,
    write_freqtrade,
    write_tidy,
    write_trades,
    write_vision,
)

Writer = Callable[[Path, pl.DataFrame], Path]

WRITERS: dict[str, Writer] = {
    "tidy": lambda folder, frame: write_tidy(folder, frame, "BTC-1h.parquet"),
    "feather": lambda folder, frame: write_freqtrade(folder, frame, "BTC_USDC_USDC-1h-futures.feather"),
    "json": lambda folder, frame: write_freqtrade(folder, frame, "BTC_USDT-1h.json"),
    "vision": lambda folder, frame: write_vision(folder, vision_lines(frame), "BTCUSDT-1h-2024-03.csv"),
}
every_format = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


def read(frame: pl.DataFrame, write: Writer, *, repair: bool = False) -> tuple[pl.DataFrame, FileSource]:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), frame)
        source = FileSource(folder, repair=repair)
        return source.candles(["BTC"], Interval.parse("1h"), date(2009, 1, 1), date(2099, 1, 1)), source


def sound(seed: int, bars: int, gaps: set[int]) -> pl.DataFrame:
    frame = market(bars=bars, seed=seed)
    return frame.filter(~pl.int_range(pl.len()).is_in(sorted(gaps)) | (pl.int_range(pl.len()) < 2))


frames = st.builds(sound, st.integers(0, 2**32 - 1), st.integers(4, 40), st.sets(st.integers(0, 39), max_size=5))
few = settings(max_examples=25, deadline=None)


@every_format
@few
@given(frame=frames)
def test_sound_rows_come_through_unchanged(write: Writer, frame: pl.DataFrame) -> None:
    candles, source = read(frame, write)
    assert_frame_equal(candles, frame)
    assert source.set_aside().is_empty()


@every_format
@few
@given(frame=frames, data=st.data())
def test_shuffled_rows_are_refused_and_repaired(write: Writer, frame: pl.DataFrame, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(frame.height)).filter(lambda order: list(order) != sorted(order)))
    with pytest.raises(InputError, match="stands after a row of"):
        read(frame[list(order)], write)
    candles, source = read(frame[list(order)], write, repair=True)
    assert_frame_equal(candles, frame)
    assert any("out of order" in note for note in source.notes())


@every_format
@few
@given(seed=st.integers(0, 99), twice=st.integers(0, 39), put=st.integers(0, 40))
def test_a_row_given_twice_is_refused_and_set_aside(write: Writer, seed: int, twice: int, put: int) -> None:
    frame = market(bars=40, seed=seed)
    # The line that comes later is the double, whether it is the copy or the original.
    doubled = pl.concat([frame[:put], frame[twice : twice + 1], frame[put:]])
    with pytest.raises(InputError):
        read(doubled, write)
    candles, source = read(doubled, write, repair=True)
    assert_frame_equal(candles, frame)
    assert source.set_aside()["reason"].to_list() == ["duplicate"]
    assert source.set_aside()["timestamp"].to_list() == [frame["timestamp"][twice]]


ALL_WRITERS: dict[str, Writer] = WRITERS | {
    "json.gz": lambda folder, frame: write_freqtrade(folder, frame, "BTC_USDT-1h.json.gz"),
    "zip": lambda folder, frame: write_vision(folder, vision_lines(frame), "BTCUSDT-1h-2024-03.zip"),
    "download": lambda folder, frame: write_download(folder, download_lines(frame)),
}


@pytest.mark.parametrize("write", ALL_WRITERS.values(), ids=ALL_WRITERS.keys())
@few
@given(
    cut=st.none() | st.floats(0, 0.999),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4),
    repair=st.booleans(),
)
def test_a_damaged_file_is_refused_in_words_or_meets_the_rules(
    write: Writer, cut: float | None, flips: list[tuple[float, int]], repair: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), market())
        damaged = bytearray(path.read_bytes())
        for where, byte in flips:
            damaged[int(where * len(damaged))] = byte
        path.write_bytes(damaged if cut is None else damaged[: int(cut * len(damaged))])
        try:
            source = FileSource(folder, repair=repair)
            bars = source.candles(source.symbols(), source.intervals()[0], date(2009, 1, 1), date(2099, 1, 1))
        except InputError as refusal:
            bars, where = market().clear(), refusal.where
        else:
            where = folder
    assert folder in str(where)
    assert bars["timestamp"].is_sorted()
    assert bars.filter((pl.col("low") <= 0) | (pl.col("low") > pl.col("high")) | pl.col("close").is_nan()).is_empty()


@settings(max_examples=20, deadline=None)
@given(
    bars=st.integers(25, 110),
    broken=st.sets(st.integers(0, 109), max_size=3),
    doubled=st.booleans(),
    days=st.integers(0, 3),
    chosen=st.sampled_from([("BTC",), ("ETH",), ("BTC", "ETH")]),
    closed=st.integers(30, 120),
)
def test_what_was_read_is_what_was_kept_and_what_was_left_aside(
    bars: int, broken: set[int], doubled: bool, days: int, chosen: tuple[str, ...], closed: int
) -> None:
    row = pl.int_range(pl.len())
    btc, eth = market("BTC", bars=bars, seed=1), market("ETH", bars=bars, seed=2)
    spoilt = btc.with_columns(low=pl.when(row.is_in(sorted(broken)) & (row > 60)).then(0.0).otherwise("low"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        both = pl.concat([spoilt, eth, *([spoilt[:1]] if doubled else [])])
        both.write_parquet(folder / "both.parquet")
        write_tidy(folder, market("SOL", interval="1d"), "SOL.parquet")
        write_trades(folder, "XRP_USDT-trades.json.gz")
        for symbol in ("BTC", "DOGE"):
            rates(hours=8).write_parquet(folder / f"{symbol}.funding.parquet")
        source = FileSource(folder, repair=True, as_of=START + timedelta(hours=closed))
        hour, (first, last) = Interval.parse("1h"), source.span(Interval.parse("1h"))
        last = min(last, first + timedelta(days=days))
        tallies = source.tally(chosen, hour, first, last)
        candles = source.candles(chosen, hour, first, last)
    assert all(entry.read == entry.kept + sum(entry.aside.values()) for entry in tallies)
    of_both = [entry for entry in tallies if entry.file == "both.parquet"]
    assert sum(entry.read for entry in of_both) == both.height
    assert sum(entry.kept for entry in of_both) == candles.height
    by_file = {(entry.file, entry.symbol): entry for entry in tallies}
    assert (by_file["SOL.parquet", "SOL"].read, by_file["SOL.parquet", "SOL"].kept) == (48, 0)
    assert by_file["SOL.parquet", "SOL"].aside["other_interval"] == 48 - by_file["SOL.parquet", "SOL"].aside["forming"]
    assert by_file["DOGE.funding.parquet", "DOGE"].aside == {"no_candles": rates().height}
    assert by_file["XRP_USDT-trades.json.gz", "XRP"].read == 4
    assert any("SOL.parquet holds 1d bars" in note for note in source.notes())
