"""A market turned upside down turns the positions of the families that treat both sides alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import Genome, default_genome, families, random_genome
from quant_organism.strategies.genes import GeneValue
from quant_organism.strategies.signals import signal
from quant_organism_tests.strategies.scenarios import alternating, bars, inverted, noisy, reflected, runs
from quant_organism_tests.strategies.test_known_answers import BOLLINGER_CLOSE, BOLLINGER_GENES

SEEDS = st.integers(0, 2**32 - 1)

# Fractions of price do not survive a reflection, so they stand at 0.
REFLECT = {
    "rsi_filter": {},
    "stochastic_oscillator": {},
    "sma_trend_filter": {},
    "ichimoku_cloud": {},
    "ema_crossover": {"momentum_threshold": 0.0, "trend_filter": 0.0},
    "donchian_breakout": {"breakout_threshold": 0.0},
    "vwap_reversion": {"reversion_threshold": 0.0},
    "nadaraya_watson": {"trend_threshold": 0.0, "volatility_adaptation": 0.0},
    "funding_rate_carry": {"funding_threshold": 0.00002},
}
LEVELS = [("oversold_threshold", "overbought_threshold"), ("oversold_level", "overbought_level")]

ATR_GENES = {
    "atr_period": 5,
    "stop_loss_multiplier": 2.0,
    "trailing_stop_multiplier": 1.5,
    "position_size_atr_factor": 2.0,
    "volatility_adjustment": 0.0,
}
ATR_CLOSE = [*alternating(100, 101, 20), 103, 105, 107, 109, 108, 106, 103, 100, 97]
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
    "atr_stop_loss": (ATR_GENES, ATR_CLOSE),
    "bollinger_bands": (BOLLINGER_GENES, BOLLINGER_CLOSE),
    "linear_svc_classifier": (SVC_GENES, alternating(100, 101, 360)),
    "pca_tree_quantile": (PCA_GENES, alternating(100, 101, 360)),
}


def mirrored(genes: dict[str, GeneValue]) -> dict[str, GeneValue]:
    """Exchange levels of an index between 0 and 100."""
    turned = dict(genes)
    for low, high in LEVELS:
        if low in genes:
            turned |= {low: 100.0 - float(str(genes[high])), high: 100.0 - float(str(genes[low]))}
    return turned


@pytest.mark.parametrize("family", [name for name in REFLECT if name in families()])
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_reflected_prices_turn_the_position(family: str, seed: int) -> None:
    genes = dict(random_genome(np.random.default_rng(seed), family).genes) | REFLECT[family]
    columns = noisy(seed)
    turned = signal(Genome(family, mirrored(genes)), reflected(columns))
    np.testing.assert_array_equal(turned, -signal(Genome(family, genes), columns))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_inverted_prices_turn_a_scaled_position(seed: int) -> None:
    genome, columns = random_genome(np.random.default_rng(seed), "volatility_scaling"), noisy(seed)
    np.testing.assert_allclose(signal(genome, inverted(columns)), -signal(genome, columns), rtol=1e-9)


@pytest.mark.parametrize("family", [name for name in TINY if name in families()])
def test_reflected_cases_turn_the_direction(family: str) -> None:
    genes, close = TINY[family]
    genome, columns = Genome(family, dict(default_genome(family).genes) | genes), bars(close)
    found = runs(np.sign(signal(genome, columns)))
    assert found
    assert runs(np.sign(signal(genome, reflected(columns)))) == [(first, last, -side) for first, last, side in found]
