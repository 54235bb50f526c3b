"""Records lie by cycle: a day means its latest one, a plan and seed mean theirs, and none touches another's."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from quant_organism.errors import InputError
from quant_organism.market.cycles import CycleIndex, cycle_id
from quant_organism.market.lake import Lake
from quant_organism.market.query import ask, connect
from quant_organism.market.schema import Interval
from quant_organism.market.table import BY_CYCLE, Column, Table
from quant_organism.market.tables import CycleIndexTable

FIRST, SECOND = date(2024, 1, 1), date(2024, 1, 2)
WHERE = {"market": "m", "interval": "1h"}
A, B = "aaaaaaaa-seed0", "bbbbbbbb-seed1"


class FindingTable(Table, dataset="findings", partitions=BY_CYCLE, written_by="tests"):
    """One finding of a cycle."""

    value = Column(pl.Int64(), "what was found", key=True)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake on whose first day A was searched before B, and on whose second day A alone was."""
    lake = Lake(tmp_path)
    for day, cycles in ((FIRST, (A, B)), (SECOND, (A,))):
        for number, cycle in enumerate(cycles):
            index(lake).begin(day, cycle, f"plan of {cycle}", number)
            lake.table(FindingTable, cycle=cycle).write(finding(10 * day.day + number), day=day, **WHERE)
            index(lake).make_latest(day, cycle)
    return lake


def index(lake: Lake) -> CycleIndex:
    return CycleIndex(lake.root, "m", Interval.parse("1h"))


def finding(value: int) -> pl.DataFrame:
    return FindingTable.frame([(value,)])


def found(lake: Lake, cycle: str | None = None) -> list[int]:
    return lake.table(FindingTable, cycle=cycle).read(**WHERE)["value"].to_list()


def test_a_cycle_is_named_by_all_that_it_is_a_function_of() -> None:
    name = cycle_id("a" * 64, "b" * 64, 7)
    assert name == cycle_id("a" * 64, "b" * 64, 7)
    assert name.endswith("-seed7")
    assert len({name, cycle_id("c" * 64, "b" * 64, 7), cycle_id("a" * 64, "c" * 64, 7)}) == 3


def test_each_cycle_has_files_of_its_own_and_a_day_means_its_latest(lake: Lake) -> None:
    assert found(lake) == [11, 20]
    assert found(lake, A) == [10, 20]
    assert found(lake, B) == [11]
    assert lake.read("findings", **WHERE)["value"].to_list() == [11, 20]
    assert lake.table(FindingTable, cycle=B).days(**WHERE) == [FIRST]
    path = lake.table(FindingTable, cycle=A).path(day=FIRST, **WHERE)
    assert path == lake.root / "findings/market=m/interval=1h/date=2024-01-01" / f"cycle={A}" / "part.parquet"


def test_what_a_cycle_writes_again_takes_the_place_of_its_own_alone(lake: Lake) -> None:
    lake.table(FindingTable, cycle=A).write(finding(99), day=FIRST, **WHERE)
    assert found(lake, A) == [99, 20]
    assert found(lake) == [11, 20]
    index(lake).make_latest(FIRST, A)
    assert found(lake) == [99, 20]


def test_a_cycle_that_was_only_begun_does_not_hide_the_one_before(lake: Lake) -> None:
    index(lake).begin(FIRST, "cccccccc-seed0", "another plan", 0)
    assert index(lake).latest(FIRST) == B
    assert index(lake).of_plan(FIRST, "another plan", 0) == "cccccccc-seed0"
    assert found(lake) == [11, 20]
    index(lake).begin(date(2024, 1, 3), A, "plan", 0)
    assert index(lake).latest(date(2024, 1, 3)) == A  # there is no other


def test_a_plan_means_the_cycle_that_was_begun_last_by_it_and_its_seed(lake: Lake) -> None:
    plan = f"plan of {A}"
    index(lake).begin(FIRST, "a0000000-seed0", plan, 0)  # the same on other candles
    assert index(lake).of_plan(FIRST, plan, 0) == "a0000000-seed0"
    index(lake).begin(FIRST, A, plan, 0)  # and on the first ones again
    assert index(lake).of_plan(FIRST, plan, 0) == A
    assert index(lake).of_plan(FIRST, plan, 1) is None
    assert index(lake).rows(FIRST)["cycle"].to_list() == [B, "a0000000-seed0", A]
    assert index(lake).latest(FIRST) == B


def test_views_show_the_latest_of_each_day_and_beside_them_every_cycle(lake: Lake) -> None:
    views = connect(lake.root, [FindingTable, CycleIndexTable])
    latest = ask(views, "select date, cycle, value from findings order by date")
    assert latest.rows() == [(FIRST, B, 11), (SECOND, A, 20)]
    every = ask(views, "select date, cycle, value from findings_all order by date, cycle")
    assert every.rows() == [(FIRST, A, 10), (FIRST, B, 11), (SECOND, A, 20)]
    assert ask(views, "select cycle from cycle_index where latest order by date")["cycle"].to_list() == [B, A]


def test_nothing_is_written_that_no_cycle_is_named_for(lake: Lake) -> None:
    with pytest.raises(InputError, match="lies by cycle, and none is named"):
        lake.table(FindingTable).write(finding(1), day=FIRST, **WHERE)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "x" * 65])
def test_what_cannot_name_a_cycle_is_refused(name: str, lake: Lake) -> None:
    with pytest.raises(InputError, match="cannot name a cycle"):
        lake.table(FindingTable, cycle=name)


def test_a_cycle_without_the_table_is_told_from_one_that_has_it(lake: Lake) -> None:
    with pytest.raises(InputError, match="findings of market m at 1h by cycle 00000000-seed0"):
        found(lake, "00000000-seed0")
    index(lake).begin(FIRST, "cccccccc-seed0", "another plan", 0)
    index(lake).make_latest(FIRST, "cccccccc-seed0")
    assert found(lake) == [20]
    with pytest.raises(InputError, match="runs list"):
        lake.table(FindingTable).read_day(FIRST, **WHERE)
