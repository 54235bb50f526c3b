"""Downloads by ccxt: paged, resumed to the same files after any interruption, without what has not closed."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quant_organism.errors import InputError
from quant_organism.market import Interval
from quant_organism.market.files import FileSource
from quant_organism.venue.download import CANDLES_PER_PAGE, DownloadPlan, download_history, open_ccxt

HOUR = Interval.parse("1h")
START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
STEP = HOUR.milliseconds


class BaseError(Exception):
    """As ccxt's own base class is called."""


BaseError.__module__ = "ccxt.base.errors"


class Recorded:
    """A venue's answers in ccxt's form: bars of hours since a listing, funding every eight; it fails when told to."""

    id = "recorded"
    has: Mapping[str, Any] = {"fetchFundingRateHistory": True}

    def __init__(self, hours: int, *, listed: int = 0, window_only: bool = False) -> None:
        self.now = START + hours * STEP + STEP // 2
        self.listed, self.window_only = START + listed * STEP, window_only
        self.answers_left = 10_000
        self.asked: list[tuple[str, str, int]] = []

    def load_markets(self) -> Mapping[str, Mapping[str, Any]]:
        swap = {"symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "swap": True, "linear": True, "active": True}
        coin = {**swap, "symbol": "BTC/USD:BTC", "quote": "USD", "linear": False}
        spot = {"symbol": "ETH/USDT", "base": "ETH", "quote": "USDT", "spot": True, "active": True}
        return {str(market["symbol"]): market for market in (coin, swap, spot)}

    def milliseconds(self) -> int:
        return self.now

    def _answer(self, what: str, symbol: str, since: int) -> None:
        if self.answers_left == 0:
            raise BaseError("429 too many requests")
        self.answers_left -= 1
        self.asked.append((what, symbol, since))

    def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> list[list[float]]:
        assert timeframe == "1h"
        self._answer("candles", symbol, since)
        first = -(-max(since, self.listed) // STEP) * STEP
        until = since + limit * STEP if self.window_only else self.now
        opens = range(first, min(self.now, until), STEP)[:limit]
        return [[at, 100.0, 102.0, 99.0, 101.0, float(at // STEP % 7)] for at in opens]

    def fetch_funding_rate_history(self, symbol: str, since: int, limit: int) -> list[Mapping[str, Any]]:
        self._answer("funding", symbol, since)
        stamps = range(-(-max(since, self.listed) // (8 * STEP)) * 8 * STEP, self.now, 8 * STEP)
        return [{"timestamp": stamp, "fundingRate": 1e-4} for stamp in stamps[:limit]]


def plan(folder: Path, *symbols: str, since: int = START) -> DownloadPlan:
    return DownloadPlan(symbols or ("BTC",), HOUR, since, folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_pages_make_files_that_the_importer_reads(tmp_path: Path) -> None:
    venue, told = Recorded(2 * CANDLES_PER_PAGE + 100), []
    files = download_history(venue, plan(tmp_path, "BTC", "ETH"), lambda *said: told.append(said))
    assert [file.name for file in files] == ["BTC-1h.parquet", "BTC.funding.parquet", "ETH-1h.parquet"]
    assert {symbol for _, symbol, _ in venue.asked} == {"BTC/USDT:USDT", "ETH/USDT"}
    source = FileSource(tmp_path)
    first, last = source.span(HOUR)
    bars = source.candles(["BTC"], HOUR, first, last)
    assert bars.height == ((last - first).days + 1) * 24
    newest = pl.read_parquet(tmp_path / "BTC-1h.parquet")["timestamp"].dt.epoch("ms")[-1]
    assert newest + STEP <= venue.now < newest + 2 * STEP  # the bar that still forms is not there
    assert source.funding(["BTC"], first, last)["funding_rate"].to_list()[:2] == [1e-4, 1e-4]
    assert told[0][:2] == ("BTC candles", 0)
    assert told[-1][1] == told[-1][2]


@pytest.mark.parametrize("answers", [1, 2, 4])
def test_interrupted_anywhere_the_same_command_comes_to_the_same_files(tmp_path: Path, answers: int) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    download_history(Recorded(2_500), plan(whole), lambda *_: None)
    venue = Recorded(2_500)
    venue.answers_left = answers
    with pytest.raises(InputError, match="429") as error:
        download_history(venue, plan(broken), lambda *_: None)
    assert "goes on where it was" in str(error.value.remedy)
    venue.answers_left = 10_000
    download_history(venue, plan(broken), lambda *_: None)
    assert contents(broken) == contents(whole)
    assert len(set(venue.asked)) == len(venue.asked)  # nothing was asked for twice


def test_a_later_download_asks_for_what_is_new_and_an_earlier_start_for_everything(tmp_path: Path) -> None:
    download_history(Recorded(500), plan(tmp_path), lambda *_: None)
    later = Recorded(600)
    download_history(later, plan(tmp_path), lambda *_: None)
    assert min(since for _, _, since in later.asked) > START + 400 * STEP
    earlier = Recorded(600, listed=-100)
    download_history(earlier, plan(tmp_path, since=START - 100 * STEP), lambda *_: None)
    assert pl.read_parquet(tmp_path / "BTC-1h.parquet").height == 700


def test_a_venue_that_answers_nothing_before_the_listing_is_asked_on(tmp_path: Path) -> None:
    venue = Recorded(4 * CANDLES_PER_PAGE, listed=2 * CANDLES_PER_PAGE + 7, window_only=True)
    download_history(venue, plan(tmp_path), lambda *_: None)
    assert pl.read_parquet(tmp_path / "BTC-1h.parquet").height == 2 * CANDLES_PER_PAGE - 7


def test_what_the_venue_does_not_have_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no market of DOGE in dollars") as error:
        download_history(Recorded(9), plan(tmp_path, "DOGE"), lambda *_: None)
    assert "BTC, ETH" in str(error.value.remedy)
    with pytest.raises(InputError, match="no 1h candles of BTC"):
        download_history(Recorded(9, listed=99), plan(tmp_path), lambda *_: None)
    assert not list(tmp_path.iterdir())


def test_without_ccxt_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(InputError, match="not installed") as error:
        open_ccxt("okx")
    assert "pip install ccxt" in str(error.value.remedy)
