"""The compiled evaluator does what the plain reference of its rules does, over random genomes and markets."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, random_genome
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.reference import SleeveResult, run_sleeve

EVALUATOR = Evaluator(threads=1)
SEEDS = st.integers(0, 2**32 - 1)

COSTS = st.builds(
    Costs,
    taker_fee=st.sampled_from([0.0, 0.00045, 0.01]),
    maker_fee=st.sampled_from([-0.0001, 0.0, 0.00015, 0.01]),
    slippage_bps=st.sampled_from([0.0, 5.0, 120.0]),
    charge_funding=st.booleans(),
    leverage=st.sampled_from([1, 3, 10, 40]),
    default_tiers=st.sampled_from([((0.0, 10),), ((0.0, 40),), ((0.0, 40), (500.0, 20), (1_000.0, 3))]),
)


def lively_genome(seed: int, family: str | None = None) -> Genome:
    """Draw a genome, of any family or of a given one, whose family genes trade often, with any risk genes."""
    rng = np.random.default_rng(seed)
    genome = random_genome(rng, family)
    eager = {
        "momentum_threshold": 0.0,
        "trend_filter": 0.0,
        "breakout_threshold": 0.0,
        "volume_confirmation": 0.2,
        "false_breakout_filter": int(rng.integers(0, 3)),
        "trend_bias": 0.2,
        "rsi_period": 6,
        "lookback_period": 10,
        "channel_period": 10,
        "trailing_stop": float(rng.choice([0.0, 0.004, 0.02, 0.1])),
        "max_holding_hours": int(rng.choice([4, 9, 72, 336])),
    }
    genes = dict(genome.genes) | {name: value for name, value in eager.items() if name in genome.genes}
    return Genome(genome.family, genes)


def busy_genome(seed: int) -> Genome:
    """Draw a genome of one of four families that trade within days, for what has to happen often."""
    return lively_genome(seed, ("bollinger_bands", "donchian_breakout", "ema_crossover", "rsi_filter")[seed % 4])


@dataclass(frozen=True)
class Case:
    """A genome, a market and a window, by the numbers that make them."""

    genome_seed: int
    panel_seed: int
    panel_options: dict[str, object]
    costs: Costs
    window: tuple[float, float]

    def build(self) -> tuple[Genome, Panel, Costs, int, int]:
        """Return genome, panel, costs, start and stop."""
        panel = random_panel(self.panel_seed, **self.panel_options)
        first, last = sorted(self.window)
        start = int(first * (panel.n_bars - 1))
        return lively_genome(self.genome_seed), panel, self.costs, start, max(start + 1, round(last * panel.n_bars))


CASES = st.builds(
    Case,
    genome_seed=SEEDS,
    panel_seed=SEEDS,
    panel_options=st.fixed_dictionaries(
        {
            "bars": st.integers(60, 400),
            "assets": st.integers(1, 3),
            "interval": st.sampled_from(["1h", "15m", "4h", "1d"]),
            "volatility": st.sampled_from([0.001, 0.01, 0.04]),
            "holes": st.booleans(),
            "funding": st.sampled_from([1e-4, 1e-2]),
            "settled_every_hours": st.sampled_from([0.0, 1.0, 8.0]),
            "shocks": st.sampled_from([0.0, 0.1, 1.0]),
        }
    ),
    costs=COSTS,
    window=st.sampled_from([(0.0, 1.0), (0.3, 1.0), (0.2, 0.7)]) | st.tuples(st.floats(0, 1), st.floats(0, 1)),
)


@given(CASES)
@settings(max_examples=100, deadline=None)
def test_trades_and_equity_are_those_of_the_reference(case: Case) -> None:
    compare(*case.build())


@given(CASES)
@settings(max_examples=50, deadline=None)
def test_in_comparison_mode_they_are_too(case: Case) -> None:
    genome, *others = case.build()
    compare(altered(genome, trailing_stop=0.0), *others, stops_from_next_bar=True)


def compare(
    genome: Genome,
    panel: Panel,
    costs: Costs,
    start: int = 0,
    stop: int | None = None,
    *,
    stops_from_next_bar: bool = False,
) -> list[SleeveResult]:
    """Hold trades and equity of the evaluator against the reference, and return the reference's sleeves."""
    evaluator = Evaluator(threads=1, stops_from_next_bar=stops_from_next_bar)
    last = panel.n_bars if stop is None else stop
    frame = evaluator.trades(genome, panel, costs, start=start, stop=last).frame
    equity = evaluator.equity(genome, panel, costs, start=start, stop=last)
    sleeves = []
    for asset, symbol in enumerate(panel.symbols):
        expected = run_sleeve(genome, panel, asset, costs, start, last, stops_from_next_bar=stops_from_next_bar)
        found = frame.filter(pl.col("symbol") == symbol)
        assert found["reason"].to_list() == [trade["reason"] for trade in expected.trades]
        assert found["side"].to_list() == ["long" if trade["side"] > 0 else "short" for trade in expected.trades]
        for column, field in (("entry_time", "entry"), ("exit_time", "exit")):
            times = [int(panel.times[trade[field]]) for trade in expected.trades]
            assert found[column].dt.epoch("ms").to_list() == times
        for column in ("quantity", "entry_price", "exit_price", "fees", "funding", "pnl", "return"):
            values = [trade[column] for trade in expected.trades]
            np.testing.assert_allclose(found[column], values, rtol=1e-9, atol=1e-12, err_msg=column)
        np.testing.assert_allclose(equity.sleeves[:, asset], expected.equity, rtol=1e-10, atol=1e-14)
        sleeves.append(expected)
    return sleeves


