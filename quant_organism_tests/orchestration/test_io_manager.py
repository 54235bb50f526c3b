"""Frames of assets in the lake, as Dagster reads and writes them."""

from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from quant_organism.errors import InputError
from quant_organism.market.lake import Lake
from quant_organism.orchestration.io_manager import LakeIOManager
from quant_organism.orchestration.partitions import DAILY, partition_key
from quant_organism.orchestration.resources import LakeResource, MarketResource

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
WEEK = dg.WeeklyPartitionsDefinition(start_date="2024-01-01")


@dg.asset(partitions_def=DAILY)
def numbers(context: dg.AssetExecutionContext) -> pl.DataFrame:
    return pl.DataFrame({"day": [context.partition_key], "value": [context.partition_key[-1]]})


@dg.asset(partitions_def=DAILY)
def of_the_day(numbers: pl.DataFrame) -> pl.DataFrame:
    return numbers


@dg.asset
def of_all_days(context: dg.AssetExecutionContext, numbers: pl.DataFrame) -> None:
    context.add_output_metadata({"days": numbers["day"].to_list()})


@pytest.fixture
def resources(tmp_path: Path) -> dict[str, object]:
    lake, market = LakeResource(folder=str(tmp_path)), MarketResource(world="null")
    return {"io_manager": LakeIOManager(lake=lake, market=market), "lake": lake, "market": market}


def test_a_partition_is_a_file_of_the_market_and_interval_at_hand(tmp_path: Path, resources: dict[str, object]) -> None:
    result = dg.materialize([numbers], partition_key=DAYS[0], resources=resources)
    market = MarketResource(world="null").id
    path = tmp_path / "numbers" / f"market={market}" / "interval=1h" / "date=2024-01-01" / "part.parquet"
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["stored at"].value == str(path)
    assert event.materialization.metadata["rows"].value == 1
    assert pl.read_parquet(path, hive_partitioning=False)["day"].to_list() == [DAYS[0]]


def test_the_next_asset_reads_the_partition_of_its_own_day(tmp_path: Path, resources: dict[str, object]) -> None:
    for day in DAYS:
        dg.materialize([numbers, of_the_day], partition_key=day, resources=resources)
    lake, market = Lake(tmp_path), MarketResource(world="null").id
    found = lake.read("of_the_day", market=market, interval="1h", start=date(2024, 1, 2), end=date(2024, 1, 2))
    assert found["day"].to_list() == [DAYS[1]]


def test_an_asset_without_partitions_reads_all_days(resources: dict[str, object]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for day in DAYS:
            dg.materialize([numbers], partition_key=day, resources=resources, instance=instance)
        result = dg.materialize([numbers, of_all_days], selection=[of_all_days], resources=resources, instance=instance)
        (event,) = result.get_asset_materialization_events()
        assert event.materialization.metadata["days"].value == DAYS


@pytest.mark.parametrize("day", [date(2014, 12, 31), date(2999, 1, 1)])
def test_there_is_no_partition_before_the_first_day_nor_after_the_last_complete_one(day: date) -> None:
    with pytest.raises(InputError, match=str(day)):
        partition_key(day)
