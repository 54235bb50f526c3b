"""What grows: nights as the shipped schedule lives them, one after another in one data folder, two years of them.

Each night the nightly schedule is asked what it asks for at 00:30 UTC of that night, and afterwards the sensor of
re-evolution, on a real Dagster instance; what they ask for runs in this process: the official cycle in the first night
of an ISO week, market data and marks in the others, a search in sample when a strategy decays. Smoke profile, light
gates, two symbols of the demonstration market in bars of four hours, 120 days of history, which is the long line alone.

It goes on where it was stopped, with no more nights than two years have: `make bench NAME=growth NIGHTS=30` lives 30
nights more, each start in a new process. A night in which it was killed counts as it was left.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any, Final

import dagster as dg
import numpy as np
import yaml

from benchmarks.evaluator import ROOT, row
from quant_organism.market import Interval
from quant_organism.market.world import WorldSource, load_world
from quant_organism.orchestration.definitions import build_definitions
from quant_organism.orchestration.home import open_instance, settle_runs
from quant_organism.orchestration.jobs import NIGHTLY
from quant_organism.orchestration.logs import to_file
from quant_organism.orchestration.run_lock import run_lock
from quant_organism.resilience import return_freed_memory
from quant_organism.settings import Settings, load_settings

FOLDER: Final = ROOT / "benchmarks" / "results" / "growth"
WORLD: Final = FOLDER / "two_years.yaml"
NIGHTS: Final = FOLDER / "nights.jsonl"
CURSOR: Final = FOLDER / "cursor.json"
PARTS: Final = ("lake", "dagster_home", "reports", "strategies", "logs", "checkpoints")
SYMBOLS: Final = ("SIM-ASH", "SIM-ELM")
LOOKBACK: Final = 120
YEARS: Final = 730
_MB: Final = 1024 * 1024


def settings() -> Settings:
    """Return the settings of every night."""
    market = {
        "source": "world",
        "world": str(WORLD),
        "interval": "4h",
        "symbols": SYMBOLS,
        "lookback_days": LOOKBACK,
    }
    said = {"profile": "smoke", "threads": 1, "market": market, "validation": {"gates": "light"}}
    return load_settings({"data_dir": FOLDER / "data", **said})


def run() -> list[dict[str, Any]]:
    """Live through some more nights, and return one row per metric of all that were ever lived through."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    # The demonstration market goes on for as long as the nights do; the days that it has by itself are the same.
    world = load_world("demo").model_copy(update={"days": LOOKBACK + YEARS})
    WORLD.write_text(yaml.safe_dump({**world.model_dump(mode="json"), "start": world.start}), encoding="utf-8")
    wanted = int(os.environ.get("NIGHTS", "30"))
    subprocess.run([sys.executable, "-m", "benchmarks.growth", str(wanted)], cwd=ROOT, check=True)
    nights = [json.loads(line) for line in NIGHTS.read_text().splitlines()]
    return [*_growth(nights), *_pace(nights)]


