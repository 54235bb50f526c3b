"""Signals of volatility_scaling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import Targets, next_marked

_STRESSED, _HELD = range(2)
"""Of `Targets.left`: bars of stress in a row, and the exposure that is held."""

LEFT = 2
"""Numbers that earlier bars leave."""


@compiled
def volatility_scaling_targets(
    close: NDArray[np.float64],
    stands: NDArray[np.int64],
    deviation: NDArray[np.float64],
    short_row: NDArray[np.int64],
    long_row: NDArray[np.int64],
    bars_per_year: float,
    warmup: NDArray[np.int64],
    volatility_window: NDArray[np.int64],
    regime_threshold: NDArray[np.float64],
    scaling_factor: NDArray[np.float64],
    regime_persistence: NDArray[np.int64],
    multi_timeframe_weight: NDArray[np.float64],
    target_volatility: NDArray[np.float64],
    rebalance_band: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars; `deviation` holds that of log returns, one row per window in use.

    `close` has a row per asset, and `stands` names that of each genome.
    """
    n = close.shape[1]
    exposures = np.empty(n)
    stresses = np.empty(n, dtype=np.int8)
    for g in range(volatility_window.size):
        window = volatility_window[g]
        first = warmup[g]
        if first >= n:
            targets.counts[g] = 0
            continue
        own = close[stands[g]]
        price, near, far = own[first:], own[first - window :], own[first - 4 * window :]
        short, long = deviation[short_row[g], first:], deviation[long_row[g], first:]
        exposure, stress = exposures[first:], stresses[first:]
        far_weight = multi_timeframe_weight[g]
        near_weight = 1.0 - far_weight
        annual_target = target_volatility[g]
        annual = np.sqrt(bars_per_year)
        threshold = regime_threshold[g]
        for t in range(exposure.size):
            near_sign = (1.0 if price[t] > near[t] else 0.0) - (1.0 if price[t] < near[t] else 0.0)
            far_sign = (1.0 if price[t] > far[t] else 0.0) - (1.0 if price[t] < far[t] else 0.0)
            direction = near_weight * near_sign + far_weight * far_sign
            exposure[t] = direction * min(1.0, annual_target / (short[t] * annual))
            stress[t] = 1 if (short[t] > 0.0) & (short[t] >= threshold * long[t]) else 0
        left = targets.left[g]
        _scale_in_stress(exposure, stress, regime_persistence[g], scaling_factor[g], left)
        targets.counts[g] = _rebalance(
            exposure, first, rebalance_band[g], left, targets.bars[g], targets.sides[g], targets.convictions[g]
        )


@compiled
def _scale_in_stress(
    exposure: NDArray[np.float64],
    stress: NDArray[np.int8],
    persistence: int,
    factor: float,
    left: NDArray[np.float64],
) -> None:
    # Scale each bar that ends at least `persistence` bars of stress in a row.
    before = int(left[_STRESSED]) if left.size > 0 and stress[0] else 0
    if left.size > 0:
        last = stress.size - 1
        run = 0
        while run < last and stress[last - 1 - run]:
            run += 1
        left[_STRESSED] = run + (before if run == last else 0)
    t = next_marked(stress, 0, 1)
    while t < stress.size:
        lasting = t + persistence - 1 - (before if t == 0 else 0)
        while t < stress.size and stress[t]:
            exposure[t] *= factor if t >= lasting else 1.0
            t += 1
        t = next_marked(stress, t, 1)


@compiled
def _rebalance(
    exposure: NDArray[np.float64],
    first: int,
    band: float,
    left: NDArray[np.float64],
    bars: NDArray[np.int32],
    sides: NDArray[np.int8],
    convictions: NDArray[np.float64],
) -> int:
    # Pass a change on if it starts, ends or turns the position, or moves it by the band.
    count = 0
    held = 0.0
    if left.size > 0 and left[_HELD] != 0.0:
        held = left[_HELD]
        bars[0], sides[0], convictions[0] = first, 1 if held > 0.0 else -1, abs(held)
        count = 1
    for t in range(exposure.size):
        if t == exposure.size - 1 and left.size > 0:
            left[_HELD] = held
        wanted = exposure[t]
        turns = wanted * held <= 0.0
        if (turns | (abs(wanted - held) >= band)) & (wanted != held):
            held = wanted
            bars[count] = first + t
            sides[count] = (1 if held > 0.0 else 0) - (1 if held < 0.0 else 0)
            convictions[count] = abs(held)
            count += 1
    return count
