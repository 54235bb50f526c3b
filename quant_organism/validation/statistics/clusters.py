"""Clones and their number: correlation clusters, medoids, and the effective number of trials of a search."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import NotRun, flat_columns, require, require_finite

CUT_DISTANCE = 0.5
MAX_LINKED = 5_000
"""Largest number of columns that are linked at once (their distances take 8 bytes a pair)."""

_BEST_LINKED = 200
_LEAST_STRIDE = 3
_BLOCK = 4_096
# Clones differ in the last bits, depending on where they stand in a matrix product.
_DECIMALS = 12

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """Groups of trials whose returns go together.

    Attributes
    ----------
    labels
        int64 (N,): cluster of each column; clusters are numbered in the order of their first column.
    medoids
        int64 (K,): per cluster the member with the smallest summed distance to the others; ties by index.
    champions
        int64 (K,): per cluster the member with the best Sharpe ratio; ties by index.
    """

    labels: Integers
    medoids: Integers
    champions: Integers

    @property
    def count(self) -> int:
        """Effective number of trials."""
        return len(self.medoids)


def cluster_returns(returns: Floats) -> Clusters | NotRun:
    """Cluster trials by the correlation of their returns: distance 1 - C, average linkage, cut at 0.5.

    Parameters
    ----------
    returns
        Net daily returns, float64 (T, N), no column constant.

    Returns
    -------
    Clusters
        Beyond `MAX_LINKED` columns only the 200 best and every k-th of the rest (k at least 3) are linked; the others
        join the nearest medoid within the cut, and those that fit none are clustered in a further round, so that no
        trial goes uncounted.

    Raises
    ------
    InputError
        A return is not a number, or a column is constant: trials that never traded are counted, not clustered.
    """
    require_finite(returns)
    flat = np.flatnonzero(flat_columns(returns))
    if len(flat):
        raise InputError(
            "a constant column has no correlation", where=f"column {flat[0]}", remedy="leave out what never traded"
        )
    if returns.shape[1] == 0:
        return NotRun("there is no trial to cluster")
    return _cluster((returns - returns.mean(axis=0)).T, returns.mean(axis=0) / returns.std(axis=0, ddof=1))


def cluster_sketches(sketches: NDArray[np.int8], sharpe: Floats) -> Clusters | NotRun:
    """Cluster trials by the sketches that the trial ledger keeps of their returns, where the returns are gone.

    Parameters
    ----------
    sketches
        Int8 (N, 128) of one panel and the same days; none all zero. Their correlations are estimates (error 0.09).
    sharpe
        Float64 (N,): picks the champions and the representatives.

    Returns
    -------
    Clusters
        As `cluster_returns`.

    Raises
    ------
    InputError
        A sketch is all zero, a Sharpe ratio is not a number, or the lengths differ.
    """
    require_finite(sharpe, "Sharpe ratio")
    count = len(sketches)
    require(count == len(sharpe), f"{count} sketches, {len(sharpe)} Sharpe ratios", "give one Sharpe ratio per sketch")
    if count == 0:
        return NotRun("there is no trial to cluster")
    zero = np.flatnonzero(~sketches.any(axis=1))
    if len(zero):
        raise InputError(
            "an empty sketch has no direction", where=f"row {zero[0]}", remedy="leave out what never traded"
        )
    return _cluster(sketches.astype(np.float64), sharpe)


def entropy_rank(correlation: Floats) -> float:
    """Return the exponential of the entropy of a correlation matrix's eigenvalues: a figure of diversity.

    For reports only: as a number of trials it is far too small, since luck is set by the maximum and not by the bulk.

    Parameters
    ----------
    correlation
        Float64 (N, N), symmetric. Eigenvalues below 1e-12 are dropped.

    Raises
    ------
    InputError
        A correlation is not a number, or there is none.
    """
    require_finite(correlation, "correlation")
    require(len(correlation) > 0, "no correlation to rank", "give at least one trial")
    eigenvalues = np.linalg.eigvalsh(correlation)
    shares = eigenvalues[eigenvalues >= 1e-12]
    shares = shares / shares.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _cluster(paths: Floats, sharpe: Floats) -> Clusters:
    """Cluster rows whose cosines are correlations."""
    directions = np.ascontiguousarray(paths / np.linalg.norm(paths, axis=1, keepdims=True))
    labels = np.full(len(paths), -1, dtype=np.int64)
    medoids = np.empty(0, dtype=np.int64)
    left = np.arange(len(paths))
    while len(left):
        linked = _representatives(left, sharpe)
        found, new_medoids = _link(directions[linked])
        labels[linked] = found + len(medoids)
        others = np.setdiff1d(left, linked, assume_unique=True)
        labels[others] = _nearest(directions[others], directions[linked[new_medoids]], offset=len(medoids))
        medoids = np.concatenate([medoids, linked[new_medoids]])
        left = others[labels[others] < 0]
    return _numbered(labels, medoids, sharpe)


def _representatives(columns: Integers, sharpe: Floats) -> Integers:
    if len(columns) <= MAX_LINKED:
        return columns
    ranked = columns[np.argsort(-sharpe[columns], kind="stable")]
    best, rest = ranked[:_BEST_LINKED], ranked[_BEST_LINKED:]
    stride = max(_LEAST_STRIDE, -(-len(rest) // (MAX_LINKED - _BEST_LINKED)))
    return np.sort(np.concatenate([best, rest[::stride]]))


def _link(directions: Floats) -> tuple[Integers, Integers]:
    """Return labels (n,) from 0 and the row of each cluster's medoid (k,)."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(directions) == 1:
        return np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    distance = np.round(np.clip(1 - directions @ directions.T, 0, 2), _DECIMALS)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average")
    labels = fcluster(tree, t=CUT_DISTANCE, criterion="distance").astype(np.int64) - 1
    medoids = []
    for label in range(labels.max() + 1):
        members = np.flatnonzero(labels == label)
        sums = np.round(distance[np.ix_(members, members)].sum(axis=1), _DECIMALS - 3)
        medoids.append(members[np.argmin(sums)])
    return labels, np.array(medoids, dtype=np.int64)


def _nearest(directions: Floats, medoids: Floats, offset: int) -> Integers:
    """Return the label of the nearest medoid of each row, -1 where none lies within the cut."""
    labels = np.full(len(directions), -1, dtype=np.int64)
    for start in range(0, len(directions), _BLOCK):
        correlation = directions[start : start + _BLOCK] @ medoids.T
        nearest = correlation.argmax(axis=1)
        close = 1 - correlation[np.arange(len(nearest)), nearest] <= CUT_DISTANCE
        labels[start : start + _BLOCK] = np.where(close, nearest + offset, -1)
    return labels


def _numbered(labels: Integers, medoids: Integers, sharpe: Floats) -> Clusters:
    _, first, compact = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    labels = np.argsort(order)[compact]
    best_first = np.argsort(-sharpe, kind="stable")
    _, leaders = np.unique(labels[best_first], return_index=True)
    return Clusters(labels, medoids[order], best_first[leaders])
