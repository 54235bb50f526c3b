"""From conditions to held positions: the position step that most families share, and where a target changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled

ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT = 1, 2, 4, 8
"""Bits of a bar's conditions."""

_STRIDE, _ONE = np.uint64(16), np.uint64(1)


@compiled
def hold_positions(conditions: NDArray[np.int8], first: int, bars: NDArray[np.int32], sides: NDArray[np.int8]) -> int:
    """Write where one genome's direction changes.

    Per bar: an exit ends the position on its side; an entry is refused while its own exit holds; an entry that is
    not contradicted by the opposite one sets the direction; otherwise it stays.

    Parameters
    ----------
    conditions
        Bits of each bar's conditions from the warm-up on, shape (any,).
    first
        Bar of the first of them; the position is flat before.
    bars, sides
        Written: the bar of each change and the direction from there on.

    Returns
    -------
    Number of changes.
    """
    count = 0
    state = 0
    t = 0
    while True:
        if state > 0:
            t = next_marked(conditions, t, EXIT_LONG | ENTER_SHORT)
        elif state < 0:
            t = next_marked(conditions, t, EXIT_SHORT | ENTER_LONG)
        else:
            t = next_marked(conditions, t, ENTER_LONG | ENTER_SHORT)
        if t == conditions.size:
            return count
        now = conditions[t]
        long = (now & (ENTER_LONG | EXIT_LONG)) == ENTER_LONG
        short = (now & (ENTER_SHORT | EXIT_SHORT)) == ENTER_SHORT
        following = state
        if (state > 0 and now & EXIT_LONG) or (state < 0 and now & EXIT_SHORT):
            following = 0
        if long != short:
            following = 1 if long else -1
        if following != state:
            state = following
            bars[count] = first + t
            sides[count] = state
            count += 1
        t += 1


@compiled
def next_marked(marks: NDArray[np.int8], start: int, mask: int) -> int:
    """Return the first place from `start` on where a bit of `mask` is set, or the size."""
    # Many bars in one vector instruction; most hold nothing. Unsigned places spare the compiler the thought of
    # negative ones.
    bits = np.int8(mask)
    place, size = np.uint64(start), np.uint64(marks.size)
    while place + _STRIDE <= size:
        found = np.int8(0)
        for k in range(_STRIDE):
            found |= marks[place + k] & bits
        if found:
            break
        place += _STRIDE
    while place < size and not marks[place] & bits:
        place += _ONE
    return int(np.int64(place))


@compiled
def write_changes(sides: NDArray[np.int8], first: int, bars: NDArray[np.int32], changed: NDArray[np.int8]) -> int:
    """Write where one genome's direction changes, given its direction on each bar.

    Parameters
    ----------
    sides
        Direction from the warm-up on, shape (any,).
    first
        Bar of the first of them; the position is flat before.
    bars, changed
        Written: the bar of each change and the direction from there on.

    Returns
    -------
    Number of changes.
    """
    count = 0
    state = np.int8(0)
    for t in range(sides.size):
        if sides[t] != state:
            state = sides[t]
            bars[count] = first + t
            changed[count] = state
            count += 1
    return count
