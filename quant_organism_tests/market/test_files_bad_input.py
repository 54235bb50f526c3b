"""Bad input is refused with its place and a remedy, or, with repair, set aside row by row; files never change."""

import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.schema import Interval
from quant_organism.market.tables import SetAsideTable
from quant_organism_tests.market.file_examples import (
    VALUES,
    download_lines,
    json_rows,
    market,
    rates,
    vision_lines,
    write_download,
    write_freqtrade,
    write_tidy,
    write_trades,
    write_vision,
)

HOUR = Interval.parse("1h")
FIRST, LAST = date(2009, 1, 1), date(2099, 12, 31)
NAME = "FILUSDT-1h-2024-03.csv"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def read(folder: Path, *, repair: bool = False) -> tuple[pl.DataFrame, FileSource]:
    """Read all candles and funding, and hold the source to leaving every file as it was."""
    before = contents(folder)
    try:
        source = FileSource(folder, repair=repair)
        candles = pl.concat([source.candles(source.symbols(), each, FIRST, LAST) for each in source.intervals()[:1]])
        source.funding(source.symbols(), FIRST, LAST)
    finally:
        assert contents(folder) == before
    return candles, source


def refused(folder: Path, *, repair: bool = False) -> InputError:
    with pytest.raises(InputError) as error:
        read(folder, repair=repair)
    assert error.value.where is not None
    assert error.value.remedy
    return error.value


def row_21(frame: pl.DataFrame, **values: object) -> pl.DataFrame:
    """Alter row 21 (1-based), which opens at 20:00."""
    here = pl.int_range(pl.len()) == 20
    return frame.with_columns(**{n: pl.when(here).then(pl.lit(v)).otherwise(pl.col(n)) for n, v in values.items()})


IMPOSSIBLE: list[tuple[str, dict[str, float], str]] = [
    ("low above high", {"low": 120.0}, "ohlc"),
    ("close outside", {"close": 1.0}, "ohlc"),
    ("open outside", {"open": 900.0}, "ohlc"),
    ("zero price", {"low": 0.0}, "not_positive"),
    ("negative price", {"low": -3.0}, "not_positive"),
    ("negative volume", {"volume": -1.0}, "negative_volume"),
    ("NaN", {"close": float("nan")}, "not_finite"),
    ("infinity", {"high": float("inf")}, "not_finite"),
]


@pytest.mark.parametrize(("values", "reason"), [case[1:] for case in IMPOSSIBLE], ids=[case[0] for case in IMPOSSIBLE])
def test_impossible_numbers(tmp_path: Path, values: dict[str, float], reason: str) -> None:
    good = market(bars=48)
    write_tidy(tmp_path, row_21(good, **values))
    error = refused(tmp_path)
    assert error.where == f"{tmp_path / 'BTC.parquet'}, row 21, symbol BTC, 2024-03-01 20:00 UTC"
    assert str(next(iter(values.values()))).replace("nan", "NaN") in error.what
    assert "--repair" in str(error.remedy)

    candles, source = read(tmp_path, repair=True)
    assert_frame_equal(candles, good.filter(pl.int_range(pl.len()) != 20))
    aside = source.set_aside()
    assert aside.schema == SetAsideTable.schema
    assert aside.select("symbol", "file", "line", "reason").rows() == [("BTC", "BTC.parquet", 21, reason)]
    assert aside["timestamp"].to_list() == [good["timestamp"][20]]
    assert any(f"1 of 48 rows were set aside ({reason} 1)" in note for note in source.notes())


def vision(folder: Path, alter: Callable[[list[str]], list[str]]) -> None:
    write_vision(folder, alter(vision_lines(market("FIL"))), NAME)


def replaced(field: int, value: str) -> Callable[[list[str]], list[str]]:
    """Alter one field of line 22 (the header is line 1), the bar of 20:00."""

    def alter(lines: list[str]) -> list[str]:
        fields = lines[21].split(",")
        fields[field] = value
        return [*lines[:21], ",".join(fields), *lines[22:]]

    return alter


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [(4, "n/a", "close is 'n/a'"), (2, "", "high is empty"), (0, "yesterday", "time is 'yesterday'")],
)
def test_text_among_numbers_of_a_csv(tmp_path: Path, field: int, value: str, found: str) -> None:
    vision(tmp_path, replaced(field, value))
    error = refused(tmp_path)
    stamp = "" if field == 0 else ", 2024-03-01 20:00 UTC"
    assert error.where == f"{tmp_path / NAME}, line 22, symbol FIL{stamp}"
    assert found in error.what
    candles, source = read(tmp_path, repair=True)
    assert candles.height == 47
    assert source.set_aside().select("line", "reason").rows() == [(22, "unreadable")]


