"""What has a state from bar to bar: loops over one column, compiled by Numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]
Sides = NDArray[np.int8]


@njit
def hold(long: Booleans, short: Booleans, exit_long: Booleans, exit_short: Booleans, first: int) -> Sides:
    """Return the side held from conditions: an exit ends its side and refuses entries, an uncontradicted entry sets it.

    Bars before `first` hold nothing.
    """
    sides = np.zeros(long.size, np.int8)
    side = 0
    for t in range(first, long.size):
        if (side > 0 and exit_long[t]) or (side < 0 and exit_short[t]):
            side = 0
        up, down = long[t] and not exit_long[t], short[t] and not exit_short[t]
        if up != down:
            side = 1 if up else -1
        sides[t] = side
    return sides


@njit
def hold_bands(up: Booleans, down: Booleans, squeezed: Booleans, z_score: Floats, first: int) -> Sides:
    """Return the side held from breaks out of a squeeze and fades elsewhere; both end at the mean."""
    sides = np.zeros(up.size, np.int8)
    side, fades = 0, False
    for t in range(first, up.size):
        if side != 0:
            distance = side * z_score[t]
            if (distance >= 0.0) if fades else (distance <= 0.0):
                side = 0
        event = 1 if up[t] else -1 if down[t] else 0
        if event != 0 and event != side:
            side, fades = event, not squeezed[t]
        sides[t] = side
    return sides


@njit
def confirm(
    up: Booleans, down: Booleans, close: Floats, upper: Floats, lower: Floats, bars: int, first: int
) -> tuple[Booleans, Booleans]:
    """Return where the last of so many closes in a row confirms a break of a level, upwards and downwards."""
    confirmed_up, confirmed_down = np.zeros(up.size, np.bool_), np.zeros(up.size, np.bool_)
    pending, level, count = 0, 0.0, 0
    for t in range(first, up.size):
        event = 1 if up[t] else -1 if down[t] else 0
        fired = False
        if pending != 0:
            count += 1
            if pending * (close[t] - level) <= 0.0:
                pending = 0
            elif count == bars:
                fired = True
                confirmed_up[t], confirmed_down[t] = pending > 0, pending < 0
                pending = 0
        if not fired and event != 0 and event != pending:
            pending, level, count = event, upper[t] if event > 0 else lower[t], 0
    return confirmed_up, confirmed_down


@njit
def hold_carry(long: Booleans, short: Booleans, mean_rate: Floats, least: float, duration: int, first: int) -> Sides:
    """Return the side held while the mean rate pays for it, for so many bars at most.

    A side held for that long is blocked until the rate has once ceased to call for it.
    """
    sides = np.zeros(long.size, np.int8)
    side, blocked, entered = 0, 0, 0
    for t in range(first, long.size):
        called = 1 if long[t] else -1 if short[t] else 0
        if called != blocked:
            blocked = 0
        if side != 0:
            if t - entered >= duration:
                blocked, side = side, 0
            elif -side * mean_rate[t] < least:
                side = 0
        if called != 0 and called != side and called != blocked:
            side, entered = called, t
        sides[t] = side
    return sides


@njit
def hold_behind_stops(
    close: Floats, breakout: NDArray[np.int8], first_stop: Floats, trail: Floats, first: int
) -> Sides:
    """Return the side held from a break until a close at its stop or a break against it.

    `first_stop` and `trail` are distances in units of price; a stop trails once that is no worse than the entry.
    """
    sides = np.zeros(close.size, np.int8)
    side, entry, best, stop = 0, 0.0, 0.0, 0.0
    for t in range(first, close.size):
        price = side * close[t]
        if side != 0:
            if price <= stop or breakout[t] == -side:
                side = 0
            else:
                best = max(best, price)
                candidate = best - trail[t]
                if candidate >= entry:
                    stop = max(stop, candidate)
        if side == 0 and breakout[t] != 0:
            side = breakout[t]
            entry = best = side * close[t]
            stop = entry - first_stop[t]
        sides[t] = side
    return sides


@njit
def hold_swings(up: Booleans, down: Booleans, close: Floats, start: Floats, end: Floats, first: int) -> Sides:
    """Return the side held until its own swing's end is reached again, or its start is lost."""
    sides = np.zeros(up.size, np.int8)
    side, aim, origin = 0, 0.0, 0.0
    for t in range(first, up.size):
        if side != 0 and (side * (close[t] - aim) >= 0.0 or side * (close[t] - origin) < 0.0):
            side = 0
        event = 1 if up[t] else -1 if down[t] else 0
        if event != 0 and event != side:
            side, aim, origin = event, end[t], start[t]
        sides[t] = side
    return sides


@njit
def swings(high: Floats, low: Floats, period: int) -> tuple[Floats, Floats]:
    """Return the extremes of the previous bars, the earlier first; NaN where one bar is both."""
    start, end = np.full(high.size, np.nan), np.full(high.size, np.nan)
    for t in range(period, high.size):
        top = bottom = t - 1
        for k in range(t - 2, t - period - 1, -1):
            if high[k] > high[top]:
                top = k
            if low[k] < low[bottom]:
                bottom = k
        if top != bottom and high[top] > low[bottom]:
            start[t], end[t] = (low[bottom], high[top]) if top > bottom else (high[top], low[bottom])
    return start, end


@njit
def rank_of_previous(x: Floats, window: int) -> NDArray[Any]:
    """Return how many of the `window` values before each bar are below the last of them; 0 before there are so many."""
    ranks = np.zeros(x.size, np.int64)
    for t in range(window, x.size):
        latest, below = x[t - 1], 0
        for k in range(t - window, t):
            below += x[k] < latest
        ranks[t] = below
    return ranks


@njit
def held_for(condition: Booleans, bars: int) -> Booleans:
    """Return where a condition has held on each of the last bars."""
    held = np.empty(condition.size, np.bool_)
    run = 0
    for t in range(condition.size):
        run = run + 1 if condition[t] else 0
        held[t] = run >= bars
    return held
