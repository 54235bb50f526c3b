"""Principal axes of standardised features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled

Floats = NDArray[np.float64]

_MOST_SWEEPS = 60
_NEGLIGIBLE = 1e-18
"""Share of the squares off the diagonal at which the rotations stop."""


@compiled
def principal_axes(rows: Floats, count: int) -> Floats:
    """Return the directions of the greatest variances, the greatest first.

    Jacobi rotations of the second moments give every axis, as a full singular value decomposition does, and the same
    bits on every machine and with any number of threads. The largest weight of an axis, in absolute value, is positive.

    Parameters
    ----------
    rows
        Centred features, shape (n, F).
    count
        Number of axes, at most F.

    Returns
    -------
    Orthonormal axes, shape (count, F).
    """
    n, size = rows.shape
    moments = np.zeros((size, size))
    for i in range(n):
        row = rows[i]
        for a in range(size):
            weight = row[a]
            for b in range(size):
                moments[a, b] += weight * row[b]
    axes = np.eye(size)
    for _ in range(_MOST_SWEEPS):
        outside, inside = 0.0, 0.0
        for a in range(size):
            inside += moments[a, a] ** 2
            for b in range(a):
                outside += moments[a, b] ** 2
        if outside <= _NEGLIGIBLE * _NEGLIGIBLE * inside:
            break
        for a in range(size - 1):
            for b in range(a + 1, size):
                _rotate(moments, axes, a, b)
    order = np.argsort(-np.diag(moments), kind="mergesort")
    chosen = np.empty((count, size))
    for k in range(count):
        axis = axes[:, order[k]]
        largest = np.argmax(np.abs(axis))
        for a in range(size):
            chosen[k, a] = axis[a] if axis[largest] >= 0.0 else -axis[a]
    return chosen


@compiled
def _rotate(moments: Floats, axes: Floats, a: int, b: int) -> None:
    off = moments[a, b]
    if off == 0.0:
        return
    ratio = (moments[b, b] - moments[a, a]) / (2.0 * off)
    tangent = (1.0 if ratio >= 0.0 else -1.0) / (abs(ratio) + np.sqrt(1.0 + ratio * ratio))
    cosine = 1.0 / np.sqrt(1.0 + tangent * tangent)
    sine = tangent * cosine
    size = moments.shape[0]
    for i in range(size):
        left, right = moments[i, a], moments[i, b]
        moments[i, a] = cosine * left - sine * right
        moments[i, b] = sine * left + cosine * right
    for i in range(size):
        left, right = moments[a, i], moments[b, i]
        moments[a, i] = cosine * left - sine * right
        moments[b, i] = sine * left + cosine * right
    for i in range(size):
        left, right = axes[i, a], axes[i, b]
        axes[i, a] = cosine * left - sine * right
        axes[i, b] = sine * left + cosine * right
    moments[a, b] = moments[b, a] = 0.0
