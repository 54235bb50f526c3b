"""Several markets and bars in one Dagster home: what each is called, what it keeps apart, and homes from before."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from quant_organism.errors import InputError, IntegrityError
from quant_organism.evolution import CycleTable
from quant_organism.market import Lake
from quant_organism.orchestration import locations
from quant_organism.orchestration.definitions import build_definitions, defs
from quant_organism.orchestration.driver import Driver
from quant_organism.orchestration.home import open_instance, prepare_home
from quant_organism.orchestration.jobs import MARKS
from quant_organism.orchestration.markets import PLAIN_LOCATION, joined, known_market, markets_of, write_workspace
from quant_organism.orchestration.partitions import Days
from quant_organism.settings import MarketSettings, Settings
from quant_organism_tests.tiny import write_world

WHERE = {"market": "imported", "interval": "4h"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a world and with candles of 60 days of one symbol, to keep a home in."""
    write_world(tmp_path)
    (tmp_path / "candles").mkdir()
    hours = pl.datetime_range(pl.datetime(2025, 3, 1), pl.datetime(2025, 4, 29, 23), "1h", eager=True, time_zone="UTC")
    price = pl.Series([100.0 + hour % 24 for hour in range(len(hours))])
    bars = pl.DataFrame({"timestamp": hours, "open": price, "high": price, "low": price, "close": price, "volume": 1.0})
    bars.write_parquet(tmp_path / "candles" / "BTC.parquet")
    return tmp_path


@pytest.fixture
def simulated(folder: Path) -> Callable[..., Settings]:
    """Return settings of the simulated market, by what is said of it."""

    def made(**said: Any) -> Settings:
        market = MarketSettings(world=str(folder / "tiny.yaml"), **said)
        return Settings(data_dir=folder / "data", profile="smoke", threads=1, market=market)

    return made


@pytest.fixture
def imported(folder: Path) -> Callable[..., Settings]:
    """Return settings of the folder of candles, by what is said of it."""

    def made(**said: Any) -> Settings:
        market = MarketSettings(source="files", path=folder / "candles", name="imported", **said)
        return Settings(data_dir=folder / "data", profile="smoke", threads=1, market=market)

    return made


def test_the_first_market_has_the_plain_names_and_every_other_one_its_own(
    simulated: Callable[..., Settings], imported: Callable[..., Settings]
) -> None:
    first = joined(simulated())
    assert (first.key_prefix, first.location) == ((), PLAIN_LOCATION)
    other, longer = joined(imported(interval="4h")), joined(simulated(interval="4h"))
    assert (other.key_prefix, other.location) == (("imported", "4h"), "imported-4h")
    assert longer.key_prefix == (first.market, "4h")
    again = joined(simulated(lookback_days=30))  # what is said last counts, and the names stay
    assert (again.key_prefix, again.how.lookback_days) == ((), 30)
    assert markets_of(simulated().data_dir) == [again, other, longer]
    assert known_market(simulated()) is None


def test_a_market_is_known_by_what_was_said_of_it_even_where_its_files_are_gone(
    imported: Callable[..., Settings], folder: Path
) -> None:
    first, longer = joined(imported()), joined(imported(interval="4h"))
    assert (first.interval, longer.interval) == ("1h", "4h")
    (folder / "candles").rename(folder / "elsewhere")
    assert joined(imported()) == first
    assert joined(imported(interval="4h")) == longer
    with pytest.raises(InputError):
        joined(imported(interval="8h"))


def test_the_plain_names_of_a_home_from_before_stay_with_the_market_that_they_show(
    simulated: Callable[..., Settings], imported: Callable[..., Settings]
) -> None:
    lake = Lake(simulated().data_dir / "lake")
    row = dict.fromkeys(CycleTable.schema, "") | {"seed": 0}
    for day in (1, 2):
        lake.table(CycleTable, cycle="c").write(CycleTable.frame([row]), **WHERE, day=date(2025, 4, day))
    assert joined(simulated()).key_prefix != ()
    assert joined(imported(interval="4h")).key_prefix == ()


