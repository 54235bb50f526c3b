"""Regression trees over principal components, and the levels of the coming return that they tell."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.indicator import (
    AbreastWorkshop,
    AheadWorkshop,
    HistoryWorkshop,
    Indicator,
    Onward,
    Workshop,
)
from quant_organism.strategies.learning.features import LONGEST_LAG, features_abreast, features_of, standardise
from quant_organism.strategies.learning.grids import TREE_GRID, TreeGenes, tree_genes
from quant_organism.strategies.learning.principal_axes import principal_axes
from quant_organism.strategies.learning.quantile_regression import quantile_lines
from quant_organism.strategies.learning.walk_forward import (
    FITTED,
    NOT_CONVERGED,
    NOT_FINITE,
    Fits,
    is_refit,
    refit_bars,
    refit_places,
    refits_of,
    training_set,
)
from quant_organism.strategies.store import Arrays, Keys, Rows

Floats = NDArray[np.float64]

_NO_DEVIATION = 1e-12
"""A standard deviation of log returns up to this counts as none."""


class FittedTree(NamedTuple):
    """A fitted tree over k components of F features, as plain arrays.

    Parameters
    ----------
    moments
        Means and scales of the features, shape (2, F).
    axes
        Principal axes, shape (k, F).
    thresholds
        Largest component value that goes left, one per node, shape (N,).
    links
        Component, left child and right child of each node, shape (N, 3); a leaf has no children: -1.
    values
        Mean return of the training rows of each node, shape (N,).
    spans
        First place of each node's training returns in `returns`, and the place after the last, shape (N, 2); empty but
        for leaves.
    returns
        Training returns leaf by leaf, ascending within each, shape (window,).
    status
        What became of the fit, shape (1,). A refused fit has no nodes.
    """

    moments: Floats
    axes: Floats
    thresholds: Floats
    links: NDArray[np.int64]
    values: Floats
    spans: NDArray[np.int64]
    returns: Floats
    status: NDArray[np.int64]


def level_rows(shop: Workshop, keys: Keys) -> Floats:
    """Return the lower, middle and upper level of the coming return, for each of `tree_keys`; shape (K, 3, n).

    Levels are log returns over the label horizon, told by the model fitted at the bar's close or at the last refit
    before; 0 before the first refit.
    """
    features = features_of(shop)
    n = shop.bars.close.size
    rows = np.zeros((keys.size, 3, n))
    fits = Fits(shop)
    for row, key in zip(rows, keys.tolist(), strict=True):
        genes = tree_genes(key)
        bars = refit_bars(shop.bars.numbers, genes.window, genes.horizon, genes.interval)
        ends = np.append(bars, n)[1:]
        for begin, end in zip(bars.tolist(), ends.tolist(), strict=True):
            tell_levels(*refit_model(shop, fits, features, genes, begin), features, genes, row, begin, end)
    return rows


def refit_model(shop: Workshop, fits: Fits, features: Floats, genes: TreeGenes, bar: int) -> tuple[FittedTree, Floats]:
    """Return the tree fitted to the rows before a bar and its quantile lines, none where the method has none."""
    tree = refit_tree(shop, fits, features, genes, bar)
    if tree.values.size == 0 or genes.method == "leaf":
        return tree, np.empty((0, 0))
    return tree, refit_lines(shop, fits, features, genes, bar, tree)[0]


def tell_levels(
    tree: FittedTree, lines: Floats, features: Floats, genes: TreeGenes, out: Floats, begin: int, end: int
) -> None:
    """Write what a model tells of rows `begin` to `end` of the features into these columns of `out` (3, n)."""
    if tree.values.size == 0:
        return
    components = project(features, begin, end, tree.moments, tree.axes)
    leaves = find_leaves(components, tree.thresholds, tree.links)
    if genes.method == "leaf":
        quantiles = leaf_quantiles(tree.returns, tree.spans, _levels(genes))
        write_leaf_levels(components, leaves, quantiles, out[:, begin:end])
    else:
        write_line_levels(components, leaves, tree.values, lines, out[:, begin:end])


def refit_tree(shop: Workshop, fits: Fits, features: Floats, genes: TreeGenes, bar: int) -> FittedTree:
    """Return the tree fitted to the rows before a bar."""

    def training() -> tuple[Floats, Floats]:
        return _training(shop, features, genes, bar)

    shape = (genes.window, genes.features, genes.components, genes.depth, genes.leaf, genes.horizon)
    return FittedTree(*fits.get("pca_tree", bar, shape, training, lambda rows, returns: fit_tree(rows, returns, genes)))


def refit_lines(shop: Workshop, fits: Fits, features: Floats, genes: TreeGenes, bar: int, tree: FittedTree) -> Arrays:
    """Return the quantile lines (3, 2 + k) over the components and predictions of a tree, and their status (1,)."""

    def training() -> tuple[Floats, Floats]:
        return _training(shop, features, genes, bar)

    def make(rows: Floats, returns: Floats) -> Arrays:
        return fit_lines(tree, rows, returns, genes)

    return fits.get("quantile_lines", bar, genes._replace(interval=0), training, make)


def _training(shop: Workshop, features: Floats, genes: TreeGenes, bar: int) -> tuple[Floats, Floats]:
    return training_set(shop, features[: genes.features], bar, genes.window, genes.horizon)


def fit_tree(features: Floats, returns: Floats, genes: TreeGenes) -> FittedTree:
    """Standardise, take principal components, and grow a tree on the returns.

    Parameters
    ----------
    features
        Training rows, shape (F, window).
    returns
        Log return over the label horizon from each row on, shape (window,).
    genes
        Number of components, depth and leaf size.
    """
    from sklearn import config_context
    from sklearn.tree import DecisionTreeRegressor

    scaled, moments = standardise(features, features.shape[0], 0, returns.size)
    if not (np.isfinite(scaled).all() and np.isfinite(returns).all()):
        none = np.empty(0)
        nodes = np.empty((0, 3), dtype=np.int64)
        return FittedTree(moments, np.empty((0, 0)), none, nodes, none, nodes[:, :2], none, np.array([NOT_FINITE]))
    axes = principal_axes(scaled, genes.components)
    components = project(features, 0, returns.size, moments, axes).astype(np.float32)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        grown = DecisionTreeRegressor(max_depth=genes.depth, min_samples_leaf=genes.leaf, random_state=0)
        nodes = grown.fit(components, returns).tree_
        leaves = nodes.apply(components)
    order = np.lexsort((returns, leaves))
    places = np.arange(nodes.node_count)
    spans = np.stack([np.searchsorted(leaves[order], places, side) for side in ("left", "right")], axis=1)
    return FittedTree(
        moments,
        axes,
        np.array(nodes.threshold),
        np.stack([nodes.feature, nodes.children_left, nodes.children_right], axis=1).astype(np.int64),
        nodes.value[:, 0, 0].copy(),
        spans,
        returns[order],
        np.array([FITTED]),
    )


def fit_lines(tree: FittedTree, features: Floats, returns: Floats, genes: TreeGenes) -> Arrays:
    """Fit quantile lines of the returns on the components and the tree's prediction.

    Parameters
    ----------
    tree
        FittedTree fitted to the same rows.
    features, returns
        As for `fit_tree`.
    genes
        Quantile level and strength of the penalty.

    Returns
    -------
    Intercept, slopes of the components and slope of the prediction of each level, in units of the return, shape
    (3, 2 + k), and what became of the fit, shape (1,). Returns without deviation have lines 0.
    """
    unit = float(np.std(returns))
    lines = np.zeros((3, tree.axes.shape[0] + 2))
    if unit <= _NO_DEVIATION:
        return lines, np.array([FITTED])
    components = project(features, 0, returns.size, tree.moments, tree.axes)
    predictions = tree.values[find_leaves(components, tree.thresholds, tree.links)] / unit
    regressors = np.column_stack([components, predictions])
    lines, reached = quantile_lines(regressors, returns / unit, _levels(genes), genes.alpha)
    lines[:, :-1] *= unit
    return lines, np.array([FITTED if reached.all() else NOT_CONVERGED])


def _levels(genes: TreeGenes) -> Floats:
    return np.array([1.0 - genes.quantile, 0.5, genes.quantile])


@compiled
def project(features: Floats, begin: int, end: int, moments: Floats, axes: Floats) -> Floats:
    """Return the components of the features of rows `begin` to `end`, shape (end - begin, k)."""
    out = np.zeros((end - begin, axes.shape[0]))
    for j in range(axes.shape[1]):
        values, mean, scale = features[j, begin:end], moments[0, j], moments[1, j]
        for t in range(values.size):
            scaled = (values[t] - mean) / scale
            for k in range(axes.shape[0]):
                out[t, k] += axes[k, j] * scaled
    return out


@compiled
def find_leaves(components: Floats, thresholds: Floats, links: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the leaf in which each row of components ends, shape (n,)."""
    leaves = np.zeros(components.shape[0], dtype=np.int64)
    for t in range(leaves.size):
        node = 0
        while links[node, 1] >= 0:
            # Trees are grown on single precision.
            left = np.float32(components[t, links[node, 0]]) <= thresholds[node]
            node = links[node, 1] if left else links[node, 2]
        leaves[t] = node
    return leaves


