"""Nodes and trees: what a node may be called, takes and yields, which operation makes it, and how trees may look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.averages import (
    EMA,
    FUNDING_MEAN,
    KERNEL_REGRESSION,
    LOG_RETURN,
    MACD,
    SMA,
)
from quant_organism.strategies.indicators.dispersion import DEVIATION
from quant_organism.strategies.indicators.extremes import (
    HIGHEST_HIGH,
    LOWEST_LOW,
    MIDRANGE,
    PREVIOUS_HIGH,
    PREVIOUS_LOW,
)
from quant_organism.strategies.indicators.indicator import Indicator, pair
from quant_organism.strategies.indicators.oscillators import RSI, STOCHASTIC_D, STOCHASTIC_K
from quant_organism.strategies.indicators.swings import SWING_END, SWING_START
from quant_organism.strategies.indicators.trend import EFFICIENCY_RATIO
from quant_organism.strategies.indicators.volatility import ATR
from quant_organism.strategies.indicators.volume import VWAP

Read = tuple[Indicator | str, int]
"""An indicator and its key, or the name of a column and 0."""

PRICE, RANGE, RATIO, SCORE, BOOL, VOTE = "Price", "Range", "Ratio", "Score100", "Bool", "Vote"
PERIOD, MULT, LEVEL, FRAC, FAMILY = "Period", "Mult", "Level", "Frac", "Family"

CONSTANTS = {
    PERIOD: GeneSpec(
        name=PERIOD, kind="int", default=20, low=2, high=100, grid=PERIODS, unit="bars", description="a window"
    ),
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
"""Kind and bounds of the constants that stand as arguments; families are in a `Language`."""

EFFICIENCY = "efficiency_ratio"
"""Name of the primitive whose values are known to lie in [0, 1]."""

PRICES = ("open", "high", "low", "close")
"""Columns that are terminals of the language."""

_EPANECHNIKOV, _HIGHS_AND_LOWS = 1, 1
"""Index of the kernel whose window is its period, and of the method that takes extreme highs and lows as pivots."""

_GOLDEN = 0.618
"""Share of the last swing that is given back at the Fibonacci level."""

FUNDING = "funding_mean"
"""Name of the primitive that needs a column beyond prices and volume."""

Tree = tuple[Any, ...]
"""A node: its name, then its arguments, each a tree or a constant."""

DEEPEST, MOST_NODES = 8, 60
"""Most edges from the root to a leaf, and most nodes; constants are leaves."""


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
    reads
        Says which rows of the bank it reads, from its constants.
    operation
        Name of the interpreter's operation that makes its row from those, then from its arguments in order; without one
        it is the row that it reads.
    constant
        Makes the operation's constant from its own.
    is_swapped
        Whether the operation takes its arguments in the other order.
    first
        First bar on which those rows are defined, from its constants.
    looks_back
        How many earlier bars of its arguments it needs, from its constants.
    """

    name: str
    returns: str
    signatures: tuple[tuple[str, ...], ...]
    reads: Callable[..., tuple[Read, ...]] = lambda *constants: ()
    operation: str | None = None
    constant: Callable[..., float] = lambda *constants: 0.0
    is_swapped: bool = False
    first: Callable[..., int] = lambda *constants: 0
    looks_back: Callable[..., int] = lambda *constants: 0

    @cached_property
    def is_leaf(self) -> bool:
        """Whether it takes constants only."""
        return all(is_constant(kind) for kinds in self.signatures for kind in kinds)


def _column(name: str) -> Primitive:
    return Primitive(name=name, returns=PRICE, signatures=((),), reads=lambda: ((name, 0),))


def _indicator(
    name: str, returns: str, indicator: Indicator, first: Callable[..., int], takes: tuple[str, ...] = (PERIOD,)
) -> Primitive:
    # One row of the bank, keyed by its period or its pair of periods.
    def reads(*periods: int) -> tuple[Read, ...]:
        return ((indicator, periods[0] if len(periods) == 1 else pair(*periods)),)

    return Primitive(name=name, returns=returns, signatures=(takes,), reads=reads, first=first)


def _band(name: str, side: float) -> Primitive:
    return Primitive(
        name=name,
        returns=PRICE,
        signatures=((PERIOD, MULT),),
        reads=lambda period, mult: ((SMA, period), (DEVIATION, period)),
        operation="band",
        constant=lambda period, mult: side * mult,
        first=_full,
    )


def _full(period: int, *_: float) -> int:
    return period - 1


def _previous(period: int) -> int:
    return period


_EQUAL = tuple((kind, kind) for kind in (PRICE, RANGE, RATIO, SCORE))
_COMPARABLE = (*_EQUAL, (SCORE, LEVEL), (RATIO, FRAC))

