"""Every format that people keep candles in says the same market, and its quirks are put right and told."""

import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.files.table import INTERVALS, symbol_of_pair
from quant_organism.market.schema import Interval
from quant_organism.market.tables import CandleTable, FundingTable
from quant_organism_tests.market.file_examples import (
    START,
    download_lines,
    json_rows,
    market,
    ms,
    rates,
    vision_lines,
    write_download,
    write_freqtrade,
    write_tidy,
    write_trades,
    write_vision,
)

HOUR = Interval.parse("1h")
MINUTE = Interval.parse("1m")
FIRST, LAST = date(2009, 1, 1), date(2099, 12, 31)


def read(source: FileSource, interval: Interval = HOUR) -> pl.DataFrame:
    return source.candles(source.symbols(), interval, FIRST, LAST)


def test_tidy_parquet_is_read_as_it_stands(tmp_path: Path) -> None:
    btc, kpepe = market("BTC", seed=1), market("kPEPE", seed=2)
    write_tidy(tmp_path, btc, "BTC.parquet")
    write_tidy(tmp_path, kpepe, "kPEPE.parquet")
    rates().write_parquet(tmp_path / "BTC.funding.parquet")
    source = FileSource(tmp_path)
    assert source.symbols() == ("BTC", "kPEPE")
    assert source.intervals() == (HOUR,)
    assert source.span(HOUR) == (date(2024, 3, 1), date(2024, 3, 2))
    assert_frame_equal(read(source), pl.concat([btc, kpepe]).sort("timestamp", "symbol"))
    funding = source.funding(["BTC", "kPEPE"], FIRST, LAST)
    assert funding.schema == FundingTable.schema
    assert_frame_equal(funding.drop("symbol"), rates())
    assert source.set_aside().is_empty()


def test_funding_without_candles_is_told(tmp_path: Path) -> None:
    write_tidy(tmp_path, market())
    rates().write_parquet(tmp_path / "SOL.funding.parquet")
    source = FileSource(tmp_path)
    assert source.symbols() == ("BTC",)
    assert source.funding(["BTC"], FIRST, LAST).is_empty()
    assert source.notes() == ("Funding of SOL has no candles beside it and is not used.",)


def test_one_file_can_hold_many_symbols(tmp_path: Path) -> None:
    both = pl.concat([market("BTC", seed=1), market("ETH", seed=2)])
    both.write_parquet(tmp_path / "everything.parquet")
    source = FileSource(tmp_path / "everything.parquet")
    assert source.market == "files-everything"
    assert source.symbols() == ("BTC", "ETH")
    assert_frame_equal(read(source), both.sort("timestamp", "symbol"))


def test_several_intervals_share_a_folder(tmp_path: Path) -> None:
    write_tidy(tmp_path, market(interval="1h"), "BTC-1h.parquet")
    write_tidy(tmp_path, market(interval="1m"), "BTC-1m.parquet")
    write_freqtrade(tmp_path, market(interval="1d"), "BTC_USDC_USDC-1d-futures.feather")
    source = FileSource(tmp_path)
    assert [interval.name for interval in source.intervals()] == ["1m", "1h", "1d"]
    for name in ("1m", "1h", "1d"):
        assert_frame_equal(read(source, Interval.parse(name)), market(interval=name))


def test_longer_bars_are_no_source_of_shorter_ones(tmp_path: Path) -> None:
    write_tidy(tmp_path, market(interval="4h"), "BTC-4h.parquet")
    write_tidy(tmp_path, market(interval="1d"), "BTC-1d.parquet")
    with pytest.raises(InputError, match="no 1h bars here") as error:
        read(FileSource(tmp_path))
    assert "4h, 1d bars: choose with --interval 1d" in str(error.value.remedy)


@pytest.mark.parametrize(
    "name",
    [
        "BTC_USDC_USDC-1h-futures.feather",
        "BTC_USDT_USDT-1h-futures.json",
        "BTC_USDT-1h.json.gz",
        "BTC_USDT-1h-spot.feather",
    ],
)
def test_freqtrade_candles(tmp_path: Path, name: str) -> None:
    write_freqtrade(tmp_path, market(), name)
    assert_frame_equal(read(FileSource(tmp_path)), market())


