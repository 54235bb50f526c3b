"""What Dagster shows and checks of a table is what its description says; SQL inside a run is the SQL of the command."""

from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from dagster_duckdb import DuckDBResource

from quant_organism.evolution.tables import FamilyProgressTable, LostBatchTable, RejectedTable
from quant_organism.market.lake import Lake
from quant_organism.market.query import ask, connect
from quant_organism.market.table import Table
from quant_organism.monitoring.tables import TABLES
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import LakeResource, MarketResource
from quant_organism.orchestration.tables import in_memory, lake_views, table_check, table_outputs, table_schema
from quant_organism_tests.orchestration.stored import BEGUN, stored_in

DAY = "2024-01-01"
ROWS = FamilyProgressTable.frame([(0, 0, "trend", 20, 1.5, None), (1, 0, "trend", 20, 2.5, 0.5)])


@pytest.fixture
def resources(tmp_path: Path) -> dict[str, object]:
    return stored_in(tmp_path, [DAY])


@dg.asset(partitions_def=DAILY)
def search_families() -> pl.DataFrame:
    return ROWS


class AsItIs(dg.ConfigurableIOManager):
    """Stores a frame whatever its table says, as somebody does who changes a file by hand."""

    folder: str

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        stored = Lake(Path(self.folder)).table(FamilyProgressTable, cycle=BEGUN)
        path = stored.path(market=MarketResource(world="null").id, interval="1h", day=date.fromisoformat(DAY))
        path.parent.mkdir(parents=True)
        obj.write_parquet(path)

    def load_input(self, context: dg.InputContext) -> None:
        raise NotImplementedError


def judged(folder: Path, resources: dict[str, object], frame: pl.DataFrame) -> dg.AssetCheckEvaluation:
    """Materialise an asset that stores this frame, and return what the check of its table says."""

    @dg.asset(name="search_families", partitions_def=DAILY)
    def made() -> pl.DataFrame:
        return frame

    result = dg.materialize(
        [made, table_check(FamilyProgressTable)],
        partition_key=DAY,
        resources={**resources, "io_manager": AsItIs(folder=str(folder))},
        raise_on_error=False,
    )
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_the_web_ui_sees_every_column_with_its_meaning_and_what_holds_of_it() -> None:
    for table in TABLES:
        schema = table_schema(table)
        assert [column.name for column in schema.columns] == table.schema.names()
        assert [column.constraints.nullable for column in schema.columns] == [c.nullable for c in table.columns]
        assert all(column.description for column in schema.columns)
    shown = {column.name: column for column in table_schema(RejectedTable).columns}
    assert shown["hash"].constraints.unique
    assert table_schema(FamilyProgressTable).constraints.other == ["unique: generation, island, family"]


def test_a_file_as_described_passes(tmp_path: Path, resources: dict[str, object]) -> None:
    result = judged(tmp_path, resources, ROWS)
    assert result.passed
    assert result.description == "2 rows as described"
    assert result.blocking


@pytest.mark.parametrize(
    ("spoilt", "what"),
    [
        (ROWS.drop("members"), "members is missing"),
        (ROWS.with_columns(members=pl.lit(None, pl.Int64)), "values are missing: members in 2 of 2 rows"),
        (ROWS.with_columns(generation=pl.lit(0, pl.Int64)), "2 rows share their key"),
    ],
)
def test_a_file_that_is_not_as_described_stops_the_cycle(
    spoilt: pl.DataFrame, what: str, tmp_path: Path, resources: dict[str, object]
) -> None:
    result = judged(tmp_path, resources, spoilt)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR
    assert what in (result.description or "")


def test_tables_that_one_asset_makes_are_outputs_of_their_own(tmp_path: Path, resources: dict[str, object]) -> None:
    tables: list[type[Table]] = [RejectedTable, LostBatchTable]

    @dg.multi_asset(outs=table_outputs(tables, group="evolution", kinds={"parquet"}), partitions_def=DAILY)
    def both() -> tuple[pl.DataFrame, pl.DataFrame]:
        return RejectedTable.empty(), LostBatchTable.frame([(0, 0, 20, "killed")])

    result = dg.materialize([both], partition_key=DAY, resources=resources)
    rows = {event.asset_key.path[-1]: event for event in result.get_asset_materialization_events()}
    assert {name: e.materialization.metadata["rows"].value for name, e in rows.items()} == {
        "rejected": 0,
        "lost_batches": 1,
    }
    assert both.metadata_by_key[dg.AssetKey("rejected")]["dagster/column_schema"] == table_schema(RejectedTable)


def test_sql_in_a_run_sees_what_the_command_sees(tmp_path: Path, resources: dict[str, object]) -> None:
    dg.materialize([search_families], partition_key=DAY, resources=resources)
    query = "select family, interval, date, max(best_sharpe) as best from search_families group by all"

    @dg.asset
    def best(duckdb: DuckDBResource, lake: LakeResource) -> dg.MaterializeResult[None]:
        with lake_views(duckdb, lake) as views:
            return dg.MaterializeResult(metadata={"best": ask(views, query)["best"][0]})

    result = dg.materialize([best], resources={**resources, "duckdb": in_memory()})
    (event,) = result.get_asset_materialization_events()
    answer = ask(connect(tmp_path, TABLES), query)
    assert answer.rows() == [("trend", "1h", date.fromisoformat(DAY), 2.5)]
    assert event.materialization.metadata["best"].value == answer["best"][0]


def test_sql_in_a_run_reaches_nothing_but_the_lake(tmp_path: Path) -> None:
    with (
        lake_views(in_memory(), LakeResource(folder=str(tmp_path))) as views,
        pytest.raises(duckdb.Error, match=r"disabled|Permission"),
    ):
        views.execute("select * from read_text('/etc/hostname')").fetchall()
