"""Joined days: whoever reads, asks or imports sees them as they were, to the bit, whatever kills the joining."""

import shutil
import signal
import struct
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market import migration
from quant_organism.market.compaction import compact, find_spans
from quant_organism.market.joined import join_days, split_days
from quant_organism.market.lake import Lake
from quant_organism.market.query import ask, connect
from quant_organism.market.stored import encode
from quant_organism.market.table import Table
from quant_organism.market.tables import TABLES, CandleTable, FundingTable, SentimentTable
from quant_organism.resilience.objects import object_folder
from quant_organism_tests.market.frames import candles

DAY = date(2024, 1, 20)
WHERE = {"market": "m", "interval": "1h"}
KILLED = """
import os, signal, sys
from pathlib import Path
from quant_organism.market.compaction import compact

left = [int(sys.argv[2])]

def counted(original):
    def step(*args, **more):
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return original(*args, **more)
    return step

os.rename, os.unlink, os.rmdir = counted(os.rename), counted(os.unlink), counted(os.rmdir)
compact(Path(sys.argv[1]))
"""


def bits(frame: pl.DataFrame) -> list[Any]:
    """Return schema and rows, numbers as their bytes: -0.0 is not 0.0, and one NaN is not another."""
    rows = [
        tuple(struct.pack("d", value) if isinstance(value, float) else value for value in row) for row in frame.rows()
    ]
    return [frame.schema, rows]


def by_day(frame: pl.DataFrame) -> dict[date, pl.DataFrame]:
    dated = frame.with_columns(day=pl.col("timestamp").dt.date())
    return {key[0]: part for key, part in dated.partition_by("day", as_dict=True, include_key=False).items()}


def settled(day: date) -> pl.DataFrame:
    at = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
    return FundingTable.frame([("A", at, 0.0000125), ("B", at, 1 / 3)])


