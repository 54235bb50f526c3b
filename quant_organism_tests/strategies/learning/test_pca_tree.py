"""Axes, trees and levels against scikit-learn's PCA, DecisionTreeRegressor and quantiles."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import QuantileRegressor
from sklearn.tree import DecisionTreeRegressor

from quant_organism.strategies.learning.grids import TreeGenes
from quant_organism.strategies.learning.pca_tree import (
    find_leaves,
    fit_lines,
    fit_tree,
    leaf_quantiles,
    project,
    write_leaf_levels,
    write_line_levels,
)
from quant_organism.strategies.learning.principal_axes import principal_axes
from quant_organism.strategies.learning.walk_forward import FITTED, NOT_FINITE
from quant_organism_tests.strategies.learning.shops import features_of
from quant_organism_tests.strategies.scenarios import noisy

GENES = TreeGenes(250, 12, 3, 4, 20, "leaf", 0.01, 1, 24, 0.75)


def training(seed: int, rows: int = 250) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features (12, n) of a market, and the features and next returns of its training rows."""
    columns = noisy(seed)
    features = features_of(columns)[:12]
    returns = np.diff(np.log(columns["close"]))[100 : 100 + rows]
    return features, features[:, 100 : 100 + rows], returns


def sklearn_components(rows: np.ndarray, every: np.ndarray, count: int) -> np.ndarray:
    """Return the components of all bars by axes of the training rows alone."""
    mean, scale = rows.mean(axis=1, keepdims=True), rows.std(axis=1, keepdims=True)
    pca = PCA(count, svd_solver="full").fit(((rows - mean) / scale).T)
    return pca.transform(((every - mean) / scale).T)


@pytest.mark.parametrize("seed", range(5))
def test_axes_are_those_of_a_full_decomposition(seed: int) -> None:
    _, rows, _ = training(seed)
    scaled = ((rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)).T.copy()
    theirs = PCA(svd_solver="full").fit(scaled).components_
    np.testing.assert_allclose(principal_axes(scaled, 12), theirs, atol=1e-9)


def test_axes_of_a_constant_are_finite_and_orthonormal() -> None:
    for rows in (np.zeros((250, 8)), np.outer(np.sin(np.arange(250.0)), np.ones(8))):
        axes = principal_axes(rows, 6)
        np.testing.assert_allclose(axes @ axes.T, np.eye(6), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("depth", "leaf"), [(2, 40), (4, 20), (7, 5)])
def test_leaf_levels_are_quantiles_of_the_leaves_of_a_regression_tree(seed: int, depth: int, leaf: int) -> None:
    features, rows, returns = training(seed)
    genes = GENES._replace(depth=depth, leaf=leaf)
    tree = fit_tree(rows, returns, genes)
    assert tree.status[0] == FITTED
    components = sklearn_components(rows, features[:, 100:], 3)
    theirs = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=leaf, random_state=0)
    theirs.fit(components[:250], returns)
    trained, asked = theirs.apply(components[:250]), theirs.apply(components)
    quantiles = [0.25, 0.5, 0.75]
    expected = [np.quantile(returns[trained == node], quantiles) for node in asked]
    found = np.empty((3, 400))[:, 100:]
    ours = project(features, 100, 400, tree.moments, tree.axes)
    leaves = find_leaves(ours, tree.thresholds, tree.links)
    write_leaf_levels(ours, leaves, leaf_quantiles(tree.returns, tree.spans, np.array(quantiles)), found)
    np.testing.assert_allclose(found.T, expected, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(tree.values[leaves], theirs.predict(components), rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.001, 0.01])
def test_line_levels_are_quantile_regressions_on_components_and_prediction(alpha: float) -> None:
    features, rows, returns = training(1, 249)
    genes = GENES._replace(method="linear", alpha=alpha, quantile=0.77)
    tree = fit_tree(rows, returns, genes)
    lines, status = fit_lines(tree, rows, returns, genes)
    assert status[0] == FITTED
    ours = project(features, 100, 400, tree.moments, tree.axes)
    leaves = find_leaves(ours, tree.thresholds, tree.links)
    found = np.empty((3, 400))[:, 100:]
    write_line_levels(ours, leaves, tree.values, lines, found)
    unit = returns.std()
    regressors = np.column_stack([sklearn_components(rows, features[:, 100:], 3), tree.values[leaves] / unit])
    expected = [
        unit
        * QuantileRegressor(quantile=level, alpha=alpha, solver="highs")
        .fit(regressors[:249], returns / unit)
        .predict(regressors)
        for level in (1 - 0.77, 0.5, 0.77)
    ]
    np.testing.assert_allclose(found, np.sort(expected, axis=0), rtol=1e-6, atol=1e-9)


def test_leaf_quantiles_worked_out_by_hand() -> None:
    # Node 0 has no rows of its own. Of -2, 0, 1, 4 the quarter lies at place 0.75, the half at 1.5, three quarters at
    # 2.25. A leaf of one row has one level.
    returns, spans = np.array([-2.0, 0, 1, 4, 7]), np.array([[0, 0], [0, 4], [4, 5]])
    found = leaf_quantiles(returns, spans, np.array([0.25, 0.5, 0.75]))
    assert found.tolist() == [[0, 0, 0], [-0.5, 0.5, 1.75], [7, 7, 7]]


def test_rows_that_are_not_finite_are_refused_and_told_nothing() -> None:
    features, rows, returns = training(2)
    tree = fit_tree(rows, returns, GENES)
    features[3, 390] = np.nan
    components = project(features, 380, 400, tree.moments, tree.axes)
    leaves = find_leaves(components, tree.thresholds, tree.links)
    levels, lines = np.full((3, 400), 7.0)[:, 380:], fit_lines(tree, rows, returns, GENES._replace(method="linear"))[0]
    for write in (
        lambda: write_leaf_levels(
            components, leaves, leaf_quantiles(tree.returns, tree.spans, np.array([0.2, 0.5, 0.8])), levels
        ),
        lambda: write_line_levels(components, leaves, tree.values, lines, levels),
    ):
        write()
        assert levels[:, 10].tolist() == [0, 0, 0]
        assert levels[:, 11].all()
    rows = rows.copy()
    rows[3, 9] = np.inf
    refused = fit_tree(rows, returns, GENES)
    assert refused.status[0] == NOT_FINITE
    assert refused.values.size == 0
