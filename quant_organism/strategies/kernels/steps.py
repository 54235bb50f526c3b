"""The position step that most families share: entry and exit conditions in, held direction out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled

ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT = 1, 2, 4, 8
"""Bits of a bar's conditions."""


def _step_table() -> NDArray[np.uint8]:
    # For every combination of conditions: the bits of the held state (1 long, 2 short) that survive the bar, and,
    # two bits higher, the state that is entered.
    table = np.zeros(16, dtype=np.uint8)
    for conditions in range(16):
        exit_long, exit_short = bool(conditions & EXIT_LONG), bool(conditions & EXIT_SHORT)
        long = bool(conditions & ENTER_LONG) and not exit_long
        short = bool(conditions & ENTER_SHORT) and not exit_short
        entered = 1 if long and not short else 2 if short and not long else 0
        kept = 0 if entered else (0 if exit_long else 1) | (0 if exit_short else 2)
        table[conditions] = kept | entered << 2
    return table


_STEP = _step_table()


@compiled
def hold_positions(direction: NDArray[np.int8]) -> None:
    """Turn one genome's conditions into its direction, in place.

    Parameters
    ----------
    direction
        From the warm-up on, shape (any,). In: the bits of each bar's conditions. Out: -1, 0 or +1.
    """
    state = 0
    for t in range(direction.size):
        step = _STEP[direction[t] & 15]
        state = (state & step) | (step >> 2)
        direction[t] = (state & 1) - (state >> 1)
