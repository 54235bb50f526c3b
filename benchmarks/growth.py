"""What grows: nights of cycles one after another in one data folder, at the smoke profile, each with a day more.

Every night is a whole cycle (ingest, search, validation, documents, decisions, report), where the schedule has one a
week and marks on the other nights: what grows here grows faster than there. It goes on where it was stopped;
`make bench NAME=growth NIGHTS=30` does 30 nights more, each start in a new process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from benchmarks.evaluator import ROOT, row
from quant_organism.market.source import CandleSource
from quant_organism.market.world import load_world
from quant_organism.orchestration.driver import Driver
from quant_organism.settings import Settings, load_settings

FOLDER: Final = ROOT / "benchmarks" / "results" / "growth"
WORLD: Final = FOLDER / "two_years.yaml"
NIGHTS: Final = FOLDER / "nights.jsonl"
PARTS: Final = ("lake", "dagster_home", "reports", "strategies", "logs")
LOOKBACK: Final = 120
YEARS: Final = 730
_MB: Final = 1024 * 1024


def settings() -> Settings:
    """Return the settings of every night."""
    market = {"source": "world", "world": str(WORLD), "lookback_days": LOOKBACK}
    gates = {"gates": "light"}
    return load_settings({"data_dir": FOLDER / "data", "profile": "smoke", "market": market, "validation": gates})


def run() -> list[dict[str, Any]]:
    """Live through some more nights, and return one row per metric of all that were ever lived through."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    # The demonstration market goes on for as long as the nights do; the days that it has by itself are the same.
    world = load_world("demo").model_copy(update={"days": LOOKBACK + YEARS + 1})
    WORLD.write_text(yaml.safe_dump({**world.model_dump(mode="json"), "start": world.start}), encoding="utf-8")
    wanted = int(os.environ.get("NIGHTS", "30"))
    subprocess.run([sys.executable, "-m", "benchmarks.growth", str(wanted)], cwd=ROOT, check=True)
    nights = [json.loads(line) for line in NIGHTS.read_text().splitlines()]
    return [*_growth(nights), *_pace(nights)]


def _growth(nights: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tell what a night adds, as the slope of a line through the later half, and how straight the line is."""
    later = nights[len(nights) // 2 :]
    rows = [row("nights", len(nights), "", f"{nights[0]['day']} to {nights[-1]['day']}, {LOOKBACK} days of history")]
    for name in (*PARTS, "files", "events_mb", "rss_mb"):
        values = np.array([night[name] for night in later], dtype=float)
        slope = float(np.polyfit(np.arange(values.size), values, 1)[0])
        unit = "files" if name == "files" else "MB"
        early = np.array([night[name] for night in nights[: len(nights) // 2]], dtype=float)
        before = float(np.polyfit(np.arange(early.size), early, 1)[0])
        note = f"{before:.4g} in the first half; now {values[-1]:.4g}"
        note += "" if name == "rss_mb" else f"; two years of nights {slope * YEARS:.4g}"
        rows.append(row(f"{name}, a night", slope, unit, note))
    return rows


def _pace(nights: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tenth = max(1, len(nights) // 10)
    rows = []
    for name, of in (("first nights", nights[1 : 1 + tenth]), ("last nights", nights[-tenth:])):
        spent = float(np.median([each["cpu"] for each in of]))
        rows.append(row(f"CPU seconds, {name}", spent, "s", f"median of {len(of)} nights"))
    return rows


def live(wanted: int) -> None:
    """Live through nights in this process, and write a line for each when it is over."""
    mine = settings()
    done = len(NIGHTS.read_text().splitlines()) if NIGHTS.exists() else 0
    driver = Driver(mine, lambda what, at, total, note: None)
    source: CandleSource = driver.source
    first = source.span(driver.interval)[0] + timedelta(days=LOOKBACK)
    for night in range(done, done + wanted):
        day = first + timedelta(days=night)
        began, cpu = time.perf_counter(), time.process_time()
        driver.cycle(driver.days(day))
        spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        with NIGHTS.open("a") as lines:
            lines.write(json.dumps({"day": str(day), **spent, **_sizes(mine.data_dir)}) + "\n")


def _sizes(data_dir: Path) -> dict[str, float]:
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    sizes = dict.fromkeys(PARTS, 0.0)
    events = 0.0
    for path in files:
        size = path.stat().st_blocks * 512 / _MB
        part = path.relative_to(data_dir).parts[0]
        if part in sizes:
            sizes[part] += size
        if part == "dagster_home" and ".db" in path.name:
            events += path.stat().st_size / _MB
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / _MB
    return {**sizes, "files": float(len(files)), "events_mb": events, "rss_mb": rss}


if __name__ == "__main__":
    live(int(sys.argv[1]))
