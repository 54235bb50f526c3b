"""Oscillators, and their divergence from price."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.indicators.extremes import maximum_rows, minimum_rows

BULLISH, BEARISH = 1, 2
"""Bits of a divergence between price and an index."""


@compiled
def rsi_rows(close: NDArray[np.float64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Wilder's relative strength index, shape (K, n); 50 without any change, NaN before bar period.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    count, n = periods.size, close.size
    rows = np.full((count, n), np.nan)
    gain = np.zeros(count)
    loss = np.zeros(count)
    for t in range(1, n):
        change = close[t] - close[t - 1]
        up = max(change, 0.0)
        down = max(-change, 0.0)
        for k in range(count):
            if t <= periods[k]:
                gain[k] += up
                loss[k] += down
                if t == periods[k]:
                    gain[k] /= periods[k]
                    loss[k] /= periods[k]
            else:
                gain[k] += (up - gain[k]) / periods[k]
                loss[k] += (down - loss[k]) / periods[k]
        for k in range(count):
            if t >= periods[k]:
                total = gain[k] + loss[k]
                rows[k, t] = 100.0 * gain[k] / total if total > 0.0 else 50.0
    return rows


@compiled
def divergence_rows(
    x: NDArray[np.float64], index_rows: NDArray[np.float64], periods: NDArray[np.int64]
) -> NDArray[np.int8]:
    """Return the divergences between a price and an index over two adjoining windows of each period.

    Parameters
    ----------
    x
        Prices, shape (n,).
    index_rows
        The index of each period, shape (K, n), NaN before bar period.
    periods
        Periods in bars, shape (K,).

    Returns
    -------
    Shape (K, n): bit `BULLISH` where price made a lower low and the index a higher low, bit `BEARISH` where price
    made a higher high and the index a lower high; 0 before bar 3 period - 1.
    """
    n = x.size
    rows = np.zeros((periods.size, n), dtype=np.int8)
    lows = minimum_rows(x, periods)
    highs = maximum_rows(x, periods)
    for k in range(periods.size):
        p = periods[k]
        if n < 3 * p:
            continue
        index = index_rows[k, p:]
        index_low = minimum_rows(index, periods[k : k + 1])[0, p - 1 :]
        index_high = maximum_rows(index, periods[k : k + 1])[0, p - 1 :]
        index_low_now, index_high_now = index_low[p:], index_high[p:]
        low, high = lows[k, 2 * p - 1 :], highs[k, 2 * p - 1 :]
        low_now, high_now = low[p:], high[p:]
        row = rows[k, 3 * p - 1 :]
        for t in range(row.size):
            bullish = (low_now[t] < low[t]) & (index_low_now[t] > index_low[t])
            bearish = (high_now[t] > high[t]) & (index_high_now[t] < index_high[t])
            row[t] = (BULLISH if bullish else 0) | (BEARISH if bearish else 0)
    return rows
