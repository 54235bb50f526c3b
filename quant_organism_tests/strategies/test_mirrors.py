"""A market turned upside down turns the positions of the families that treat both sides alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import GeneValue, Genome, default_genome, family_names, random_genome, signal
from quant_organism_tests.strategies.families.literal import on_grid, reflected
from quant_organism_tests.strategies.scenarios import Columns, alternating, bars, inverted, noisy, runs
from quant_organism_tests.strategies.test_known_answers import BOLLINGER_CLOSE, BOLLINGER_GENES

SEEDS = st.integers(0, 2**32 - 1)

# Fractions of price do not survive a reflection, so they stand at 0. Families that are not here have this law, where
# it holds, beside their cases.
REFLECT: dict[str, dict[str, GeneValue]] = {
    "rsi_filter": {},
    "ema_crossover": {"momentum_threshold": 0.0, "trend_filter": 0.0},
    "donchian_breakout": {"breakout_threshold": 0.0},
    "nadaraya_watson": {"trend_threshold": 0.0, "volatility_adaptation": 0.0},
    "funding_rate_carry": {"funding_threshold": 0.00002},
}

SVC_GENES = {
    "lookback_window": "250",
    "feature_count": "4",
    "quantile_bins": "2",
    "label_horizon": "1",
    "refit_interval": "24",
}
PCA_GENES = {
    "feature_window": "250",
    "feature_count": "8",
    "pca_components": 2,
    "tree_depth": 2,
    "label_horizon": "1",
    "refit_interval": "24",
    "min_edge": 0.005,
}
TINY = {
    "bollinger_bands": (BOLLINGER_GENES, BOLLINGER_CLOSE),
    "linear_svc_classifier": (SVC_GENES, alternating(100, 101, 360)),
    "pca_tree_quantile": (PCA_GENES, alternating(100, 101, 360)),
}


def turned(columns: Columns, around: float = 1024.0) -> Columns:
    """Return the market upside down, payers of funding turned into receivers."""
    return reflected(columns, around) | {"funding_rate": -columns["funding_rate"]}


@pytest.mark.parametrize("family", [name for name in REFLECT if name in family_names()])
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_reflected_prices_turn_the_position(family: str, seed: int) -> None:
    genes = dict(random_genome(np.random.default_rng(seed), family).genes) | REFLECT[family]
    mirror = dict(genes)
    if family == "rsi_filter":
        oversold, overbought = genes["oversold_threshold"], genes["overbought_threshold"]
        mirror |= {"oversold_threshold": 100 - overbought, "overbought_threshold": 100 - oversold}
    found = signal(Genome(family, mirror), turned(on_grid(seed)))
    np.testing.assert_array_equal(found, -signal(Genome(family, genes), on_grid(seed)))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_inverted_prices_turn_a_scaled_position(seed: int) -> None:
    genome, columns = random_genome(np.random.default_rng(seed), "volatility_scaling"), noisy(seed)
    np.testing.assert_allclose(signal(genome, inverted(columns)), -signal(genome, columns), rtol=1e-9)


@pytest.mark.parametrize("family", [name for name in TINY if name in family_names()])
def test_reflected_cases_turn_the_direction(family: str) -> None:
    genes, close = TINY[family]
    genome, columns = Genome(family, dict(default_genome(family).genes) | genes), bars(close)
    found = runs(np.sign(signal(genome, columns)))
    assert found
    upside_down = turned(columns, min(close) + max(close))
    assert runs(np.sign(signal(genome, upside_down))) == [(first, last, -side) for first, last, side in found]
