"""Daily returns of trials in little room: their moments, and sketches from which correlations can be estimated.

Moments are all that inference on Sharpe ratios needs to know. A sketch has 128 bytes: returns are standardised and
projected on 128 random directions (Johnson and Lindenstrauss 1984). The angle between two projections is, up to chance,
the angle between the returns, and its cosine is their correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

SKETCH_BYTES = 128

_SEED = 20_140_501
_FLAT = 1e-12
_LARGEST = 127.0
# Both factors of the projection are rounded to whole numbers, so that every sum is exact below 2**53 (for 2,000 years
# of days) and the bytes depend neither on the order of addition nor on which trials are sketched together.
_RETURN_STEPS = 2.0**16
_DIRECTION_STEPS = 2.0**12
_ON_ONE_THREAD = 2**18
"""Multiplications of whole matrices that BLAS does not share out among threads."""


def sketch(daily_returns: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return the sketch of each row of daily returns; all zero where the returns do not vary.

    Parameters
    ----------
    daily_returns
        float64 (G, D), finite.

    Returns
    -------
    ndarray
        int8 (G, 128). Only sketches of the same panel and days can be compared.
    """
    rows = np.ascontiguousarray(daily_returns)
    if rows.shape[1] < 2:
        return np.zeros((len(rows), SKETCH_BYTES), dtype=np.int8)
    deviation = rows.std(axis=1, ddof=1, keepdims=True)
    varies = deviation > _FLAT
    standard = np.where(varies, rows - rows.mean(axis=1, keepdims=True), 0.0) / np.where(varies, deviation, 1.0)
    projected = _product(np.rint(standard * _RETURN_STEPS), _directions(rows.shape[1]))
    largest = np.abs(projected).max(axis=1, keepdims=True)
    return np.rint(projected * (_LARGEST / np.where(largest > 0, largest, 1.0))).astype(np.int8)


def sketch_correlations(first: NDArray[np.int8], second: NDArray[np.int8]) -> NDArray[np.float64]:
    """Estimate the correlation of daily returns between trials.

    Parameters
    ----------
    first, second
        Sketches, int8 (n, 128) and (m, 128), of the same panel and days.

    Returns
    -------
    ndarray
        float64 (n, m) in [-1, 1]; nan where a sketch is all zero. The standard error at a correlation r is about
        (1 - r**2) / sqrt(128), at most 0.09.
    """
    return _unit(first) @ _unit(second).T


def _unit(sketches: NDArray[np.int8]) -> NDArray[np.float64]:
    values = sketches.astype(np.float64)
    length = np.sqrt(np.sum(values**2, axis=1, keepdims=True))
    unit: NDArray[np.float64] = values / np.where(length > 0, length, np.nan)
    return unit


def _product(rows: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the product of two matrices, made of a few rows at a time.

    Of all at once BLAS makes parts for all cores, and its threads then wait for more, at full speed, for longer than a
    generation of a search takes.
    """
    step = max(1, _ON_ONE_THREAD // directions.size)
    product = np.empty((len(rows), directions.shape[1]))
    for first in range(0, len(rows), step):
        np.matmul(rows[first : first + step], directions, out=product[first : first + step])
    return product


def _directions(n_days: int) -> NDArray[np.float64]:
    """Return the random directions, whole numbers (D, 128): normal deviates by inversion of PCG64's raw output.

    NumPy keeps that output as it is for ever, unlike its own normal deviates, and a ledger outlives versions.
    """
    raw = np.random.PCG64(_SEED).random_raw(n_days * SKETCH_BYTES)
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    directions: NDArray[np.float64] = np.rint(ndtri(uniform) * _DIRECTION_STEPS)
    return directions.reshape(n_days, SKETCH_BYTES)


@dataclass(frozen=True, eq=False)
class ReturnMoments:
    """Moments of G series of returns, per period.

    Attributes
    ----------
    mean, std
        float64 (G,); the standard deviation has divisor T-1, so that mean / std is the Sharpe ratio per period.
    skew, kurtosis
        float64 (G,), population moments; kurtosis of a normal is 3.
    autocorrelation
        float64 (G,), lag 1.

    All but the mean are nan where there are fewer than two periods; of returns that do not vary, skew, kurtosis and
    autocorrelation are.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    skew: NDArray[np.float64]
    kurtosis: NDArray[np.float64]
    autocorrelation: NDArray[np.float64]


def return_moments(returns: NDArray[np.float64]) -> ReturnMoments:
    """Measure returns, float64 (G, T), finite, T at least 1."""
    rows = np.ascontiguousarray(returns)
    n_periods = rows.shape[1]
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    squares = centred**2
    total = squares.sum(axis=1)
    std = np.sqrt(total / (n_periods - 1)) if n_periods > 1 else np.full(len(rows), np.nan)
    variance = np.where(std > _FLAT, total / n_periods, np.nan)
    return ReturnMoments(
        mean=mean,
        std=std,
        skew=np.mean(squares * centred, axis=1) / variance**1.5,
        kurtosis=np.mean(squares**2, axis=1) / variance**2,
        autocorrelation=np.sum(centred[:, 1:] * centred[:, :-1], axis=1) / (variance * n_periods),
    )