def test_freqtrade_keeps_funding_in_the_column_open(tmp_path: Path) -> None:
    write_freqtrade(tmp_path, market(), "BTC_USDC_USDC-1h-futures.feather")
    stamped = rates().select(
        pl.col("timestamp").cast(pl.Datetime("ns", "UTC")).alias("date"),
        pl.col("funding_rate").alias("open"),
        *[pl.lit(0.0).alias(name) for name in ("high", "low", "close", "volume")],
    )
    stamped.write_ipc(tmp_path / "BTC_USDC_USDC-8h-funding_rate.feather")
    source = FileSource(tmp_path)
    assert_frame_equal(source.funding(["BTC"], FIRST, LAST).drop("symbol"), rates())
    assert any("column open" in note for note in source.notes())


def test_mark_prices_and_foreign_intervals_are_left_aside_openly(tmp_path: Path) -> None:
    write_freqtrade(tmp_path, market(), "BTC_USDC_USDC-1h-futures.feather")
    write_freqtrade(tmp_path, market("ETH"), "ETH_USDC_USDC-1h-mark.feather")
    write_freqtrade(tmp_path, market("ETH"), "ETH_USDC_USDC-8m-futures.json")
    source = FileSource(tmp_path)
    assert source.symbols() == ("BTC",)
    mark, eight = source.notes()
    assert "ETH_USDC_USDC-1h-mark.feather" in mark
    assert "mark prices" in mark
    assert "8m bars" in eight


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("ending", ["csv", "zip"])
def test_binance_vision(tmp_path: Path, header: bool, ending: str) -> None:
    write_vision(tmp_path, vision_lines(market("FIL"), header=header), f"FILUSDT-1h-2024-03.{ending}")
    assert_frame_equal(read(FileSource(tmp_path)), market("FIL"))


def test_binance_vision_counts_spot_in_microseconds_since_2025(tmp_path: Path) -> None:
    spot = market("FIL", start=datetime.fromisoformat("2025-02-01T00:00:00+00:00"))
    write_vision(tmp_path, vision_lines(spot, header=False, per_ms=1000), "FILUSDT-1h-2025-02.csv")
    source = FileSource(tmp_path)
    assert_frame_equal(read(source), spot)
    assert any("microseconds" in note for note in source.notes())


def test_binance_vision_months_are_parts_of_one_series(tmp_path: Path) -> None:
    whole = market("FIL", bars=72)
    write_vision(tmp_path, vision_lines(whole[:48]), "FILUSDT-1h-2024-03.csv")
    write_vision(tmp_path, vision_lines(whole[48:]), "FILUSDT-1h-2024-04.zip")
    assert_frame_equal(read(FileSource(tmp_path)), whole)
    write_vision(tmp_path, vision_lines(whole[40:45]), "FILUSDT-1h-2024-03-02.csv")
    with pytest.raises(InputError, match=r"FILUSDT-1h-2024-03-02.csv and FILUSDT-1h-2024-03.csv both hold FIL at"):
        read(FileSource(tmp_path))


def test_binance_vision_archive_beside_its_unpacked_file_is_left_aside(tmp_path: Path) -> None:
    write_vision(tmp_path, vision_lines(market("FIL")), "FILUSDT-1h-2024-03.csv")
    write_vision(tmp_path, vision_lines(market("FIL")), "FILUSDT-1h-2024-03.zip")
    source = FileSource(tmp_path)
    assert_frame_equal(read(source), market("FIL"))
    assert "stands unpacked beside it" in source.notes()[0]


def test_binance_vision_funding(tmp_path: Path) -> None:
    write_vision(tmp_path, vision_lines(market("FIL")))
    lines = [f"{ms(START) + 28_800_000 * i + 37},8,{rate}" for i, rate in enumerate(rates()["funding_rate"])]
    header = "calc_time,funding_interval_hours,last_funding_rate"
    (tmp_path / "FILUSDT-fundingRate-2024-03.csv").write_text("\n".join([header, *lines]))
    assert_frame_equal(FileSource(tmp_path).funding(["FIL"], FIRST, LAST).drop("symbol"), rates())


