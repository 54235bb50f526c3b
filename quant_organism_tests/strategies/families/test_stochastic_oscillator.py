"""stochastic_oscillator on cases worked out by hand, and against its rules taken literally."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import Genome, default_genome, signal
from quant_organism_tests.strategies.families.literal import (
    Floats,
    drawn,
    on_grid,
    reflected,
    step,
    window,
    with_genes,
)
from quant_organism_tests.strategies.scenarios import Columns, alternating, bars, noisy, runs, sideways

FAMILY = "stochastic_oscillator"
GENES: dict[str, object] = {
    "k_period": 5,
    "d_period": 2,
    "overbought_level": 80.0,
    "oversold_level": 20.0,
    "divergence_sensitivity": 0.0,
}
CLOSE = [*alternating(100, 101, 14), 99, 98, 97, 96, 97, 98, 99, 100, 101, 102, 101, 99, 98]


def in_range(close: list[float], low: list[float]) -> Columns:
    """Return bars with a high of 110."""
    c = np.array(close)
    return {"open": c, "high": np.full(c.size, 110.0), "low": np.array(low), "close": c, "volume": np.ones(c.size)}


def test_known_answer() -> None:
    assert runs(signal(with_genes(FAMILY, GENES), bars(CLOSE))) == [(18, 19, 1.0), (24, 24, -1.0)]


def test_crossings_in_a_range_of_twenty() -> None:
    # %K = 5 (close - 90); before bar 14 it rests at 50.
    #   bar   14    15    16    17    18    19    20    21    22    23
    #   %K    10    15    40    75    80    85    80    45    30    20
    #   %D    30  12.5  27.5  57.5  77.5  82.5  82.5  62.5  37.5    25
    # Bar 15 crosses upwards from 10, bar 18 is overbought; bar 20 crosses downwards from 85, bar 23 is oversold.
    close = [*[100.0] * 14, 92, 93, 98, 105, 106, 107, 106, 99, 96, 94]
    columns = in_range(close, [90.0] * len(close))
    assert runs(signal(with_genes(FAMILY, GENES), columns)) == [(15, 17, 1.0), (20, 22, -1.0)]


@pytest.mark.parametrize(("sensitivity", "expected"), [(0.0, []), (0.45, []), (0.55, [(17, 20, 1.0)])])
def test_a_divergence_widens_the_zone(sensitivity: float, expected: list[object]) -> None:
    # The low of bar 15 (88) is below those of bars 8 to 12 (90), while %K fell to 30 (bars 15, 16: 100 x 6.6 / 22)
    # after 0 on bar 10. Bar 17 crosses upwards (50 > 40) from 30, which 20 + 20 x gene admits from 0.5 on.
    close = [*[100.0] * 10, 90, *[100.0] * 4, 94.6, 94.6, *[99.0] * 4]
    low = [88.0 if bar == 15 else 90.0 for bar in range(len(close))]
    genome = with_genes(FAMILY, GENES | {"divergence_sensitivity": sensitivity})
    assert runs(signal(genome, in_range(close, low))) == expected


def literal(genome: Genome, columns: Columns) -> Floats:
    """Take the rules literally."""
    g = {name: genome.genes[name] for name in GENES}
    k, d = int(g["k_period"]), int(g["d_period"])
    close, high, low = (columns[name] for name in ("close", "high", "low"))
    n = close.size
    index = np.full(n, np.nan)
    for t in range(k - 1, n):
        highest, lowest = window(high, t, k).max(), window(low, t, k).min()
        index[t] = 100 * (close[t] - lowest) / (highest - lowest) if highest > lowest else 50.0

    def mean(t: int) -> float:
        if t < d - 1:
            return np.nan
        last = window(index, t, d)
        return float(last[0] if (last == last[0]).all() else last.mean())

    def conditions(t: int) -> tuple[bool, bool, bool, bool]:
        oversold, overbought = g["oversold_level"], g["overbought_level"]
        now, before = slice(t - k + 1, t + 1), slice(t - 2 * k + 1, t - k + 1)
        if low[now].min() < low[before].min() and index[now].min() > index[before].min():
            oversold += 20 * g["divergence_sensitivity"]
        if high[now].max() > high[before].max() and index[now].max() < index[before].max():
            overbought -= 20 * g["divergence_sensitivity"]
        return (
            index[t - 1] <= mean(t - 1) and index[t] > mean(t) and index[t - 1] <= oversold,
            index[t - 1] >= mean(t - 1) and index[t] < mean(t) and index[t - 1] >= overbought,
            index[t] >= g["overbought_level"],
            index[t] <= g["oversold_level"],
        )

    return step(range(3 * k - 2, n), n, conditions)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_rules_taken_literally(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed), noisy(seed)
    np.testing.assert_array_equal(signal(genome, columns), literal(genome, columns))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_reflected_prices_reverse_every_target(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed), on_grid(seed)
    genes = genome.genes
    levels = {"overbought_level": 100 - genes["oversold_level"], "oversold_level": 100 - genes["overbought_level"]}
    mirrored = Genome(FAMILY, dict(genes) | levels)
    np.testing.assert_array_equal(signal(mirrored, reflected(columns)), -signal(genome, columns))


def test_both_sides_of_a_sideways_market_are_faded() -> None:
    assert {-1.0, 1.0} <= set(signal(default_genome(FAMILY), sideways()))
