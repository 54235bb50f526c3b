"""Values of trees by NumPy, one whole row per node: what the interpreter must repeat to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.trees.primitives import Read, Tree, branches, constants
from quant_organism_tests.strategies.trees.growing import LANGUAGE

Row = NDArray[Any]


def value(tree: Tree, bank: IndicatorBank) -> Row:
    """Return the value of a tree of any type on every bar, shape (n,); without meaning before its first bar."""
    settings = constants(tree)
    read = [_row(bank, source) for source in LANGUAGE.reads(tree)]
    return _COMPUTE.get(tree[0], _itself)(*read, *(value(branch, bank) for branch in branches(tree)), *settings)


def _row(bank: IndicatorBank, read: Read) -> Row:
    source, key = read
    if isinstance(source, str):
        return np.asarray(getattr(bank.bars, source))
    rows, numbers = bank.rows(source, np.array([key]))
    assert rows.dtype == (np.int8 if source is LANGUAGE.sign else np.float64)
    return np.asarray(rows[numbers[0]])


def _itself(row: Row, *_: Any) -> Row:
    return row


def _divided(a: Row, b: Row) -> Row:
    return np.divide(a, b, out=np.zeros(a.size), where=np.abs(b) >= 1e-12)


def _relative(a: Row, b: Row) -> Row:
    return np.divide(a, b, out=np.ones(a.size), where=np.abs(b) >= 1e-12) - 1.0


def _cross_above(a: Row, b: Row) -> Row:
    crossed = np.zeros(a.size, dtype=np.bool_)
    np.logical_and(a[:-1] <= b[:-1], a[1:] > b[1:], out=crossed[1:])
    return crossed


def _held_for(condition: Row, period: int) -> Row:
    last_failure = np.maximum.accumulate(np.where(condition, -1, np.arange(condition.size)))
    return np.asarray(np.arange(condition.size) - last_failure >= period)


_COMPUTE: dict[str, Callable[..., Row]] = {
    "upper_band": lambda mean, deviation, period, mult: mean + mult * deviation,
    "lower_band": lambda mean, deviation, period, mult: mean + -mult * deviation,
    "fibonacci": lambda start, end, period: end - 0.618 * (end - start),
    "difference": np.subtract,
    "relative": _relative,
    "share": _divided,
    "macd": _divided,
    "gt": np.greater,
    "lt": np.less,
    "cross_above": _cross_above,
    "cross_below": lambda a, b: _cross_above(b, a),
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "held_for": _held_for,
    "vote": lambda long, short: long.astype(np.int8) - short.astype(np.int8),
}
