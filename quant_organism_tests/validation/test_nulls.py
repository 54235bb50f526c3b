"""Null panels keep what a market is made of, and nothing that could be earned from it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.strategies import default_genome
from quant_organism.validation.nulls import NULL_KINDS, draw_null, draw_signs, sign_flipped
from quant_organism_tests.panels import trending_panel

PRICES = ("open", "high", "low", "close")
UNTOUCHED = ("times", "volume", "funding_rate", "funding_paid", "valid", "fear_greed")
FREE = Costs(taker_fee=0.0, maker_fee=0.0, slippage_bps=0.0)


def after_funding(panel: Panel, asset: int) -> np.ndarray:
    """Return what a long position gains in each bar but the first, as the evaluator charges it."""
    rows = np.flatnonzero(panel.valid[:, asset])
    close, paid = panel.close[rows, asset], panel.funding_paid[rows, asset]
    return (close[1:] * (1 - paid[1:]) - close[:-1]) / close[:-1]


def with_gaps(panel: Panel, seed: int) -> Panel:
    """Return the panel with a late listing, a delisting and some bars missing."""
    valid = np.random.default_rng(seed).random(panel.valid.shape) > 0.1
    valid[:200, 0] = False
    valid[-300:, 1] = False
    arrays = {name: getattr(panel, name) for name in (*PRICES, "volume", "funding_rate", "funding_paid", "times")}
    return Panel.from_arrays(symbols=panel.symbols, interval=panel.interval, valid=valid, **arrays)


@pytest.fixture(scope="module")
def rich() -> Panel:
    """A rising market whose funding is large and keeps its sign for days."""
    panel = trending_panel(days=150, drift=0.0)
    rise = np.exp(0.0004 * np.arange(panel.n_bars))[:, None]
    prices = {name: getattr(panel, name) * rise for name in PRICES}
    return with_gaps(replace(panel, **prices, funding_paid=np.ascontiguousarray(6 * panel.funding_paid)), seed=1)


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(NULL_KINDS), charged=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_null_has_possible_bars_in_the_same_places(rich: Panel, seed: int, kind, charged: bool):
    null = draw_null(rich, kind, np.random.SeedSequence(seed), charge_funding=charged)  # refuses impossible bars
    for name in UNTOUCHED:
        np.testing.assert_array_equal(getattr(null, name), getattr(rich, name))
    assert null.hash != rich.hash
    assert null.symbols == rich.symbols


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_the_distance_of_each_gain_from_the_mean_stays_with_one_sign_for_all_assets(rich: Panel, seed: int):
    signs = draw_signs(rich.n_bars, np.random.default_rng(seed))
    null = sign_flipped(rich, signs)
    for asset in range(rich.n_assets):
        rows = np.flatnonzero(rich.valid[:, asset])[1:]
        before, turned = after_funding(rich, asset), after_funding(null, asset)
        np.testing.assert_allclose(turned - before.mean(), signs[rows] * (before - before.mean()), atol=1e-12)


def test_the_plain_flip_turns_over_around_zero(rich: Panel):
    signs = draw_signs(rich.n_bars, np.random.default_rng(3))
    null = sign_flipped(rich, signs, keep_mean=False)
    rows = np.flatnonzero(rich.valid[:, 0])[1:]
    np.testing.assert_allclose(after_funding(null, 0), signs[rows] * after_funding(rich, 0), atol=1e-12)


def test_highs_and_lows_change_places_around_the_point_of_the_mirror(rich: Panel):
    null = sign_flipped(rich, np.full(rich.n_bars, -1, dtype=np.int8), keep_mean=False, charge_funding=False)
    rows = np.flatnonzero(rich.valid[:, 2])
    before, turned = rich.close[rows[:-1], 2], null.close[rows[:-1], 2]
    for name, other in (("open", "open"), ("high", "low"), ("low", "high"), ("close", "close")):
        gain = getattr(null, name)[rows[1:], 2] / turned - 1
        np.testing.assert_allclose(gain, 1 - getattr(rich, other)[rows[1:], 2] / before, atol=1e-12)


@pytest.mark.parametrize("keep_mean", [True, False])
def test_no_bar_turned_over_is_the_same_market(rich: Panel, keep_mean: bool):
    same = sign_flipped(rich, np.ones(rich.n_bars, dtype=np.int8), keep_mean=keep_mean)
    for name in PRICES:
        np.testing.assert_allclose(getattr(same, name), getattr(rich, name), rtol=1e-11)


def test_a_market_that_rose_still_rises_unless_the_flip_is_plain(rich: Panel):
    seeds = [np.random.SeedSequence(1, spawn_key=(b,)) for b in range(60)]
    risen = [after_funding(draw_null(rich, "mean_preserving", seed), 0).mean() for seed in seeds]
    plain = [after_funding(draw_null(rich, "plain", seed), 0).mean() for seed in seeds]
    gains = after_funding(rich, 0)
    assert abs(np.mean(risen) - gains.mean()) < 3 * np.std(risen) / np.sqrt(60)
    assert abs(np.mean(plain)) < 3 * np.std(plain) / np.sqrt(60)
    assert gains.mean() > 6 * np.std(plain) / np.sqrt(60)  # else the two could not be told apart


def test_standing_against_funding_earns_nothing_on_nulls_but_would_if_funding_were_left_out(rich: Panel):
    level = np.sign(rich.funding_rate)

    def mean_gain(charged: bool) -> tuple[float, float]:
        gains = []
        for b in range(60):
            null = draw_null(rich, "plain", np.random.SeedSequence(5, spawn_key=(b,)), charge_funding=charged)
            rows = np.flatnonzero(null.valid[:, 0])
            gains.append(np.mean(-level[rows[:-1], 0] * after_funding(null, 0)))
        return float(np.mean(gains)), float(np.std(gains) / np.sqrt(60))

    earned, error = mean_gain(charged=True)
    assert abs(earned) < 3 * error
    trap, error = mean_gain(charged=False)
    assert trap > 6 * error


def test_the_carry_family_earns_nothing_on_nulls():
    panel = trending_panel(days=150, drift=0.0)
    panel = replace(panel, funding_paid=np.ascontiguousarray(8 * panel.funding_paid))
    genome = default_genome("funding_rate_carry")
    sharpe = []
    for b in range(40):
        null = draw_null(panel, "mean_preserving", np.random.SeedSequence(2, spawn_key=(b,)))
        sharpe.append(Evaluator(threads=1).evaluate([genome], null, FREE).metrics["sharpe"][0])
    assert np.isfinite(sharpe).all()
    assert abs(np.mean(sharpe)) < 3 * np.std(sharpe) / np.sqrt(40)


def test_blocks_share_a_sign_and_signs_are_even():
    signs = draw_signs(24 * 400, np.random.default_rng(0), block_bars=24)
    assert (signs.reshape(-1, 24) == signs[::24, None]).all()
    assert abs(signs[::24].mean()) < 4 / np.sqrt(400)
    assert draw_signs(25, np.random.default_rng(0), block_bars=24).shape == (25,)


def test_a_crash_turned_over_is_limited_and_stays_a_possible_bar():
    panel = trending_panel(days=2)
    close = panel.close.copy()
    close[20:] *= 8.0
    high, low = np.maximum(panel.high, close) * 1.01, np.minimum(panel.low, close) * 0.99
    panel = replace(panel, close=close, high=np.maximum(high, panel.open), low=np.minimum(low, panel.open))
    null = sign_flipped(panel, np.full(panel.n_bars, -1, dtype=np.int8))
    assert null.close[20, 0] == pytest.approx(null.close[19, 0] * 0.5)


def test_equal_seeds_give_equal_panels_and_others_do_not(rich: Panel):
    def drawn(b: int) -> str:
        return draw_null(rich, "mean_preserving", np.random.SeedSequence(9, spawn_key=(b,))).hash

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_wrong_signs_are_refused(rich: Panel):
    with pytest.raises(InputError, match="one for each bar"):
        sign_flipped(rich, np.ones(5, dtype=np.int8))
    with pytest.raises(InputError, match="neither 1 nor -1"):
        sign_flipped(rich, np.zeros(rich.n_bars, dtype=np.int8))
