"""The family volatility_scaling."""

from quant_organism.strategies.families.volatility_scaling.rule import VolatilityScaling

FAMILY = VolatilityScaling()
