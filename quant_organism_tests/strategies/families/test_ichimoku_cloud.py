"""ichimoku_cloud on cases worked out by hand, and against its rules taken literally."""

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
from quant_organism_tests.strategies.scenarios import Columns, bars, noisy, runs, trending

FAMILY = "ichimoku_cloud"
GENES: dict[str, object] = {
    "tenkan_period": 7,
    "kijun_period": 20,
    "senkou_span_b_period": 40,
    "cloud_strength_weight": 0.6,
    "momentum_confirmation": 0.4,
}
CLOSE = [*[100] * 65, *range(101, 111), *range(108, 89, -2)]


def test_known_answer() -> None:
    assert runs(signal(with_genes(FAMILY, GENES), bars(CLOSE))) == [(65, 78, 1.0), (80, 84, -1.0)]


def test_the_two_lines_alone() -> None:
    # On bar 65 + i of the rise the high is 101 + i and the low 100 + i. Up to bar 71 both windows still hold a low of
    # 100; on bar 72 the fast one begins at 101: (108 + 101) / 2 > (108 + 100) / 2. In the fall, lows follow closes:
    #   bar     78            79            80            81            82            83           84
    #   fast    (110+102)/2   (110+100)/2   (110+98)/2    (110+96)/2    (108+94)/2    (106+92)/2   (104+90)/2
    #   slow    (110+100)/2   (110+100)/2   (110+98)/2    (110+96)/2    (110+94)/2    (110+92)/2   (110+90)/2
    genome = with_genes(FAMILY, GENES | {"cloud_strength_weight": 0.0, "momentum_confirmation": 0.0})
    assert runs(signal(genome, bars(CLOSE))) == [(72, 78, 1.0), (82, 84, -1.0)]


def test_the_lagging_comparison_alone() -> None:
    # A rise by 1 per bar to 110 on bar 74, then rest: bar 94 is the first to close where it did 20 bars before.
    genome = with_genes(FAMILY, GENES | {"momentum_confirmation": 1.0})
    assert runs(signal(genome, bars([*[100] * 65, *range(101, 111), *[110] * 30]))) == [(65, 93, 1.0)]


@pytest.mark.parametrize(("weight", "first"), [(4 / 9, 65), (0.444, 72)])
def test_weights_that_make_one_half_enter(weight: float, first: int) -> None:
    # From bar 65 on cloud and lagging comparison are up: 0.9 x 4 / 9 + 0.1 = 0.5, of which ten digits of the gene and
    # rounding leave a little less. The lines are up from bar 72 on.
    genome = with_genes(FAMILY, GENES | {"cloud_strength_weight": weight, "momentum_confirmation": 0.1})
    assert runs(signal(genome, bars(CLOSE)))[0][0] == first


def literal(genome: Genome, columns: Columns) -> Floats:
    """Take the rules literally."""
    a, k, b = (int(genome.genes[name]) for name in list(GENES)[:3])
    w, m = (float(genome.genes[name]) for name in list(GENES)[3:])
    close = columns["close"]
    n = close.size

    def middle(t: int, period: int) -> float:
        return float(window(columns["high"], t, period).max() + window(columns["low"], t, period).min()) / 2

    def conditions(t: int) -> tuple[bool, bool, bool, bool]:
        spans = (middle(t - k, a) + middle(t - k, k)) / 2, middle(t - k, b)
        cloud = 1 if close[t] > max(spans) else -1 if close[t] < min(spans) else 0
        lines = np.sign(middle(t, a) - middle(t, k))
        score = (1 - m) * (w * cloud + (1 - w) * lines) + m * np.sign(close[t] - close[t - k])
        return score >= 0.5 - 1e-9, score <= -0.5 + 1e-9, score <= 1e-9, score >= -1e-9

    return step(range(b + k - 1, n), n, conditions)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_rules_taken_literally(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed), noisy(seed)
    np.testing.assert_array_equal(signal(genome, columns), literal(genome, columns))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_reflected_prices_reverse_every_target(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed), on_grid(seed)
    np.testing.assert_array_equal(signal(genome, reflected(columns)), -signal(genome, columns))


def test_trends_are_followed_up_and_down() -> None:
    assert (signal(default_genome(FAMILY), trending(0.0015)) > 0).any()
    assert (signal(default_genome(FAMILY), trending(-0.0015)) < 0).any()
