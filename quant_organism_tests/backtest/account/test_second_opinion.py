"""vectorbt books the account's fills to the same equity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quant_organism.backtest.account import committee_setting
from quant_organism.backtest.account.second_opinion import recompute_with_vectorbt
from quant_organism.backtest.account.walk_layout import FEE, ROW
from quant_organism.market.schema import format_ms
from quant_organism_tests.backtest.account.test_committee import COSTS, START, committee
from quant_organism_tests.backtest.markets import random_panel


@pytest.mark.parametrize("seed", [7, 8])
def test_vectorbt_comes_to_the_same_equity(seed: int) -> None:
    panel = random_panel(seed, bars=1_000, assets=3, volatility=0.01)
    setting = committee_setting(committee(), panel, COSTS, start=START, daily_before=[0.001, -0.001] * 20)
    run = setting.run(10_000.0)
    opinion = recompute_with_vectorbt(run)
    assert opinion.equity_difference < 1e-9
    assert opinion.funding_difference <= 0.5e-6 + 1e-9
    assert opinion.agrees
    assert opinion.first_difference == ""
    assert opinion.portfolio.orders.count() == len(run.path.fills) > 20


def test_books_with_a_fill_too_many_differ_from_its_close_on_and_say_where() -> None:
    panel = random_panel(7, bars=1_000, assets=3, volatility=0.01)
    setting = committee_setting(committee(), panel, COSTS, start=START, daily_before=[0.001, -0.001] * 20)
    run = setting.run(10_000.0)
    fills = run.path.fills.copy()
    fills[10, FEE] += 1_000
    opinion = recompute_with_vectorbt(replace(run, path=replace(run.path, fills=fills)))
    assert not opinion.agrees
    close = format_ms(int(run.path.times[fills[10, ROW] + 1]))
    assert opinion.first_difference.startswith(f"at the close of {close} its books say ")
