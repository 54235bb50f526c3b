"""Sketches: correlations can be told from 128 bytes, and the bytes depend on the returns alone. Moments: known ones."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from quant_organism.evolution.sketch import SKETCH_BYTES, return_moments, sketch, sketch_correlations
from quant_organism.validation.statistics.sharpe import sharpe_moments

PAIRS, DAYS = 400, 500

KNOWN = np.array([[0.01, -0.02, 0.015, 0, 0.005, -0.01, 0.02, -0.005, 0, 0.012]])


def correlated_pairs(correlation: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two sets of series whose rows have exactly this sample correlation, row by row."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((2, PAIRS, DAYS))
    drawn -= drawn.mean(axis=-1, keepdims=True)
    first, other = drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)
    other -= np.sum(first * other, axis=-1, keepdims=True) * first
    other /= np.linalg.norm(other, axis=-1, keepdims=True)
    return first, correlation * first + np.sqrt(1 - correlation**2) * other


@pytest.mark.parametrize("correlation", [-0.8, -0.3, 0.0, 0.3, 0.5, 0.8, 0.95])
def test_known_correlations_are_told_with_an_error_of_at_most_nine_hundredths(correlation: float) -> None:
    first, second = correlated_pairs(correlation, seed=1)
    estimated = np.diag(sketch_correlations(sketch(first), sketch(second)))
    error = estimated - correlation
    theory = (1 - correlation**2) / np.sqrt(SKETCH_BYTES)
    assert theory <= 0.09
    assert np.sqrt(np.mean(error**2)) == pytest.approx(theory, rel=0.2)
    assert abs(error.mean()) < 0.02


def test_equal_and_opposite_returns_are_told_exactly_whatever_their_mean_and_scale() -> None:
    returns = np.random.default_rng(2).standard_normal((1, DAYS))
    sketches = sketch(np.concatenate([returns, 0.001 + 0.02 * returns, -3.0 * returns]))
    assert np.array_equal(sketches[0], sketches[1])
    expected = [[1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    np.testing.assert_allclose(sketch_correlations(sketches, sketches), expected, atol=1e-12)


def test_returns_that_do_not_vary_have_no_sketch() -> None:
    returns = np.stack([np.zeros(DAYS), np.full(DAYS, 0.01), np.random.default_rng(3).standard_normal(DAYS)])
    sketches = sketch(returns)
    assert not sketches[:2].any()
    assert np.isnan(sketch_correlations(sketches[:2], sketches)).all()
    assert not sketch(np.ones((2, 1))).any()


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(40)), st.integers(1, 40))
def test_a_sketch_does_not_depend_on_what_is_sketched_with_it(order: list[int], count: int) -> None:
    returns = 0.01 * np.random.default_rng(4).standard_t(3, (40, 130))
    chosen = order[:count]
    assert np.array_equal(sketch(np.asfortranarray(returns)[chosen]), sketch(returns)[chosen])


def test_the_bytes_stay_what_they_are_for_ever() -> None:
    """What is in ledgers already can only be compared with what the same directions make."""
    walk = np.array([[(i * 7919 + g * 104_729) % 1009 - 504 for i in range(365)] for g in range(3)], dtype=np.float64)
    assert hashlib.sha256(sketch(walk).tobytes()).hexdigest() == (
        "e5700bc8fb6adcd32aebefa3463385528fd16270115ad7d0dcf4a482597ea8df"
    )


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
