"""The strategy families, one file each: genes, warm-up and the indicators they read.

Their compiled signal kernels live in `kernels/`, so that reading a genome does not load a compiler.
"""

from quant_organism.strategies.library import (
    atr_stop_loss,
    bollinger_bands,
    composite,
    conditions,
    donchian_breakout,
    ema_crossover,
    fibonacci_retracement,
    funding_rate_carry,
    ichimoku_cloud,
    linear_svc_classifier,
    nadaraya_watson,
    pca_tree_quantile,
    rsi_filter,
    sma_trend_filter,
    stochastic_oscillator,
    volatility_scaling,
    vwap_reversion,
)

__all__ = [
    "atr_stop_loss",
    "bollinger_bands",
    "composite",
    "conditions",
    "donchian_breakout",
    "ema_crossover",
    "fibonacci_retracement",
    "funding_rate_carry",
    "ichimoku_cloud",
    "linear_svc_classifier",
    "nadaraya_watson",
    "pca_tree_quantile",
    "rsi_filter",
    "sma_trend_filter",
    "stochastic_oscillator",
    "volatility_scaling",
    "vwap_reversion",
]
