"""How straight price moves, and on which side of its average it stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.indicators.averages import SMA, lagged_mean_rows, window_mean
from quant_organism.strategies.indicators.extremes import greatest_of
from quant_organism.strategies.indicators.indicator import (
    AbreastWorkshop,
    HistoryWorkshop,
    Indicator,
    Onward,
    one_bar_more,
    same_bars,
)
from quant_organism.strategies.store import Keys, Rows


@compiled
def efficiency_ratio_rows(x: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the move over `period` bars as a share of the way that was walked, in [0, 1].

    Returns
    -------
    Shape (K, n); 0 where nothing moved, NaN before bar period.

    Source: Perry J. Kaufman, Trading Systems and Methods.
    """
    moves = np.zeros(x.size)
    for t in range(1, x.size):
        moves[t] = abs(x[t] - x[t - 1])
    # First the mean move, then what is made of it.
    rows = lagged_mean_rows(moves, periods, 0)
    for k in range(periods.size):
        rows[k, : periods[k]] = np.nan
        row, later = rows[k, periods[k] :], x[periods[k] :]
        period = float(periods[k])
        for t in range(row.size):
            way = period * row[t]
            # The sum may round to less than the move of a straight line.
            share = abs(later[t] - x[t]) / way
            share = share if share < 1.0 else 1.0
            row[t] = share if way > 0.0 else 0.0
    return rows


@compiled
def last_efficiency_ratios(
    x: NDArray[np.float64], assets: NDArray[np.int64], ends: NDArray[np.int64], periods: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the last values of `efficiency_ratio_rows` of each of A assets, shape (A, K).

    Parameters
    ----------
    x
        Values of all assets, shape (N, room).
    assets, ends
        Row of each asset in `x`, and how many of its values there are, more than the longest period, shape (A,).
    periods
        As in `efficiency_ratio_rows`.
    """
    rows, scratch = np.empty((assets.size, periods.size)), np.empty(greatest_of(periods))
    for i in range(assets.size):
        values, last = x[assets[i]], ends[i] - 1
        for k in range(periods.size):
            first, moves = last - periods[k], scratch[: periods[k]]
            for t in range(moves.size):
                moves[t] = abs(values[first + t + 1] - values[first + t])
            way = float(periods[k]) * window_mean(moves)
            share = abs(values[last] - values[first]) / way
            share = share if share < 1.0 else 1.0
            rows[i, k] = share if way > 0.0 else 0.0
    return rows


@compiled
def count_above_rows(x: NDArray[np.float64], level: NDArray[np.float64], sign: int) -> NDArray[np.int32]:
    """Return how many values up to each bar were above their level, or below it.

    Parameters
    ----------
    x
        Values, shape (n,).
    level
        Levels, shape (K, n); NaN counts nothing.
    sign
        1 counts values above, -1 values below.

    Returns
    -------
    Shape (K, n). The difference of two bars is the count between them, for windows of any length.
    """
    rows = np.empty(level.shape, dtype=np.int32)
    for k in range(level.shape[0]):
        count = 0
        for t in range(x.size):
            count += 1 if sign * (x[t] - level[k, t]) > 0.0 else 0
            rows[k, t] = count
    return rows


EFFICIENCY_RATIO = Indicator(
    "efficiency_ratio",
    rows=lambda shop, periods: efficiency_ratio_rows(shop.bars.close, periods),
    reach=one_bar_more,
    last=lambda shop, periods: last_efficiency_ratios(shop.column("close"), shop.assets, shop.ends, periods),
)


def _counted(name: str, sign: int) -> Indicator:
    # How many closes have been above their average so far, or below it.
    def onward(shop: HistoryWorkshop, periods: Keys, so_far: NDArray[np.int32]) -> Rows:
        rows = count_above_rows(shop.bars.close, shop.make(SMA, periods), sign)
        so_far[:] = rows[:, -1]
        return rows

    def abreast(shop: AbreastWorkshop, periods: Keys, so_far: NDArray[np.int32]) -> Rows:
        beyond = sign * (shop.last("close")[:, np.newaxis] - shop.newest_of(SMA, periods)) > 0.0
        so_far[shop.assets] += beyond
        return so_far[shop.assets]

    return Indicator(
        name,
        rows=lambda shop, periods: count_above_rows(shop.bars.close, shop.make(SMA, periods), sign),
        reach=same_bars,
        onward=Onward(start=lambda shop, periods: np.zeros(periods.size, dtype=np.int32), rows=onward, abreast=abreast),
    )


CLOSES_ABOVE_SMA, CLOSES_BELOW_SMA = _counted("closes_above_sma", 1), _counted("closes_below_sma", -1)