def _growth(nights: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tell what a night of the later half adds, and how straight the line of that half is."""
    rows = [row("nights", len(nights), "", f"{nights[0]['day']} to {nights[-1]['day']}, {LOOKBACK} days of history")]
    later = len(nights) // 2
    for name in (*PARTS, "files", "events_mb", "rss_mb"):
        values = np.array([night[name] for night in nights], dtype=float)
        before, (slope, straight) = _line(values[:later])[0], _line(values[later:])
        note = f"R2 {straight:.4f}; {before:.4g} in the first half; {values[0]:.4g} at first, now {values[-1]:.4g}"
        rows.append(row(f"{name}, a night", slope, "files" if name == "files" else "MB", note))
    return rows


def _line(values: np.ndarray) -> tuple[float, float]:
    """Return the slope of a line through values, and the share of their variance that lies on it."""
    at = np.arange(values.size)
    line = np.polyfit(at, values, 1)
    rest, all_of_it = np.square(values - np.polyval(line, at)).sum(), np.square(values - values.mean()).sum()
    return float(line[0]), float(1.0 - rest / all_of_it) if all_of_it > 0 else 1.0


def _pace(nights: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tenth = max(1, len(nights) // 10)
    rows = []
    for kind, searches in (("with a cycle", True), ("of marks", False)):
        for name, some in (("first", nights[1 : 1 + tenth]), ("last", nights[-tenth:])):
            spent = [each["cpu"] for each in some if (NIGHTLY in each["jobs"] and each["cycle"]) is searches]
            if spent:
                note = f"median of {len(spent)} among the {name} {tenth} nights"
                rows.append(row(f"CPU seconds, {name} nights {kind}", float(np.median(spent)), "s", note))
    return rows


def live(wanted: int) -> None:
    """Live through nights in this process, and write a line for each when it is over."""
    mine = settings()
    source = WorldSource(load_world(str(WORLD)))
    first = source.span(Interval.parse("4h"))[0] + timedelta(days=LOOKBACK)
    definitions = build_definitions(mine)
    done = len(NIGHTS.read_text().splitlines()) if NIGHTS.exists() else 0
    with open_instance(mine.data_dir) as instance:
        with run_lock(mine.data_dir):
            settle_runs(instance)
        for night in range(done, min(done + wanted, YEARS)):
            day = first + timedelta(days=night)
            return_freed_memory()
            began, cpu = time.perf_counter(), time.process_time()
            lived = [_execute(definitions, instance, day, asked) for asked in _asked(definitions, instance, day)]
            spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
            told = {"day": str(day), "jobs": [job for job, _ in lived], "cycle": any(whole for _, whole in lived)}
            with NIGHTS.open("a") as lines:
                lines.write(json.dumps({**told, **spent, **_sizes(mine.data_dir)}) + "\n")


def _asked(definitions: dg.Definitions, instance: dg.DagsterInstance, day: date) -> Iterator[dg.RunRequest]:
    """Ask the schedule in the night after a day, and once that is lived, the sensor."""
    how = {"resources": definitions.resources, "repository_def": definitions.get_repository_def()}
    tonight = datetime.combine(day + timedelta(days=1), clock(0, 30), UTC)
    with dg.build_schedule_context(instance, scheduled_execution_time=tonight, **how) as context:
        yield from definitions.resolve_schedule_def("nightly").evaluate_tick(context).run_requests or ()
    cursor = CURSOR.read_text() if CURSOR.exists() else None
    with dg.build_sensor_context(instance, cursor, **how) as context:
        seen = definitions.resolve_sensor_def("re_evolution").evaluate_tick(context)
    yield from seen.run_requests or ()
    CURSOR.write_text(seen.cursor or "")


def _execute(
    definitions: dg.Definitions, instance: dg.DagsterInstance, day: date, asked: dg.RunRequest
) -> tuple[str, bool]:
    """Run what was asked for, and return its job and whether it was all of that."""
    job = asked.job_name or NIGHTLY
    logs = FOLDER / "data" / "logs"
    logs.mkdir(exist_ok=True)
    definitions.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=asked.partition_key,
        asset_selection=asked.asset_selection,
        run_config={**asked.run_config, **to_file(logs / f"{day}-{job}.log")},
        tags=dict(asked.tags),
    )
    return job, asked.asset_selection is None


def _sizes(data_dir: Path) -> dict[str, float]:
    """Return what a data folder takes on the disk, in MB by part, how many files it has, and the memory of this."""
    sizes, files, events = dict.fromkeys(PARTS, 0.0), 0, 0.0
    for part in PARTS:
        for folder, _, names in os.walk(data_dir / part):
            for name in names:
                there = os.stat(os.path.join(folder, name))
                sizes[part] += there.st_blocks * 512 / _MB
                events += there.st_size / _MB if part == "dagster_home" and ".db" in name else 0.0
            files += len(names)
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / _MB
    return {**sizes, "files": float(files), "events_mb": events, "rss_mb": rss}


if __name__ == "__main__":
    live(int(sys.argv[1]))
