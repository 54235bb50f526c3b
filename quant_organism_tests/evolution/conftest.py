"""A small market with trends in it, enough for a search to find something."""

import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.panel import Panel
from quant_organism_tests.panels import trending_panel

RULES = ("atr_stop_loss", "donchian_breakout", "ema_crossover", "funding_rate_carry", "rsi_filter", "sma_trend_filter")


@pytest.fixture(scope="session")
def panel() -> Panel:
    return trending_panel()


@pytest.fixture(scope="session")
def spec() -> EvolutionSpec:
    return EvolutionSpec(families=RULES, islands=3, population=16, generations=4, migration_interval=2, min_trades=5)


@pytest.fixture(scope="session")
def costs() -> Costs:
    return Costs()


@pytest.fixture(scope="session")
def evaluator() -> Evaluator:
    return Evaluator(threads=2)
