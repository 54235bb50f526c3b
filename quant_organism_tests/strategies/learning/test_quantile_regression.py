"""Quantile lines against scikit-learn's linear programs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import QuantileRegressor

from quant_organism.strategies.learning.quantile_regression import quantile_lines


def objective(x: np.ndarray, y: np.ndarray, line: np.ndarray, level: float, alpha: float) -> float:
    residual = y - line[0] - x @ line[1:]
    return float(np.mean(np.maximum(level * residual, (level - 1) * residual)) + alpha * np.abs(line[1:]).sum())


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([30, 250]),
    slopes=st.integers(1, 7),
    level=st.floats(0.6, 0.9),
    alpha=st.sampled_from([0.001, 0.01, 0.1]),
    kind=st.sampled_from(["plain", "equal values", "collinear"]),
)
def test_no_line_is_lower_than_ours(seed: int, n: int, slopes: int, level: float, alpha: float, kind: str) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, slopes)) * rng.uniform(0.2, 3, slopes)
    y = x @ rng.normal(size=slopes) + rng.standard_t(3, n)
    if kind == "equal values":
        x, y = np.round(x), np.sign(y)
    if kind == "collinear":
        x[:, -1] = x[:, 0]
        x[:, slopes // 2] *= 1e-16
    y /= y.std()
    levels = np.array([1 - level, 0.5, level])
    lines, reached = quantile_lines(x, y, levels, alpha)
    assert reached.all()
    for line, quantile in zip(lines, levels, strict=True):
        theirs = QuantileRegressor(quantile=quantile, alpha=alpha, solver="highs").fit(x, y)
        lowest = objective(x, y, np.array([theirs.intercept_, *theirs.coef_]), quantile, alpha)
        assert objective(x, y, line, quantile, alpha) == pytest.approx(lowest, rel=1e-9, abs=1e-12)


def test_lines_are_those_of_scikit_learn_where_the_minimum_is_one_point() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(501, 4))
    y = x @ [0.5, 0.0, -0.2, 0.1] + rng.standard_t(4, 501)
    levels = np.array([0.23, 0.51, 0.77])
    lines, _ = quantile_lines(x, y, levels, 0.01)
    for line, quantile in zip(lines, levels, strict=True):
        theirs = QuantileRegressor(quantile=quantile, alpha=0.01, solver="highs").fit(x, y)
        np.testing.assert_allclose(line, [theirs.intercept_, *theirs.coef_], atol=1e-8)


def test_lines_worked_out_by_hand() -> None:
    # Five points on y = 1 + 2 x, one far above: the median line does not see it. A strong penalty leaves the slope
    # 0 and the intercept the median of 1, 3, 5, 7, 9, 11 + 100 (n = 6: any value from 5 to 7).
    x = np.arange(6.0)[:, np.newaxis]
    y = 1 + 2 * x[:, 0]
    y[5] += 100
    line = quantile_lines(x, y, np.array([0.5]), 0.0)[0][0]
    np.testing.assert_allclose(line, [1, 2], atol=1e-12)
    flat = quantile_lines(x, y, np.array([0.5]), 100.0)[0][0]
    assert flat[1] == 0
    assert 5 <= flat[0] <= 7
