"""Trees for tests: written, drawn, and dense with branches that repeat or contradict one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from quant_organism.strategies import AssetBars
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.trees.evaluation import Program, indicators_of
from quant_organism.strategies.trees.primitives import Tree
from quant_organism.strategies.trees.simplify import NEVER
from quant_organism_tests.strategies.catalogue import language

LANGUAGE = language()
"""Of the registered families."""

CLOSE: Tree = ("close",)
RISES: Tree = ("gt", CLOSE, ("sma", 2))
FALLS: Tree = ("lt", CLOSE, ("sma", 2))

_FLAT: Tree = ("relative", ("ema", 5), ("ema", 5))

_CONDITIONS = st.sampled_from(
    [
        RISES,
        FALLS,
        ("cross_above", CLOSE, ("ema", 5)),
        ("gt", CLOSE, CLOSE),
        ("cross_below", ("rsi", 5), ("rsi", 5)),
        ("gt", _FLAT, -0.01),
        ("lt", _FLAT, -0.01),
        ("gt", _FLAT, 0.0),
        ("lt", ("share", ("difference", CLOSE, CLOSE), CLOSE), 0.02),
        ("gt", ("rsi", 5), 60.0),
        ("gt", ("efficiency_ratio", 5), -0.01),
        ("lt", ("efficiency_ratio", 5), 0.0),
        ("cross_above", ("efficiency_ratio", 5), _FLAT),
    ]
)


def _grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
        st.tuples(st.just("held_for"), inner, st.integers(2, 4)),
    )


conditions = st.recursive(_CONDITIONS, _grown, max_leaves=6)
"""Conditions in which branches repeat, contradict one another or never change."""


def bank_of(trees: Sequence[Tree], columns: Mapping[str, ArrayLike]) -> IndicatorBank:
    """Return what trees read of the given columns."""
    arrays = {name: np.array(column, dtype=float) for name, column in columns.items()}
    n = arrays["close"].size
    bars = AssetBars(**({"funding_rate": np.full(n, np.nan)} | arrays), numbers=np.arange(n), bar_hours=1.0)
    return IndicatorBank(bars, indicators_of(LANGUAGE, trees))


def votes(trees: Sequence[Tree], columns: Mapping[str, ArrayLike]) -> NDArray[np.int8]:
    """Return the votes of trees of type Vote on every bar, shape (V, n)."""
    return Program(LANGUAGE, trees).run(bank_of(trees, columns))


def truths(condition: Tree, columns: Mapping[str, ArrayLike]) -> NDArray[np.int8]:
    """Return 1 on the bars on which a condition holds, else 0."""
    return votes([("vote", condition, NEVER)], columns)[0]
