"""The numbers of one seeded market, to notice any change of meaning that all other tests overlook."""

import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.strategies import Genome, default_genome, families
from quant_organism_tests.backtest.markets import random_panel

# Trades, total return, Sharpe ratio, maximum drawdown, and the first digits of the trade list's hash.
EXPECTED = {
    "bollinger_bands": (162, -0.013626, -2.528105, 0.024809, "32bcdeb141a2e199"),
    "donchian_breakout": (54, -0.003727, -0.701558, 0.016781, "60edd72cba66aba3"),
    "ema_crossover": (120, 0.012158, 1.529982, 0.027773, "e04ffd7edc875887"),
    "rsi_filter": (67, -0.014305, -2.450896, 0.022303, "b37e8e04bfa70f51"),
}


@pytest.mark.parametrize("family", families())
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
