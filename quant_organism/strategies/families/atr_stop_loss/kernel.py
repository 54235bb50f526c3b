"""Signals of atr_stop_loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import Targets, next_marked

_BREAKS = 3
"""Every bit of a break of either direction."""

_SIDE, _CONVICTION, _ENTRY, _BEST, _STOP = range(5)
"""Of `Targets.left`: the trade, 0 without one, its conviction, and the prices that its stop is made of."""

LEFT = 5
"""Numbers that earlier bars leave."""


@compiled
def atr_stop_loss_targets(
    close: NDArray[np.float64],
    stands: NDArray[np.int64],
    atr: NDArray[np.float64],
    log_ratio: NDArray[np.float64],
    breakout: NDArray[np.int8],
    atr_row: NDArray[np.int64],
    ratio_row: NDArray[np.int64],
    breakout_row: NDArray[np.int64],
    warmup: NDArray[np.int64],
    stop_loss_multiplier: NDArray[np.float64],
    trailing_stop_multiplier: NDArray[np.float64],
    risk: NDArray[np.float64],
    volatility_adjustment: NDArray[np.float64],
    targets: Targets,
) -> None:
    """Write the targets of G genomes over n bars; `risk` is the fraction of price to risk per average true range.

    `close` has a row per asset, and `stands` names that of each genome.
    """
    n = close.shape[1]
    for g in range(warmup.size):
        first = min(warmup[g], n)
        targets.counts[g] = _hold_behind_stops(
            close[stands[g], first:],
            atr[atr_row[g], first:],
            log_ratio[ratio_row[g], first:],
            breakout[breakout_row[g], first:],
            first,
            stop_loss_multiplier[g],
            trailing_stop_multiplier[g],
            risk[g],
            volatility_adjustment[g],
            targets.left[g],
            targets.bars[g],
            targets.sides[g],
            targets.convictions[g],
        )


@compiled
def _hold_behind_stops(
    close: NDArray[np.float64],
    atr: NDArray[np.float64],
    log_ratio: NDArray[np.float64],
    breakout: NDArray[np.int8],
    first: int,
    stop_distance: float,
    trailing_distance: float,
    risk: float,
    adjustment: float,
    left: NDArray[np.float64],
    bars: NDArray[np.int32],
    sides: NDArray[np.int8],
    convictions: NDArray[np.float64],
) -> int:
    count, t, broken = 0, 0, 0
    conviction = entry = best = stop = 0.0
    if left.size > 0 and left[_SIDE] != 0.0:
        broken, conviction = int(left[_SIDE]), left[_CONVICTION]
        entry, best, stop = left[_ENTRY], left[_BEST], left[_STOP]
        bars[0], sides[0], convictions[0] = first, broken, conviction
        count = 1
    is_kept = left.size == 0
    while True:
        if broken == 0:
            t = next_marked(breakout, t, _BREAKS)
            if t >= close.size - 1 and not is_kept:
                left[_SIDE] = 0.0
                is_kept = True
            if t >= close.size:
                return count
            broken = int(breakout[t])
            conviction = 1.0 if atr[t] == 0.0 else min(1.0, risk / (atr[t] / close[t]))
            # A stop that has come close may end a trade on the very bar that breaks out in its direction again.
            if count == 0 or sides[count - 1] != broken or convictions[count - 1] != conviction:
                bars[count], sides[count], convictions[count] = first + t, broken, conviction
                count += 1
            entry = best = broken * close[t]
            stop = entry - stop_distance * (atr[t] * np.exp(adjustment * log_ratio[t]))
            t += 1
        # The trade ends with the close that is at the stop or breaks out against it. Prices are multiplied by the
        # trade's side, so that up is always in its favour. In one function: handing arrays on costs more than a trade.
        side = float(broken)
        while t < close.size:
            if t == close.size - 1 and not is_kept:
                left[_SIDE], left[_CONVICTION] = side, conviction
                left[_ENTRY], left[_BEST], left[_STOP] = entry, best, stop
                is_kept = True
            price = side * close[t]
            if (price <= stop) | (breakout[t] == -broken):
                break
            best = max(best, price)
            # 1 + x is at most exp(x); it spares most bars the exponential.
            widening = adjustment * log_ratio[t]
            nearest = best - trailing_distance * (atr[t] * (1.0 + widening))
            if (nearest >= entry) & (nearest > stop):
                candidate = best - trailing_distance * (atr[t] * np.exp(widening))
                if candidate >= entry and candidate > stop:
                    stop = candidate
            t += 1
        if t == close.size:
            if not is_kept:
                left[_SIDE], left[_CONVICTION] = side, conviction
                left[_ENTRY], left[_BEST], left[_STOP] = entry, best, stop
            return count
        if breakout[t] == 0:
            bars[count], sides[count], convictions[count] = first + t, 0, 0.0
            count += 1
        broken = 0
