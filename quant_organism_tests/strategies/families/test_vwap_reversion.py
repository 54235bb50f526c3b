"""vwap_reversion on cases worked out by hand, and against its rules taken literally."""

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
from quant_organism_tests.strategies.scenarios import Columns, alternating, noisy, runs, sideways

FAMILY = "vwap_reversion"
GENES: dict[str, object] = {
    "vwap_period": 10,
    "reversion_threshold": 0.01,
    "volume_confirmation": 1.0,
    "deviation_multiplier": 2.0,
    "regime_detection_weight": 0.2,
}


def dots(close: list[float], volume: list[float] | None = None) -> Columns:
    """Return bars without range."""
    c = np.array(close, dtype=float)
    v = np.full(c.size, 100.0) if volume is None else np.array(volume)
    return {"open": c, "high": c, "low": c, "close": c, "volume": v}


def test_known_answer() -> None:
    columns = dots([*alternating(100, 101, 12), 97, 98, 100, 101, 104, 103, 100])
    assert runs(signal(with_genes(FAMILY, GENES), columns)) == [(12, 13, 1.0), (16, 17, -1.0)]


@pytest.mark.parametrize(("volume", "last"), [(91.0, 13), (1.0, 14)])
def test_a_heavy_bar_draws_the_price_that_is_returned_to(volume: float, last: int) -> None:
    # Bar 12 closes at 95: mean (5 x 101 + 4 x 99 + 95) / 10 = 99.6, deviation sqrt(9923.4 - 99.6^2) = 1.8, distance
    # -4.6, at least 0.03 x 99.6 = 2.988. Bar 13 closes at 97: with 91 times the volume of the others the mean is
    # (895 + 91 x 97) / 100 = 97.22, else (895 + 97) / 10 = 99.2. Bar 14 closes at 97.3, above
    # (796 + 91 x 97 + 97.3) / 100 = 97.203, but below (796 + 97 + 97.3) / 10 = 99.03.
    close = [*alternating(99, 101, 12), 95, 97, 97.3]
    columns = dots(close, [volume if bar == 13 else 1.0 for bar in range(15)])
    genes = {"reversion_threshold": 0.03, "volume_confirmation": 0.0, "deviation_multiplier": 0.5}
    genome = with_genes(FAMILY, GENES | genes | {"regime_detection_weight": 0.0})
    assert runs(signal(genome, columns)) == [(12, last, 1.0)]


def literal(genome: Genome, columns: Columns) -> Floats:
    """Take the rules literally."""
    g = {name: genome.genes[name] for name in GENES}
    period = int(g["vwap_period"])
    close, volume = columns["close"], columns["volume"]
    price = (columns["high"] + columns["low"] + close) / 3
    n = close.size

    def conditions(t: int) -> tuple[bool, bool, bool, bool]:
        p, v = window(price, t, period), window(volume, t, period)
        mean = (p * v).sum() / v.sum()
        deviation = np.sqrt((v * (p - mean) ** 2).sum() / v.sum())
        away = close[t] - mean
        limit = max(g["deviation_multiplier"] * deviation, g["reversion_threshold"] * mean)
        straight = efficiency_ratio(close, t, period) > 1 - 0.8 * g["regime_detection_weight"]
        confirmed = volume[t] >= g["volume_confirmation"] * volume[t - period : t].mean()
        fades = deviation > 0 and confirmed and not straight
        return fades and away <= -limit, fades and away >= limit, away >= 0, away <= 0

    return step(range(period, n), n, conditions)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_rules_taken_literally(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed), noisy(seed)
    np.testing.assert_array_equal(signal(genome, columns), literal(genome, columns))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_reflected_prices_reverse_every_target(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed, reversion_threshold=0.0), on_grid(seed)
    np.testing.assert_array_equal(signal(genome, reflected(columns)), -signal(genome, columns))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_without_volume_bars_weigh_the_same(seed: int) -> None:
    genome, columns = drawn(FAMILY, seed, volume_confirmation=0.0), noisy(seed)
    silent, even = (signal(genome, columns | {"volume": np.full(400, v)}) for v in (0.0, 0.3))
    np.testing.assert_array_equal(silent, even)


def test_both_sides_of_a_sideways_market_are_faded() -> None:
    assert {-1.0, 1.0} <= set(signal(default_genome(FAMILY), sideways()))
