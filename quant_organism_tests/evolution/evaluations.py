"""Evaluations made by hand: genomes of real families, returns drawn at random, no market behind them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quant_organism.backtest import Evaluation
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.strategies import random_genome

A_DAY = 86_400_000
FAMILIES = ("rsi_filter", "ema_crossover", "bollinger_bands")
IDENTITY = LedgerIdentity(
    spec_hash="5" * 64, panel_hash="a" * 64, costs_hash="c" * 64, cycle="2025-01-31", generation=3, market="world-demo"
)


def made_up(seed: int, count: int = 12, days: int = 60, first_day: int = 20_000) -> Evaluation:
    """Return an evaluation of `count` genomes over `days` days; the last genome never trades."""
    rng = np.random.default_rng(seed)
    returns = 0.01 * rng.standard_normal((count, days))
    returns[-1] = 0.0
    sharpe = np.sqrt(365) * returns.mean(axis=1) / np.where(np.arange(count) == count - 1, np.nan, returns.std(axis=1))
    trades = np.where(np.arange(count) == count - 1, 0, rng.poisson(50, count) + 1)
    return Evaluation(
        genomes=tuple(random_genome(rng, FAMILIES[i % len(FAMILIES)]) for i in range(count)),
        symbols=("A",),
        metrics={"sharpe": sharpe, "turnover_per_year": 2.0 * trades, "trades": trades.astype(np.float64)},
        asset_metrics={},
        days=A_DAY * (first_day + np.arange(days)),
        daily_returns=returns,
        bar_returns=None,
        behaviour=rng.integers(0, 2**64, count, dtype=np.uint64),
        asset_daily_returns=None,
    )


def some_of(evaluation: Evaluation, places: Sequence[int]) -> Evaluation:
    """Return the evaluation of some of its genomes, in another order if need be."""
    chosen = list(places)
    return replace(
        evaluation,
        genomes=tuple(evaluation.genomes[place] for place in chosen),
        metrics={name: values[chosen] for name, values in evaluation.metrics.items()},
        daily_returns=evaluation.daily_returns[chosen],
        behaviour=evaluation.behaviour[chosen],
    )