def test_text_in_a_price_column_of_parquet(tmp_path: Path) -> None:
    texts = row_21(market().with_columns(pl.col("close").cast(pl.String)), close="n/a")
    write_tidy(tmp_path, texts)
    error = refused(tmp_path)
    assert "row 21, symbol BTC" in str(error.where)
    assert "close is 'n/a'" in error.what
    candles, source = read(tmp_path, repair=True)
    assert candles.height == 47
    assert any("close is stored as text" in note for note in source.notes())


@pytest.mark.parametrize(("cell", "found"), [("n/a", "'n/a'"), (None, "None"), ([1], "[1]"), (True, "True")])
def test_text_in_a_price_of_json(tmp_path: Path, cell: object, found: str) -> None:
    rows = json_rows(market())
    rows[20][4] = cell  # type: ignore[call-overload]
    (tmp_path / "BTC_USDT-1h.json").write_text(json.dumps(rows))
    error = refused(tmp_path)
    assert error.where == f"{tmp_path / 'BTC_USDT-1h.json'}, row 21, symbol BTC, 2024-03-01 20:00 UTC"
    assert f"close is {found}" in error.what
    assert read(tmp_path, repair=True)[0].height == 47


def test_duplicate_timestamps(tmp_path: Path) -> None:
    vision(tmp_path, lambda lines: [*lines[:22], lines[21].replace(",9,", ",8,"), *lines[22:]])
    error = refused(tmp_path)
    assert error.where == f"{tmp_path / NAME}, line 23, symbol FIL, 2024-03-01 20:00 UTC"
    assert "stands in line 22 already" in error.what
    candles, source = read(tmp_path, repair=True)
    assert_frame_equal(candles, market("FIL"))
    assert source.set_aside().select("line", "reason").rows() == [(23, "duplicate")]


def test_shuffled_timestamps(tmp_path: Path) -> None:
    vision(tmp_path, lambda lines: [*lines[:10], lines[30], *lines[10:30], *lines[31:]])
    error = refused(tmp_path)
    assert error.where == f"{tmp_path / NAME}, line 12, symbol FIL, 2024-03-01 09:00 UTC"
    assert "stands after a row of 2024-03-02 05:00:00 UTC" in error.what
    candles, source = read(tmp_path, repair=True)
    assert_frame_equal(candles, market("FIL"))
    assert source.set_aside().is_empty()
    assert any("20 rows stood out of order and were sorted (lines 12-31)" in note for note in source.notes())


def test_newest_first_is_shuffled_where_the_format_is_not_newest_first(tmp_path: Path) -> None:
    write_tidy(tmp_path, market().reverse())
    assert "stands after" in refused(tmp_path).what


def test_times_that_are_no_count_of_any_unit(tmp_path: Path) -> None:
    write_tidy(tmp_path, market().with_columns(pl.int_range(pl.len()).alias("timestamp")))
    for repair in (False, True):
        error = refused(tmp_path, repair=repair)
        assert error.where == f"{tmp_path / 'BTC.parquet'}, row 1, symbol BTC"
        assert "--repair" not in str(error.remedy)
        assert "milliseconds since 1970" in str(error.remedy)


