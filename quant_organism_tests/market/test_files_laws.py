"""What holds for every file: sound rows come through unchanged, and rows out of place never come through unnoticed."""

import tempfile
from collections.abc import Callable
from datetime import date
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
    download_lines,
    market,
    vision_lines,
    write_download,
    write_freqtrade,
    write_tidy,
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
