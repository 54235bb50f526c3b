"""Strategies whose strength or weakness is known, on small markets."""

from functools import cache

import numpy as np

from quant_organism.backtest import Costs, Evaluator
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import Committee, Genome, evolving_families, get_family, random_genome
from quant_organism.strategies.operators import default_genome
from quant_organism.validation.robustness.subject import Subject
from quant_organism_tests.panels import trending_panel

EVALUATOR = Evaluator(threads=2)
RULES = tuple(name for name in evolving_families() if not get_family(name).model_genes)
NUMBERS = tuple(name for name in RULES if all(spec.kind != "structure" for spec in get_family(name).genes))


def subject_of(committee: Committee, panel: Panel, *, start: int = 0, costs: Costs | None = None) -> Subject:
    """Return a committee on a panel from a row on."""
    return Subject(committee, panel, start, costs or Costs(), EVALUATOR)


def with_genes(family: str, **genes: float) -> Genome:
    """Return the family's default genome with some genes changed."""
    plain = default_genome(family)
    return Genome(family, dict(plain.genes) | genes)


@cache
def solid(members: int = 4) -> Subject:
    """Return the best of many random rules on a market with a trend that is hard to miss."""
    panel = trending_panel(days=150, drift=0.0015)
    return subject_of(best_of(panel, 150, members), panel, start=240)


def best_of(panel: Panel, tried: int, members: int) -> Committee:
    """Return the best of many random rules on a panel."""
    rng = np.random.default_rng(3)
    genomes = [random_genome(rng, NUMBERS[place % len(NUMBERS)]) for place in range(tried)]
    metrics = EVALUATOR.evaluate(genomes, panel, Costs()).metrics
    scores = np.where(metrics["trades"] >= 20, np.nan_to_num(metrics["sharpe"], nan=-99.0), -99.0)
    return Committee.of([genomes[place] for place in np.argsort(-scores)[:members]])


def panel_of(close: np.ndarray, *, spread: float = 0.0) -> Panel:
    """Return hourly bars that open at the close before and reach beyond by a fraction."""
    close = close.reshape(len(close), -1)
    opens = np.vstack([close[:1], close[:-1]])
    return Panel.from_arrays(
        symbols=[f"S{place}" for place in range(close.shape[1])],
        interval=Interval.parse("1h"),
        times=1_704_067_200_000 + 3_600_000 * np.arange(len(close)),
        open=opens,
        high=np.maximum(opens, close) * (1 + spread),
        low=np.minimum(opens, close) * (1 - spread),
        close=close,
        volume=np.ones_like(close),
    )


def idle() -> Subject:
    """Return a strategy that never trades: the price never moves."""
    return subject_of(Committee.of([default_genome("ema_crossover")]), panel_of(np.full(24 * 100, 100.0)))


@cache
def one_lucky_trade() -> Subject:
    """Return a trend follower on noise with a single long rise: all that it earned, it earned there."""
    returns = 0.003 * np.random.default_rng(2).standard_normal(24 * 200)
    returns[2400:2520] += 0.005
    follower = with_genes("ema_crossover", stop_loss=0.05, take_profit=0.3, max_holding_hours=336, position_size=0.15)
    return subject_of(Committee.of([follower]), panel_of(100 * np.exp(np.cumsum(returns))))


@cache
def one_exact_parameter() -> Subject:
    """Return a strategy whose stop and target lie just beyond each dip and just below each top.

    After each entry the price falls by 2.9 % (the stop is at 3 %), rises by 6.1 % (the target is at 6 %) and collapses.
    """
    fall, rise, after = np.geomspace(1.0, 0.93, 120), np.geomspace(0.94, 1.0, 6), np.ones(40)
    quiet = np.concatenate([fall, rise, after])
    genome = default_genome("ema_crossover")
    entry = EVALUATOR.trades(genome, panel_of(100 * quiet), Costs()).frame.filter(side="long")["entry_time"][0]
    place = int(entry.timestamp() - 1_704_067_200) // 3600
    cycle = np.concatenate(
        [quiet[: place + 1], quiet[place - 1] * np.array([1.0, 0.971, 1.0, 1.061, 0.85, 0.85, 0.85]), np.full(60, 0.85)]
    )
    path = np.concatenate([100 * cycle * cycle[-1] ** turn for turn in range(12)])
    return subject_of(Committee.of([genome]), panel_of(path), start=0)
