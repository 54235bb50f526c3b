"""How fast populations are evaluated, in seconds of one core, which do not depend on what else the machine does.

What a search sees comes first: generations of genomes of all rule-based families together, drawn as the founders of a
search are, on a market that the evaluator knows from the generations before, and on one that it has never seen, as
every copy of the significance test is. Then come what two threads make of it, the largest size of the documents, and
what the first process after an installation spends on compiling. Strategy-bars are genomes x assets x bars.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from quant_organism.backtest import Costs, Evaluator, signal_bars
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import Genome, GenomeSampler, evolving_families, get_family, random_genome

ROOT = Path(__file__).resolve().parent.parent
BARS, ASSETS, REPEATS = 8_760, 16, 3
MIXED_BARS, MIXED_ASSETS, GENERATIONS = 17_520, 8, 4
COSTS = Costs(slippage_bps=0.0, maker_fee=0.00045)
LARGE = {"genomes": 1_000, "assets": 50, "bars": 8_760}


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    rows = mixed()
    rows.append(thread_scaling(panel(BARS, ASSETS)))
    large = json.loads(in_new_process(f"from benchmarks.evaluator import large; large(**{LARGE})"))
    size = "{genomes:,} genomes of all rule-based families x {assets} assets x {bars:,} bars".format(**LARGE)
    rows.append(row("seconds_1000x50x8760", large["seconds"], "s", f"{size}, one thread, indicators included; bar 5"))
    rows.append(row("peak_mb_1000x50x8760", large["peak_mb"], "MB", "largest resident size of that process; bar 1500"))
    with tempfile.TemporaryDirectory() as cache:
        begin = "from benchmarks.evaluator import begin; begin()"
        spent = [cpu_seconds()]
        for _ in range(2):
            in_new_process(begin, NUMBA_CACHE_DIR=cache)
            spent.append(cpu_seconds())
    first, warm = np.diff(spent).tolist()
    note = "a process with one evaluation and an empty kernel cache; bar 8"
    rows.append(row("first_compile_s", first, "CPU s", note))
    rows.append(row("warm_start_s", warm, "CPU s", "the same in a new process with the kernels cached; bar 1"))
    return rows


def mixed() -> list[dict[str, Any]]:
    """Return the speed of mixed generations, each as a median, in millions of strategy-bars per second of one core."""
    market, names, rng = panel(MIXED_BARS, MIXED_ASSETS), rule_families(), np.random.default_rng(4)
    sampler = GenomeSampler([signal_bars(market, asset, market.n_bars) for asset in range(market.n_assets)])
    small, big = (
        [[sampler.draw(rng, name) for name in names for _ in range(each)] for _ in range(GENERATIONS + 1)]
        for each in (8, 40)
    )
    Evaluator(threads=1).evaluate(big[-1], market.window(0, 2_000), COSTS)
    new, known = zip(*(_generations(small[turn:] + small[:turn], market) for turn in range(REPEATS)), strict=True)
    size = f"genomes of {len(names)} families x {MIXED_ASSETS} assets x {MIXED_BARS:,} bars, one core"
    then = f"generations 2 to {GENERATIONS + 1}"
    return [
        row(
            "mixed_104_known_msb",
            statistics.median(chain.from_iterable(known)),
            "M/s",
            f"{len(small[0])} {size}, {then}",
        ),
        row("mixed_104_new_msb", statistics.median(new), "M/s", "the same on a market never seen"),
        row("mixed_520_known_msb", statistics.median(_generations(big, market)[1]), "M/s", f"{len(big[0])} {size}"),
    ]


def _generations(generations: list[list[Genome]], market: Panel) -> tuple[float, list[float]]:
    # The first generation's speed, and those of the others, by an evaluator that knows nothing yet.
    one = Evaluator(threads=1)
    took = [core_seconds(lambda genomes=genomes: one.evaluate(genomes, market, COSTS)) for genomes in generations]
    first, *others = (len(generations[0]) * market.close.size / 1e6 / seconds for seconds in took)
    return first, others


def thread_scaling(market: Panel) -> dict[str, Any]:
    """Return how much faster two threads are than one, both on a market that they know."""
    rng, one, two = np.random.default_rng(2), Evaluator(threads=1), Evaluator(threads=2)
    everyone = [random_genome(rng, name) for name in rule_families() for _ in range(80)]
    for evaluator in (one, two):
        evaluator.evaluate(everyone, market, COSTS)
    turns = [
        [seconds(lambda evaluator=evaluator: evaluator.evaluate(everyone, market, COSTS)) for evaluator in (one, two)]
        for _ in range(REPEATS)
    ]
    single, double = (statistics.median(turn[k] for turn in turns) for k in range(2))
    note = f"{len(everyone)} genomes of all rule-based families x {ASSETS} assets: {single:.2f} s and {double:.2f} s"
    return row("thread_scaling_2", single / double, "x", note)


def rule_families() -> list[str]:
    """Return the families that evolve and are not fitted."""
    return [name for name in evolving_families() if not is_fitted(name)]


def is_fitted(name: str) -> bool:
    """Say whether the genomes of a family are models that must be fitted."""
    return get_family(name).seed_type == "ml_classifier"


def large(genomes: int, assets: int, bars: int) -> None:
    """Evaluate one large population and print seconds and the process's peak memory as JSON."""
    market, names = panel(bars, assets), rule_families()
    rng, one = np.random.default_rng(3), Evaluator(threads=1)
    everyone = [random_genome(rng, names[k % len(names)]) for k in range(genomes)]
    one.evaluate(everyone[: len(names)], market.window(0, min(bars, 2000)), COSTS)
    took = core_seconds(lambda: one.evaluate(everyone, market, COSTS))
    # Not the peak of getrusage, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    peak_mb = int(status.split("VmHWM:")[1].split()[0]) / 1024
    sys.stdout.write(json.dumps({"seconds": took, "peak_mb": peak_mb}))


