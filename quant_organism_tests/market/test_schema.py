"""Intervals divide a day; names and columns are checked where data come in."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.market.schema import (
    MS_PER_DAY,
    Interval,
    check_market_id,
    choose_symbols,
    day_of,
    day_start_ms,
    format_ms,
)
from quant_organism.market.table import check_frame
from quant_organism.market.tables import CandleTable

NAMES = ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d")


@pytest.mark.parametrize("name", NAMES)
def test_a_day_holds_a_whole_number_of_bars(name: str) -> None:
    interval = Interval.parse(name)
    assert interval.bars_per_day * interval.milliseconds == MS_PER_DAY
    assert interval.bars_per_day * interval.hours == 24
    assert str(interval) == name


def test_intervals_sort_by_length() -> None:
    assert [interval.name for interval in sorted(map(Interval.parse, reversed(NAMES)))] == list(NAMES)


@pytest.mark.parametrize("name", ["", "1H", "60m", "7m", "1w", "hour"])
def test_other_intervals_are_refused_with_the_list(name: str) -> None:
    with pytest.raises(InputError, match="use one of 1m, 5m"):
        Interval.parse(name)


@given(st.dates(min_value=date(1970, 1, 1)))
def test_a_day_begins_at_its_midnight(day: date) -> None:
    start = day_start_ms(day)
    assert day_of(start) == day_of(start + MS_PER_DAY - 1) == day
    assert format_ms(start) == f"{day.isoformat()} 00:00 UTC"


@pytest.mark.parametrize("market", ["world-demo-1a2b3c", "files-hl_perp_1h", "_x", "a.b"])
def test_a_market_id_names_a_folder(market: str) -> None:
    assert check_market_id(market) == market


def test_columns_come_in_the_order_of_the_schema() -> None:
    shuffled = CandleTable.empty().select(reversed(CandleTable.schema.names()))
    assert check_frame(shuffled, CandleTable.schema, where="here").columns == CandleTable.schema.names()


def test_every_wrong_column_is_named() -> None:
    frame = CandleTable.empty().drop("low").with_columns(pl.col("open").cast(pl.Int64), extra=1)
    with pytest.raises(InputError, match=r"here: .*open is Int64, expected Float64; low is missing; extra is not"):
        check_frame(frame, CandleTable.schema, where="here")


def test_symbols_are_sorted_and_taken_once() -> None:
    assert choose_symbols(["B", "A", "B"], ["A", "B", "C"], where="here") == ("A", "B")
    assert choose_symbols(None, ["B", "A"], where="here") == ("A", "B")


@pytest.mark.parametrize(
    ("wanted", "remedy"), [("btc", "nearest: BTC"), ("kPEP", "nearest: kPEPE"), ("zzz", r"known: BTC, ETH, kPEPE$")]
)
def test_an_unknown_symbol_meets_near_names(wanted: str, remedy: str) -> None:
    with pytest.raises(InputError, match=f"no symbol '{wanted}'") as caught:
        choose_symbols(["BTC", wanted], ["kPEPE", "ETH", "BTC"], where="here")
    assert caught.match(remedy)


def test_no_symbols_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        choose_symbols([], ["A"], where="here")
