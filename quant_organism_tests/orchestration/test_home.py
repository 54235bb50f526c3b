"""The Dagster instance of a data folder."""

import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dotenv import dotenv_values
from filelock import FileLock

from quant_organism.errors import BusyError, StorageError
from quant_organism.orchestration.home import (
    COMMAND_TAG,
    INSTANCE_YAML,
    is_in_progress,
    open_instance,
    prepare_home,
    settle_runs,
)
from quant_organism.orchestration.markets import WORKSPACE_YAML
from quant_organism.orchestration.resources import LakeResource
from quant_organism.orchestration.run_lock import run_lock

REPOSITORY = Path(__file__).resolve().parents[2]


@dg.op
def nothing() -> None:
    pass


@dg.job
def idle() -> None:
    nothing()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what opening an instance sets."""
    for name in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.setenv(name, "")


def started(instance: dg.DagsterInstance, pid: int | None, tags: dict[str, str] | None = None) -> str:
    run = instance.create_run_for_job(idle, tags=tags, status=dg.DagsterRunStatus.STARTED)
    if pid is not None:
        instance.report_engine_event("in a process", run, EngineEventData({"pid": dg.MetadataValue.text(str(pid))}))
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_home_is_opened_by_one_process_after_the_other(tmp_path: Path) -> None:
    data_dir, opened = tmp_path / "data", []
    history = prepare_home(data_dir) / "history"
    opening = Thread(target=lambda: opened.append(open_instance(data_dir)))
    with FileLock(history.parent / "opening.lock"):
        opening.start()
        opening.join(1.5)
        assert opening.is_alive()
        assert not history.exists()
    opening.join()
    with opened[0] as instance:
        assert instance.get_runs() == []
    assert history.is_dir()


def test_shipped_settings_are_those_that_every_data_folder_gets() -> None:
    assert (REPOSITORY / "data" / "dagster_home" / "dagster.yaml").read_text(encoding="utf-8") == INSTANCE_YAML
    assert (REPOSITORY / "workspace.yaml").read_text(encoding="utf-8") == WORKSPACE_YAML


def test_a_home_is_made_once_and_edits_are_kept(tmp_path: Path) -> None:
    home = prepare_home(tmp_path)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    prepare_home(tmp_path)
    assert (home / "dagster.yaml").read_text(encoding="utf-8") == "telemetry: {enabled: false}\n"


def test_a_home_of_an_older_version_names_its_event_log_by_the_face(tmp_path: Path) -> None:
    home = prepare_home(tmp_path)
    older = INSTANCE_YAML.replace(
        "  module: quant_organism.orchestration\n  class: EventLog\n",
        "  module: quant_organism.orchestration.event_storage\n  class: BatchingSqliteEventLogStorage\n",
    )
    assert older != INSTANCE_YAML
    (home / "dagster.yaml").write_text(older + "# mine\n", encoding="utf-8")
    with open_instance(tmp_path) as instance:
        assert type(instance.event_log_storage).__name__ == "EventLog"
    assert (home / "dagster.yaml").read_text(encoding="utf-8") == INSTANCE_YAML + "# mine\n"


def test_a_home_that_cannot_be_made_is_a_storage_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        prepare_home(tmp_path / "file")
    assert str(tmp_path / "file") in str(caught.value)


def test_dagster_s_own_commands_find_the_home_of_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", str(REPOSITORY))
    said = dotenv_values(REPOSITORY / ".env")
    home = Path(str(said["DAGSTER_HOME"]))
    assert home.is_absolute()
    assert (home / "dagster.yaml").read_text(encoding="utf-8") == INSTANCE_YAML
    assert said["DAGSTER_DISABLE_TELEMETRY"] == "1"


def test_dagster_s_own_commands_find_the_definitions_and_the_folder_that_dg_looks_into() -> None:
    tools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    project = tools["dg"]["project"]
    assert project["code_location_target_module"] == tools["dagster"]["module_name"]
    assert tools["dagster"]["module_name"] in WORKSPACE_YAML
    assert (REPOSITORY / project["defs_module"].replace(".", "/")).is_dir()  # dg does not begin without it
    assert find_spec(tools["dagster"]["module_name"]) is not None


def test_dagster_s_own_commands_begin_without_a_warning(tmp_path: Path) -> None:
    """In the environment that `make setup` makes."""
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "not_there", "--select", "*"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "No module named 'not_there'" in ended.stderr
    assert "Warning" not in ended.stderr


def test_an_instance_has_telemetry_off_and_runs_one_thing_at_a_time(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 1
        assert instance.root_directory == str(tmp_path / "dagster_home")


def test_runs_whose_process_is_gone_are_marked_as_failed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with open_instance(tmp_path) as instance:
        dead = [started(instance, gone.pid), started(instance, None)]
        assert sorted(settle_runs(instance)) == sorted(dead)
        assert {status(instance, run) for run in dead} == {dg.DagsterRunStatus.FAILURE}
        assert settle_runs(instance) == []


def test_a_commands_own_runs_are_dead_once_its_lock_is_free(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        run = started(instance, os.getpid(), {COMMAND_TAG: "quant-organism"})
        assert settle_runs(instance) == [run]


def test_a_process_of_another_program_under_the_same_number_is_not_the_run(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other, open_instance(tmp_path) as instance:
        try:
            run = started(instance, other.pid)
            assert settle_runs(instance) == [run]
        finally:
            other.kill()


@pytest.fixture
def alive(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process as Dagster starts one for a run: without the word in its command line, handed the home."""
    own = {**os.environ, "DAGSTER_HOME": str(tmp_path / "dagster_home")}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=own) as process:
        yield process
        process.kill()


