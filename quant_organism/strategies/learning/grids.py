"""The choices of the genes that models are fitted with, and one integer for a set of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WINDOWS = (250, 500, 1000)
HORIZONS = (1, 3, 6, 12, 24)
INTERVALS = (24, 72, 168)

SVC_GRID: dict[str, tuple[Any, ...]] = {
    "lookback_window": WINDOWS,
    "feature_count": (4, 8, 12, 16, 20),
    "regularization": (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0),
    "penalty": ("l1", "l2"),
    "class_weight": ("none", "balanced"),
    "quantile_bins": (2, 3, 4),
    "label_horizon": HORIZONS,
    "refit_interval": INTERVALS,
    "ensemble_size": (1, 2, 3, 4, 5),
}
"""Values of the genes that the scores of linear_svc_classifier depend on."""

TREE_GRID: dict[str, tuple[Any, ...]] = {
    "feature_window": WINDOWS,
    "feature_count": (8, 12, 16, 20),
    "pca_components": (2, 3, 4, 5, 6),
    "tree_depth": (2, 3, 4, 5, 6, 7),
    "min_samples_leaf": (5, 10, 20, 40),
    "quantile_method": ("leaf", "linear"),
    "quantile_alpha": (0.001, 0.01, 0.1),
    "label_horizon": HORIZONS,
    "refit_interval": INTERVALS,
}
"""Values of the genes that the return levels of pca_tree_quantile depend on, beside signal_quantile."""

LINEAR = TREE_GRID["quantile_method"].index("linear")
"""Index of linear among the choices of quantile_method."""

_QUANTILE_STEPS = 10**10
"""Steps in which signal_quantile is told apart: the ten digits that a gene carries."""


class SvcGenes(NamedTuple):
    """One point of `SVC_GRID`."""

    window: int
    features: int
    regularization: float
    penalty: str
    class_weight: str
    bins: int
    horizon: int
    interval: int
    ensemble: int


class TreeGenes(NamedTuple):
    """One point of `TREE_GRID`, and the upper quantile."""

    window: int
    features: int
    components: int
    depth: int
    leaf: int
    method: str
    alpha: float
    horizon: int
    interval: int
    quantile: float


def choices(values: Sequence[Any]) -> tuple[str, ...]:
    """Return the texts under which a choice gene carries values."""
    return tuple(map(str, values))


def svc_keys(genes: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return one integer per genome for the genes of `SVC_GRID`; arrays as in `GeneArrays`, shape (G,)."""
    return _encode(SVC_GRID, {**genes, "ensemble_size": genes["ensemble_size"] - SVC_GRID["ensemble_size"][0]})


def svc_genes(key: int) -> SvcGenes:
    """Return the genes that a key of `svc_keys` stands for."""
    return SvcGenes._make(_decode(SVC_GRID, key))


def tree_keys(genes: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return one integer per genome for the genes of `TREE_GRID` and signal_quantile.

    Genomes of the leaf method that differ in quantile_alpha alone, which they do not read, have one key.
    """
    digits = dict(genes)
    for name in ("pca_components", "tree_depth"):
        digits[name] = genes[name] - TREE_GRID[name][0]
    digits["quantile_alpha"] = np.where(genes["quantile_method"] == LINEAR, genes["quantile_alpha"], 0)
    steps = np.rint(genes["signal_quantile"] * _QUANTILE_STEPS).astype(np.int64)
    return np.asarray(_encode(TREE_GRID, digits) * _QUANTILE_STEPS + steps, dtype=np.int64)


def tree_genes(key: int) -> TreeGenes:
    """Return the genes that a key of `tree_keys` stands for."""
    point, steps = divmod(int(key), _QUANTILE_STEPS)
    return TreeGenes._make([*_decode(TREE_GRID, point), steps / _QUANTILE_STEPS])


def _encode(grid: Mapping[str, tuple[Any, ...]], digits: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    shape = tuple(map(len, grid.values()))
    return np.asarray(np.ravel_multi_index(tuple(digits[name] for name in grid), shape), dtype=np.int64)


def _decode(grid: Mapping[str, tuple[Any, ...]], key: int) -> list[Any]:
    found = []
    for values in reversed(list(grid.values())):
        key, digit = divmod(int(key), len(values))
        found.append(values[digit])
    return found[::-1]
