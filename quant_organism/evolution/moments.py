"""Moments of daily returns of many trials: all that inference on their Sharpe ratios needs to know of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FLAT = 1e-12


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