def test_a_living_run_of_the_web_ui_is_left_alone_and_named(tmp_path: Path, alive: subprocess.Popen[bytes]) -> None:
    with open_instance(tmp_path) as instance:
        run = started(instance, alive.pid)
        with pytest.raises(BusyError, match=run[:8]):
            settle_runs(instance)
        assert status(instance, run) == dg.DagsterRunStatus.STARTED


def test_a_run_that_was_just_launched_has_not_said_yet_which_process_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_instance(tmp_path) as instance:
        run = instance.create_run_for_job(idle, status=dg.DagsterRunStatus.STARTING)
        with pytest.raises(BusyError, match=run.run_id[:8]):
            settle_runs(instance)
        later = time.time() + 120
        monkeypatch.setattr(time, "time", lambda: later)
        assert settle_runs(instance) == [run.run_id]


def test_what_is_in_progress(tmp_path: Path, alive: subprocess.Popen[bytes]) -> None:
    def in_progress(run_id: str) -> bool:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        return is_in_progress(instance, run, tmp_path)

    with open_instance(tmp_path) as instance:
        assert in_progress(started(instance, alive.pid))
        assert not in_progress(started(instance, None))
        for left_behind in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.FAILURE):
            assert not in_progress(instance.create_run_for_job(idle, status=left_behind).run_id)
        command = started(instance, os.getpid(), {COMMAND_TAG: "quant-organism"})
        assert not in_progress(command)
        with run_lock(tmp_path):
            assert in_progress(command)


def test_a_run_of_the_web_ui_waits_for_a_command_and_holds_others_up_meanwhile(tmp_path: Path) -> None:
    said: list[str] = []

    @dg.op(required_resource_keys={"lake"})
    def look() -> None:
        said.append("computed")
        with pytest.raises(BusyError, match=str(os.getpid())), run_lock(tmp_path):
            pass

    @dg.job(resource_defs={"lake": LakeResource(folder=str(tmp_path / "lake"))})
    def looking() -> None:
        look()

    with open_instance(tmp_path) as instance:
        hold = (
            "import sys, time; from pathlib import Path; from quant_organism.orchestration.run_lock import run_lock\n"
        )
        hold += "with run_lock(Path(sys.argv[1])): print(flush=True); sys.stdin.readline()"
        command = [sys.executable, "-c", hold, str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdout.readline()
            run = Thread(target=lambda: looking.execute_in_process(instance=instance))
            run.start()
            while not instance.get_runs():
                run.join(0.05)
            run.join(0.5)
            assert said == []  # it waits as long as the command computes
            other.stdin.write("\n")
            other.stdin.close()
            run.join(60)
        assert said == ["computed"]
