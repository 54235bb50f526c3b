"""What the demo costs: `quant-organism run --world demo` in a new process and an empty folder, stage by stage.

Everything is in CPU seconds of all cores, those of processes that it starts included, so that what else the machine
does counts for little; the seconds on the clock stand beside them. A stage is what a progress bar has the name of; what
lies between two of them (Dagster, tables, pages) is `between`. The warm run uses the kernels of the checkout, which are
compiled before where any is missing. `make bench NAME=run COLD=1` measures a run that has none as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks.evaluator import ROOT, cpu_seconds, row
from quant_organism.backtest.precompile import compile_all
from quant_organism.orchestration.driver import Driver
from quant_organism.settings import load_settings

BETWEEN: Final = "between"


class StageClock:
    """Adds up the CPU seconds of this process and of those it has waited for, by what the progress bars call them."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._now, self._last = cpu_seconds(), "Start"

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        """Take what was spent since the last call: the stage's, unless it only begins."""
        before, self._now = self._now, cpu_seconds()
        self.seconds[what if done or what == self._last else BETWEEN] += self._now - before
        self._last = what if done < total else BETWEEN


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    compile_all()
    rows = _rows("warm", "kernels at hand")
    if os.environ.get("COLD"):
        with tempfile.TemporaryDirectory() as kernels:
            rows += _rows("cold", "without any kernel", NUMBA_CACHE_DIR=kernels)
    return rows


def _rows(state: str, note: str, **environment: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.run"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            check=True,
        )
        clock = time.perf_counter() - began
    stages = json.loads(child.stdout.splitlines()[-1])
    whole = sum(stages.values())
    return [
        row(f"demo_{state}_s", whole, "CPU s", f"the demo, {note}; {clock:.0f} s on the clock"),
        *(
            row(f"demo_{state}_{name.lower().replace(' ', '_')}_s", seconds, "CPU s", f"{seconds / whole:.0%}")
            for name, seconds in stages.items()
        ),
    ]


def demo(folder: Path) -> dict[str, float]:
    """Run the demo in a folder and return the CPU seconds of its stages, imports of this process included."""
    clock = StageClock()
    clock.seconds["Imports"] = cpu_seconds()
    driver = Driver(load_settings({"data_dir": folder, "market": {"world": "demo"}}), clock)
    driver.cycle(driver.days(None))
    clock(BETWEEN, 0, 1, "")
    return dict(clock.seconds)


if __name__ == "__main__":
    print(json.dumps(demo(Path.cwd() / "data")))  # noqa: T201
