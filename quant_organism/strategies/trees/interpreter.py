"""The interpreter of trees: instructions over rows of the bank, a stretch of bars at a time, so that what passes from
one instruction to the next stays in the innermost cache."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled

OPERATIONS = (
    *("subtract", "share", "relative", "band", "retracement"),
    *("greater", "crosses", "above", "below"),
    *("and", "or", "not", "held", "vote"),
)
"""From two rows of numbers to numbers; from them, or one and a mark, to truths; from truths to truths and votes."""

SUBTRACT, SHARE, RELATIVE, BAND, RETRACEMENT, GREATER, CROSSES, ABOVE, BELOW, AND, OR, NOT, HELD, VOTE = range(14)
"""Place of each operation."""

STRETCH = 8192
"""Bars that one instruction works on before the next one does."""

SMALLEST_DIVISOR = 1e-12
"""Division by less is taken to say nothing."""

Rows2D = NDArray[np.float64]


class Instructions(NamedTuple):
    """What to compute, in order; each array of shape (I,).

    Parameters
    ----------
    operation
        One of the operations above.
    a, b
        Where its arguments stand: numbers count the inputs from 0 up and buffers from -1 down, truths count buffers.
    out
        Buffer that it writes; the row of the output if it is a vote.
    constant
        A factor, a mark or a number of bars.
    """

    operation: NDArray[np.int64]
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    out: NDArray[np.int64]
    constant: NDArray[np.float64]


@compiled
def interpret(
    instructions: Instructions,
    tables: tuple[Rows2D, ...],
    input_table: NDArray[np.int64],
    input_row: NDArray[np.int64],
    buffers: int,
    truth_buffers: int,
    votes: NDArray[np.int8],
) -> None:
    """Write the votes that instructions make, shape (V, n).

    Parameters
    ----------
    instructions
        In an order in which each argument is made before it is read.
    tables
        Rows of the bank, each of shape (any, n).
    input_table, input_row
        Table and row of each input.
    buffers, truth_buffers
        How many buffers of numbers and of truths the instructions use.
    votes
        Written where an instruction is a vote.
    """
    numbers, truths = np.empty((buffers, STRETCH)), np.empty((truth_buffers, STRETCH), dtype=np.int8)
    # What a crossing and a lasting condition know of the bar before the stretch.
    known = np.zeros(instructions.operation.size, dtype=np.int64)
    n = votes.shape[1]
    for begin in range(0, n, STRETCH):
        size = min(STRETCH, n - begin)
        for i in range(instructions.operation.size):
            operation, constant = instructions.operation[i], instructions.constant[i]
            a, b, out = instructions.a[i], instructions.b[i], instructions.out[i]
            if operation <= BELOW:
                x = tables[input_table[a]][input_row[a], begin : begin + size] if a >= 0 else numbers[~a, :size]
                y = tables[input_table[b]][input_row[b], begin : begin + size] if b >= 0 else numbers[~b, :size]
                if operation <= RETRACEMENT:
                    _calculate(operation, x, y, constant, numbers[out, :size])
                elif operation == CROSSES:
                    known[i] = _cross(x, y, known[i], truths[out, :size])
                else:
                    _compare(operation, x, y, constant, truths[out, :size])
            elif operation == HELD:
                known[i] = _hold(truths[a, :size], known[i], constant, truths[out, :size])
            else:
                written = votes[out, begin : begin + size] if operation == VOTE else truths[out, :size]
                _combine(operation, truths[a, :size], truths[b, :size], written)


@compiled
def _calculate(
    operation: int, x: NDArray[np.float64], y: NDArray[np.float64], constant: float, out: NDArray[np.float64]
) -> None:
    if operation == SUBTRACT:
        for t in range(out.size):
            out[t] = x[t] - y[t]
    elif operation == SHARE:
        for t in range(out.size):
            out[t] = x[t] / y[t] if abs(y[t]) >= SMALLEST_DIVISOR else 0.0
    elif operation == RELATIVE:
        for t in range(out.size):
            out[t] = (x[t] / y[t] if abs(y[t]) >= SMALLEST_DIVISOR else 1.0) - 1.0
    elif operation == BAND:
        for t in range(out.size):
            out[t] = x[t] + constant * y[t]
    else:
        for t in range(out.size):
            out[t] = y[t] - constant * (y[t] - x[t])


@compiled
def _compare(
    operation: int, x: NDArray[np.float64], y: NDArray[np.float64], mark: float, out: NDArray[np.int8]
) -> None:
    if operation == GREATER:
        for t in range(out.size):
            out[t] = 1 if x[t] > y[t] else 0
    elif operation == ABOVE:
        for t in range(out.size):
            out[t] = 1 if x[t] > mark else 0
    else:
        for t in range(out.size):
            out[t] = 1 if x[t] < mark else 0


@compiled
def _cross(x: NDArray[np.float64], y: NDArray[np.float64], was_below: int, out: NDArray[np.int8]) -> int:
    # Where x rises above y; before the first bar it was not below.
    out[0] = 1 if (x[0] > y[0]) & (was_below != 0) else 0
    now_x, now_y, before_x, before_y, rest = x[1:], y[1:], x[:-1], y[:-1], out[1:]
    for t in range(rest.size):
        rest[t] = 1 if (now_x[t] > now_y[t]) & (before_x[t] <= before_y[t]) else 0
    return 1 if x[x.size - 1] <= y[y.size - 1] else 0


@compiled
def _hold(condition: NDArray[np.int8], run: int, bars: float, out: NDArray[np.int8]) -> int:
    # Where a condition has held on each of the last bars.
    least = np.int64(bars)
    for t in range(out.size):
        run = run + 1 if condition[t] else 0
        out[t] = 1 if run >= least else 0
    return run


@compiled
def _combine(operation: int, x: NDArray[np.int8], y: NDArray[np.int8], out: NDArray[np.int8]) -> None:
    if operation == AND:
        for t in range(out.size):
            out[t] = x[t] & y[t]
    elif operation == OR:
        for t in range(out.size):
            out[t] = x[t] | y[t]
    elif operation == NOT:
        for t in range(out.size):
            out[t] = x[t] ^ 1
    else:
        for t in range(out.size):
            out[t] = x[t] - y[t]