@pytest.mark.parametrize("half_days", [False, True])
def test_cryptodatadownload_quirks_are_put_right_and_told(tmp_path: Path, half_days: bool) -> None:
    write_download(tmp_path, download_lines(market(), seconds_below=20, half_days=half_days))
    source = FileSource(tmp_path)
    assert_frame_equal(read(source), market())
    notes = " ".join(source.notes())
    assert "20 of 48 timestamps are in seconds" in notes
    assert "newest bar stood first" in notes
    assert ("AM and PM" in notes) is half_days


def test_cryptodatadownload_without_unix_times_and_with_one_volume(tmp_path: Path) -> None:
    lines = [
        f"{datetime.fromtimestamp(row[0] / 1000).astimezone(START.tzinfo):%Y-%m-%d %I-%p},BTCUSD,"
        + ",".join(str(value) for value in row[1:])
        for row in json_rows(market())
    ]
    text = ["Created on 03-05-2024,https://www.CryptoDataDownload.com", "Date,Symbol,Open,High,Low,Close,Volume"]
    write_download(tmp_path, [*text, *reversed(lines)])
    assert_frame_equal(read(FileSource(tmp_path)), market())


def test_trades_become_bars_where_there_were_trades(tmp_path: Path) -> None:
    write_trades(tmp_path)
    source = FileSource(tmp_path)
    assert source.symbols() == ("XRP-ETH",)
    assert source.intervals() == INTERVALS
    bars = read(source, MINUTE)
    assert bars.schema == CandleTable.schema
    assert bars.drop("symbol").rows() == [
        (START, 10.0, 12.0, 9.0, 9.0, 6.0),
        (START + timedelta(minutes=2), 11.0, 11.0, 11.0, 11.0, 4.0),
    ]
    assert read(source)["volume"].to_list() == [10.0]
    assert any("made of trades" in note for note in source.notes())


def test_candles_go_before_trades(tmp_path: Path) -> None:
    write_trades(tmp_path, "BTC_USDT-trades.json.gz")
    write_freqtrade(tmp_path, market(), "BTC_USDT-1h.json")
    source = FileSource(tmp_path)
    assert_frame_equal(read(source), market())
    assert read(source, MINUTE).height == 2


def test_hyperliquid_frames(tmp_path: Path) -> None:
    def trade(coin: str, px: str, sz: str, after_ms: int, tid: int) -> dict[str, object]:
        return {"coin": coin, "side": "B", "px": px, "sz": sz, "time": ms(START) + after_ms, "hash": "0x0", "tid": tid}

    first = [trade("BTC", "100.0", "0.5", 5_000, 1), trade("kPEPE", "0.01", "9", 6_000, 2)]
    again = [trade("BTC", "100.0", "0.5", 5_000, 1), trade("BTC", "99.0", "0.25", 1_000, 3)]
    frames = [
        {"channel": "subscriptionResponse", "data": {}},
        {"channel": "trades", "data": first},
        {"channel": "pong"},
        {"channel": "trades", "data": again},
    ]
    (tmp_path / "frames.jsonl").write_text("\n".join(json.dumps(frame) for frame in frames))
    source = FileSource(tmp_path)
    assert source.symbols() == ("BTC", "kPEPE")
    bars = read(source, MINUTE)
    assert bars.rows() == [
        ("BTC", START, 99.0, 100.0, 99.0, 100.0, 0.75),
        ("kPEPE", START, 0.01, 0.01, 0.01, 0.01, 9.0),
    ]
    notes = " ".join(source.notes())
    assert "1 trades came twice" in notes
    assert "order of time" in notes
    assert "1 pong frames" in notes


@pytest.mark.parametrize(
    ("pair", "symbol"),
    [
        ("BTC/USDT", "BTC"),
        ("BTC_USDC_USDC", "BTC"),
        ("BTC_USDC:USDC", "BTC"),
        ("BTCUSDT", "BTC"),
        ("BTCUSD", "BTC"),
        ("kPEPE_USDC_USDC", "kPEPE"),
        ("1000PEPEUSDT", "1000PEPE"),
        ("XRP/ETH", "XRP-ETH"),
        ("UNITTEST_BTC", "UNITTEST-BTC"),
        ("ETHBTC", "ETHBTC"),
        ("BNBUSD", "BNB"),
        ("USDT", "USDT"),
    ],
)
def test_symbol_rule(pair: str, symbol: str) -> None:
    assert symbol_of_pair(pair) == symbol


