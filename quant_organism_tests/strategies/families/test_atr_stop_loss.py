"""atr_stop_loss on cases worked out by hand, and against its rules taken literally."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import Genome, default_genome, signal
from quant_organism_tests.strategies.families.literal import Floats, drawn, reflected, window, with_genes
from quant_organism_tests.strategies.scenarios import Columns, alternating, bars, breakout, noisy, runs

FAMILY = "atr_stop_loss"
GENES: dict[str, object] = {
    "atr_period": 5,
    "stop_loss_multiplier": 2.0,
    "trailing_stop_multiplier": 1.5,
    "position_size_atr_factor": 2.0,
    "volatility_adjustment": 0.0,
}
CLOSE = [*alternating(100, 101, 20), 103, 105, 107, 109, 108, 106, 103, 100, 97]


def test_known_answer() -> None:
    assert runs(signal(with_genes(FAMILY, GENES), bars(CLOSE))) == [(20, 24, 1.0), (26, 28, -1.0)]


def test_the_known_answer_reversed() -> None:
    mirrored = reflected(bars(CLOSE), 201.0)
    assert runs(signal(with_genes(FAMILY, GENES), mirrored)) == [(20, 24, -1.0), (26, 28, 1.0)]


@pytest.mark.parametrize(("adjustment", "last"), [(0.0, 20), (1.0, 21)])
def test_a_stop_is_wider_where_ranges_have_grown(adjustment: float, last: int) -> None:
    # Ranges are 1 until bar 20, which closes at 103: its range is 2, the average 1 + (2 - 1) / 5 = 1.2, the mean of
    # the last fifteen averages (14 + 1.2) / 15 = 1.013333 and the ratio 1.184211. The stop is 103 - 2 x 1.2 = 100.6,
    # or with the ratio 100.158. Bar 21 closes at 100.4, bar 22 at 100, which is not below the five closes before it.
    # The size is 0.005 / (1.2 / 103) = 0.4291667.
    close = [*alternating(100, 101, 20), 103, 100.4, 100]
    genes = GENES | {"position_size_atr_factor": 0.5, "volatility_adjustment": adjustment}
    [(first, end, size)] = runs(signal(with_genes(FAMILY, genes), bars(close)))
    assert (first, end) == (20, last)
    assert size == pytest.approx(0.5 * 103 / 120, rel=1e-12)


@pytest.mark.parametrize(("trailing", "last"), [(1.0, 22), (2.5, 23)])
def test_a_stop_trails_once_it_breaks_even(trailing: float, last: int) -> None:
    # Entry on bar 20 at 103 with a stop at 100.6. Bar 21 closes at 105: average 1.2 + 0.8 / 5 = 1.36, so that a stop
    # at 1.0 averages stands at 103.64, beyond break-even, and one at 2.5 averages (101.6) is not used. Bar 22 closes
    # at 104 (average 1.288) and holds; bar 23 closes at 103.2, which ends the first; bar 24 at 100.5 ends
    # the second, and is below the five closes before it.
    close = [*alternating(100, 101, 20), 103, 105, 104, 103.2, 100.5]
    genes = GENES | {"trailing_stop_multiplier": trailing}
    assert runs(signal(with_genes(FAMILY, genes), bars(close))) == [(20, last, 1.0), (24, 24, -1.0)]


def literal(genome: Genome, columns: Columns) -> Floats:
    """Take the rules literally."""
    g = {name: genome.genes[name] for name in GENES}
    p = int(g["atr_period"])
    close, high, low = (columns[name] for name in ("close", "high", "low"))
    n = close.size
    reach = [max(high[t] - low[t], abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1])) for t in range(1, n)]
    atr = np.full(n, np.nan)
    atr[p] = np.mean(reach[:p])
    for t in range(p + 1, n):
        atr[t] = atr[t - 1] + (reach[t - 1] - atr[t - 1]) / p
    y = np.zeros(n)
    s, size, entry, best, stop = 0, 0.0, 0.0, 0.0, 0.0
    for t in range(4 * p - 1, n):
        q = np.clip(atr[t] / window(atr, t, 3 * p).mean(), 0.5, 2)
        adjusted = atr[t] * q ** g["volatility_adjustment"]
        c, previous = close[t], close[t - p : t]
        if s != 0 and (c - stop) * s <= 0:
            s = 0
        new = 1 if c > previous.max() else -1 if c < previous.min() else 0
        if new not in (0, s):
            s, entry, best = new, c, c
            stop = c - s * g["stop_loss_multiplier"] * adjusted
            size = min(1.0, g["position_size_atr_factor"] / 100 / (atr[t] / c))
        elif s != 0:
            best = max(best, c) if s > 0 else min(best, c)
            candidate = best - s * g["trailing_stop_multiplier"] * adjusted
            if (candidate - entry) * s >= 0 and (candidate - stop) * s > 0:
                stop = candidate
        y[t] = s * size
    return y


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_rules_taken_literally(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed), noisy(seed)
    expected = literal(genome, columns)
    np.testing.assert_array_equal(np.sign(signal(genome, columns)), np.sign(expected))
    np.testing.assert_allclose(signal(genome, columns), expected, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_size_is_frozen_for_the_life_of_a_trade(seed: int) -> None:
    y = signal(drawn(FAMILY, seed, stop_loss_multiplier=4.0, trailing_stop_multiplier=5.0), noisy(seed))
    changed = np.flatnonzero(np.diff(y))
    same_side = np.sign(y[changed]) == np.sign(y[changed + 1])
    # With stops this far away no trade ends and begins again in one direction on one bar.
    assert not same_side.any()


@pytest.mark.parametrize("direction", [1, -1])
def test_a_breakout_is_followed(direction: int) -> None:
    assert signal(default_genome(FAMILY), breakout(direction))[150] * direction > 0


def test_a_trade_may_end_and_begin_again_in_its_direction_on_one_bar() -> None:
    # After a peak at 130, ranges of 5.2 hold the average there: a stop at 5 averages stands at 130 - 26 = 104, below
    # closes of 105. The first quiet bar takes a fifth off the average, and the stop jumps to about 109. The close of
    # 106 after it is below the stop, but above the five closes before it.
    close = np.array([*alternating(100, 101, 20), 103, 130, *[105.0] * 17, 106, 106])
    columns = bars(close)
    columns["high"][23:38] = 105 + 2.6
    columns["low"][23:38] = 105 - 2.6
    genes = {"trailing_stop_multiplier": 5.0, "position_size_atr_factor": 0.5, "stop_loss_multiplier": 4.0}
    genome = with_genes(FAMILY, GENES | genes)
    y = signal(genome, columns)
    assert runs(y) == [(20, 38, pytest.approx(0.5 * 103 / 120)), (39, 40, pytest.approx(y[39]))]
    assert 0 < y[39] < y[38]
    np.testing.assert_allclose(y, literal(genome, columns), rtol=1e-12)