def test_each_market_has_a_code_location_and_the_workspace_names_all(
    simulated: Callable[..., Settings], imported: Callable[..., Settings], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = prepare_home(folder / "data")
    alone = yaml.safe_load(write_workspace(folder / "data").read_text())["load_from"]
    assert [one["python_module"]["location_name"] for one in alone] == [PLAIN_LOCATION]
    joined(simulated())
    joined(imported(interval="4h"))
    written = yaml.safe_load((home / "workspace.yaml").read_text())["load_from"]
    modules = [one["python_module"] for one in written]
    assert [module["location_name"] for module in modules] == [PLAIN_LOCATION, "imported-4h"]
    assert {module["working_directory"] for module in modules} == {str(home)}

    monkeypatch.setenv("QUANT_ORGANISM_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("QUANT_ORGANISM_PROFILE", "smoke")
    monkeypatch.setenv("QUANT_ORGANISM_MARKET__WORLD", str(folder / "tiny.yaml"))
    own, other = (getattr(locations, module["attribute"]) for module in modules)
    graphs = [one.resolve_asset_graph() for one in (own, other)]
    keys = [graph.get_all_asset_keys() for graph in graphs]
    assert not keys[0] & keys[1]
    assert {key.path[-1] for key in keys[0] - {dg.AssetKey("system_health")}} == {key.path[-1] for key in keys[1]}
    groups = [{graph.get(key).group_name for key in known} for graph, known in zip(graphs, keys, strict=True)]
    assert groups[1] == {f"imported_4h_{group}" for group in groups[0]}
    spans = [
        (days.get_first_partition_key(), days.get_last_partition_key())
        for days in (
            graphs[0].get(dg.AssetKey("candles")).partitions_def,
            graphs[1].get(dg.AssetKey(["imported", "4h", "candles"])).partitions_def,
        )
        if isinstance(days, dg.DailyPartitionsDefinition)
    ]
    assert spans == [("2024-01-01", "2024-04-29"), ("2025-03-01", "2025-04-29")]
    # Nights of the market that the web UI was started with are on; those of the others wait for a click.
    nights = [one.resolve_schedule_def("nightly").default_status for one in (own, other)]
    assert nights == [dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED]
    assert [one.resolve_sensor_def("re_evolution").default_status.value for one in (own, other)] == [
        "RUNNING",
        "STOPPED",
    ]
    assert [schedule.name for schedule in other.schedules or ()] == ["nightly"]
    assert defs().resolve_asset_graph().get_all_asset_keys() == keys[0]
    with pytest.raises(InputError, match="no market of this home"):
        _ = locations.nobody


def test_what_runs_on_one_market_shows_on_none_of_the_others(
    simulated: Callable[..., Settings], imported: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.setenv(name, "")  # to be as it was
    days = [(simulated(), 2024), (simulated(interval="4h"), 2024), (imported(interval="4h"), 2025)]
    for done, (market, year) in enumerate(days):
        Driver(market, lambda *_: None).ingest(Days(date(year, 4, 1), date(year, 4, 2 + done)))
    names = ["candles", f"{joined(simulated()).market}/4h/candles", "imported/4h/candles"]
    with open_instance(simulated().data_dir) as instance:
        found = [instance.get_materialized_partitions(dg.AssetKey(name.split("/"))) for name in names]
        assert found == [{f"{year}-04-{day:02}" for day in range(1, 3 + done)} for done, (_, year) in enumerate(days)]
        other = build_definitions(imported(interval="4h"), key_prefix=("imported", "4h"), at_hand=False)
        marks = [dg.AssetKey(["imported", "4h", name]) for name in MARKS]
        night = other.resolve_job_def("nightly_evolution").execute_in_process(
            instance=instance, partition_key="2025-04-02", asset_selection=marks
        )
        assert night.success
        assert instance.get_materialized_partitions(marks[-1]) == {"2025-04-02"}
        assert not instance.get_materialized_partitions(dg.AssetKey(MARKS[-1]))


def test_a_record_that_cannot_be_read_is_named_with_what_to_do(simulated: Callable[..., Settings]) -> None:
    joined(simulated())
    (path,) = (simulated().data_dir / "dagster_home" / "markets").glob("*.json")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(IntegrityError, match="remove the file"):
        joined(simulated(interval="4h"))
