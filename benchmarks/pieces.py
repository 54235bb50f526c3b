"""What it costs to spread copies of a market: over processes of this machine and over Ray, one, two and four workers.

A piece is a draw of the test before the search: random strategies of each rule family on a copy of the demo market. Of
each run the first pieces of every worker, which load and compile, are left out. Efficiency is the time that one worker
takes over the time of some, over how many of them have a core: 1 where nothing is lost. The overhead of a piece is the
time of one that does nothing, with the same panel shipped.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.evaluator import row
from benchmarks.significance import SEED, in_sample
from quant_organism.backtest import Costs
from quant_organism.evolution.nursery import default_families
from quant_organism.market.panel import Panel
from quant_organism.validation import draws
from quant_organism.validation.pretest import RandomStrategies, rule_families

WORKERS = (1, 2, 4)
LEFT_OUT, MEASURED = 2, 10
"""Pieces of each worker that load and compile, and those that are measured."""

IDLE = 500
"""Pieces that do nothing, for each worker."""


@dataclass(frozen=True)
class Timed:
    """Makes draws and tells when each was done, and in which process; without strategies it does nothing else."""

    panel: Panel
    strategies: RandomStrategies | None = None

    @property
    def identity(self) -> dict[str, str]:
        """All that a piece is a function of."""
        return {"panel": self.panel.hash}

    def __call__(self, number: int) -> dict[str, float]:
        """Make a draw."""
        if self.strategies is not None:
            self.strategies(number)
        return {"done": time.monotonic(), "process": float(os.getpid())}  # one clock for all processes of a machine


def run() -> list[dict[str, Any]]:
    """Measure both places with each number of workers in turn."""
    draws.ALONE_SECONDS = 0.0  # here each worker counts from its first piece
    panel, cores = in_sample("demo", SEED), len(os.sched_getaffinity(0))
    families = rule_families(default_families(panel))
    strategies = RandomStrategies(panel, families, Costs(), threads=1, genomes=52, min_trades=30, seed=0)
    strategies(1)  # compiles, so that no worker has to
    rows = []
    for executor, place in (("threads", "processes"), ("ray", "ray")):
        alone = 0.0
        for workers in WORKERS:
            each = _seconds_each(Timed(panel, strategies), MEASURED, workers, executor)
            alone = alone or each
            note = f"{place}, {workers} at work on {cores} cores"
            rows.append(row(f"{place}_{workers}_s_per_copy", each, "s", note))
            rows.append(row(f"{place}_{workers}_efficiency", alone / each / min(workers, cores), "", note))
            idle = _seconds_each(Timed(panel), IDLE, workers, executor)
            rows.append(row(f"{place}_{workers}_overhead_ms", 1e3 * idle, "ms", f"an empty piece: {note}"))
    return rows


def _seconds_each(make: Timed, measured: int, workers: int, executor: str) -> float:
    """Return the wall seconds of a piece once all workers that made more than a few are at work."""
    numbers = range(1, 1 + (LEFT_OUT + measured) * workers)
    made = [piece for _, piece in draws.in_order(make, numbers, workers, executor)]
    done: dict[float, list[float]] = {}
    for piece in sorted(made, key=lambda piece: piece["done"]):
        done.setdefault(piece["process"], []).append(piece["done"])
    began = max(times[LEFT_OUT - 1] for times in done.values() if len(times) > LEFT_OUT)
    later = [piece["done"] for piece in made if piece["done"] > began]
    return (max(later) - began) / len(later)
