"""The Dagster instance of a data folder: its settings, the environment it needs, and runs that died."""

import glob
import os
import signal
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import dagster as dg
from filelock import FileLock

from quant_organism.errors import BusyError, InputError, IntegrityError, StorageError
from quant_organism.orchestration.history import SQLITE_SECTION, HistoryServer, variable_of
from quant_organism.orchestration.run_lock import is_computing
from quant_organism.resilience import damage_of, write_file

COMMAND_TAG: Final = "quant_organism/command"
"""On runs that a command executes inside its own process, with the data folder's run lock held."""

_WITH_A_PROCESS: Final = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]

_EVENTS_PER_BATCH: Final = 4096
_ALWAYS_OPEN: Final = frozenset({"runs.db", "index.db", "schedules.db"})
_QUICK_BYTES: Final = 100_000_000
_LAUNCH_S: Final = 60.0
"""A run that was launched this short a time ago may not have said yet which process it is in."""

INSTANCE_YAML: Final = f"""\
# Settings of the Dagster instance behind the web UI. Written by quant-organism; edits are kept.

telemetry:
  enabled: false
nux:
  enabled: false  # no sign-up panel in the web UI

# One run at a time: a cycle uses all cores by itself, and runs wait in a queue in the order they came.
concurrency:
  runs:
    max_concurrent_runs: 1

{SQLITE_SECTION}"""

_MOVED: Final = {
    """\
  module: quant_organism.orchestration.event_storage
  class: BatchingSqliteEventLogStorage
""": """\
  module: quant_organism.orchestration
  class: EventLog
""",
    """\
# SQLite, with range backfills written in one transaction. For a shared instance, put a `storage: postgres:` section
# in its place.
""": "".join(SQLITE_SECTION.splitlines(keepends=True)[:2]),
}
"""What stands in the settings of older data folders, and what today stands in its place."""


def prepare_home(data_dir: Path) -> Path:
    """Make the Dagster home of a data folder and return it; settings that are there already stay as they are.

    Raises
    ------
    InputError
        Dagster would not find its settings in a folder of this name.
    StorageError
        The folder cannot be written.
    """
    home = data_dir.resolve() / "dagster_home"
    if glob.escape(str(home)) != str(home):
        raise InputError(
            "the folder's path has one of the characters * ? [ in it, and Dagster would not find its settings there",
            where=str(data_dir.resolve()),
            remedy="rename the folder, or choose another one with --data-dir",
        )
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "dagster.yaml").exists():
            write_file(home / "dagster.yaml", INSTANCE_YAML.encode())
        _rename(home / "dagster.yaml")
    except OSError as error:
        raise StorageError(
            f"the Dagster home cannot be written: {error.strerror}",
            where=str(home),
            remedy="make the folder writable, or choose another one with --data-dir",
        ) from error
    return home


def _rename(path: Path) -> None:
    """Put today's names in the place of earlier ones; all else is as it was."""
    before = after = path.read_text(encoding="utf-8")
    for earlier, today in _MOVED.items():
        after = after.replace(earlier, today)
    if after != before:
        write_file(path, after.encode())


def environment(home: Path) -> Mapping[str, str]:
    """Return the variables that Dagster reads, for this process and its children."""
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DAGSTER_EVENT_BATCH_SIZE": str(_EVENTS_PER_BATCH),
    }


def open_instance(data_dir: Path) -> dg.DagsterInstance:
    """Open the persistent instance of a data folder.

    Processes open it one after the other: Dagster writes the tables of a new one without a lock, and two at once
    would leave its databases with two versions each, which nothing opens any more.

    Raises
    ------
    InputError, StorageError
        As `prepare_home` does, or the server of its history cannot be reached.
    IntegrityError
        One of its databases is damaged, or the server holds the history of another folder.
    """
    home = prepare_home(data_dir)
    server = HistoryServer.of(home)
    claimed = server is None or server.check()
    for path, damage in damaged_databases(home, names=_ALWAYS_OPEN).items():
        raise IntegrityError(
            f"a database of the Dagster instance is damaged: {damage}",
            where=str(path),
            remedy=f"move {home} away: history in the web UI begins anew then, and lake, documents and reports stay",
        )
    os.environ.update(environment(home))
    with FileLock(home / "opening.lock"):
        instance = dg.DagsterInstance.from_config(str(home))
    if server is not None and not claimed:
        with server.engine.begin() as connection:
            server.claim(connection)
    return instance