def test_date_times_made_from_seconds_lie_in_1970(tmp_path: Path) -> None:
    stamps = (pl.col("timestamp").dt.epoch("ms") // 1000).cast(pl.Datetime("ms", "UTC"))
    write_tidy(tmp_path, market().with_columns(stamps))
    assert "it looks like seconds" in refused(tmp_path).what


def test_a_bar_off_the_grid(tmp_path: Path) -> None:
    late = market().with_columns(
        pl.col("timestamp") + pl.when(pl.int_range(pl.len()) == 20).then(90_000).otherwise(0).cast(pl.Duration("ms"))
    )
    write_tidy(tmp_path, late)
    error = refused(tmp_path)
    assert "row 21, symbol BTC, 2024-03-01 20:01 UTC" in str(error.where)
    assert "2024-03-01 20:01:30.000 is not a whole number of 1h bars" in error.what
    assert read(tmp_path, repair=True)[1].set_aside()["reason"].to_list() == ["off_grid"]


def test_the_name_denies_the_bars(tmp_path: Path) -> None:
    write_freqtrade(tmp_path, market(interval="1m"), "BTC_USDT-1h.json")
    error = refused(tmp_path)
    assert "the name says 1h" in error.what
    assert "most are 1m" in error.what


def test_bars_of_no_known_interval(tmp_path: Path) -> None:
    stamps = pl.col("timestamp").dt.epoch("ms") // 20 + 1_500_000_000_000
    write_tidy(tmp_path, market().with_columns(stamps))
    assert "180 s apart, which is no known interval" in refused(tmp_path).what
    write_tidy(tmp_path, market(bars=1))
    assert "a single bar" in refused(tmp_path).what


def test_a_missing_column(tmp_path: Path) -> None:
    write_tidy(tmp_path, market().rename({"close": "final"}))
    error = refused(tmp_path)
    assert error.what == "column close missing; found timestamp, open, high, low, final, volume"
    assert "--columns close=COLUMN" in str(error.remedy)
    assert error.where == str(tmp_path / "BTC.parquet")


def test_a_missing_column_of_a_csv(tmp_path: Path) -> None:
    vision(tmp_path, lambda lines: [lines[0].replace("close,", "last,", 1), *lines[1:]])
    error = refused(tmp_path)
    assert "column close missing" in error.what
    assert error.where == f"{tmp_path / NAME}, line 1"
    (tmp_path / NAME).unlink()
    lines = download_lines(market())
    write_download(tmp_path, [lines[0], lines[1].replace("low", "lowest"), *lines[2:]])
    error = refused(tmp_path)
    assert "column low missing" in error.what
    assert str(error.where).endswith("line 2")


def test_a_column_of_an_impossible_type(tmp_path: Path) -> None:
    write_tidy(tmp_path, market().with_columns(pl.lit(True).alias("volume")))
    assert "column volume has type Boolean" in refused(tmp_path).what
    write_tidy(tmp_path, market().with_columns(timestamp=pl.lit(b"noon")))
    assert "column timestamp has type Binary" in refused(tmp_path).what


EVERY_NAME = [
    "BTC.parquet",
    "BTC.funding.parquet",
    "BTC_USDT-1h.json",
    "BTC_USDT-1h.json.gz",
    "BTC_USDC_USDC-1h-futures.feather",
    "BTC_USDT-trades.json.gz",
    NAME,
    NAME.replace("csv", "zip"),
]


@pytest.mark.parametrize("name", EVERY_NAME)
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    error = refused(tmp_path)
    assert "empty" in error.what
    assert error.where == str(tmp_path / name)


@pytest.mark.parametrize("name", EVERY_NAME)
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(128, 256)) * 8)
    assert str(tmp_path / name) in str(refused(tmp_path).where)


@pytest.mark.parametrize("name", ["BTC_USDT-1h.json", "BTC_USDT-1h.json.gz", "BTC_USDC_USDC-1h-futures.feather"])
def test_a_truncated_file(tmp_path: Path, name: str) -> None:
    path = write_freqtrade(tmp_path, market(), name)
    path.write_bytes(path.read_bytes()[:-200])
    error = refused(tmp_path)
    assert "not a whole" in error.what
    assert error.where == str(path)


def test_a_truncated_parquet_and_a_truncated_zip(tmp_path: Path) -> None:
    for path in (write_tidy(tmp_path, market()), write_vision(tmp_path, vision_lines(market("FIL")), "FILUSDT-1h.zip")):
        path.write_bytes(path.read_bytes()[:-50])
        assert refused(tmp_path).where == str(path)
        path.unlink()


def test_a_csv_that_ends_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = write_vision(tmp_path, vision_lines(market("FIL")), NAME)
    path.write_text(path.read_text()[:-30])
    error = refused(tmp_path)
    assert error.where == f"{path}, line 49, symbol FIL"
    assert "fields, expected 12" in error.what
    assert read(tmp_path, repair=True)[0].height == 47


