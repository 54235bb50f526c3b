"""sma_trend_filter on cases worked out by hand, and against its rules taken literally."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import Genome, default_genome, signal
from quant_organism_tests.strategies.families.literal import (
    Floats,
    drawn,
    efficiency_ratio,
    on_grid,
    reflected,
    step,
    window,
    with_genes,
)
from quant_organism_tests.strategies.scenarios import Columns, bars, noisy, runs, trending

FAMILY = "sma_trend_filter"
GENES: dict[str, object] = {
    "fast_sma_period": 10,
    "slow_sma_period": 100,
    "trend_strength_period": 10,
    "filter_sensitivity": 1.0,
    "momentum_confirmation": 0.5,
}
CLOSE = [*[100] * 110, *range(101, 121), *range(115, 19, -5)]


def test_known_answer() -> None:
    assert runs(signal(with_genes(FAMILY, GENES), bars(CLOSE))) == [(114, 136, 1.0), (138, 149, -1.0)]


def test_every_close_of_the_window_must_confirm() -> None:
    # Bar 110 is the first above the mean of its ten closes (101 > 100.1), bar 119 the tenth in a row. Bar 130 is the
    # first below (115 < (112 + .. + 120 + 115) / 10 = 115.9), bar 139 the tenth; the averages have crossed on bar 137.
    genome = with_genes(FAMILY, GENES | {"filter_sensitivity": 0.0, "momentum_confirmation": 1.0})
    assert runs(signal(genome, bars(CLOSE))) == [(119, 136, 1.0), (139, 149, -1.0)]


@pytest.mark.parametrize(("sensitivity", "first"), [(0.0, 110), (0.6, 111), (0.7, 112), (1.0, 112)])
def test_a_straighter_move_is_demanded(sensitivity: float, first: int) -> None:
    # Closes alternate 100, 101, .. up to bar 109 (101) and rise by 2 from then on:
    #   bar    move over ten bars    way           efficiency
    #   110    103 - 100 = 3         2 + 9 = 11    0.273
    #   111    105 - 101 = 4         4 + 8 = 12    0.333
    #   112    107 - 100 = 7         6 + 7 = 13    0.538
    close = [100 + t % 2 for t in range(110)] + [103 + 2 * i for i in range(10)]
    genes = GENES | {"filter_sensitivity": sensitivity, "momentum_confirmation": 0.0}
    assert runs(signal(with_genes(FAMILY, genes), bars(close))) == [(first, 119, 1.0)]


def literal(genome: Genome, columns: Columns) -> Floats:
    """Take the rules literally."""
    g = {name: genome.genes[name] for name in GENES}
    fast_period, slow_period, period = (int(g[name]) for name in list(GENES)[:3])
    close = columns["close"]
    n = close.size
    fast = [window(close, t, fast_period).mean() if t >= fast_period - 1 else np.nan for t in range(n)]
    slow = [window(close, t, slow_period).mean() if t >= slow_period - 1 else np.nan for t in range(n)]

    def conditions(t: int) -> tuple[bool, bool, bool, bool]:
        straight = efficiency_ratio(close, t, period) >= 0.5 * g["filter_sensitivity"]
        last = range(t - period + 1, t + 1)
        above = sum(close[i] > fast[i] for i in last) >= g["momentum_confirmation"] * period
        below = sum(close[i] < fast[i] for i in last) >= g["momentum_confirmation"] * period
        up, down = fast[t] > slow[t], fast[t] < slow[t]
        return up and straight and above, down and straight and below, not up, not down

    return step(range(max(slow_period - 1, fast_period + period - 2, period), n), n, conditions)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_rules_taken_literally(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed), noisy(seed, 600)
    np.testing.assert_array_equal(signal(genome, columns), literal(genome, columns))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_reflected_prices_reverse_every_target(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed, slow_sma_period=100), on_grid(seed)
    np.testing.assert_array_equal(signal(genome, reflected(columns)), -signal(genome, columns))


def test_no_average_crosses_a_price_at_rest() -> None:
    # Nothing but the equality of both averages keeps this genome out of the market.
    genome = with_genes(FAMILY, GENES | {"filter_sensitivity": 0.0, "momentum_confirmation": 0.0})
    for price in (0.1, 1 / 3, 97.31, 61_234.56789):
        assert not signal(genome, bars(np.full(300, price))).any()


def test_trends_are_followed_up_and_down() -> None:
    assert (signal(default_genome(FAMILY), trending(0.0015)) > 0).any()
    assert (signal(default_genome(FAMILY), trending(-0.0015)) < 0).any()