@compiled
def leaf_quantiles(returns: Floats, spans: NDArray[np.int64], levels: Floats) -> Floats:
    """Return quantiles, linearly interpolated, of each leaf's training returns, shape (N, L); 0 for inner nodes."""
    out = np.zeros((spans.shape[0], levels.size))
    for node in range(spans.shape[0]):
        inside = returns[spans[node, 0] : spans[node, 1]]
        if inside.size:
            for k in range(levels.size):
                place = levels[k] * (inside.size - 1)
                below = min(int(place), inside.size - 1)
                above = min(below + 1, inside.size - 1)
                out[node, k] = inside[below] + (inside[above] - inside[below]) * (place - below)
    return out


@compiled
def write_leaf_levels(components: Floats, leaves: NDArray[np.int64], quantiles: Floats, levels: Floats) -> None:
    """Write the quantiles of each row's leaf into `levels` (3, n); 0 where a component is not finite."""
    for t in range(leaves.size):
        finite = np.isfinite(components[t].sum())
        for k in range(levels.shape[0]):
            levels[k, t] = quantiles[leaves[t], k] if finite else 0.0


@compiled
def write_line_levels(
    components: Floats, leaves: NDArray[np.int64], values: Floats, lines: Floats, levels: Floats
) -> None:
    """Write each row's quantile lines, in ascending order, into `levels` (3, n); 0 where one is not finite."""
    last = lines.shape[1] - 1
    told = np.empty(lines.shape[0])
    for t in range(leaves.size):
        for k in range(told.size):
            told[k] = lines[k, 0] + lines[k, last] * values[leaves[t]]
            for j in range(components.shape[1]):
                told[k] += lines[k, 1 + j] * components[t, j]
        told.sort()
        finite = np.isfinite(told.sum())
        for k in range(told.size):
            levels[k, t] = told[k] if finite else 0.0