@pytest.mark.parametrize("content", ["{}", "[]", "[[1, 2], [3]]", '{"a": ' * 2000, "[1, 2"])
def test_json_that_holds_no_rows(tmp_path: Path, content: str) -> None:
    (tmp_path / "BTC_USDT-1h.json").write_text(content)
    assert str(tmp_path / "BTC_USDT-1h.json") in str(refused(tmp_path).where)
    assert refused(tmp_path, repair=True)


def test_a_small_archive_that_unpacks_without_end(tmp_path: Path) -> None:
    (tmp_path / "BTC_USDT-1h.json.gz").write_bytes(gzip.compress(b" " * (129 * 1024**2)))
    assert "more than 128 MiB" in refused(tmp_path).what


def test_rows_without_end_of_defects_are_no_blemish(tmp_path: Path) -> None:
    third = pl.int_range(pl.len()) % 3 == 0
    write_tidy(tmp_path, market().with_columns(low=pl.when(third).then(0.0).otherwise("low")))
    error = refused(tmp_path, repair=True)
    assert "16 of 48 rows are not usable, more than the 5%" in error.what
    assert "row 1, symbol BTC" in str(error.where)


def test_bad_funding(tmp_path: Path) -> None:
    write_tidy(tmp_path, market())
    bad = rates(40).with_columns(funding_rate=pl.when(pl.int_range(pl.len()) == 5).then(2.5).otherwise("funding_rate"))
    bad.write_parquet(tmp_path / "BTC.funding.parquet")
    error = refused(tmp_path)
    assert "BTC.funding.parquet, row 6, symbol BTC, 2024-03-02 16:00 UTC" in str(error.where)
    assert "no fraction" in error.what
    _, source = read(tmp_path, repair=True)
    assert source.set_aside()["reason"].to_list() == ["rate_unit"]
    assert source.funding(["BTC"], FIRST, LAST).height == 39


def test_bad_trades(tmp_path: Path) -> None:
    path = write_trades(tmp_path)
    trades = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps([*trades, trades[3]]).encode()))
    error = refused(tmp_path)
    assert "row 5, symbol XRP-ETH" in str(error.where)
    assert "the same trade id stands in row 4 already" in error.what
    path.write_bytes(gzip.compress(json.dumps([trades[3], *trades[:3]]).encode()))
    assert "stands after" in refused(tmp_path).what


def test_a_frame_cut_off_while_recording(tmp_path: Path) -> None:
    trade = {"coin": "BTC", "px": "100.0", "sz": "1", "time": 1709251200000}
    frames = [json.dumps({"channel": "trades", "data": [trade | {"tid": at}]}) for at in range(40)]
    path = tmp_path / "frames.jsonl"
    path.write_text("\n".join([*frames, frames[0][:50]]))
    error = refused(tmp_path)
    assert error.where == f"{path}, line 41"
    assert "not JSON" in error.what
    _, source = read(tmp_path, repair=True)
    assert source.set_aside().select("symbol", "timestamp", "line", "reason").rows() == [(None, None, 41, "unreadable")]


def test_dates_that_deny_the_unix_time(tmp_path: Path) -> None:
    lines = download_lines(market())
    lines[12] = lines[12].replace("2024-03-02", "2023-03-02")
    path = write_download(tmp_path, lines)
    error = refused(tmp_path)
    assert str(error.where).startswith(f"{path}, line 13, symbol BTC")
    assert "the date says '2023-03-02" in error.what


def test_nothing_to_read(tmp_path: Path) -> None:
    assert "the folder is empty" in refused(tmp_path).what
    (tmp_path / "notes.txt").write_text("hello")
    assert "notes.txt" in refused(tmp_path).what
    with pytest.raises(InputError, match="no such file or folder"):
        FileSource(tmp_path / "nowhere")


def test_every_value_column_is_held_to_the_rules(tmp_path: Path) -> None:
    for name in VALUES:
        write_tidy(tmp_path, row_21(market(), **{name: float("nan")}))
        assert "row 21" in str(refused(tmp_path).where)
