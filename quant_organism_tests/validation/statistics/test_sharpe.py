"""Inference on Sharpe ratios against published examples."""

import numpy as np
import pytest

from quant_organism.errors import InputError
from quant_organism.validation.statistics.sharpe import SharpeMoments, probabilistic_sharpe_ratio, sharpe_moments

KNOWN_RETURNS = np.array([0.01, -0.02, 0.015, 0, 0.005, -0.01, 0.02, -0.005, 0, 0.012])


def test_moments_of_known_returns():
    moments = sharpe_moments(KNOWN_RETURNS)
    assert moments.sharpe * np.sqrt(365) == pytest.approx(4.217866104, abs=1e-9)
    assert moments.skew == pytest.approx(-0.384003730, abs=1e-9)
    assert moments.kurtosis == pytest.approx(2.306703911, abs=1e-9)
    assert moments.periods == 10


@pytest.mark.parametrize(
    ("autocorrelation", "benchmark_ratio", "expected"), [(0.0, 0.0, 0.9872), (0.0, 0.1, 0.9391), (0.2, 0.0, 0.9658)]
)
def test_probabilistic_sharpe_ratio_of_the_hedge_fund_example(autocorrelation, benchmark_ratio, expected):
    moments = SharpeMoments(0.455696, -2.448, 10.164, autocorrelation, 24)
    assert probabilistic_sharpe_ratio(moments, benchmark_ratio) == pytest.approx(expected, abs=5e-5)


def test_returns_without_variance_have_no_sharpe_ratio():
    moments = sharpe_moments(np.zeros(50))
    assert np.isnan(moments.sharpe)
    assert np.isnan(probabilistic_sharpe_ratio(moments))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_hole_in_the_returns_is_an_error_that_names_the_period(bad):
    with pytest.raises(InputError, match="period 3"):
        sharpe_moments(np.array([0.1, 0.0, 0.2, bad, 0.1]))


def test_false_alarm_rate_on_returns_without_an_edge():
    rng = np.random.default_rng(5)
    exceeded = [probabilistic_sharpe_ratio(sharpe_moments(rng.standard_t(4, size=250))) > 0.95 for _ in range(2_000)]
    assert 0.035 < np.mean(exceeded) < 0.065
