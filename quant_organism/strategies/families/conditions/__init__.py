"""The family conditions."""

from quant_organism.strategies.families.conditions.rule import Conditions

FAMILY = Conditions()
