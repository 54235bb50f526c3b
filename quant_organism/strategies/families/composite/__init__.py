"""The family composite; it is handed the families that may vote."""

from quant_organism.strategies.families.composite.rule import Composite

__all__ = ["Composite"]
