"""The population evaluator beside raptorbt, a backtester in Rust, on a mixed generation of a search.

raptorbt is handed finished signals and trades them long only, without stops, funding, margin and sizes by conviction,
which it does not know or not in its batches; it delivers metrics of each genome on each asset. The evaluator makes
indicators, trades both sides by all rules of docs/execution.md, and delivers a portfolio for each genome besides. Both
are measured in seconds of one core and in turn; raptorbt runs in an environment of its own, with one thread.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluator import (
    COSTS,
    GENERATIONS,
    MIXED_ASSETS,
    MIXED_BARS,
    ROOT,
    core_seconds,
    panel,
    row,
    rule_families,
)
from quant_organism.backtest import Evaluator, signal_bars
from quant_organism.errors import IntegrityError
from quant_organism.market.panel import Panel
from quant_organism.strategies import COLUMNS, Genome, GenomeSampler, IndicatorStore, signal
from quant_organism_tests.environments import SECONDS, python_with

HERE = Path(__file__).parent / "raptorbt_batch"
ENVIRONMENT = ROOT / "benchmarks" / "results" / "raptorbt"
EACH = 8
"""Genomes of each family."""


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    python = python_with(HERE / "requirements.txt", ENVIRONMENT)
    market, names, rng = panel(MIXED_BARS, MIXED_ASSETS), rule_families(), np.random.default_rng(4)
    sampler = GenomeSampler([signal_bars(market, asset, market.n_bars) for asset in range(market.n_assets)])
    generations = [[sampler.draw(rng, name) for name in names for _ in range(EACH)] for _ in range(GENERATIONS + 1)]
    one = Evaluator(threads=1)
    one.evaluate(generations[-1], market.window(0, 2_000), COSTS)
    ours, theirs = [], []
    for genomes in generations:
        ours.append(core_seconds(lambda genomes=genomes: one.evaluate(genomes, market, COSTS)))
        theirs.append(raptorbt_seconds(python, genomes, market))
    bars = len(generations[0]) * market.close.size / 1e6
    new, known, rust = bars / ours[0], bars / statistics.median(ours[1:]), bars / statistics.median(theirs)
    least, most = bars / max(theirs), bars / min(theirs)
    size = f"{len(generations[0])} genomes of {len(names)} families x {MIXED_ASSETS} assets x {MIXED_BARS:,} bars"
    return [
        row("raptorbt_msb", rust, "M/s", f"long only, signals given, no stops or funding ({least:.1f} to {most:.1f})"),
        row("mixed_104_vs_raptorbt", known / rust, "x", f"{size}, known market: {known:.1f} M/s; goal 6"),
        row("mixed_104_new_vs_raptorbt", new / rust, "x", f"on a market never seen: {new:.1f} M/s"),
    ]


def raptorbt_seconds(python: Path, genomes: list[Genome], market: Panel) -> float:
    """Return the seconds of a core that raptorbt takes for the long side of genomes on all assets.

    Raises
    ------
    IntegrityError
        It did not make the trades that the signals ask for.
    """
    times, wanted, models = np.ascontiguousarray(market.times * 1_000_000), 0, IndicatorStore(2**28)
    with tempfile.TemporaryDirectory() as folder:
        for asset, symbol in enumerate(market.symbols):
            columns = {name: np.ascontiguousarray(getattr(market, name)[:, asset]) for name in COLUMNS}
            long = np.array([signal(genome, columns, store=models) > 0 for genome in genomes])
            before = np.zeros_like(long)
            before[:, 1:] = long[:, :-1]
            entries, exits = long & ~before, ~long & before
            # What is decided at the last close is never filled.
            wanted += int(entries[:, :-1].sum())
            prices = {name: columns[name] for name in ("open", "high", "low", "close", "volume")}
            np.savez(Path(folder) / f"{symbol}.npz", timestamps=times, entries=entries, exits=exits, **prices)
        alone = {"RAPTORBT_NO_VERSION_CHECK": "1", "RAYON_NUM_THREADS": "1"}
        bare = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        command = [python, HERE / "batch.py", folder]
        done = subprocess.run(command, env=bare | alone, capture_output=True, check=True, text=True, timeout=SECONDS)
    told = json.loads(done.stdout)
    if told["trades"] != wanted:
        raise IntegrityError(
            f"raptorbt made {told['trades']:,} trades, the signals ask for {wanted:,}",
            where="benchmarks/raptorbt_batch/batch.py",
            remedy="hand it the entries and exits of the same signals",
        )
    return float(told["seconds"])
