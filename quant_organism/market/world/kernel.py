"""The recursions of a simulated market, compiled: volatility, funding premium, planted means, returns."""

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled

BASE_SD = 0.47 / np.sqrt(8_760.0)
"""Standard deviation of one hour's return at multiplier 1."""

COMMON = 0.55
"""Share of the common factor in an asset's variance."""

_ALPHA, _GAMMA, _BETA = 0.05, 0.03, 0.90
_JUMP_MEAN = 5.0 * -0.2 / 900.0
"""Mean of the common jump, taken out again so that a market without an edge does not drift."""

MOMENTUM, BREAKOUT, CARRY, REVERSION, RELATIVE_MOMENTUM, RELATIVE_CARRY = 0, 1, 2, 3, 4, 5
"""Rows of the strengths."""

_BREAKOUT_BARS = 48
_REVERSION_KEEPS = 2.0 ** (-1.0 / 24.0)


@compiled
def simulate(
    multiplier: NDArray[np.float64],
    season: NDArray[np.float64],
    factor: NDArray[np.float64],
    own: NDArray[np.float64],
    jumps: NDArray[np.float64],
    common_jump: NDArray[np.float64],
    log_volatility_noise: NDArray[np.float64],
    premium_noise: NDArray[np.float64],
    momentum: NDArray[np.float64],
    reversion_noise: NDArray[np.float64],
    relative: NDArray[np.float64],
    strength: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Walk through B bars of N assets.

    Parameters
    ----------
    multiplier
        Volatility multiplier of each asset, (N,).
    season
        Hour-of-week multiplier of volatility, (B,).
    factor, common_jump, log_volatility_noise
        Common shocks, (B,).
    own, jumps, premium_noise, momentum, reversion_noise, relative
        Shocks of each asset, (B, N); `momentum` and `relative` are latent states themselves.
    strength
        Strength of each plant, (6, B, N).

    Returns
    -------
    returns, sd, mean, funding, edge
        (B, N): simple returns, their conditional standard deviation, their conditional mean, the funding rate per hour
        that is paid for the bar, and the part of the mean that is planted.
    """
    bars, assets = own.shape
    returns = np.empty((bars, assets))
    sds = np.empty((bars, assets))
    means = np.empty((bars, assets))
    fundings = np.empty((bars, assets))
    edges = np.empty((bars, assets))
    h = np.ones(assets)
    premium = np.zeros(assets)
    fast = np.zeros(assets)
    deviation = np.zeros(assets)
    log_price = np.zeros((bars + 1, assets))
    side = np.zeros(assets)
    left = np.zeros(assets, dtype=np.int64)
    level = 0.0
    root = np.sqrt(COMMON)
    own_root = np.sqrt(1.0 - COMMON)
    for t in range(bars):
        mean_premium = 0.0
        for a in range(assets):
            mean_premium += premium[a] / assets
        for a in range(assets):
            unit = BASE_SD * multiplier[a]
            sd = unit * np.sqrt(h[a]) * np.exp(level - 0.09) * season[t]
            shock = root * factor[t] + own_root * own[t, a] + jumps[t, a] + root * common_jump[t]
            funding = (1e-4 + 2.5e-4 * premium[a]) / 8.0
            edge = sd * (
                strength[0, t, a] * momentum[t, a] + strength[1, t, a] * side[a] - strength[2, t, a] * premium[a]
            )
            edge += sd * (strength[4, t, a] * relative[t, a] - strength[5, t, a] * (premium[a] - mean_premium))
            noise = sd * (shock - root * _JUMP_MEAN)
            k = strength[3, t, a]
            if k > 0.0:
                edge += (_REVERSION_KEEPS - 1.0) * deviation[a]
            moved = _REVERSION_KEEPS * deviation[a] + k * sd * reversion_noise[t, a]
            value = funding + edge + np.sqrt(1.0 - k * k) * noise + k * sd * reversion_noise[t, a]
            deviation[a] = moved
            value = min(max(value, -0.5), 1.0)
            returns[t, a] = value
            sds[t, a] = sd
            means[t, a] = funding + edge
            fundings[t, a] = funding
            edges[t, a] = edge

            q = min(max(shock, -6.0), 6.0)
            news = _ALPHA + (_GAMMA if q < 0.0 else 0.0)
            h[a] = min((1.0 - _ALPHA - _GAMMA / 2.0 - _BETA) + news * q * q * h[a] + _BETA * h[a], 25.0)
            premium[a] = 0.985 * premium[a] + 0.17 * (0.07 * fast[a] + premium_noise[t, a])
            fast[a] = 0.97 * fast[a] + 0.12 * value / unit

            price = log_price[t, a] + np.log1p(value)
            log_price[t + 1, a] = price
            left[a] -= 1
            if left[a] <= 0:
                side[a] = 0.0
            if t + 1 > _BREAKOUT_BARS:
                highest, lowest = -np.inf, np.inf
                for i in range(t + 1 - _BREAKOUT_BARS, t + 1):
                    highest = max(highest, log_price[i, a])
                    lowest = min(lowest, log_price[i, a])
                if price > highest:
                    side[a], left[a] = 1.0, _BREAKOUT_BARS
                elif price < lowest:
                    side[a], left[a] = -1.0, _BREAKOUT_BARS
        level = 0.9985 * level + 0.028 * log_volatility_noise[t] - 0.010 * factor[t]
        level = min(max(level, -1.5), 1.5)
    return returns, sds, means, fundings, edges
