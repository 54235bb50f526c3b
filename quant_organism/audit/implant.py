"""Edges of stated strength written into a real market, bar by bar."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.audit.edges import Edge
from quant_organism.market import Panel

Floats = NDArray[np.float64]

_HALF_LIFE_HOURS: Final = {"volatility": 240.0, "momentum": 48.0, "reversion": 24.0}
_BREAKOUT_HOURS: Final = 48.0
_MOST_PREMIUM: Final = 4.0
_LOWEST_RETURN, _HIGHEST_RETURN = -0.5, 1.0


def implanted(panel: Panel, edge: Edge, seed: np.random.SeedSequence) -> Panel:
    """Return a market with an edge in the conditional mean of its returns, as `Plant` defines its families.

    Of each asset, on its own valid bars: the unit is what was known before a bar of the deviation of its returns (an
    exponential mean of squares, half-life ten days), the premium of carry is the funding rate of the bar before, less
    its mean and over its deviation, limited to 4. Gaps at the open stay; close, high and low move by the same factor,
    and high and low are widened over open and close. Volume, funding, listings and time stamps stay.

    Parameters
    ----------
    panel
        The market, T bars x N assets, without an edge of its own (`draw_null`) where the truth is to be known.
    edge
        Family and strength, the same for all assets; an asset without known funding gets no carry.
    seed
        Of latent states.
    """
    prices = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close")}
    streams = seed.spawn(panel.n_assets)
    for asset, stream in enumerate(streams):
        rows = np.flatnonzero(panel.valid[:, asset])
        if rows.size < 2:
            continue
        own = {name: values[rows, asset] for name, values in prices.items()}
        before = own["close"][:-1]
        opened, high, low, close = (own[name][1:] / before for name in ("open", "high", "low", "close"))
        premium = _premium(panel.funding_rate[rows, asset])
        returns = _moved(close - 1.0, premium, edge, panel.interval.hours, np.random.default_rng(stream))
        moved = 1.0 + np.clip(returns, _LOWEST_RETURN, _HIGHEST_RETURN)
        path = np.cumprod(np.concatenate([own["close"][:1], moved]))
        factor = moved / close
        prices["close"][rows, asset] = path
        prices["open"][rows[1:], asset] = path[:-1] * opened
        prices["high"][rows[1:], asset] = np.maximum(path[:-1] * np.maximum(high * factor, opened), path[1:])
        prices["low"][rows[1:], asset] = np.minimum(path[:-1] * np.minimum(low * factor, opened), path[1:])
    return panel.with_prices(prices)


def _moved(returns: Floats, premium: Floats, edge: Edge, hours: float, rng: np.random.Generator) -> Floats:
    # Simple returns with the edge, all (n,).
    unit = _deviation_before(returns, hours)
    noise = rng.standard_normal(returns.size)
    if edge.family == "momentum":
        return np.asarray(returns + edge.k * unit * _remembered(noise, _HALF_LIFE_HOURS["momentum"] / hours))
    if edge.family == "carry":
        return np.asarray(returns - edge.k * unit * premium)
    if edge.family == "reversion":
        keeps = _keeps(_HALF_LIFE_HOURS["reversion"] / hours)
        shocks = edge.k * unit * noise
        deviation = _autoregression(keeps, shocks)
        back = (keeps - 1.0) * np.concatenate([[0.0], deviation[:-1]])
        mean = returns.mean()
        return np.asarray(mean + np.sqrt(1.0 - edge.k**2) * (returns - mean) + back + shocks)
    assert edge.family == "breakout", edge.family
    return _broken_out(returns, edge.k * unit, round(_BREAKOUT_HOURS / hours))


def _broken_out(returns: Floats, step: Floats, bars: int) -> Floats:
    # The path itself tells where it breaks out, so bar after bar.
    moved, path = returns.copy(), np.zeros(returns.size + 1)
    side, left = 0.0, 0
    for t in range(returns.size):
        moved[t] += side * step[t]
        path[t + 1] = path[t] + np.log1p(max(moved[t], _LOWEST_RETURN))
        left -= 1
        if left <= 0:
            side = 0.0
        if t + 1 > bars:
            known = path[t + 1 - bars : t + 1]
            if path[t + 1] > known.max():
                side, left = 1.0, bars
            elif path[t + 1] < known.min():
                side, left = -1.0, bars
    return moved


def _premium(rate: Floats) -> Floats:
    # What is known of it before each bar but the first, (n - 1,).
    known = np.isfinite(rate)
    spread = float(rate[known].std()) if known.any() else 0.0
    if spread == 0.0:
        return np.zeros(rate.size - 1)
    scaled = np.where(known, (rate - rate[known].mean()) / spread, 0.0)
    return np.asarray(np.clip(scaled[:-1], -_MOST_PREMIUM, _MOST_PREMIUM))


def _deviation_before(returns: Floats, hours: float) -> Floats:
    # Begins with the deviation of all: a size, which no rule earns from.
    keeps = _keeps(_HALF_LIFE_HOURS["volatility"] / hours)
    squares = np.concatenate([[returns.var()], returns[:-1] ** 2])
    return np.sqrt(_autoregression(keeps, squares, gain=1.0 - keeps, before=float(returns.var())))


def _remembered(noise: Floats, half_life: float) -> Floats:
    # AR(1) of unit variance.
    keeps = _keeps(half_life)
    scaled = np.sqrt(1.0 - keeps**2) * noise
    scaled[0] = noise[0]
    return _autoregression(keeps, scaled)


def _autoregression(keeps: float, shocks: Floats, *, gain: float = 1.0, before: float = 0.0) -> Floats:
    # y[t] = keeps y[t - 1] + gain shocks[t]. The filter takes longer to load than anything else of an audit.
    from scipy.signal import lfilter

    values, _ = lfilter([gain], [1.0, -keeps], shocks, zi=np.array([keeps * before]))
    return np.asarray(values, dtype=np.float64)


def _keeps(half_life: float) -> float:
    return float(2.0 ** (-1.0 / half_life))
