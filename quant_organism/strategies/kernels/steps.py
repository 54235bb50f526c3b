"""From conditions to held positions: the position step that most families share, and where a target changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled

ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT = 1, 2, 4, 8
"""Bits of a bar's conditions."""

_STRIDE, _ONE = np.uint64(16), np.uint64(1)

# A direction is kept as twice its number from 0: short, flat, long.
_ALL_STATES = np.uint64(6)

_CALLS = np.zeros(5, dtype=np.int8)
"""Bits of a bar's conditions that may end each direction."""
_CALLS[0], _CALLS[2], _CALLS[4] = EXIT_SHORT | ENTER_LONG, ENTER_LONG | ENTER_SHORT, EXIT_LONG | ENTER_SHORT


def _transitions() -> NDArray[np.uint8]:
    # For each combination of conditions, which direction follows on each: the former stands at the bits of the latter.
    table = np.zeros(16, dtype=np.uint8)
    for conditions in range(table.size):
        long = conditions & (ENTER_LONG | EXIT_LONG) == ENTER_LONG
        short = conditions & (ENTER_SHORT | EXIT_SHORT) == ENTER_SHORT
        for side, end in ((-1, EXIT_SHORT), (0, 0), (1, EXIT_LONG)):
            kept = 0 if conditions & end else side
            following = kept if long == short else 1 if long else -1
            table[conditions] |= (2 * following + 2) << (2 * side + 2)
    return table


_TRANSITIONS = _transitions()


@compiled
def hold_positions(
    conditions: NDArray[np.int8], first: int, held: int, bars: NDArray[np.int32], sides: NDArray[np.int8]
) -> int:
    """Write where one genome's direction changes.

    Per bar: an exit ends the position on its side; an entry is refused while its own exit holds; an entry that is
    not contradicted by the opposite one sets the direction; otherwise it stays.

    Parameters
    ----------
    conditions
        Bits of each bar's conditions from the warm-up on, shape (any,).
    first
        Bar of the first of them.
    held
        Direction before.
    bars, sides
        Written: the bar of each change and the direction from there on.

    Returns
    -------
    Number of changes.
    """
    # A stretch of bars that ask nothing of the present direction is passed over at once. Elsewhere each bar maps the
    # direction to the next without a branch: where it changes cannot be foreseen, and a wrong guess costs ten bars.
    count, state = np.uint64(0), np.uint64(2 * held + 2)
    place, size = np.uint64(0), np.uint64(conditions.size)
    while place < size:
        stop = place + _STRIDE
        if stop > size:
            stop = size
        else:
            found = np.int8(0)
            for k in range(_STRIDE):
                found |= conditions[place + k] & _CALLS[state]
            if not found:
                place = stop
                continue
        while place < stop:
            following = (np.uint64(_TRANSITIONS[conditions[place] & 15]) >> state) & _ALL_STATES
            bars[count], sides[count] = first + place, np.int64(following >> _ONE) - 1
            count += np.uint64(following != state)
            state = following
            place += _ONE
    return int(np.int64(count))


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
def write_changes(
    sides: NDArray[np.int8], first: int, held: int, bars: NDArray[np.int32], changed: NDArray[np.int8]
) -> int:
    """Write where one genome's direction changes, given its direction on each bar.

    Parameters
    ----------
    sides
        Direction from the warm-up on, shape (any,).
    first
        Bar of the first of them.
    held
        Direction before.
    bars, changed
        Written: the bar of each change and the direction from there on.

    Returns
    -------
    Number of changes.
    """
    count = 0
    state = np.int8(held)
    for t in range(sides.size):
        if sides[t] != state:
            state = sides[t]
            bars[count] = first + t
            changed[count] = state
            count += 1
    return count