def begin() -> None:
    """Evaluate one genome of each rule-based family."""
    genomes = [random_genome(np.random.default_rng(0), name) for name in rule_families()]
    Evaluator().evaluate(genomes, panel(2000, 2), COSTS)


def in_new_process(code: str, **environment: str) -> str:
    """Run code in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment, capture_output=True, check=True, text=True
    )
    return done.stdout


def panel(bars: int, assets: int) -> Panel:
    """Return a market of random walks with fat tails, wicks and funding."""
    rng = np.random.default_rng(0)
    shape = (bars, assets)
    close = 100 * np.exp(np.cumsum(rng.standard_t(4.5, shape) * 0.006, axis=0))
    opens = np.vstack([close[:1], close[:-1]])
    funding = rng.normal(0, 1e-5, shape)
    reach = np.abs(rng.normal(0, 0.002, (2, *shape)))
    return Panel.from_arrays(
        symbols=[f"A{asset}" for asset in range(assets)],
        interval=Interval.parse("1h"),
        times=1_704_067_200_000 + 3_600_000 * np.arange(bars),
        open=opens,
        high=np.maximum(opens, close) * (1 + reach[0]),
        low=np.minimum(opens, close) * (1 - reach[1]),
        close=close,
        volume=1000 * np.exp(rng.normal(0, 1, shape)),
        funding_rate=funding,
        funding_paid=funding,
    )


def seconds(work: Callable[[], object]) -> float:
    """Return the duration of some work."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def core_seconds(work: Callable[[], object]) -> float:
    """Return how long some work on one core keeps it busy."""
    began = time.process_time()
    work()
    return time.process_time() - began


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the children that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


def row(metric: str, value: float, unit: str, note: str) -> dict[str, Any]:
    """Return one line of the results."""
    return {"metric": metric, "value": value, "unit": unit, "note": note}
