"""The strategy families, a folder each: genes, warm-up and indicators in `rule`, the compiled signal in `kernel`.

Those that rank the assets of a panel stand together in `strategies.cross_section`.

A family exists by being named here, once. What a family is stands in `strategies.family`.
"""

from __future__ import annotations

from collections import ChainMap
from difflib import get_close_matches

from quant_organism.errors import InputError
from quant_organism.strategies.cross_section import rules
from quant_organism.strategies.families import (
    atr_stop_loss,
    bollinger_bands,
    conditions,
    donchian_breakout,
    ema_crossover,
    fibonacci_retracement,
    funding_rate_carry,
    ichimoku_cloud,
    linear_svc_classifier,
    nadaraya_watson,
    pca_tree_quantile,
    rsi_filter,
    sma_trend_filter,
    stochastic_oscillator,
    volatility_scaling,
    vwap_reversion,
)
from quant_organism.strategies.families.composite import Composite
from quant_organism.strategies.family import StrategyFamily

_RULES: tuple[StrategyFamily, ...] = (
    atr_stop_loss.FAMILY,
    bollinger_bands.FAMILY,
    donchian_breakout.FAMILY,
    ema_crossover.FAMILY,
    fibonacci_retracement.FAMILY,
    funding_rate_carry.FAMILY,
    ichimoku_cloud.FAMILY,
    linear_svc_classifier.FAMILY,
    nadaraya_watson.FAMILY,
    pca_tree_quantile.FAMILY,
    rsi_filter.FAMILY,
    sma_trend_filter.FAMILY,
    stochastic_oscillator.FAMILY,
    volatility_scaling.FAMILY,
    vwap_reversion.FAMILY,
    conditions.FAMILY,
)
"""All families but the one that lets others vote."""

_FAMILIES = {family.name: family for family in sorted((*_RULES, Composite(_RULES)), key=lambda family: family.name)}


_RANKING = {family.name: family for family in rules.FAMILIES}
_KNOWN: ChainMap[str, StrategyFamily] = ChainMap(_FAMILIES, dict(_RANKING))


def family_names() -> tuple[str, ...]:
    """Return the names of the families that decide on each asset by itself, sorted."""
    return tuple(_FAMILIES)


def ranking_family_names() -> tuple[str, ...]:
    """Return the names of the families that rank the assets of a panel, sorted."""
    return tuple(_RANKING)


def configurable_families() -> tuple[str, ...]:
    """Return the names of the families whose genes alone make a strategy, sorted: all but hand-written conditions."""
    return tuple(name for name in sorted(_KNOWN) if name != conditions.FAMILY.name)


def evolving_families() -> tuple[str, ...]:
    """Return the names of the families that take part in evolution unless others are chosen, sorted."""
    return tuple(name for name in sorted(_KNOWN) if _KNOWN[name].evolves)


def get_family(name: str) -> StrategyFamily:
    """Return a family by its name.

    Raises
    ------
    InputError
        If there is no such family; the message names the nearest.
    """
    if name not in _KNOWN:
        near = get_close_matches(str(name), _KNOWN, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"unknown family {name!r}", remedy=f"{hint}known families: {', '.join(sorted(_KNOWN))}")
    return _KNOWN[name]
