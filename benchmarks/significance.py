"""What it costs to repeat the standard search where nothing can be found, and to ask whether there is anything to find.

On the demo world: 8 assets, 438 in-sample days of one-hour bars. `permutation_s` is the wall time of one repetition by
one process; `b99_minutes` is that of 99 with one process per core, measured on a few. CPU seconds beside them, since
wall time says little on a machine that does other things.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks.evaluator import row
from quant_organism.backtest import Costs
from quant_organism.evolution.nursery import default_families
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.panel import Panel
from quant_organism.market.splits import split
from quant_organism.market.world import load_world
from quant_organism.market.world.generator import generate
from quant_organism.validation.draws import in_order
from quant_organism.validation.permutation import SearchOnNulls, frozen_spec
from quant_organism.validation.pretest import RandomStrategies, rule_families

SEED = 5
REPETITIONS = 2
DRAWS = 99


def in_sample(world: str, seed: int) -> Panel:
    """Return the in-sample span of a world."""
    bars, _ = generate(load_world(world), seed)
    panel = bars.panel()
    return panel.window(0, split(panel.n_bars, panel.interval).in_sample.stop)


def run() -> list[dict[str, Any]]:
    """Repeat the search a few times, alone and on all cores, then measure a draw of the test before it."""
    panel, cores = in_sample("demo", SEED), len(os.sched_getaffinity(0))
    spec, left_out = frozen_spec(EvolutionSpec.profile("standard"), panel)
    searched = SearchOnNulls(panel, spec, Costs(), threads=1, seed=0)
    searched(1)  # compiles
    wall, cpu = _seconds(searched)
    draws = range(2, 2 + (1 + REPETITIONS) * cores)
    done = [time.perf_counter() for _ in in_order(searched, draws, cores)]
    each = (done[-1] - done[cores - 1]) / (len(draws) - cores)  # the first of each process load and compile
    families = rule_families(default_families(panel))
    strategies = RandomStrategies(panel, families, Costs(), threads=cores, genomes=52, min_trades=30, seed=0)
    strategies(1)
    pretest_wall, pretest_cpu = _seconds(strategies)
    what = f"standard search, {len(families)} rule families ({len(left_out)} fitted ones left out)"
    return [
        row("permutation_s", wall, "s", f"one process: {what}"),
        row("permutation_cpu_s", cpu, "s", "the same, CPU"),
        row(
            "b99_minutes",
            each * DRAWS / 60,
            "minutes",
            f"{cores} processes, from {len(draws) - cores} draws, without their start",
        ),
        row("b99_cpu_minutes_per_core", cpu * DRAWS / 60 / cores, "minutes", f"CPU time over {cores} cores"),
        row("pretest_s", pretest_wall, "s", f"500 random strategies on one copy, {cores} threads"),
        row("pretest_cpu_s", pretest_cpu, "s", "the same, CPU"),
        row("pretest_b39_s", 40 * pretest_wall, "s", "the market and 39 copies"),
    ]


def _seconds(make: Callable[[int], object]) -> tuple[float, float]:
    """Return the least wall and CPU seconds of a few draws."""
    taken = []
    for draw in range(2, 2 + REPETITIONS):
        began = time.perf_counter(), time.process_time()
        make(draw)
        taken.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return min(wall for wall, _ in taken), min(cpu for _, cpu in taken)
