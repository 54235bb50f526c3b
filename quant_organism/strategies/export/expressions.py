"""Trees and conditions as Python expressions over the functions of `series`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from quant_organism.strategies.conditions.document import Condition, ConditionGroup
from quant_organism.strategies.conditions.rules import EQUAL_WITHIN
from quant_organism.strategies.family import StrategyFamily
from quant_organism.strategies.trees.primitives import Tree

_CLOSE, _HIGH, _LOW, _VOLUME = (f'bars["{name}"]' for name in ("close", "high", "low", "volume"))

_NODES: Final[dict[str, str]] = {
    "open": 'bars["open"]',
    "high": _HIGH,
    "low": _LOW,
    "close": _CLOSE,
    "sma": f"sma({_CLOSE}, {{0}})",
    "ema": f"ema({_CLOSE}, {{0}})",
    "highest": f"highest({_HIGH}, {{0}})",
    "lowest": f"lowest({_LOW}, {{0}})",
    "donchian_high": f"highest({_HIGH}, {{0}}, 1)",
    "donchian_low": f"lowest({_LOW}, {{0}}, 1)",
    "upper_band": f"(sma({_CLOSE}, {{0}}) + {{1}} * deviation({_CLOSE}, {{0}}))",
    "lower_band": f"(sma({_CLOSE}, {{0}}) - {{1}} * deviation({_CLOSE}, {{0}}))",
    "vwap": "vwap(bars, {0})",
    "tenkan": "midrange(bars, {0})",
    "kijun": "midrange(bars, {0})",
    "nadaraya_watson": f'kernel_regression({_CLOSE}, {{0}}, "epanechnikov")',
    "fibonacci": "retracement(bars, {0})",
    "atr": "atr(bars, {0})",
    "std": f"deviation({_CLOSE}, {{0}})",
    "difference": "({0} - {1})",
    "relative": "relative({0}, {1})",
    "share": "ratio({0}, {1})",
    "log_return": f"log_return({_CLOSE}, {{0}})",
    "macd": f"ratio(macd({_CLOSE}), {_CLOSE})",
    "efficiency_ratio": f"efficiency_ratio({_CLOSE}, {{0}})",
    "funding_mean": 'sma(bars["funding_rate"], {0})',
    "rsi": f"rsi({_CLOSE}, {{0}})",
    "stochastic_k": "stochastic_k(bars, {0})",
    "stochastic_d": "stochastic_d(bars, {0}, {1})",
    "gt": "({0} > {1})",
    "lt": "({0} < {1})",
    "cross_above": "crosses_above({0}, {1})",
    "cross_below": "crosses_above({1}, {0})",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "not": "~{0}",
    "held_for": "held_for({0}, {1})",
    "vote": "vote({0}, {1})",
}

_SERIES: Final[dict[str, str]] = {
    "SMA": _NODES["sma"],
    "EMA": _NODES["ema"],
    "SMA_GAP": f"({_CLOSE} / sma({_CLOSE}, {{0}}) - 1.0)",
    "ROC": f"rate_of_change({_CLOSE}, {{0}})",
    "RSI": _NODES["rsi"],
    "STOCH_K": _NODES["stochastic_k"],
    "VWAP": _NODES["vwap"],
    "ATR": _NODES["atr"],
    "ZSCORE": f"z_score({_CLOSE}, {{0}})",
    "BB_UPPER": f"(sma({_CLOSE}, {{0}}) + 2.0 * deviation({_CLOSE}, {{0}}))",
    "BB_LOWER": f"(sma({_CLOSE}, {{0}}) - 2.0 * deviation({_CLOSE}, {{0}}))",
    "DONCHIAN_UPPER": _NODES["donchian_high"],
    "DONCHIAN_LOWER": _NODES["donchian_low"],
    "MEAN_VOLUME": f"sma({_VOLUME}, {{0}}, 1)",
    "MACD": f"macd({_CLOSE})",
    "MACD_SIGNAL": f"macd_signal({_CLOSE})",
    "MACD_HISTOGRAM": f"(macd({_CLOSE}) - macd_signal({_CLOSE}))",
}


def tree_expression(tree: Tree, voters: Callable[[str], StrategyFamily]) -> str:
    """Write a tree as an expression of `bars` and `bar_hours`; `voters` finds the families whose signs may vote."""
    if tree[0] == "family":
        voter = voters(tree[1])
        own = ", ".join(f"{spec.name}={voter.default_genes[spec.name]!r}" for spec in voter.own_genes)
        return f"np.sign({voter.name}(bars, dict({own}), bar_hours))"
    parts = [tree_expression(part, voters) if isinstance(part, tuple) else repr(part) for part in tree[1:]]
    return _NODES[tree[0]].format(*parts)


def group_expression(group: ConditionGroup) -> str:
    """Write a group of conditions as an expression of `bars`."""
    sign = " & " if group.logic == "ALL" else " | "
    members = (
        group_expression(member) if isinstance(member, ConditionGroup) else _condition_expression(member)
        for member in group.members
    )
    return f"({sign.join(members)})"


def _condition_expression(condition: Condition) -> str:
    left = _series_expression(condition.name)
    right = _series_expression(condition.value) if isinstance(condition.value, str) else repr(float(condition.value))
    match condition.operator:
        case "crosses_above" | "crosses_below":
            level = right if isinstance(condition.value, str) else f"np.full({_CLOSE}.size, {right})"
            sides: Any = (left, level) if condition.operator == "crosses_above" else (level, left)
            return "crosses_above({}, {})".format(*sides)
        case "==":
            return f"(np.abs({left} - {right}) <= {EQUAL_WITHIN})"
        case "!=":
            return f"(np.abs({left} - {right}) > {EQUAL_WITHIN})"
        case operator:
            return f"({left} {operator} {right})"


def _series_expression(name: str) -> str:
    word, _, period = name.rpartition("_")
    if word in _SERIES and period.isdigit():
        return _SERIES[word].format(period)
    return _SERIES.get(name, f'bars["{name}"]')
