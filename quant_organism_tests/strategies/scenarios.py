"""Series of prices in which families must do what they are for. All are one-hour bars and seeded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Columns = dict[str, NDArray[np.float64]]


def bars(close: ArrayLike, volume: ArrayLike | None = None) -> Columns:
    """Return bars that open at the close before and reach no further than open and close."""
    c = np.asarray(close, dtype=float)
    o = np.concatenate([c[:1], c[:-1]])
    v = np.full(c.size, 100.0) if volume is None else np.asarray(volume, dtype=float)
    return {"open": o, "high": np.maximum(o, c), "low": np.minimum(o, c), "close": c, "volume": v}


def alternating(a: float, b: float, count: int) -> list[float]:
    """Return a, b, a, b, ..."""
    return [a if i % 2 == 0 else b for i in range(count)]


def noisy(seed: int, count: int = 400) -> Columns:
    """Return a wild random walk with wicks, gaps between bars and uneven volume."""
    rng = np.random.default_rng(seed)
    volatility = np.repeat(rng.uniform(0.002, 0.02, count // 25 + 1), 25)[:count]
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, count) * volatility))
    opens = np.concatenate([close[:1], close[:-1]]) * np.exp(rng.normal(0, 0.002, count))
    reach = np.abs(rng.normal(0, 0.004, (2, count)))
    high, low = np.maximum(opens, close) * (1 + reach[0]), np.minimum(opens, close) * (1 - reach[1])
    return {"open": opens, "high": high, "low": low, "close": close, "volume": np.exp(rng.normal(4, 0.7, count))}


def trending(drift: float, seed: int = 0, count: int = 400) -> Columns:
    """Return a market that drifts by `drift` per bar with noise of 0.5 %."""
    rng = np.random.default_rng(seed)
    return bars(100 * np.exp(np.cumsum(drift + rng.normal(0, 0.005, count))))


def sideways(seed: int = 0, count: int = 400) -> Columns:
    """Return a market that returns to 100, with noise of 1 %."""
    rng = np.random.default_rng(seed)
    deviation = np.zeros(count)
    for t in range(1, count):
        deviation[t] = 0.9 * deviation[t - 1] + rng.normal(0, 0.01)
    return bars(100 * np.exp(deviation))


def breakout(direction: int, seed: int = 0, count: int = 300) -> Columns:
    """Return 150 quiet bars, a jump of 5 % on three times the volume, and a drift of 0.2 % per bar."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.001, count)
    steps[150] += 0.05 * direction
    steps[151:] += 0.002 * direction
    volume = np.full(count, 100.0)
    volume[150] = 300.0
    return bars(100 * np.exp(np.cumsum(steps)), volume)


def runs(target: Sequence[float] | NDArray[np.float64]) -> list[tuple[int, int, float]]:
    """Return (first bar, last bar, target) of every stretch of one non-zero target."""
    y = np.asarray(target)
    edges = np.flatnonzero(np.diff(y)) + 1
    starts = np.concatenate([[0], edges])
    ends = np.concatenate([edges - 1, [y.size - 1]])
    return [(int(a), int(b), float(y[a])) for a, b in zip(starts, ends, strict=True) if y[a] != 0]
