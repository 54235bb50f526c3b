"""The table of primitives: what a node may be called, what it takes and yields, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.genes import GeneSpec

Row = NDArray[Any]
Reads = tuple[tuple[str, Any], ...]
"""Indicators of the bank, each with its key; columns, with key 0; ``family``, with its name."""

PRICE, RANGE, RATIO, SCORE, BOOL, VOTE = "Price", "Range", "Ratio", "Score100", "Bool", "Vote"
PERIOD, MULT, LEVEL, FRAC, FAMILY = "Period", "Mult", "Level", "Frac", "Family"

CONSTANTS = {
    PERIOD: GeneSpec(name=PERIOD, kind="int", default=20, low=2, high=100, unit="bars", description="a window"),
    MULT: GeneSpec(
        name=MULT, kind="float", default=2.0, low=0.5, high=4.0, unit="standard deviations", description="a distance"
    ),
    LEVEL: GeneSpec(
        name=LEVEL, kind="float", default=50.0, low=5.0, high=95.0, unit="points", description="a mark on a scale"
    ),
    FRAC: GeneSpec(
        name=FRAC, kind="float", default=0.0, low=-0.05, high=0.05, unit="fraction", description="a mark for a ratio"
    ),
}
"""Kind and bounds of the constants that stand as arguments; families are in `constant`."""

EFFICIENCY = "efficiency_ratio"
"""Name of the primitive whose values are known to lie in [0, 1]."""

SMALLEST_DIVISOR = 1e-12
"""Division by less is taken to say nothing."""

PRICES = ("open", "high", "low", "close")
"""Columns that are terminals of the language."""

_EPANECHNIKOV, _HIGHS_AND_LOWS = 1, 1
"""Index of the kernel whose window is its period, and of the method that takes extreme highs and lows as pivots."""

_GOLDEN = 0.618
"""Share of the last swing that is given back at the Fibonacci level."""

FUNDING = "funding_mean"
"""Name of the primitive that needs a column beyond prices and volume."""


@cache
def constant(type_name: str) -> GeneSpec:
    """Return the kind and bounds of a type of constants."""
    if type_name != FAMILY:
        return CONSTANTS[type_name]
    from quant_organism.strategies.family import families, get_family

    names = tuple(
        name
        for name in families()
        if get_family(name).seed_type != "ml_classifier"
        and not any(spec.kind == "structure" for spec in get_family(name).own_genes)
    )
    return GeneSpec(name=FAMILY, kind="choice", default=names[0], choices=names, unit="family", description="a rule")


def is_constant(type_name: str) -> bool:
    """Say whether values of a type are written as bare numbers or names."""
    return type_name in CONSTANTS or type_name == FAMILY


@dataclass(frozen=True, kw_only=True)
class Primitive:
    """One name of the language.

    Parameters
    ----------
    name
        As it stands in trees.
    returns
        Type of its value.
    signatures
        Types of its arguments, one tuple per admitted combination.
    compute
        Makes its row (n,) from the bank's rows that it reads, then its arguments in order.
    reads
        Says which rows of the bank it reads, from its constants.
    first
        First bar on which those rows are defined, from its constants.
    looks_back
        How many earlier bars of its arguments it needs, from its constants.
    """

    name: str
    returns: str
    signatures: tuple[tuple[str, ...], ...]
    compute: Callable[..., Row]
    reads: Callable[..., Reads] = lambda *constants: ()
    first: Callable[..., int] = lambda *constants: 0
    looks_back: Callable[..., int] = lambda *constants: 0

    @cached_property
    def is_leaf(self) -> bool:
        """Whether it takes constants only."""
        return all(is_constant(kind) for kinds in self.signatures for kind in kinds)


def _column(name: str) -> Primitive:
    return Primitive(name=name, returns=PRICE, signatures=((),), compute=lambda row: row, reads=lambda: ((name, 0),))


def _indicator(
    name: str, returns: str, indicator: str, first: Callable[..., int], takes: tuple[str, ...] = (PERIOD,)
) -> Primitive:
    # One row of the bank, keyed by its period or its pair of periods.
    def reads(*periods: int) -> Reads:
        return ((indicator, periods[0] if len(periods) == 1 else _paired(*periods)),)

    return Primitive(
        name=name,
        returns=returns,
        signatures=(takes,),
        compute=_first_row,
        reads=reads,
        first=first,
    )


def _paired(a: int, b: int) -> int:
    from quant_organism.strategies.bank import pair  # loads the compiler, and reading a genome must not

    return int(pair(a, b))


def _band(name: str, side: float) -> Primitive:
    return Primitive(
        name=name,
        returns=PRICE,
        signatures=((PERIOD, MULT),),
        compute=lambda mean, deviation, period, mult: mean + side * mult * deviation,
        reads=lambda period, mult: (("sma", period), ("deviation", period)),
        first=_full,
    )


def _first_row(row: Row, *_: Any) -> Row:
    return row


def _full(period: int, *_: float) -> int:
    return period - 1


def _previous(period: int) -> int:
    return period


def divided(a: Row, b: Row) -> Row:
    """Return a / b, and 0 where b is as good as nothing."""
    return np.divide(a, b, out=np.zeros(a.size), where=np.abs(b) >= SMALLEST_DIVISOR)


def _relative(a: Row, b: Row) -> Row:
    return np.divide(a, b, out=np.ones(a.size), where=np.abs(b) >= SMALLEST_DIVISOR) - 1.0


def _cross_above(a: Row, b: Row) -> Row:
    crossed = np.zeros(a.size, dtype=np.bool_)
    np.logical_and(a[:-1] <= b[:-1], a[1:] > b[1:], out=crossed[1:])
    return crossed


def _cross_below(a: Row, b: Row) -> Row:
    return _cross_above(b, a)


def _held_for(condition: Row, period: int) -> Row:
    from quant_organism.strategies.kernels.composite import held_for

    return held_for(condition, period)


def _vote(long: Row, short: Row) -> Row:
    return np.subtract(long.view(np.int8), short.view(np.int8))


_EQUAL = tuple((kind, kind) for kind in (PRICE, RANGE, RATIO, SCORE))
_COMPARABLE = (*_EQUAL, (SCORE, LEVEL), (RATIO, FRAC))

_TABLE = (
    *map(_column, PRICES),
    _indicator("sma", PRICE, "sma", _full),
    _indicator("ema", PRICE, "ema", _full),
    _indicator("highest", PRICE, "highest_high", _full),
    _indicator("lowest", PRICE, "lowest_low", _full),
    _indicator("donchian_high", PRICE, "previous_high", _previous),
    _indicator("donchian_low", PRICE, "previous_low", _previous),
    _band("upper_band", 1.0),
    _band("lower_band", -1.0),
    _indicator("vwap", PRICE, "vwap", _full),
    _indicator("tenkan", PRICE, "midrange", _full),
    _indicator("kijun", PRICE, "midrange", _full),
    Primitive(
        name="nadaraya_watson",
        returns=PRICE,
        signatures=((PERIOD,),),
        compute=_first_row,
        reads=lambda period: (("kernel_regression", _paired(period, _EPANECHNIKOV)),),
        first=_full,
    ),
    Primitive(
        name="fibonacci",
        returns=PRICE,
        signatures=((PERIOD,),),
        compute=lambda start, end, period: end - _GOLDEN * (end - start),
        reads=lambda period: tuple((name, _paired(period, _HIGHS_AND_LOWS)) for name in ("swing_start", "swing_end")),
        first=_previous,
    ),
    _indicator("atr", RANGE, "atr", _previous),
    _indicator("std", RANGE, "deviation", _full),
    Primitive(name="difference", returns=RANGE, signatures=((PRICE, PRICE),), compute=np.subtract),
    Primitive(name="relative", returns=RATIO, signatures=((PRICE, PRICE),), compute=_relative),
    Primitive(name="share", returns=RATIO, signatures=((RANGE, PRICE),), compute=divided),
    Primitive(
        name="log_return",
        returns=RATIO,
        signatures=((PERIOD,),),
        compute=lambda change, period: np.log1p(change),
        reads=lambda period: (("rate_of_change", period),),
        first=_previous,
    ),
    Primitive(
        name="macd",
        returns=RATIO,
        signatures=((),),
        compute=lambda fast, slow, close: divided(fast - slow, close),
        reads=lambda: (("ema", 12), ("ema", 26), ("close", 0)),
        first=lambda: 25,
    ),
    _indicator(EFFICIENCY, RATIO, "efficiency_ratio", _previous),
    _indicator(FUNDING, RATIO, "funding_mean", _full),
    _indicator("rsi", SCORE, "rsi", _previous),
    _indicator("stochastic_k", SCORE, "stochastic_k", _full),
    _indicator("stochastic_d", SCORE, "stochastic_d", lambda k, d: k + d - 2, (PERIOD, PERIOD)),
    Primitive(name="gt", returns=BOOL, signatures=_COMPARABLE, compute=np.greater),
    Primitive(name="lt", returns=BOOL, signatures=_COMPARABLE, compute=np.less),
    Primitive(name="cross_above", returns=BOOL, signatures=_EQUAL, compute=_cross_above, looks_back=lambda: 1),
    Primitive(name="cross_below", returns=BOOL, signatures=_EQUAL, compute=_cross_below, looks_back=lambda: 1),
    Primitive(name="and", returns=BOOL, signatures=((BOOL, BOOL),), compute=np.logical_and),
    Primitive(name="or", returns=BOOL, signatures=((BOOL, BOOL),), compute=np.logical_or),
    Primitive(name="not", returns=BOOL, signatures=((BOOL,),), compute=np.logical_not),
    Primitive(name="held_for", returns=BOOL, signatures=((BOOL, PERIOD),), compute=_held_for, looks_back=_full),
    Primitive(name="vote", returns=VOTE, signatures=((BOOL, BOOL),), compute=_vote),
    Primitive(
        name="family",
        returns=VOTE,
        signatures=((FAMILY,),),
        compute=lambda vote, name: vote,
        reads=lambda name: (("family", name),),
    ),
)

PRIMITIVES = {primitive.name: primitive for primitive in _TABLE}