def mood(day: date) -> pl.DataFrame:
    return SentimentTable.frame([(datetime(day.year, day.month, day.day, tzinfo=UTC), float(day.day))])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake of 55 days from the middle of a month on, one of them without rows, one without a file."""
    lake = Lake(tmp_path / "lake")
    days = by_day(candles(["A", "B", "C"], DAY, 55))
    del days[date(2024, 2, 10)]
    days[date(2024, 2, 20)] = CandleTable.empty()
    lake.table(CandleTable).write_days(days, **WHERE)
    lake.table(FundingTable).write_days({day: settled(day) for day in days}, market="m")
    lake.table(SentimentTable).write_days({day: mood(day) for day in days}, market="m")
    return lake


def seen(lake: Lake) -> list[Any]:
    """Return what every way to read a lake shows of it."""
    answers: list[Any] = []
    for table in (CandleTable, FundingTable, SentimentTable):
        where: dict[str, Any] = WHERE if table is CandleTable else {"market": "m"}
        stored = lake.table(table)
        answers += [stored.days(**where), bits(stored.read(**where)), bits(stored.scan(**where).collect())]
        answers += [lake.days(table.dataset, **where), bits(lake.read(table.dataset, **where))]
        answers.append(
            bits(lake.scan(table.dataset, start=date(2024, 1, 30), end=date(2024, 2, 21), **where).collect())
        )
        answers += [encode(table, stored.read_day(day, **where)) for day in stored.days(**where)]
        with connect(lake.root, TABLES) as connection:
            answers.append(bits(ask(connection, f"from {table.dataset} order by all")))
    return [answers, [entry.holdings for entry in lake.markets()]]


def test_whoever_reads_sees_the_days_as_they_were(lake: Lake) -> None:
    before, told = seen(lake), find_spans(lake.root)
    done = compact(lake.root)
    assert [(span.dataset, span.first, span.last) for span in done[:3]] == [
        ("candles", date(2024, 1, 20), date(2024, 1, 31)),
        ("candles", date(2024, 2, 1), date(2024, 2, 9)),
        ("candles", date(2024, 2, 11), date(2024, 2, 29)),
    ]
    assert [span.files for span in done] == [span.files for span in told]
    assert not any(path.exists() or path.parent.exists() for span in done for path in span.files)
    assert len(list((lake.root / "candles").rglob("*.parquet"))) == 3 + 14
    assert seen(lake) == before
    assert find_spans(lake.root) == []


def test_the_same_import_changes_nothing_and_another_one_is_what_is_seen(lake: Lake) -> None:
    days = {day: lake.table(CandleTable).read_day(day, **WHERE) for day in lake.days("candles", **WHERE)}
    compact(lake.root)
    assert lake.table(CandleTable).replace_days(days, **WHERE) == []
    day = date(2024, 2, 5)
    later = days[day].with_columns(pl.col("volume") + 1 / 7)
    emptied = date(2024, 2, 6)
    changed = {day: later, emptied: CandleTable.empty()}
    stamps = lake.stamps("candles", end=DAY + timedelta(days=60), **WHERE)
    assert lake.table(CandleTable).replace_days(days | changed, **WHERE) == [day, emptied]
    assert lake.stamps("candles", end=DAY + timedelta(days=60), **WHERE) != stamps
    before = seen(lake)
    assert bits(lake.table(CandleTable).read_day(day, **WHERE)) == bits(later)
    assert lake.table(CandleTable).read_day(emptied, **WHERE).is_empty()
    assert [(span.first, span.last, len(span.files)) for span in compact(lake.root)] == [
        (date(2024, 2, 1), date(2024, 2, 9), 2)
    ]
    assert seen(lake) == before


def test_killed_at_any_step_nothing_is_lost_and_the_same_again_ends_it(lake: Lake, tmp_path: Path) -> None:
    whole = Lake(tmp_path / "whole")
    shutil.copytree(lake.root, whole.root)
    compact(whole.root)
    files = {path.relative_to(whole.root): path.read_bytes() for path in sorted(whole.root.rglob("*.parquet"))}
    before = seen(lake)
    for steps in (0, 1, 2, 14, 40, 90):
        command = [sys.executable, "-c", KILLED, str(lake.root), str(steps)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert seen(lake) == before
    compact(lake.root)
    assert seen(lake) == before
    assert {path.relative_to(lake.root): path.read_bytes() for path in sorted(lake.root.rglob("*.parquet"))} == files


def test_a_day_that_would_not_come_back_as_it_is_stays(lake: Lake) -> None:
    day = date(2024, 2, 3)
    lake.table(CandleTable).write(lake.table(CandleTable).read_day(day, **WHERE).reverse(), day=day, **WHERE)
    before = seen(lake)
    with pytest.raises(IntegrityError, match="another order"):
        compact(lake.root)
    assert seen(lake) == before


def test_a_damaged_joined_file_is_named(lake: Lake) -> None:
    compact(lake.root)
    (path,) = (lake.root / "candles/market=m/interval=1h").glob("dates=2024-02-11*/part.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IntegrityError, match="damaged") as caught:
        lake.table(CandleTable).read(**WHERE)
    assert str(path) in str(caught.value)


def test_a_program_that_knows_no_joined_days_refuses_the_lake(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    migration.migrate(lake.root)
    monkeypatch.setattr(migration, "NEWEST", 3)
    with pytest.raises(IntegrityError, match="form 4"):
        migration.migrate(lake.root)


def test_in_a_bucket_days_are_not_joined() -> None:
    with pytest.raises(InputError, match="bucket"):
        find_spans(object_folder("s3://bucket/lake", endpoint="http://127.0.0.1:9"))


PRICES = st.one_of(
    st.floats(width=64),
    st.integers(-(10**6), 10**9).map(lambda steps: steps / 100),
    st.sampled_from([0.0, -0.0, 1e300, 0.1 + 0.2, 5e-324, float("nan"), float("inf"), 2.0**53]),
)


@pytest.mark.parametrize("table", [CandleTable, FundingTable, SentimentTable])
@given(data=st.data())
def test_any_numbers_come_back_to_the_bit(table: type[Table], data: st.DataObject) -> None:
    """The law of the form: one symbol's numbers, round, odd, negative, huge or none at all, mixed at will."""
    days, floats = {}, [name for name, kind in table.schema.items() if kind == pl.Float64]
    for number in range(data.draw(st.integers(1, 3))):
        day = date(2024, 3, 1 + number)
        rows = []
        for hour in range(data.draw(st.integers(0, 4))):
            at = datetime(2024, 3, 1 + number, hour, tzinfo=UTC)
            for symbol in data.draw(st.sampled_from([["A"], ["A", "B"]])):
                keys = {name: symbol if kind == pl.String else at for name, kind in table.schema.items()}
                rows.append(keys | {name: data.draw(PRICES) for name in floats})
        if "symbol" not in table.schema:
            rows = [row for n, row in enumerate(rows) if n == 0 or row["timestamp"] != rows[n - 1]["timestamp"]]
        days[day] = table.frame(rows)
    content = join_days(table, days, {})
    back = split_days(table, content)
    for day, frame in days.items():
        assert bits(back.filter(pl.col("date") == day).drop("date")) == bits(frame)
    assert join_days(table, days, {}) == content
