"""Votes of expression trees, node by node over the whole column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.vectorbt_signals import loops
from benchmarks.vectorbt_signals.indicators import Indicators, Row, crossed

Tree = tuple[Any, ...]

_GOLDEN = 0.618
"""Share of the last swing that is given back at the Fibonacci level."""


class Votes:
    """Votes of trees on one asset; indicators are shared by all trees.

    Parameters
    ----------
    rows
        Indicators of the asset.
    side_of
        Makes the sides of a family's reference genome from the family's name.
    """

    def __init__(self, rows: Indicators, side_of: Callable[[str], NDArray[np.int8]]) -> None:
        self._rows, self._side_of = rows, side_of

    def of(self, tree: Tree) -> Row:
        """Return the value of a tree on each bar: numbers, truths or votes (int8)."""
        name, *parts = tree
        if name == "family":
            return self._side_of(parts[0])
        values = [self.of(part) if isinstance(part, tuple) else part for part in parts]
        return OPERATIONS[name](*values) if name in OPERATIONS else LEAVES[name](self._rows, *values)


OPERATIONS: dict[str, Callable[..., Row]] = {
    "difference": np.subtract,
    "relative": lambda x, y: x / y - 1.0,
    "share": np.divide,
    "gt": np.greater,
    "lt": np.less,
    "cross_above": crossed,
    "cross_below": lambda x, y: crossed(y, x),
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "held_for": loops.held_for,
    "vote": lambda long, short: long.view(np.int8) - short.view(np.int8),
}
"""From the values of the branches."""


def _fibonacci(rows: Indicators, period: int) -> Row:
    start, end = rows.swing(period)
    return end - _GOLDEN * (end - start)


LEAVES: dict[str, Callable[..., Row]] = {
    "open": lambda rows: rows.open,
    "high": lambda rows: rows.high,
    "low": lambda rows: rows.low,
    "close": lambda rows: rows.close,
    "sma": Indicators.sma,
    "ema": Indicators.ema,
    "highest": Indicators.highest,
    "lowest": Indicators.lowest,
    "donchian_high": Indicators.previous_high,
    "donchian_low": Indicators.previous_low,
    "upper_band": lambda rows, period, mult: rows.sma(period) + mult * rows.deviation(period),
    "lower_band": lambda rows, period, mult: rows.sma(period) - mult * rows.deviation(period),
    "vwap": Indicators.vwap,
    "tenkan": Indicators.midrange,
    "kijun": Indicators.midrange,
    "nadaraya_watson": lambda rows, period: rows.kernel_regression(period, "epanechnikov"),
    "fibonacci": _fibonacci,
    "atr": Indicators.atr,
    "std": Indicators.deviation,
    "log_return": Indicators.log_return,
    "macd": lambda rows: (rows.ema(12) - rows.ema(26)) / rows.close,
    "efficiency_ratio": Indicators.efficiency_ratio,
    "funding_mean": Indicators.funding_mean,
    "rsi": Indicators.rsi,
    "stochastic_k": Indicators.stochastic_k,
    "stochastic_d": Indicators.stochastic_d,
}
"""From the indicators and the node's constants."""
