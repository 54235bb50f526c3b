"""Replay bar by bar: twenty strategies of mixed families, 4 to 10 assets each, three periods of 90 days of hours.

Every one is traded by the stream, one bar after the other, and by the population evaluator, and their trades are
compared. Strategies are shared out between two processes, whose start is not counted. Beside the seconds on the clock
stand those of the cores, which do not depend on what else the machine does.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.evaluator import panel, row
from quant_organism.backtest import Costs
from quant_organism.market.panel import Panel
from quant_organism.market.splits import Span
from quant_organism.strategies import Committee, Genome, evolving_families, random_genome
from quant_organism.validation.replay import Replay, disjoint_periods, replay_committee

STRATEGIES, PERIODS, DAYS, BARS, PROCESSES = 20, 3, 90, 9_000, 2
FEWEST_ASSETS, MOST_ASSETS = 4, 10


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context) as pool:
        for future in [pool.submit(_warm) for _ in range(PROCESSES)]:
            future.result()
        begun = time.perf_counter()
        found = list(pool.map(_replayed, range(STRATEGIES)))
        seconds = time.perf_counter() - begun
    equal, compared = sum(f[0] for f in found), sum(f[1] for f in found)
    steps = sum(f[3] for f in found)
    note = (
        f"{STRATEGIES} strategies x {PERIODS} x {DAYS} days of 1h bars, {FEWEST_ASSETS} to {MOST_ASSETS} assets, "
        f"{PROCESSES} processes, load {os.getloadavg()[0]:.1f}"
    )
    core = sum(f[2] for f in found)
    slowest = max(range(STRATEGIES), key=lambda number: found[number][2])
    return [
        row("replay_20x90d_s", seconds, "s", note),
        row("replay_20x90d_core_s", core, "s", f"of both cores; slowest {_strategy(slowest)[0].family}"),
        row("trade_hash_equality", equal / compared, "share", f"{equal} of {compared} replays, {found_trades(found)}"),
        row(
            "order_hash_equality",
            sum(f[5] for f in found) / (PERIODS * STRATEGIES),
            "share",
            "accounts of 10,000 USD, H2",
        ),
        row("us_per_asset_bar", core / steps * 1e6, "us", "stream, evaluator and account, fits included"),
    ]


def found_trades(found: list[tuple[int, int, float, int, int, int]]) -> str:
    """Say how many trades were compared."""
    return f"{sum(f[4] for f in found):,} trades"


def _strategy(number: int) -> tuple[Genome, int]:
    rng = np.random.default_rng(number)
    names = evolving_families()
    return random_genome(rng, names[number % len(names)]), int(rng.integers(FEWEST_ASSETS, MOST_ASSETS + 1))


def _market(assets: int) -> tuple[Panel, tuple[Span, ...]]:
    periods = disjoint_periods(Span("whole", 0, BARS), 24, PERIODS, DAYS)
    assert isinstance(periods, tuple)
    return panel(BARS, assets), periods


def _warm() -> None:
    # Compiles, or reads from disk, all that these strategies need; models are fitted after 1,300 bars at the latest.
    market, _ = _market(2)
    for number in range(STRATEGIES):
        committee = Committee.of([_strategy(number)[0]])
        replay_committee(committee, market.window(0, 1_400), Costs(), (Span("short", 1_390, 1_400),))


def _replayed(number: int) -> tuple[int, int, float, int, int, int]:
    genome, assets = _strategy(number)
    market, periods = _market(assets)
    begun = time.process_time()
    found = replay_committee(Committee.of([genome]), market, Costs(), periods)
    assert isinstance(found, Replay)
    seconds = time.process_time() - begun
    return found.equal, found.compared, seconds, assets * sum(map(len, periods)), sum(found.trades), found.orders_equal
