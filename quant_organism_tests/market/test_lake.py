"""The lake: what is written comes back, as the same bytes, and nothing else ever lies in it."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.lake import Holding, Lake
from quant_organism.market.query import ask, connect
from quant_organism.market.tables import TABLES, CandleTable, FundingTable
from quant_organism_tests.market.frames import candles

DAY = date(2024, 1, 1)
MIDNIGHT = datetime(2024, 1, 1, tzinfo=UTC)
WRITE_ONE_DAY = """
import sys
from datetime import UTC, date
from pathlib import Path
from quant_organism.market.lake import Lake
from quant_organism.market.tables import CandleTable
from quant_organism_tests.market.frames import candles
day = date(2024, 1, 1)
Lake(Path(sys.argv[1])).table(CandleTable).write(candles(["A", "B"], day, 1), market="m", interval="1h", day=day)
"""


def funding(symbol: str) -> pl.DataFrame:
    return FundingTable.frame([(symbol, MIDNIGHT, 0.0001)])


def by_day(frame: pl.DataFrame) -> dict[date, pl.DataFrame]:
    dated = frame.with_columns(day=pl.col("timestamp").dt.date())
    return {key[0]: part for key, part in dated.partition_by("day", as_dict=True, include_key=False).items()}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_a_day_comes_back_as_it_was_written(lake: Lake) -> None:
    frame = candles(["A", "B"], DAY, 1)
    path = lake.table(CandleTable).write(frame, market="m", day=DAY, interval="1h")
    assert path == lake.root / "candles/market=m/interval=1h/date=2024-01-01/part.parquet"
    assert_frame_equal(lake.table(CandleTable).read(market="m", interval="1h"), frame)
    assert_frame_equal(lake.table(CandleTable).scan(market="m", interval="1h").collect(), frame)


def test_many_days_come_back_in_their_order(lake: Lake) -> None:
    frame = candles(["A", "B"], DAY, 40)
    parts = by_day(frame)
    assert lake.table(CandleTable).write_days(dict(reversed(parts.items())), market="m", interval="1h") == 40
    assert lake.table(CandleTable).days(market="m", interval="1h") == sorted(parts)
    assert_frame_equal(lake.table(CandleTable).read(market="m", interval="1h"), frame)
    some = lake.table(CandleTable).read(market="m", interval="1h", start=date(2024, 1, 3), end=date(2024, 1, 4))
    assert_frame_equal(some, pl.concat([parts[date(2024, 1, 3)], parts[date(2024, 1, 4)]]))


def test_the_same_frame_makes_the_same_bytes_whatever_its_chunks_and_threads(lake: Lake, tmp_path: Path) -> None:
    frame = candles(["A", "B"], DAY, 1)
    one = lake.table(CandleTable).write(frame, market="one", interval="1h", day=DAY)
    two = lake.table(CandleTable).write(
        pl.concat([frame[:7], frame[7:]], rechunk=False), market="two", interval="1h", day=DAY
    )
    assert one.read_bytes() == two.read_bytes()
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    subprocess.run([sys.executable, "-c", WRITE_ONE_DAY, str(tmp_path / "other")], check=True, env=environment)
    assert (
        tmp_path / "other/candles/market=m/interval=1h/date=2024-01-01/part.parquet"
    ).read_bytes() == one.read_bytes()


def test_readers_do_not_see_what_a_killed_writer_left(lake: Lake) -> None:
    frame = candles(["A"], DAY, 1)
    path = lake.table(CandleTable).write(frame, market="m", day=DAY, interval="1h")
    (path.parent / ".writing-0123").write_bytes(b"half a file")
    (path.parent.parent / "date=2024-01-02").mkdir()
    assert lake.table(CandleTable).days(market="m", interval="1h") == [DAY]
    assert_frame_equal(lake.table(CandleTable).read(market="m", interval="1h"), frame)
    assert connect(lake.root, TABLES).execute("select count(*) from candles").fetchall() == [(24,)]


@pytest.mark.parametrize("market", ["../up", "", "A", "a/b", ".hidden", "a b", "x" * 81, "a\n"])
def test_a_market_is_never_a_path(lake: Lake, market: str) -> None:
    with pytest.raises(InputError, match="cannot name a market"):
        lake.table(CandleTable).write(candles(["A"], DAY, 1), market=market, interval="1h", day=DAY)
    assert not lake.root.exists()


def test_an_interval_is_one_of_those_known(lake: Lake) -> None:
    with pytest.raises(InputError, match="unknown bar interval"):
        lake.table(CandleTable).days(market="m", interval="../1h")


def test_a_moment_stands_for_its_day(lake: Lake) -> None:
    path = lake.table(CandleTable).write(
        candles(["A"], DAY, 1), market="m", interval="1h", day=datetime(2024, 1, 1, 5, tzinfo=UTC)
    )
    assert path.parent.name == "date=2024-01-01"


def test_nothing_there_says_what_is(lake: Lake) -> None:
    lake.table(CandleTable).write(candles(["A"], DAY, 1), market="m", day=DAY, interval="1h")
    with pytest.raises(InputError, match=r"holds no candles of market n at 1h\n.*markets: m"):
        lake.table(CandleTable).scan(market="n", interval="1h")
    with pytest.raises(InputError, match=r"from 2025-01-01 to 2025-01-02\n.*from 2024-01-01 to 2024-01-01"):
        lake.table(CandleTable).scan(market="m", interval="1h", start=date(2025, 1, 1), end=date(2025, 1, 2))


def test_a_damaged_file_is_named(lake: Lake) -> None:
    lake.table(CandleTable).write_days(by_day(candles(["A"], DAY, 3)), market="m", interval="1h")
    path = lake.root / "candles/market=m/interval=1h/date=2024-01-02/part.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IntegrityError, match=r"date=2024-01-02/part\.parquet") as caught:
        lake.table(CandleTable).read(market="m", interval="1h")
    assert "import that day again" in str(caught.value.remedy)


def test_a_file_with_other_columns_is_named(lake: Lake) -> None:
    lake.table(CandleTable).write_days(by_day(candles(["A"], DAY, 2)), market="m", interval="1h")
    path = lake.table(CandleTable).path(market="m", interval="1h", day=date(2024, 1, 2))
    pl.DataFrame({"x": [1]}).write_parquet(path)
    with pytest.raises(IntegrityError, match=r"date=2024-01-02.*symbol is missing.*x is not expected"):
        lake.table(CandleTable).read(market="m", interval="1h")


def test_markets_tell_where_they_came_from_and_what_is_held(lake: Lake) -> None:
    lake.table(CandleTable).write_days(by_day(candles(["A"], DAY, 3)), market="m", interval="4h")
    lake.table(CandleTable).write_days(by_day(candles(["A"], DAY, 2)), market="m", interval="1h")
    lake.table(FundingTable).write(funding("A"), market="m", day=DAY)
    lake.record_source("m", {"kind": "world", "seed": 7})
    lake.record_source("empty", {"kind": "files"})
    empty, held = lake.markets()
    assert (empty.market, empty.source, empty.holdings) == ("empty", {"kind": "files"}, ())
    assert held.source == {"kind": "world", "seed": 7}
    assert held.holdings == (
        Holding("candles", "1h", DAY, DAY + timedelta(days=1), 2),
        Holding("candles", "4h", DAY, DAY + timedelta(days=2), 3),
        Holding("funding", None, DAY, DAY, 1),
    )


def test_a_damaged_record_of_a_source_is_named(lake: Lake) -> None:
    lake.record_source("m", {"kind": "world"})
    (lake.root / "markets/m.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"m\.json"):
        lake.markets()


def test_an_empty_lake_has_nothing_and_is_not_made_by_looking(lake: Lake) -> None:
    assert lake.markets() == ()
    assert lake.table(CandleTable).days(market="m", interval="1h") == []
    assert connect(lake.root, TABLES).execute("show tables").fetchall() == []
    assert not lake.root.exists()


@pytest.mark.parametrize("name", ["lake", "with 'quotes'", "with [brackets]*"])
def test_queries_see_every_dataset_with_its_partitions(tmp_path: Path, name: str) -> None:
    lake = Lake(tmp_path / name)
    lake.table(CandleTable).write_days(by_day(candles(["A", "B"], DAY, 2)), market="m", interval="1h")
    lake.table(FundingTable).write(funding("A"), market="m", day=DAY)
    rows = connect(lake.root, TABLES).execute(
        "select market, interval, date, count(*) from candles group by all order by all"
    )
    assert rows.fetchall() == [("m", "1h", DAY, 48), ("m", "1h", DAY + timedelta(days=1), 48)]
    assert connect(lake.root, TABLES).execute("select * from funding").fetchall() == [("A", MIDNIGHT, 0.0001, DAY, "m")]


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_text('/etc/hostname')",
        "copy (select 1) to '../quant_organism_escape.csv'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "select * from read_csv('https://example.org/x.csv')",
    ],
)
def test_queries_reach_nothing_but_the_lake(lake: Lake, statement: str) -> None:
    lake.table(CandleTable).write(candles(["A"], DAY, 1), market="m", interval="1h", day=DAY)
    with pytest.raises(duckdb.Error):
        connect(lake.root, TABLES).execute(statement).fetchall()


def test_a_wrong_column_and_a_wrong_dataset_have_remedies_of_their_own() -> None:
    with duckdb.connect() as connection:
        connection.execute("create view bars as select 1 as close")
        assert ask(connection, "describe bars")["column_name"].to_list() == ["close"]
        for query, remedy in (("select last from bars", "describe DATASET"), ("select 1 from bar", "lake: bars")):
            with pytest.raises(InputError, match=remedy):
                ask(connection, query)
