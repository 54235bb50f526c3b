"""Dagster's history in PostgreSQL: moved there whole, and what every command says of it, on a real server."""

import json
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorType, TickData, TickStatus
from dagster._daemon.types import DaemonHeartbeat

from quant_organism.errors import BusyError, InputError, IntegrityError
from quant_organism.orchestration.definitions import build_definitions
from quant_organism.orchestration.history import ADDRESS_VARIABLE
from quant_organism.orchestration.history_move import count_history, move_history
from quant_organism.orchestration.home import INSTANCE_YAML, open_instance, prepare_home, settle_runs
from quant_organism_tests.finished import Finished, finished_run
from quant_organism_tests.postgres import PostgresServer, holding, postgres_server
from quant_organism_tests.program import Caller, Said
from quant_organism_tests.tiny import LAST, Workshop, settings

_POINTER: Final = "dagster/input_event_pointer/"
Call = Callable[..., Said]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as made, made.running():
        yield made


@pytest.fixture
def address(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have an empty database named in the environment; put back what opening an instance sets."""
    for name in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.setenv(name, "")
    address = server.new_database()
    monkeypatch.setenv(ADDRESS_VARIABLE, address)
    return address


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    return Caller(tmp_path, monkeypatch, capfd)


@pytest.fixture
def lived(tmp_path: Path) -> Finished:
    """Return a copy of a finished run, with what a night, the web UI and a person leave besides."""
    run = finished_run()
    shutil.copytree(run.folder, tmp_path / "lived")
    copy = Finished(tmp_path / "lived", run.out)
    with open_instance(copy.data_dir) as instance:
        instance.daemon_cursor_storage.set_cursor_values({"mine": "41"})
        instance.create_tick(tick("nothing new"))
        instance.add_dynamic_partitions("mine", ["a", "b"])
        instance.report_runless_asset_event(dg.AssetMaterialization("candles", partition=LAST.isoformat()))
    return copy


@dg.op
def nothing() -> None:
    pass


@dg.job
def idle() -> None:
    nothing()


def tick(reason: str) -> TickData:
    sensor, skipped = InstigatorType.SENSOR, TickStatus.SKIPPED
    return TickData("origin", "sensor", sensor, skipped, 1.7e9, skip_reason=reason, selector_id="selector")


def plain(entry: dg.EventLogEntry) -> str:
    """Return an event without the numbers of others that it refers to."""
    return re.sub(r'("storage_id": |input_event_pointer/[a-z_]+": ")\d+', r"\g<1>N", entry.to_json())


def told(instance: dg.DagsterInstance, checks: Collection[dg.AssetCheckKey]) -> dict[str, Any]:
    """Return all that the instance tells of its past; numbers of events by what has the number."""
    runs = instance.get_run_records()
    answers: dict[str, Any] = {
        "runs": [(r.dagster_run, r.create_timestamp, r.update_timestamp, r.start_time, r.end_time) for r in runs],
        "cursor": instance.daemon_cursor_storage.get_cursor_values({"mine"}),
        "ticks": [each.tick_data for each in instance.get_ticks("origin", "selector")],
        "dynamic": instance.get_dynamic_partitions("mine"),
    }
    for run_id in (record.dagster_run.run_id for record in runs):
        answers[f"log of {run_id}"] = [plain(entry) for entry in instance.all_logs(run_id)]
    keys = sorted(instance.all_asset_keys())
    records = {key: instance.fetch_materializations(key, limit=1000, ascending=True).records for key in keys}
    numbered = {record.storage_id: plain(record.event_log_entry) for each in records.values() for record in each}
    for key in keys:
        name, newest = key.to_user_string(), instance.get_latest_materialization_event(key)
        answers[f"{name} materializations"] = [numbered[record.storage_id] for record in records[key]]
        answers[f"{name} partitions"] = sorted(instance.get_materialized_partitions(key))
        answers[f"{name} newest"] = newest and plain(newest)
        answers[f"{name} made of"] = [
            numbered[int(number)]
            for record in records[key]
            for tag, number in sorted(
                ((record.asset_materialization and record.asset_materialization.tags) or {}).items()
            )
            if tag.startswith(_POINTER) and number != "NULL"
        ]
    for check in sorted(checks, key=str):
        record = instance.get_latest_asset_check_evaluation_record(check)
        event = record and record.event and record.event.dagster_event
        target = event and event.asset_check_evaluation_data.target_materialization_data
        answers[f"check {check}"] = record and (record.status, record.run_id, record.event and plain(record.event))
        answers[f"check {check} is of"] = target and numbered[target.storage_id]
    return answers


def test_a_moved_history_is_told_as_before_and_goes_on(address: str, lived: Finished) -> None:
    chosen = settings(lived.folder, world=lived.world)
    checks = build_definitions(chosen).resolve_asset_graph().asset_check_keys
    before = count_history(lived.data_dir)
    with open_instance(lived.data_dir) as instance:
        was = told(instance, checks)
    moved = move_history(lived.data_dir)
    assert (moved.runs, moved.events, moved.ticks) == (before.runs, before.events, before.ticks)
    assert moved.events > 500
    assert "PostgreSQL database" in moved.where
    assert sum(len(answer) for name, answer in was.items() if name.endswith("made of")) > 10
    assert sum(answer is not None for name, answer in was.items() if name.endswith("is of")) > 10
    assert move_history(lived.data_dir) == moved  # the same again changes nothing
    with open_instance(lived.data_dir) as instance:
        assert not {name for name, answer in told(instance, checks).items() if answer != was[name]}
        workshop = Workshop(chosen, instance)
        instance.create_tick(tick("later"))
        assert workshop.ingest(LAST - timedelta(days=4), LAST).success  # a range's events come in batches
        newest = instance.get_latest_materialization_event(dg.AssetKey("candles"))
        assert newest is not None
        assert newest.run_id == instance.get_runs(limit=1)[0].run_id
        assert settle_runs(instance) == []
    assert count_history(lived.data_dir).runs == before.runs + 1
    assert count_history(lived.data_dir).ticks == before.ticks + 1


def test_every_command_says_where_the_history_is_and_none_says_the_password(
    address: str, server: PostgresServer, lived: Finished, call: Call, tmp_path: Path
) -> None:
    where, backup, restored = ("--data-dir", lived.data_dir), tmp_path / "backup", tmp_path / "restored"
    cycles = call("runs", "list", "--json", *where)
    said = [call("history", "move", *where), call("history", "show", *where)]
    assert all("PostgreSQL database history_" in each.out and each.code == 0 for each in said)
    doctor = call("doctor", "--json", *where)
    assert doctor.code == 0, doctor.out
    found = {each["what"]: each["found"] for each in json.loads(doctor.out)["findings"]}
    assert found["Dagster instance"] == "settings as shipped for PostgreSQL, telemetry off"
    assert "PostgreSQL database history_" in found["Dagster databases"]
    with open_instance(lived.data_dir) as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SCHEDULER", "one", None))
    assert health(call, lived)["status"] == "ok"
    assert call("runs", "list", "--json", *where).out == cycles.out
    said.append(call("backup", backup, *where))
    assert "runs, events and schedules are not in it (PostgreSQL database history_" in said[-1].out
    assert "pg_dump" in said[-1].out
    assert call("restore", backup, "--data-dir", restored).code == 0
    said.append(call("doctor", "--json", "--data-dir", restored))
    assert said[-1].code == 1  # two folders on one history would settle each other's runs
    assert str(lived.data_dir) in said[-1].out
    said.append(call("history", "move", "--take-over", "--data-dir", restored))
    assert [call("doctor", "--data-dir", folder).code for folder in (restored, lived.data_dir)] == [0, 1]
    said += [doctor, cycles]
    assert [each for each in said if server.password in each.out + each.err] == []
    assert [holding(folder, server.password) for folder in (lived.data_dir, backup, restored)] == [[], [], []]


def health(call: Call, lived: Finished) -> dict[str, Any]:
    """Return what the command says of Dagster."""
    said = call("health", "--json", "--world", lived.world, "--data-dir", lived.data_dir)
    (found,) = [each for each in json.loads(said.out)["components"] if each["component"] == "dagster"]
    return dict(found)


def test_a_server_that_is_gone_is_named_and_what_needs_no_history_works(
    address: str, server: PostgresServer, lived: Finished, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_history(lived.data_dir)
    gone = address.replace(f":{server.port}/", ":9/")
    monkeypatch.setenv(ADDRESS_VARIABLE, gone)
    where = ("--data-dir", lived.data_dir)
    said = [call("doctor", *where), call("run", "--world", lived.world, *where), call("history", "show", *where)]
    assert [each.code for each in said] == [1, 2, 2]
    assert all("127.0.0.1:9" in each.out + each.err for each in said)
    assert health(call, lived)["status"] == "failed"
    assert call("runs", "list", *where).code == 0
    assert [each for each in said if server.password in each.out + each.err] == []
    monkeypatch.delenv(ADDRESS_VARIABLE)
    said = [call("doctor", *where), call("run", "--world", lived.world, *where)]
    assert [each.code for each in said] == [1, 2]
    assert all(ADDRESS_VARIABLE in each.out + each.err for each in said)


def test_a_killed_move_is_ended_by_the_same_again_and_no_history_is_mixed_with_another(
    address: str, server: PostgresServer, tmp_path: Path
) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    with open_instance(first) as instance:
        runs = [instance.create_run_for_job(idle, status=dg.DagsterRunStatus.SUCCESS) for _ in range(2)]
    moved = move_history(first)
    assert moved.runs == len(runs)
    settings_of = [prepare_home(folder) / "dagster.yaml" for folder in (first, other)]
    settings_of[0].write_text(INSTANCE_YAML, encoding="utf-8")  # killed after the last row, before the settings
    assert move_history(first) == moved
    assert "postgres_url" in settings_of[0].read_text(encoding="utf-8")
    with pytest.raises(IntegrityError, match=f"another data folder, {first}"):
        move_history(other)
    database = address.rpartition("/")[2]
    server.ask("DELETE FROM kvs WHERE key = 'quant_organism/home'", database)
    with pytest.raises(InputError, match="2 runs in it"):  # somebody else's, who does not say so
        move_history(other)
    assert server.ask("SELECT count(*) FROM runs", database) == [(2,)]
    assert settings_of[1].read_text(encoding="utf-8") == INSTANCE_YAML


def test_nothing_is_moved_under_a_web_ui(address: str, tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "one", None))
    with pytest.raises(BusyError, match="daemon"):
        move_history(tmp_path)


@pytest.mark.parametrize(
    "written",
    [
        "storage:\n  postgres:\n    postgres_url: postgresql+psycopg2://me:secret@127.0.0.1/history\n",
        "storage:\n  postgres:\n    postgres_db: {username: me, password: secret, hostname: h, db_name: d}\n",
        "event_log_storage:\n  config: {postgres_url: 'postgresql://me:secret@127.0.0.1/history'}\n",
    ],
)
def test_a_password_in_a_file_is_refused_and_backed_up_nowhere(written: str, call: Call, tmp_path: Path) -> None:
    home = prepare_home(tmp_path / "data")
    (home / "dagster.yaml").write_text(written, encoding="utf-8")
    said = [call("backup", "backup"), call("history", "show"), call("doctor")]
    assert [each.code for each in said] == [2, 2, 1]
    assert not (tmp_path / "backup").exists()
    assert [each for each in said if "secret" in each.out + each.err] == []


@pytest.mark.parametrize("address", ["postgresql://me:secret@h/history", "sqlite:///history", "no address", "://:@"])
def test_what_is_no_address_of_postgres_is_refused_without_saying_it(
    address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, address)
    with pytest.raises(InputError, match="not the address") as caught:
        move_history(tmp_path)
    assert "secret" not in str(caught.value)