@given(CASES)
@settings(max_examples=50, deadline=None)
def test_metrics_follow_from_the_paths_of_the_reference(case: Case) -> None:
    genome, panel, costs, start, stop = case.build()
    found = EVALUATOR.evaluate([genome], panel, costs, start=start, stop=stop, bar_returns=True)
    sleeves = [run_sleeve(genome, panel, asset, costs, start, stop) for asset in range(panel.n_assets)]
    year = 8760 / panel.interval.hours
    n = stop - start
    for asset, sleeve in enumerate(sleeves):
        valid = panel.valid[start:stop, asset]
        got = {name: values[0, asset] for name, values in found.asset_metrics.items()}
        expected = plain_metrics(sleeve.returns[valid], year)
        if valid.any():
            expected["exposure"] = sleeve.weights[valid].mean()
            expected["time_in_market"] = sleeve.in_position[valid].mean()
            expected["turnover_per_year"] = sleeve.turnover.sum() * year / valid.sum()
            expected |= plain_trade_metrics(sleeve.trades, panel.interval.hours)
        assert_close(got, expected)
    portfolio = np.sum([sleeve.returns for sleeve in sleeves], axis=0)
    np.testing.assert_allclose(found.bar_returns[0], portfolio, rtol=1e-9, atol=1e-14)
    expected = plain_metrics(portfolio, year) | {"consistency": plain_consistency(portfolio)}
    expected["exposure"] = sum(sleeve.weights for sleeve in sleeves).mean()
    expected["turnover_per_year"] = sum(sleeve.turnover.sum() for sleeve in sleeves) * year / n
    expected |= plain_trade_metrics([trade for sleeve in sleeves for trade in sleeve.trades], panel.interval.hours)
    assert_close({name: values[0] for name, values in found.metrics.items()}, expected)
    day = panel.times[start:stop] // 86_400_000
    growth = np.maximum(1 + portfolio, 0)
    daily = [growth[day == d].prod() - 1 if growth[day < d].all() else 0.0 for d in np.unique(day)]
    np.testing.assert_allclose(found.daily_returns[0], daily, rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("stops_from_next_bar", [False, True])
def test_positions_are_liquidated_and_taken_over_as_in_the_reference(stops_from_next_bar: bool) -> None:
    reasons, taken_over = Counter(), 0
    for seed in range(14, 25):
        leverage = (20, 30, 50)[seed % 3]
        tiers = ((0.0, leverage), (3e5, leverage // 2), (9e5, 5))
        costs = Costs(leverage=leverage, margin_tiers={"S0": tiers}, default_tiers=tiers[:1], capital_usd=1e7)
        panel = random_panel(seed, bars=250, volatility=0.02, shocks=0.4, funding=(1e-4, 1e-3)[seed % 2])
        genome = altered(busy_genome(seed), stop_loss=0.15, trailing_stop=0.0, max_holding_hours=336)
        for sleeve in compare(genome, panel, costs, stops_from_next_bar=stops_from_next_bar):
            for trade in sleeve.trades:
                reasons[trade["reason"]] += 1
                margin = trade["quantity"] * trade["entry_price"] / leverage
                lost = trade["quantity"] * trade["side"] * (trade["entry_price"] - trade["exit_price"])
                taken_over += lost + trade["funding"] == pytest.approx(margin, rel=1e-9)
    assert reasons["liquidation"] > 60
    assert taken_over > 1


@pytest.mark.parametrize(("impact_bps", "stops_from_next_bar"), [(0.0, False), (300.0, False), (50.0, True)])
def test_orders_are_filled_over_several_bars_as_in_the_reference(impact_bps: float, stops_from_next_bar: bool) -> None:
    trades = split = 0
    reasons: Counter[str] = Counter()
    for seed in range(12):
        panel = random_panel(seed, bars=250, volatility=(0.01, 0.03)[seed % 2], shocks=0.1 * (seed % 4 == 3))
        median = float(np.nanmedian(panel.close * panel.volume))
        costs = Costs(
            max_participation=0.02,
            impact_bps=impact_bps,
            capital_usd=median * (0.2, 1.0, 4.0)[seed % 3],
            leverage=(3, 20)[seed % 2],
            default_tiers=((0.0, 20),),
        )
        genome = busy_genome(seed)
        if stops_from_next_bar:
            genome = altered(genome, trailing_stop=0.0)
        for sleeve in compare(genome, panel, costs, stops_from_next_bar=stops_from_next_bar):
            trades += len(sleeve.trades)
            split += (sleeve.turnover > 0).sum() > 2 * len(sleeve.trades)
            reasons.update(trade["reason"] for trade in sleeve.trades)
    assert trades > 60
    assert split > 6
    assert {"signal", "stop_loss", "take_profit", "liquidation", "open", "delisted"} <= set(reasons)


def test_sleeves_are_ruined_as_in_the_reference() -> None:
    ruined = 0
    for seed in range(20):
        panel = random_panel(seed, bars=400, assets=1, shocks=2.5)
        genome = altered(busy_genome(seed), position_size=0.15, position_size_limit=0.15)
        if comparing := bool(seed % 2):
            genome = altered(genome, trailing_stop=0.0)
        sleeves = compare(genome, panel, Costs(leverage=1), stops_from_next_bar=comparing)
        ruined += sum(trade["reason"] == "ruined" for sleeve in sleeves for trade in sleeve.trades)
    assert ruined > 2


def test_moods_shrink_entries_as_in_the_reference() -> None:
    smaller = 0
    for seed in range(6):
        panel = random_panel(seed, bars=400, holes=bool(seed % 2), moods=True)
        base = altered(busy_genome(seed), max_drawdown=0.2)
        minding = compare(altered(base, fear_greed_sensitivity=1.0), panel, Costs())
        carefree = compare(altered(base, fear_greed_sensitivity=0.0), panel, Costs())
        smaller += sum(abs(a.weights).sum() < abs(b.weights).sum() for a, b in zip(minding, carefree, strict=True))
    assert smaller > 6


@pytest.mark.parametrize(
    ("gene", "strict", "lax", "options"),
    [
        ("max_drawdown", 0.05, 0.2, {"volatility": 0.05, "assets": 1}),
        ("volatility_threshold", 1.0, 3.0, {"interval": "4h"}),
        ("volatility_threshold", 1.0, 3.0, {"interval": "1d"}),
    ],
)
def test_entries_are_refused_as_in_the_reference(
    gene: str, strict: float, lax: float, options: dict[str, object]
) -> None:
    refused = 0
    for seed in range(8):
        panel = random_panel(seed, bars=400, holes=bool(seed % 2), **options)
        costs = Costs(taker_fee=0.005)
        base = altered(busy_genome(seed), position_size=0.15, position_size_limit=0.15)
        strictly = compare(altered(base, **{gene: strict}), panel, costs)
        freely = compare(altered(base, **{gene: lax}), panel, costs)
        refused += sum(len(a.trades) != len(b.trades) for a, b in zip(strictly, freely, strict=True))
    assert refused > 1


def test_assets_that_are_allotted_nothing_are_left_alone_as_in_the_reference() -> None:
    idle = traded = 0
    for seed in range(6):
        panel = random_panel(seed, bars=120, assets=12)
        genome = altered(busy_genome(seed), liquidity_weight=1.0, volatility_weight=0.0, momentum_weight=0.0)
        sleeves = compare(genome, panel, Costs())
        idle += sum(not sleeve.trades for sleeve in sleeves)
        traded += sum(bool(sleeve.trades) for sleeve in sleeves)
    assert min(idle, traded) > 3


def altered(genome: Genome, **genes: float) -> Genome:
    """Return a genome with other values of some genes."""
    return Genome(genome.family, dict(genome.genes) | genes)


def plain_consistency(returns: np.ndarray) -> float:
    """Return the share of at most twelve sub-periods of equal length that gained."""
    blocks = min(12, returns.size)
    if blocks < 4:
        return np.nan
    equity = np.concatenate([[1.0], np.cumprod(np.maximum(1 + returns, 0))])
    bounds = [block * returns.size // blocks for block in range(blocks + 1)]
    return sum(equity[b] > equity[a] for a, b in itertools.pairwise(bounds)) / blocks


def plain_metrics(returns: np.ndarray, year: float) -> dict[str, float]:
    """Compute the metrics of a path in the most literal way."""
    if returns.size == 0:
        return {"total_return": np.nan, "sharpe": np.nan, "max_drawdown": np.nan}
    equity = np.concatenate([[1.0], np.cumprod(np.maximum(1 + returns, 0))])
    deviation = returns.std(ddof=1) if returns.size > 1 else np.nan
    downside = np.sqrt(np.mean(np.minimum(returns, 0) ** 2))
    drawdown = (1 - equity / np.maximum.accumulate(equity)).max()
    annual = equity[-1] ** (year / returns.size) - 1 if equity[-1] > 0 else -1.0
    return {
        "total_return": equity[-1] - 1,
        "annual_return": annual,
        "volatility": deviation * np.sqrt(year),
        "sharpe": returns.mean() / deviation * np.sqrt(year) if deviation > 1e-12 else np.nan,
        "sortino": returns.mean() / downside * np.sqrt(year) if downside > 1e-12 else np.nan,
        "max_drawdown": drawdown,
        "calmar": annual / drawdown if drawdown > 0 else np.nan,
    }


def plain_trade_metrics(trades: list[dict], hours_per_bar: float) -> dict[str, float]:
    """Compute the metrics of closed trades in the most literal way."""
    closed = [trade for trade in trades if trade["reason"] != "open"]
    net = [trade["return"] for trade in closed]
    lost = -sum(value for value in net if value < 0)
    found = {
        "trades": len(closed),
        "win_rate": sum(value > 0 for value in net) / len(net) if net else np.nan,
        "profit_factor": sum(value for value in net if value > 0) / lost if lost > 0 else np.nan,
        "avg_holding_hours": np.mean([t["exit"] - t["entry"] for t in closed]) * hours_per_bar if net else np.nan,
    }
    if any(abs(value) < 1e-12 for value in net):
        # What comes out where it went in wins or loses by rounding alone.
        del found["win_rate"], found["profit_factor"]
    return found


def assert_close(found: dict[str, float], expected: dict[str, float]) -> None:
    """Compare metric by metric, but for figures of short windows that overflow and ratios to a rounding error."""
    denominators = {"calmar": "max_drawdown", "sharpe": "volatility", "sortino": "volatility"}
    for name, value in expected.items():
        overflows = name in ("annual_return", "calmar") and abs(value) > 1e3
        if overflows or expected.get(denominators.get(name, ""), 1.0) < 1e-9:
            continue
        assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-11, nan_ok=True), name
