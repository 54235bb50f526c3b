"""Thirty-odd layouts of other makers, each a small market written their way: read as what it is, or asked about."""

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.schema import Interval
from quant_organism_tests.market.file_examples import download_lines, json_rows, market, ms, rates, vision_lines

FIRST, LAST = date(2009, 1, 1), date(2099, 12, 31)
Row = tuple[int, float, float, float, float, float]


@dataclass(frozen=True)
class Example:
    """A file of a maker's layout, and what is to come of it: a market, or a remedy that holds some words."""

    name: str
    content: bytes | str
    symbol: str = "BTC"
    interval: str = "1h"
    columns: tuple[str, ...] = ()
    time_unit: str | None = None
    remedy: str | None = None
    note: str | None = None
    start: datetime = datetime(2024, 3, 1, tzinfo=UTC)


def rows(interval: str = "1h", start: datetime = datetime(2024, 3, 1, tzinfo=UTC)) -> list[Row]:
    return [(int(time), o, h, low, c, v) for time, o, h, low, c, v in json_rows(market(interval=interval, start=start))]


def table(header: str, line: Callable[[Row], str], made: list[Row], *, newest_first: bool = False) -> str:
    lines = [line(row) for row in made]
    return "\n".join([*([header] if header else []), *(reversed(lines) if newest_first else lines)]) + "\n"


def at(milliseconds: int, form: str) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime(form)


def prices(row: Row) -> str:
    return ",".join(str(value) for value in row[1:])


