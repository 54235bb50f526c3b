"""volatility_scaling on cases worked out by hand, and against its rules taken literally."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import Genome, default_genome, random_genome, signal
from quant_organism_tests.strategies.scenarios import Columns, bars, noisy, runs

KNOWN = {
    "volatility_window": 10,
    "regime_threshold": 1.9,
    "scaling_factor": 0.5,
    "regime_persistence": 3,
    "multi_timeframe_weight": 0.0,
    "target_volatility": 0.4,
    "rebalance_band": 0.1,
}
KNOWN_CLOSE = [100.0] * 41 + [101, 102, 103, 104, 105, 106, 104, 102, 100, 98, 96, 94]

# Every other return is 0.02 in size, upwards until bar 60. Ten returns hold five of them; with k downwards their mean
# is (5 - 2k) 0.002 and their mean square 0.0002: the deviation is 0.01, 0.0128062, 0.014, 0.014, ... for k = 0, 1, ...
STAIRS = 100 * np.exp(np.cumsum([0.0 if t % 2 == 0 else 0.02 if t < 60 else -0.02 for t in range(71)]))


def genome(**genes: object) -> Genome:
    """Return the genome of the known answer with some other genes."""
    return Genome("volatility_scaling", dict(default_genome("volatility_scaling").genes) | KNOWN | genes)


def test_known_answer() -> None:
    found = runs(signal(genome(), bars(KNOWN_CLOSE)))
    assert [(first, last) for first, last, _ in found] == [(41, 43), (44, 46), (47, 47), (48, 48), (50, 50), (51, 52)]
    expected = [1.0, 0.889617532, 0.485451355, 0.379724430, -0.148687706, -0.289814221]
    assert [y for *_, y in found] == pytest.approx(expected, abs=5e-10)


def test_stairs() -> None:
    # Annualised by sqrt(8760) = 93.594872, a target of 0.4 gives 0.427374 for k = 0, 0.333723 for k = 1 (bars 61 and
    # 62, not a tenth away), 0.305267 for k = 2 (bar 63). From k = 3 (bar 65) on ten bars fall and forty rise:
    # -0.7 + 0.3 = -0.4, and -0.4 x 0.305267 = -0.122107; later sizes of at most 0.170950 are within the band.
    found = runs(signal(genome(multi_timeframe_weight=0.3), bars(STAIRS)))
    assert [(first, last) for first, last, _ in found] == [(40, 62), (63, 64), (65, 70)]
    assert [y for *_, y in found] == pytest.approx([0.427374, 0.305267, -0.122107], abs=5e-7)


def test_longer_bars_make_fewer_of_them_a_year() -> None:
    # sqrt(8760 / 4) is half of sqrt(8760): twice the size.
    hourly = signal(genome(), bars(STAIRS))[40]
    assert signal(genome(), bars(STAIRS), bar_hours=4.0)[40] == pytest.approx(2 * hourly, rel=1e-12)


def test_lasting_stress_scales_the_size() -> None:
    calm_then_wild = np.concatenate([np.full(60, 0.001), np.tile([0.03, -0.01], 20)])
    columns = bars(100 * np.exp(np.cumsum(calm_then_wild + np.tile([1e-4, -1e-4], 50))))
    base = {"regime_threshold": 1.1, "rebalance_band": 0.0, "target_volatility": 1.0}
    scaled, plain = (
        signal(genome(**base, regime_persistence=3, scaling_factor=factor), columns) for factor in (0.2, 0.8)
    )
    # The wild returns begin on bar 60: stress counts one on bar 60, two on 61, three on 62.
    np.testing.assert_array_equal(scaled[:62], plain[:62])
    assert scaled[62] == pytest.approx(plain[62] / 4, rel=1e-12)
    later = signal(genome(**base, regime_persistence=10, scaling_factor=0.2), columns)
    np.testing.assert_array_equal(later[:69], signal(genome(**base, regime_persistence=10), columns)[:69])
    assert later[69] != signal(genome(**base, regime_persistence=10), columns)[69]


def literal(genome: Genome, columns: Columns, bar_hours: float) -> list[float]:
    """Follow the family's rules bar by bar."""
    g, c = genome.genes, columns["close"]
    v, n = int(g["volatility_window"]), c.size
    r = np.log(c[1:] / c[:-1])
    y, held, count = [0.0] * n, 0.0, 0
    for t in range(4 * v, n):
        near, far = np.sign(c[t] - c[t - v]), np.sign(c[t] - c[t - 4 * v])
        direction = (1 - g["multi_timeframe_weight"]) * near + g["multi_timeframe_weight"] * far
        vs, vl = r[t - v : t].std(), r[t - 4 * v : t].std()
        count = count + 1 if vs > 0 and vs >= g["regime_threshold"] * vl else 0
        x = direction * min(1.0, g["target_volatility"] / (vs * np.sqrt(8760 / bar_hours)))
        if count >= g["regime_persistence"]:
            x *= g["scaling_factor"]
        if x == 0 or np.sign(x) != np.sign(held) or abs(x - held) >= g["rebalance_band"]:
            held = x
        y[t] = held
    return y


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bar_hours=st.sampled_from([0.25, 1.0, 4.0]))
def test_the_rules_taken_literally_give_the_same(seed: int, bar_hours: float) -> None:
    drawn, columns = random_genome(np.random.default_rng(seed), "volatility_scaling"), noisy(seed)
    found = signal(drawn, columns, bar_hours=bar_hours)
    np.testing.assert_allclose(found, literal(drawn, columns, bar_hours), rtol=1e-9)
