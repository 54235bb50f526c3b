"""The batching event log tells Dagster the same as Dagster's own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from quant_organism.orchestration import EventLog, event_storage
from quant_organism.orchestration.home import environment, prepare_home
from quant_organism.orchestration.partitions import DAILY, range_tags

DAYS = (date(2024, 1, 1), date(2024, 2, 29))


@dg.multi_asset(
    specs=[dg.AssetSpec("left", tags={"side": "l"}), dg.AssetSpec("right")],
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def both(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    for asset in ("left", "right"):
        for key in context.partition_keys:
            context.add_asset_metadata({"day": key}, asset_key=asset, partition_key=key)
        yield dg.MaterializeResult(asset, tags={"quality": "good"})


@dg.asset_check(asset="left")
def sound() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


JOB = dg.Definitions(
    assets=[both], asset_checks=[sound], jobs=[dg.define_asset_job("both_job")], executor=dg.in_process_executor
).resolve_job_def("both_job")


@contextmanager
def instance_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *, own: bool) -> Iterator[dg.DagsterInstance]:
    home = prepare_home(folder)
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)
    if not own:
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    """Leave out what Dagster makes up anew for each run."""
    return {name: value for name, value in tags.items() if not name.startswith("dagster/")}


def told(instance: dg.DagsterInstance) -> dict[str, object]:
    """Run the job over the range and return what the instance then answers."""
    result = JOB.execute_in_process(instance=instance, tags=range_tags(*DAYS))
    answers: dict[str, object] = {}
    for name in ("left", "right"):
        key = dg.AssetKey(name)
        records = instance.fetch_materializations(key, limit=1000, ascending=True).records
        answers[f"{name} partitions"] = sorted(instance.get_materialized_partitions(key))
        answers[f"{name} events"] = [
            (r.partition_key, dict(r.asset_materialization.metadata), _own(r.asset_materialization.tags or {}))
            for r in records
            if r.asset_materialization
        ]
        newest = instance.get_latest_materialization_event(key)
        assert newest is not None
        answers[f"{name} newest"] = newest.get_dagster_event().partition
        answers[f"{name} known"] = instance.has_asset_key(key)
    answers["log"] = [
        (entry.get_dagster_event().event_type_value, entry.get_dagster_event().partition)
        for entry in instance.all_logs(result.run_id)
        if entry.is_dagster_event and "MATERIALIZATION" in entry.get_dagster_event().event_type_value
    ]
    check = instance.get_latest_asset_check_evaluation_record(sound.check_key)
    answers["check"] = check is not None and check.status.value
    return answers


def test_a_range_is_remembered_as_by_dagsters_own_event_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with instance_in(tmp_path / "own", monkeypatch, own=True) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        own = told(instance)
    with instance_in(tmp_path / "dagsters", monkeypatch, own=False) as instance:
        assert not isinstance(instance.event_log_storage, EventLog)
        dagsters = told(instance)
    assert own == dagsters
    assert len(own["left partitions"]) == 60  # type: ignore[arg-type]


def test_events_of_both_event_logs_lie_in_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever removes the section from dagster.yaml keeps the history."""
    with instance_in(tmp_path, monkeypatch, own=True) as instance:
        before = told(instance)["left partitions"]
    with instance_in(tmp_path, monkeypatch, own=False) as instance:
        assert sorted(instance.get_materialized_partitions(dg.AssetKey("left"))) == before


def test_an_event_of_no_run_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with instance_in(tmp_path, monkeypatch, own=True) as instance:
        for day in DAYS:
            instance.report_runless_asset_event(dg.AssetMaterialization("left", partition=day.isoformat()))
        records = instance.fetch_materializations(dg.AssetKey("left"), limit=10, ascending=True).records
        assert [record.partition_key for record in records] == [day.isoformat() for day in DAYS]


@pytest.mark.parametrize("engines", [1, 8])  # with one, no file's engine outlives a look at another
def test_after_other_runs_and_after_everything_was_removed_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engines: int
) -> None:
    monkeypatch.setattr(event_storage, "_MOST_ENGINES", engines)
    with instance_in(tmp_path, monkeypatch, own=True) as instance:
        for _ in range(2):
            before = told(instance)
            (run,) = instance.get_runs()
            assert run.is_success
            instance.wipe()
            assert instance.all_logs(run.run_id) == []
            assert not instance.get_materialized_partitions(dg.AssetKey("left"))
        assert told(instance) == before
