"""Rows that grow bar by bar are those of a batch, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from quant_organism.strategies import AssetBars, FittedModels, Genome, family_names, get_family, random_genome
from quant_organism.strategies.bank import GrowingBank, IndicatorBank
from quant_organism.strategies.family import LastTarget
from quant_organism.strategies.genome import gene_arrays
from quant_organism.strategies.indicators.indicator import Indicator, pair
from quant_organism.strategies.targets import Targets
from quant_organism_tests.strategies.catalogue import all_indicators

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


def made_bars(seed: int, count: int, *, bar_hours: float = 1.0) -> AssetBars:
    """Return a random walk with bars that stand still, bars without volume and gaps in its numbers."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(count) * (rng.random(count) > 0.1)))
    opens = np.concatenate([[100.0], close[:-1]])
    spread = np.exp(np.abs(0.004 * rng.standard_normal(count)) * (rng.random(count) > 0.2))
    return AssetBars(
        open=opens,
        high=np.maximum(opens, close) * spread,
        low=np.minimum(opens, close) / spread,
        close=close,
        volume=np.exp(rng.standard_normal(count)) * (rng.random(count) > 0.3),
        funding_rate=1e-5 * rng.standard_normal(count),
        numbers=1000 + np.cumsum(rng.integers(1, 3, count)),
        bar_hours=bar_hours,
    )


def first(bars: AssetBars, count: int) -> AssetBars:
    """Return the first bars."""
    names = ("open", "high", "low", "close", "volume", "funding_rate", "numbers")
    return AssetBars(**{name: getattr(bars, name)[:count] for name in names}, bar_hours=bars.bar_hours)


def reader(genome: Genome, models: FittedModels) -> LastTarget:
    """Return what reads the last target of a genome."""
    return LastTarget(get_family(genome.family), genome.genes, models)


@pytest.mark.parametrize("name", family_names())
def test_before_the_first_bar_the_target_is_0(name: str) -> None:
    bars, genome = made_bars(3, 5), random_genome(np.random.default_rng(1), name)
    target = reader(genome, FittedModels())
    assert target.at(first(bars, 0)) == 0.0
    assert target.at(first(bars, 1)) == reader(genome, FittedModels()).at(first(bars, 1))


def test_every_indicator_has_a_name_of_its_own() -> None:
    names = [indicator.name for indicator in all_indicators()]
    assert len(names) > 30
    assert len(names) == len(set(names))


@pytest.mark.parametrize("indicator", [i for i in all_indicators() if i.name not in ELSEWHERE], ids=lambda i: i.name)
@pytest.mark.parametrize("bar_hours", [1.0, 4.0])
def test_rows_are_those_of_a_batch(indicator: Indicator, bar_hours: float) -> None:
    keys = np.array(PAIRS.get(indicator.name, PERIODS), dtype=np.int64)
    rng = np.random.default_rng(5)
    bars = made_bars(5, 420, bar_hours=bar_hours)
    for count in (0, 1, 150, 300):
        bank = GrowingBank({indicator: keys}, FittedModels())
        while count < 420:
            # One by one, now and then several at once.
            count = min(count + int(rng.choice([1, 2, 9], p=[0.98, 0.01, 0.01])), 420)
            bank.follow(first(bars, count))
        rows, places = bank.rows(indicator, keys)
        expected, expected_places = IndicatorBank(bars, {indicator: keys}).rows(indicator, keys)
        np.testing.assert_array_equal(rows[places], expected[expected_places])


@pytest.mark.parametrize("family", family_names())
def test_targets_are_those_of_a_batch(family: str) -> None:
    bars, models = made_bars(3, 760), FittedModels()
    for seed in range(2):
        genome = random_genome(np.random.default_rng(seed), family)
        if family in ("linear_svc_classifier", "pca_tree_quantile"):
            window = "lookback_window" if family == "linear_svc_classifier" else "feature_window"
            genome = type(genome)(family, dict(genome.genes) | {window: "250", "refit_interval": "24"})
        last, begin = reader(genome, models), 330
        found = [last.at(first(bars, count)) for count in range(begin, 761)]
        genes, targets = gene_arrays([genome]), Targets.empty(1, 760, conviction=get_family(family).conviction)
        get_family(family).targets(IndicatorBank(bars, get_family(family).indicators(genes)), genes, targets)
        assert found == targets.expanded(0, 760)[begin - 1 :].tolist()
