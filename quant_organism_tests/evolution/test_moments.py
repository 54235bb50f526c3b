"""Moments of many series at once: published figures, and what validation measures of one series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quant_organism.evolution.moments import return_moments
from quant_organism.validation.statistics.sharpe import sharpe_moments

KNOWN = np.array([[0.01, -0.02, 0.015, 0, 0.005, -0.01, 0.02, -0.005, 0, 0.012]])


def test_known_returns_have_their_known_moments() -> None:
    found = return_moments(KNOWN)
    assert found.mean[0] / found.std[0] * np.sqrt(365) == pytest.approx(4.217866104, abs=1e-9)
    assert found.skew[0] == pytest.approx(-0.384003730, abs=1e-9)
    assert found.kurtosis[0] == pytest.approx(2.306703911, abs=1e-9)


@given(arrays(np.float64, (3, 20), elements=st.floats(-0.5, 0.5).map(lambda value: round(value, 4))))
def test_each_series_has_the_moments_that_validation_reads(returns: np.ndarray) -> None:
    found = return_moments(returns)
    for row, series in enumerate(returns):
        one = sharpe_moments(series)
        clipped = np.clip(found.autocorrelation[row], -0.99, 0.99)
        mine = [found.skew[row], found.kurtosis[row], clipped]
        np.testing.assert_allclose(mine, [one.skew, one.kurtosis, one.autocorrelation], rtol=1e-9, atol=1e-9)
        if np.isfinite(one.sharpe):
            assert found.mean[row] / found.std[row] == pytest.approx(one.sharpe, rel=1e-9, abs=1e-12)


def test_returns_that_do_not_vary_have_a_mean_and_no_shape() -> None:
    found = return_moments(np.full((1, 5), 0.01))
    assert (found.mean[0], found.std[0]) == pytest.approx((0.01, 0.0))
    assert np.isnan([found.skew[0], found.kurtosis[0], found.autocorrelation[0]]).all()
    assert np.isnan(return_moments(np.ones((1, 1))).std[0])
