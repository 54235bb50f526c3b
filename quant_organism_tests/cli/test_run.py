"""`quant-organism run`, as a person and as a program use it."""

import json
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.orchestration.home import open_instance
from quant_organism_tests.finished import MOMENTS, Finished, contents, killed_far_away, wait_for
from quant_organism_tests.program import Said, start
from quant_organism_tests.tiny import FIRST, LAST, write_world

WITHOUT_AN_EDGE = """\
name: flat
start: 2024-01-01
days: 120
assets:
  - {symbol: SIM-ONE}
  - {symbol: SIM-TWO, volatility: 1.4}
seed: 3
"""


def test_a_run_ends_with_who_survived_where_the_report_is_and_what_to_type_next(finished_run: Finished) -> None:
    documents = StrategyRepository(finished_run.data_dir / "strategies").load_all().documents
    assert documents
    assert f"Nothing new was deployed: {len(documents)} of " in finished_run.out
    assert all(document.id.split("_")[0] in finished_run.out for document in documents)
    assert "pretest_p" in finished_run.out
    paths = re.findall(r"\S+/(?:report|equity|pareto)\.(?:html|json|png)", finished_run.out)
    assert len(paths) == 4
    assert all((finished_run.folder / path).is_file() for path in paths)
    assert finished_run.out.splitlines()[-1].startswith("Next: quant-organism ui --profile smoke --world")


def test_the_web_ui_will_show_the_run_and_every_day(finished_run: Finished) -> None:
    with open_instance(finished_run.data_dir) as instance:
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
        assert {run.job_name for run in instance.get_runs()} == {"ingest_market_data", "evolution_cycle"}
        assert len(instance.get_materialized_partitions(dg.AssetKey("candles"))) == (LAST - FIRST).days + 1
        assert instance.get_materialized_partitions(dg.AssetKey("deployed_configs")) == {LAST.isoformat()}


def test_dagsters_log_goes_to_a_file_not_over_the_progress(finished_run: Finished) -> None:
    logs = sorted((finished_run.data_dir / "logs").iterdir())
    assert [log.name.rsplit("-", 1)[-1] for log in logs] == ["evolution_cycle.log", "ingest_market_data.log"]
    assert all("RUN_SUCCESS" in log.read_text(encoding="utf-8") for log in logs)
    assert "RUN_SUCCESS" not in finished_run.out


def test_the_same_command_again_leaves_the_same_bytes(
    call: Callable[..., Said], finished_run: Finished, tmp_path: Path
) -> None:
    shutil.copytree(finished_run.data_dir, tmp_path / "data")
    again = call("run", "--world", finished_run.world, "--profile", "smoke", "--threads", "2", "--json")
    assert again.code == 0, again.err
    assert contents(tmp_path / "data") == contents(finished_run.data_dir)
    assert json.loads(again.out)["date"] == LAST.isoformat()


def test_when_nothing_survives_the_run_succeeds_and_shows_who_fell_where(
    call: Callable[..., Said], tmp_path: Path
) -> None:
    (tmp_path / "flat.yaml").write_text(WITHOUT_AN_EDGE, encoding="utf-8")
    said = call("run", "--world", "flat.yaml", "--profile", "smoke")
    assert said.code == 0, said.err
    assert "Nothing was deployed" in said.out
    assert "stopped by" in said.out
    assert "Next: quant-organism ui --profile smoke --world flat.yaml" in said.out


def test_of_two_at_once_one_is_refused_and_told_who_computes(tmp_path: Path) -> None:
    world = write_world(tmp_path)
    command = ("run", "--world", world, "--profile", "smoke", "--json")
    with start(*command, folder=tmp_path) as one, start(*command, folder=tmp_path) as other:
        while one.poll() is None and other.poll() is None:
            time.sleep(0.05)
        loser, winner = (one, other) if one.poll() is not None else (other, one)
        out, _ = loser.communicate()
        assert winner.poll() is None
        winner.kill()
    assert loser.returncode == 2
    refusal = json.loads(out)["error"]
    assert refusal["kind"] == "BusyError"
    assert f"process {winner.pid}" in refusal["what"]


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_torn_and_the_rerun_equals(finished_run: Finished, tmp_path: Path) -> None:
    killed = killed_far_away()
    assert killed.torn == {moment: [] for moment in MOMENTS}
    assert contents(killed.data_dir) == contents(finished_run.data_dir)
    shutil.copytree(killed.data_dir / "dagster_home", tmp_path / "dagster_home")
    with open_instance(tmp_path) as instance:
        assert instance.get_runs_count() > len(MOMENTS)
        in_progress = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
        assert instance.get_runs_count(in_progress) == 0


def test_ctrl_c_says_how_to_go_on_and_leaves_no_run_behind(finished_run: Finished, tmp_path: Path) -> None:
    with start("run", "--world", finished_run.world, "--profile", "smoke", folder=tmp_path) as process:
        wait_for(tmp_path / "data", "market_panel", process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command again" in err
    assert "Traceback" not in err
    with open_instance(tmp_path / "data") as instance:
        newest = instance.get_runs(limit=1)[0]
        assert newest.is_finished
        assert not newest.is_success


def test_settings_come_from_options_then_environment_then_file(
    call: Callable[..., Said], tmp_path: Path, monkeypatch: object
) -> None:
    (tmp_path / "quant_organism.toml").write_text('[market]\nworld = "nowhere"\n', encoding="utf-8")
    assert "nowhere" in call("run").err
    assert "elsewhere" in call("run", "--world", "elsewhere").err
