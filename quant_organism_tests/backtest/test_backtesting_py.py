"""Where backtesting.py means the same, it gets the same: orders at the open, stops and targets from the entry bar on.

Its rules differ from ours in four ways, and the comparison meets each of them so that nothing is left to tolerance:

- It places a bracket with the order, at prices; ours stands at fractions of the fill, which is the next open. The
  strategy is therefore told the next open, for placing its bracket and for nothing else.
- It sizes in whole units, of all margin that is free. With cash of 1e18 a unit is no more than a rounding error, and a
  share of equity before the fee is that share times one plus the fee of what it takes as price and fee together.
- It knows no funding, its spread moves entries alone, and one commission is charged for all fills; so neither funding
  nor slippage is charged here, and the maker fee is the taker fee.
- It has no trailing stop of this kind, no weights and no permissions. The panels have one asset, whose weight is
  `position_size` up to the limit, and are too short for turbulence to be known.

What is left is the same twice: market exits at the open before anything else, the stop before the target, also where
the bar opened beyond the target, gaps filled at the open, one trade per run of the target, and holding times.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from quant_organism.backtest import Costs, Evaluator
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, signal
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.test_against_reference import altered, lively_genome

CASH = 1e18
CASES = 100


@dataclass
class Outcome:
    """Closed trades in the order of their entry, and equity at each close from 1."""

    trades: pd.DataFrame
    equity: np.ndarray


def run_backtesting(genome: Genome, panel: Panel, fee: float) -> Outcome:
    """Trade a genome on the one asset of a panel in backtesting.py."""
    from backtesting import Backtest, Strategy

    prices = {name: getattr(panel, name)[:, 0] for name in ("open", "high", "low", "close", "volume")}
    columns = prices | {"funding_rate": panel.funding_rate[:, 0]}
    numbers = panel.times // panel.interval.milliseconds
    target = signal(genome, columns, bar_hours=panel.interval.hours, numbers=numbers)
    genes: dict[str, Any] = dict(genome.genes)
    holding = math.ceil(genes["max_holding_hours"] / panel.interval.hours)
    weight = min(genes["position_size"], genes["position_size_limit"])

    class Follow(Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            t = len(self.data) - 1
            if t + 1 == target.size:
                return
            side, before = np.sign(target[t]), np.sign(target[t - 1])
            for trade in self.trades:
                if side != np.sign(trade.size) or t + 1 - trade.entry_bar >= holding:
                    trade.close()
            if side not in (0, before):
                entry = prices["open"][t + 1]
                bracket = {
                    "sl": entry * (1 - side * genes["stop_loss"]),
                    "tp": entry * (1 + side * genes["take_profit"]),
                }
                order = self.buy if side > 0 else self.sell
                order(size=weight * abs(target[t]) * (1 + fee), **bracket)

    frame = pd.DataFrame({name.title(): values for name, values in prices.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Backtest(frame, Follow, cash=CASH, commission=fee).run()
    trades = found["_trades"].sort_values("EntryBar", ignore_index=True)
    return Outcome(trades, found["_equity_curve"]["Equity"].to_numpy() / CASH)


def test_a_hundred_random_cases_agree() -> None:
    closed, on_entry_bar, reasons = 0, 0, set()
    for seed in range(CASES):
        fee = (0.0, 0.00045, 0.002)[seed % 3]
        volatility = (0.005, 0.01, 0.02)[seed // 3 % 3]
        panel = random_panel(seed, bars=400, assets=1, volatility=volatility, overnight=0.001, holes=False)
        genome = altered(
            lively_genome(seed), trailing_stop=0.0, max_drawdown=0.2, stop_loss=(0.01, 0.03, 0.15)[seed % 3]
        )
        costs = Costs(taker_fee=fee, maker_fee=fee, slippage_bps=0.0, charge_funding=False)
        evaluator = Evaluator(threads=1)
        theirs = run_backtesting(genome, panel, fee)
        ours = evaluator.trades(genome, panel, costs).frame.filter(pl.col("reason") != "open")
        equity = evaluator.equity(genome, panel, costs).sleeves[:, 0]
        drawdown = evaluator.evaluate([genome], panel, costs).asset_metrics["max_drawdown"][0, 0]
        assert drawdown < 0.2  # backtesting.py would go on beyond

        assert ours.height == len(theirs.trades)
        sides = np.where(theirs.trades["Size"] > 0, "long", "short")
        assert ours["side"].to_list() == sides.tolist()
        for column, name in (("entry_time", "EntryBar"), ("exit_time", "ExitBar")):
            assert ours[column].dt.epoch("ms").to_list() == panel.times[theirs.trades[name]].tolist()
        np.testing.assert_allclose(ours["entry_price"], theirs.trades["EntryPrice"], rtol=1e-9)
        np.testing.assert_allclose(ours["exit_price"], theirs.trades["ExitPrice"], rtol=1e-9)
        np.testing.assert_allclose(ours["quantity"], theirs.trades["Size"].abs() / CASH, rtol=1e-9)
        np.testing.assert_allclose(ours["pnl"], theirs.trades["PnL"] / CASH, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours["fees"], theirs.trades["Commission"] / CASH, rtol=1e-9)
        np.testing.assert_allclose(equity, theirs.equity, rtol=1e-9)
        closed += ours.height
        on_entry_bar += (ours["entry_time"] == ours["exit_time"]).sum()
        reasons |= set(ours["reason"])
    assert closed > 500
    assert on_entry_bar > 20
    assert reasons == {"signal", "stop_loss", "take_profit", "max_holding"}
