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
from quant_organism.market.schema import Interval
from quant_organism.market.world.generator import generate
from quant_organism.market.world.spec import Asset, WorldSpec
from quant_organism.strategies import Genome

DAYS = 730
CYCLE = {"islands": 10, "population": 50, "generations": 20, "assets": 8}
POINTS = (
    {"islands": 10, "population": 20, "generations": 4, "assets": 8},
    {"islands": 10, "population": 100, "generations": 4, "assets": 8},
    {"islands": 10, "population": 20, "generations": 4, "assets": 2},
    {"islands": 10, "population": 20, "generations": 4, "assets": 24},
)
"""Other sizes, for the scaling table."""


class Watched:
    """An executor, and the processor and wall time that measuring took it.

    Parameters
    ----------
    inner
        Who measures.
    """

    def __init__(self, inner: ThreadExecutor) -> None:
        self.cpu_s = self.wall_s = 0.0
        self._inner = inner

    @property
    def workers(self) -> int:
        """Workers of the executor."""
        return self._inner.workers

    def measure(self, batches: Sequence[Sequence[Genome]]) -> Iterator[tuple[int, Measured | BatchFailure]]:
        """Measure batch by batch."""
        outcomes = self._inner.measure(batches)
        for _ in batches:
            cpu, wall = time.process_time(), time.perf_counter()
            outcome = next(outcomes)
            self.cpu_s += time.process_time() - cpu
            self.wall_s += time.perf_counter() - wall
            yield outcome


def market(assets: int) -> Panel:
    """Return a simulated market without an edge."""
    listed = tuple(Asset(symbol=f"SIM-{n:02d}", volatility=1.0 + 0.1 * (n % 8)) for n in range(assets))
    bars, _ = generate(WorldSpec(name="evolution", days=DAYS, assets=listed), 1)
    columns = {name: getattr(bars, name) for name in ("symbols", "times", "open", "high", "low", "close", "volume")}
    return Panel.from_arrays(
        **columns, interval=Interval.parse("1h"), funding_rate=bars.funding_rate, funding_paid=bars.funding_rate
    )


def cycle(islands: int, population: int, generations: int, assets: int) -> None:
    """Run one cycle on two threads and print what it took as JSON."""
    panel, costs, evaluator = market(assets), Costs(), Evaluator(threads=2)
    spec = EvolutionSpec(islands=islands, population=population, generations=generations)
    executor = Watched(ThreadExecutor(panel, costs, evaluator))
    marks: list[tuple[float, float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        ledger, checkpoint = TrialLedger(Path(folder)), Checkpoint(Path(folder) / "checkpoint", {"spec": spec.hash})

        def count_trials(generation: int, evaluations: Sequence[Any]) -> None:
            identity = LedgerIdentity(
                spec_hash=spec.hash,
                panel_hash=panel.hash,
                costs_hash=costs.hash,
                cycle="benchmark",
                generation=generation,
                market="world-bench",
            )
            ledger.append(evaluations, identity)

        def save(generation: int, state: dict[str, Any], tables: dict[str, Any]) -> None:
            checkpoint.save(generation, state, tables)
            marks.append((time.process_time(), time.perf_counter(), generation))

        began_cpu, began = time.process_time(), time.perf_counter()
        found = evolve(
            panel, spec, costs, evaluator, seed=7, executor=executor, on_measured=count_trials, on_generation=save
        )
        cpu, wall = time.process_time() - began_cpu, time.perf_counter() - began
    search_cpu = marks[-1][0] - began_cpu
    generations_run = found.generations["trials"]
    later = generations_run[-1] - generations_run[0]
    # Not the peak of getrusage, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    measured = {
        "wall_s": wall,
        "cpu_s": cpu,
        "founding_cpu_s": marks[0][0] - began_cpu,
        "later_cpu_s": marks[-1][0] - marks[0][0],
        "choice_cpu_s": cpu - search_cpu,
        "overhead_cpu_s": search_cpu - executor.cpu_s,
        "search_cpu_s": search_cpu,
        "evaluations": found.search.spent.evaluations,
        "trials": found.population.height,
        "later_trials": later,
        "peak_mb": int(status.split("VmHWM:")[1].split()[0]) / 1024,
    }
    sys.stdout.write(json.dumps(measured))


def measured(size: dict[str, int]) -> dict[str, float]:
    """Return what a cycle of a size took, in a process of its own."""
    result: dict[str, float] = json.loads(in_new_process(f"from benchmarks.evolution import cycle; cycle(**{size})"))
    return result


def run() -> list[dict[str, Any]]:
    """Measure the documents' cycle, then smaller and larger ones."""
    found = measured(CYCLE)
    size = "{islands} islands x {population} x {generations} generations, {assets} assets".format(**CYCLE)
    return [
        row("cycle_500_s", found["wall_s"], "s", f"wall, two threads; {size} x {DAYS * 24:,} bars; bar 240"),
    ]
