"""The template that every course begins with: a cross of two moving averages, left by a trailing stop of ATRs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def signal(panel: Any, fast: int = 20, slow: int = 100, stop_atr: float = 3.0) -> Floats:
    """Return 1 above the cross and -1 below it, and 0 from the close that passed the trailing stop to the next cross.

    Parameters
    ----------
    panel
        Aligned arrays of (bars, assets).
    fast, slow
        Bars of the two means of closes.
    stop_atr
        Distance of the stop from the best close since the cross, in mean true ranges of `slow` bars.
    """
    close, high, low = panel.close, panel.high, panel.low
    before = np.vstack([close[:1], close[:-1]])
    ranges = np.maximum(high - low, np.maximum(np.abs(high - before), np.abs(low - before)))
    # Where a mean holds a bar that is missing there is none, and no position.
    side = np.nan_to_num(np.sign(rolling_mean(close, fast) - rolling_mean(close, slow)))
    return stopped(side, close, stop_atr * rolling_mean(ranges, slow))


def rolling_mean(values: Floats, bars: int) -> Floats:
    """Return the mean of the last bars; nan before there are as many, and where one of them is missing."""
    windows = np.lib.stride_tricks.sliding_window_view(values, bars, axis=0)
    means = np.full(values.shape, np.nan)
    means[bars - 1 :] = windows.mean(axis=-1)
    return means


def stopped(side: Floats, close: Floats, width: Floats) -> Floats:
    """Return the sides that are held: none from where a trailing stop was passed until the side turns."""
    held = np.zeros(side.shape)
    best, out = close[0].copy(), np.zeros(side.shape[1], dtype=bool)
    for t in range(1, len(side)):
        turned = side[t] != side[t - 1]
        gain = side[t] * (close[t] - best)
        best = np.where(turned | (gain > 0), close[t], best)
        out = (out & ~turned) | (side[t] * (best - close[t]) > width[t])
        held[t] = np.where(out, 0.0, side[t])
    return held
