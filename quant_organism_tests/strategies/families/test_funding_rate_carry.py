"""funding_rate_carry on cases worked out by hand, and against its rules taken literally."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import Genome, default_genome, random_genome, signal
from quant_organism_tests.strategies.scenarios import noisy, runs, swinging_funding

KNOWN = {
    "funding_threshold": 0.00006,
    "carry_duration": 5,
    "rate_momentum": 0.0,
    "reversal_sensitivity": 0.5,
    "funding_persistence": 2,
}


def genome(**genes: object) -> Genome:
    """Return the genome of the known answer with some other genes."""
    return Genome("funding_rate_carry", dict(default_genome("funding_rate_carry").genes) | KNOWN | genes)


def test_known_answer() -> None:
    rate = np.array([0] * 8 + [0.0001] * 8 + [0.00002] * 2 + [-0.0001] * 4 + [0] * 4)
    assert runs(signal(genome(), {"funding_rate": rate})) == [(9, 13, -1.0), (19, 22, 1.0)]


def test_momentum_and_hours_on_bars_of_two_hours() -> None:
    # Four hours are P = 2 bars, five hours are three bars. In units of 1e-5 the threshold is 5 and the least carry 4;
    # bar 4: m 2, e = 2 + 2 = 4: nothing. Bar 5: m 5, e = 5 + 5 = 10: short, for three bars, then blocked.
    # Bar 11: m 2, e = 2 + (2 - 8) = -4: no call, which ends the block. Bar 12: m -6, e = -6 + (-6 - 8) = -20: long.
    # Bar 13: m -3: the long receives 3 < 4 and ends, and e = -3 + (-3 - 2) = -8 cannot call for it again.
    rate = 1e-5 * np.array([0, 0, 0, 0, 4, 6, 8, 8, 8, 8, 8, -4, -8, 2, 0, 0])
    genes = {
        "funding_threshold": 0.00005,
        "rate_momentum": 1.0,
        "reversal_sensitivity": 0.8,
        "funding_persistence": 4,
    }
    found = signal(genome(**genes), {"funding_rate": rate}, bar_hours=2.0)
    assert runs(found) == [(5, 7, -1.0), (12, 12, 1.0)]


def test_the_opposite_call_ends_a_position_at_once() -> None:
    # Without persistence each bar's own rate calls.
    rate = np.array([0, 0.0001, 0.0001, -0.0001, -0.0001, 0, 0])
    assert runs(signal(genome(funding_persistence=1), {"funding_rate": rate})) == [(1, 2, -1.0), (3, 4, 1.0)]


def literal(genome: Genome, f: np.ndarray, bar_hours: float) -> list[float]:
    """Follow the family's rules bar by bar."""
    g = genome.genes
    p, duration = (max(1, math.ceil(int(g[name]) / bar_hours)) for name in ("funding_persistence", "carry_duration"))
    threshold, least = g["funding_threshold"], g["reversal_sensitivity"] * g["funding_threshold"]
    y, s, held, blocked = [0.0] * f.size, 0, 0, 0
    for t in range(2 * p - 1, f.size):
        m, before = f[t - p + 1 : t + 1].mean(), f[t - 2 * p + 1 : t - p + 1].mean()
        e = m + g["rate_momentum"] * (m - before)
        raw = -1 if e >= threshold else 1 if e <= -threshold else 0
        if -raw * m < least:
            raw = 0
        if blocked and raw != blocked:
            blocked = 0
        if s:
            held += 1
            if held >= duration:
                blocked, s = s, 0
            elif -s * m < least:
                s = 0
        if raw not in (0, s, blocked):
            s, held = raw, 0
        y[t] = float(s)
    return y


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bar_hours=st.sampled_from([0.5, 1.0, 4.0]))
def test_the_rules_taken_literally_give_the_same(seed: int, bar_hours: float) -> None:
    rng = np.random.default_rng(seed)
    genes = dict(random_genome(rng, "funding_rate_carry").genes)
    drawn = Genome("funding_rate_carry", genes | {"funding_threshold": float(rng.uniform(5e-6, 5e-5))})
    rate = noisy(seed)["funding_rate"]
    assert signal(drawn, {"funding_rate": rate}, bar_hours=bar_hours).tolist() == literal(drawn, rate, bar_hours)


def test_it_receives_what_a_swinging_rate_pays() -> None:
    columns = swinging_funding()
    y = signal(default_genome("funding_rate_carry"), columns)
    assert set(y.tolist()) == {-1.0, 0.0, 1.0}
    assert (-y[:-1] * columns["funding_rate"][1:]).sum() > 0
