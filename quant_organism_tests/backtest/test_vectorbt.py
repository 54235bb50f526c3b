"""Where vectorbt means the same, it gets the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.reference import run_vectorbt
from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.funding import align_funding
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import Genome, family_names
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.test_against_reference import altered, lively_genome

COMPARABLE = Costs(maker_fee=0.00045, slippage_bps=0.0, charge_funding=False)
VOLATILITIES = (0.005, 0.01, 0.03)


def comparable_genome(seed: int, family: str | None = None) -> Genome:
    """Draw a genome without a trailing stop, and with all the drawdown it may have."""
    return altered(lively_genome(seed, family), trailing_stop=0.0, max_drawdown=0.2)


def assert_agrees(genome: Genome, panel: Panel, *, start: int = 0, stops_from_next_bar: bool = False) -> float:
    """Hold the evaluator against vectorbt on a panel of one asset, and return the number of closed trades."""
    evaluator = Evaluator(threads=1, stops_from_next_bar=stops_from_next_bar)
    ours = evaluator.evaluate([genome], panel, COMPARABLE, start=start)
    theirs = run_vectorbt(
        genome, panel, panel.symbols[0], COMPARABLE, start=start, stops_from_next_bar=stops_from_next_bar
    ).statistics
    found = {name: ours.asset_metrics[name][0, 0] for name in theirs}
    assert found["trades"] == theirs["trades"]
    np.testing.assert_array_equal(found["win_rate"], theirs["win_rate"])
    for name in ("total_return", "max_drawdown"):
        assert abs(found[name] - theirs[name]) < 1e-9
    if np.isnan(found["sharpe"]):
        assert not np.isfinite(theirs["sharpe"])
    else:
        assert abs(found["sharpe"] - theirs["sharpe"]) < 1e-9
    return float(found["trades"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", family_names())
def test_random_genomes_of_every_family_agree_on_simulated_bars(family: str) -> None:
    trades = 0.0
    for seed in range(20):
        comparing = seed % 2 == 1
        panel = random_panel(
            seed, bars=600, assets=1, volatility=VOLATILITIES[seed % 3], holes=not comparing and seed % 4 == 0
        )
        genome = comparable_genome(seed, family)
        trades += assert_agrees(genome, panel, start=50 * (seed % 3), stops_from_next_bar=comparing)
    assert trades > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", family_names())
def test_random_genomes_of_every_family_agree_on_real_bars(shared_market: Path, family: str) -> None:
    trades = 0.0
    for symbol in ("BTC", "DOGE"):
        panel = real_panel(shared_market, symbol)
        for seed in range(4):
            genome = comparable_genome(seed, family)
            trades += assert_agrees(genome, panel, start=200, stops_from_next_bar=bool(seed % 2))
    assert trades > 0


@cache
def real_panel(folder: Path, symbol: str) -> Panel:
    """Return the last 1,500 hours of a perpetual, with the funding in force."""
    source, hour = FileSource(folder / "hl_perp_1h"), Interval.parse("1h")
    first, last = date(2025, 3, 30), date(2025, 5, 31)
    candles = source.candles([symbol], hour, first, last)
    times = candles["timestamp"].dt.epoch("ms").to_numpy()
    rate, paid = align_funding(source.funding([symbol], first, last), (symbol,), times, hour)
    columns = {name: candles[name].to_numpy()[:, None] for name in ("open", "high", "low", "close", "volume")}
    return Panel.from_arrays(
        symbols=[symbol], interval=hour, times=times, funding_rate=rate, funding_paid=paid, **columns
    )


@pytest.mark.filterwarnings("ignore")
def test_weights_and_refusals_are_those_of_the_evaluator() -> None:
    # Several assets, so that scores are below one, and bars of four hours, so that turbulence is known in time.
    panel = random_panel(5, bars=500, assets=4, interval="4h", holes=False)
    for seed in range(6):
        genome = altered(comparable_genome(seed), volatility_threshold=1.2, liquidity_weight=1.0, momentum_weight=0.0)
        ours = Evaluator(threads=1).equity(genome, panel, COMPARABLE)
        for asset, symbol in enumerate(panel.symbols):
            found = run_vectorbt(genome, panel, symbol, COMPARABLE).equity
            np.testing.assert_allclose(found, ours.sleeves[:, asset], rtol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_equity_agrees_bar_by_bar() -> None:
    panel, genome = random_panel(2, bars=300, assets=1, holes=False), comparable_genome(2)
    ours = Evaluator(threads=1).equity(genome, panel, COMPARABLE).sleeves[:, 0]
    np.testing.assert_allclose(run_vectorbt(genome, panel, "S0", COMPARABLE).equity, ours, rtol=1e-12)


def test_what_vectorbt_means_otherwise_is_refused() -> None:
    panel, genome = random_panel(1, bars=100, assets=1, holes=False), comparable_genome(1)
    with pytest.raises(InputError, match="knows no funding"):
        run_vectorbt(genome, panel, "S0", Costs())
    with pytest.raises(InputError, match="no symbol 'S9'"):
        run_vectorbt(genome, panel, "S9", COMPARABLE)
    with pytest.raises(InputError, match="either a fixed or a trailing stop"):
        run_vectorbt(altered(genome, trailing_stop=0.05), panel, "S0", COMPARABLE)
    with pytest.raises(InputError, match="charges one fee"):
        run_vectorbt(genome, panel, "S0", Costs(slippage_bps=0.0, charge_funding=False))
    with pytest.raises(InputError, match="liquidated before its stop"):
        run_vectorbt(altered(genome, stop_loss=0.1), panel, "S0", replace(COMPARABLE, leverage=10))


@pytest.mark.filterwarnings("ignore")
def test_a_drawdown_that_ends_trading_is_refused() -> None:
    panel = random_panel(1, bars=400, assets=1, volatility=0.05, holes=False)
    genome = altered(comparable_genome(1, "donchian_breakout"), max_drawdown=0.05, position_size=0.15, stop_loss=0.15)
    with pytest.raises(InputError, match="has reached max_drawdown"):
        run_vectorbt(genome, panel, "S0", replace(COMPARABLE, taker_fee=0.05, maker_fee=0.05))