_N_FIGURES, _MEANS, _SCALES, _AXES = 3, 1, 2, 3
_LINES: Final[int] = _AXES + max(TREE_GRID["pca_components"])
_NODES = _LINES + 3
_THRESHOLD, _LINK, _VALUE = 0, 1, 4
_WIDTH: Final[int] = max(TREE_GRID["feature_count"])


def _packed(tree: FittedTree, lines: Floats, genes: TreeGenes, rows: int) -> Floats:
    # A model in one array (rows, 20): how many nodes, components and features it has, means, scales, axes and lines of
    # the features, then per node threshold, link and value, or the quantiles of its leaf.
    packed, nodes = np.zeros((rows, _WIDTH)), tree.values.size
    if nodes == 0:
        return packed
    components, features = tree.axes.shape
    packed[0, :_N_FIGURES] = nodes, components, features
    packed[_MEANS : _SCALES + 1, :features] = tree.moments
    packed[_AXES : _AXES + components, :features] = tree.axes
    packed[_LINES:_NODES, : components + 2] = lines if lines.size else 0.0
    body = packed[_NODES : _NODES + nodes]
    body[:, _THRESHOLD], body[:, _LINK:_VALUE] = tree.thresholds, tree.links
    if genes.method == "leaf":
        body[:, _VALUE : _VALUE + 3] = leaf_quantiles(tree.returns, tree.spans, _levels(genes))
    else:
        body[:, _VALUE] = tree.values
    return packed


