"""Ranks and turbulence bar by bar: the last row of `allocate`, at the price of the last row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.allocation import (
    ATR_BARS,
    CALM,
    LIQUIDITY,
    MOMENTUM,
    MOMENTUM_BARS,
    Allocation,
    day_and_month,
    median,
    momentum,
    rank,
    replace,
)
from quant_organism.kernels.compiled import compiled
from quant_organism.strategies import COLUMNS, Histories
from quant_organism.strategies.indicators.dispersion import deviation_rows
from quant_organism.strategies.indicators.volatility import atr_onward, log_returns, true_range

_HIGH, _LOW, _CLOSE, _VOLUME = (COLUMNS.index(name) for name in ("high", "low", "close", "volume"))


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
        self._counts = np.zeros(n_assets, dtype=np.int64)
        self._ranges = np.zeros((n_assets, 1))
        # Deviations of the last 24 hours: of the last month by time, and of the month before by size.
        self._latest = np.full((n_assets, self._month + 1), np.nan)
        self._ordered = np.empty((n_assets, self._month))

    def step(self, histories: Histories, valid: NDArray[np.bool_]) -> Allocation:
        """Return ranks, number of assets and turbulence at the last close, with T = 1.

        Parameters
        ----------
        histories
            All bars of these assets so far.
        valid
            Which assets have a bar at the last close, shape (N,).
        """
        ranks, turbulence = np.zeros((1, valid.size, 3)), np.zeros((1, valid.size))
        _follow_all(
            histories.columns,
            histories.counts,
            valid,
            self._counts,
            self._day,
            self._month,
            self._ranges,
            self._latest,
            self._ordered,
            ranks,
            turbulence,
        )
        return Allocation(ranks, np.array([valid.sum()]), turbulence)

    def walk(self, histories: Histories, valid: NDArray[np.bool_]) -> Allocation:
        """Return what `step` tells at each of the last T closes, one after the other.

        Parameters
        ----------
        histories
            All bars of these assets, those of the T closes included.
        valid
            Which assets have a bar at each of these closes, shape (T, N).
        """
        ranks, turbulence = np.zeros((*valid.shape, 3)), np.zeros(valid.shape)
        _follow_bars(
            histories.columns,
            histories.counts - valid.sum(axis=0),
            valid,
            self._counts,
            self._day,
            self._month,
            self._ranges,
            self._latest,
            self._ordered,
            ranks,
            turbulence,
        )
        return Allocation(ranks, valid.sum(axis=1), turbulence)


@compiled
def _follow_bars(
    columns: NDArray[np.float64],
    counts: NDArray[np.int64],
    valid: NDArray[np.bool_],
    known: NDArray[np.int64],
    day: int,
    month: int,
    average_ranges: NDArray[np.float64],
    latest: NDArray[np.float64],
    ordered: NDArray[np.float64],
    ranks: NDArray[np.float64],
    turbulence: NDArray[np.float64],
) -> None:
    # Bar after bar what `_follow_all` writes of one; `counts` are moved on, and no bar beyond them is looked at.
    for t in range(valid.shape[0]):
        for asset in range(valid.shape[1]):
            counts[asset] += valid[t, asset]
        rows = slice(t, t + 1)
        own = ranks[rows], turbulence[rows]
        _follow_all(columns, counts, valid[t], known, day, month, average_ranges, latest, ordered, *own)


@compiled
def _follow_all(
    columns: NDArray[np.float64],
    counts: NDArray[np.int64],
    valid: NDArray[np.bool_],
    known: NDArray[np.int64],
    day: int,
    month: int,
    average_ranges: NDArray[np.float64],
    latest: NDArray[np.float64],
    ordered: NDArray[np.float64],
    ranks: NDArray[np.float64],
    turbulence: NDArray[np.float64],
) -> None:
    # Writes ranks (1, N, 3) and turbulence (1, N) at the last bar, and moves on what is known of `known` bars.
    figures = np.full((3, 1, valid.size), np.nan)
    for asset in range(valid.size):
        if valid[asset]:
            bars = columns[asset]
            n = counts[asset]
            figures[:, 0, asset], turbulence[0, asset] = _follow(
                bars[_HIGH, :n],
                bars[_LOW, :n],
                bars[_CLOSE, :n],
                bars[_VOLUME, :n],
                known[asset],
                day,
                month,
                average_ranges[asset],
                latest[asset],
                ordered[asset],
            )
            known[asset] = n
    for figure in range(3):
        rank(figures[figure], valid.reshape(1, valid.size), ranks[:, :, figure])


@compiled
def _follow(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    known: int,
    day: int,
    month: int,
    average_range: NDArray[np.float64],
    latest: NDArray[np.float64],
    ordered: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    # The three figures and the turbulence at the last bar; what the bars from `known` on leave is moved on.
    n = close.size
    figures = np.empty(3)
    traded = close[max(n - day, 0) :] * volume[max(n - day, 0) :]
    traded.sort()
    figures[LIQUIDITY] = median(traded) if n >= day else np.nan
    last = n - 1 - day
    # What is older than a month leaves nothing.
    first = max(known - day, last - month, 0)
    begin = max(min(first, n - 1 - MOMENTUM_BARS), 0)
    recent = close[begin:]
    deviations = deviation_rows(log_returns(recent), np.array([MOMENTUM_BARS, day]), 0)
    figures[MOMENTUM] = momentum(recent, deviations[0], MOMENTUM_BARS)[-1]
    before = max(known - 1, 0)
    reach = true_range(high[before:], low[before:], close[before:])[known - before :]
    ranges = atr_onward(reach, known, np.array([ATR_BARS]), average_range)
    figures[CALM] = -ranges[0, -1] / close[-1]
    if known == n - 1 and last > month:
        replace(ordered, latest[last % (month + 1)], latest[(last - 1) % (month + 1)])
    for place in range(first, last + 1):
        latest[place % (month + 1)] = deviations[1, place + day - 1 - begin]
    if last < month:
        return figures, 0.0
    if known < n - 1 or last == month:
        for place in range(last - month, last):
            ordered[place - last + month] = latest[place % (month + 1)]
        ordered.sort()
    usual = median(ordered)
    return figures, latest[last % (month + 1)] / usual if usual > 0.0 else 0.0
