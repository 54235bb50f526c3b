"""What a cycle costs: the documents' 500 strategies, 10 x 50 x 20, on eight assets and two years of hours.

The whole search as the assets run it, all families, fitted ones too, with its trial ledger and its checkpoints, and the
final choice after it; all 17,520 bars are searched, where a cycle searches the first 60 % of them. Each size runs in a
process of its own. Shares are of processor time: what is not measuring genomes is overhead, which is selection,
variation, judging, records, ledger and checkpoints.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evaluator import in_new_process, row
from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.checkpoint import Checkpoint
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.evolution.measuring import BatchFailure, Measured
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.panel import Panel
from quant_organism.market.world.generator import generate
from quant_organism.market.world.spec import Asset, WorldSpec
from quant_organism.strategies import Genome

DAYS = 730
CYCLE = {"islands": 10, "population": 50, "generations": 20, "assets": 8}
COMPILE = {"islands": 7, "population": 8, "generations": 1, "assets": 1}
"""A small cycle that leaves all kernels compiled."""

POINTS = {
    "40 strategies": {"islands": 5, "population": 8, "generations": 4, "assets": 8},
    "1,000 strategies": {"islands": 10, "population": 100, "generations": 4, "assets": 8},
    "2 assets": {"islands": 10, "population": 20, "generations": 4, "assets": 2},
    "8 assets": {"islands": 10, "population": 20, "generations": 4, "assets": 8},
    "16 assets": {"islands": 10, "population": 20, "generations": 4, "assets": 16},
}
"""Other sizes, for the scaling table."""


class Watched:
    """An executor, and the processor time that measuring took it.

    Parameters
    ----------
    inner
        Who measures.
    """

    def __init__(self, inner: ThreadExecutor) -> None:
        self.cpu_s = 0.0
        self._inner = inner

    @property
    def workers(self) -> int:
        """Workers of the executor."""
        return self._inner.workers

    def measure(self, batches: Sequence[Sequence[Genome]]) -> Iterator[tuple[int, Measured | BatchFailure]]:
        """Measure batch by batch."""
        outcomes = self._inner.measure(batches)
        for _ in batches:
            began = time.process_time()
            outcome = next(outcomes)
            self.cpu_s += time.process_time() - began
            yield outcome


def market(assets: int) -> Panel:
    """Return a simulated market without an edge."""
    listed = tuple(Asset(symbol=f"SIM-{n:02d}", volatility=1.0 + 0.1 * (n % 8)) for n in range(assets))
    bars, _ = generate(WorldSpec(name="evolution", days=DAYS, assets=listed), 1)
    return bars.panel()


def cycle(islands: int, population: int, generations: int, assets: int) -> None:
    """Run one cycle on two threads and print what it took as JSON."""
    panel, costs, evaluator = market(assets), Costs(), Evaluator(threads=2)
    spec = EvolutionSpec(islands=islands, population=population, generations=generations)
    executor = Watched(ThreadExecutor(panel, costs, evaluator))
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        ledger, checkpoint = TrialLedger(Path(folder)), Checkpoint(Path(folder) / "checkpoint", {"spec": spec.hash})

        def count_trials(generation: int, evaluations: Sequence[Any], seen: Panel) -> None:
            identity = LedgerIdentity(
                spec_hash=spec.hash,
                panel_hash=seen.hash,
                costs_hash=costs.hash,
                cycle="benchmark",
                generation=generation,
                market="world-bench",
            )
            ledger.append(evaluations, identity)

        def save(generation: int, state: dict[str, Any], tables: dict[str, Any]) -> None:
            checkpoint.save(generation, state, tables)
            marks.append(time.process_time())

        began_cpu, began = time.process_time(), time.perf_counter()
        found = evolve(
            panel, spec, costs, evaluator, seed=7, executor=executor, on_measured=count_trials, on_generation=save
        )
        cpu_s, wall_s = time.process_time() - began_cpu, time.perf_counter() - began
    search_cpu_s = marks[-1] - began_cpu
    # Not the peak of getrusage, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    took = {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "founding_cpu_s": marks[0] - began_cpu,
        "later_cpu_s": marks[-1] - marks[0],
        "overhead_cpu_s": search_cpu_s - executor.cpu_s,
        "choice_cpu_s": cpu_s - search_cpu_s,
        "founded": found.generations["trials"][0] + found.generations["rejected"][0],
        "evaluations": found.search.spent.evaluations,
        "peak_mb": int(status.split("VmHWM:")[1].split()[0]) / 1024,
    }
    sys.stdout.write(json.dumps(took))


def measured(size: dict[str, int]) -> dict[str, float]:
    """Return what a cycle of a size took, in a process of its own."""
    result: dict[str, float] = json.loads(in_new_process(f"from benchmarks.evolution import cycle; cycle(**{size})"))
    return result


def run() -> list[dict[str, Any]]:
    """Measure the documents' cycle, then smaller and larger ones."""
    measured(COMPILE)
    found = measured(CYCLE)
    size = "{islands} islands x {population} x {generations} generations, {assets} assets".format(**CYCLE)
    rows = [
        row("cycle_500_s", found["wall_s"], "s", f"wall, two threads: {size} x {DAYS * 24:,} bars; bar 240"),
        row("cycle_500_cpu_s", found["cpu_s"], "s", "processor time of it: " + shares(found)),
        row("evaluations_per_s", found["evaluations"] / found["wall_s"], "1/s", "genomes of the search, wall"),
        row("overhead_share", found["overhead_cpu_s"] / found["cpu_s"], "", "of processor time; bar 0.1"),
        row("peak_mb", found["peak_mb"], "MB", "largest resident size; bar 2048"),
    ]
    for name, point in POINTS.items():
        took = measured(point)
        size = "{islands} x {population} x {generations}, {assets} assets".format(**point)
        rows.append(row(f"genome_ms, {name}", genome_ms(took), "ms", f"{size}: {shares(took)}"))
    return rows


def genome_ms(took: dict[str, float]) -> float:
    """Return the processor time of a genome after the founding, all of the search included."""
    return 1e3 * took["later_cpu_s"] / (took["evaluations"] - took["founded"])


def shares(took: dict[str, float]) -> str:
    """Say where the processor time went."""
    return (
        f"founding {took['founding_cpu_s']:.1f}, generations {took['later_cpu_s']:.1f}, final choice "
        f"{took['choice_cpu_s']:.1f}, of all that not measuring {took['overhead_cpu_s']:.1f}; {took['peak_mb']:.0f} MB"
    )
