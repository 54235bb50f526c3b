"""Ranks and turbulence bar by bar: the last row of `allocate`, at the price of the last row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.allocation import (
    ATR_BARS,
    CALM,
    LIQUIDITY,
    MOMENTUM,
    MOMENTUM_BARS,
    Allocation,
    day_and_month,
    log_return_deviation,
    momentum,
    rank,
    relative_range,
    rolling_median,
)
from quant_organism.strategies.bank import Bars


class AllocationStream:
    """Ranks N assets at each close, to the last bit as `allocate` does over the whole history.

    Parameters
    ----------
    n_assets
        Number of assets N.
    bar_hours
        Length of a bar in hours.
    """

    def __init__(self, n_assets: int, bar_hours: float) -> None:
        self._day, self._month = day_and_month(bar_hours)
        self._deviations: list[tuple[int, NDArray[np.float64]]] = [(0, np.empty(0))] * n_assets

    def step(self, histories: Sequence[Bars], valid: NDArray[np.bool_]) -> Allocation:
        """Return ranks, number of assets and turbulence at the last close, with T = 1.

        Parameters
        ----------
        histories
            All valid bars of each asset so far.
        valid
            Which assets have a bar at the last close, shape (N,).
        """
        figures = np.full((3, 1, valid.size), np.nan)
        turbulence = np.zeros((1, valid.size))
        for asset in np.flatnonzero(valid).tolist():
            bars = histories[asset]
            day = slice(-self._day, None)
            figures[LIQUIDITY, 0, asset] = rolling_median(bars.close[day] * bars.volume[day], self._day)[-1]
            figures[CALM, 0, asset] = -relative_range(bars.high, bars.low, bars.close, ATR_BARS)[-1]
            figures[MOMENTUM, 0, asset] = momentum(bars.close[-MOMENTUM_BARS - 1 :], MOMENTUM_BARS)[-1]
            turbulence[0, asset] = self._turbulence(asset, bars.close)
        ranks = np.zeros((1, valid.size, 3))
        for figure in range(3):
            rank(figures[figure], valid[None], ranks[:, :, figure])
        return Allocation(ranks, np.array([valid.sum()]), turbulence)

    def _turbulence(self, asset: int, close: NDArray[np.float64]) -> float:
        # Deviations of the month before are kept: over a window of minutes, they are what costs.
        count, kept = self._deviations[asset]
        fresh = min(close.size - count, self._month + 1)
        made = log_return_deviation(close[-(self._day + fresh) :], self._day)[self._day :]
        kept = np.concatenate([kept, made])[-(self._month + 1) :]
        self._deviations[asset] = close.size, kept
        if kept.size <= self._month:
            return 0.0
        median = rolling_median(kept[:-1], self._month)[-1]
        return float(kept[-1] / median) if median > 0.0 else 0.0