_TABLE = (
    *map(_column, PRICES),
    _indicator("sma", PRICE, SMA, _full),
    _indicator("ema", PRICE, EMA, _full),
    _indicator("highest", PRICE, HIGHEST_HIGH, _full),
    _indicator("lowest", PRICE, LOWEST_LOW, _full),
    _indicator("donchian_high", PRICE, PREVIOUS_HIGH, _previous),
    _indicator("donchian_low", PRICE, PREVIOUS_LOW, _previous),
    _band("upper_band", 1.0),
    _band("lower_band", -1.0),
    _indicator("vwap", PRICE, VWAP, _full),
    _indicator("tenkan", PRICE, MIDRANGE, _full),
    _indicator("kijun", PRICE, MIDRANGE, _full),
    Primitive(
        name="nadaraya_watson",
        returns=PRICE,
        signatures=((PERIOD,),),
        reads=lambda period: ((KERNEL_REGRESSION, pair(period, _EPANECHNIKOV)),),
        first=_full,
    ),
    Primitive(
        name="fibonacci",
        returns=PRICE,
        signatures=((PERIOD,),),
        reads=lambda period: tuple((end, pair(period, _HIGHS_AND_LOWS)) for end in (SWING_START, SWING_END)),
        operation="retracement",
        constant=lambda period: _GOLDEN,
        first=_previous,
    ),
    _indicator("atr", RANGE, ATR, _previous),
    _indicator("std", RANGE, DEVIATION, _full),
    Primitive(name="difference", returns=RANGE, signatures=((PRICE, PRICE),), operation="subtract"),
    Primitive(name="relative", returns=RATIO, signatures=((PRICE, PRICE),), operation="relative"),
    Primitive(name="share", returns=RATIO, signatures=((RANGE, PRICE),), operation="share"),
    _indicator("log_return", RATIO, LOG_RETURN, _previous),
    Primitive(
        name="macd",
        returns=RATIO,
        signatures=((),),
        reads=lambda: ((MACD, pair(12, 26)), ("close", 0)),
        operation="share",
        first=lambda: 25,
    ),
    _indicator(EFFICIENCY, RATIO, EFFICIENCY_RATIO, _previous),
    _indicator(FUNDING, RATIO, FUNDING_MEAN, _full),
    _indicator("rsi", SCORE, RSI, _previous),
    _indicator("stochastic_k", SCORE, STOCHASTIC_K, _full),
    _indicator("stochastic_d", SCORE, STOCHASTIC_D, lambda k, d: k + d - 2, (PERIOD, PERIOD)),
    Primitive(name="gt", returns=BOOL, signatures=_COMPARABLE, operation="greater"),
    Primitive(name="lt", returns=BOOL, signatures=_COMPARABLE, operation="greater", is_swapped=True),
    Primitive(name="cross_above", returns=BOOL, signatures=_EQUAL, operation="crosses", looks_back=lambda: 1),
    Primitive(
        name="cross_below", returns=BOOL, signatures=_EQUAL, operation="crosses", is_swapped=True, looks_back=lambda: 1
    ),
    Primitive(name="and", returns=BOOL, signatures=((BOOL, BOOL),), operation="and"),
    Primitive(name="or", returns=BOOL, signatures=((BOOL, BOOL),), operation="or"),
    Primitive(name="not", returns=BOOL, signatures=((BOOL,),), operation="not"),
    Primitive(
        name="held_for", returns=BOOL, signatures=((BOOL, PERIOD),), operation="held", constant=float, looks_back=_full
    ),
    Primitive(name="vote", returns=VOTE, signatures=((BOOL, BOOL),), operation="vote"),
    Primitive(name="family", returns=VOTE, signatures=((FAMILY,),)),
)

PRIMITIVES = {primitive.name: primitive for primitive in _TABLE}


def matching_signature(name: str, found: Sequence[str | None]) -> tuple[str, ...] | None:
    """Return the types of arguments that a name takes, given the types of those found, None for constants."""
    for kinds in PRIMITIVES[name].signatures:
        if len(kinds) == len(found) and all(
            is_constant(kind) if seen is None else seen == kind for kind, seen in zip(kinds, found, strict=True)
        ):
            return kinds
    return None


def signature(tree: Tree) -> tuple[str, ...]:
    """Return the types of a tree's arguments."""
    found = [PRIMITIVES[branch[0]].returns if isinstance(branch, tuple) else None for branch in tree[1:]]
    kinds = matching_signature(tree[0], found)
    assert kinds is not None
    return kinds


def branches(tree: Tree) -> list[Tree]:
    """Return the arguments of a tree that are trees."""
    return [argument for argument in tree[1:] if isinstance(argument, tuple)]


def constants(tree: Tree) -> list[Any]:
    """Return the arguments of a tree that are constants."""
    return [argument for argument in tree[1:] if not isinstance(argument, tuple)]


def walk(tree: Tree) -> Iterator[Tree]:
    """Yield a tree and all trees within it."""
    yield tree
    for branch in branches(tree):
        yield from walk(branch)


def size(tree: Tree) -> int:
    """Return the number of nodes, constants included."""
    return sum(1 + len(constants(node)) for node in walk(tree))


def depth(tree: Tree) -> int:
    """Return the number of edges from the root to the farthest leaf."""
    return max((1 + depth(part) if isinstance(part, tuple) else 1 for part in tree[1:]), default=0)


def reads_indicator(tree: Tree) -> bool:
    """Say whether a tree contains an indicator, or a family, which reads some."""
    return any(node[0] not in PRICES and PRIMITIVES[node[0]].is_leaf for node in walk(tree))
