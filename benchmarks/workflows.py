"""What a workflow adds to the work that its phases do, and how fast the records of one run are found among a million.

A phase and the direct call that it stands for are measured in turn, in CPU seconds, each with an evaluator and a lake
of its own, in which others have run that day and left nothing but folders. Beside the call a phase enters every genome
in the trial ledger, ranks and writes its results, and keeps a checkpoint. A search enters its genomes in the ledger
either way, so a grid is held against three: the evaluator alone, with the ledger, and with the ledger and a ranked
table of results, which is what anyone would write who has no workflow. Queries are wall time, the least of several.
"""

from __future__ import annotations

import gc
import itertools
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.evaluator import row
from quant_organism.backtest import Costs, Evaluation, Evaluator
from quant_organism.cycle import Compute, Cycle, CyclePlan, SignificancePlan, SplitPanel
from quant_organism.cycle.stages import ask_pretest, search
from quant_organism.deployment import StrategyRepository
from quant_organism.evolution import EvolutionSpec
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.market import Lake, Panel, day_of
from quant_organism.market.query import ask, connect
from quant_organism.market.stored import encode, parquet_bytes
from quant_organism.market.world import load_world
from quant_organism.market.world.generator import generate
from quant_organism.resilience import write_file, write_files
from quant_organism.strategies import default_genome
from quant_organism.strategies.genome import canonical_json
from quant_organism.validation.profile import Profile
from quant_organism.workflows import (
    TABLES,
    WorkflowResultTable,
    WorkflowStore,
    Workplace,
    correlation_id,
    parse_workflow,
    plan_workflow,
    run_workflow,
)
from quant_organism.workflows.inputs import BATCH
from quant_organism.workflows.kinds import RESULT_METRICS

REPEATS: Final = 9
RUNS: Final = 1_000
ROWS: Final = 1_000
QUERIES: Final = 20
FAMILY: Final = "donchian_breakout"
Axes = Mapping[str, Mapping[str, Sequence[float]]]
"""By family, and by gene, the values of a grid."""

Task = Callable[[Path], None]
"""What is measured, in a folder of its own."""

