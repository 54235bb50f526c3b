"""vectorbt books the account's fills to the same equity."""

from __future__ import annotations

import pytest

from quant_organism.backtest.account import committee_setting
from quant_organism.backtest.account.second_opinion import recompute_with_vectorbt
from quant_organism_tests.backtest.account.test_committee import COSTS, START, committee
from quant_organism_tests.backtest.markets import random_panel


@pytest.mark.parametrize("seed", [7, 8])
def test_vectorbt_comes_to_the_same_equity(seed: int) -> None:
    panel = random_panel(seed, bars=1_000, assets=3, volatility=0.01)
    setting = committee_setting(committee(), panel, COSTS, start=START, daily_before=[0.001, -0.001] * 20)
    run = setting.run(10_000.0)
    opinion = recompute_with_vectorbt(run, setting.market)
    assert opinion.equity_difference < 1e-9
    assert opinion.funding_difference <= 0.5e-6 + 1e-9
    assert opinion.agrees
    assert opinion.portfolio.orders.count() == len(run.path.fills) > 20
