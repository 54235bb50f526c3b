"""The nightly schedule, on a real instance and a real lake."""

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData

from quant_organism.evolution.tables import CycleTable
from quant_organism.market.lake import Lake
from quant_organism.orchestration.jobs import MARKS, nightly_of, official_line
from quant_organism_tests.tiny import FIRST, LAST, WORLD, Workshop, settings

nightly = nightly_of((), dg.DefaultScheduleStatus.RUNNING)


def evaluate(workshop: Workshop, now: datetime) -> ScheduleExecutionData:
    with dg.build_schedule_context(
        instance=workshop.instance,
        scheduled_execution_time=now,
        resources=workshop.definitions.resources,
        repository_def=workshop.definitions.get_repository_def(),
    ) as context:
        return nightly.evaluate_tick(context)


def night(day: int, month: int = 4) -> datetime:
    return datetime(2024, month, day, 0, 30, tzinfo=UTC)


def test_every_night_at_half_past_midnight_utc() -> None:
    assert (nightly.cron_schedule, nightly.execution_timezone) == ("30 0 * * *", "UTC")
    assert nightly.default_status == dg.DefaultScheduleStatus.RUNNING


def test_a_night_asks_for_the_cycle_of_the_newest_complete_day(workshop: Workshop) -> None:
    (cycle,) = evaluate(workshop, night(16)).run_requests
    assert cycle.partition_key == "2024-04-15"


def test_a_day_brings_the_days_before_it_that_the_lake_lacks(evolved: Workshop) -> None:
    """Four nights were missed; those that are there already are not materialised again."""
    job = evolved.definitions.resolve_job_def("ingest_market_data")
    assert job.execute_in_process(instance=evolved.instance, partition_key="2024-04-20").success
    fetched = {f"2024-04-{day}" for day in range(16, 21)}
    for name in ("candles", "funding"):
        assert evolved.instance.get_materialized_partitions(dg.AssetKey(name)) == fetched
    lake = Lake(evolved.settings.data_dir / "lake")
    assert lake.days("candles", market=evolved.market.id, interval="1h")[-1] == date(2024, 4, 20)


def test_a_market_that_ended_is_evolved_on_its_last_day_once(finished: Workshop, workshop: Workshop) -> None:
    data = evaluate(Workshop(finished.settings, workshop.instance), datetime(2026, 1, 1, 0, 30, tzinfo=UTC))
    assert data.run_requests == []
    assert data.skip_message is not None
    assert f"the cycle of {LAST} has run already" in data.skip_message


def test_a_clock_that_went_back_asks_for_no_earlier_day(finished: Workshop, workshop: Workshop) -> None:
    data = evaluate(Workshop(finished.settings, workshop.instance), night(LAST.day - 5))
    assert data.run_requests == []
    assert f"the cycle of {LAST} has run already" in (data.skip_message or "")


def test_a_night_of_a_week_that_had_its_cycle_asks_for_data_and_marks_alone(workshop: Workshop) -> None:
    """The cycle of Monday the 15th opened the week's unseen days; Tuesday opens nothing and bears nobody."""
    workshop.ingest(FIRST, date(2024, 4, 15))
    where = {"market": workshop.market.id, "interval": "1h"}
    lake = Lake(workshop.settings.data_dir / "lake")
    row = dict.fromkeys(CycleTable.schema, "") | {"seed": 0}
    lake.table(CycleTable, cycle="c").write(CycleTable.frame([row]), **where, day=date(2024, 4, 15))
    (marks,) = evaluate(workshop, night(17)).run_requests
    assert marks.partition_key == "2024-04-16"
    assert {key.to_user_string() for key in marks.asset_selection} == set(MARKS)
    assert "evolved_population" not in MARKS
    *_, cycle = evaluate(workshop, night(23)).run_requests
    assert (cycle.partition_key, cycle.asset_selection) == ("2024-04-22", None)


def test_the_official_cycle_s_seed_is_nobody_s_choice(workshop: Workshop) -> None:
    def seed(day: int) -> int:
        *_, cycle = evaluate(workshop, night(day)).run_requests
        return int(cycle.run_config["resources"]["search"]["config"]["seed"])

    assert seed(16) == seed(17) != seed(23)


def test_the_line_of_a_cycle_is_that_of_its_week_where_the_market_has_room_for_both(
    workshop: Workshop, tmp_path: Path
) -> None:
    def line(of: Workshop, month: int, day: int) -> str:
        *_, cycle = evaluate(of, night(day, month)).run_requests
        return str(cycle.run_config["resources"]["search"]["config"]["line"])

    world = tmp_path / "longer.yaml"
    world.write_text(WORLD.replace("days: 120", "days: 300"), encoding="utf-8")
    longer = Workshop(settings(tmp_path, world=world), workshop.instance)
    mondays = [(9, 3), (9, 10), (9, 17), (9, 24)]
    assert [line(longer, *monday) for monday in mondays] == ["short", "long", "short", "long"]
    assert [line(longer, 9, day) for day in (3, 4, 9)] == ["short"] * 3
    assert {line(longer, 8, 6), line(longer, 8, 13), line(workshop, 4, 16), line(workshop, 4, 23)} == {"long"}


def test_a_short_lookback_leaves_the_long_line_alone() -> None:
    first, even = date(2023, 1, 1), date(2024, 12, 23)
    assert official_line(even, first, None) == official_line(even, first, 240) == "short"
    assert official_line(even, first, 239) == "long"
    assert official_line(date(2024, 12, 30), first, None) == "long"


@pytest.mark.parametrize("again", [False, True])
def test_the_same_night_asks_under_the_same_key(workshop: Workshop, again: bool) -> None:
    first, second = (evaluate(workshop, night(16)).run_requests for _ in range(2))
    assert [request.run_key for request in first] == [request.run_key for request in second]


def test_what_a_night_asks_for_runs_to_the_end(workshop: Workshop) -> None:
    job = workshop.definitions.resolve_job_def("nightly_evolution")
    for request in evaluate(workshop, datetime(2024, 5, 1, 0, 30, tzinfo=UTC)).run_requests:
        result = job.execute_in_process(
            instance=workshop.instance,
            partition_key=request.partition_key,
            asset_selection=request.asset_selection,
            run_config=request.run_config,
            tags=dict(request.tags) if request.partition_key is None else None,
        )
        assert result.success
    assert workshop.instance.get_materialized_partitions(dg.AssetKey("deployed_configs")) == {LAST.isoformat()}
    assert evaluate(workshop, datetime(2024, 5, 2, 0, 30, tzinfo=UTC)).run_requests == []
