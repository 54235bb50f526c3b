"""Each family acts in the markets that it is made for, on the side that it is made for."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from quant_organism.strategies import Genome, default_genome, family_names, signal
from quant_organism_tests.strategies.scenarios import (
    Columns,
    breakout,
    learnable,
    sideways,
    swing,
    swinging_funding,
    trending,
    volatile,
)

LONG, SHORT = {1.0}, {-1.0}
BOTH = LONG | SHORT
SEEDS = range(4)

SCENARIOS: dict[str, Callable[[int], Columns]] = {
    "bull": lambda seed: trending(0.0015, seed),
    "bear": lambda seed: trending(-0.0015, seed),
    "sideways": sideways,
    "volatile": volatile,
    "breakout": lambda seed: breakout(1, seed),
    "breakout down": lambda seed: breakout(-1, seed),
    "swing": lambda seed: swing(1, seed),
    "swing down": lambda seed: swing(-1, seed),
    "funding": swinging_funding,
    "learnable": learnable,
}

TREND_FOLLOWERS = ("ema_crossover", "sma_trend_filter", "ichimoku_cloud", "nadaraya_watson", "volatility_scaling")
REVERTERS = ("rsi_filter", "stochastic_oscillator", "vwap_reversion", "bollinger_bands")
BREAKOUT_FOLLOWERS = ("donchian_breakout", "bollinger_bands", "atr_stop_loss")
LEARNERS = ("linear_svc_classifier", "pca_tree_quantile")

FIRES = [
    *(("bull", family, LONG) for family in TREND_FOLLOWERS),
    *(("bear", family, SHORT) for family in TREND_FOLLOWERS),
    *(("sideways", family, BOTH) for family in REVERTERS),
    *(("volatile", family, BOTH) for family in ("atr_stop_loss", "volatility_scaling", "bollinger_bands")),
    *(("breakout", family, LONG) for family in BREAKOUT_FOLLOWERS),
    *(("breakout down", family, SHORT) for family in BREAKOUT_FOLLOWERS),
    ("swing", "fibonacci_retracement", LONG),
    ("swing down", "fibonacci_retracement", SHORT),
    ("funding", "funding_rate_carry", BOTH),
    *(("learnable", family, BOTH) for family in LEARNERS),
]


def reference(family: str) -> Genome:
    """Return the family's reference genome; a learner looks one bar ahead, as far as its market can be foreseen."""
    genes = dict(default_genome(family).genes)
    return Genome(family, genes | ({"label_horizon": "1"} if "label_horizon" in genes else {}))


def targets(family: str, scenario: str) -> NDArray[np.float64]:
    """Return the targets of the reference genome, one row per seed of the scenario."""
    return np.array([signal(reference(family), SCENARIOS[scenario](seed)) for seed in SEEDS])


@pytest.mark.parametrize(("scenario", "family", "sides"), [row for row in FIRES if row[1] in family_names()])
def test_families_fire_where_they_must(scenario: str, family: str, sides: set[float]) -> None:
    assert sides <= set(np.sign(targets(family, scenario)).ravel().tolist())


@pytest.mark.parametrize("family", [family for family in TREND_FOLLOWERS if family in family_names()])
def test_trend_followers_lean_with_the_trend(family: str) -> None:
    assert (targets(family, "bull").mean(axis=1) > 0).all()
    assert (targets(family, "bear").mean(axis=1) < 0).all()


@pytest.mark.parametrize("family", sorted({family for _, family, _ in FIRES} & set(family_names())))
def test_every_family_opens_longs_and_shorts(family: str) -> None:
    found = np.concatenate([np.sign(targets(family, scenario)).ravel() for scenario in SCENARIOS])
    assert {-1.0, 1.0} <= set(found.tolist())


@pytest.mark.parametrize(("scenario", "side"), [("breakout", 1.0), ("breakout down", -1.0)])
@pytest.mark.parametrize("family", [family for family in BREAKOUT_FOLLOWERS if family in family_names()])
def test_breakouts_are_followed_at_once(family: str, scenario: str, side: float) -> None:
    # Whether the quiet bars end in a squeeze is chance, so several quiet stretches are tried.
    assert (targets(family, scenario)[:, 150:160] == side).any()


def test_sizes_say_why_a_position_is_held() -> None:
    fades = np.abs(targets("bollinger_bands", "sideways"))
    assert {0.0, 0.5} <= set(fades.ravel().tolist())
    storm = np.abs(targets("volatility_scaling", "volatile"))[:, 80:]
    wild = np.arange(80, 400) // 40 % 2 == 1
    # 3 % an hour is 281 % a year, seven times the target; 0.3 % is 28 %, below it.
    assert storm[:, wild].mean() < 0.5 * storm[:, ~wild].mean()
