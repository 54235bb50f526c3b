"""Series of prices in which families must do what they are for. All are one-hour bars and seeded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Columns = dict[str, NDArray[np.float64]]


def bars(close: ArrayLike, volume: ArrayLike | None = None) -> Columns:
    """Return bars that open at the close before and reach no further than open and close; nobody pays funding."""
    c = np.asarray(close, dtype=float)
    o = np.concatenate([c[:1], c[:-1]])
    v = np.full(c.size, 100.0) if volume is None else np.asarray(volume, dtype=float)
    ends = {"open": o, "high": np.maximum(o, c), "low": np.minimum(o, c), "close": c}
    return ends | {"volume": v, "funding_rate": np.zeros(c.size)}


def alternating(a: float, b: float, count: int) -> list[float]:
    """Return a, b, a, b, ..."""
    return [a if i % 2 == 0 else b for i in range(count)]


def noisy(seed: int, count: int = 400) -> Columns:
    """Return a wild random walk with wicks, gaps between bars, uneven volume and a wandering funding rate."""
    rng = np.random.default_rng(seed)
    volatility = np.repeat(rng.uniform(0.002, 0.02, count // 25 + 1), 25)[:count]
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, count) * volatility))
    opens = np.concatenate([close[:1], close[:-1]]) * np.exp(rng.normal(0, 0.002, count))
    reach = np.abs(rng.normal(0, 0.004, (2, count)))
    high, low = np.maximum(opens, close) * (1 + reach[0]), np.minimum(opens, close) * (1 - reach[1])
    prices = {"open": opens, "high": high, "low": low, "close": close}
    volume = np.exp(rng.normal(4, 0.7, count))
    return prices | {"volume": volume, "funding_rate": autoregression(rng.normal(0, 1.5e-5, count), 0.95)}


def trending(drift: float, seed: int = 0, count: int = 400) -> Columns:
    """Return a market that drifts by `drift` per bar with noise of 0.5 %."""
    rng = np.random.default_rng(seed)
    return bars(100 * np.exp(np.cumsum(drift + rng.normal(0, 0.005, count))))


def sideways(seed: int = 0, count: int = 400) -> Columns:
    """Return a market that returns to 100, with noise of 1 %."""
    noise = np.random.default_rng(seed).normal(0, 0.01, count - 1)
    return bars(100 * np.exp(autoregression(np.concatenate([[0.0], noise]), 0.9)))


def breakout(direction: int, seed: int = 0, count: int = 300) -> Columns:
    """Return 150 quiet bars, a jump of 5 % on three times the volume, and a drift of 0.2 % per bar."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.001, count)
    steps[150] += 0.05 * direction
    steps[151:] += 0.002 * direction
    volume = np.full(count, 100.0)
    volume[150] = 300.0
    return bars(100 * np.exp(np.cumsum(steps)), volume)


def volatile(seed: int = 0, count: int = 400) -> Columns:
    """Return a random walk whose noise alternates between 0.3 % and 3 % in blocks of 40 bars."""
    rng = np.random.default_rng(seed)
    noise = np.where(np.arange(count) // 40 % 2 == 0, 0.003, 0.03)
    return bars(100 * np.exp(np.cumsum(rng.normal(0, 1, count) * noise)))


def swing(direction: int, seed: int = 0) -> Columns:
    """Return 40 quiet bars, a move of 20 % in 40 bars, a return of half of it in 20, and the move again."""
    rng = np.random.default_rng(seed)
    path = np.interp(np.arange(130), [0, 39, 79, 99, 129], [0.0, 0.0, 0.2, 0.1, 0.25])
    return bars(100 * np.exp(direction * path + rng.normal(0, 0.001, 130)))


def swinging_funding(seed: int = 0, count: int = 400) -> Columns:
    """Return a random walk under a funding rate that swings between plus and minus 0.01 % per hour in 75 bars."""
    rng = np.random.default_rng(seed)
    columns = bars(100 * np.exp(np.cumsum(rng.normal(0, 0.005, count))))
    return columns | {"funding_rate": 0.0001 * np.sin(2 * np.pi * np.arange(count) / 75)}


def learnable(seed: int = 0, count: int = 1000) -> Columns:
    """Return a market whose returns of about 1 % tend to turn half of the one before."""
    rng = np.random.default_rng(seed)
    return bars(100 * np.exp(np.cumsum(autoregression(rng.normal(0, 0.01, count), -0.5))))


def inverted(columns: Columns) -> Columns:
    """Return the market quoted in the other currency: prices p become K / p."""
    top = columns["low"].min() * columns["high"].max()
    turned = {"open": "open", "high": "low", "low": "high", "close": "close"}
    prices = {name: top / columns[source] for name, source in turned.items()}
    return prices | {"volume": columns["volume"], "funding_rate": -columns["funding_rate"]}


def autoregression(noise: NDArray[np.float64], coefficient: float) -> NDArray[np.float64]:
    """Return x[t] = coefficient x[t-1] + noise[t], starting from nothing."""
    x = np.zeros(noise.size)
    for t in range(1, noise.size):
        x[t] = coefficient * x[t - 1] + noise[t]
    return x


def runs(target: Sequence[float] | NDArray[np.float64]) -> list[tuple[int, int, float]]:
    """Return (first bar, last bar, target) of every stretch of one non-zero target."""
    y = np.asarray(target)
    edges = np.flatnonzero(np.diff(y)) + 1
    starts = np.concatenate([[0], edges])
    ends = np.concatenate([edges - 1, [y.size - 1]])
    return [(int(a), int(b), float(y[a])) for a, b in zip(starts, ends, strict=True) if y[a] != 0]


def autoregressive(coefficient: float, seed: int = 0, count: int = 2_000) -> Columns:
    """Return a market with wicks whose returns of 1 % follow one another with a coefficient, or not at all with 0."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.01 * np.sqrt(1 - coefficient**2), count)
    columns = bars(100 * np.exp(np.cumsum(autoregression(noise, coefficient))), np.exp(rng.normal(4, 0.5, count)))
    reach = 1 + np.abs(rng.normal(0, 0.002, (2, count)))
    return columns | {"high": columns["high"] * reach[0], "low": columns["low"] / reach[1]}
