"""The Dagster instance of a data folder: its settings, the environment it needs, and runs that died."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import dagster as dg

from quant_organism.errors import BusyError, StorageError
from quant_organism.resilience.files import write_file

COMMAND_TAG: Final = "quant_organism/command"
"""On runs that a command executes inside its own process, with the data folder's run lock held."""

_WITH_A_PROCESS: Final = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]

_EVENTS_PER_BATCH: Final = 4096

INSTANCE_YAML: Final = """\
# Settings of the Dagster instance behind the web UI. Written by quant-organism; edits are kept.

telemetry:
  enabled: false
nux:
  enabled: false  # no sign-up panel in the web UI

# One run at a time: a cycle uses all cores by itself, and runs wait in a queue in the order they came.
concurrency:
  runs:
    max_concurrent_runs: 1

# SQLite, with range backfills written in one transaction. For a shared instance, put a `storage: postgres:` section
# in its place.
event_log_storage:
  module: quant_organism.orchestration
  class: EventLog
  config:
    base_dir:
      env: DAGSTER_HOME
"""

_MOVED: Final = {
    """\
  module: quant_organism.orchestration.event_storage
  class: BatchingSqliteEventLogStorage
""": """\
  module: quant_organism.orchestration
  class: EventLog
"""
}
"""Names in the settings of older data folders, and what stands in their place."""

WORKSPACE_YAML: Final = """\
# What Dagster's tools load: the definitions of quant_organism, as its settings describe them.
load_from:
  - python_module:
      module_name: quant_organism.orchestration.definitions
      location_name: quant_organism
"""


def prepare_home(data_dir: Path) -> Path:
    """Make the Dagster home of a data folder, with its settings unless there are some already, and return it.

    Raises
    ------
    StorageError
        The folder cannot be written.
    """
    home = data_dir.resolve() / "dagster_home"
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name, text in (("dagster.yaml", INSTANCE_YAML), ("workspace.yaml", WORKSPACE_YAML)):
            if not (home / name).exists():
                (home / name).write_text(text, encoding="utf-8")
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
    """Open the persistent instance of a data folder."""
    home = prepare_home(data_dir)
    os.environ.update(environment(home))
    return dg.DagsterInstance.from_config(str(home))


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
        if COMMAND_TAG not in run.tags and _is_alive(instance, run.run_id):
            raise BusyError(
                f"run {run.run_id[:8]} ({run.job_name}) is in progress in the web UI",
                where=instance.root_directory,
                remedy="wait for it, or terminate it under Runs in the web UI",
            )
        instance.report_run_failed(run, "The process of this run is gone; what it had finished is kept.")
        settled.append(run.run_id)
    return settled


def _is_alive(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Tell whether the Dagster process that last reported on a run still exists."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    reports = [entry.get_dagster_event().engine_event_data.metadata for entry in entries]
    pids = [report["pid"].value for report in reports if "pid" in report]
    if not pids:
        return False
    try:
        return b"dagster" in Path(f"/proc/{pids[-1]}/cmdline").read_bytes()
    except OSError:
        return False
