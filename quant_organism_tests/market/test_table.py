"""A table says once what a dataset is; what does not fit is refused, by name, what is older is read all the same."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.lake import Lake
from quant_organism.market.stored import VERSION, encode
from quant_organism.market.table import BY_INTERVAL, BY_MARKET, Column, Columns, Table

DAY = date(2024, 1, 1)


class FillTable(Table, dataset="fills", partitions=BY_MARKET, written_by="tests"):
    """One fill."""

    order = Column(pl.String(), "identity of the order", key=True)
    number = Column(pl.Int64(), "number of the fill, from 0", key=True)
    price = Column(pl.Float64(), "what was paid", unit="USD")
    note = Column(pl.String(), "anything", nullable=True)
    shares = Columns({name: Column(pl.Float64(), name, optional=True) for name in ("maker", "taker")})


class NewerFillTable(FillTable, dataset="fills", partitions=BY_MARKET, written_by="tests", version=2):
    """One fill, with what it cost."""

    fee = Column(pl.Float64(), "what the venue took", unit="USD", since=2, default=0.0)


def fills(**change: Any) -> pl.DataFrame:
    columns = {"order": ["a", "a", "b"], "number": [0, 1, 0], "price": [1.0, 2.0, 3.0], "note": ["x", None, None]}
    return pl.DataFrame({**columns, **change})


def test_a_column_is_read_from_the_class_as_its_name() -> None:
    assert (FillTable.order, FillTable.price) == ("order", "price")
    assert FillTable.shares == ("maker", "taker")
    assert FillTable.schema.names() == ["order", "number", "price", "note", "maker", "taker"]
    assert FillTable.key == ("order", "number")
    assert FillTable.one_row_is() == "One fill."


def test_a_table_has_the_columns_of_the_table_it_is_made_of_then_its_own() -> None:
    assert NewerFillTable.schema.names() == [*FillTable.schema.names(), "fee"]
    assert NewerFillTable.key == FillTable.key


def test_rows_become_a_frame_by_place_or_by_name() -> None:
    by_place = FillTable.frame([("a", 0, 1.0, None, 0.5, 0.5)])
    assert by_place.schema == FillTable.schema
    assert FillTable.frame([{"order": "a", "number": 0, "price": 1.0, "maker": 0.5, "taker": 0.5}]).equals(by_place)
    assert FillTable.frame([]).schema == FillTable.empty().schema == FillTable.schema


def test_a_good_frame_is_returned_in_the_order_of_the_columns() -> None:
    shuffled = fills().select("note", "price", "number", "order")
    assert FillTable.validate(shuffled).equals(fills())


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (fills().drop("price"), "price is missing"),
        (fills(extra=1), "extra is not expected"),
        (fills(number=[0.0, 1.0, 0.0]), "number is Float64, expected Int64"),
        (fills(price=[1.0, None, None]), "values are missing: price in 2 of 3 rows"),
        (fills(number=[0, 0, 0]), "2 rows share their key with another, the first is order a, number 0"),
    ],
)
def test_what_does_not_fit_is_said(frame: pl.DataFrame, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        FillTable.validate(frame)
    assert caught.value.where == "fills"
    assert caught.value.remedy


def test_what_is_not_a_number_is_no_missing_value() -> None:
    frame = fills(price=[float("nan")] * 3)
    assert FillTable.validate(frame).equals(frame)


def test_an_attribute_of_tables_cannot_name_a_column() -> None:
    with pytest.raises(TypeError, match="schema cannot name a column"):
        type("BrokenTable", (Table,), {"schema": Column(pl.String(), "hides what every table has")})


def test_what_does_not_fit_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="price is missing"):
        Lake(tmp_path).table(FillTable).write(fills().drop("price"), market="m", day=DAY)
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_table_lies_where_it_says(tmp_path: Path) -> None:
    stored = Lake(tmp_path).table(FillTable)
    path = stored.write(fills(), market="m", day=DAY)
    assert path == tmp_path / "fills/market=m/date=2024-01-01/part.parquet" == stored.path(market="m", day=DAY)
    with pytest.raises(InputError, match="lies by market, date"):
        stored.read(market="m", interval="1h")


def test_a_table_with_a_store_of_its_own_is_not_read_by_day(tmp_path: Path) -> None:
    class EventTable(Table, dataset="events", partitions=("market",)):
        """One event."""

    with pytest.raises(TypeError, match="its own store"):
        Lake(tmp_path).table(EventTable)


def test_files_that_lack_optional_columns_lie_beside_others(tmp_path: Path) -> None:
    stored = Lake(tmp_path).table(FillTable)
    stored.write(fills(), market="m", day=DAY)
    assert stored.read(market="m").equals(fills())
    stored.write(fills(maker=[0.1, 0.2, 0.3]), market="m", day=date(2024, 1, 2))
    both = stored.read(market="m")
    assert both.columns == ["order", "number", "price", "note", "maker"]
    assert both["maker"].to_list() == [None, None, None, 0.1, 0.2, 0.3]


def test_the_version_stands_in_the_file(tmp_path: Path) -> None:
    path = Lake(tmp_path).table(NewerFillTable).write(fills(fee=0.5), market="m", day=DAY)
    assert pl.read_parquet_metadata(path)[VERSION] == "2"


def test_what_is_older_is_read_with_the_defaults_of_columns_that_came_since(tmp_path: Path) -> None:
    Lake(tmp_path).table(FillTable).write(fills(), market="m", day=DAY)
    Lake(tmp_path).table(NewerFillTable).write(fills(fee=0.5), market="m", day=date(2024, 1, 2))
    found = Lake(tmp_path).table(NewerFillTable).read(market="m")
    assert found["fee"].to_list() == [0.0, 0.0, 0.0, 0.5, 0.5, 0.5]
    assert Lake(tmp_path).table(NewerFillTable).scan(market="m").collect().equals(found)


def test_what_is_newer_is_refused_by_name(tmp_path: Path) -> None:
    Lake(tmp_path).table(NewerFillTable).write(fills(fee=0.5), market="m", day=DAY)
    with pytest.raises(
        IntegrityError, match="fills is stored in version 2, but this program knows version 1"
    ) as caught:
        Lake(tmp_path).table(FillTable).read(market="m")
    assert "date=2024-01-01" in str(caught.value.where)


def test_a_file_without_a_version_is_of_the_first(tmp_path: Path) -> None:
    class PlainTable(Table, dataset="plain", partitions=BY_INTERVAL):
        """One number."""

        x = Column(pl.Int64(), "the number")

    stored = Lake(tmp_path).table(PlainTable)
    path = stored.write(PlainTable.frame([(1,)]), market="m", interval="1h", day=DAY)
    pl.DataFrame({"x": [2]}).write_parquet(path)
    assert stored.read_day(DAY, market="m", interval="1h")["x"].to_list() == [2]


def test_the_same_rows_make_the_same_bytes() -> None:
    assert encode(FillTable, fills()) == encode(FillTable, fills().select("note", "price", "number", "order"))
