"""nadaraya_watson on cases worked out by hand, and against its rules taken literally."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import Genome, default_genome, random_genome, signal
from quant_organism.strategies.indicators.averages import EPANECHNIKOV, kernel_regression_rows
from quant_organism_tests.strategies.scenarios import bars, noisy, runs

KNOWN = {
    "bandwidth": 3,
    "kernel_type": "epanechnikov",
    "trend_threshold": 0.01,
    "smoothing_factor": 0.0,
    "volatility_adaptation": 0.0,
}
CLOSE = [100.0] * 14 + [101, 102, 103, 104, 105, 106, 104, 102, 100, 98, 96, 94]


def genome(**genes: object) -> Genome:
    """Return the genome of the known answer with some other genes."""
    return Genome("nadaraya_watson", dict(default_genome("nadaraya_watson").genes) | KNOWN | genes)


def test_known_answer() -> None:
    assert runs(signal(genome(), bars(CLOSE))) == [(15, 20, 1.0), (21, 25, -1.0)]
    line = kernel_regression_rows(np.array(CLOSE), np.array([3]), np.array([EPANECHNIKOV]))[0]
    assert line[14:17] == pytest.approx([100.409091, 101.181818, 102.181818], abs=5e-7)


def test_a_smoother_line_comes_later() -> None:
    # The line is the mean of the regression and of itself before: 100.2045, 100.6932, 101.4375 on bars 14 to 16, so
    # the slope over two bars is 0.69 % on bar 15 and 1.23 % on bar 16. On bar 21 it is 104.1103 / 104.2138 - 1 < 0,
    # which ends the long; on bar 22 it is 102.8733 / 104.5842 - 1 = -1.64 %.
    assert runs(signal(genome(smoothing_factor=0.5), bars(CLOSE))) == [(16, 20, 1.0), (22, 25, -1.0)]


def test_a_sudden_move_raises_the_threshold() -> None:
    # Bar 15: three returns 0, 0.00995, 0.00985 deviate by 0.00467, the last twelve by 0.00369: the threshold becomes
    # 1.27 %, above the slope of 1.18 %. Bar 16: three nearly equal returns, ratio at its floor of 1/4.
    # Bar 21: 0.01354 / 0.01030 makes it 1.31 %, and the slope is -1.47 %.
    assert runs(signal(genome(volatility_adaptation=1.0), bars(CLOSE))) == [(16, 20, 1.0), (21, 25, -1.0)]


def literal(genome: Genome, c: np.ndarray) -> list[float]:
    """Follow the family's rules bar by bar."""
    g = genome.genes
    h = int(g["bandwidth"])
    gaussian = g["kernel_type"] == "gaussian"
    ages = np.arange(3 * h + 1 if gaussian else h)
    weights = np.exp(-(ages**2) / (2 * h * h)) if gaussian else 1 - (ages / h) ** 2
    r = np.log(c[1:] / c[:-1])
    b, a = max(1, int(np.floor(h / 2 + 0.5))), g["smoothing_factor"]
    s = np.full(c.size, np.nan)
    y, side = [0.0] * c.size, 0
    for t in range(ages.size - 1, c.size):
        nw = (weights * c[t - ages]).sum() / weights.sum()
        s[t] = nw if t == ages.size - 1 else a * s[t - 1] + (1 - a) * nw
        if t < 4 * h:
            continue
        short, long = r[t - h : t].std(), r[t - 4 * h : t].std()
        q = 1.0 if short == 0 or long == 0 else min(max(short / long, 0.25), 4.0)
        threshold = g["trend_threshold"] * q ** g["volatility_adaptation"]
        slope = s[t] / s[t - b] - 1
        side = 0 if (side > 0 and slope <= 0) or (side < 0 and slope >= 0) else side
        if slope > threshold and c[t] > s[t]:
            side = 1
        elif slope < -threshold and c[t] < s[t]:
            side = -1
        y[t] = float(side)
    return y


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_rules_taken_literally_give_the_same(seed: int) -> None:
    drawn, close = random_genome(np.random.default_rng(seed), "nadaraya_watson"), noisy(seed)["close"]
    assert signal(drawn, bars(close)).tolist() == literal(drawn, close)


def test_a_constant_price_has_no_slope() -> None:
    for price in (0.1, 1 / 3, 97.31, 61_234.56789):
        assert not signal(genome(trend_threshold=0.0, smoothing_factor=0.7), bars(np.full(200, price))).any()
