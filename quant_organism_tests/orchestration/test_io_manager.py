"""Frames of assets in the lake, as Dagster reads and writes them."""

from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from quant_organism.errors import InputError
from quant_organism.evolution.tables import LostBatchTable, RejectedTable
from quant_organism.market.lake import Lake
from quant_organism.orchestration.partitions import DAILY, market_days, partition_key
from quant_organism.orchestration.resources import MarketResource, SearchResource
from quant_organism_tests.orchestration.stored import BEGUN, begin, stored_in

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
WEEK = dg.WeeklyPartitionsDefinition(start_date="2024-01-01")


@dg.asset(partitions_def=DAILY)
def lost_batches(context: dg.AssetExecutionContext) -> pl.DataFrame:
    return LostBatchTable.frame([(0, 0, 1, context.partition_key)])


@dg.asset(partitions_def=DAILY)
def rejected(lost_batches: pl.DataFrame) -> pl.DataFrame:
    return RejectedTable.frame([("genome", lost_batches["reason"][0], 0, 0, "kind", "detail")])


@dg.asset
def of_all_days(context: dg.AssetExecutionContext, lost_batches: pl.DataFrame) -> None:
    context.add_output_metadata({"days": lost_batches["reason"].to_list()})


def refusal(asset: dg.AssetsDefinition, resources: dict[str, object]) -> str:
    """Return why an asset's frame was not stored."""
    result = dg.materialize([asset], partition_key=DAYS[0], resources=resources, raise_on_error=False)
    failure = result.failure_data_for_node(asset.key.path[-1])
    assert failure is not None
    assert failure.error is not None
    return failure.error.message


@pytest.fixture
def resources(tmp_path: Path) -> dict[str, object]:
    return stored_in(tmp_path, DAYS)


def test_a_partition_is_a_file_of_the_market_and_interval_at_hand(tmp_path: Path, resources: dict[str, object]) -> None:
    result = dg.materialize([lost_batches], partition_key=DAYS[0], resources=resources)
    market = MarketResource(world="null").id
    folder = tmp_path / "lost_batches" / f"market={market}" / "interval=1h" / "date=2024-01-01"
    path = folder / f"cycle={BEGUN}" / "part.parquet"
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["cycle"].value == BEGUN
    assert event.materialization.metadata["stored at"].value == str(path)
    assert event.materialization.metadata["rows"].value == 1
    assert pl.read_parquet(path, hive_partitioning=False)["reason"].to_list() == [DAYS[0]]


def test_the_next_asset_reads_the_partition_of_its_own_day(tmp_path: Path, resources: dict[str, object]) -> None:
    for day in DAYS:
        dg.materialize([lost_batches, rejected], partition_key=day, resources=resources)
    lake, market = Lake(tmp_path), MarketResource(world="null").id
    found = lake.table(RejectedTable).read_day(date(2024, 1, 2), market=market, interval="1h")
    assert found["hash"].to_list() == [DAYS[1]]


def test_an_asset_without_partitions_reads_all_days(resources: dict[str, object]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for day in DAYS:
            dg.materialize([lost_batches], partition_key=day, resources=resources, instance=instance)
        result = dg.materialize(
            [lost_batches, of_all_days], selection=[of_all_days], resources=resources, instance=instance
        )
        (event,) = result.get_asset_materialization_events()
        assert event.materialization.metadata["days"].value == DAYS


def test_an_asset_that_no_table_describes_is_refused_by_name(resources: dict[str, object]) -> None:
    @dg.asset(partitions_def=DAILY)
    def undescribed() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    assert "no table describes a dataset 'undescribed'" in refusal(undescribed, resources)


def test_what_is_not_as_its_table_says_is_not_stored(tmp_path: Path, resources: dict[str, object]) -> None:
    @dg.asset(partitions_def=DAILY)
    def lost_batches() -> pl.DataFrame:
        return pl.DataFrame({"generation": [0]})

    assert "island is missing" in refusal(lost_batches, resources)
    assert not (tmp_path / "lost_batches").exists()


def test_each_plan_and_seed_has_partitions_of_its_own_on_the_same_day(
    tmp_path: Path, resources: dict[str, object]
) -> None:
    dg.materialize([lost_batches], partition_key=DAYS[0], resources=resources)
    (first,) = (path.read_bytes() for path in tmp_path.glob("lost_batches/*/*/*/*/*.parquet"))
    other = {**resources, "search": SearchResource(seed=5)}
    refused = dg.materialize([lost_batches], partition_key=DAYS[0], resources=other, raise_on_error=False)
    failure = refused.failure_data_for_node("lost_batches")
    assert failure is not None
    assert f"cycles of that day: {BEGUN}" in str(failure.error)
    begin(tmp_path, DAYS[0], "00000005-seed5", seed=5)
    dg.materialize([lost_batches], partition_key=DAYS[0], resources=other)
    kept = {path.parent.name: path.read_bytes() for path in tmp_path.glob("lost_batches/*/*/*/*/*.parquet")}
    assert kept.keys() == {f"cycle={BEGUN}", "cycle=00000005-seed5"}
    assert kept[f"cycle={BEGUN}"] == first


@pytest.mark.parametrize("day", [date(2014, 12, 31), date(2999, 1, 1)])
def test_there_is_no_partition_before_the_first_day_nor_after_the_last_complete_one(day: date) -> None:
    with pytest.raises(InputError, match=str(day)):
        partition_key(market_days(date(2015, 1, 1), None), day)
