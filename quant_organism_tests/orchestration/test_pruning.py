"""What old runs said goes when it is asked for, and nothing else does: what is computed from stays to the byte."""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from quant_organism.errors import BusyError
from quant_organism.orchestration import pruning
from quant_organism.orchestration.driver import Driver
from quant_organism.orchestration.home import open_instance
from quant_organism.orchestration.pruning import find_leftovers, prune
from quant_organism.orchestration.run_lock import run_lock
from quant_organism_tests.finished import finished_run
from quant_organism_tests.program import Caller, Said
from quant_organism_tests.tiny import settings

Call = Callable[..., Said]
AGE = timedelta(days=90)
AGO = timedelta(days=200)
PASSING = ("run.lock", "run.pid", ".db-shm", ".db-wal")
"""Ends of names of what comes and goes while somebody looks."""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    return Caller(tmp_path, monkeypatch, capfd)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Return the data folder of a run that ended two hundred days ago."""
    shutil.copytree(finished_run().folder, tmp_path, dirs_exist_ok=True)
    then = (datetime.now(UTC) - AGO).timestamp()
    with sqlite3.connect(tmp_path / "data" / "dagster_home" / "history" / "runs.db") as runs:
        runs.execute("UPDATE runs SET start_time = ?, end_time = ?", (then - 60, then))
    for path in (tmp_path / "data" / "logs").glob("*.log"):
        os.utime(path, (then, then))
    return tmp_path / "data"


def content(folder: Path) -> dict[str, str]:
    """Return the digest of every file; databases are read through, since reading leaves its traces in the files."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            "\n".join(sqlite3.connect(path).iterdump()).encode() if path.suffix == ".db" else path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(PASSING)
    }


def names(data_dir: Path) -> set[str]:
    return {
        path.resolve().relative_to(data_dir.resolve()).as_posix()
        for one in find_leftovers(data_dir, AGE, datetime.now(UTC))
        for path in one.files
        if not path.name.endswith(PASSING)
    }


def recorded(data_dir: Path) -> dict[str, list[str]]:
    """Return what every asset has on record, by asset."""
    with open_instance(data_dir) as instance:
        keys = instance.all_asset_keys()
        return {key.to_user_string(): sorted(instance.get_materialized_partitions(key)) for key in keys}


def test_what_would_go_is_told_first_then_goes_and_all_else_stays(data_dir: Path, call: Call) -> None:
    before, records, named = content(data_dir), recorded(data_dir), names(data_dir)
    with open_instance(data_dir) as instance:
        runs = {run.run_id for run in instance.get_runs()}
    assert {name.split("/")[0] for name in named} == {"logs", "dagster_home"}
    assert {f"dagster_home/history/runs/{run}.db" for run in runs} <= named
    said = call("history", "prune")
    assert "Nothing was removed. To do it: " in said.out
    assert content(data_dir) == before
    said = call("history", "prune", "--yes", "--json")
    told = {kind["kind"]: kind for kind in json.loads(said.out)["kinds"]}
    assert (told["events"]["runs"], told["log"]["files"]) == (
        len(runs),
        len([name for name in named if name.startswith("logs")]),
    )
    assert told["events"]["bytes"] > 500_000
    assert content(data_dir) == {name: digest for name, digest in before.items() if name not in named}
    assert not any((data_dir / "dagster_home" / "storage").glob("*/*"))
    assert recorded(data_dir) == records
    assert call("doctor").code == 0
    assert "Nothing in" in call("history", "prune").out


def test_the_next_run_knows_its_days_and_what_they_took(data_dir: Path) -> None:
    mine = settings(data_dir.parent)
    driver = Driver(mine, lambda *_: None)
    days = driver.days(None)
    estimate = driver.estimate(days)
    prune(data_dir, AGE, datetime.now(UTC))
    with open_instance(data_dir) as instance:
        known = instance.get_runs_count()
        (run, *_) = instance.get_runs()
        assert instance.all_logs(run.run_id) == []
    driver.ingest(days)
    with open_instance(data_dir) as instance:
        assert instance.get_runs_count() == known  # no day is brought in again
    assert driver.estimate(days) == estimate
    assert estimate is not None


def test_killed_on_the_way_the_same_again_removes_the_rest(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, remove, done = content(data_dir).keys() - names(data_dir), pruning.remove_files, list[Path]()

    def killed(paths: tuple[Path, ...]) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.extend(paths[:1])
        remove(paths)

    monkeypatch.setattr(pruning, "remove_files", killed)
    with pytest.raises(KeyboardInterrupt):
        prune(data_dir, AGE, datetime.now(UTC))
    monkeypatch.undo()
    assert content(data_dir).keys() > left
    prune(data_dir, AGE, datetime.now(UTC))
    assert content(data_dir).keys() == left


def test_what_is_young_under_way_or_computed_in_is_left_alone(data_dir: Path) -> None:
    assert find_leftovers(data_dir, AGO + timedelta(days=1), datetime.now(UTC)) == []
    with sqlite3.connect(data_dir / "dagster_home" / "history" / "runs.db") as runs:
        runs.execute("UPDATE runs SET status = ?", (dg.DagsterRunStatus.STARTED.value,))
    assert {one.kind for one in find_leftovers(data_dir, AGE, datetime.now(UTC))} == {"log"}
    before = content(data_dir)
    with run_lock(data_dir), pytest.raises(BusyError):
        prune(data_dir, AGE, datetime.now(UTC))
    assert content(data_dir) == before