GRIDS: Final[Mapping[str, Axes]] = {
    "one quick rule": {
        FAMILY: {"channel_period": list(range(20, 100, 2)), "exit_period_ratio": [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}
    },
    "six rules": {
        FAMILY: {"channel_period": list(range(20, 168, 15)), "breakout_threshold": [0.001 * n for n in range(10)]},
        "ema_crossover": {"fast_ema_period": list(range(6, 16)), "slow_ema_period": list(range(30, 110, 8))},
        "rsi_filter": {"rsi_period": list(range(8, 28, 2)), "oversold_threshold": list(range(16, 36, 2))},
        "sma_trend_filter": {"fast_sma_period": list(range(10, 80, 7)), "slow_sma_period": list(range(100, 300, 20))},
        "stochastic_oscillator": {"k_period": list(range(10, 110, 10)), "d_period": list(range(3, 13))},
        "vwap_reversion": {
            "vwap_period": list(range(10, 190, 18)),
            "reversion_threshold": [0.002 + 0.002 * n for n in range(10)],
        },
    },
    "one quick rule, large": {
        FAMILY: {
            "channel_period": list(range(20, 100)),
            "exit_period_ratio": [round(0.25 + 0.02 * n, 2) for n in range(30)],
        }
    },
}
SEARCH: Final = EvolutionSpec(families=("donchian_breakout", "rsi_filter"), islands=2, population=30, generations=4)
BEGUN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def run() -> list[dict[str, Any]]:
    """Measure phases against direct calls, then queries."""
    panel = generate(load_world("demo"), 0)[0].panel()
    evolution = {
        "name": "bred",
        "type": "optimization",
        "method": "evolution",
        "evolution": SEARCH.model_dump(include={"families", "islands", "population", "generations"}, mode="json"),
    }
    rows = []
    for rule, axes in GRIDS.items():
        points = sum(math.prod(map(len, own.values())) for own in axes.values())
        name, document = f"grid of {points:,}, {rule}", grid(axes)
        directs = {
            f"{name}{beside}": partial(evaluated, panel, axes, is_counted=is_counted, is_kept=is_kept)
            for beside, is_counted, is_kept in (
                ("", False, False),
                (" beside the ledger", True, False),
                (" beside ledger and table", True, True),
            )
        }
        rows += overhead(directs, partial(phase, panel, document))
    return [*rows, *overhead({"search": partial(bred, panel)}, partial(phase, panel, evolution)), *queries()]


def grid(axes: Axes) -> dict[str, Any]:
    """Return the phase that tries a grid."""
    parameters = {f"{family}.{name}": list(values) for family, own in axes.items() for name, values in own.items()}
    return {
        "name": "grid",
        "type": "optimization",
        "strategies": [{"name": family, "type": family} for family in axes],
        "optimization": {"parameters": parameters},
    }


def overhead(directs: Mapping[str, Task], through: Task) -> list[dict[str, Any]]:
    """Return what each of some calls takes directly, and how much longer the phase takes than it.

    Who comes after whom matters by more than is asked about: a round asks all in an order of its own.
    """
    tasks = [*directs.values(), through]
    for task in tasks:
        seconds(task)
    rng, rounds = np.random.default_rng(0), np.empty((REPEATS, len(tasks)))
    for number in range(REPEATS):
        for place in rng.permutation(len(tasks)):
            rounds[number, place] = seconds(tasks[place])
    rows = []
    for name, alone in zip(directs, rounds.T, strict=False):
        added = rounds[:, -1] / alone - 1
        note = f"median of {REPEATS} rounds, from {added.min():.3f} to {added.max():.3f}"
        rows += [
            row(f"{name}: direct", float(np.median(alone)), "s", f"CPU, median of {REPEATS}, in turn with the phase"),
            row(f"{name}: overhead of the phase", float(np.median(added)), "share", note),
        ]
    return rows


def evaluated(panel: Panel, axes: Axes, root: Path, *, is_counted: bool, is_kept: bool) -> None:
    """Measure the grid's genomes on the days that a search may see; enter them in the ledger, write a table, or not."""
    costs = Costs()
    genomes = [
        reference.changed(dict(zip(own, values, strict=True)))
        for reference, own in ((default_genome(family), own) for family, own in axes.items())
        for values in itertools.product(*own.values())
    ]
    span = SplitPanel(panel).splits.in_sample
    evaluator, seen = Evaluator(threads=1), panel.window(0, span.stop)
    identified = panel.window(span.start, span.stop).hash
    ledger, parts = TrialLedger(root / "lake"), []
    for first in range(0, len(genomes), BATCH):
        found = evaluator.evaluate(genomes[first : first + BATCH], seen, costs, start=span.start, stop=span.stop)
        if is_counted:
            identity = LedgerIdentity(
                spec_hash=genomes[0].hash,
                panel_hash=identified,
                costs_hash=costs.hash,
                cycle="bench",
                generation=first,
                market=panel.market,
            )
            ledger.append([found], identity)
        parts.append(found)
    if is_kept:
        write_file(root / "results.parquet", parquet_bytes(ranked(parts), {}))


def ranked(parts: Sequence[Evaluation]) -> pl.DataFrame:
    """Return genomes with their genes and metrics, the best first."""
    genomes = [genome for part in parts for genome in part.genomes]
    columns: dict[str, Any] = {
        "genome": [genome.id for genome in genomes],
        "genes": [canonical_json(genome.genes) for genome in genomes],
        **{name: np.concatenate([part.metrics[name] for part in parts]) for name in RESULT_METRICS},
    }
    return pl.DataFrame(columns, nan_to_null=True).sort("sharpe", descending=True, nulls_last=True)


def bred(panel: Panel, root: Path) -> None:
    """Test before the search, and search, as a cycle does."""
    cycle = Cycle(
        plan=CyclePlan(spec=SEARCH, gates=Profile.load("light"), significance=SignificancePlan.profile("smoke")),
        lake=Lake(root / "lake"),
        market=panel.market,
        interval=panel.interval,
        day=day_of(int(panel.times[-1])),
        data=SplitPanel(panel),
        compute=Compute(threads=1),
    )
    cycle.begin()
    pretested = ask_pretest(cycle).table
    for table, frame in search(cycle, pretested).tables.items():
        cycle.write(table, frame)


def phase(panel: Panel, document: dict[str, Any], root: Path) -> None:
    """Run a workflow of one phase."""
    source = json.dumps({"workflow": {"name": "bench", "phases": [document]}}).encode()
    place = Workplace(
        lake=Lake(root / "lake"),
        market=panel.market,
        interval=panel.interval,
        data=SplitPanel(panel),
        folder=root / "runs",
        repository=StrategyRepository(root / "strategies"),
        compute=Compute(threads=1),
        clock=time.monotonic,
        now=lambda: BEGUN,
    )
    done = run_workflow(plan_workflow(parse_workflow(source), root), source, correlation_id(BEGUN, bytes(4)), place)
    assert not done.failed, done.failed[0].note


def queries() -> list[dict[str, Any]]:
    """Return how long the results of one run take to be read among those of all runs."""
    rng = np.random.default_rng(0)
    ids = [correlation_id(BEGUN + timedelta(hours=n), rng.bytes(4)) for n in range(RUNS)]
    asked = ids[RUNS // 2]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        frame = results(rng)
        write_files((part(root, id), encode(WorkflowResultTable, frame)) for id in ids)
        store = WorkflowStore(root, root / "runs", asked)
        views = connect(root, TABLES)
        sql = f"select * from workflow_results where workflow = '{asked}'"
        assert ask(views, sql).height == store.read(WorkflowResultTable).height == ROWS
        by_path, by_sql = (least(query) for query in (lambda: store.read(WorkflowResultTable), lambda: ask(views, sql)))
        whole = least(lambda: ask(connect(root, TABLES), sql))
    note = f"{ROWS:,} results of one run of {RUNS:,}, a million rows in all; least of {QUERIES}"
    return [
        row("by correlation id, from Python", by_path, "ms", note),
        row("by correlation id, in SQL", by_sql, "ms", note),
        row("by correlation id, connecting first", whole, "ms", note),
    ]


def results(rng: np.random.Generator) -> pl.DataFrame:
    """Return the results of a phase."""
    columns = {}
    for name, kind in WorkflowResultTable.schema.items():
        if kind == pl.Float64:
            columns[name] = pl.Series(name, rng.standard_normal(ROWS))
        elif kind == pl.String:
            columns[name] = pl.Series(name, ["grid" if name == "phase" else "all" if name == "part" else "-"] * ROWS)
        elif kind == pl.Boolean:
            columns[name] = pl.Series(name, [True] * ROWS)
        else:
            columns[name] = pl.Series(name, range(1, ROWS + 1), dtype=kind)
    return pl.DataFrame(columns)


def part(root: Path, id: str) -> Path:
    """Return the file of a run's only phase."""
    day = date(int(id[9:13]), int(id[13:15]), int(id[15:17]))
    return root / WorkflowResultTable.dataset / f"date={day.isoformat()}" / f"workflow={id}" / "grid.parquet"


def seconds(task: Task) -> float:
    """Return the CPU seconds of a task, in a lake that is in use; it inherits nobody's garbage, and leaves its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("trials", *(f"{table.dataset}/date={BEGUN.date()}" for table in TABLES)):
            (root / "lake" / name).mkdir(parents=True)
        (root / "runs").mkdir()
        gc.collect()
        began = time.process_time()
        task(root)
        return time.process_time() - began


def least(task: Callable[[], object]) -> float:
    """Return the milliseconds of a query, the least of several."""
    taken = []
    for _ in range(QUERIES):
        began = time.perf_counter()
        task()
        taken.append(time.perf_counter() - began)
    return 1_000.0 * min(taken)
