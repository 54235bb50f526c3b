"""The null of families that rank assets: the market stays, what assets do beyond it is turned over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.sleeves import check_panel
from quant_organism.errors import InputError
from quant_organism.market import Panel
from quant_organism.strategies import Genome, default_genome
from quant_organism.validation.nulls import draw_copies, draw_null, draw_signs, residual_flipped
from quant_organism.validation.pretest import RandomStrategies
from quant_organism_tests.backtest.markets import random_panel

FREE = Costs(taker_fee=0.0, maker_fee=0.0, slippage_bps=0.0)
RANKING, DIRECTIONAL = "xs_momentum", "ema_crossover"


def gains(panel: Panel) -> NDArray[np.float64]:
    """Return what a long position makes in each bar but the first, shape (T - 1, N)."""
    close = panel.close
    return np.asarray(close[1:] * (1.0 - panel.funding_paid[1:]) / close[:-1] - 1.0)


def test_the_market_stays_bar_by_bar_and_what_is_beyond_it_changes_its_sign() -> None:
    panel = random_panel(3, bars=500, assets=7, holes=False, volatility=0.004)
    signs = draw_signs(panel.n_bars, np.random.default_rng(1))
    copy = residual_flipped(panel, signs)
    before, after = gains(panel), gains(copy)
    market = before.mean(axis=1)
    assert after.mean(axis=1) == pytest.approx(market, abs=1e-12)
    beta = market @ before / (market @ market)
    beyond = before - np.outer(market, beta)
    assert after - np.outer(market, beta) == pytest.approx(signs[1:, None] * beyond, abs=1e-12)
    opened = copy.open[1:] / copy.close[:-1] - 1.0
    assert opened == pytest.approx(signs[1:, None] * (panel.open[1:] / panel.close[:-1] - 1.0), abs=1e-12)
    assert np.array_equal(copy.volume, panel.volume)
    assert np.array_equal(copy.funding_paid, panel.funding_paid)


@pytest.mark.parametrize("seed", range(3))
def test_copies_have_possible_bars_in_the_same_places(seed: int) -> None:
    panel = random_panel(seed, bars=300, assets=6, shocks=0.4)
    copy = residual_flipped(panel, draw_signs(panel.n_bars, np.random.default_rng(seed)))
    check_panel(copy, 0, copy.n_bars)
    assert np.array_equal(copy.valid, panel.valid)


def test_no_bar_turned_over_is_the_same_market() -> None:
    panel = random_panel(5, bars=300, assets=6)
    copy = residual_flipped(panel, np.ones(panel.n_bars, dtype=np.int8))
    for name in ("open", "high", "low", "close"):
        known = np.isfinite(getattr(panel, name))
        assert getattr(copy, name)[known] == pytest.approx(getattr(panel, name)[known], rel=1e-9)
    with pytest.raises(InputError, match="use draw_signs"):
        residual_flipped(panel, np.zeros(panel.n_bars, dtype=np.int8))


def drifting() -> Panel:
    """Return assets of which some rise and others fall beyond the market, all the time."""
    panel = random_panel(8, bars=3000, assets=8, interval="4h", holes=False, volatility=0.002, overnight=0.0)
    rate = np.zeros(panel.close.shape)
    growth = np.exp(np.outer(np.arange(panel.n_bars), np.linspace(-3e-4, 3e-4, 8)))
    prices = {name: getattr(panel, name) * growth for name in ("open", "high", "low", "close")}
    return Panel.from_arrays(
        symbols=panel.symbols,
        interval=panel.interval,
        times=panel.times,
        open=prices["open"],
        high=prices["high"],
        low=prices["low"],
        close=prices["close"],
        volume=panel.volume,
        funding_rate=rate,
        funding_paid=rate,
    )


def test_a_static_tilt_is_an_edge_that_only_the_residual_flip_takes_away() -> None:
    panel, genome = drifting(), default_genome(RANKING)
    genome = Genome(RANKING, dict(genome.genes) | {"weighting": "rank"})
    seeds = [np.random.SeedSequence(seed) for seed in range(4)]
    residual = [draw_copies(panel, "mean_preserving", seed, [RANKING]).panel for seed in seeds]
    kept = [draw_null(panel, "mean_preserving", seed) for seed in seeds]

    def sharpe(panels: list[Panel]) -> float:
        found = [Evaluator(threads=1).evaluate([genome], each, FREE).metrics["sharpe"][0] for each in panels]
        return float(np.mean(found))

    assert sharpe([panel]) > 4.0
    assert sharpe(kept) > 4.0
    assert abs(sharpe(residual)) < 1.5


def test_each_kind_of_family_has_the_copy_of_its_null() -> None:
    panel, seed = random_panel(4, bars=300, assets=6), np.random.SeedSequence(9)
    flipped = draw_null(panel, "mean_preserving", seed)
    alone = draw_copies(panel, "mean_preserving", seed, [DIRECTIONAL])
    ranked = draw_copies(panel, "mean_preserving", seed, [RANKING])
    both = draw_copies(panel, "mean_preserving", seed, [DIRECTIONAL, RANKING])
    assert (alone.panel.hash, alone.ranked) == (flipped.hash, None)
    assert ranked.ranked is None
    assert both.ranked is not None
    assert (both.panel.hash, both.ranked.hash) == (flipped.hash, ranked.panel.hash)
    assert flipped.hash != ranked.panel.hash


def test_a_population_of_both_kinds_is_measured_on_both_copies() -> None:
    first, second = (random_panel(seed, bars=1200, assets=7, holes=False) for seed in (1, 2))
    second = replace(second, times=first.times)
    genomes = [default_genome(RANKING), default_genome(DIRECTIONAL)]
    together = Evaluator(threads=1, ranked_on=second).evaluate(genomes, first, FREE, bar_returns=True)
    ranked, directional = (
        Evaluator(threads=1).evaluate([genome], panel, FREE, bar_returns=True)
        for genome, panel in zip(genomes, (second, first), strict=True)
    )
    assert together.bar_returns is not None
    assert ranked.bar_returns is not None
    assert directional.bar_returns is not None
    assert ranked.bar_returns.any()
    assert np.array_equal(together.bar_returns[0], ranked.bar_returns[0])
    assert np.array_equal(together.bar_returns[1], directional.bar_returns[0])
    for name, values in together.metrics.items():
        assert values[0] == pytest.approx(ranked.metrics[name][0], nan_ok=True)
        assert values[1] == pytest.approx(directional.metrics[name][0], nan_ok=True)


def test_the_pretest_counts_a_family_that_ranks_on_its_own_null() -> None:
    panel = random_panel(6, bars=3000, assets=7, holes=False)
    families = (RANKING, DIRECTIONAL)
    both = RandomStrategies(panel, families, Costs(), 1, genomes=8, min_trades=1, seed=3)
    found, market = both(1), both(0)
    assert {f"ensemble {name}" for name in families} <= set(found)
    alone = RandomStrategies(panel, (DIRECTIONAL,), Costs(), 1, genomes=8, min_trades=1, seed=3)
    assert np.isfinite(found[f"ensemble {RANKING}"])
    assert found[f"ensemble {RANKING}"] != market[f"ensemble {RANKING}"]
    assert alone.population(panel) != both.population(panel)
