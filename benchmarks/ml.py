"""What the learning families cost: one fit, one prediction, and a population that shares its fits.

Fits are made on the features of the evaluator's benchmark market. The budget for a population is 12 refits; the longest
interval that a gene allows, 168 bars, makes 46 to 49 of them in a year of hours, and that is what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.evaluator import COSTS, panel, row, seconds
from quant_organism.backtest import Evaluator
from quant_organism.strategies import AssetBars, Genome, random_genome
from quant_organism.strategies.indicators.indicator import Workshop
from quant_organism.strategies.learning import linear_svc, pca_tree
from quant_organism.strategies.learning.features import features_of, forward_returns
from quant_organism.strategies.learning.grids import SvcGenes, TreeGenes

BARS, ASSETS, PARENTS, CHILDREN = 8_760, 10, 10, 5
ROWS, FEATURES, FITS, PREDICTIONS = 1_000, 20, 30, 2_000
OUTSIDE_THE_FIT = ("ensemble_size", "decision_margin", "min_edge", "risk_asymmetry", "stop_loss", "take_profit")


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    market = panel(BARS, ASSETS)
    shop = Workshop(
        AssetBars(
            *(np.ascontiguousarray(getattr(market, name)[:, 0]) for name in ("open", "high", "low", "close", "volume")),
            funding_rate=np.zeros(BARS),
            numbers=np.arange(BARS),
            bar_hours=1.0,
        ),
        None,
    )
    features = features_of(shop)
    return [*svc_rows(shop, features), *tree_rows(shop, features), *population_rows()]


def svc_rows(shop: Workshop, features: Any) -> list[dict[str, Any]]:
    """Measure classifiers on 1,000 rows x 20 features."""
    rows = []
    genes = SvcGenes(ROWS, FEATURES, 1.0, "l2", "none", 2, 6, 24, 3)
    samples = training_samples(shop, features, genes.horizon)
    for name, penalty in (("svc_fit_ms", "l2"), ("svc_fit_l1_ms", "l1")):
        taken = median_seconds([partial(linear_svc.fit, x, y, genes._replace(penalty=penalty)) for x, y in samples])
        rows.append(row(name, taken * 1e3, "ms", f"{ROWS} rows x {FEATURES} features, C 1, {penalty}; budget 100 ms"))
    models = np.stack([linear_svc.fit(x, y, genes)[0] for x, y in samples[:3]])
    bar, at = np.ascontiguousarray(features[:, -1:]), np.zeros(3, dtype=np.int64)
    score = np.zeros(1)
    taken = median_seconds([lambda: linear_svc.ensemble_scores(bar, at, models, 3, score)] * PREDICTIONS)
    rows.append(row("svc_predict_us", taken * 1e6, "µs", "one bar, three fits averaged; budget 1,000 µs"))
    return rows


def tree_rows(shop: Workshop, features: Any) -> list[dict[str, Any]]:
    """Measure trees and quantile lines on 1,000 rows x 20 features."""
    genes = TreeGenes(ROWS, FEATURES, 3, 4, 20, "leaf", 0.01, 6, 24, 0.75)
    samples = training_samples(shop, features, genes.horizon)
    leaf = median_seconds([partial(pca_tree.fit_tree, x, y, genes) for x, y in samples])
    trees = [(pca_tree.fit_tree(x, y, genes), x, y) for x, y in samples]
    lines = median_seconds([partial(pca_tree.fit_lines, t, x, y, genes) for t, x, y in trees])
    tree = trees[0][0]
    fitted = pca_tree.fit_lines(*trees[0], genes)[0]
    bar, levels = np.ascontiguousarray(features[:, -1:]), np.zeros((3, 1))

    def predict() -> None:
        components = pca_tree.project(bar, 0, 1, tree.moments, tree.axes)
        leaves = pca_tree.find_leaves(components, tree.thresholds, tree.links)
        pca_tree.write_line_levels(components, leaves, tree.values, fitted, levels)

    one = median_seconds([predict] * PREDICTIONS)
    size = f"{ROWS} rows x {FEATURES} features, 3 components, depth 4"
    return [
        row("pca_tree_quantile_fit_ms", leaf * 1e3, "ms", f"leaf, {size}; budget 500 ms"),
        row("pca_tree_quantile_fit_linear_ms", (leaf + lines) * 1e3, "ms", f"three quantile lines more, {size}"),
        row("pca_tree_quantile_predict_us", one * 1e6, "µs", "one bar, linear; budget 5,000 µs"),
    ]


def training_samples(shop: Workshop, features: Any, horizon: int) -> list[tuple[Any, Any]]:
    """Return features (20, 1000) and returns (1000,) from different places of a series; the first is met twice."""
    returns = forward_returns(shop.bars.close, horizon)
    begins = np.linspace(72, BARS - ROWS - horizon, FITS).astype(int)
    cut = [(features[:, begin : begin + ROWS], returns[begin : begin + ROWS]) for begin in begins]
    return [cut[0], *cut]


def population_rows() -> list[dict[str, Any]]:
    """Measure 100 genomes x 10 assets x 8,760 bars on 2 cores: a bred population, its children, and strangers."""
    rng = np.random.default_rng(3)
    market = panel(BARS, ASSETS)
    names = ("linear_svc_classifier", "pca_tree_quantile")
    parents = [drawn(rng, name) for name in names for _ in range(PARENTS)]
    bred = [child(parent, rng) for parent in parents for _ in range(CHILDREN)]
    evaluator = Evaluator(threads=2)
    evaluator.evaluate([child(parents[0], rng), child(parents[-1], rng)], panel(500, 1), COSTS)
    first = seconds(lambda: evaluator.evaluate(bred, market, COSTS))
    following = [child(genome, rng) for genome in bred]
    second = seconds(lambda: evaluator.evaluate(following, market, COSTS))
    strangers = [drawn(rng, name) for name in names for _ in range(PARENTS * CHILDREN)]
    third = seconds(lambda: Evaluator(threads=2).evaluate(strangers, market, COSTS))
    size = f"{len(bred)} genomes x {ASSETS} assets x {BARS} bars, refits every 168 bars (46 to 49), 2 threads"
    return [
        row("population_100x10_s", first, "s", f"{size}; {len(parents)} sets of model genes; budget 60 s at 12 refits"),
        row("population_100x10_next_s", second, "s", "the next generation of the same sets of model genes"),
        row("population_100x10_strangers_s", third, "s", f"{size}; no two genomes share a fit but by chance"),
    ]


def drawn(rng: np.random.Generator, family: str) -> Genome:
    """Draw a genome that is refitted every 168 bars."""
    return Genome(family, dict(random_genome(rng, family).genes) | {"refit_interval": "168"})


def child(parent: Genome, rng: np.random.Generator) -> Genome:
    """Draw new values for the genes that no fit depends on."""
    other = random_genome(rng, parent.family).genes
    return Genome(parent.family, dict(parent.genes) | {k: v for k, v in other.items() if k in OUTSIDE_THE_FIT})


def median_seconds(jobs: list[Callable[[], object]]) -> float:
    """Return the median duration of jobs; the first one does not count."""
    return float(np.median([seconds(job) for job in jobs][1:]))
