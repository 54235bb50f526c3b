"""Markets made of a market: noise, resampled blocks and longer bars keep what makes a bar a bar."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.validation.robustness.breakdown import REGIMES, market_regimes
from quant_organism.validation.robustness.intervals import coarser
from quant_organism.validation.robustness.made_markets import noisy, rebuilt
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.validation.robustness.strategies import panel_of

PRICES = ("open", "high", "low", "close")


def small() -> Panel:
    """Return two assets, the second listed one bar later, over four bars."""
    return Panel.from_arrays(
        symbols=["A", "B"],
        interval=Interval.parse("1h"),
        times=1_704_067_200_000 + 3_600_000 * np.arange(4),
        open=[[100, np.nan], [110, 50], [105, 60], [126, 30]],
        high=[[110, np.nan], [121, 60], [126, 66], [140, 30]],
        low=[[100, np.nan], [99, 50], [84, 30], [120, 15]],
        close=[[110, np.nan], [99, 60], [126, 30], [126, 15]],
        volume=[[1, np.nan], [2, 4], [3, 6], [4, 8]],
        funding_rate=[[1e-5, np.nan], [2e-5, 5e-5], [3e-5, 6e-5], [4e-5, 7e-5]],
        funding_paid=[[0, 0], [0, 1e-4], [0, 0], [3e-4, 0]],
        fear_greed=[10, 20, 30, 40],
    )


def test_a_resampled_market_by_hand():
    panel = rebuilt(small(), np.array([2, 3, 0, 2]))
    # A moves by 126/99, 126/126, 110/100 and 126/99 from its first open, 100.
    close = 100 * np.cumprod([126 / 99, 1.0, 1.1, 126 / 99])
    np.testing.assert_allclose(panel.close[:, 0], close)
    np.testing.assert_allclose(panel.low[:, 0], [100 * 84 / 99, close[0] * 120 / 126, close[1], close[2] * 84 / 99])
    # B has no bar where the first one came; its first open is 50.
    np.testing.assert_array_equal(panel.valid[:, 1], [True, True, False, True])
    np.testing.assert_allclose(panel.close[[0, 1, 3], 1], [25.0, 12.5, 6.25])
    np.testing.assert_allclose(panel.open[[0, 1, 3], 1], [50.0, 25.0, 12.5])
    np.testing.assert_allclose((panel.volume * panel.close)[:, 0], np.array([3, 4, 1, 3]) * [126, 126, 110, 126])
    np.testing.assert_array_equal(panel.funding_paid[:, 0], [0, 3e-4, 0, 0])
    np.testing.assert_array_equal(panel.fear_greed, [30, 40, 10, 30])
    np.testing.assert_array_equal(panel.times, small().times)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), bars=st.integers(3, 120))
def test_rows_in_their_order_give_the_same_market_and_any_rows_a_sound_one(seed, bars):
    panel = random_panel(seed, bars=bars, assets=3, shocks=0.2)
    same = rebuilt(panel, np.arange(bars))
    np.testing.assert_array_equal(same.valid, panel.valid)
    for name in (*PRICES, "volume"):
        np.testing.assert_allclose(getattr(same, name), getattr(panel, name), rtol=1e-9)
    rows = np.random.default_rng(seed).integers(0, bars, bars)
    other = rebuilt(panel, rows)
    np.testing.assert_array_equal(other.valid, panel.valid[rows])
    for asset in range(3):
        own = np.flatnonzero(panel.valid[:, asset])
        if own.size:
            before = np.full(bars, np.nan)
            before[own] = np.concatenate([panel.open[own[:1], asset], panel.close[own[:-1], asset]])
            kept = np.flatnonzero(other.valid[:, asset])
            new = np.concatenate([panel.open[own[:1], asset], other.close[kept[:-1], asset]])[: kept.size]
            moves = panel.close[rows[kept], asset] / before[rows[kept]]
            np.testing.assert_allclose(other.close[kept, asset] / new, moves, rtol=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_noise_moves_closes_by_its_size_and_leaves_the_rest(seed):
    panel = random_panel(seed, bars=600)
    same = noisy(panel, np.random.default_rng(seed), 0.0)
    assert same.hash == panel.hash
    found = noisy(panel, np.random.default_rng(seed), 0.1)
    for name in ("open", "volume", "funding_paid", "funding_rate", "valid"):
        np.testing.assert_array_equal(getattr(found, name), getattr(panel, name))
    for asset in range(panel.n_assets):
        rows = np.flatnonzero(panel.valid[:, asset])
        if rows.size < 100:
            continue
        sigma = np.std(np.diff(np.log(panel.close[rows, asset])))
        moved = np.log(found.close[rows, asset] / panel.close[rows, asset])
        assert moved.std() == pytest.approx(0.1 * sigma, rel=0.35)
        assert (found.high[rows, asset] >= panel.high[rows, asset]).all()
        assert (found.low[rows, asset] <= panel.low[rows, asset]).all()


def test_longer_bars_by_hand():
    panel = coarser(small(), Interval.parse("2h"))
    np.testing.assert_array_equal(panel.times, small().times[::2])
    np.testing.assert_array_equal(panel.open, [[100, 50], [105, 60]])
    np.testing.assert_array_equal(panel.high, [[121, 60], [140, 66]])
    np.testing.assert_array_equal(panel.low, [[99, 50], [84, 15]])
    np.testing.assert_array_equal(panel.close, [[99, 60], [126, 15]])
    np.testing.assert_array_equal(panel.volume, [[3, 4], [7, 14]])
    np.testing.assert_array_equal(panel.funding_paid, [[0, 1e-4], [3e-4, 0]])
    np.testing.assert_array_equal(panel.funding_rate, [[2e-5, 5e-5], [4e-5, 7e-5]])
    np.testing.assert_array_equal(panel.fear_greed, [20, 40])


def test_longer_bars_open_on_their_own_grid_and_half_bars_at_the_ends_are_dropped():
    later = small().window(1, 4)
    panel = coarser(later, Interval.parse("2h"))
    np.testing.assert_array_equal(panel.times, small().times[2:3])
    np.testing.assert_array_equal(panel.close, [[126, 15]])
    with pytest.raises(InputError, match="no whole bar of 4h"):
        coarser(later, Interval.parse("4h"))


def test_regimes_are_told_by_the_days_before():
    days = 90
    daily = np.concatenate([np.full(40, 0.01), np.full(50, -0.01)])
    daily[60:] *= np.where(np.arange(30) % 2, 3.0, -1.0)
    close = 100 * np.cumprod(1 + np.repeat(daily, 24) / 24)
    panel = panel_of(close)
    starts = panel.times[::24]
    regime = market_regimes(panel, starts)
    assert (regime[:30] == -1).all()
    assert all(REGIMES[place].startswith("rising") for place in regime[31:54])
    assert all(REGIMES[place].startswith("falling") for place in regime[58:])
    assert all(REGIMES[place].endswith("turbulent") for place in regime[75:])
    altered = panel_of(np.concatenate([close[: 70 * 24], close[70 * 24 :] * 2]))
    trend_only = [REGIMES[place].split(",")[0] for place in market_regimes(altered, starts)[30:71]]
    assert trend_only == [REGIMES[place].split(",")[0] for place in regime[30:71]]
    assert len(regime) == days
