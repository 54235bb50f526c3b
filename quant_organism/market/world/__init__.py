"""Simulated markets: a pure function of (spec, seed), with planted edges or none, and the truth behind the prices.

Strategies see what any market source delivers; the truth stays in an object of its own.
"""

from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import WorldSpec, load_world, shipped_worlds

__all__ = ["WorldSource", "WorldSpec", "load_world", "shipped_worlds"]
