"""Laws of the books, under plain costs, high leverage and thin volume: every cent is accounted for, and only then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.market.panel import Panel
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.test_against_reference import altered, busy_genome, lively_genome
from quant_organism_tests.backtest.test_evaluator import assert_same_bits, crowd

ONE = Evaluator(threads=1)
SEEDS = st.integers(0, 2**32 - 1)
REGIMES = {
    "plain": Costs(taker_fee=0.001, slippage_bps=20.0),
    "leveraged": Costs(leverage=40, default_tiers=((0.0, 40), (900.0, 20)), margin_tiers={"S1": ((0.0, 25),)}),
    "thin": Costs(max_participation=0.02, impact_bps=100.0, capital_usd=3e6, leverage=20, default_tiers=((0.0, 20),)),
}
every_regime = pytest.mark.parametrize("costs", REGIMES.values(), ids=REGIMES)


def shocked_panel(seed: int, **options: object) -> Panel:
    """Return a market with overnight jumps and bursts of funding."""
    return random_panel(seed, bars=300, volatility=0.02, shocks=0.2, funding=1e-3, **options)


@every_regime
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_profits_fees_and_funding_are_the_change_of_equity(costs: Costs, seed: int) -> None:
    panel, genome = shocked_panel(seed), altered(lively_genome(seed), stop_loss=0.15)
    trades = ONE.trades(genome, panel, costs).frame
    equity = ONE.equity(genome, panel, costs).sleeves
    side = pl.when(pl.col("side") == "long").then(1.0).otherwise(-1.0)
    moved = side * pl.col("quantity") * (pl.col("exit_price") - pl.col("entry_price"))
    solvent = trades.filter(pl.col("reason") != "ruined")
    balance = solvent.select(error=moved - pl.col("fees") - pl.col("funding") - pl.col("pnl"))["error"]
    assert np.abs(balance.to_numpy()).max(initial=0.0) < 1e-12
    for asset, symbol in enumerate(panel.symbols):
        earned = trades.filter(pl.col("symbol") == symbol)["pnl"].sum()
        assert equity[-1, asset] == pytest.approx(1 + earned, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("regime", ["plain", "leveraged"])
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_equity_is_cash_and_the_value_of_the_position_at_every_close(regime: str, seed: int) -> None:
    costs, panel = REGIMES[regime], shocked_panel(seed)
    genome = altered(lively_genome(seed), stop_loss=0.15)
    trades = ONE.trades(genome, panel, costs).frame
    equity = ONE.equity(genome, panel, costs).sleeves
    for asset, symbol in enumerate(panel.symbols):
        booked = rebuilt(trades.filter(pl.col("symbol") == symbol), panel, asset, costs)
        np.testing.assert_allclose(equity[:, asset], booked, rtol=1e-10, atol=1e-14)


def rebuilt(trades: pl.DataFrame, panel: Panel, asset: int, costs: Costs) -> np.ndarray:
    """Return equity at each row from nothing but a list of trades that were filled at once, and the prices."""
    equity, before = np.ones(panel.n_bars), 1.0
    close = np.where(panel.valid[:, asset], panel.close[:, asset], 0.0)
    due = close * panel.funding_paid[:, asset]
    entries, exits = (np.searchsorted(panel.times, trades[name].dt.epoch("ms")) for name in ("entry_time", "exit_time"))
    for trade, entry, end in zip(trades.iter_rows(named=True), entries, exits, strict=True):
        held = (1 if trade["side"] == "long" else -1) * trade["quantity"]
        value = close[entry:end] - trade["entry_price"] - np.cumsum(due[entry:end])
        paid = trade["quantity"] * trade["entry_price"] * costs.taker_fee
        equity[entry:end] = before + held * value - paid
        before += trade["pnl"]
        equity[end:] = before
    last = np.maximum.accumulate(np.where(panel.valid[:, asset], np.arange(panel.n_bars), -1))
    return np.where(last >= 0, equity[np.maximum(last, 0)], 1.0)


@every_regime
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, cut=st.integers(150, 299), factor=st.sampled_from([0.5, 1.0, 3.0]))
def test_later_bars_change_no_earlier_trade(costs: Costs, seed: int, cut: int, factor: float) -> None:
    panel, genome = shocked_panel(seed, assets=4, holes=False), lively_genome(seed)
    later = {}
    for name in ("open", "high", "low", "close", "volume", "funding_paid", "funding_rate"):
        later[name] = getattr(panel, name).copy()
        later[name][cut:] *= factor
    now = ONE.trades(genome, panel.window(0, cut), costs).frame.filter(pl.col("reason") != "open")
    for longer in (panel, replace(panel, **later)):
        ended = ONE.trades(genome, longer, costs).frame.filter(pl.col("reason") != "open")
        assert now.equals(ended.filter(pl.col("exit_time").dt.epoch("ms") < int(panel.times[cut])))


@every_regime
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, power=st.integers(-12, 12))
def test_the_unit_of_the_asset_changes_no_return(costs: Costs, seed: int, power: int) -> None:
    # A thousand PEPE in one contract: a thousand times the price, a thousandth of the volume.
    panel, genomes = shocked_panel(seed), crowd(seed, 4)
    other = Panel.from_arrays(
        symbols=panel.symbols,
        interval=panel.interval,
        times=panel.times,
        volume=panel.volume / 2.0**power,
        funding_rate=panel.funding_rate,
        funding_paid=panel.funding_paid,
        valid=panel.valid,
        **{name: getattr(panel, name) * 2.0**power for name in ("open", "high", "low", "close")},
    )
    assert_same_bits(ONE.evaluate(genomes, panel, costs), ONE.evaluate(genomes, other, costs))


@every_regime
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_the_order_of_genomes_and_assets_and_the_threads_change_no_bit(
    costs: Costs, seed: int, data: st.DataObject
) -> None:
    panel, genomes = shocked_panel(seed, assets=4), crowd(seed, 10)
    order, assets = data.draw(st.permutations(range(10))), data.draw(st.permutations(range(4)))
    names = ("open", "high", "low", "close", "volume", "funding_rate", "funding_paid", "valid")
    other = replace(
        panel,
        symbols=tuple(panel.symbols[a] for a in assets),
        **{name: np.ascontiguousarray(getattr(panel, name)[:, assets]) for name in names},
    )
    usual = ONE.evaluate(genomes, panel, costs)
    shuffled = Evaluator(threads=3).evaluate([genomes[k] for k in order], other, costs)
    assert_same_bits(usual, shuffled, np.argsort(order), np.argsort(assets))


@every_regime
def test_no_liquidation_loses_more_than_its_margin(costs: Costs) -> None:
    liquidated = 0
    for seed in range(30):
        panel, genome = shocked_panel(seed, holes=False), altered(busy_genome(seed), stop_loss=0.15)
        trades = ONE.trades(genome, panel, costs).frame.filter(pl.col("reason") == "liquidation")
        notional = trades["quantity"] * trades["entry_price"]
        asked = np.array([min(costs.leverage, costs.tiers(symbol)[0][1]) for symbol in trades["symbol"]])
        margin = notional.to_numpy() / asked + notional.to_numpy() * costs.taker_fee
        if costs.max_participation is None:
            assert (-trades["pnl"].to_numpy() <= margin * (1 + 1e-9)).all()
        liquidated += trades.height
    assert (liquidated > 20) == (costs.leverage > 3)