@compiled
def _tell_last(columns: Floats, kept: Floats, assets: Keys, place: int, by_leaf: bool, levels: Floats) -> None:
    # Writes the levels (A, K, 3) of the last bar of each asset, with features (A, F, 1), by the model kept of one key.
    for i in range(assets.size):
        model, told = kept[assets[i], place], np.zeros((3, 1))
        nodes, components, features = int(model[0, 0]), int(model[0, 1]), int(model[0, 2])
        if nodes > 0:
            moments = model[_MEANS : _SCALES + 1, :features].copy()
            axes = model[_AXES : _AXES + components, :features].copy()
            body = model[_NODES : _NODES + nodes]
            links = body[:, _LINK:_VALUE].astype(np.int64)
            points = project(columns[i], 0, 1, moments, axes)
            leaves = find_leaves(points, body[:, _THRESHOLD].copy(), links)
            if by_leaf:
                write_leaf_levels(points, leaves, body[:, _VALUE : _VALUE + 3].copy(), told)
            else:
                lines = model[_LINES:_NODES, : components + 2].copy()
                write_line_levels(points, leaves, body[:, _VALUE].copy(), lines, told)
        levels[i, place] = told[:, 0]


def _rows_of(keys: Keys) -> int:
    # Of the packed models: no tree has more nodes than its depth leaves room for.
    deepest = max(genes.depth for genes in map(tree_genes, keys.tolist()))
    return _NODES + (2 << deepest) - 1


def _latest_models(shop: HistoryWorkshop, keys: Keys) -> Floats:
    # The last model of each key, without nodes before its first refit.
    rows = _rows_of(keys)
    kept, features, fits = np.zeros((keys.size, rows, _WIDTH)), features_of(shop), Fits(shop)
    for place, genes in enumerate(map(tree_genes, keys.tolist())):
        for bar in refits_of(shop.bars, genes)[-1:]:
            kept[place] = _packed(*refit_model(shop, fits, features, genes, bar), genes, rows)
    return kept


def _next_models(shop: AheadWorkshop, keys: Keys) -> dict[int, Floats] | None:
    # The models that are fitted at the close of the next bar, by the place of their key.
    bar, rows = shop.bars.numbers.size, _rows_of(keys)
    made = {
        place: _packed(*refit_model(shop, Fits(shop), features_of(shop), genes, bar), genes, rows)
        for place, genes in enumerate(map(tree_genes, keys.tolist()))
        if is_refit(shop.number, bar, genes)
    }
    return made or None


def _levels_abreast(shop: AbreastWorkshop, keys: Keys, kept: Floats) -> Rows:
    features = features_abreast(shop)
    columns = np.ascontiguousarray(features.latest(shop.assets, 1)[:, 0])
    levels = np.zeros((shop.assets.size, keys.size, 3))
    ahead = shop.made_ahead(RETURN_LEVELS, keys)
    for place, genes in enumerate(map(tree_genes, keys.tolist())):
        due = refit_places(shop.numbers, shop.known, genes)
        for asset, bar in zip(shop.assets[due].tolist(), shop.known[due].tolist(), strict=True):
            model = ahead.get(asset, {}).get(place)
            if model is None:
                every = Workshop(shop.histories.bars(asset), shop.store)
                fitted = refit_model(every, Fits(every), features.columns(asset)[0], genes, bar)
                model = _packed(*fitted, genes, kept.shape[2])
            kept[asset, place] = model
        _tell_last(columns, kept, shop.assets, place, genes.method == "leaf", levels)
    return levels


RETURN_LEVELS = Indicator(
    "return_levels",
    rows=level_rows,
    reach=lambda bars, keys: np.full_like(keys, LONGEST_LAG + 1),
    onward=Onward(
        start=_latest_models,
        rows=lambda shop, keys, _: level_rows(shop, keys),
        abreast=_levels_abreast,
        ahead=_next_models,
    ),
)
"""Keyed by `grids.tree_keys`; shape (K, 3, n)."""
