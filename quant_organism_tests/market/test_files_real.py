"""Real data in every format: all of it imports, and its documented defects are met openly."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.schema import Interval

FIRST, LAST = date(2009, 1, 1), date(2099, 12, 31)
HOUR = Interval.parse("1h")

# folder -> interval, symbols, bars, settlements
SOUND = {
    "hl_perp_1h": ("1h", 38, 230_076, 474_726),
    "hl_perp_5m": ("5m", 8, 180_669, 0),
    "binance_perp_1h": ("1h", 14, 293_408, 13_230),
    "binance_perp_1h_long": ("1h", 2, 98_520, 12_310),
    "binance_perp_1m_2025": ("1m", 6, 236_314, 1_524),
    "binance_perp_1m_months": ("1m", 1, 689_760, 0),
    "binance_spot_1h": ("1h", 2, 129_740, 0),
    "raw/binance_vision_csv": ("1m", 1, 40_320, 0),
    "raw/freqtrade_feather_hyperliquid": ("1h", 2, 12_938, 34_908),
    "raw/freqtrade_json": ("1h", 1, 100, 91),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_sets_import_strictly(shared_market: Path, name: str) -> None:
    interval, symbols, bars, settlements = SOUND[name]
    source = FileSource(shared_market / name)
    candles = source.candles(source.symbols(), Interval.parse(interval), FIRST, LAST)
    funding = source.funding(source.symbols(), FIRST, LAST)
    assert (candles["symbol"].n_unique(), candles.height, funding.height) == (symbols, bars, settlements)
    assert source.set_aside().is_empty()


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("gemini_spot_1h", "BTC.parquet, row 1, "),
        ("raw/cryptodatadownload_csv/gemini_BTCUSD_1hr.csv", "gemini_BTCUSD_1hr.csv, line 45827, "),
    ],
)
def test_geminis_bar_with_a_price_of_zero_is_named_and_set_aside(shared_market: Path, name: str, place: str) -> None:
    with pytest.raises(InputError, match="every price must be above 0") as error:
        FileSource(shared_market / name).span(HOUR)
    assert f"{place}symbol BTC, 2015-10-08 13:00 UTC" in str(error.value.where)
    source = FileSource(shared_market / name, repair=True)
    candles = source.candles(["BTC"], HOUR, FIRST, LAST)
    assert candles["timestamp"].min() == datetime(2015, 10, 8, 14, tzinfo=UTC)
    assert source.set_aside().select("symbol", "timestamp", "reason").rows() == [
        ("BTC", datetime(2015, 10, 8, 13, tzinfo=UTC), "not_positive")
    ]


def test_the_downloaded_csv_and_the_tidy_file_hold_the_same_bars(shared_market: Path) -> None:
    csv = FileSource(shared_market / "raw/cryptodatadownload_csv/gemini_BTCUSD_1hr.csv", repair=True)
    tidy = FileSource(shared_market / "gemini_spot_1h", repair=True)
    last = date(2020, 12, 29)  # the CSV ends with the first bar of the day after
    # The tidy file was made with a parser that misses the nearest double of a few numbers by one bit.
    bars = [source.candles(["BTC"], HOUR, FIRST, last) for source in (csv, tidy)]
    assert_frame_equal(*bars, rel_tol=1e-15, abs_tol=0.0)
    notes = " ".join(csv.notes())
    assert "23830 of 45825 timestamps are in seconds" in notes
    assert "newest bar stood first" in notes


def test_two_venues_in_one_folder_are_told_apart_by_the_person(shared_market: Path) -> None:
    folder = shared_market / "raw/cryptodatadownload_csv"
    with pytest.raises(InputError, match=r"BTCUSDT_Binance_futures_data_hour.csv and gemini_BTCUSD_1hr.csv both hold"):
        FileSource(folder, repair=True).span(HOUR)
    futures = FileSource(folder / "BTCUSDT_Binance_futures_data_hour.csv")
    assert futures.candles(["BTC"], HOUR, FIRST, LAST).height == 3_599


def test_freqtrade_and_tidy_files_of_one_venue_agree(shared_market: Path) -> None:
    freqtrade = FileSource(shared_market / "raw/freqtrade_feather_hyperliquid")
    tidy = FileSource(shared_market / "hl_perp_1h")
    both = ["BTC", "ETH"]
    assert freqtrade.candles(both, HOUR, FIRST, LAST).equals(tidy.candles(both, HOUR, FIRST, LAST))
    assert freqtrade.funding(both, FIRST, LAST).equals(tidy.funding(both, FIRST, LAST))
    assert sum("mark prices" in note for note in freqtrade.notes()) == 2


def test_freqtrades_test_data(shared_market: Path) -> None:
    source = FileSource(shared_market / "raw/freqtrade_json")
    assert source.symbols() == ("UNITTEST-BTC", "XRP")
    minutes = source.candles(["UNITTEST-BTC"], Interval.parse("1m"), FIRST, LAST)
    assert minutes.height == 13_681
    assert any("UNITTEST_BTC-8m.json.gz was left aside: 8m bars" in note for note in source.notes())


def test_recorded_trades_become_bars(shared_market: Path) -> None:
    source = FileSource(shared_market / "raw/freqtrade_trades")
    minutes = source.candles(["XRP-ETH"], Interval.parse("1m"), FIRST, LAST)
    hours = source.candles(["XRP-ETH"], HOUR, FIRST, LAST)
    assert (minutes.height, hours.height) == (2_469, 60)
    assert minutes["volume"].sum() == pytest.approx(hours["volume"].sum())
    assert hours["high"].max() == minutes["high"].max()


def test_recorded_frames_become_bars(shared_market: Path) -> None:
    source = FileSource(shared_market / "raw/hyperliquid_ws")
    bar = source.candles(["BTC"], Interval.parse("1m"), FIRST, LAST)
    assert bar.select("open", "high", "low", "close", "volume").rows() == [
        (63719.0, 63719.0, 63530.0, 63530.0, 0.00032)
    ]
    assert source.span(HOUR) == (date(2026, 7, 28), date(2026, 7, 28))


def test_the_folder_of_folders_says_where_to_look(shared_market: Path) -> None:
    with pytest.raises(InputError, match="no market data to read") as error:
        FileSource(shared_market)
    assert "point to a folder" in str(error.value.remedy)


def test_late_listings_keep_their_own_first_bar(shared_market: Path) -> None:
    source = FileSource(shared_market / "hl_perp_1h")
    firsts = source.candles(["BTC", "FARTCOIN"], HOUR, FIRST, LAST).group_by("symbol").agg(pl.col("timestamp").min())
    assert dict(firsts.iter_rows()) == {
        "BTC": datetime(2024, 9, 4, 11, tzinfo=UTC),
        "FARTCOIN": datetime(2024, 12, 20, 11, tzinfo=UTC),
    }
    assert source.span(HOUR) == (date(2024, 9, 4), date(2025, 5, 31))
