"""Rows that grow bar by bar are those of a batch, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from quant_organism.strategies import families, get_family, random_genome
from quant_organism.strategies.bank import _RECIPES, Bars, IndicatorBank, pair
from quant_organism.strategies.growing_bank import _REACH, GrowingBank, LastTarget
from quant_organism.strategies.signals import gene_arrays
from quant_organism.strategies.stream import FittedModels
from quant_organism.strategies.targets import Targets

PERIODS = np.array([7, 12, 40])
PAIRS = {
    "macd": [pair(3, 8), pair(12, 26)],
    "macd_signal": [pair(pair(3, 8), 5), pair(pair(12, 26), 9)],
    "stochastic_d": [pair(5, 3), pair(14, 8)],
    "stochastic_crossing": [pair(5, 3), pair(14, 8)],
    "kernel_regression": [pair(5, 0), pair(9, 1)],
    "swing_start": [pair(12, 0), pair(20, 1), pair(31, 2)],
    "swing_end": [pair(12, 0), pair(20, 1), pair(31, 2)],
    "features": [0],
}
ELSEWHERE = {"svc_score", "return_levels", "family_sign", "swings", "vwap_moments"}
"""Those that families' targets are made of, and parts that nobody reads alone."""


def made_bars(seed: int, count: int, *, bar_hours: float = 1.0) -> Bars:
    """Return a random walk with bars that stand still, bars without volume and gaps in its numbers."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(count) * (rng.random(count) > 0.1)))
    opens = np.concatenate([[100.0], close[:-1]])
    spread = np.exp(np.abs(0.004 * rng.standard_normal(count)) * (rng.random(count) > 0.2))
    return Bars(
        open=opens,
        high=np.maximum(opens, close) * spread,
        low=np.minimum(opens, close) / spread,
        close=close,
        volume=np.exp(rng.standard_normal(count)) * (rng.random(count) > 0.3),
        funding_rate=1e-5 * rng.standard_normal(count),
        numbers=1000 + np.cumsum(rng.integers(1, 3, count)),
        bar_hours=bar_hours,
    )


def first(bars: Bars, count: int) -> Bars:
    """Return the first bars."""
    names = ("open", "high", "low", "close", "volume", "funding_rate", "numbers")
    return Bars(**{name: getattr(bars, name)[:count] for name in names}, bar_hours=bars.bar_hours)


@pytest.mark.parametrize("name", families())
def test_before_the_first_bar_the_target_is_0(name: str) -> None:
    bars, genome = made_bars(3, 5), random_genome(np.random.default_rng(1), name)
    target = LastTarget(genome, FittedModels())
    assert target.at(first(bars, 0)) == 0.0
    assert target.at(first(bars, 1)) == LastTarget(genome, FittedModels()).at(first(bars, 1))


def test_of_every_indicator_it_is_known_how_far_it_looks_back() -> None:
    assert set(_REACH) == set(_RECIPES)


@pytest.mark.parametrize("name", sorted(set(_RECIPES) - ELSEWHERE))
@pytest.mark.parametrize("bar_hours", [1.0, 4.0])
def test_rows_are_those_of_a_batch(name: str, bar_hours: float) -> None:
    keys = np.array(PAIRS.get(name, PERIODS), dtype=np.int64)
    rng = np.random.default_rng(5)
    bars = made_bars(5, 420, bar_hours=bar_hours)
    for count in (0, 1, 150, 300):
        bank = GrowingBank({name: keys}, FittedModels())
        while count < 420:
            # One by one, now and then several at once.
            count = min(count + int(rng.choice([1, 2, 9], p=[0.98, 0.01, 0.01])), 420)
            bank.follow(first(bars, count))
        rows, places = bank.rows(name, keys)
        expected, expected_places = IndicatorBank(bars, {name: keys}).rows(name, keys)
        np.testing.assert_array_equal(rows[places], expected[expected_places])


@pytest.mark.parametrize("family", families())
def test_targets_are_those_of_a_batch(family: str) -> None:
    bars, models = made_bars(3, 760), FittedModels()
    for seed in range(2):
        genome = random_genome(np.random.default_rng(seed), family)
        if family in ("linear_svc_classifier", "pca_tree_quantile"):
            window = "lookback_window" if family == "linear_svc_classifier" else "feature_window"
            genome = type(genome)(family, dict(genome.genes) | {window: "250", "refit_interval": "24"})
        reader, begin = LastTarget(genome, models), 330
        found = [reader.at(first(bars, count)) for count in range(begin, 761)]
        genes, targets = gene_arrays([genome]), Targets.empty(1, 760, conviction=get_family(family).conviction)
        get_family(family).targets(IndicatorBank(bars, get_family(family).indicators(genes)), genes, targets)
        assert found == targets.expanded(0, 760)[begin - 1 :].tolist()
