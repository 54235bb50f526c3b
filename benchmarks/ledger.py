"""What a million trials cost in the ledger: bytes on disk, seconds to append to them and to count them.

The worst case for finding out what is new: all trials are of one panel, and none behaves like another, so that nothing
compresses. Seconds are CPU time, the least of several.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.evaluator import row
from quant_organism.backtest import Evaluation
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.strategies import Genome, family_names

TRIALS = 1_000_000
A_GENERATION = 500
DAYS = 730


@dataclass(frozen=True)
class NumberedGenome:
    """A genome as far as the ledger looks at it."""

    hash: str
    family: str

    @property
    def id(self) -> str:
        """Identity, as a genome has it."""
        return f"{self.family}_0_{self.hash[:8]}"


def generation(rng: np.random.Generator) -> Evaluation:
    """Return what an evaluation of a generation looks like: a common market, own ways through it, fat tails."""
    names = family_names()
    genomes = [NumberedGenome(secrets.token_hex(32), names[i % len(names)]) for i in range(A_GENERATION)]
    market = rng.standard_normal(DAYS)
    own = rng.standard_normal((A_GENERATION, DAYS))
    returns = (
        0.002 * (rng.uniform(-0.5, 1.0, (A_GENERATION, 1)) * market + own) * np.exp(0.5 * rng.standard_normal(DAYS))
    )
    sharpe = returns.mean(axis=1) / returns.std(axis=1) * np.sqrt(365)
    return Evaluation(
        genomes=cast("tuple[Genome, ...]", tuple(genomes)),
        symbols=("A",),
        metrics={
            "sharpe": sharpe,
            "turnover_per_year": rng.lognormal(5, 1, A_GENERATION),
            "trades": rng.poisson(300, A_GENERATION).astype(np.float64),
        },
        asset_metrics={},
        days=np.arange(DAYS) * 86_400_000,
        daily_returns=returns,
        bar_returns=None,
        behaviour=rng.integers(0, 2**64, A_GENERATION, dtype=np.uint64),
    )


def run() -> list[dict[str, Any]]:
    """Fill a ledger, then measure it."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ledger = TrialLedger(root)
        for number in range(TRIALS // A_GENERATION):
            ledger.append([generation(rng)], identity(number))
        size = sum(part.stat().st_size for part in root.rglob("*.parquet"))
        batches = [generation(rng) for _ in range(4)]
        first = seconds(lambda: TrialLedger(root).append([batches.pop()], identity(-1)), times=1)
        further = seconds(lambda: ledger.append([batches.pop()], identity(-2)), times=3)
        counted = seconds(lambda: TrialLedger(root).n_trials(), times=3)
        distinct = seconds(lambda: TrialLedger(root).n_behaviours(), times=3)
    note = f"{A_GENERATION} trials of {DAYS} days on a panel that has a million"
    return [
        row("mb_per_million", size / 1e6 / TRIALS * 1_000_000, "MB", f"in parts of {A_GENERATION}"),
        row("append_s_at_million", further, "s", note),
        row("first_append_s_at_million", first, "s", note + ", which this process has not read yet"),
        row("count_s_at_million", counted, "s", "all trials"),
        row("count_behaviours_s_at_million", distinct, "s", "those that differ in behaviour"),
    ]


def identity(number: int) -> LedgerIdentity:
    """Return where a generation comes from: one panel, twenty generations a cycle."""
    return LedgerIdentity(
        spec_hash="5" * 64,
        panel_hash="a" * 64,
        costs_hash="c" * 64,
        cycle=f"cycle{number // 20}" if number >= 0 else f"after{-number}",
        generation=max(number, 0) % 20,
        market="world-bench",
    )


def seconds(task: Callable[[], object], *, times: int) -> float:
    """Return the CPU seconds of a task, the least of several."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        task()
        taken.append(time.process_time() - began)
    return min(taken)
