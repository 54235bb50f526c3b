"""What the name of a file or a cell says of a market: its symbol, and the length of its bars."""

import re
from dataclasses import dataclass
from typing import Final

from quant_organism.market.files.table import USD_LIKE, interval_of_length, symbol_of_pair
from quant_organism.market.files.times import INTERVAL_WORD
from quant_organism.market.schema import Interval


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MINUTES: Final = {"m": 1, "h": 60, "d": 1440, "w": 10080}
_WORDS: Final = {
    "d": 1440,
    "daily": 1440,
    "day": 1440,
    "d1": 1440,
    "h": 60,
    "hourly": 60,
    "hour": 60,
    "h1": 60,
    "h4": 240,
    "minute": 1,
    "m1": 1,
    "m5": 5,
    "m15": 15,
    "m30": 30,
    "w": 10080,
    "weekly": 10080,
}
_KRAKEN_MINUTES: Final = (1, 5, 15, 30, 60, 120, 240, 480, 720, 1440)
_CONTRACTS: Final = _words("swap perp perpetual spot futures future um cm")
_NOISE: Final = _CONTRACTS | _words(
    "binance coinbase coinbasepro kraken bitstamp bitfinex bybit okx okex gemini kucoin huobi htx gate gateio mexc "
    "bitmex deribit poloniex yahoo hyperliquid coinmarketcap cmc polygon stooq tradingview dukascopy ohlc ohlcv ohlcvt "
    "candles candle candlesticks kline klines bars trades history historical prices price data export funding "
    "fundingrate rate rates utc"
)
_COINS: Final = frozenset(("BTC", "ETH", "BNB", "EUR", "GBP", "JPY", "KRW", "TRY", "BRL", "AUD"))
_SPLIT: Final = re.compile(r"[-_.,\s]+")
# A browser's number on what was downloaded twice; TradingView's mark of a chart's layout, and of perpetuals.
_AGAIN: Final = re.compile(r" ?\(\d+\)$")
_TRADINGVIEW: Final = re.compile(r"(?<=, )(\w+)_[0-9a-f]{5}$")
_PERPETUAL: Final = re.compile(r"\.P\b")
_CELL_SPLIT: Final = re.compile(r"[-_/:\s]+")
# Kraken's own codes of two coins that everybody else calls otherwise.
KRAKEN_CODES: Final = {"XBT": "BTC", "XDG": "DOGE"}


@dataclass(frozen=True)
class NameSays:
    """What a file's name says: the symbol, None where it does not tell; minutes of a bar, None where it does not."""

    symbol: str | None
    minutes: int | None

    @property
    def interval(self) -> Interval | None:
        """The interval, where the project has such bars."""
        return None if self.minutes is None else interval_of_length(self.minutes * 60_000)


def read_name(stem: str) -> NameSays:
    """Return what a file name without its ending says, such as ``Binance_BTCUSDT_d`` or ``BTC-USD``."""
    stem = _PERPETUAL.sub("", _TRADINGVIEW.sub(r"\1", _AGAIN.sub("", stem)))
    words = [word for word in _SPLIT.split(stem) if word]
    minutes: int | None = None
    kept: list[str] = []
    for at, word in enumerate(words):
        length = _minutes(word, last=at == len(words) - 1 and bool(kept))
        if length is not None and (kept or at + 1 < len(words)):
            minutes = minutes or length
        elif not word.isdigit() and word.lower() not in _NOISE:
            kept.append(word)
    return NameSays(_symbol(kept), minutes)


def symbol_of_cell(text: str) -> str:
    """Return the symbol of a pair as venues write it in a column: ``BTC-USDT-SWAP`` and ``X:BTC-USD`` are ``BTC``."""
    cell = _PERPETUAL.sub("", text.strip())
    head, colon, tail = cell.partition(":")
    if colon and not _CELL_SPLIT.search(head) and tail.upper() not in USD_LIKE:
        cell = tail
    words = [word for word in _CELL_SPLIT.split(cell) if word and word.lower() not in _CONTRACTS]
    return _symbol(words) or cell


def _minutes(word: str, *, last: bool) -> int | None:
    match = INTERVAL_WORD.fullmatch(word)
    if match is not None:
        unit = match["unit"]
        if unit == "M" or unit.lower().startswith("mo"):
            return None if unit == "M" else int(match["n"]) * 43_200
        return int(match["n"]) * _MINUTES[unit[0].lower()]
    if last and word.isdigit() and int(word) in _KRAKEN_MINUTES:
        return int(word)
    return _WORDS.get(word.lower())


def _symbol(words: list[str]) -> str | None:
    words = [word.upper() if word.islower() else word for word in words]
    if len(words) == 1:
        return symbol_of_pair(words[0])
    if len(words) in (2, 3) and words[1].upper() in USD_LIKE | _COINS:
        return symbol_of_pair("/".join(words[:2]))
    return None