def test_binance_vision_knows_its_own_quotes(tmp_path: Path) -> None:
    write_vision(tmp_path, vision_lines(market("BTC")), "BTCBUSD-1h-2024-03.csv")
    write_vision(tmp_path, vision_lines(market("ETH")), "ETHUSD_PERP-1h-2024-03.csv")
    assert FileSource(tmp_path).symbols() == ("BTC", "ETH")


def test_two_files_of_one_symbol_are_named(tmp_path: Path) -> None:
    write_tidy(tmp_path, market(), "BTC.parquet")
    write_freqtrade(tmp_path, market(), "BTC_USDC_USDC-1h-futures.feather")
    with pytest.raises(InputError, match=r"BTC.parquet and BTC_USDC_USDC-1h-futures.feather both hold BTC") as error:
        read(FileSource(tmp_path))
    assert "move one of them out of the folder" in str(error.value.remedy)


def test_what_is_no_market_data_is_named_and_left_alone(tmp_path: Path) -> None:
    folder, outside = tmp_path / "mine", tmp_path / "outside"
    for made in (folder, outside, folder / "inner"):
        made.mkdir()
    write_tidy(folder, market(), "BTC.parquet")
    write_tidy(outside, market("ETH"), "ETH.parquet")
    write_tidy(folder / "inner", market("SOL"), "SOL.parquet")
    write_tidy(folder, market("XRP"), ".XRP.parquet")
    (folder / "ETH.parquet").symlink_to(outside / "ETH.parquet")
    (folder / "GONE.parquet").symlink_to(folder / "nowhere.parquet")
    (folder / "README.txt").write_text("mine")
    (folder / "model.pkl").write_bytes(b"\x80\x04N.")
    source = FileSource(folder)
    assert source.symbols() == ("BTC",)
    notes = {note.split(" was left aside: ")[0]: note for note in source.notes()}
    assert set(notes) == {".XRP.parquet", "ETH.parquet", "GONE.parquet", "README.txt", "inner", "model.pkl"}
    assert "leads out of the folder" in notes["ETH.parquet"]
    assert "not entered" in notes["inner"]


def test_market_names(tmp_path: Path) -> None:
    folder = tmp_path / "My Binance (1h)"
    folder.mkdir()
    write_tidy(folder, market())
    assert FileSource(folder).market == "files-my-binance-1h"
    assert FileSource(folder / "BTC.parquet").market == "files-btc"
    assert FileSource(folder, market="mine").market == "mine"
    with pytest.raises(InputError, match="cannot name a market"):
        FileSource(folder, market="../mine")


def test_bars_that_had_not_closed_are_set_aside_as_forming(tmp_path: Path) -> None:
    write_tidy(tmp_path, market(bars=48))
    source = FileSource(tmp_path, as_of=START + timedelta(hours=46, minutes=30))
    assert read(source).height == 46
    assert source.set_aside()["reason"].to_list() == ["forming", "forming"]
    assert source.span(HOUR) == (date(2024, 3, 1), date(2024, 3, 1))
    elsewhere = (START + timedelta(hours=46, minutes=30)).astimezone(timezone(timedelta(hours=-5)))
    assert read(FileSource(tmp_path, as_of=elsewhere)).height == 46
    with pytest.raises(InputError, match="time zone"):
        FileSource(tmp_path, as_of=START.replace(tzinfo=None))


def test_questions_that_the_files_cannot_answer(tmp_path: Path) -> None:
    write_tidy(tmp_path, market())
    source = FileSource(tmp_path)
    with pytest.raises(InputError, match="no symbol 'BTS'") as error:
        source.candles(["BTS"], HOUR, FIRST, LAST)
    assert "BTC" in str(error.value.remedy)
    assert source.candles(["BTC"], HOUR, date(2020, 1, 1), date(2020, 1, 2)).schema == CandleTable.schema
    assert source.candles(["BTC"], HOUR, date(2024, 3, 2), date(2024, 3, 2)).height == 24


def test_a_source_describes_what_it_was_asked_for(tmp_path: Path) -> None:
    write_tidy(tmp_path, market())
    described = FileSource(tmp_path, repair=True).describe()
    assert json.loads(json.dumps(described)) == described
    assert described["kind"] == "files"
    assert described == FileSource(tmp_path, repair=True, as_of=START + timedelta(days=400)).describe()
    assert described["files"][0]["name"] == "BTC.parquet"
