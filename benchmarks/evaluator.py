"""The population evaluator beside vectorbt on the same bars, genomes and costs, on one core, in one run.

Both are measured all-in: signals, simulation, and total return, Sharpe ratio, maximum drawdown, win rate, number of
trades and turnover. vectorbt simulates 300 columns in one call, which is how it is fastest; its signals are made one
genome at a time by our own compiled families, which is faster than what its indicator factory would do. The evaluator
also charges funding, which vectorbt cannot, and delivers a portfolio with daily returns per genome.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from quant_organism.backtest import Costs, Evaluator
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import Genome, families, random_genome
from quant_organism.strategies.signals import signal

BARS, ASSETS, GENOMES, REPEATS = 8_760, 8, 300, 5
COSTS = Costs(slippage_bps=0.0, maker_fee=0.00045)


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    market, rng = panel(), np.random.default_rng(1)
    one, two = Evaluator(threads=1), Evaluator(threads=2)
    rows, ratios = [], {}
    everyone = [random_genome(rng, name) for name in families() for _ in range(250)]
    one.evaluate(everyone[::50], market, COSTS)
    for name in families():
        genomes = [random_genome(rng, name) for _ in range(GENOMES)]
        ours = median_seconds(lambda genomes=genomes: one.evaluate(genomes, market, COSTS)) / ASSETS
        theirs = median_seconds(lambda genomes=genomes: vectorbt_metrics(genomes, market, 0))
        ratios[name] = theirs / ours
        speed, their_speed = (GENOMES * BARS / seconds / 1e6 for seconds in (ours, theirs))
        note = f"{speed:.0f} against {their_speed:.2f} million strategy-bars per second"
        rows.append(row(f"speedup_vs_vectorbt_{name}", ratios[name], "x", note))
    size = f"{GENOMES} genomes, {BARS} bars, {ASSETS} assets; medians of {REPEATS}, one thread"
    rows.append(row("speedup_vs_vectorbt_mean", statistics.mean(ratios.values()), "x", f"over families; {size}"))
    rows.append(row("speedup_vs_vectorbt_min", min(ratios.values()), "x", min(ratios, key=ratios.__getitem__)))
    rows.append(row("speedup_vs_vectorbt_ema", ratios["ema_crossover"], "x", "the family most often compared"))
    single = median_seconds(lambda: one.evaluate(everyone, market, COSTS))
    double = median_seconds(lambda: two.evaluate(everyone, market, COSTS))
    note = f"{len(everyone)} genomes of all families x {ASSETS} assets: {single:.2f} s and {double:.2f} s"
    rows.append(row("thread_scaling_2", single / double, "x", note))
    first, warm = start_seconds()
    rows.append(row("first_compile_s", first, "s", "import and first evaluation with an empty kernel cache"))
    rows.append(row("warm_start_s", warm, "s", "the same in a new process with the kernels cached"))
    return rows


def panel() -> Panel:
    """Return a market of random walks with fat tails, wicks and funding."""
    rng = np.random.default_rng(0)
    shape = (BARS, ASSETS)
    close = 100 * np.exp(np.cumsum(rng.standard_t(4.5, shape) * 0.006, axis=0))
    opens = np.vstack([close[:1], close[:-1]])
    reach = np.abs(rng.normal(0, 0.002, (2, *shape)))
    return Panel.from_arrays(
        symbols=[f"A{asset}" for asset in range(ASSETS)],
        interval=Interval.parse("1h"),
        times=1_704_067_200_000 + 3_600_000 * np.arange(BARS),
        open=opens,
        high=np.maximum(opens, close) * (1 + reach[0]),
        low=np.minimum(opens, close) * (1 - reach[1]),
        close=close,
        volume=1000 * np.exp(rng.normal(0, 1, shape)),
        funding_paid=rng.normal(0, 1e-5, shape),
    )


def vectorbt_metrics(genomes: list[Genome], market: Panel, asset: int) -> tuple[Any, ...]:
    """Trade all genomes on one asset in one `from_signals` call and extract the metrics."""
    import pandas as pd
    import vectorbt

    columns = {name: getattr(market, name)[:, asset] for name in ("open", "high", "low", "close", "volume")}
    target = np.column_stack([signal(genome, columns) for genome in genomes])
    flat = np.zeros((1, len(genomes)))
    held = np.vstack([flat, target[:-1]])
    before = np.vstack([flat, held[:-1]])
    opens, high, low, close = (pd.Series(columns[name]) for name in ("open", "high", "low", "close"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        portfolio = vectorbt.Portfolio.from_signals(
            open=opens,
            high=high,
            low=low,
            close=close,
            price=opens,
            entries=pd.DataFrame((held > 0) & (before <= 0)),
            exits=pd.DataFrame((held <= 0) & (before > 0)),
            short_entries=pd.DataFrame((held < 0) & (before >= 0)),
            short_exits=pd.DataFrame((held >= 0) & (before < 0)),
            size=np.array([[genome.genes["position_size"] for genome in genomes]]),
            size_type="value",
            fees=COSTS.taker_fee,
            sl_stop=np.array([[genome.genes["stop_loss"] for genome in genomes]]),
            tp_stop=np.array([[genome.genes["take_profit"] for genome in genomes]]),
            init_cash=1.0,
            freq="1h",
        )
        orders, value = portfolio.orders.records, portfolio.value().to_numpy()
        bar, column = orders["idx"].to_numpy(), orders["col"].to_numpy()
        traded = orders["size"].to_numpy() * orders["price"].to_numpy() / value[np.maximum(bar - 1, 0), column]
        return (
            portfolio.total_return(),
            portfolio.sharpe_ratio(),
            portfolio.max_drawdown(),
            portfolio.trades.win_rate(),
            portfolio.trades.count(),
            np.bincount(column, traded, len(genomes)),
        )


def median_seconds(work: Callable[[], object]) -> float:
    """Return the median duration of some work, after one call that does not count."""
    work()
    durations = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        durations.append(time.perf_counter() - began)
    return statistics.median(durations)


def start_seconds() -> tuple[float, float]:
    """Return how long a new process takes for its first evaluation, without and with cached kernels."""
    script = (
        "import time; began = time.perf_counter()\n"
        "from benchmarks.evaluator import COSTS, Evaluator, families, np, panel, random_genome\n"
        "market = panel()\n"
        "genomes = [random_genome(np.random.default_rng(0), name) for name in families()]\n"
        "Evaluator().evaluate(genomes, market.window(0, 2000), COSTS)\n"
        "print(time.perf_counter() - began)\n"
    )
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}

        def seconds() -> float:
            command = [sys.executable, "-c", script]
            return float(subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True).stdout)

        return seconds(), seconds()


def row(metric: str, value: float, unit: str, note: str) -> dict[str, Any]:
    """Return one line of the results."""
    return {"metric": metric, "value": value, "unit": unit, "note": note}