def damaged_databases(home: Path, *, names: Collection[str] | None = None) -> dict[Path, str]:
    """Return the SQLite files of a Dagster home that are damaged, each with what is wrong; none where it reads none.

    Parameters
    ----------
    home
        The folder.
    names
        Only files of these names, and of large ones only whether they can be opened; default: all, every page.
    """
    if variable_of(home) is not None:
        return {}
    paths = [path for path in sorted(home.rglob("*.db")) if names is None or path.name in names]
    found = {path: damage_of(path, every_page=names is None or path.stat().st_size < _QUICK_BYTES) for path in paths}
    return {path: damage for path, damage in found.items() if damage}


def settle_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process is gone (killed, power cut), so that they do not hold up others for ever.

    Call it with the data folder's run lock held: a command's own runs are dead then.

    Returns
    -------
    list of str
        Ids of the runs so marked.

    Raises
    ------
    BusyError
        A run that the web UI started is in progress.
    """
    settled = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_WITH_A_PROCESS)):
        if COMMAND_TAG not in run.tags and _is_alive(instance, run):
            raise BusyError(
                f"run {run.run_id[:8]} ({run.job_name}) is in progress in the web UI",
                where=instance.root_directory,
                remedy="wait for it, or terminate it under Runs in the web UI",
            )
        instance.report_run_failed(run, "The process of this run is gone; what it had finished is kept.")
        settled.append(run.run_id)
    return settled


def is_in_progress(instance: dg.DagsterInstance, run: dg.DagsterRun, data_dir: Path) -> bool:
    """Tell whether a run waits in the queue or some process is at it; one that was left behind is not.

    Parameters
    ----------
    instance
        Of the data folder.
    run
        Any of its runs.
    data_dir
        The data folder; a command's run is alive as long as the folder's run lock is held.
    """
    if run.status is dg.DagsterRunStatus.QUEUED:
        return True
    if run.status not in _WITH_A_PROCESS:
        return False
    return is_computing(data_dir) if COMMAND_TAG in run.tags else _is_alive(instance, run)


def interrupt_runs(instance: dg.DagsterInstance, group: int) -> dict[str, int]:
    """Interrupt the runs whose process is of a group, as the web UI's button does; return their processes by their ids.

    Parameters
    ----------
    instance
        Of the data folder.
    group
        Of the processes that the web UI has started; a command's own run is of another one.
    """
    interrupted = {}
    for run in instance.get_runs(dg.RunsFilter(statuses=_WITH_A_PROCESS)):
        process = _process_of(instance, run)
        with suppress(OSError):
            if process is not None and os.getpgid(process) == group:
                instance.report_run_canceling(run)
                os.kill(process, signal.SIGINT)
                interrupted[run.run_id] = process
    return interrupted


def _process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | None:
    """Return the process that last reported on a run."""
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    reports = [entry.get_dagster_event().engine_event_data.metadata for entry in entries]
    pids = [report["pid"].value for report in reports if "pid" in report]
    return int(str(pids[-1])) if pids else None


def _is_alive(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Tell whether the process that last reported on a run still exists; it was handed this home, another was not."""
    process = _process_of(instance, run)
    if process is None:
        return run.status is dg.DagsterRunStatus.STARTING and _was_just_launched(instance, run)
    try:
        handed = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except PermissionError:
        return True  # somebody else's process: who cannot tell does not compute over it
    except OSError:
        return False
    return f"DAGSTER_HOME={instance.root_directory}".encode() in handed


def _was_just_launched(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    record = instance.get_run_record_by_id(run.run_id)
    return record is not None and 0.0 <= time.time() - record.update_timestamp.timestamp() < _LAUNCH_S
