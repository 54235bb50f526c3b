"""The numbers of one seeded market, to notice any change of meaning that all other tests overlook."""

import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.strategies import Genome, default_genome, family_names
from quant_organism_tests.backtest.markets import random_panel

# Trades, total return, Sharpe ratio, maximum drawdown, and the first digits of the trade list's hash.
EXPECTED = {
    "atr_stop_loss": (183, 0.004335, 1.559330, 0.007997, "f028b4c72e46eb42"),
    "bollinger_bands": (160, -0.013181, -2.590102, 0.023444, "c22e644ae51b511e"),
    "composite": (92, 0.016216, 2.358178, 0.014884, "4b48995deefc06ee"),
    "conditions": (33, -0.004616, -1.078451, 0.011655, "dc7da9d3cf5cf745"),
    "donchian_breakout": (54, -0.004317, -0.862547, 0.015965, "0ee078750e80d7c7"),
    "ema_crossover": (118, 0.013112, 1.768964, 0.022705, "d543855b811a351b"),
    "fibonacci_retracement": (40, -0.004536, -1.026370, 0.013157, "990f3cc7ae3ee504"),
    "funding_rate_carry": (110, 0.017651, 2.481536, 0.008058, "fe8400e56b41b29f"),
    "ichimoku_cloud": (159, 0.029207, 3.515903, 0.011583, "d3e01ab40f1c76f9"),
    "linear_svc_classifier": (287, -0.015886, -2.115096, 0.028469, "c8b32676419cc66a"),
    "nadaraya_watson": (157, 0.009456, 1.145233, 0.028029, "98cf820452b29a95"),
    "pca_tree_quantile": (302, 0.024162, 2.758411, 0.015194, "d0e85dbb4a4d3c10"),
    "rsi_filter": (67, -0.011553, -1.989542, 0.020013, "a85d720d0ee4e423"),
    "sma_trend_filter": (24, -0.002201, -0.626487, 0.010999, "b3de193a0ab782c6"),
    "stochastic_oscillator": (201, -0.011232, -1.322908, 0.031703, "e733a48ed3d0414c"),
    "volatility_scaling": (320, -0.002341, -0.706953, 0.014864, "1aeccf0834b3f3eb"),
    "vwap_reversion": (62, -0.014939, -2.812393, 0.014939, "63257b63d3a58c5a"),
}


@pytest.mark.parametrize("family", family_names())
def test_a_known_market_gives_the_known_trades(family: str) -> None:
    panel = random_panel(2024, bars=2000, assets=3)
    genome = Genome(family, dict(default_genome(family).genes) | {"trailing_stop": 0.03})
    evaluator = Evaluator(threads=1)
    metrics = {name: values[0] for name, values in evaluator.evaluate([genome], panel, Costs()).metrics.items()}
    trades, total_return, sharpe, drawdown, digest = EXPECTED[family]
    assert metrics["trades"] == trades
    assert metrics["total_return"] == pytest.approx(total_return, abs=5e-7)
    assert metrics["sharpe"] == pytest.approx(sharpe, abs=5e-7)
    assert metrics["max_drawdown"] == pytest.approx(drawdown, abs=5e-7)
    assert evaluator.trades(genome, panel, Costs()).hash[:16] == digest
