"""Laws of the evaluator as a whole: no look-ahead, no unit, no order, no thread changes a result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluation, Evaluator, population
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.strategies import COMMON_GENES, Genome, default_genome, family_names, random_genome
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.test_against_reference import lively_genome

COSTS = Costs()
ONE = Evaluator(threads=1)
SEEDS = st.integers(0, 2**32 - 1)


def crowd(seed: int, count: int) -> list[Genome]:
    """Draw genomes of all families."""
    return [lively_genome(seed + k) for k in range(count)]


def reordered(panel: Panel, assets: list[int], *, scale: float = 1.0) -> Panel:
    """Return the panel with its columns in another order, and prices in another unit."""
    prices = {name: getattr(panel, name)[:, assets] * scale for name in ("open", "high", "low", "close")}
    return Panel.from_arrays(
        symbols=[panel.symbols[a] for a in assets],
        interval=panel.interval,
        times=panel.times,
        volume=panel.volume[:, assets],
        funding_rate=panel.funding_rate[:, assets],
        funding_paid=panel.funding_paid[:, assets],
        valid=panel.valid[:, assets],
        **prices,
    )


def assert_same_bits(a: Evaluation, b: Evaluation, genomes: object = slice(None), assets: object = slice(None)) -> None:
    """Compare two evaluations to the last bit, `b` taken in the order of the given genomes and assets."""
    for name, values in a.metrics.items():
        np.testing.assert_array_equal(values, b.metrics[name][genomes], err_msg=name)
    for name, table in a.asset_metrics.items():
        np.testing.assert_array_equal(table, b.asset_metrics[name][genomes][:, assets], err_msg=name)
    np.testing.assert_array_equal(a.daily_returns, b.daily_returns[genomes])
    np.testing.assert_array_equal(a.days, b.days)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_the_order_of_genomes_and_assets_and_the_threads_change_no_bit(seed: int, data: st.DataObject) -> None:
    panel = random_panel(seed, bars=300, assets=4)
    genomes = crowd(seed, 12)
    order = data.draw(st.permutations(range(12)))
    assets = data.draw(st.permutations(range(4)))
    usual = ONE.evaluate(genomes, panel, COSTS)
    other = Evaluator(threads=3).evaluate([genomes[k] for k in order], reordered(panel, assets), COSTS)
    assert_same_bits(usual, other, np.argsort(order), np.argsort(assets))


@pytest.mark.parametrize("memory_bytes", [0, 300_000, 2**30])
def test_batches_and_what_is_kept_change_no_bit(memory_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    panel, genomes = random_panel(1, bars=300, assets=3), crowd(5, 40)
    usual = ONE.evaluate(genomes, panel, COSTS, bar_returns=True)
    monkeypatch.setattr(population, "_BATCH_CELLS", 1)
    other = Evaluator(threads=2, memory_bytes=memory_bytes)
    other.evaluate(genomes[::2], panel, COSTS)
    for _ in range(2):
        again = other.evaluate(genomes, panel, COSTS, bar_returns=True)
        assert_same_bits(usual, again)
        np.testing.assert_array_equal(usual.bar_returns, again.bar_returns)
    other.evaluate(genomes, random_panel(2, bars=300, assets=3), COSTS)
    assert other.store.used_bytes <= memory_bytes


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, cut=st.integers(150, 399), factor=st.sampled_from([0.5, 1.0, 3.0]))
def test_later_bars_change_no_earlier_trade(seed: int, cut: int, factor: float) -> None:
    panel, genome = random_panel(seed, holes=False), lively_genome(seed)
    later = {}
    for name in ("open", "high", "low", "close", "funding_paid"):
        later[name] = getattr(panel, name).copy()
        later[name][cut:] *= factor
    altered = replace(panel, **later)
    now = ONE.trades(genome, panel.window(0, cut), COSTS).frame
    cut_time = int(panel.times[cut])
    for longer in (panel, altered):
        then = ONE.trades(genome, longer, COSTS).frame
        done = then.filter(pl.col("exit_time").dt.epoch("ms") < cut_time)
        assert now.filter(pl.col("reason") != "open").equals(done)
        entered = pl.col("entry_time", "side", "symbol", "entry_price", "quantity")
        before = then.filter(pl.col("entry_time").dt.epoch("ms") < cut_time)
        assert now.select(entered).equals(before.select(entered))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, start=st.integers(0, 100), length=st.integers(1, 250))
def test_a_window_ends_as_if_the_panel_did(seed: int, start: int, length: int) -> None:
    panel, genomes = random_panel(seed, bars=350), crowd(seed, 4)
    inside = ONE.evaluate(genomes, panel, COSTS, start=start, stop=start + length)
    assert_same_bits(inside, ONE.evaluate(genomes, panel.window(0, start + length), COSTS, start=start))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, power=st.integers(-20, 20))
def test_the_unit_of_price_changes_no_return(seed: int, power: int) -> None:
    panel, genomes = random_panel(seed, bars=300), crowd(seed, 4)
    assert_same_bits(
        ONE.evaluate(genomes, panel, COSTS), ONE.evaluate(genomes, reordered(panel, [0, 1, 2], scale=2.0**power), COSTS)
    )


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, fee=st.sampled_from([0.0, 0.00045, 0.02]), slippage=st.sampled_from([0.0, 5.0, 200.0]))
def test_profits_fees_and_funding_account_for_all_equity(seed: int, fee: float, slippage: float) -> None:
    panel, genome = random_panel(seed, funding=1e-3), lively_genome(seed)
    costs = Costs(taker_fee=fee, slippage_bps=slippage)
    trades = ONE.trades(genome, panel, costs).frame
    equity = ONE.equity(genome, panel, costs)
    moved = pl.col("quantity") * (pl.col("exit_price") - pl.col("entry_price"))
    signed = pl.when(pl.col("side") == "long").then(moved).otherwise(-moved)
    balance = trades.select(error=signed - pl.col("fees") - pl.col("funding") - pl.col("pnl"))["error"]
    assert np.abs(balance.to_numpy()).max(initial=0.0) < 1e-12
    for asset, symbol in enumerate(panel.symbols):
        earned = trades.filter(pl.col("symbol") == symbol)["pnl"].sum()
        assert equity.sleeves[-1, asset] == pytest.approx(1 + earned, rel=1e-10)


def test_daily_returns_compound_the_bars_of_utc_days() -> None:
    panel, genomes = random_panel(3, bars=200, assets=2, holes=False), crowd(3, 3)
    found = ONE.evaluate(genomes, panel, COSTS, start=5, stop=150, bar_returns=True)
    day = panel.times[5:150] // 86_400_000
    assert found.days.tolist() == [int(d) * 86_400_000 for d in np.unique(day)]
    for k, d in enumerate(np.unique(day)):
        expected = np.prod(1 + found.bar_returns[:, day == d], axis=1) - 1
        np.testing.assert_allclose(found.daily_returns[:, k], expected, atol=1e-14)


def test_a_portfolio_is_the_sum_of_its_sleeves_and_stays_within_equity() -> None:
    panel = random_panel(4, bars=300, assets=12, holes=False)
    genomes = [Genome(g.family, dict(g.genes) | {"position_size": 0.15}) for g in crowd(4, 8)]
    found = ONE.evaluate(genomes, panel, COSTS, bar_returns=True)
    sleeves = ONE.equity(genomes[0], panel, COSTS).sleeves
    gains = np.diff(np.vstack([np.ones(12), sleeves]), axis=0) / np.vstack([np.ones(12), sleeves[:-1]])
    np.testing.assert_allclose(found.bar_returns[0], gains.sum(axis=1), atol=1e-12)
    assert found.metrics["exposure"].max() <= 1


@pytest.mark.parametrize("gene", [spec.name for spec in COMMON_GENES])
def test_every_gene_that_the_evaluator_applies_is_live(gene: str) -> None:
    spec = next(spec for spec in COMMON_GENES if spec.name == gene)
    panel = random_panel(8, bars=1500, assets=3, volatility=0.02, holes=False, moods=True)
    values = [int(v) if spec.kind == "int" else float(v) for v in np.linspace(spec.low, spec.high, 5)]
    base = dict(default_genome("ema_crossover").genes) | {"stop_loss": 0.15, "take_profit": 0.3, "position_size": 0.15}
    swept = [Genome("ema_crossover", base | {gene: value}) for value in values]
    assert len(set(ONE.evaluate(swept, panel, COSTS).metrics["total_return"].tolist())) > 1


def test_costs_only_ever_cost() -> None:
    panel, genomes = random_panel(9, holes=False), crowd(9, 20)
    free = Costs(taker_fee=0.0, slippage_bps=0.0, charge_funding=False)
    returns = [
        ONE.evaluate(genomes, panel, costs).metrics["total_return"]
        for costs in (free, replace(free, taker_fee=0.001), replace(free, taker_fee=0.002))
    ]
    assert (returns[0] >= returns[1]).all()
    assert (returns[1] >= returns[2]).all()


def test_an_asset_without_bars_has_no_metrics_and_takes_no_share() -> None:
    panel = random_panel(10, bars=200, assets=2, holes=False)
    valid = panel.valid.copy()
    valid[:, 1] = False
    alone = replace(panel, valid=valid)
    found = ONE.evaluate([default_genome("ema_crossover")], alone, COSTS)
    assert found.asset_metrics["trades"][0, 1] == 0
    assert np.isnan(found.asset_metrics["total_return"][0, 1])
    assert not np.isnan(found.asset_metrics["total_return"][0, 0])


def test_equal_trade_lists_have_equal_hashes() -> None:
    panel, genome = random_panel(11), default_genome("ema_crossover")
    first = ONE.trades(genome, panel, COSTS)
    assert first.hash == Evaluator(threads=2).trades(genome, panel, COSTS).hash
    assert first.hash != ONE.trades(genome, panel, Costs(slippage_bps=6.0)).hash


def test_every_family_evaluates_on_every_interval() -> None:
    rng = np.random.default_rng(12)
    for interval in ("5m", "1h", "1d"):
        panel = random_panel(12, bars=400, interval=interval)
        found = ONE.evaluate([random_genome(rng, name) for name in family_names()], panel, COSTS)
        assert found.daily_returns.shape == (len(family_names()), np.unique(panel.times // 86_400_000).size)


def broken(**changes: object) -> Panel:
    """Return a panel with some arrays replaced behind the back of its checks."""
    return replace(random_panel(13, bars=50, assets=2, holes=False), **changes)


def with_value(name: str, value: float) -> np.ndarray:
    """Return a column of that panel with one broken value."""
    array = getattr(broken(), name).copy()
    array[7, 1] = value
    return array


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        (broken(close=with_value("close", np.nan)), r"S1 at 2024-01-01 07:00 UTC: not a possible bar.*close nan"),
        (broken(open=with_value("open", np.inf)), "S1 at 2024-01-01 07:00 UTC: not a possible bar.*open inf"),
        (broken(low=with_value("low", 0.0)), "not a possible bar.*low 0.0"),
        (broken(low=with_value("low", -1.0)), "not a possible bar.*low -1.0"),
        (broken(high=with_value("high", 0.001)), "not a possible bar.*high 0.001"),
        (broken(volume=with_value("volume", -1.0)), "not a possible bar.*volume -1.0"),
        (broken(funding_paid=with_value("funding_paid", np.nan)), "not a possible bar.*funding_paid nan"),
        (broken(volume=np.ones((49, 2))), r"volume has shape \(49, 2\), expected \(50, 2\)"),
        (broken(valid=np.ones((50, 3), dtype=bool)), r"valid has shape \(50, 3\)"),
        (broken(times=broken().times[::-1].copy()), "the bars are not one 1h apart"),
        (broken(times=np.repeat(broken().times[:25], 2)), "panel, after 2024-01-01 00:00 UTC: the bars are not one 1h"),
    ],
)
def test_a_broken_panel_is_refused_before_any_work(panel: Panel, message: str) -> None:
    genome = default_genome("ema_crossover")
    for call in (lambda: ONE.evaluate([genome], panel, COSTS), lambda: ONE.trades(genome, panel, COSTS)):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize(("start", "stop"), [(-1, 10), (10, 10), (0, 51), (60, None)])
def test_a_window_outside_the_panel_is_refused(start: int, stop: int | None) -> None:
    with pytest.raises(InputError, match="no window from bar"):
        ONE.evaluate([default_genome("ema_crossover")], broken(), COSTS, start=start, stop=stop)


def test_other_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="the population is empty"):
        ONE.evaluate([], broken(), COSTS)
    with pytest.raises(InputError, match="threads is 0"):
        Evaluator(threads=0)
    with pytest.raises(InputError, match=r"taker_fee is -0\.1"):
        Costs(taker_fee=-0.1)
    with pytest.raises(InputError, match="slippage_bps is nan"):
        Costs(slippage_bps=float("nan"))


def test_costs_are_known_by_their_hash() -> None:
    assert Costs().hash == Costs(taker_fee=0.00045).hash
    assert len({Costs().hash, Costs(taker_fee=0.0).hash, Costs(charge_funding=False).hash}) == 3