def binary(frame: pl.DataFrame, kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "parquet":
        frame.write_parquet(stream)
    else:
        frame.write_ipc(stream)
    return stream.getvalue()


HOURS, DAYS = rows(), rows("1d")
FRAME = market().drop("symbol")
MINUTE_TRADES = [(time, o) for time, o, *_ in rows("1m")]
CMC = "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp"


def packed(name: str, text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, text)
    return stream.getvalue()


READ = {
    "CryptoDataDownload": Example("Binance_BTCUSDT_1h.csv", "\r\n".join(download_lines(market())), note="newest"),
    "CryptoDataDownload without its first line": Example(
        "Binance_BTCUSDT_1h.csv", "\r\n".join(download_lines(market(), seconds_below=9)[1:]), note="9 of 48 timestamps"
    ),
    "CryptoDataDownload, days": Example(
        "Binance_BTCUSDT_d.csv", "\n".join(download_lines(market(interval="1d"))), interval="1d"
    ),
    "Yahoo": Example(
        "BTC-USD.csv",
        table(
            "Date,Open,High,Low,Close,Adj Close,Volume",
            lambda r: f"{at(r[0], '%Y-%m-%d')},{r[1]},{r[2]},{r[3]},{r[4]},{r[4]},{r[5] * r[4]!r}",
            DAYS,
        ),
        interval="1d",
        note="divided by the close",
    ),
    "yfinance with a time zone": Example(
        "BTC-USD_1h.csv",
        table(
            "Datetime,Close,High,Low,Open,Volume",
            lambda r: f"{at(r[0] - 18_000_000, '%Y-%m-%d %H:%M:%S')}-05:00,{r[4]},{r[2]},{r[3]},{r[1]},{r[5]}",
            HOURS,
        ),
    ),
    "yfinance, as it saves today: three lines of names": Example(
        "prices.csv",
        table(
            "Price,Close,High,Low,Open,Volume\nTicker" + ",BTC-USD" * 5 + "\nDate,,,,,",
            lambda r: f"{at(r[0], '%Y-%m-%d')},{r[4]},{r[2]},{r[3]},{r[1]},{r[5] * r[4]!r}",
            DAYS,
        ),
        interval="1d",
        note="divided by the close",
    ),
    "Kraken candles": Example(
        "XBTUSD_60.csv", table("", lambda r: f"{r[0] // 1000},{prices(r)},17", HOURS), note="BTC in Kraken's code"
    ),
    "Kraken, as its API writes them": Example(
        "XBTUSD_60.csv",
        table("", lambda r: f"{r[0] // 1000},{r[1]},{r[2]},{r[3]},{r[4]},{r[4]},{r[5]},17", HOURS),
        note="read as candles as Kraken",
    ),
    "Binance klines without names": Example("BTCUSDT.csv", "\n".join(vision_lines(market(), header=False))),
    "Binance klines, archive": Example("BTCUSDT-1h-2024-03.csv", "\n".join(vision_lines(market()))),
    "Binance klines, packed": Example("BTCUSDT.zip", packed("BTCUSDT.csv", "\n".join(vision_lines(market())))),
    "Coinbase": Example(
        "Coinbase_BTC-USD_1h.csv",
        table("time,low,high,open,close,volume", lambda r: f"{r[0] // 1000},{r[3]},{r[2]},{r[1]},{r[4]},{r[5]}", HOURS),
        note="count seconds",
    ),
    "Coinbase without names, said": Example(
        "BTC-USD.csv",
        table("", lambda r: f"{r[0] // 1000},{r[3]},{r[2]},{r[1]},{r[4]},{r[5]}", HOURS, newest_first=True),
        columns=("time=1", "low=2", "high=3", "open=4", "close=5", "volume=6"),
    ),
    "Bitstamp": Example(
        "bitstamp_btcusd_1h.csv",
        table(
            "timestamp,open,high,low,close,Volume_(BTC),Volume_(Currency),Weighted_Price",
            lambda r: f"{r[0] // 1000}.0,{prices(r)},9.5,1.5",
            HOURS,
        ),
    ),
    "CryptoCompare": Example(
        "BTC_USD_hourly.csv",
        table(
            "time,high,low,open,volumefrom,volumeto,close",
            lambda r: f"{r[0] // 1000},{r[2]},{r[3]},{r[1]},{r[5]},1.5,{r[4]}",
            HOURS,
        ),
    ),
    "CoinMarketCap": Example(
        "BTC_daily.csv",
        table(
            CMC,
            lambda r: (
                f'"{at(r[0], "%Y-%m-%dT%H:%M:%S.000Z")}";"x";"x";"x";2781;{r[1]};{r[2]};{r[3]};{r[4]};'
                f'{r[5] * r[4]!r};1e12;"{at(r[0] + 86_399_999, "%Y-%m-%dT%H:%M:%S.999Z")}"'
            ),
            DAYS,
            newest_first=True,
        ),
        interval="1d",
        note="divided by the close",
    ),
    "TradingView": Example(
        "BINANCE_BTCUSDT, 60.csv",
        table("time,open,high,low,close,Volume,Volume MA", lambda r: f"{r[0] // 1000},{prices(r)},3", HOURS),
    ),
    "TradingView, a perpetual": Example(
        "BYBIT_BTCUSDT.P, 60.csv",
        table("time,open,high,low,close,Volume", lambda r: f"{r[0] // 1000},{prices(r)}", HOURS),
    ),
    "TradingView, of a layout, downloaded twice": Example(
        "BITSTAMP_BTCUSD, 60_1a2b3 (1).csv",
        table("time,open,high,low,close,Volume", lambda r: f"{r[0] // 1000},{prices(r)}", HOURS),
    ),
    "Dukascopy": Example(
        "BTCUSD_1h.csv",
        table(
            "Gmt time,Open,High,Low,Close,Volume",
            lambda r: f"{at(r[0] + 3_600_000, '%d.%m.%Y %H:%M:%S.000')} GMT+0100,{prices(r)}",
            HOURS,
        ),
    ),
    "Polygon": Example(
        "2024-03-01.csv.gz",
        gzip.compress(
            table(
                "ticker,volume,open,close,high,low,window_start,transactions",
                lambda r: f"X:BTC-USD,{r[5]},{r[1]},{r[4]},{r[2]},{r[3]},{r[0] * 1_000_000},7",
                HOURS,
            ).encode()
        ),
        note="nanoseconds",
    ),
    "Stooq": Example(
        "btcusd_h.txt",
        table(
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
            lambda r: f"BTCUSD,60,{at(r[0], '%Y%m%d')},{at(r[0], '%H%M%S')},{prices(r)},0",
            HOURS,
        ),
        note="read as UTC",
    ),
    "MetaTrader, its volume said": Example(
        "BTCUSD_H1.csv",
        table(
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
            lambda r: f"{at(r[0], '%Y.%m.%d')}\t{at(r[0], '%H:%M:%S')}\t" + prices(r).replace(",", "\t") + "\t0\t1",
            HOURS,
        ),
        columns=("volume=<TICKVOL>",),
    ),
    "OKX swaps, their volume said": Example(
        "BTC-USDT-SWAP_1H.csv",
        table(
            "ts,o,h,l,c,vol,volCcy,volCcyQuote,confirm",
            lambda r: f"{r[0]},{r[1]},{r[2]},{r[3]},{r[4]},99,{r[5]},1.5,1",
            HOURS,
        ),
        columns=("volume=volCcy",),
    ),
    "Bybit": Example(
        "bybit.csv",
        table("startTime,symbol,openPrice,highPrice,lowPrice,closePrice,volume,turnover",
              lambda r: f"{r[0]},BTCUSDT,{prices(r)},5", HOURS, newest_first=True),
        note="newest row stood first",
    ),
    "Gate, in a zone": Example(
        "BTC_USDT.csv",
        table("Open Time,Open,High,Low,Close,Volume", lambda r: f"{at(r[0], '%Y-%m-%dT%H:%M:%S')}Z,{prices(r)}", HOURS),
    ),
    "pandas index": Example("BTC-USDT_1h.csv", table(",open,high,low,close,volume",
        lambda r: f"{at(r[0], '%Y-%m-%d %H:%M:%S')}+00:00,{prices(r)}", HOURS)),
    "pandas index in Parquet": Example(
        "ADAUSDT_1h.parquet", binary(FRAME.rename({"timestamp": "__index_level_0__"}), "parquet"), symbol="ADA"
    ),
    "tidy Parquet of a pair and an interval": Example("ADAUSDT_1h.parquet", binary(FRAME, "parquet"), symbol="ADA"),
    "seconds in Parquet": Example(
        "BTC.parquet",
        binary(FRAME.with_columns(pl.col("timestamp").dt.epoch("ms") // 1000), "parquet"),
        note="count seconds",
    ),
    "microseconds, capital letters, feather": Example(
        "BTCUSDT.feather",
        binary(
            FRAME.with_columns(pl.col("timestamp").dt.epoch("us")).rename(str.upper).select(
                "VOLUME", "CLOSE", "LOW", "HIGH", "OPEN", "TIMESTAMP"
            ),
            "feather",
        ),
        note="count microseconds",
    ),
    "text in Parquet": Example(
        "BTC.parquet", binary(FRAME.with_columns(pl.col("timestamp").dt.to_string()), "parquet")
    ),
    "Investing.com": Example(
        "BTC_USD.csv",
        table(
            '"Date","Price","Open","High","Low","Vol.","Change %"',
            lambda r: f'"{at(r[0], "%m/%d/%Y")}","{r[4]}","{r[1]}","{r[2]}","{r[3]}","{r[5]}","1%"',
            DAYS,
            newest_first=True,
        ),
        interval="1d",
        note="month first",
    ),
    "dates with names of months": Example(
        "BTC-USD.csv",
        table("Date,Open,High,Low,Close,Volume", lambda r: f'"{at(r[0], "%b %d, %Y")}",{prices(r)}', DAYS),
        interval="1d",
    ),
    "dates that were said": Example(
        "BTC-USD.csv",
        table("Date,Open,High,Low,Close,Volume", lambda r: f"{at(r[0], '%d/%m/%Y')},{prices(r)}", DAYS[:10]),
        interval="1d",
        time_unit="%d/%m/%Y",
    ),
}  # fmt: skip

ASKED = {
    "day and month": Example(
        "BTC-USD.csv",
        table("Date,Open,High,Low,Close,Volume", lambda r: f"{at(r[0], '%d/%m/%Y')},{prices(r)}", DAYS[:10]),
        remedy="--time-unit '%d/%m/%Y' or --time-unit '%m/%d/%Y'",
    ),
    "OKX volumes": Example(
        "BTC-USDT-SWAP.csv",
        table("ts,o,h,l,c,vol,volCcy,volCcyQuote,confirm", lambda r: f"{r[0]},{prices(r)},1,1,1", HOURS),
        remedy="--columns volume=vol; it must count base units",
    ),
    "Huobi volumes": Example(
        "btcusdt.csv",
        table("time,open,close,low,high,amount,vol,count", lambda r: f"{r[0]},{r[1]},{r[4]},{r[3]},{r[2]},9,9,1",
              HOURS),
        remedy="--columns volume=",
    ),
    "an order of prices that the numbers deny": Example(
        "BTC-USD.csv",
        table("", lambda r: f"{r[0] // 1000},{r[3]},{r[2]},{r[1]},{r[4]},{r[5]}", HOURS),
        remedy="--columns time=1,low=2,high=3,open=4,close=5,volume=6",
    ),
    "columns without names in a number that nobody has": Example(
        "BTC-USD.csv", table("", lambda r: f"{r[0]},{prices(r)},1,1,1", HOURS), remedy="by number, such as --columns"
    ),
    "no volume": Example(
        "BTC-USD.csv",
        table("time,open,high,low,close", lambda r: f"{r[0]},{r[1]},{r[2]},{r[3]},{r[4]}", HOURS),
        remedy="export the file again with its volume",
    ),
    "a volume of another name": Example(
        "BTC-USD.csv",
        table("time,open,high,low,close,traded", lambda r: f"{r[0]},{prices(r)}", HOURS),
        remedy="--columns volume=COLUMN",
    ),
    "several assets side by side": Example(
        "prices.csv",
        table(
            "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\nTicker"
            + ",BTC-USD,ETH-USD" * 5
            + "\nDate,,,,,,,,,,",
            lambda r: f"{at(r[0], '%Y-%m-%d')},{r[4]},{r[4]},{r[2]},{r[2]},{r[3]},{r[3]},{r[1]},{r[1]},{r[5]},{r[5]}",
            DAYS,
        ),
        remedy="save one file for each",
    ),
    "text that is no UTF-8": Example(
        "BTC-USD.csv",
        table("time,open,high,low,close,volume", lambda r: f"{r[0]},{prices(r)}", HOURS).encode("utf-16"),
        remedy="save it as UTF-8",
    ),
    "two times that differ": Example(
        "BTC-USD.csv",
        table("date,timestamp,open,high,low,close,volume", lambda r: f"{r[0]},{r[0] + 60_000},{prices(r)}", HOURS),
        remedy="--columns time=date",
    ),
    "a name without a symbol": Example(
        "my best market ever.csv",
        table("time,open,high,low,close,volume", lambda r: f"{r[0]},{prices(r)}", HOURS),
        remedy="such as BTC-USD.csv, or point to a column: --columns symbol=COLUMN",
    ),
    "single prices (CoinGecko)": Example(
        "btc-usd-max.csv",
        table("snapped_at,price,market_cap,total_volume", lambda r: f"{at(r[0], '%Y-%m-%d')},{r[4]},1,{r[5]}", DAYS),
        remedy="--columns",
    ),
    "a sheet": Example("BTC.xlsx", b"PK\x03\x04", remedy="point to a folder or a file of"),
    "a decimal comma": Example(
        "BTC-EUR.csv",
        table("time;open;high;low;close;volume", lambda r: f"{r[0]};" + prices(r).replace(",", ";").replace(".", ","),
              HOURS),
        remedy="put a readable value there",
    ),
    "an unknown column said": Example(
        "BTC-USD.csv", table("time,open,high,low,close,volume", lambda r: f"{r[0]},{prices(r)}", HOURS),
        columns=("close=Last",), remedy="name a column as the file writes it",
    ),
    "an unknown field said": Example("BTC-USD.csv", "a,b\n1,2\n", columns=("price per coin=b",), remedy="FIELD=COLUMN"),
    "an unknown unit": Example("BTC-USD.csv", "a,b\n1,2\n", time_unit="fortnights", remedy="use one of s, ms, us, ns"),
}  # fmt: skip


def source_of(example: Example, folder: Path) -> FileSource:
    path = folder / example.name
    path.write_bytes(example.content.encode() if isinstance(example.content, str) else example.content)
    return FileSource(path, columns=example.columns, time_unit=example.time_unit)


@pytest.mark.parametrize("example", READ.values(), ids=READ.keys())
def test_a_maker_is_read(tmp_path: Path, example: Example) -> None:
    source = source_of(example, tmp_path)
    assert source.symbols() == (example.symbol,)
    assert [interval.name for interval in source.intervals()] == [example.interval]
    bars = source.candles(source.symbols(), Interval.parse(example.interval), FIRST, LAST)
    expected = market(example.symbol, interval=example.interval, start=example.start)
    assert_frame_equal(bars, expected[: bars.height], rel_tol=1e-15)
    assert bars.height == (10 if example.time_unit else 48)
    assert example.note is None or any(example.note in note for note in source.notes())


@pytest.mark.parametrize("example", ASKED.values(), ids=ASKED.keys())
def test_what_is_not_clear_is_asked(tmp_path: Path, example: Example) -> None:
    def read() -> None:
        source = source_of(example, tmp_path)
        source.candles(source.symbols(), source.intervals()[0], FIRST, LAST)

    with pytest.raises(InputError) as error:
        read()
    assert example.remedy is not None
    assert example.remedy in str(error.value.remedy) + error.value.what
    assert error.value.where


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    lines = [
        '"Date","Price","Open","High","Low","Vol.","Change %"',
        '"03/14/2024","71,387.1","1,999.50","73,116.8","998.4","106.5K","-2.31%"',
        '"03/13/2024","73,072.0","71,465","73,637.5","71,338.4","1.25M","2.25%"',
        '"03/12/2024","71,470.2","72,078.7","72,900","68,845","950","-0.84%"',
    ]
    (tmp_path / "BTC_USD Bitfinex Historical Data.csv").write_text("\n".join(lines))
    source = FileSource(tmp_path / "BTC_USD Bitfinex Historical Data.csv")
    bars = source.candles(source.symbols(), Interval.parse("1d"), FIRST, LAST)
    assert bars["open"].to_list() == [72078.7, 71465.0, 1999.5]
    assert bars["close"].to_list() == [71470.2, 73072.0, 71387.1]
    assert bars["volume"].to_list() == [950.0, 1_250_000.0, 106_500.0]
    assert any("K, M or B" in note for note in source.notes())


def test_a_comma_that_may_be_the_decimal_one_is_no_number(tmp_path: Path) -> None:
    line = "1709251200000;1,234;1,240;1,230;1,235;7"
    (tmp_path / "BTC-USD.csv").write_text(f"time;open;high;low;close;volume\n{line}\n")
    with pytest.raises(InputError, match="'1,234', which is no number"):
        FileSource(tmp_path / "BTC-USD.csv").candles(["BTC"], Interval.parse("1d"), FIRST, LAST)


TRADES = {
    "Kraken": ("XBTUSD.csv", "", lambda t, p: f"{t / 1000:.4f},{p},2.0"),
    "Bybit": (
        "BTCUSDT2024.csv",
        "timestamp,symbol,side,size,price",
        lambda t, p: f"{t / 1000},BTCUSDT,Buy,2.0,{p}",
    ),
    "Binance futures": (
        "BTCUSDT-trades-2024-03.csv",
        "id,price,qty,quote_qty,time,is_buyer_maker",
        lambda t, p: f"{t},{p},2.0,1,{t},true",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "header", "line"), TRADES.values(), ids=TRADES.keys())
def test_trades_of_makers_become_bars(
    tmp_path: Path, name: str, header: str, line: Callable[[int, float], str]
) -> None:
    lines = [line(time, price) for time, price in MINUTE_TRADES]
    (tmp_path / name).write_text("\n".join([*([header] if header else []), *lines]))
    source = FileSource(tmp_path / name)
    bars = source.candles(["BTC"], Interval.parse("1h"), FIRST, LAST)
    assert bars["open"].to_list() == [MINUTE_TRADES[0][1]]
    assert bars["volume"].to_list() == [2.0 * len(MINUTE_TRADES)]


def test_funding_of_a_maker(tmp_path: Path) -> None:
    settled = [(ms(when), rate) for when, rate in rates().iter_rows()]
    lines = [f"BTC-USDT-SWAP,{rate},{time}" for time, rate in settled]
    (tmp_path / "funding.csv").write_text("\n".join(["instId,fundingRate,fundingTime", *lines]))
    (tmp_path / "BTC-USDT.csv").write_text(
        table("time,open,high,low,close,volume", lambda r: f"{r[0]},{prices(r)}", HOURS)
    )
    assert_frame_equal(FileSource(tmp_path).funding(["BTC"], FIRST, LAST).drop("symbol"), rates())
