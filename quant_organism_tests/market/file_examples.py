"""Small markets with invented numbers, written in the shape of each format that people keep candles in."""

import gzip
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from quant_organism.market.schema import TIMESTAMP, Interval
from quant_organism.market.tables import CandleTable

START = datetime(2024, 3, 1, tzinfo=UTC)
VALUES = ("open", "high", "low", "close", "volume")


def ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def market(
    symbol: str = "BTC", bars: int = 48, interval: str = "1h", start: datetime = START, seed: int = 7
) -> pl.DataFrame:
    """Return sound candles of one symbol; prices have three decimals, so that text files hold them exactly."""
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.004, bars))), 3)
    opened = np.concatenate([[100.0], close[:-1]])
    step = Interval.parse(interval).milliseconds
    return pl.DataFrame(
        {
            "symbol": [symbol] * bars,
            "timestamp": pl.Series(ms(start) + step * np.arange(bars), dtype=pl.Int64).cast(TIMESTAMP),
            "open": opened,
            "high": np.round(np.maximum(opened, close) + 0.2, 3),
            "low": np.round(np.minimum(opened, close) - 0.2, 3),
            "close": close,
            "volume": np.round(rng.uniform(1, 9, bars), 3),
        },
        schema=CandleTable.schema,
    )


def rates(count: int = 6, hours: int = 8, jitter_ms: int = 37) -> pl.DataFrame:
    """Return funding settlements as a venue stamps them: a little after the hour."""
    step = hours * 3_600_000
    return pl.DataFrame(
        {
            "timestamp": pl.Series([ms(START) + step * i + jitter_ms for i in range(count)]).cast(TIMESTAMP),
            "funding_rate": [round(0.0001 * (i - 2), 6) for i in range(count)],
        }
    )


def write_tidy(folder: Path, candles: pl.DataFrame, name: str = "BTC.parquet") -> Path:
    path = folder / name
    candles.drop("symbol").write_parquet(path)
    return path


def json_rows(candles: pl.DataFrame) -> list[list[float]]:
    times = candles["timestamp"].dt.epoch("ms").to_list()
    return [[time, *row] for time, row in zip(times, candles.select(VALUES).iter_rows(), strict=True)]


def write_freqtrade(folder: Path, candles: pl.DataFrame, name: str) -> Path:
    path = folder / name
    if name.endswith(".feather"):
        dates = pl.col("timestamp").cast(pl.Datetime("ns", "UTC")).alias("date")
        candles.select(dates, *VALUES).write_ipc(path)
    elif name.endswith(".json"):
        path.write_text(json.dumps(json_rows(candles)))
    else:
        path.write_bytes(gzip.compress(json.dumps(json_rows(candles)).encode()))
    return path


VISION_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def vision_lines(candles: pl.DataFrame, *, header: bool = True, per_ms: int = 1) -> list[str]:
    step = candles["timestamp"].dt.epoch("ms").diff()[1]
    lines = [
        f"{int(time) * per_ms},{o},{h},{low},{c},{v},{(int(time) + step) * per_ms - 1},{v * c:.4f},9,{v / 2},1.5,0"
        for time, o, h, low, c, v in json_rows(candles)
    ]
    return [VISION_HEADER, *lines] if header else lines


def write_vision(folder: Path, lines: Sequence[str], name: str = "FILUSDT-1h-2024-03.csv") -> Path:
    path = folder / name
    text = "\n".join(lines) + "\n"
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name.replace(".zip", ".csv"), text)
    else:
        path.write_text(text)
    return path


def download_lines(candles: pl.DataFrame, *, seconds_below: int = 0, half_days: bool = False) -> list[str]:
    """Write candles as CryptoDataDownload does, newest first; the oldest `seconds_below` bars count in seconds."""
    lines = []
    for row, (time, o, h, low, c, v) in enumerate(json_rows(candles)):
        when = datetime.fromtimestamp(time / 1000, UTC)
        date = when.strftime("%Y-%m-%d %I-%p" if half_days else "%Y-%m-%d %H:%M:%S")
        unix = int(time) // 1000 if row < seconds_below else int(time)
        lines.append(f"{unix},{date},BTC/USDT,{o},{h},{low},{c},{v},{v * c:.4f},9")
    header = "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount"
    return ["https://www.CryptoDataDownload.com", header, *reversed(lines)]


def write_download(folder: Path, lines: Sequence[str], name: str = "BTCUSDT_Somewhere_1h.csv") -> Path:
    path = folder / name
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode())
    return path


def write_trades(folder: Path, name: str = "XRP_ETH-trades.json.gz") -> Path:
    """Write four trades: three in the first minute (open 10, high 12, low 9, close 9), one in the third."""
    at = ms(START)
    trades = [
        [at + 100, "1", None, "buy", 10.0, 1.0, 10.0],
        [at + 100, "2", None, "buy", 12.0, 2.0, 24.0],
        [at + 59_999, "3", None, "sell", 9.0, 3.0, 27.0],
        [at + 120_000, "4", None, "buy", 11.0, 4.0, 44.0],
    ]
    path = folder / name
    path.write_bytes(gzip.compress(json.dumps(trades).encode()))
    return path
