"""The way of a price through one bar."""

import numpy as np
from numpy.typing import NDArray

from quant_organism.exchange.protocol.decimals import price_step


def bar_path(rng: np.random.Generator, bar: tuple[int, int, int, int], ticks: int, decimals: int) -> NDArray[np.int64]:
    """Return scaled legal prices that begin at the open, touch high and low, and end at the close.

    Parameters
    ----------
    rng
        Draws when the extremes are touched, and the noise between.
    bar
        Scaled open, high, low and close; a rising bar touches its low first.
    ticks
        How many prices, at least 4.
    decimals
        Decimals of the asset's prices.
    """
    start, high, low, end = bar
    first, second = (low, high) if end >= start else (high, low)
    early = 1 + int(rng.integers(0, max(1, ticks // 2 - 1)))
    late = early + 1 + int(rng.integers(0, max(1, ticks - early - 2)))
    knots = [0, early, late, ticks - 1]
    path = np.interp(np.arange(ticks), knots, [start, first, second, end])
    path += rng.normal(0.0, 0.15 * max(high - low, 1) / np.sqrt(ticks), ticks)
    step = price_step(start, decimals)
    legal = np.round(path / step).astype(np.int64) * step
    legal = np.clip(legal, low, high)
    legal[knots] = (start, first, second, end)
    return legal


def split_volume(rng: np.random.Generator, volume: int, ticks: int) -> NDArray[np.int64]:
    """Return scaled sizes of trades that add up to a bar's volume; none is empty where there is enough for all."""
    if volume < ticks:
        edges = np.floor(np.linspace(0, volume, ticks + 1)).astype(np.int64)
        return np.asarray(edges[1:] - edges[:-1], dtype=np.int64)
    weights = rng.exponential(1.0, ticks)
    cuts = np.floor(np.cumsum(weights) / weights.sum() * (volume - ticks)).astype(np.int64)
    cuts[-1] = volume - ticks
    return np.asarray(cuts - np.concatenate(([0], cuts[:-1])) + 1, dtype=np.int64)
